// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/embedded.h"

namespace knock::cli {

void add_schema(Commands& commands) {
  auto of = std::make_shared<std::string>("policy");
  auto* command = commands.add(commands.app, "schema",
                               "The JSON Schema of policy files, for editors and other tools",
                               "knock schema policy > policies/policy.v1.schema.json\n"
                               "  knock schema config > config.v1.schema.json");
  command->add_option("which", *of, "policy, or config for knock.yaml")
      ->check(CLI::IsMember({"policy", "config"}))
      ->capture_default_str();
  // Everywhere else --config names a file, so here it may too. Alone it asks for that of knock.yaml,
  // as it did before there was `schema config`.
  auto file = std::make_shared<std::string>();
  auto* config = command->add_option("--config", *file)->expected(0, 1)->group("");
  commands.run(command, [of, file, config] {
    bool alone = config->count() > 0 && file->empty();
    print(*of == "config" || alone ? kConfigSchema : kPolicySchema);
    return kDone;
  });
}

}  // namespace knock::cli
