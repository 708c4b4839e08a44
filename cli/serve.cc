// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli/log_sink.h"
#include "cli/role.h"
#include "net/sandbox.h"

namespace knock::cli {

void add_serve(Commands& commands) {
  auto check = std::make_shared<bool>(false);
  auto* command = commands.add(commands.app, "serve", "The controller: portal, policy, targets",
                               "knock serve --config /etc/knock/knock.yaml");
  command->add_flag("--check", *check, "Only check the configuration");
  commands.run(command, [&commands, check] {
    Global& global = commands.global;
    auto config = read_config(global);
    if (!config) return int(kPolicyInvalid);
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
