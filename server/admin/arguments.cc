// SPDX-License-Identifier: Apache-2.0
#include "server/admin/arguments.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>

#include "base/text.h"
#include "schemas/json/strict_json.h"

namespace knock {
namespace {

namespace json = boost::json;
constexpr std::size_t kMostFiles = 20'000, kLongestFile = 1u << 20, kLongestPath = 512;
constexpr std::size_t kMostMadeUp = 10'000, kLongestSessions = 4u << 20;

/// As a policy source would have read it. Paths are names here, nothing is opened; but they are
/// shown, and a policy's own limits are per file.
Status check_file(const PolicyFile& file) {
  bool odd = file.path.empty() || file.path.size() > kLongestPath || file.path.front() == '/' ||
             printable(file.path) != file.path;
  for (auto part : split(file.path, '/')) odd |= part.empty() || part == "." || part == "..";
  if (odd)
    return fail(ErrorKind::invalid, "`files` holds a path that no policy has: " +
                                        printable(file.path.substr(0, kLongestPath)));
  if (file.content.size() > kLongestFile)
    return fail(ErrorKind::invalid, file.path + " is larger than 1 MiB; split it");
  return {};
}

}  // namespace

Arguments::Arguments() : object_(std::make_shared<json::object>()) {}

Result<Arguments> Arguments::of(const net::HttpRequest& request) {
  Arguments out;
  if (!request.query.empty()) {
    auto pairs = net::parse_form(request.query);
    if (!pairs) return fail(ErrorKind::invalid, "the query cannot be read");
    for (auto& [name, value] : *pairs) (*out.object_)[name] = value;
  }
  if (!request.body.empty()) {
    KNOCK_ASSIGN(auto value, parse_strict(request.body));
    if (!value.is_object()) return fail(ErrorKind::invalid, "the body is not a JSON object");
    for (auto& [name, member] : value.as_object()) (*out.object_)[name] = member;
  }
  return out;
}

Result<std::string> Arguments::text(std::string_view name) {
  auto* value = take(name);
  if (value == nullptr || !value->is_string())
    return fail(ErrorKind::invalid, fmt::format("`{}` is missing or is not text", name));
  return std::string(value->as_string());
}

Result<std::string> Arguments::text_or(std::string_view name, std::string otherwise) {
  return has(name) ? text(name) : otherwise;
}

Result<std::vector<std::string>> Arguments::texts(std::string_view name) {
  std::vector<std::string> out;
  auto* value = take(name);
  if (value == nullptr) return out;
  if (!value->is_array()) return fail(ErrorKind::invalid, fmt::format("`{}` is not a list", name));
  for (const auto& item : value->as_array()) {
    if (!item.is_string())
      return fail(ErrorKind::invalid, fmt::format("`{}` holds what is not text", name));
    out.emplace_back(item.as_string());
  }
  return out;
}

Result<bool> Arguments::boolean_or(std::string_view name, bool otherwise) {
  auto* value = take(name);
  if (value == nullptr) return otherwise;
  if (!value->is_bool())
    return fail(ErrorKind::invalid, fmt::format("`{}` is not true or false", name));
  return value->as_bool();
}

Result<std::uint64_t> Arguments::number_or(std::string_view name, std::uint64_t otherwise) {
  if (auto* value = take(name); value != nullptr && value->is_int64() && value->as_int64() >= 0)
    return std::uint64_t(value->as_int64());
  if (auto* value = take(name); value != nullptr && !value->is_string())
    return fail(ErrorKind::invalid, fmt::format("`{}` is not a number", name));
  KNOCK_ASSIGN(auto written, text_or(name, ""));
  if (written.empty()) return otherwise;
  std::uint64_t out = 0;
  auto [end, bad] = std::from_chars(written.data(), written.data() + written.size(), out);
  if (bad != std::errc() || end != written.data() + written.size())
    return fail(ErrorKind::invalid, fmt::format("`{}` is not a number", name));
  return out;
}

Result<std::vector<PolicyFile>> Arguments::files(std::string_view name) {
  auto* value = take(name);
  if (value == nullptr || !value->is_array())
    return fail(ErrorKind::invalid, "`files` is not a list");
  std::vector<PolicyFile> out;
  if (value->as_array().size() > kMostFiles)
    return fail(ErrorKind::invalid, fmt::format("`files` holds more than {} files", kMostFiles));
  for (const auto& item : value->as_array()) {
    auto* object = item.if_object();
    auto* path = object != nullptr ? object->if_contains("path") : nullptr;
    auto* content = object != nullptr ? object->if_contains("content") : nullptr;
    if (path == nullptr || content == nullptr || !path->is_string() || !content->is_string())
      return fail(ErrorKind::invalid, "`files` holds what is not {path, content}");
    out.push_back({std::string(path->as_string()), std::string(content->as_string()), ""});
    KNOCK_CHECK(check_file(out.back()));
  }
  return out;
}

Result<SessionsDocument> Arguments::sessions() {
  json::object document;
  for (const char* name : {"sessions", "approvals"}) {
    auto* value = take(name);
    if (value == nullptr) continue;
    if (value->is_array() && value->as_array().size() > kMostMadeUp)
      return fail(
          ErrorKind::invalid,
          fmt::format("what-if.too-large: `{}` holds {} elements, and at most {} are taken; "
                      "leave out those that the question is not about",
                      name, value->as_array().size(), kMostMadeUp));
    document[name] = *value;
  }
  auto text = json::serialize(document);
  if (text.size() > kLongestSessions)
    return fail(ErrorKind::invalid,
                fmt::format("what-if.too-large: `sessions` and `approvals` are {} bytes, and at "
                            "most {} are taken; leave out those that the question is not about",
                            text.size(), kLongestSessions));
  auto read = sessions_document_from_json(text);
  if (!read) return fail(ErrorKind::invalid, "what-if.sessions: " + read.error().text());
  return read;
}

bool Arguments::has(std::string_view name) const { return object_->contains(name); }

json::value* Arguments::take(std::string_view name) { return object_->if_contains(name); }

}  // namespace knock
