// SPDX-License-Identifier: Apache-2.0
#include "schemas/json/strict_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <string>
#include <vector>

#include "base/text.h"

namespace knock {
namespace {

namespace json = boost::json;
using ErrorCode = json::error_code;

/// Builds the value as boost::json::parser does, and keeps the member names of every open object
/// beside it.
class Handler {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_object_begin(ErrorCode&) {
    open_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t n, ErrorCode& ec) {
    if (repeats(open_.back())) {
      ec = json::error::syntax;
      return false;
    }
    open_.pop_back();
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(ErrorCode&) { return true; }
  bool on_array_end(std::size_t n, ErrorCode&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, ErrorCode&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, ErrorCode&) {
    key_.append(part.data(), part.size());
    open_.back().push_back(std::move(key_));
    key_.clear();
    stack_.push_key(part);
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, ErrorCode&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, ErrorCode&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, ErrorCode&) { return true; }
  bool on_int64(std::int64_t number, json::string_view, ErrorCode&) {
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, ErrorCode&) {
    stack_.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view, ErrorCode&) {
    stack_.push_double(number);
    return true;
  }
  bool on_bool(bool flag, ErrorCode&) {
    stack_.push_bool(flag);
    return true;
  }
  bool on_null(ErrorCode&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, ErrorCode&) { return true; }
  bool on_comment(json::string_view, ErrorCode&) { return true; }

  void begin() { stack_.reset(); }
  json::value release() { return stack_.release(); }
  /// The member that came twice; empty when the problem is another one.
  const std::string& repeated() const { return repeated_; }
  bool found_repeat() const { return found_repeat_; }

 private:
  bool repeats(std::vector<std::string>& keys) {
    std::sort(keys.begin(), keys.end());
    auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice == keys.end()) return false;
    repeated_ = *twice;
    found_repeat_ = true;
    return true;
  }

  json::value_stack stack_;
  std::vector<std::vector<std::string>> open_;
  std::string key_;
  std::string repeated_;
  bool found_repeat_ = false;
};

tl::unexpected<Error> refuse(const Handler& handler, const ErrorCode& ec, std::size_t at) {
  if (handler.found_repeat())
    return fail(ErrorKind::invalid,
                fmt::format("json.duplicate: the member \"{}\" is written twice in one object; "
                            "readers would disagree about which counts, so write it once",
                            printable(handler.repeated())));
  if (ec == json::error::too_deep)
    return fail(
        ErrorKind::invalid,
        fmt::format("json.depth: nested deeper than {} levels at byte {}", kMaxJsonDepth, at));
  return fail(ErrorKind::invalid,
              fmt::format("json.syntax: not valid JSON at byte {} ({})", at, ec.message()));
}

}  // namespace

Result<boost::json::value> parse_strict(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  json::basic_parser<Handler> parser(options);
  try {
    parser.handler().begin();
    ErrorCode ec;
    std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
    if (!ec && used < text.size()) ec = json::error::extra_data;
    if (ec) return refuse(parser.handler(), ec, used);
    return parser.handler().release();
  } catch (const std::exception& problem) {  // out of memory, or a string beyond Boost's limit
    return fail(ErrorKind::invalid, fmt::format("json.syntax: {}", problem.what()));
  }
}

}  // namespace knock
