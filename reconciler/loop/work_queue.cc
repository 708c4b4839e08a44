// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/work_queue.h"

#include <algorithm>

#include "reconciler/loop/backoff.h"

namespace knock {

std::string_view to_string(Urgency urgency) {
  switch (urgency) {
    case Urgency::close:
      return "close";
    case Urgency::break_glass:
      return "break-glass";
    case Urgency::sign_in:
      return "sign-in";
    case Urgency::policy:
      return "policy";
    case Urgency::drift:
      return "drift";
    case Urgency::resync:
      return "resync";
  }
  return "unknown";
}

Duration patience(Urgency urgency) {
  switch (urgency) {
    case Urgency::close:
    case Urgency::break_glass:
      return {0};
    case Urgency::sign_in:
      return Duration::seconds(1);
    case Urgency::policy:
      return Duration::seconds(10);
    case Urgency::drift:
      return Duration::seconds(30);
    case Urgency::resync:
      return Duration::minutes(2);
  }
  return {0};
}

// ---- accounts ----

WorkQueue::AccountId WorkQueue::account_of(const std::string& name, CallRate rate,
                                           MonotonicTime now) {
  auto [at, fresh] = by_name_.try_emplace(name, AccountId(accounts_.size()));
  if (fresh) {
    if (free_accounts_.empty()) {
      accounts_.emplace_back();
    } else {
      at->second = free_accounts_.back();
      free_accounts_.pop_back();
      accounts_[at->second] = Account();
    }
    accounts_[at->second].name = name;
  }
  Account& account = accounts_[at->second];
  // A target that does not know its limits yet says nothing about those of its account.
  if (rate.per_second > 0 && rate != account.rate) {
    account.rate = rate;
    account.budget = CallBudget(rate.per_second, rate.burst, now);
  }
  return at->second;
}

void WorkQueue::leave_account(Item& item) {
  Account& account = accounts_[item.account];
  if (--account.targets > 0) return;
  for (int lane : {0, 1}) {
    unlist(item.account, lane);
    if (auto till = account.groups[lane].blocked_till) blocked_.erase({*till, item.account, lane});
  }
  by_name_.erase(account.name);
  free_accounts_.push_back(item.account);
}

WorkQueue::Key WorkQueue::add(const std::string& account, CallRate rate, MonotonicTime now) {
  Key key = Key(items_.size());
  if (free_.empty()) {
    items_.emplace_back();
  } else {
    key = free_.back();
    free_.pop_back();
    items_[key] = Item();
  }
  items_[key].used = true;
  items_[key].account = account_of(account, rate, now);
  ++accounts_[items_[key].account].targets;
  return key;
}

void WorkQueue::remove(Key key) {
  Item& item = items_[key];
  unplace(key);
  waiting_ -= item.waits;
  if (item.busy && !item.claimed) {
    flights_[item.lane].erase(key);
    --accounts_[item.account].running;
    unblock(item.account);
  }
  leave_account(item);
  item = Item();
  free_.push_back(key);
}

void WorkQueue::move(Key key, const std::string& account, CallRate rate, MonotonicTime now) {
  Item& item = items_[key];
  unplace(key);
  AccountId to = account_of(account, rate, now);
  if (to != item.account) {
    bool runs = item.busy && !item.claimed;
    accounts_[item.account].running -= runs;
    accounts_[to].running += runs;
    ++accounts_[to].targets;
    unblock(item.account);
    leave_account(item);
    item.account = to;
  }
  place(key);
}

// ---- what waits ----

WorkQueue::Rank WorkQueue::rank_of(Key key) const {
  const Item& item = items_[key];
  return {!item.closing, item.due, key};
}

/// Where a target waits: among those whose time has not come yet. advance() takes it from there.
void WorkQueue::place(Key key) {
  Item& item = items_[key];
  if (!item.waits || item.busy) return;
  later_.emplace(item.ready_at, key);
  item.place = Place::later;
}

void WorkQueue::unplace(Key key) {
  Item& item = items_[key];
  if (item.place == Place::later) later_.erase({item.ready_at, key});
  if (item.place == Place::ready) {
    int lane = item.failing;
    accounts_[item.account].groups[lane].ready.erase(rank_of(key));
    list(item.account, lane);
  }
  item.place = Place::nowhere;
}

void WorkQueue::mark(Key key, Urgency urgency, MonotonicTime asked, Duration gather) {
  Item& item = items_[key];
  unplace(key);
  bool closes = urgency == Urgency::close;
  auto due = asked + patience(urgency).chrono();
  auto gathered = closes ? asked : asked + gather.chrono();
  if (!item.waits) {
    ++waiting_;
    item.waits = true;
    item.since = asked;
    item.urgency = urgency;
    item.due = due;
    item.gathered = gathered;
  } else {
    item.since = std::min(item.since, asked);
    item.urgency = std::min(item.urgency, urgency);
    item.due = std::min(item.due, due);
    item.gathered = std::min(item.gathered, gathered);
  }
  if (closes) {
    item.closing = true;
    auto soon = asked + kClosingWaits.chrono();
    if (item.held && *item.held > soon) item.held = soon;
    accounts_[item.account].breaker.no_later_than(soon);
  }
  item.ready_at = std::max(item.gathered, item.held.value_or(item.gathered));
  place(key);
}

void WorkQueue::not_before(Key key, MonotonicTime at) {
  Item& item = items_[key];
  unplace(key);
  item.held = at;
  item.ready_at = std::max(item.gathered, at);
  place(key);
}

void WorkQueue::no_later_than(Key key, MonotonicTime at) {
  Item& item = items_[key];
  unplace(key);
  if (item.held && *item.held > at) item.held = at;
  item.gathered = std::min(item.gathered, at);
  item.ready_at = std::max(item.gathered, item.held.value_or(item.gathered));
  place(key);
}

std::optional<MonotonicTime> WorkQueue::waits_until(Key key, MonotonicTime now) const {
  const Item& item = items_[key];
  if (!item.held || *item.held <= now) return std::nullopt;
  return item.held;
}

std::optional<MonotonicTime> WorkQueue::account_waits_until(Key key, MonotonicTime now) const {
  const Breaker& breaker = accounts_[items_[key].account].breaker;
  if (!breaker.open(now)) return std::nullopt;
  return breaker.wait_until();
}

// ---- what is ready ----

void WorkQueue::unlist(AccountId id, int lane) {
  Group& group = accounts_[id].groups[lane];
  if (group.listed) open_[lane].erase({*group.listed, id});
  group.listed.reset();
}

/// The account stands among the open ones by the best of its targets.
void WorkQueue::list(AccountId id, int lane) {
  Group& group = accounts_[id].groups[lane];
  bool closes = !group.ready.empty() && !std::get<0>(*group.ready.begin());
  if (group.blocked_till && closes) {  // what kept the others back may not keep this back
    blocked_.erase({*group.blocked_till, id, lane});
    group.blocked_till.reset();
  }
  std::optional<Rank> best;
  if (!group.blocked_till && !group.ready.empty()) best = *group.ready.begin();
  if (group.listed == best) return;
  unlist(id, lane);
  if (best) open_[lane].emplace(*best, id);
  group.listed = best;
}

void WorkQueue::advance(MonotonicTime now) {
  while (!later_.empty() && later_.begin()->first <= now) {
    Key key = later_.begin()->second;
    later_.erase(later_.begin());
    Item& item = items_[key];
    int lane = item.failing;
    accounts_[item.account].groups[lane].ready.insert(rank_of(key));
    item.place = Place::ready;
    list(item.account, lane);
  }
  while (!blocked_.empty() && std::get<0>(*blocked_.begin()) <= now) {
    auto [till, id, lane] = *blocked_.begin();
    blocked_.erase(blocked_.begin());
    accounts_[id].groups[lane].blocked_till.reset();
    list(id, lane);
  }
}

/// Nothing: a call may begin. The end of time: not before a run of this account is done.
std::optional<MonotonicTime> WorkQueue::blocked_until(const Account& account, int lane,
                                                      bool closing, MonotonicTime now) const {
  if (account.breaker.open(now)) return account.breaker.wait_until();
  if (account.breaker.probing() && account.running > 0) return MonotonicTime::max();
  if (account.budget.affordable(closing, now) == 0) return account.budget.next_at(closing, now);
  if (lane == 1 && !closing && !account.retries.may_retry(now)) return account.retries.next_at(now);
  return std::nullopt;
}

void WorkQueue::unblock(AccountId id) {
  for (int lane : {0, 1}) {
    Group& group = accounts_[id].groups[lane];
    if (!group.blocked_till) continue;
    blocked_.erase({*group.blocked_till, id, lane});
    group.blocked_till.reset();
    list(id, lane);
  }
}

std::size_t WorkQueue::slow_runs(MonotonicTime now) const {
  return std::size_t(std::count_if(flights_[0].begin(), flights_[0].end(), [&](Key key) {
    return now - items_[key].started >= settings_.slow.chrono();
  }));
}

bool WorkQueue::has_worker(int lane, MonotonicTime now) const {
  std::size_t aside = flights_[1].size();
  std::size_t slow = flights_[0].empty() ? 0 : slow_runs(now);
  if (lane == 1) return aside + slow < settings_.aside;
  slow = std::min(slow, settings_.aside - std::min(settings_.aside, aside));
  return flights_[0].size() - slow < settings_.workers;
}

bool WorkQueue::ready(MonotonicTime now) const {
  return (!open_[0].empty() && has_worker(0, now)) || (!open_[1].empty() && has_worker(1, now));
}

std::optional<WorkQueue::Taken> WorkQueue::take(MonotonicTime now) {
  advance(now);
  std::array<bool, 2> may{has_worker(0, now), has_worker(1, now)};
  for (;;) {
    int lane = -1;
    for (int l : {0, 1}) {
      if (!may[l] || open_[l].empty()) continue;
      if (lane < 0 || open_[l].begin()->first < open_[lane].begin()->first) lane = l;
    }
    if (lane < 0) return std::nullopt;
    auto [rank, id] = *open_[lane].begin();
    Account& account = accounts_[id];
    auto until = blocked_until(account, lane, !std::get<0>(rank), now);
    if (!until) return start(std::get<2>(rank), lane, now);
    unlist(id, lane);
    account.groups[lane].blocked_till = *until;
    blocked_.emplace(*until, id, lane);
  }
}

WorkQueue::Taken WorkQueue::start(Key key, int lane, MonotonicTime now) {
  unplace(key);
  Item& item = items_[key];
  Account& account = accounts_[item.account];
  Taken taken{key, item.closing, item.urgency, item.since};
  if (lane == 0)
    account.retries.first_try();
  else if (!item.closing)
    account.retries.retried(now);
  ++account.running;
  item.waits = item.closing = item.called = false;
  item.held.reset();
  item.busy = true;
  item.started = now;
  item.lane = lane;
  flights_[lane].insert(key);
  --waiting_;
  return taken;
}

bool WorkQueue::claim(Key key) {
  Item& item = items_[key];
  if (item.busy) return false;
  unplace(key);
  item.busy = item.claimed = true;
  return true;
}

void WorkQueue::release(Key key) {
  items_[key].busy = items_[key].claimed = false;
  place(key);
}

void WorkQueue::done(Key key, const End& end, MonotonicTime now, Random& random) {
  Item& item = items_[key];
  Account& account = accounts_[item.account];
  flights_[item.lane].erase(key);
  --account.running;
  item.busy = false;
  item.failing = !end.good;
  if (end.good && item.called) account.breaker.succeeded();
  if (!end.good && end.of_account) {
    bool closes = item.closing ||
                  std::any_of(account.groups.begin(), account.groups.end(), [](const Group& group) {
                    return !group.ready.empty() && !std::get<0>(*group.ready.begin());
                  });
    account.breaker.failed(key, closes, now, random);
  }
  if (!end.good && end.retry_after) account.breaker.not_before(now + end.retry_after->chrono());
  // Whoever waited for the end of this run may go, or is put back by take().
  unblock(item.account);
  place(key);
}

// ---- calls ----

std::size_t WorkQueue::affordable(Key key, bool closing, MonotonicTime now) const {
  return accounts_[items_[key].account].budget.affordable(closing, now);
}

void WorkQueue::spend(Key key, std::size_t calls, MonotonicTime now) {
  Item& item = items_[key];
  item.called = item.called || calls > 0;
  accounts_[item.account].budget.spend(calls, now);
}

MonotonicTime WorkQueue::affordable_at(Key key, bool closing, MonotonicTime now) const {
  return accounts_[items_[key].account].budget.next_at(closing, now);
}

std::optional<MonotonicTime> WorkQueue::next_at(MonotonicTime now) const {
  std::optional<MonotonicTime> next;
  auto sooner = [&](MonotonicTime at) {
    if (at != MonotonicTime::max() && (!next || at < *next)) next = at;
  };
  if (!later_.empty()) sooner(later_.begin()->first);
  if (!blocked_.empty()) sooner(std::get<0>(*blocked_.begin()));
  if (!open_[0].empty())  // everybody is at work: one of them may turn out to be slow
    for (Key key : flights_[0])
      if (auto slow_at = items_[key].started + settings_.slow.chrono(); slow_at > now)
        sooner(slow_at);
  return next;
}

}  // namespace knock
