// SPDX-License-Identifier: Apache-2.0
#include "server/notify/forge_replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "base/text.h"
#include "schemas/json/object_reader.h"
#include "schemas/json/strict_json.h"
#include "server/notify/message.h"

namespace knock::notify {
namespace {

namespace json = boost::json;

tl::unexpected<Error> refuse(std::string_view id, std::string sentence) {
  return fail(ErrorKind::invalid,
              fmt::format("{}: {}; is `api` below `notify: {{forge: …}}` the address of its API?",
                          id, std::move(sentence)));
}

/// No word of the answer is repeated: it could be one that we sent, the token.
Result<json::value> parsed(std::string_view body) {
  auto value = parse_strict(body);
  if (!value) {
    const auto& why = value.error().message;
    return refuse("forge.not-json",
                  "the forge's answer is no JSON (" + why.substr(0, why.find(':')) + ")");
  }
  return value;
}

/// The elements of a page.
Result<const json::array*> elements(const json::value& page, std::size_t most) {
  const auto* list = page.if_array();
  if (list == nullptr) return refuse("forge.shape", "the forge's answer is not a list");
  if (list->size() > most)
    return refuse("forge.too-many", fmt::format("the forge's page holds {} elements, and {} were "
                                                "asked for",
                                                list->size(), most));
  return list;
}

Status finished(ObjectReader& in) {
  auto done = in.finish(ObjectReader::Others::allowed);
  if (!done) return refuse("forge.shape", done.error().message);
  return {};
}

/// An element of an object that may be missing: ObjectReader refuses what is null, and says where.
const json::value& inner(ObjectReader& in, std::string_view key) {
  static const json::value kNothing;
  const auto* found = in.member(key);
  return found != nullptr ? *found : kNothing;
}

constexpr std::int64_t kLargestId = std::int64_t(1) << 53;  // what JSON's readers agree on

struct ListedPull {
  OpenPull pull;
  std::string base;
};

/// 0 where the account is gone. Two pull requests of nobody are of two people to whom it matters.
Result<std::uint64_t> account_in(ObjectReader& in, std::string_view key, const char* whose) {
  const auto& account = inner(in, key);
  if (account.is_null()) return 0;
  ObjectReader who(account, whose);
  auto id = who.integer("id", 1, kLargestId);
  KNOCK_CHECK(finished(who));
  return std::uint64_t(id);
}

/// ObjectReader would repeat what is no time.
Instant time_in(ObjectReader& in, std::string_view key) {
  auto text = in.text(key);
  auto time = text.size() < 20 ? std::nullopt : parse_instant(text);
  if (!time) in.refuse("value", key, "must be an RFC 3339 time");
  return time.value_or(Instant{});
}

Result<ListedPull> read_github(const json::value& element) {
  ListedPull out;
  ObjectReader in(element, "a pull request");
  out.pull.number = std::uint64_t(in.integer("number", 1, std::int64_t(kLargestPull)));
  out.pull.updated = time_in(in, "updated_at");
  ObjectReader head(inner(in, "head"), "a pull request's head");
  out.pull.head = head.text("sha");
  ObjectReader base(inner(in, "base"), "a pull request's base");
  out.base = base.text("ref");
  KNOCK_ASSIGN(out.pull.author, account_in(in, "user", "a pull request's author"));
  for (ObjectReader* one : {&in, &head, &base}) KNOCK_CHECK(finished(*one));
  return out;
}

Result<ListedPull> read_gitlab(const json::value& element) {
  ListedPull out;
  ObjectReader in(element, "a merge request");
  out.pull.number = std::uint64_t(in.integer("iid", 1, std::int64_t(kLargestPull)));
  out.pull.updated = time_in(in, "updated_at");
  // None yet, or its branch is gone.
  if (!inner(in, "sha").is_null()) out.pull.head = in.text("sha");
  out.base = in.text("target_branch");
  KNOCK_ASSIGN(out.pull.author, account_in(in, "author", "a merge request's author"));
  KNOCK_CHECK(finished(in));
  return out;
}

std::optional<std::int64_t> seconds_in(std::string_view text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || out < 0)
    return std::nullopt;
  return out;
}

}  // namespace

Result<std::vector<OpenPull>> read_pulls(ForgeSettings::Type type, std::string_view body,
                                         const std::string& branch, std::size_t most) {
  KNOCK_ASSIGN(auto page, parsed(body));
  KNOCK_ASSIGN(const auto* list, elements(page, most));
  bool github = type == ForgeSettings::Type::github;
  std::vector<OpenPull> out;
  for (const json::value& element : *list) {
    KNOCK_ASSIGN(auto listed, github ? read_github(element) : read_gitlab(element));
    bool none = !github && listed.pull.head.empty();
    if (!none && !is_commit(listed.pull.head))
      return refuse("forge.commit", fmt::format("pull request {} ends in something that is no "
                                                "commit id of 40 lower-case hexadecimal digits",
                                                listed.pull.number));
    if (!none && listed.base == branch) out.push_back(std::move(listed.pull));
  }
  return out;
}

Result<std::vector<ForgeComment>> read_comments(ForgeSettings::Type type, std::string_view body,
                                                std::size_t most) {
  KNOCK_ASSIGN(auto page, parsed(body));
  KNOCK_ASSIGN(const auto* list, elements(page, most));
  const char* by = type == ForgeSettings::Type::github ? "user" : "author";
  std::vector<ForgeComment> out;
  for (const json::value& element : *list) {
    ForgeComment comment;
    ObjectReader in(element, "a comment");
    comment.id = std::uint64_t(in.integer("id", 1, kLargestId));
    KNOCK_ASSIGN(comment.author, account_in(in, by, "a comment's author"));
    // An empty comment has no text.
    if (!inner(in, "body").is_null()) comment.body = in.text("body");
    KNOCK_CHECK(finished(in));
    out.push_back(std::move(comment));
  }
  return out;
}

Result<std::uint64_t> read_id(std::string_view body) {
  KNOCK_ASSIGN(auto value, parsed(body));
  ObjectReader in(value, "the answer");
  auto id = in.integer("id", 1, kLargestId);
  KNOCK_CHECK(finished(in));
  return std::uint64_t(id);
}

std::string_view header_of(const net::IncomingResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return "";
}

bool has_next_page(const net::IncomingResponse& response) {
  return header_of(response, "link").find("rel=\"next\"") != std::string_view::npos ||
         !header_of(response, "x-next-page").empty();
}

bool is_too_large(const Error& error) {
  // As net::HttpClient says it; of headers it says another thing.
  return error.kind == ErrorKind::invalid &&
         error.message.find("the answer is larger than") != std::string::npos;
}

bool is_rate_limited(const net::IncomingResponse& response) {
  if (response.status == 429) return true;
  return response.status == 403 && (!header_of(response, "retry-after").empty() ||
                                    header_of(response, "x-ratelimit-remaining") == "0");
}

std::optional<Duration> wait_asked_for(const net::IncomingResponse& response, Instant now) {
  auto bounded = [](std::int64_t seconds) {
    return Duration::seconds(std::clamp<std::int64_t>(seconds, 0, kLongestWait.ms / 1000));
  };
  bool limited = is_rate_limited(response);
  if (limited || response.status == 503)
    if (auto after = seconds_in(header_of(response, "retry-after"))) return bounded(*after);
  if (!limited) return std::nullopt;
  for (const char* name : {"x-ratelimit-reset", "ratelimit-reset"})
    if (auto at = seconds_in(header_of(response, name)); at && *at > now.seconds())
      return bounded(*at - now.seconds() + 1);
  return std::nullopt;
}

}  // namespace knock::notify
