// SPDX-License-Identifier: Apache-2.0
// The parts of knock.yaml's reader that are files of their own. Every function reports what it
// refuses.
#pragma once

#include <string>
#include <string_view>

#include "schemas/config/config.h"
#include "schemas/policy/reader.h"

namespace knock {

/// Relative paths belong to the folder of knock.yaml, wherever the process was started.
std::string resolve_path(std::string_view base_directory, std::string_view path);
std::optional<std::string> read_path(Findings& findings, const YamlNode& node, std::string_view key,
                                     std::string_view base_directory);

/// env:NAME, file:PATH, exec:COMMAND. Whatever is refused is never repeated in a message: it may be
/// the secret.
std::optional<SecretReference> read_secret(Findings& findings, const YamlNode& node,
                                           std::string_view key, std::string_view base_directory);

void read_sign_in(Findings& findings, const YamlNode& node, std::string_view base_directory,
                  Config& config);
void read_policy_location(Findings& findings, const YamlNode& node, std::string_view base_directory,
                          PolicyLocation& policy);
/// `policy`: what was read of it; nullptr when something is wrong there.
void read_notify(Findings& findings, const YamlNode& node, std::string_view base_directory,
                 const PolicyLocation* policy, NotifySettings& notify);

}  // namespace knock
