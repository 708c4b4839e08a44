// SPDX-License-Identifier: Apache-2.0
// What a forge answers. Pure. Strangers write parts of it (titles, texts, names), so of each element
// only numbers, commits and times are taken, and a list that is not as the forge's own pages say is
// refused whole: half a list would look like pull requests that were closed.
//
// Facts: GitHub GET /repos/OWNER/REPO/pulls: [{number, user: {id} (null where the account is gone),
// head: {sha}, base: {ref}, updated_at}], GET
// …/issues/NUMBER/comments: [{id, user: {id}, body}], GET /user: {id}; pages by `Link: <…>;
// rel="next"`. GitLab GET /projects/ID/merge_requests: [{iid, sha (null before there is one),
// author: {id}, target_branch, updated_at}], GET …/notes: [{id, author: {id}, body}], GET /user: {id}; pages by
// `X-Next-Page: N`. Both answer 304 to If-None-Match. Waits: `Retry-After: SECONDS`; GitHub's
// `X-RateLimit-Remaining: 0` (with 403 or 429) and `X-RateLimit-Reset: SECONDS since 1970`, GitLab's
// `RateLimit-…` of the same meaning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"
#include "schemas/config/notify.h"

namespace knock::notify {

inline constexpr std::uint64_t kLargestPull = 1'000'000'000;

struct OpenPull {
  std::uint64_t number = 0;  // 1 … kLargestPull
  std::string head;          // is_commit()
  Instant updated;
  std::uint64_t author = 0;  // the account's number; 0: nobody's
  bool operator==(const OpenPull&) const = default;
};
/// Those that go to `branch`. Errors: `invalid`, "forge.not-json", "forge.shape", "forge.too-many",
/// "forge.commit".
Result<std::vector<OpenPull>> read_pulls(ForgeSettings::Type type, std::string_view body,
                                         const std::string& branch, std::size_t most);

struct ForgeComment {
  std::uint64_t id = 0, author = 0;
  std::string body;
};
/// Errors: as read_pulls().
Result<std::vector<ForgeComment>> read_comments(ForgeSettings::Type type, std::string_view body,
                                                std::size_t most);
/// `id` of an object: who a token belongs to, which comment was written.
Result<std::uint64_t> read_id(std::string_view body);

std::string_view header_of(const net::IncomingResponse& response, std::string_view lower_case_name);
/// Whether the forge says that more follows. Its address of the next page is never followed: a token
/// goes to addresses of knock.yaml alone.
bool has_next_page(const net::IncomingResponse& response);
/// No answer, because it is larger than `response_bytes`.
bool is_too_large(const Error& error);
/// It asks to be left alone: 429, or what GitHub answers instead of it.
bool is_rate_limited(const net::IncomingResponse& response);
/// For how long, where it says so and means it; at most kLongestWait. GitHub tells its usual reset
/// beside every answer, so that counts only when is_rate_limited(); one that is over says nothing.
std::optional<Duration> wait_asked_for(const net::IncomingResponse& response, Instant now);
inline constexpr Duration kLongestWait = Duration::hours(1);

}  // namespace knock::notify
