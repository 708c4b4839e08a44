// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

namespace knock::cli {

void add_version(Commands& commands) {
  auto* command = commands.add(commands.app, "version", "The version", "knock version");
  commands.run(command, [&commands] {
    print(commands.global.json ? "{\"version\":\"" KNOCK_VERSION "\"}\n"
                               : "knock " KNOCK_VERSION "\n");
    return kDone;
  });
}

}  // namespace knock::cli
