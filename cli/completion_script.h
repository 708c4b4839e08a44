// SPDX-License-Identifier: Apache-2.0
// Completion of commands, flags and fixed values for a shell, from the same tree that parses them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace knock::cli {

std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

}  // namespace knock::cli
