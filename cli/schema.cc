// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/embedded.h"

namespace knock::cli {

void add_schema(Commands& commands) {
  auto of_config = std::make_shared<bool>(false);
  auto* command = commands.add(commands.app, "schema",
                               "The JSON Schema of policy files, for editors and other tools",
                               "knock schema > policies/policy.v1.schema.json");
  command->add_flag("--config", *of_config, "That of knock.yaml instead");
  commands.run(command, [of_config] {
    print(*of_config ? kConfigSchema : kPolicySchema);
    return kDone;
  });
}

}  // namespace knock::cli
