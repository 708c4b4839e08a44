// SPDX-License-Identifier: Apache-2.0
// Errors are values. Whether to try again follows from the kind; each layer adds one line of
// context, outermost first, so that a message reads "target prod-sg: observe: HTTP 503".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/time.h"

namespace knock {

enum class ErrorKind {
  invalid,       // the input is wrong; trying again gives the same answer
  not_found,     // what was named does not exist
  unauthorized,  // we are not allowed
  conflict,      // somebody else changed it first: read again, then retry
  rate_limited,  // wait, then retry (retry_after when the other side said how long)
  unavailable,   // the other side cannot answer now
  timeout,       // no answer within the deadline; the effect is unknown
  unsupported,   // this build or target cannot do that
  internal,      // a broken promise of our own
};

std::string_view to_string(ErrorKind kind);
std::optional<ErrorKind> error_kind_from(std::string_view text);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;
  std::vector<std::string> context;  // outermost first
  std::optional<Duration> retry_after;

  /// True where a later identical attempt may succeed.
  bool retryable() const;
  /// "context: context: message", one line, safe for a terminal.
  std::string text() const;
  Error within(std::string layer) &&;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected(Error{kind, std::move(message), {}, std::nullopt});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected(std::move(error)); }

/// Hands an error up with one more line of context.
template <class T>
tl::unexpected<Error> fail_within(std::string layer, Result<T>& result) {
  return tl::unexpected(std::move(result.error()).within(std::move(layer)));
}

}  // namespace knock

#define KNOCK_CONCAT_INNER(a, b) a##b
#define KNOCK_CONCAT(a, b) KNOCK_CONCAT_INNER(a, b)

/// KNOCK_ASSIGN(auto x, call()): x is the value, or the function returns the error.
#define KNOCK_ASSIGN(declaration, expression) \
  KNOCK_ASSIGN_IMPL(KNOCK_CONCAT(knock_result_, __LINE__), declaration, expression)
#define KNOCK_ASSIGN_IMPL(temporary, declaration, expression)         \
  auto temporary = (expression);                                      \
  if (!temporary) return ::knock::fail(std::move(temporary.error())); \
  declaration = std::move(*temporary)

/// KNOCK_CHECK(call()): goes on, or the function returns the error.
#define KNOCK_CHECK(expression)                              \
  do {                                                       \
    if (auto knock_status = (expression); !knock_status)     \
      return ::knock::fail(std::move(knock_status.error())); \
  } while (false)
