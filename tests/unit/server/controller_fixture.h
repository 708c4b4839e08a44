// SPDX-License-Identifier: Apache-2.0
// A controller with a policy folder and without targets, and its API as requests and answers: no
// socket.
#pragma once

#include <filesystem>

#include "server/admin/admin_api.h"
#include "store/directory/directory_source.h"
#include "tests/unit/server/core_fixture.h"

namespace knock::test {

class ControllerFixture : public CoreFixture {
 protected:
  static constexpr const char* kOneGroup = "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}}\n";

  ControllerFixture() {
    std::filesystem::create_directory(folder_.path() + "/policy");
    set_policy(kOneGroup);
    source_ = open_directory_source(folder_.path() + "/policy").value();
  }
  ~ControllerFixture() override { end_controller(); }

  void set_policy(std::string_view text) { write_file(folder_.path() + "/policy/main.yaml", text); }
  /// Not started yet.
  void make_controller() {
    auto no_targets = [](const Target&, TargetMoved) -> Result<std::unique_ptr<Provider>> {
      return fail(ErrorKind::unsupported, "no targets here");
    };
    controller_ = std::make_unique<Controller>(ControllerParts{config_,
                                                               *store_,
                                                               *source_,
                                                               verifier_,
                                                               wall_,
                                                               random_,
                                                               no_targets,
                                                               nullptr,
                                                               {},
                                                               {},
                                                               {},
                                                               remote_source_});
    api_ = std::make_unique<AdminApi>(*controller_, metrics_, 1);
  }
  void begin_controller() {
    make_controller();
    auto started = controller_->start();
    EXPECT_TRUE(started) << started.error().text();
  }
  /// With the policy of its folder in force.
  void begin_with_policy() {
    begin_controller();
    EXPECT_TRUE(controller_->policy_keeper().look("test"));
  }
  void end_controller() {
    api_.reset();
    if (controller_) controller_->stop();
    controller_.reset();
  }

  /// `path` behind /api/v1, perhaps with a query.
  net::HttpResponse call(const std::string& method, const std::string& path,
                         const std::string& body = "") {
    net::HttpRequest request;
    request.method = method;
    request.path = "/api/v1" + path;
    if (auto query = request.path.find('?'); query != std::string::npos) {
      request.query = request.path.substr(query + 1);
      request.path.resize(query);
    }
    request.body = body;
    return api_->answer(request);
  }

  std::function<Result<std::unique_ptr<PolicySource>>()>
      remote_source_;  // before make_controller()
  SteadyWall wall_{clock_, Instant{}};
  std::unique_ptr<PolicySource> source_;
  std::unique_ptr<Controller> controller_;
  Metrics metrics_;
  std::unique_ptr<AdminApi> api_;
};

}  // namespace knock::test
