// SPDX-License-Identifier: Apache-2.0
// What a forge answers. The first byte says what was asked for: G and L pull requests of GitHub and
// GitLab, g and l comments, i an id, h headers (NAME: VALUE lines behind the three digits of a
// status). Whatever is accepted is within the bounds that its reader promises.
#include "server/notify/forge_replies.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.h"
#include "server/notify/message.h"

namespace {

using namespace knock;
using notify::kLargestPull;
constexpr std::size_t kMost = 20;

void must(bool holds) {
  if (!holds) std::abort();
}

template <class Value>
void refused_by_id(const Result<Value>& result) {
  must(result || result.error().message.starts_with("forge."));
}

void pulls(ForgeSettings::Type type, std::string_view text) {
  auto out = notify::read_pulls(type, text, "main", kMost);
  refused_by_id(out);
  if (!out) return;
  must(out->size() <= kMost);
  for (const auto& pull : *out)
    must(pull.number >= 1 && pull.number <= kLargestPull && notify::is_commit(pull.head));
}

void comments(ForgeSettings::Type type, std::string_view text) {
  auto out = notify::read_comments(type, text, kMost);
  refused_by_id(out);
  must(!out || out->size() <= kMost);
}

void headers(std::string_view text) {
  net::IncomingResponse answer;
  for (char digit : text.substr(0, 3)) answer.status = answer.status * 10 + (digit & 7);
  for (auto line : split(text.substr(std::min<std::size_t>(text.size(), 3)), '\n')) {
    auto at = std::min(line.find(": "), line.size());
    answer.headers.emplace_back(line.substr(0, at), line.substr(std::min(at + 2, line.size())));
  }
  (void)notify::has_next_page(answer);
  (void)notify::is_rate_limited(answer);
  auto wait = notify::wait_asked_for(answer, Instant::from_seconds(1'700'000'000));
  must(!wait || (*wait >= Duration{0} && *wait <= notify::kLongestWait));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  char kind = text[0];
  text.remove_prefix(1);
  using Type = ForgeSettings::Type;
  if (kind == 'G') pulls(Type::github, text);
  if (kind == 'L') pulls(Type::gitlab, text);
  if (kind == 'g') comments(Type::github, text);
  if (kind == 'l') comments(Type::gitlab, text);
  if (kind == 'i') refused_by_id(notify::read_id(text));
  if (kind == 'h') headers(text);
  return 0;
}
