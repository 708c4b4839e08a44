// SPDX-License-Identifier: Apache-2.0
// Reads the members of one JSON object and remembers what was asked for, so that the rest can be
// refused by name. The first problem sticks; later calls return empty values. Ask finish() once at
// the end.
//
//   ObjectReader in(value, "session 3");
//   session.id = SessionId(in.text("id"));
//   session.expires = in.time("expires");
//   KNOCK_CHECK(in.finish());
//
// Messages start with a stable reason: json.type, json.missing, json.value, json.unknown.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace knock {

class ObjectReader {
 public:
  /// `value` must outlive the reader. `where` names the object in messages.
  ObjectReader(const boost::json::value& value, std::string where);

  bool has(std::string_view key) const;
  std::string text(std::string_view key);
  std::string text_or(std::string_view key, std::string otherwise);
  /// Within first…last, both included.
  std::int64_t integer(std::string_view key, std::int64_t first, std::int64_t last);
  std::uint64_t number(std::string_view key);
  bool flag(std::string_view key);
  /// RFC 3339.
  Instant time(std::string_view key);
  std::optional<Instant> maybe_time(std::string_view key);
  std::vector<std::string> texts(std::string_view key);
  /// The elements of a list; empty after an error.
  std::vector<const boost::json::value*> list(std::string_view key);
  /// nullptr when absent.
  const boost::json::value* member(std::string_view key);

  /// text(key) turned into a value by `parse` (string_view → optional<T>); `what` completes "is not
  /// …".
  template <class Parse>
  auto parsed(std::string_view key, std::string_view what, Parse parse) {
    std::string written = text(key);
    auto value = parse(std::string_view(written));
    if (!value) refuse("value", key, not_a(written, what));
    return value ? *std::move(value) : typename decltype(value)::value_type{};
  }

  /// For checks of the caller's own. `reason` without "json.".
  void refuse(std::string_view reason, std::string_view key, std::string_view sentence);
  /// Hands an error of a nested object up.
  void adopt(Error error);
  bool ok() const { return !error_; }
  /// The first problem; else the first member nobody asked for, unless `others` lets them be.
  enum class Others { refused, allowed };
  Status finish(Others others = Others::refused);

 private:
  static std::string not_a(std::string_view written, std::string_view what);
  const boost::json::value* required(std::string_view key);

  const boost::json::object* object_ = nullptr;
  std::string where_;
  std::vector<std::string_view> asked_;
  std::optional<Error> error_;
};

}  // namespace knock
