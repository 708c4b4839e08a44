// SPDX-License-Identifier: Apache-2.0
#include "schemas/json/json_writer.h"

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr Instant kFirst{-62'167'219'200'000};  // 0000-01-01T00:00:00Z
constexpr Instant kLast{253'402'300'799'999};   // 9999-12-31T23:59:59.999Z

void append_escaped(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  if (c >= 0x20) {
    out += char(c);
    return;
  }
  out += "\\u00";
  out += "0123456789abcdef"[c >> 4];
  out += "0123456789abcdef"[c & 15];
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  std::string mended;
  if (invalid_utf8_at(text)) {
    mended = printable(text);
    text = mended;
  }
  out += '"';
  for (char c : text) append_escaped(out, static_cast<unsigned char>(c));
  out += '"';
}

std::string exact_time(Instant instant) {
  instant = std::clamp(instant, kFirst, kLast);
  return instant.ms % 1000 == 0 ? to_string(instant) : to_string_ms(instant);
}

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (has_members_.empty()) return;
  if (has_members_.back()) buffer_ += ',';
  has_members_.back() = true;
}

JsonWriter& JsonWriter::begin_object() {
  separate();
  buffer_ += '{';
  has_members_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  buffer_ += '}';
  has_members_.pop_back();
  if (buffer_.size() >= kPiece) flush();
  return *this;
}

JsonWriter& JsonWriter::begin_list() {
  separate();
  buffer_ += '[';
  has_members_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::end_list() {
  buffer_ += ']';
  has_members_.pop_back();
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_json_string(buffer_, name);
  buffer_ += ':';
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  append_json_string(buffer_, value);
  return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) {
  separate();
  buffer_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::flag(bool value) {
  separate();
  buffer_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::newline() {
  buffer_ += '\n';
  return *this;
}

void JsonWriter::flush() {
  if (!buffer_.empty()) out_(buffer_);
  buffer_.clear();
}

}  // namespace knock
