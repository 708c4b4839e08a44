// SPDX-License-Identifier: Apache-2.0
// Writes JSON piece by piece, without white space, in the order of the calls: a plan of 100,000
// changes is never held as a tree. Text that is not valid UTF-8 is written through printable(), so
// the output always is. Integers only: a double would print differently between libraries.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace knock {

/// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

/// RFC 3339 in UTC; milliseconds only when there are any. Exact within the years 0 … 9999, clamped
/// outside.
std::string exact_time(Instant instant);

class JsonWriter {
 public:
  using Write = std::function<void(std::string_view)>;
  /// Writes in pieces of about 64 KiB; call flush() at the end.
  explicit JsonWriter(Write out) : out_(std::move(out)) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_list();
  JsonWriter& end_list();
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& number(std::uint64_t value);
  JsonWriter& flag(bool value);

  JsonWriter& text(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& number(std::string_view name, std::uint64_t value) { return key(name).number(value); }
  JsonWriter& flag(std::string_view name, bool value) { return key(name).flag(value); }
  JsonWriter& time(std::string_view name, Instant value) { return text(name, exact_time(value)); }

  /// Ends a line of NDJSON, or a document.
  JsonWriter& newline();
  void flush();

 private:
  void separate();
  Write out_;
  std::string buffer_;
  std::vector<bool> has_members_;  // per open object or list
  bool after_key_ = false;
};

}  // namespace knock
