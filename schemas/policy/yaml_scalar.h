// SPDX-License-Identifier: Apache-2.0
// What other readers of YAML make of a scalar. Ours types nothing by looks, but a policy is also
// read by editors, by other tools and by people who learned YAML elsewhere: a text that means two
// things is refused where text is free.
#pragma once

#include <string>
#include <string_view>

namespace knock {

/// Would YAML 1.1 (yaml.org/type) make something other than this text of it: a truth value, null, a
/// number in another notation, a time? Plain decimal integers keep their text and are not counted.
bool yaml_reads_differently(std::string_view plain_text);

/// Double-quoted, with every character escaped that YAML or a terminal might take for something
/// else.
std::string yaml_quoted(std::string_view text);
/// As it is where every reader takes it for the same text, quoted otherwise.
std::string yaml_name(std::string_view name);

}  // namespace knock
