// SPDX-License-Identifier: Apache-2.0
#include "server/notify/pull_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "schemas/refusal_id.h"

namespace knock::notify {
namespace {

constexpr Duration kSoon = Duration::seconds(1), kNothingInForce = Duration::seconds(2),
                   kBusy = Duration::seconds(5), kFirstPause = Duration::seconds(30),
                   kAfterTheNextLook = Duration::seconds(75);

/// A tenth more or less, so that several controllers do not ask at one moment.
Duration jittered(Duration about, Random& random) {
  auto tenth = about.ms / 10;
  return Duration{about.ms - tenth +
                  std::int64_t(random.next_u64() % std::uint64_t(2 * tenth + 1))};
}

}  // namespace

PullWatch::PullWatch(PullWatchParts parts) : parts_(std::move(parts)) {}

void PullWatch::stop() {
  thread_.request_stop();
  never_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PullWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex own;
    std::unique_lock lock(own);
    while (!stop.stop_requested()) {
      auto pause = step();
      never_.wait_for(lock, stop, pause.chrono(), [] { return false; });
    }
  });
}

ProposedChanges PullWatch::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

/// What throws (no memory above all) ends one try, and not the thread, which would end the process.
Duration PullWatch::step() {
  try {
    auto pause = step_once();
    thrown_ = 0;
    return pause;
  } catch (const std::exception& thrown) {
    auto first = thrown_++ == 0;
    thrown_ = std::min(thrown_, 1000);
    look_at_ = parts_.clock.monotonic() +
               back_off(kFirstPause, kLongestPause, thrown_, parts_.random.next_u64()).chrono();
    auto why = printable(thrown.what());
    if (first)
      log(LogLevel::error, "pull.watch-failed",
          "A look at the open pull requests failed; it is tried again.",
          {{"destination", parts_.destination}, {"problem", why}});
    of_list_ = Problem{"the open pull requests cannot be looked at: " + why, parts_.clock.now()};
    tell_problem();
    return kBusy;
  }
}

Duration PullWatch::step_once() {
  take_posted();
  auto base = parts_.base();
  if (!base) {
    of_base_ = Problem{"what is in force cannot be read: " + base.error().text(),
                       of_base_ ? of_base_->since : parts_.clock.now()};
    tell_problem();
    return kNothingInForce;
  }
  of_base_.reset();
  if (base->empty()) {
    tell_problem();
    return kNothingInForce;
  }
  auto now = parts_.clock.monotonic();
  bool moved = failures_ == 0 && listed_for_ != *base;
  if (now >= look_at_ || moved) look(*base);
  bool fresh = listed_for_ == *base;
  auto pull = fresh && now >= plan_at_ ? queue_.next(*base, now) : std::nullopt;
  // A plan may take long, and who asks meanwhile is told what is true.
  tell(*base);
  if (pull && limit_.take(IpAddress(), now) && hourly_.take(IpAddress(), now)) plan(*pull, *base);
  tell(*base);
  return until_next(*base);
}

Duration PullWatch::until_next(const std::string& base) const {
  auto now = parts_.clock.monotonic();
  auto next = look_at_;
  auto pull = listed_for_ == base ? queue_.next_time(base) : std::nullopt;
  if (pull) next = std::min(next, std::max(*pull, plan_at_));
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - now).count();
  // Not longer, so that what comes into force is seen soon.
  return std::clamp(Duration{left}, kSoon, kBusy);
}

// ---- the list ----

void PullWatch::look(const std::string& base) {
  auto pulls = parts_.list->ask(parts_.clock.now());
  parts_.done(parts_.destination, pulls.has_value());
  if (!pulls) return not_looked(pulls.error());
  listed_for_ = base;
  looked(*std::move(pulls));
}

void PullWatch::looked(PullList::Pulls pulls) {
  failures_ = 0;
  of_list_.reset();
  look_at_ = parts_.clock.monotonic() + jittered(kEvery, parts_.random).chrono();
  bool gone = of_pull_ && std::ranges::none_of(pulls.open, [&](const OpenPull& pull) {
                return pull.number == of_pull_->pull;
              });
  if (gone) of_pull_.reset();
  left_out(pulls.left_out);
  queue_.listed(std::move(pulls.open), parts_.clock.monotonic());
  std::lock_guard lock(mutex_);
  status_.last_look = parts_.clock.now();
  if (pulls.more && !status_.more)
    log(LogLevel::warning, "pull.too-many",
        "More pull requests are open than are looked at; those that were updated longest ago are "
        "not "
        "planned.",
        {{"destination", parts_.destination}, {"most", std::to_string(PullQueue::kMost)}});
  status_.more = pulls.more;
}

void PullWatch::left_out(std::size_t count) {
  if (count == 0) return of_size_.reset();
  auto text = fmt::format("{} too large to be read, each alone larger than {} MiB, and not planned",
                          counted(count, "open pull request is", "open pull requests are"),
                          kLargestElement >> 20);
  if (!of_size_)
    log(LogLevel::warning, "pull.too-large",
        "A pull request's texts are larger than what is read of one; it is not planned.",
        {{"destination", parts_.destination}, {"count", std::to_string(count)}});
  of_size_ = Problem{std::move(text), of_size_ ? of_size_->since : parts_.clock.now()};
}

void PullWatch::not_looked(const Error& error) {
  auto wait = back_off(kFirstPause, kLongestPause, ++failures_, parts_.random.next_u64());
  // Not less than it asks for, and not everybody at that moment.
  if (error.retry_after)
    wait = std::max(wait, *error.retry_after + jittered(Duration::seconds(5), parts_.random));
  look_at_ = parts_.clock.monotonic() + wait.chrono();
  auto text = "the open pull requests cannot be listed: " + error.text();
  // Once, however long it lasts.
  if (!of_list_)
    log(LogLevel::warning, "notify.failed",
        "The open pull requests cannot be listed; it is tried again.",
        {{"destination", parts_.destination},
         {"event", "list of pull requests"},
         {"problem", error.text()}});
  of_list_ = Problem{std::move(text), of_list_ ? of_list_->since : parts_.clock.now()};
}

// ---- one of them ----

void PullWatch::plan(const OpenPull& pull, const std::string& base) {
  try {
    plan_and_post(pull, base);
  } catch (const std::exception& thrown) {
    not_planned(pull, base, Error{ErrorKind::internal, printable(thrown.what()), {}, {}});
  }
}

void PullWatch::plan_and_post(const OpenPull& pull, const std::string& base) {
  auto change = parts_.plan({pull.number, "", pull.head});
  if (!change) return not_planned(pull, base, change.error());
  answered(pull, base, *change);
  parts_.post(*change, [mailbox = mailbox_, pull, base](bool arrived) {
    std::lock_guard lock(mailbox->mutex);
    mailbox->posted.push_back({pull, base, arrived});
  });
}

void PullWatch::answered(const OpenPull& pull, const std::string& base,
                         const PlannedChange& change) {
  // What was planned has a review hash, also when it would not come into force as it is.
  queue_.answered(pull, base, parts_.clock.monotonic(),
                  change.footer.empty() ? PullQueue::Answer::refused : PullQueue::Answer::planned);
}

void PullWatch::not_planned(const OpenPull& pull, const std::string& base, const Error& error) {
  auto now = parts_.clock.monotonic();
  if (error.kind == ErrorKind::rate_limited) {
    // Somebody else's fetch: it says nothing about this one.
    plan_at_ = now + kBusy.chrono();
    return;
  }
  if (refusal_id(error.text()) == "git.head-moved")
    return queue_.put_off(pull, base, now, now + kAfterTheNextLook.chrono());
  if (queue_.failed(pull, base, now, parts_.random.next_u64()) == 1)
    log(LogLevel::warning, "pull.not-planned",
        "A pull request cannot be planned now; it is tried again.",
        {{"pull", std::to_string(pull.number)}, {"problem", error.text()}});
  say(pull, "it cannot be planned: " + error.text());
}

void PullWatch::take_posted() {
  std::vector<Posted> posted;
  {
    std::lock_guard lock(mailbox_->mutex);
    posted.swap(mailbox_->posted);
  }
  auto now = parts_.clock.monotonic();
  for (const Posted& one : posted) {
    if (one.arrived) {
      if (of_pull_ && of_pull_->pull == one.pull.number) of_pull_.reset();
      continue;
    }
    if (queue_.lost(one.pull, one.base, now, parts_.random.next_u64()) == 0) continue;
    say(one.pull, "its plan cannot be posted; notify.failed in the log says why");
  }
}

void PullWatch::say(const OpenPull& pull, const std::string& problem) {
  of_pull_ = Problem{fmt::format("pull request {}: {}", pull.number, problem), parts_.clock.now(),
                     pull.number};
}

void PullWatch::tell(const std::string& base) {
  auto counts = queue_.counts(base);
  {
    std::lock_guard lock(mutex_);
    status_.open = counts.open;
    status_.planned = counts.planned;
    status_.refused = counts.refused;
  }
  tell_problem();
}

void PullWatch::tell_problem() {
  const Problem* problem = nullptr;
  for (const auto* one : {&of_base_, &of_list_, &of_size_, &of_pull_})
    if (problem == nullptr && *one) problem = &**one;
  std::lock_guard lock(mutex_);
  status_.problem = problem ? problem->text : "";
  status_.problem_since = problem ? std::optional(problem->since) : std::nullopt;
}

}  // namespace knock::notify
