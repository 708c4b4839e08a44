// SPDX-License-Identifier: Apache-2.0
// What to say about a command line that was not understood. CLI11 says little; people mistype.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace knock::cli {

/// One sentence. Names the first command or flag in `arguments` (without the program's name) that
/// does not exist and the one that was probably meant; otherwise what CLI11 says.
std::string usage_problem(const CLI::App& app, const CLI::ParseError& error,
                          const std::vector<std::string>& arguments);

/// Commands and flags that --help shows.
std::vector<const CLI::App*> visible_commands(const CLI::App& app);
std::vector<const CLI::Option*> visible_flags(const CLI::App& app);
std::vector<const CLI::Option*> visible_positionals(const CLI::App& app);
/// Does a value follow the flag?
bool takes_value(const CLI::Option& flag);

}  // namespace knock::cli
