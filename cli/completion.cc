// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"
#include "cli/completion_script.h"

namespace knock::cli {

void add_completion(Commands& commands) {
  auto shell = std::make_shared<std::string>();
  auto* command = commands.add(commands.app, "completion",
                               "Completion of commands, flags and values for a shell",
                               "source <(knock completion bash)");
  command->add_option("shell", *shell, "Which shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  commands.run(command, [&commands, shell] {
    print(*shell == "bash"  ? bash_completion(commands.app)
          : *shell == "zsh" ? zsh_completion(commands.app)
                            : fish_completion(commands.app));
    return kDone;
  });
}

}  // namespace knock::cli
