// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include "cli/command.h"
#include "cli/role.h"
#include "cli/server.h"
#include "cli/suggest.h"

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
  app.add_option("--server", global.server,
                 "Ask a controller elsewhere, by its https address; the token is KNOCK_TOKEN");
  app.add_flag("--json", global.json, "Answer in JSON");
  app.add_flag("-q,--quiet", global.quiet, "Say nothing but the answer");
  app.add_flag("-v,--verbose", global.verbose, "Say more");
  app.add_option("--color", global.color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.footer("Start here: knock init\nDocs: docs/cli.md");

  Commands commands{app, global, {}};
  for (auto add :
       {add_init,    add_validate, add_fmt,     add_test,       add_plan,    add_apply, add_advance,
        add_confirm, add_adopt,    add_release, add_import,     add_show,    add_serve, add_status,
        add_session, add_sweep,    add_target,  add_user,       add_key,     add_why,   add_who,
        add_audit,   add_schema,   add_migrate, add_completion, add_version, add_role})
    add(commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return fail_with(kUsage, usage_problem(app, error, {argv + 1, argv + argc}));
  }
  if (!commands.chosen) {
    print(app.help());
    return app.get_subcommands().empty() && argc == 1 ? kDone : kUsage;
  }
  if (auto chosen = app.get_subcommands();
      !global.server.empty() && !chosen.empty() && !asks_a_server(chosen.front()->get_name()))
    return fail_with(kUsage, "--server is for plan, apply, status, why, who and session; `" +
                                 chosen.front()->get_name() + "` works on this machine");
  return commands.chosen();
}
