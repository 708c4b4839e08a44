// SPDX-License-Identifier: Apache-2.0
#include "simulation/model_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include "base/sha256.h"

namespace knock {
namespace {

/// What caused an entry for a while.
struct Stretch {
  Instant from, till;
  PolicyRevision policy;
  SharedList<Attribution> causes;
};

/// One time that an entry stood.
struct Interval {
  AppliedEntry entry;
  Instant state_since;
  std::vector<Stretch> before;
  std::optional<Instant> removed;
  std::optional<Reason> reason;
};

struct Written {
  Instant at;
  Actor actor;
  Fact fact;
};

struct GroupsOf {
  Instant at;
  SessionGroups fact;
};

struct KnownSession {
  std::uint64_t seq = 0;
  Session session;
  std::vector<GroupsOf> groups;
};

using Key = std::pair<std::string, Prefix>;  // slot, prefix

}  // namespace

class ModelDisk {
 public:
  std::mutex mutex;
  DiskFaults faults;
  bool has_writer = false;

  // The log, and what it says.
  std::vector<Written> log;
  std::vector<Record> encoded;  // as far as somebody has read
  std::map<SessionId, KnownSession> sessions;
  std::map<std::uint64_t, SessionId> by_seq;
  std::map<std::uint64_t, ChangeIntended> intents;
  std::deque<Interval> intervals;
  std::map<TargetName, std::map<Key, std::size_t>> standing;
  std::map<std::tuple<TargetName, std::string, Prefix>, int> readded;
  std::map<EntryId, std::tuple<TargetName, std::string, Prefix>> entries;
  std::vector<std::pair<std::uint64_t, Adoption>> adoptions;
  std::map<PolicyRevision, AdoptedPolicy> policies;
  std::map<TargetName, Confirmation> confirmations;
  std::optional<PolicyHold> hold;
  std::optional<RestoredStore> restored;
  std::map<SessionId, SessionEnd> ends_aside;  // that the log refused
  std::map<std::string, std::uint64_t> plans;
  std::map<std::string, Account> accounts;
  std::map<std::string, ApiKey> keys;
};

namespace {

// ---- what a fact changes ----

/// Before anything is written: a fact that contradicts what is there, or another one beside it.
class Checker {
 public:
  explicit Checker(const ModelDisk& disk) : disk_(disk) {}
  Status operator()(const SessionOpened& fact) {
    const auto& id = fact.session.id;
    if (!disk_.sessions.contains(id) && opened_.insert(id).second) return {};
    return fail(ErrorKind::conflict,
                fmt::format("the session {} exists already; open it under a new id", id.value));
  }
  Status operator()(const PlanUsed& fact) {
    if (!disk_.plans.contains(fact.nonce) && used_.insert(fact.nonce).second) return {};
    return fail(ErrorKind::conflict, "this saved plan was used already; make a new one");
  }
  template <class Other>
  Status operator()(const Other&) {
    return {};
  }

 private:
  const ModelDisk& disk_;
  std::set<SessionId> opened_;
  std::set<std::string> used_;
};

class Projector {
 public:
  Projector(ModelDisk& disk, const Actor& actor, Instant at)
      : disk_(disk), actor_(actor), at_(at), seq_(disk.log.size()) {}

  void operator()(const SessionOpened& fact) {
    disk_.sessions[fact.session.id] = {seq_, fact.session, {}};
    disk_.by_seq.emplace(seq_, fact.session.id);
  }
  void operator()(const SessionExtended& fact) {
    if (auto* known = session(fact.session); known != nullptr && !known->session.end)
      known->session.expires = fact.expires;
  }
  void operator()(const SessionEnded& fact) {
    if (auto* known = session(fact.session); known != nullptr && !known->session.end)
      known->session.end = fact.end;
  }
  void operator()(const SessionGroups& fact) {
    if (auto* known = session(fact.session); known != nullptr) known->groups.push_back({at_, fact});
  }

  void operator()(const ChangeIntended& fact) { disk_.intents.emplace(seq_, fact); }
  void operator()(const ChangeRejected& fact) {
    if (!fact.unknown) answer(fact.batch, fact.target, fact.change);
  }
  void operator()(const ChangeApplied& fact) {
    answer(fact.batch, fact.target, fact.change);
    const Change& change = fact.change;
    switch (change.action) {
      case Action::add:
      case Action::extend:
      case Action::shorten:
        if (change.entry != EntryId())
          disk_.entries[change.entry] = {fact.target, change.slot.get(), change.prefix};
        return stand(fact);
      case Action::remove:
        if (change.entry != EntryId())
          disk_.entries[change.entry] = {fact.target, change.slot.get(), change.prefix};
        if (auto* was = find(fact.target, change.slot, change.prefix); was != nullptr)
          end(*was, at_, change.reason);
        return;
      case Action::protect:
      case Action::unprotect:
      case Action::keep:
      case Action::reshape:
      case Action::report:
        return;
    }
  }
  void operator()(const EntryExpired& fact) {
    if (auto* was = find(fact.target, fact.slot, fact.prefix); was != nullptr)
      end(*was, fact.at, Reason::expiry);
  }

  void operator()(const PolicyAdopted& fact) {
    if (!fact.previous.empty())
      std::erase_if(disk_.confirmations, [](const auto& one) {
        return one.second.state == Confirmation::State::returned;
      });
    disk_.adoptions.push_back(
        {seq_, {fact.revision, fact.previous, at_, fact.author, fact.subject}});
  }
  void operator()(const ConfirmationDue& fact) {
    disk_.confirmations[fact.target] = {fact.target, fact.policy, fact.previous,
                                        fact.due,    fact.plan,   Confirmation::State::due};
  }
  void operator()(const PolicyConfirmed& fact) { disk_.confirmations.erase(fact.target); }
  void operator()(const PolicyReturned& fact) {
    auto at = disk_.confirmations.find(fact.target);
    if (at == disk_.confirmations.end()) return;
    at->second.policy = fact.policy;
    at->second.previous = fact.previous;
    at->second.state = Confirmation::State::returned;
  }
  void operator()(const PolicyAdvanced& fact) {
    disk_.hold.reset();
    if (fact.held) disk_.hold = PolicyHold{fact.revision, at_, actor_, fact.reason};
  }
  void operator()(const PlanUsed& fact) { disk_.plans.emplace(fact.nonce, seq_); }
  void operator()(const StoreRestored& fact) {
    disk_.restored = RestoredStore{at_, fact.taken, fact.how, fact.evidence};
  }
  void operator()(const StoreRecovered&) { disk_.restored.reset(); }
  template <class Other>
  void operator()(const Other&) {}  // told by the log alone

 private:
  KnownSession* session(const SessionId& id) {
    auto at = disk_.sessions.find(id);
    return at == disk_.sessions.end() ? nullptr : &at->second;
  }

  /// Of two intents for one entry (a reshape has them) the one with the same action first.
  void answer(std::uint64_t batch, const TargetName& target, const Change& change) {
    auto best = disk_.intents.end();
    for (auto at = disk_.intents.begin(); at != disk_.intents.end(); ++at) {
      const ChangeIntended& one = at->second;
      if (one.batch != batch || one.target != target || one.change.slot != change.slot ||
          one.change.prefix != change.prefix)
        continue;
      bool same = one.change.action == change.action;
      if (best == disk_.intents.end() || same) best = at;
      if (same) break;
    }
    if (best != disk_.intents.end()) disk_.intents.erase(best);
  }

  Interval* find(const TargetName& target, const std::string& slot, const Prefix& prefix) {
    auto there = disk_.standing.find(target);
    if (there == disk_.standing.end()) return nullptr;
    auto at = there->second.find({slot, prefix});
    return at == there->second.end() ? nullptr : &disk_.intervals[at->second];
  }

  Instant deadline_of(const Change& change, Instant otherwise) const {
    if (change.until) return *change.until;
    for (const auto& cause : change.causes) otherwise = std::max(otherwise, cause.until);
    return otherwise;
  }

  void end(Interval& was, Instant removed, Reason because) {
    was.removed = std::min(removed, was.entry.until);
    was.reason = because;
    disk_.standing[was.entry.target].erase({was.entry.slot, was.entry.prefix});
  }

  void begin(const ChangeApplied& fact) {
    const Change& change = fact.change;
    int& readded = disk_.readded[{fact.target, change.slot.get(), change.prefix}];
    readded = change.reason == Reason::drift ? readded + 1 : 0;
    Interval fresh;
    fresh.entry = {fact.target, change.slot, change.prefix, deadline_of(change, at_),
                   at_,         fact.policy, change.causes, readded};
    fresh.state_since = at_;
    disk_.standing[fact.target][{change.slot, change.prefix}] = disk_.intervals.size();
    disk_.intervals.push_back(std::move(fresh));
  }

  void stand(const ChangeApplied& fact) {
    const Change& change = fact.change;
    auto* was = find(fact.target, change.slot, change.prefix);
    if (was == nullptr) return begin(fact);
    if (was->entry.until <= at_) {
      end(*was, was->entry.until, Reason::expiry);
      return begin(fact);
    }
    if (deadline_of(change, was->entry.until) <= at_) return end(*was, at_, change.reason);
    bool same = was->entry.causes == change.causes && was->entry.policy == fact.policy;
    if (!same && was->state_since < at_)
      was->before.push_back({was->state_since, at_, was->entry.policy, was->entry.causes});
    if (change.action == Action::add)
      was->entry.readded = change.reason == Reason::drift ? was->entry.readded + 1 : 0;
    disk_.readded[{fact.target, change.slot.get(), change.prefix}] = was->entry.readded;
    was->entry.until = deadline_of(change, was->entry.until);
    was->entry.policy = fact.policy;
    was->entry.causes = change.causes;
    if (!same) was->state_since = std::max(was->state_since, at_);
  }

  ModelDisk& disk_;
  const Actor& actor_;
  Instant at_;
  std::uint64_t seq_;
};

// ---- what is read ----

Session as_known(const ModelDisk& disk, const KnownSession& known, Instant at) {
  Session out = known.session;
  if (auto aside = disk.ends_aside.find(out.id); !out.end && aside != disk.ends_aside.end())
    out.end = aside->second;
  for (const GroupsOf& one : known.groups) {
    if (one.at > at) break;
    out.groups_until = one.fact.kept_until;
    if (one.fact.kept_until) continue;
    out.groups = one.fact.groups;
    out.groups_lost = out.groups_lost || one.fact.lost;
  }
  return out;
}

std::optional<EndCause> end_of(std::optional<Reason> reason) {
  if (reason == Reason::expiry) return EndCause::expired;
  if (reason == Reason::sign_out) return EndCause::signed_out;
  if (reason == Reason::revoked) return EndCause::revoked;
  return std::nullopt;
}

std::vector<AppliedInterval> stretches_of(const Interval& interval) {
  AppliedInterval last{interval.entry,          interval.removed,
                       end_of(interval.reason), interval.reason,
                       interval.state_since,    interval.removed.value_or(interval.entry.until)};
  std::vector<AppliedInterval> out;
  if (last.from > last.entry.since)
    for (const Stretch& before : interval.before) {
      AppliedInterval& was = out.emplace_back(last);
      was.from = before.from;
      was.till = std::min(before.till, last.till);
      was.entry.policy = before.policy;
      was.entry.causes = before.causes;
    }
  out.push_back(std::move(last));
  return out;
}

bool serves(const AppliedEntry& entry, const ServiceName& service) {
  return entry.slot == service.value ||
         std::any_of(entry.causes.begin(), entry.causes.end(),
                     [&](const Attribution& cause) { return cause.service == service; });
}

bool gives_tickets(const AppliedInterval& one) {
  return std::any_of(one.entry.causes.begin(), one.entry.causes.end(),
                     [](const auto& cause) { return cause.lasts == Lasts::first_connection; });
}

class ModelStore final : public FactStore {
 public:
  ModelStore(std::shared_ptr<ModelDisk> disk, bool writer)
      : disk_(std::move(disk)), writer_(writer) {}
  ~ModelStore() override {
    std::lock_guard lock(disk_->mutex);
    if (writer_) disk_->has_writer = false;
  }

  Result<std::uint64_t> append(const Actor& actor, Instant at,
                               std::span<const Fact> facts) override {
    std::lock_guard lock(disk_->mutex);
    KNOCK_CHECK(write(actor, at, facts));
    return disk_->log.size();
  }

  bool writable() const override {
    std::lock_guard lock(disk_->mutex);
    return writer_ && !finished_;
  }

  std::vector<UnwrittenEnd> unwritten_ends() const override {
    std::lock_guard lock(disk_->mutex);
    std::vector<UnwrittenEnd> out;
    for (const auto& [id, end] : disk_->ends_aside) {
      auto known = disk_->sessions.find(id);
      auto expires = known == disk_->sessions.end() ? end.at : known->second.session.expires;
      out.push_back({id, end, expires, true, ""});
    }
    return out;
  }

  Result<std::uint64_t> head() const override {
    std::lock_guard lock(disk_->mutex);
    return disk_->log.size();
  }
  Result<std::optional<Instant>> last_time() const override {
    std::lock_guard lock(disk_->mutex);
    return disk_->log.empty() ? std::nullopt : std::optional(disk_->log.back().at);
  }
  Result<std::optional<Instant>> first_time() const override {
    std::lock_guard lock(disk_->mutex);
    return disk_->log.empty() ? std::nullopt : std::optional(disk_->log.front().at);
  }
  Result<std::vector<Record>> records(std::uint64_t after, std::size_t limit) const override {
    std::lock_guard lock(disk_->mutex);
    encode_all();
    auto from = std::min<std::size_t>(after, disk_->encoded.size());
    auto to = from + std::min(limit, disk_->encoded.size() - from);
    return std::vector<Record>(disk_->encoded.begin() + std::ptrdiff_t(from),
                               disk_->encoded.begin() + std::ptrdiff_t(to));
  }
  Result<ChainCheck> verify(
      const std::function<void(std::uint64_t, std::uint64_t)>& progress) const override {
    std::lock_guard lock(disk_->mutex);
    encode_all();
    ChainCheck out;
    for (const Record& record : disk_->encoded) {
      ++out.records;
      if (progress) progress(out.records, disk_->encoded.size());
      if (record.prev == out.head && record.hash == chain_hash(record)) {
        out.head = record.hash;
        continue;
      }
      out.good = false;
      out.broken_at = record.seq;
      out.why = "the chain is broken";
      break;
    }
    return out;
  }

  Result<std::vector<Session>> live_sessions(Instant now) const override {
    return sessions_where(Instant::max(), [&](const Session& s) { return s.live_at(now); });
  }
  Result<std::vector<Session>> sessions(std::size_t limit) const override {
    std::lock_guard lock(disk_->mutex);
    std::vector<Session> out;
    for (auto at = disk_->by_seq.rbegin(); at != disk_->by_seq.rend() && out.size() < limit; ++at)
      out.push_back(as_known(*disk_, disk_->sessions.at(at->second), Instant::max()));
    return out;
  }
  Result<std::optional<Session>> session(const SessionId& id) const override {
    std::lock_guard lock(disk_->mutex);
    auto at = disk_->sessions.find(id);
    return at == disk_->sessions.end()
               ? std::nullopt
               : std::optional(as_known(*disk_, at->second, Instant::max()));
  }
  Result<std::vector<Session>> sessions_at(Instant at) const override {
    return sessions_where(at, [&](const Session& s) {
      return s.created <= at && s.expires > at && (!s.end || s.end->at > at);
    });
  }

  Result<std::vector<AppliedEntry>> applied(const TargetName& target) const override {
    std::lock_guard lock(disk_->mutex);
    std::vector<AppliedEntry> out;
    if (auto there = disk_->standing.find(target); there != disk_->standing.end())
      for (const auto& [key, index] : there->second) out.push_back(disk_->intervals[index].entry);
    return out;
  }
  Result<std::vector<ChangeIntended>> open_intents() const override {
    std::lock_guard lock(disk_->mutex);
    std::vector<ChangeIntended> out;
    for (const auto& [seq, intent] : disk_->intents) out.push_back(intent);
    return out;
  }
  Result<std::vector<AppliedInterval>> applied_at(const ServiceName& service,
                                                  Instant at) const override {
    return applied_between(service, at, {at.ms + 1});
  }
  Result<std::vector<AppliedInterval>> applied_between(const ServiceName& service, Instant from,
                                                       Instant to) const override {
    auto out = stretches([&](const AppliedInterval& one) {
      return one.from < one.till && one.from < to && one.till > from && serves(one.entry, service);
    });
    std::map<std::pair<TargetName, std::string>, std::vector<AppliedInterval>> ordered;
    for (AppliedInterval& one : out)
      ordered[{one.entry.target, one.entry.slot}].push_back(std::move(one));
    out.clear();
    for (auto& [where, some] : ordered)
      out.insert(out.end(), std::make_move_iterator(some.begin()),
                 std::make_move_iterator(some.end()));
    return out;
  }
  Result<std::vector<AppliedInterval>> applied_with_tickets(const TargetName& target,
                                                            Instant since) const override {
    return stretches([&](const AppliedInterval& one) {
      return one.entry.target == target && one.entry.until > since && gives_tickets(one);
    });
  }
  Result<std::vector<AppliedInterval>> entry_history(const EntryId& entry) const override {
    std::optional<std::tuple<TargetName, std::string, Prefix>> where;
    {
      std::lock_guard lock(disk_->mutex);
      if (auto at = disk_->entries.find(entry); at != disk_->entries.end()) where = at->second;
    }
    if (!where) return std::vector<AppliedInterval>();
    return stretches([&](const AppliedInterval& one) {
      return one.from < one.till &&
             std::tie(one.entry.target, one.entry.slot, one.entry.prefix) == *where;
    });
  }

  Result<std::optional<AdoptedPolicy>> adopted_policy() const override {
    std::lock_guard lock(disk_->mutex);
    if (disk_->adoptions.empty()) return std::nullopt;
    const auto& revision = disk_->adoptions.back().second.revision;
    auto at = disk_->policies.find(revision);
    if (at == disk_->policies.end())
      return fail(ErrorKind::not_found, "the files of policy " + revision.value +
                                            " were never saved in this store; read them from the "
                                            "policy's source");
    return std::optional(at->second);
  }
  Result<std::vector<Confirmation>> confirmations() const override {
    std::lock_guard lock(disk_->mutex);
    std::vector<Confirmation> out;
    for (const auto& [target, one] : disk_->confirmations) out.push_back(one);
    return out;
  }
  Result<std::optional<AdoptedPolicy>> kept_policy(const PolicyRevision& revision) const override {
    std::lock_guard lock(disk_->mutex);
    auto at = disk_->policies.find(revision);
    return at == disk_->policies.end() ? std::nullopt : std::optional(at->second);
  }
  Result<std::optional<PolicyHold>> policy_hold() const override {
    std::lock_guard lock(disk_->mutex);
    return disk_->hold;
  }
  Result<std::optional<RestoredStore>> restored() const override {
    std::lock_guard lock(disk_->mutex);
    return disk_->restored;
  }
  Result<std::optional<Adoption>> adoption_at(Instant at) const override {
    return last_adoption([&](const Adoption& one) { return one.at <= at; });
  }
  Result<std::optional<Adoption>> adoption_of(const PolicyRevision& revision) const override {
    return last_adoption([&](const Adoption& one) { return one.revision == revision; });
  }
  Status save_policy(const AdoptedPolicy& policy) override {
    constexpr std::size_t kept = 4;
    std::lock_guard lock(disk_->mutex);
    KNOCK_CHECK(may_write());
    std::set<PolicyRevision> keep;
    auto newest = disk_->adoptions.rbegin();
    for (std::size_t i = 0; i < kept && newest != disk_->adoptions.rend(); ++i, ++newest)
      keep.insert(newest->second.revision);
    for (const auto& [target, one] : disk_->confirmations) keep.insert(one.previous);
    std::erase_if(disk_->policies, [&](const auto& one) { return !keep.contains(one.first); });
    AdoptedPolicy& saved = disk_->policies[policy.revision] = policy;
    std::sort(saved.files.begin(), saved.files.end(),
              [](const PolicyFile& a, const PolicyFile& b) { return a.path < b.path; });
    return {};
  }

  Result<std::vector<Account>> accounts() const override { return values(disk_->accounts); }
  Result<std::optional<Account>> account(const std::string& user) const override {
    std::lock_guard lock(disk_->mutex);
    auto at = disk_->accounts.find(user);
    return at == disk_->accounts.end() ? std::nullopt : std::optional(at->second);
  }
  Status save_account(const Actor& actor, Instant at, const Account& account,
                      const std::string& what) override {
    std::lock_guard lock(disk_->mutex);
    const Fact fact = AccountChanged{account.user, what};
    KNOCK_CHECK(write(actor, at, {&fact, 1}));
    Account& saved = disk_->accounts[account.user] = account;
    std::sort(saved.groups.begin(), saved.groups.end());
    return {};
  }
  Status remove_account(const Actor& actor, Instant at, const std::string& user) override {
    std::lock_guard lock(disk_->mutex);
    if (!disk_->accounts.contains(user))
      return fail(ErrorKind::not_found, "there is no local account \"" + user + "\"");
    const Fact fact = AccountChanged{user, "removed"};
    KNOCK_CHECK(write(actor, at, {&fact, 1}));
    disk_->accounts.erase(user);
    return {};
  }

  Result<std::vector<ApiKey>> keys() const override { return values(disk_->keys); }
  Status save_key(const Actor& actor, Instant at, const ApiKey& key,
                  const std::string& what) override {
    std::lock_guard lock(disk_->mutex);
    const Fact fact = KeyChanged{key.name, what, to_words(key.scopes), key.expires, key.from};
    KNOCK_CHECK(write(actor, at, {&fact, 1}));
    disk_->keys[key.name] = key;
    return {};
  }
  Status remove_key(const Actor& actor, Instant at, const std::string& name) override {
    std::lock_guard lock(disk_->mutex);
    auto key = disk_->keys.find(name);
    if (key == disk_->keys.end())
      return fail(ErrorKind::not_found, "there is no API key \"" + name + "\"");
    const Fact fact = KeyChanged{name, "revoked", to_words(key->second.scopes), key->second.expires,
                                 key->second.from};
    KNOCK_CHECK(write(actor, at, {&fact, 1}));
    disk_->keys.erase(key);
    return {};
  }
  Status note_key_used(const std::string& name, Instant at) override {
    std::lock_guard lock(disk_->mutex);
    KNOCK_CHECK(may_write());
    if (auto key = disk_->keys.find(name); key != disk_->keys.end()) key->second.last_used = at;
    return {};
  }
  Result<bool> plan_used(const std::string& nonce) const override {
    std::lock_guard lock(disk_->mutex);
    return disk_->plans.contains(nonce);
  }

 private:
  Status may_write() const {
    if (!writer_) return fail(ErrorKind::unsupported, "this handle reads only");
    if (finished_) return fail(ErrorKind::unavailable, "an earlier write failed; open it again");
    if (disk_->faults.full) return fail(ErrorKind::unavailable, "the disk is full");
    return {};
  }

  /// All of it or nothing, but for what a failed write leaves on the disk. With the mutex.
  Status write(const Actor& actor, Instant at, std::span<const Fact> facts) {
    auto written = append_all(actor, at, facts);
    if (!written && writer_) keep_aside(facts);
    return written;
  }

  /// As a store does that has a small file of its own for them (docs/adr/0013).
  void keep_aside(std::span<const Fact> facts) {
    for (const Fact& fact : facts)
      if (const auto* ended = std::get_if<SessionEnded>(&fact);
          ended != nullptr && ended->end.cause != EndCause::expired)
        disk_->ends_aside.emplace(ended->session, ended->end);
  }

  Status append_all(const Actor& actor, Instant at, std::span<const Fact> facts) {
    KNOCK_CHECK(may_write());
    if (!disk_->ends_aside.empty())
      for (const auto& [id, end] : std::exchange(disk_->ends_aside, {}))
        add({end.at, "store", SessionEnded{id, end, "kept beside the log"}});
    Checker check(*disk_);
    for (const Fact& fact : facts) KNOCK_CHECK(std::visit(check, fact));
    bool fails = disk_->faults.good_appends == 0;
    if (!fails && disk_->faults.good_appends != SIZE_MAX) --disk_->faults.good_appends;
    if (!fails || disk_->faults.lands)
      for (const Fact& fact : facts) add({at, actor, fact});
    if (!fails) return {};
    disk_->faults = {};
    finished_ = true;
    return fail(ErrorKind::unavailable, "the disk did not take it");
  }

  void add(Written record) {
    disk_->log.push_back(std::move(record));
    const Written& added = disk_->log.back();
    std::visit(Projector(*disk_, added.actor, added.at), added.fact);
  }

  /// With the mutex.
  void encode_all() const {
    for (std::size_t i = disk_->encoded.size(); i < disk_->log.size(); ++i) {
      Record record;
      record.seq = i + 1;
      record.at = disk_->log[i].at;
      record.actor = disk_->log[i].actor;
      record.fact = encode(disk_->log[i].fact);
      if (!record.fact.personal_json.empty())
        record.commitment = to_hex(sha256(record.fact.personal_json));
      if (i > 0) record.prev = disk_->encoded[i - 1].hash;
      record.hash = chain_hash(record);
      disk_->encoded.push_back(std::move(record));
    }
  }

  template <class Wanted>
  Result<std::vector<Session>> sessions_where(Instant at, Wanted wanted) const {
    std::lock_guard lock(disk_->mutex);
    std::vector<Session> out;
    for (const auto& [seq, id] : disk_->by_seq) {
      auto session = as_known(*disk_, disk_->sessions.at(id), at);
      if (wanted(session)) out.push_back(std::move(session));
    }
    return out;
  }

  template <class Wanted>
  std::vector<AppliedInterval> stretches(Wanted wanted) const {
    std::lock_guard lock(disk_->mutex);
    std::vector<AppliedInterval> out;
    for (const Interval& interval : disk_->intervals)
      for (AppliedInterval& one : stretches_of(interval))
        if (wanted(one)) out.push_back(std::move(one));
    return out;
  }

  template <class Wanted>
  std::optional<Adoption> last_adoption(Wanted wanted) const {
    std::lock_guard lock(disk_->mutex);
    auto at = std::find_if(disk_->adoptions.rbegin(), disk_->adoptions.rend(),
                           [&](const auto& one) { return wanted(one.second); });
    return at == disk_->adoptions.rend() ? std::nullopt : std::optional(at->second);
  }

  template <class Map>
  std::vector<typename Map::mapped_type> values(const Map& map) const {
    std::lock_guard lock(disk_->mutex);
    std::vector<typename Map::mapped_type> out;
    for (const auto& [name, value] : map) out.push_back(value);
    return out;
  }

  const std::shared_ptr<ModelDisk> disk_;
  const bool writer_;
  bool finished_ = false;
};

}  // namespace

std::shared_ptr<ModelDisk> make_model_disk() { return std::make_shared<ModelDisk>(); }

void set_faults(ModelDisk& disk, const DiskFaults& faults) {
  std::lock_guard lock(disk.mutex);
  disk.faults = faults;
}

Result<std::unique_ptr<FactStore>> open_model_store(std::shared_ptr<ModelDisk> disk,
                                                    ModelHandle handle) {
  bool writer = handle == ModelHandle::writer;
  if (writer) {
    std::lock_guard lock(disk->mutex);
    if (disk->has_writer)
      return fail(ErrorKind::conflict, fmt::format("process {} writes this store", ::getpid()));
    disk->has_writer = true;
  }
  return std::make_unique<ModelStore>(std::move(disk), writer);
}

}  // namespace knock
