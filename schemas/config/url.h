// SPDX-License-Identifier: Apache-2.0
// Just enough of a URL for checking configuration: scheme://host[:port][/path], strictly. Requests
// are made elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knock {

struct PlainUrl {
  std::string scheme;  // lower case
  std::string host;    // lower case, without brackets
  std::optional<std::uint16_t> port;
  std::string path;       // "" or from "/"
  bool userinfo = false;  // something stood before an "@"
  bool extra = false;     // a query or a fragment follows
  /// "localhost", 127.0.0.0/8 or ::1.
  bool on_loopback() const;
};

std::optional<PlainUrl> parse_plain_url(std::string_view text);

}  // namespace knock
