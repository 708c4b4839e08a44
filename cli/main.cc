// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/command.h"
#include "cli/role.h"

namespace {

/// CLI11 says little about a word it does not know; people mistype.
int unknown_word(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(command->get_name());
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word.starts_with("-")) {
      bool takes_value = word == "--config" || word == "--socket" || word == "--color";
      if (takes_value) ++i;
      continue;
    }
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      auto meant = knock::did_you_mean(word, known);
      return knock::cli::fail_with(
          knock::cli::kUsage,
          fmt::format("there is no command `{}`{}; `knock --help` lists them",
                      knock::printable(word), meant ? "; did you mean `" + *meant + "`?" : ""));
    }
    break;
  }
  return knock::cli::fail_with(knock::cli::kUsage,
                               std::string(error.what()) + "; --help shows what is possible");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace knock::cli;
  std::signal(SIGPIPE, SIG_IGN);
  Global global;
  CLI::App app("knock: ports stay closed until somebody signs in");
  app.set_help_all_flag("--help-all", "Help for every command");
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.add_option("--config", global.config_file, "The controller's configuration")
      ->capture_default_str();
  app.add_option("--socket", global.socket, "The admin socket of a running controller");
  app.add_flag("--json", global.json, "Answer in JSON");
  app.add_flag("-q,--quiet", global.quiet, "Say nothing but the answer");
  app.add_flag("-v,--verbose", global.verbose, "Say more");
  app.add_option("--color", global.color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.footer("Start here: knock init\nDocs: docs/cli.md");

  Commands commands{app, global, {}};
  for (auto add :
       {add_init, add_validate, add_test, add_plan, add_apply, add_show, add_serve, add_status,
        add_session, add_user, add_why, add_who, add_audit, add_version, add_role})
    add(commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return unknown_word(app, error, argc, argv);
  }
  if (!commands.chosen) {
    print(app.help());
    return app.get_subcommands().empty() && argc == 1 ? kDone : kUsage;
  }
  return commands.chosen();
}
