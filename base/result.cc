// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <array>

#include "base/text.h"

namespace knock {
namespace {

struct KindName {
  ErrorKind kind;
  std::string_view name;
};
constexpr std::array kKindNames{
    KindName{ErrorKind::invalid, "invalid"},
    KindName{ErrorKind::not_found, "not_found"},
    KindName{ErrorKind::unauthorized, "unauthorized"},
    KindName{ErrorKind::conflict, "conflict"},
    KindName{ErrorKind::rate_limited, "rate_limited"},
    KindName{ErrorKind::unavailable, "unavailable"},
    KindName{ErrorKind::timeout, "timeout"},
    KindName{ErrorKind::unsupported, "unsupported"},
    KindName{ErrorKind::internal, "internal"},
};

}  // namespace

std::string_view to_string(ErrorKind kind) {
  for (const auto& entry : kKindNames)
    if (entry.kind == kind) return entry.name;
  return "internal";
}

std::optional<ErrorKind> error_kind_from(std::string_view text) {
  for (const auto& entry : kKindNames)
    if (entry.name == text) return entry.kind;
  return std::nullopt;
}

bool Error::retryable() const {
  switch (kind) {
    case ErrorKind::conflict:
    case ErrorKind::rate_limited:
    case ErrorKind::unavailable:
    case ErrorKind::timeout:
      return true;
    case ErrorKind::invalid:
    case ErrorKind::not_found:
    case ErrorKind::unauthorized:
    case ErrorKind::unsupported:
    case ErrorKind::internal:
      return false;
  }
  return false;
}

std::string Error::text() const {
  std::string out;
  for (const auto& layer : context) {
    out += printable(layer);
    out += ": ";
  }
  // Each problem on a line of its own; an indented one cannot pass for another message of ours.
  auto lines = split(message, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += lines[i].starts_with("  ") ? "\n" : "\n  ";
    out += printable(lines[i]);
  }
  return out;
}

Error Error::within(std::string layer) && {
  context.insert(context.begin(), std::move(layer));
  return std::move(*this);
}

}  // namespace knock
