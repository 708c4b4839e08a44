// SPDX-License-Identifier: Apache-2.0
// A controller's API as tokens reach it: no socket. Whoever calls here speaks as a front does,
// captured or not.
#pragma once

#include <boost/json.hpp>
#include <future>
#include <thread>

#include "server/admin/remote_api.h"
#include "tests/unit/server/controller_fixture.h"

namespace knock::test {

inline constexpr const char* kOther =
    "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}, web: {idp: web, from: [corp]}}\n";

/// A remote with one pull request, 7, and one branch.
class FakeRemote final : public PolicySource {
 public:
  FakeRemote(std::string content, std::string refused, std::function<void()> meanwhile)
      : content_(std::move(content)),
        refused_(std::move(refused)),
        meanwhile_(std::move(meanwhile)) {}
  Result<PolicyRevision> poll(Deadline) override { return PolicyRevision("?"); }
  Result<PolicySnapshot> read(const PolicyRevision&) override { return PolicySnapshot(); }
  void in_force(const PolicyRevision& revision) override { told_ = revision; }
  std::string describe() const override { return "fake"; }
  Result<Candidate> candidate(const CandidateName& name, Deadline) override {
    if (meanwhile_) meanwhile_();
    if (name.pull != 7 && name.branch != "topic")
      return fail(ErrorKind::not_found, "git.no-ref: the ref is not there");
    PolicySnapshot snapshot;
    snapshot.revision = PolicyRevision(std::string(40, 'c'));
    snapshot.files = {{"main.yaml", content_, ""}};
    return Candidate{std::move(snapshot), told_, refused_};
  }

 private:
  std::string content_, refused_;
  std::function<void()> meanwhile_;
  PolicyRevision told_;
};

/// A folder whose revision may be given, as a commit's that changes no policy file is another one.
class NamedSource final : public PolicySource {
 public:
  NamedSource(std::unique_ptr<PolicySource> folder, const std::string& name,
              std::atomic<int>& polls)
      : folder_(std::move(folder)), name_(name), polls_(polls) {}
  Result<PolicyRevision> poll(Deadline deadline) override {
    ++polls_;
    KNOCK_ASSIGN(real_, folder_->poll(deadline));
    return name_.empty() ? real_ : PolicyRevision(name_);
  }
  Result<PolicySnapshot> read(const PolicyRevision& revision) override {
    KNOCK_ASSIGN(auto snapshot, folder_->read(real_));
    snapshot.revision = revision;
    return snapshot;
  }
  std::string describe() const override { return folder_->describe(); }

 private:
  std::unique_ptr<PolicySource> folder_;
  const std::string& name_;
  std::atomic<int>& polls_;
  PolicyRevision real_;
};

class RemoteTest : public ControllerFixture {
 protected:
  RemoteTest() {
    remote_source_ = [this] {
      return std::make_unique<FakeRemote>(content_, refused_, meanwhile_);
    };
    source_ = std::make_unique<NamedSource>(std::move(source_), source_named_, polls_);
    begin_with_policy();
    // The controller looks by itself as it starts, and must not while a test changes the folder.
    for (auto end = Deadline::in(Duration::seconds(60)); polls_ < 2 && !end.passed();)
      std::this_thread::yield();
    EXPECT_TRUE(controller_->policy_keeper().look("test"));
    remote_ = std::make_unique<RemoteApi>(*api_, controller_->keys());
  }

  std::string key(const std::string& name, std::vector<std::string> scopes,
                  std::vector<std::string> from = {}) {
    auto made = controller_->keys().add("test", {name, std::move(scopes), std::move(from)});
    EXPECT_TRUE(made) << made.error().text();
    return std::string(made->token.reveal());
  }
  role::ApiAnswer call(const std::string& token, const std::string& method, const std::string& path,
                       const std::string& body = "", const std::string& query = "") {
    auto said = std::make_shared<std::promise<role::ToFront>>();
    auto coming = said->get_future();
    remote_->handle({7, method, "/api/v1" + path, query, token, address("203.0.113.7"), body},
                    [said](role::ToFront answer) { said->set_value(std::move(answer)); });
    auto answer = std::get<role::ApiAnswer>(coming.get());
    EXPECT_EQ(answer.request, 7u);
    return answer;
  }
  static std::string candidate(const std::string& content, const std::string& more = "") {
    boost::json::object body{
        {"files", {boost::json::object{{"path", "main.yaml"}, {"content", content}}}}};
    auto text = boost::json::serialize(body);
    text.insert(text.size() - 1, more);
    return text;
  }
  static std::string member(const role::ApiAnswer& answer, const char* name) {
    auto value = boost::json::parse(answer.body);
    auto* found = value.as_object().if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
  }

  std::atomic<int> polls_ = 0;       // of the policy folder: by the controller, and by a test
  std::string source_named_;         // the revision that the policy folder is to have
  std::function<void()> meanwhile_;  // happens while a change is fetched
  std::string content_ = kOther;     // of what is fetched
  std::string refused_;              // why a fetched candidate would not come into force
  std::unique_ptr<RemoteApi> remote_;
};

}  // namespace knock::test
