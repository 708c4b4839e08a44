// SPDX-License-Identifier: Apache-2.0
#include "server/notify/pull_queue.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace knock::notify {

Duration back_off(Duration first, Duration longest, int tries, std::uint64_t dice) {
  auto most = first.ms;
  for (int i = 1; i < tries && most < longest.ms; ++i) most *= 2;
  most = std::max<std::int64_t>(std::min(most, longest.ms), 1);
  // Full jitter, but for one tenth: at once is no pause.
  auto least = most / 10;
  return Duration{least + std::int64_t(dice % std::uint64_t(most - least + 1))};
}

void PullQueue::listed(std::vector<OpenPull> open) {
  std::map<std::uint64_t, Entry> now;
  for (OpenPull& pull : open) {
    if (now.size() >= kMost) break;
    auto number = pull.number;
    auto before = open_.find(number);
    now.try_emplace(
        number,
        Entry{std::move(pull), before == open_.end() ? Tried{} : std::move(before->second.tried)});
    if (before != open_.end()) open_.erase(before);
  }
  open_ = std::move(now);
}

bool PullQueue::is_answered(const Entry& entry, const std::string& base) {
  const Tried& tried = entry.tried;
  return tried.answer && tried.head == entry.pull.head && tried.base == base;
}

MonotonicTime PullQueue::due(const Entry& entry, const std::string& base) {
  const Tried& tried = entry.tried;
  bool same = tried.head == entry.pull.head && tried.base == base;
  return same ? tried.again : MonotonicTime{};
}

std::optional<OpenPull> PullQueue::next(const std::string& base, MonotonicTime now) const {
  const Entry* found = nullptr;
  auto order = [](const Entry& entry) {
    return std::tuple(entry.tried.last.value_or(MonotonicTime::min()), entry.pull.updated,
                      entry.pull.number);
  };
  for (const auto& [number, entry] : open_)
    if (!is_answered(entry, base) && due(entry, base) <= now &&
        (found == nullptr || order(entry) < order(*found)))
      found = &entry;
  return found == nullptr ? std::nullopt : std::optional(found->pull);
}

std::optional<MonotonicTime> PullQueue::next_time(const std::string& base) const {
  std::optional<MonotonicTime> out;
  for (const auto& [number, entry] : open_)
    if (!is_answered(entry, base))
      out = std::min(out.value_or(MonotonicTime::max()), due(entry, base));
  return out;
}

/// Nothing where it was closed, or has another head, by now.
PullQueue::Tried* PullQueue::try_of(const OpenPull& pull, const std::string& base,
                                    MonotonicTime now) {
  auto at = open_.find(pull.number);
  if (at == open_.end() || at->second.pull.head != pull.head) return nullptr;
  Tried& tried = at->second.tried;
  if (tried.head != pull.head || tried.base != base) tried = Tried{pull.head, base, {}, 0, {}, {}};
  tried.last = now;
  return &tried;
}

void PullQueue::answered(const OpenPull& pull, const std::string& base, MonotonicTime now,
                         Answer answer) {
  auto* tried = try_of(pull, base, now);
  if (tried == nullptr) return;
  tried->answer = answer;
}

void PullQueue::put_off(const OpenPull& pull, const std::string& base, MonotonicTime now,
                        MonotonicTime again) {
  auto* tried = try_of(pull, base, now);
  if (tried == nullptr) return;
  tried->answer.reset();
  tried->again = again;
}

int PullQueue::failed(const OpenPull& pull, const std::string& base, MonotonicTime now,
                      std::uint64_t dice) {
  auto* tried = try_of(pull, base, now);
  if (tried == nullptr) return 0;
  tried->answer.reset();
  tried->failures = std::min(tried->failures + 1, 1000);
  tried->again = now + back_off(kFirstPause, kLongestPause, tried->failures, dice).chrono();
  return tried->failures;
}

int PullQueue::lost(const OpenPull& pull, const std::string& base, MonotonicTime now,
                    std::uint64_t dice) {
  auto at = open_.find(pull.number);
  bool last =
      at != open_.end() && at->second.tried.head == pull.head && at->second.tried.base == base;
  return last ? failed(pull, base, now, dice) : 0;
}

PullQueue::Counts PullQueue::counts(const std::string& base) const {
  Counts out;
  out.open = open_.size();
  for (const auto& [number, entry] : open_)
    if (is_answered(entry, base))
      ++(entry.tried.answer == Answer::planned ? out.planned : out.refused);
  return out;
}

}  // namespace knock::notify
