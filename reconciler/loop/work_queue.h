// SPDX-License-Identifier: Apache-2.0
// Which target is run next. One worker has a target at a time, and a target waits at most once:
// whatever happens to it meanwhile is added to what waits, with the most urgent reason and the
// earliest time of both, so nothing is lost (the `dirty` and `processing` sets of client-go).
//
// What must close goes first. Everything else goes by the time it is due: when it was asked for plus
// the patience of its urgency, so a resync waits behind sign-ins, but not for ever. Targets whose
// last run failed, and runs that take long, have workers of their own: those who wait for a sign-in
// elsewhere do not wait behind them.
//
// An account (call_account.h) that may not be called keeps its targets back, without anybody
// looking at them meanwhile: each step costs O(log targets).
//
// Plain state, not safe for threads: the loop guards it. Deterministic: equal calls give equal
// answers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "reconciler/loop/call_account.h"

namespace knock {

/// Why a target is to be run, the most urgent first.
enum class Urgency : std::uint8_t { close, break_glass, sign_in, policy, drift, resync };
std::string_view to_string(Urgency urgency);
/// How long something may wait behind what came later and is more urgent.
Duration patience(Urgency urgency);

struct CallRate {
  int per_second = 0;  // 0: no limit
  int burst = 0;       // 0: one second's
  friend bool operator==(const CallRate&, const CallRate&) = default;
};

class WorkQueue {
 public:
  struct Settings {
    std::size_t workers = 16;  // for targets whose last run was good
    std::size_t aside = 48;    // for those that fail, and beside runs that take long
    Duration slow{1000};       // a run that lasts longer does not count among `workers`
  };
  using Key = std::uint32_t;
  struct Taken {
    Key key = 0;
    bool closing = false;
    Urgency urgency = Urgency::resync;
    MonotonicTime since{};  // when the oldest of what waits was asked for
  };
  /// How a run ended.
  struct End {
    bool good = true;
    /// The account's doing rather than the target's: it does not answer, refuses us, or has enough.
    bool of_account = false;
    std::optional<Duration> retry_after;  // the provider's word, for the whole account
  };

  explicit WorkQueue(Settings settings) : settings_(settings) {}

  Key add(const std::string& account, CallRate rate, MonotonicTime now);
  void remove(Key key);
  /// From now on the target belongs to this account. It is not being run.
  void move(Key key, const std::string& account, CallRate rate, MonotonicTime now);

  /// Something is to be done since `asked`. What closes waits for nobody's company; the rest waits
  /// `gather`, so that a call may serve more of it.
  void mark(Key key, Urgency urgency, MonotonicTime asked, Duration gather = {});
  /// A failed target is not tried before; `mark` alone does not bring it forward.
  void not_before(Key key, MonotonicTime at);
  void no_later_than(Key key, MonotonicTime at);
  /// As soon as it can be.
  void at_once(Key key) { no_later_than(key, MonotonicTime::min()); }

  /// Time has come so far: whose wait is over is ready. take() does it too.
  void advance(MonotonicTime now);
  /// True when take() is worth a try.
  bool ready(MonotonicTime now) const;
  /// The next target; it is busy from then on.
  std::optional<Taken> take(MonotonicTime now);
  /// For somebody else's use; false when it is busy.
  bool claim(Key key);
  void release(Key key);  // what was claimed
  void done(Key key, const End& end, MonotonicTime now, Random& random);

  /// Calls of the run that is going on, or of a claim.
  std::size_t affordable(Key key, bool closing, MonotonicTime now) const;
  void spend(Key key, std::size_t calls, MonotonicTime now);
  /// When a call of this kind may begin.
  MonotonicTime affordable_at(Key key, bool closing, MonotonicTime now) const;

  bool waits(Key key) const { return items_[key].waits; }
  bool busy(Key key) const { return items_[key].busy; }
  bool closing(Key key) const { return items_[key].closing; }
  std::optional<MonotonicTime> waits_until(Key key, MonotonicTime now) const;
  /// The account is left alone because several targets of it failed, or because it asked for it.
  std::optional<MonotonicTime> account_waits_until(Key key, MonotonicTime now) const;
  /// When take() may have an answer that it has not now, if nobody calls anything before.
  std::optional<MonotonicTime> next_at(MonotonicTime now) const;
  std::size_t waiting() const { return waiting_; }
  std::size_t in_flight() const { return flights_[0].size() + flights_[1].size(); }

 private:
  using Rank = std::tuple<bool, MonotonicTime, Key>;  // not closing, due
  using AccountId = std::uint32_t;
  enum class Place : std::uint8_t { nowhere, later, ready };
  struct Item {
    bool used = false;
    AccountId account = 0;
    bool waits = false, busy = false, claimed = false, closing = false;
    bool failing = false;  // the last run was not good
    Urgency urgency = Urgency::resync;
    MonotonicTime since{}, due{};
    MonotonicTime gathered{};           // company is waited for so long
    std::optional<MonotonicTime> held;  // after a failure
    MonotonicTime ready_at{};           // the later of both
    MonotonicTime started{};            // the run that is going on
    int lane = 0;
    bool called = false;
    Place place = Place::nowhere;
  };
  /// The ready targets of one account that share a lane.
  struct Group {
    std::set<Rank> ready;
    std::optional<Rank> listed;                 // in open_ under this
    std::optional<MonotonicTime> blocked_till;  // in blocked_ under this
  };
  struct Account {
    std::string name;
    CallRate rate;
    CallBudget budget;
    Breaker breaker;
    RetryBudget retries;
    std::size_t targets = 0;
    std::size_t running = 0;
    std::array<Group, 2> groups;
  };

  AccountId account_of(const std::string& name, CallRate rate, MonotonicTime now);
  void leave_account(Item& item);
  void place(Key key);
  void unplace(Key key);
  Rank rank_of(Key key) const;
  void list(AccountId id, int lane);
  void unlist(AccountId id, int lane);
  void unblock(AccountId id);
  std::optional<MonotonicTime> blocked_until(const Account& account, int lane, bool closing,
                                             MonotonicTime now) const;
  std::size_t slow_runs(MonotonicTime now) const;
  bool has_worker(int lane, MonotonicTime now) const;
  Taken start(Key key, int lane, MonotonicTime now);

  Settings settings_;
  std::vector<Item> items_;
  std::vector<Key> free_;
  std::vector<Account> accounts_;
  std::vector<AccountId> free_accounts_;
  std::map<std::string, AccountId> by_name_;
  std::set<std::pair<MonotonicTime, Key>> later_;
  std::array<std::set<std::pair<Rank, AccountId>>, 2> open_;
  std::set<std::tuple<MonotonicTime, AccountId, int>> blocked_;
  std::array<std::set<Key>, 2> flights_;
  std::size_t waiting_ = 0;
};

}  // namespace knock
