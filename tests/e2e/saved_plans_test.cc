// SPDX-License-Identifier: Apache-2.0
// A saved plan from its making to its second use, with the program itself and a real firewall:
// without a controller, and through one that runs.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

constexpr const char* kOpen = R"(knock: 1
groups: {admins: {idp: knock-admins}, engineers: {idp: eng}}
services:
  ssh: {ports: [tcp/2222], targets: [server]}
  app: {ports: [tcp/8443], targets: [server]}
targets:
  server: {type: nftables, table: knock, protect: true}
allow:
  admins-ssh: {who: [admins], to: [ssh], ttl: 8h}
  engineers-app: {who: [engineers], to: [app], ttl: 8h}
)";

std::string without_ssh() {
  std::string text(kOpen);
  std::string_view rule = "  admins-ssh: {who: [admins], to: [ssh], ttl: 8h}\n";
  return text.erase(text.find(rule), rule.size());
}

class SavedPlans : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    WorldSettings settings;
    settings.oidc = false;
    settings.policy = kOpen;
    world_ = std::make_unique<World>(settings);
    // A controller that looks for itself takes a commit before anybody has planned it.
    auto yaml = knock().folder() + "/knock.yaml";
    auto text = read_file(yaml);
    auto at = text.find("poll: 1s");
    ASSERT_NE(at, text.npos);
    write_file(yaml, text.replace(at, 8, "poll: 1h"));
  }
  /// A controller that protects, and one person who may pass.
  void serve_with_alice_in() {
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    world_->grant("alice", kAlice, "1h", "admins");
    ASSERT_TRUE(world_->opens(kAlice, kSsh));
  }
  void TearDown() override {
    if (world_ && HasFailure())
      std::fprintf(stderr, "%s\n%s\n", knock().log().c_str(), world_->records().c_str());
  }

  Installation& knock() { return *world_->knock; }
  std::string file(const std::string& name) { return knock().folder() + "/" + name + ".plan"; }

  void expect(int code, const std::string& part, const std::vector<std::string>& words) {
    auto done = knock().knock(words);
    EXPECT_EQ(done.exit_code, code) << knock::join(words, " ") << "\n" << done.out << done.err;
    EXPECT_NE((done.out + done.err).find(part), std::string::npos)
        << knock::join(words, " ") << ": no \"" << part << "\" in\n"
        << done.out << done.err;
  }
  /// With another byte somewhere in its middle.
  void edit(const std::string& from, const std::string& to, std::string_view what,
            std::string_view with) {
    auto text = read_file(file(from));
    auto at = text.find(what);
    ASSERT_NE(at, text.npos) << what;
    write_file(file(to), text.replace(at, what.size(), with));
  }

  std::unique_ptr<World> world_;
};

TEST_F(SavedPlans, WithoutAControllerAreAppliedOnceAndAsShown) {
  auto& w = *world_;
  expect(0, "does exactly this, once", {"plan", "--out", file("first")});
  struct stat info{};
  ASSERT_EQ(stat(file("first").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  expect(0, "made without a controller", {"show", file("first")});
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::open) << "a plan has written";

  edit("first", "edited", "\"writes\":", "\"writes\":1");
  expect(5, "saved-plan.edited", {"apply", file("edited")});
  expect(5, "saved-plan.edited", {"show", file("edited")});
  expect(64, "excludes", {"apply", file("first"), "--exact", "--replan"});
  expect(64, "name its file", {"apply", "--replan"});
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::open);

  // Two of the same: the first one used makes the other stale.
  expect(0, "Saved", {"plan", "--out", file("twin")});
  expect(0, "nobody signed in or out", {"apply", file("first"), "--exact"});
  EXPECT_TRUE(w.closes(kStranger, kSsh));
  expect(5, "saved-plan.used", {"apply", file("first")});
  expect(5, "saved-plan.used", {"apply", file("first"), "--replan"});
  expect(5, "saved-plan.target", {"apply", file("twin")});

  // A commit, and another one before it is applied.
  knock().change_policy(without_ssh(), "no more ssh");
  expect(0, "Saved", {"plan", "--out", file("second")});
  knock().change_policy(std::string(kOpen) + "x-note: later\n", "a note");
  expect(5, "saved-plan.commit", {"apply", file("second")});
  expect(0, "Done", {"apply", file("second"), "--replan"});

  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

TEST_F(SavedPlans, ThroughAControllerAreSignedAndFollowSessions) {
  auto& w = *world_;
  ASSERT_NO_FATAL_FAILURE(serve_with_alice_in());

  auto commit = knock().change_policy(without_ssh(), "no more ssh");
  expect(0, "1 to remove", {"plan", "--out", file("plan"), "--good-for", "2h"});
  expect(0, "signed by the controller", {"show", file("plan")});
  expect(0, "<!doctype html>", {"show", file("plan"), "--format", "html", "--view", "people"});
  struct stat info{};
  ASSERT_EQ(stat((knock().state_folder() + "/plan-key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  expect(1, "at most", {"plan", "--out", file("long"), "--good-for", "8d"});
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::open) << "a plan has written";

  edit("plan", "edited", "\"expires\":\"20", "\"expires\":\"21");
  expect(5, "saved-plan.edited", {"apply", file("edited")});
  expect(5, "saved-plan.ack", {"apply", file("plan"), "--ack", "0123456789ab"});

  // Sessions come and go, and the plan stays good, if not exactly.
  w.grant("bob", kBob, "1h", "admins");
  ASSERT_TRUE(w.opens(kBob, kSsh));
  expect(5, "saved-plan.exact", {"apply", file("plan"), "--exact"});
  EXPECT_EQ(w.reach(kBob, kSsh), Reached::open);
  auto twin = file("twin");
  expect(0, "Saved", {"plan", "--out", twin});
  expect(0, "1 signed in (bob)", {"apply", file("plan")});
  EXPECT_TRUE(w.closes(kAlice, kSsh));
  EXPECT_TRUE(w.closes(kBob, kSsh));
  EXPECT_EQ(knock().ask({"status"}, "/policy/revision"), commit);
  EXPECT_NE(w.records("plan.used"), "");
  expect(5, "saved-plan.used", {"apply", file("plan")});
  expect(5, "the very policy that it would put in force", {"apply", twin});

  // A hand between the plan and its apply, and a newer commit.
  knock().change_policy(kOpen, "ssh again");
  expect(0, "Saved", {"plan", "--out", file("third")});
  w.server.nft("add element inet knock svc_app_h4 { 198.51.100.200 timeout 1h }\n");
  expect(5, "1 foreign now", {"apply", file("third")});
  knock().change_policy(std::string(kOpen) + "x-note: later\n", "a note");
  expect(5, "saved-plan.commit", {"apply", file("third")});
  expect(0, "Computed again", {"apply", file("third"), "--replan"});
  EXPECT_TRUE(w.opens(kAlice, kSsh));

  // Made while no controller runs, and one runs; and the other way round.
  EXPECT_EQ(knock().stop(), 0);
  knock().change_policy(without_ssh(), "no more ssh");
  expect(0, "Saved", {"plan", "--out", file("unsigned")});
  knock().start();
  expect(5, "saved-plan.unsigned", {"apply", file("unsigned")});
  knock().change_policy(kOpen, "ssh once more");
  expect(0, "Saved", {"plan", "--out", file("signed")});
  EXPECT_EQ(knock().stop(), 0);
  expect(0, "Done", {"apply", file("signed")});
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

/// By tokens, from the other side of the network: one that sees, one that asks, one that does.
TEST_F(SavedPlans, FromElsewhereATokenDoesWhatTheFileShowsAndNoMore) {
  auto& w = *world_;
  ASSERT_NO_FATAL_FAILURE(serve_with_alice_in());
  auto token = [&](const std::string& scope) {
    auto made = knock().knock({"-q", "key", "add", "key-" + scope.substr(0, 4), "--scope", scope});
    return std::string(trim(made.out));
  };
  auto sees = token("audit:read"), asks = token("plan:people"), does = token("apply");
  auto elsewhere = [&](const std::string& key, int code, const std::string& part,
                       std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"env", "KNOCK_TOKEN=" + key, "KNOCK_CA=" + knock().folder() + "/tls.crt",
                  binary_dir() + "/cli/knock", "--server", w.portal()});
    auto done = run_in(w.outside, words);
    EXPECT_EQ(done.exit_code, code) << knock::join(words, " ") << "\n" << done.out << done.err;
    EXPECT_NE((done.out + done.err).find(part), std::string::npos)
        << knock::join(words, " ") << ": no \"" << part << "\" in\n"
        << done.out << done.err;
    return done.out;
  };

  // What if those who are signed in were the only ones, tomorrow: as they are listed.
  auto people = knock().folder() + "/people.json";
  write_file(people, elsewhere(sees, 0, "\"where\"", {"session", "list", "--json"}));
  elsewhere(asks, 0, "what if: sessions or the time are made up", {"plan", "--sessions", people});
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::open);

  auto commit = knock().change_policy(without_ssh(), "no more ssh");
  elsewhere(asks, 1, "plan.save-scope", {"plan", "--out", file("plan")});
  elsewhere(sees, 0, "does exactly this, once", {"plan", "--out", file("plan")});
  elsewhere(sees, 1, "this needs apply", {"apply", file("plan")});
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::open);
  auto said = elsewhere(does, 0, "Done", {"apply", file("plan")});
  EXPECT_EQ(said.find("alice"), said.npos) << said;
  EXPECT_EQ(said.find(kAlice), said.npos) << said;
  EXPECT_TRUE(w.closes(kAlice, kSsh));
  EXPECT_EQ(knock().ask({"status"}, "/policy/revision"), commit);
  elsewhere(does, 5, "saved-plan.used", {"apply", file("plan")});

  // What a guard holds needs a word on this machine.
  std::string open(kOpen);
  knock().change_policy(open.replace(open.find("protect: true"), 13, "protect: false"), "open");
  elsewhere(sees, 0, "on the controller's own machine", {"plan", "--out", file("open")});
  elsewhere(does, 4, "nothing was done, and the plan is still good", {"apply", file("open")});
  auto id = json_at(knock().knock({"show", file("open"), "--json"}).out, "/id").substr(0, 12);
  elsewhere(does, 1, "apply.own-machine", {"apply", file("open"), "--ack", id});
  EXPECT_EQ(knock().ask({"status"}, "/policy/revision"), commit);
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::timeout);
  expect(0, "Done", {"apply", file("open"), "--ack", id});
  EXPECT_TRUE(w.opens(kStranger, kSsh));
}

TEST_F(SavedPlans, AGuardStopsThemBeforeAnythingIsDone) {
  auto& w = *world_;
  ASSERT_NO_FATAL_FAILURE(serve_with_alice_in());
  std::string open(kOpen);
  auto at = open.find("protect: true");
  auto commit = knock().change_policy(open.replace(at, 13, "protect: false"), "open to everybody");
  expect(0, "A guard holds something back", {"plan", "--out", file("open")});
  expect(4, "nothing was done, and the plan is still good", {"apply", file("open")});
  EXPECT_NE(knock().ask({"status"}, "/policy/revision"), commit);
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::timeout);

  auto id = json_at(knock().knock({"show", file("open"), "--json"}).out, "/id");
  expect(0, "Done", {"apply", file("open"), "--ack", id.substr(0, 12)});
  EXPECT_EQ(knock().ask({"status"}, "/policy/revision"), commit);
  EXPECT_TRUE(w.opens(kStranger, kSsh));
  expect(5, "saved-plan.used", {"apply", file("open"), "--ack", id});
}

}  // namespace
}  // namespace knock::test
