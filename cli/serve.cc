// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "cli/log_sink.h"
#include "cli/role.h"
#include "net/sandbox.h"
#include "schemas/config/front_user.h"

namespace knock::cli {
namespace {

UsersHere users_here(const Config& config) {
  UsersHere out;
  out.self = geteuid();
  if (const passwd* entry = getpwnam(config.front_user.c_str())) out.front = entry->pw_uid;
  struct stat about{};
  if (stat(config.store_path().c_str(), &about) == 0) out.store_owner = about.st_uid;
  return out;
}

}  // namespace

void add_serve(Commands& commands) {
  auto check = std::make_shared<bool>(false);
  auto* command = commands.add(commands.app, "serve", "The controller: portal, policy, targets",
                               "knock serve --config /etc/knock/knock.yaml");
  command->add_flag("--check", *check, "Only check the configuration");
  commands.run(command, [&commands, check] {
    Global& global = commands.global;
    auto config = read_config(global);
    if (!config) return int(kPolicyInvalid);
    if (auto problem = front_user_problem(*config, users_here(*config))) {
      fmt::print(stderr, "{}", to_text(*problem));
      return int(kPolicyInvalid);
    }
    if (*check) {
      print(global.config_file + " is valid\n");
      return int(kDone);
    }
    start_logging(global.verbose);
    net::forbid_dumps();
    global.config_file = std::filesystem::absolute(global.config_file).string();
    return supervise(global, *config);
  });
}

}  // namespace knock::cli
