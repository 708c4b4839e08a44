// SPDX-License-Identifier: Apache-2.0
// Under a policy of `connections: 1` there are never more connections than sign-ins, whatever
// policy, people, administrators and crashes do in between; and a fresh sign-in is never refused.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <tuple>

#include "reconciler/core/plan.h"
#include "tests/support/model_target.h"

namespace knock::test {
namespace {

const TargetName kEdge("edge");
const PortRange kSsh{Protocol::tcp, 22, 22};
const char* const kAddresses[] = {"192.0.2.7", "2001:db8::7"};

/// One target, what the log says of it, and who is signed in.
class History {
 public:
  History() { place_.exists = true; }

  void sign_in() {
    auto id = SessionId(fmt::format("s{}", ++sign_ins_));
    Instant until = now_ + Duration::minutes(*rc::gen::inRange(1, 30));
    live_[id] = {address(), until};
    ++given_[live_[id].first];
    fresh_.insert(id);
    converge();
  }
  void sign_out() {
    if (live_.empty()) return;
    auto at = std::next(live_.begin(), *rc::gen::inRange<long>(0, long(live_.size())));
    ended_.insert(at->first);
    live_.erase(at);
    converge();
  }
  void knock() {
    auto where = address();
    if (place_.connect(where, kSsh, now_)) ++connections_[where];
    RC_ASSERT(connections_[where] <= given_[where]);
  }
  void pass_time() {
    now_ = now_ + Duration::minutes(*rc::gen::inRange(1, 10));
    expire();
    if (*rc::gen::arbitrary<bool>()) converge();
  }
  /// Policy takes the service from everybody, or gives it back.
  void change_policy() {
    denied_ = !denied_;
    converge();
  }
  void take_away_by_hand() {
    place_.slots["ssh"].elements.erase(Prefix::host(address()));
    if (*rc::gen::arbitrary<bool>()) converge();
  }
  void lose_the_table() {
    place_ = {};
    converge();
  }
  /// A new controller knows what the log says: every ticket, and of entries those that stand.
  void restart() {
    std::erase_if(applied_, [&](const auto& pair) { return pair.second.until <= now_; });
    converge();
  }

 private:
  static IpAddress address() {
    return *IpAddress::parse(kAddresses[*rc::gen::inRange<std::size_t>(0, 2)]);
  }

  void expire() {
    for (auto& [name, slot] : place_.slots)
      std::erase_if(slot.elements, [&](const auto& pair) {
        return pair.second.ends && *pair.second.ends <= now_;
      });
    std::erase_if(live_, [&](const auto& pair) {
      bool over = pair.second.second <= now_;
      if (over) fresh_.erase(pair.first);
      return over;
    });
  }

  Allowlist desired() const {
    Allowlist list;
    list.target = kEdge;
    list.protect = {kSsh};
    ServiceEntries ssh{ServiceName("ssh"), {kSsh}, {}};
    std::map<Prefix, Entry> entries;
    for (const auto& [id, where] : live_) {
      if (denied_) continue;
      auto prefix = Prefix::host(where.first);
      auto [at, fresh] =
          entries.try_emplace(prefix, Entry{prefix, where.second, {}, Lasts::first_connection, {}});
      at->second.until = std::max(at->second.until, where.second);
      at->second.causes.edit([&](auto& causes) {
        causes.push_back({Attribution::Kind::session, id, "ana", ServiceName("ssh"), RuleName("r"),
                          where.second, Lasts::first_connection});
      });
    }
    for (auto& [prefix, entry] : entries) ssh.entries.push_back(std::move(entry));
    list.services.push_back(std::move(ssh));
    return list;
  }

  void converge() {
    expire();
    auto wanted = place_.canonicalize(desired());
    Target target;
    target.name = kEdge;
    Policy policy;
    auto capabilities = place_.capabilities();
    Result<Observed> observed = place_.observe(now_);
    std::vector<AppliedEntry> applied;
    for (const auto& [prefix, entry] : applied_) applied.push_back(entry);
    TargetPlanInput input{target,   policy,  capabilities, wanted, nullptr,
                          observed, applied, now_,         {},     true};
    input.ended = [&](const SessionId& id) -> std::optional<EndCause> {
      if (ended_.contains(id)) return EndCause::signed_out;
      return live_.contains(id) ? std::nullopt : std::optional(EndCause::expired);
    };
    input.had_ticket = [&](const std::string&, const Prefix& prefix, const SessionId& id) {
      return tickets_.contains({prefix, id});
    };
    for (const Change& change : plan_target(input).plan.changes)
      if (change.action != Action::report) apply(change);
    for (const auto& [id, where] : live_)
      if (!denied_ && fresh_.erase(id) > 0) RC_ASSERT(opens(where.first));
  }

  bool opens(const IpAddress& where) const {
    auto copy = place_;
    return copy.connect(where, kSsh, now_);
  }

  void apply(const Change& change) {
    auto refused = place_.apply(change);
    if (!refused.empty()) RC_FAIL(refused);
    bool entry = change.action == Action::add || change.action == Action::extend ||
                 change.action == Action::shorten;
    if (change.action == Action::remove) applied_.erase(change.prefix);
    if (!entry) return;
    applied_[change.prefix] = {kEdge, "ssh", change.prefix, *change.until,
                               now_,  {},    change.causes, 0};
    for (const Attribution& cause : change.causes)
      if (cause.lasts == Lasts::first_connection) tickets_.emplace(change.prefix, cause.session);
  }

  ModelTarget place_;
  Instant now_ = Instant::from_seconds(1'800'000'000);
  bool denied_ = false;
  int sign_ins_ = 0;
  std::map<SessionId, std::pair<IpAddress, Instant>> live_;
  std::set<SessionId> ended_, fresh_;
  std::map<Prefix, AppliedEntry> applied_;
  std::set<std::pair<Prefix, SessionId>> tickets_;
  std::map<IpAddress, int> given_, connections_;
};

RC_GTEST_PROP(Connections, AreNeverMoreThanSignIns, ()) {
  History history;
  history.change_policy();
  history.change_policy();
  auto steps = *rc::gen::inRange(5, 40);
  for (int i = 0; i < steps; ++i) {
    switch (*rc::gen::weightedElement<int>(
        {{4, 0}, {2, 1}, {6, 2}, {1, 3}, {1, 4}, {1, 5}, {1, 6}, {1, 7}})) {
      case 0:
        history.sign_in();
        break;
      case 1:
        history.sign_out();
        break;
      case 2:
        history.knock();
        break;
      case 3:
        history.pass_time();
        break;
      case 4:
        history.change_policy();
        break;
      case 5:
        history.take_away_by_hand();
        break;
      case 6:
        history.lose_the_table();
        break;
      default:
        history.restart();
    }
  }
}

}  // namespace
}  // namespace knock::test
