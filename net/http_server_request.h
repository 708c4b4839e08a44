// SPDX-License-Identifier: Apache-2.0
// The head of a request, read strictly and without a library: whatever two readers could understand
// differently is refused, because a proxy in front of us may be the other reader (RFC 9112
// section 11.2). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/time.h"
#include "net/http_server.h"

namespace knock::net {

struct RequestHead {
  std::string method, target, path, query;
  Headers headers;
  bool keep_alive = true;
  bool chunked = false;
  std::uint64_t content_length = 0;  // when not chunked
  bool expects_continue = false;     // "Expect: 100-continue"
};

/// Why a head was refused. `code` is stable and is what tests assert; `status` is what the client
/// gets.
struct HeadProblem {
  int status = 400;
  std::string_view code;
};

/// `raw`: everything up to and including the empty line. `tls`: whether an absolute-form target
/// must say https.
tl::expected<RequestHead, HeadProblem> read_head(std::string_view raw, bool tls);

/// Whether the bytes that have come so far can still become a head; keeps a TLS hello or binary
/// noise from waiting for an empty line that never comes.
bool may_become_head(std::string_view raw);

/// "Sat, 21 Nov 2026 10:04:11 GMT" (RFC 9110 section 5.6.7).
std::string http_date(Instant instant);

/// True when a response may carry it: a token as name; no control character but tab in the value.
bool valid_field(std::string_view name, std::string_view value);

}  // namespace knock::net
