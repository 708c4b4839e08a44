// SPDX-License-Identifier: Apache-2.0
#include "server/notify/pull_queue.h"

#include <algorithm>
#include <set>
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

PullQueue::Author PullQueue::author_of(const OpenPull& pull) {
  return pull.author != 0 ? Author(true, pull.author) : Author(false, pull.number);
}

void PullQueue::listed(std::vector<OpenPull> open, MonotonicTime now) {
  std::map<std::uint64_t, Entry> listed;
  for (OpenPull& pull : open) {
    if (listed.size() >= kMost) break;
    if (listed.contains(pull.number)) continue;
    turns_.try_emplace(author_of(pull), now);
    auto tried = known_of(pull.number, now);
    auto number = pull.number;
    listed.emplace(number, Entry{std::move(pull), std::move(tried)});
  }
  for (auto& [number, entry] : open_) close(std::move(entry), now);
  open_ = std::move(listed);
  forget(now);
}

/// Takes what is known of it.
PullQueue::Tried PullQueue::known_of(std::uint64_t number, MonotonicTime now) {
  Tried out{{}, {}, {}, 0, {}, now};
  if (auto at = open_.find(number); at != open_.end()) {
    out = std::move(at->second.tried);
    open_.erase(at);
  } else if (auto gone = closed_.find(number); gone != closed_.end()) {
    out = std::move(gone->second.entry.tried);
    closed_.erase(gone);
  }
  return out;
}

void PullQueue::close(Entry entry, MonotonicTime now) {
  auto number = entry.pull.number;
  closed_.insert_or_assign(number, Closed{std::move(entry), now});
}

void PullQueue::forget(MonotonicTime now) {
  std::erase_if(closed_,
                [&](const auto& one) { return now - one.second.since > kKeepsClosed.chrono(); });
  while (closed_.size() > kMostClosed)
    closed_.erase(
        std::ranges::min_element(closed_, {}, [](const auto& one) { return one.second.since; }));
  std::set<Author> known;
  for (const auto& [number, entry] : open_) known.insert(author_of(entry.pull));
  for (const auto& [number, closed] : closed_) known.insert(author_of(closed.entry.pull));
  std::erase_if(turns_, [&](const auto& turn) { return !known.contains(turn.first); });
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
  auto order = [&](const Entry& entry) {
    bool had_a_turn = !entry.tried.head.empty();
    return std::tuple(turns_.at(author_of(entry.pull)), entry.tried.last, had_a_turn,
                      entry.pull.updated, entry.pull.number);
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
  turns_[author_of(at->second.pull)] = now;
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
