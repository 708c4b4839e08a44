// SPDX-License-Identifier: Apache-2.0
// What every command gets: the global flags, and the few ways to answer. One file per command; each
// adds itself with a function listed in main.cc. Standard output holds only the answer; everything
// else goes to standard error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/exit_code.h"
#include "schemas/config/config.h"
#include "schemas/diagnostic.h"

namespace knock::cli {

struct Global {
  std::string config_file = "/etc/knock/knock.yaml";
  std::string server;  // a controller elsewhere; "" = this machine's
  std::string socket;  // "" = the one the configuration names, or the default
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string color = "auto";
  bool colored() const;  // standard output, NO_COLOR and --color considered
};

/// A command's work; its return value is the exit code.
using Work = std::function<int()>;

/// Remembers what to run after parsing.
struct Commands {
  CLI::App& app;
  Global& global;
  Work chosen;

  /// A subcommand below `parent` with its example for --help.
  CLI::App* add(CLI::App& parent, const std::string& name, const std::string& what,
                const std::string& example);
  void run(CLI::App* command, Work work);
};

// One each, in the file of that name.
void add_init(Commands& commands);
void add_validate(Commands& commands);
void add_fmt(Commands& commands);
void add_schema(Commands& commands);
void add_migrate(Commands& commands);
void add_completion(Commands& commands);
void add_test(Commands& commands);
void add_plan(Commands& commands);
void add_advance(Commands& commands);
void add_confirm(Commands& commands);
void add_adopt(Commands& commands);
void add_release(Commands& commands);
void add_import(Commands& commands);
void add_apply(Commands& commands);
void add_show(Commands& commands);
void add_serve(Commands& commands);
void add_status(Commands& commands);
void add_session(Commands& commands);
void add_sweep(Commands& commands);
void add_target(Commands& commands);
void add_user(Commands& commands);
void add_key(Commands& commands);
void add_why(Commands& commands);
void add_who(Commands& commands);
void add_audit(Commands& commands);
void add_version(Commands& commands);

// ---- answering ----

void print(std::string_view text);                      // standard output
void say(const Global& global, std::string_view text);  // standard error, unless --quiet
/// "knock: …" on standard error.
int fail_with(int code, std::string_view message);
int fail_with(const Error& error);
int code_for(const Error& error);

/// Columns of text, left-aligned, two spaces apart; the first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

Result<std::string> read_text_file(const std::string& path);
/// The configuration with its diagnostics printed; nothing means that it could not be used (and why
/// was said).
std::optional<Config> read_config(const Global& global);
bool interactive();
/// Asks on the terminal; false without one.
bool confirmed(std::string_view question);

}  // namespace knock::cli
