// SPDX-License-Identifier: Apache-2.0
// Looks for open pull requests and has each planned and posted, so that no job of a fork needs a
// secret (docs/notifications.md). From beside, on a thread of its own: one change at a time, slowly
// enough that people who ask for a plan find the controller free.
//
// What is in force moves: every plan from before is stale, so the list is asked for anew (what was
// merged is not open any more) and each is planned again.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "reconciler/interfaces/policy_source.h"
#include "reconciler/loop/status.h"
#include "server/core/rate_limit.h"
#include "server/notify/notice.h"
#include "server/notify/pull_list.h"
#include "server/notify/pull_queue.h"

namespace knock::notify {

/// All that is referred to outlives the watch.
struct PullWatchParts {
  std::unique_ptr<PullList> list;
  const Clock& clock;
  Random& random;
  std::string destination;  // for log and metrics, as Outbox::name()
  /// What a plan goes on from: another text each time that something comes into force; "": nothing
  /// is.
  std::function<Result<std::string>()> base;
  /// plan_of_pull()
  std::function<Result<PlannedChange>(const CandidateName&)> plan;
  /// Notifier::planned()
  std::function<void(const PlannedChange&, std::function<void(bool arrived)>)> post;
  /// As Outbox::Done: of the list.
  std::function<void(const std::string& name, bool arrived)> done;
};

class PullWatch {
 public:
  static constexpr Duration kEvery = Duration::seconds(60), kLongestPause = Duration::minutes(10);
  /// Fewer than Candidates lets through, so that some are left for whoever asks.
  static constexpr double kBurst = 5, kPerSecond = 1.0 / 6;
  /// And no more than 200 plans in any hour, each with two writes (status and comment): GitHub
  /// documents 500 requests an hour that make content as the most of one user, and people write too.
  static constexpr double kHourlyBurst = 50, kHourly = 150;

  explicit PullWatch(PullWatchParts parts);
  ~PullWatch() { stop(); }
  void start();
  /// Ends what it does, within the time limit of a fetch.
  void stop();
  /// Asks for the list where it is time, and has at most one planned. Says when to come again. Not
  /// while started.
  Duration step();
  /// Any thread.
  ProposedChanges status() const;

 private:
  /// What became of a post, told by another thread, which may outlive this.
  struct Posted {
    OpenPull pull;
    std::string base;
    bool arrived = false;
  };
  struct Mailbox {
    std::mutex mutex;
    std::vector<Posted> posted;
  };
  Duration step_once();
  void take_posted();
  void look(const std::string& base);
  void looked(PullList::Pulls pulls);
  void not_looked(const Error& error);
  void left_out(std::size_t count);
  void plan(const OpenPull& pull, const std::string& base);
  void plan_and_post(const OpenPull& pull, const std::string& base);
  void answered(const OpenPull& pull, const std::string& base, const PlannedChange& change);
  void not_planned(const OpenPull& pull, const std::string& base, const Error& error);
  /// A change's own problem, until that is over or the change gone.
  void say(const OpenPull& pull, const std::string& problem);
  void tell(const std::string& base);
  void tell_problem();
  Duration until_next(const std::string& base) const;

  PullWatchParts parts_;
  PullQueue queue_;
  RateLimit limit_{kBurst, kPerSecond, 1}, hourly_{kHourlyBurst, kHourly / 3600, 1};
  std::optional<std::string> listed_for_;  // base
  MonotonicTime look_at_{}, plan_at_{};    // not before
  int failures_ = 0;                       // of the list, in a row
  int thrown_ = 0;                         // in a row
  struct Problem {
    std::string text;
    Instant since;
    std::uint64_t pull = 0;  // 0: of the list
  };
  std::optional<Problem> of_base_, of_list_, of_size_, of_pull_;  // most important first
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();

  mutable std::mutex mutex_;
  ProposedChanges status_;
  std::condition_variable_any never_;
  std::jthread thread_;  // last
};

}  // namespace knock::notify
