// SPDX-License-Identifier: Apache-2.0
// The files pages need, inside the executable. Their URLs hold a hash of their content, so browsers
// may keep them for ever and a new build is seen at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace knock::server {

struct Asset {
  std::string url;  // "/assets/knock-0123456789abcdef.css"
  std::string_view content_type;
  std::string_view content;
};

/// All of them. Made once; any thread.
const std::vector<Asset>& assets();
/// By the file's name: "knock.css", "knock.js", "knock.svg".
const Asset& asset(std::string_view name);
/// By URL; null when there is none.
const Asset* asset_at(std::string_view url);

}  // namespace knock::server
