// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/failpoint.h"
#include "base/sha256.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/loop/reconciler.h"
#include "schemas/policy/load.h"
#include "simulation/model_store.h"
#include "simulation/simulated_target.h"
#include "simulation/virtual_time.h"

namespace knock {
namespace {

/// The process is gone.
struct Crash {};

const Instant kBegin = Instant::from_seconds(1'800'000'000);
/// What must close has closed so long after the last fault there.
constexpr Duration kClosedWithin = Duration::seconds(90);
/// What somebody prolonged by hand is seen by the next full reading.
constexpr Duration kTamperedWithin = Duration::minutes(25);

// ---- policies ----

std::string policy_text(const std::string& allow, const std::string& more = {},
                        const std::string& web_port = "tcp/443",
                        std::optional<TargetShape> without = {}) {
  std::string text = "knock: 1\ntargets:\n";
  std::string all;
  for (TargetShape shape : kTargetShapes) {
    if (shape == without) continue;
    auto name = std::string(to_string(shape));
    auto table = name;
    std::replace(table.begin(), table.end(), '-', '_');
    text += "  " + name + ": {type: nftables, table: " + table + "}\n";
    all += (all.empty() ? "" : ", ") + name;
  }
  return text + "services:\n  ssh: {ports: [tcp/22], targets: [" + all + "]}\n  web: {ports: [" +
         web_port + "], targets: [per-entry, document]}\n" +
         "groups:\n  admins: {idp: admins}\n  devs: {idp: devs}\n"
         "networks: {blocked: [203.0.113.0/29]}\n"
         "static: {probe: {cidr: [198.51.100.17/32], to: [ssh], owner: sre, reason: probes, "
         "until: 2030-01-01}}\n"
         "allow:\n" +
         allow + more;
}

struct KnownPolicy {
  std::string text;
  std::shared_ptr<const Policy> policy;
};

const std::vector<KnownPolicy>& known_policies() {
  static const auto all = [] {
    const std::string admins = "  admins: {who: [admins], to: [ssh, web], ttl: 2h}\n";
    const std::string devs = "  devs: {who: [devs], to: [web], ttl: 30m}\n";
    const std::string texts[] = {
        policy_text(admins + devs),
        policy_text(admins),
        policy_text(admins + devs, "deny: {listed: {from: {in: [blocked]}, to: [\"*\"]}}\n"),
        policy_text(devs),
        policy_text(admins + devs, "", "tcp/8443"),
        policy_text("  admins: {who: [admins], to: [ssh, web], ttl: 5m}\n" + devs),
        policy_text(admins + devs, "", "tcp/443", TargetShape::kernel),
        policy_text(admins + devs, "", "tcp/443", TargetShape::versioned_set),
        policy_text("  few: {who: [admins], to: [ssh], ttl: 1h, max_ips_per_user: 1}\n"),
    };
    std::vector<KnownPolicy> out;
    PolicyContext context;
    context.sign_ins_known = true;
    context.sign_ins = {SignInName("local")};
    for (const auto& text : texts) {
      auto loaded = load_policy({{"main.yaml", text, ""}},
                                PolicyRevision("r" + std::to_string(out.size())), context);
      if (!loaded.policy) std::abort();  // a text of this file
      out.push_back({text, std::make_shared<const Policy>(std::move(*loaded.policy))});
    }
    return out;
  }();
  return all;
}

const std::vector<Prefix>& keep() {
  static const std::vector<Prefix> prefixes{*Prefix::parse("192.0.2.1/32")};
  return prefixes;
}

using Key = std::pair<std::string, Prefix>;

/// What may stand on one target: by slot and prefix, until when.
using Granted = std::map<Key, Instant>;

class World {
 public:
  explicit World(const SimulationSettings& settings)
      : settings_(settings),
        clock_(kBegin),
        random_(settings.seed),
        step_random_(0),
        disk_(make_model_disk()),
        targets_world_{clock_, [this](SimulatedTarget& t, CallPoint at) { yield(t, at); },
                       [this](SimulatedTarget& t, const Change& c) { check_opening(t, c); }} {
    for (TargetShape shape : kTargetShapes) {
      auto target = std::make_unique<SimulatedTarget>();
      target->name = to_string(shape);
      target->shape = shape;
      targets_.push_back(std::move(target));
    }
  }
  ~World() {
    failpoint::set_hook({});
    loop_.reset();
  }

  SimulationResult run() {
    failpoint::set_hook([this](std::string_view) -> std::optional<Error> {
      count_down();
      return std::nullopt;
    });
    guarded([&] { start_process(); });
    guarded([&] { adopt(0); });
    for (step_ = 1; step_ <= settings_.steps && !out_.violation; ++step_) {
      if (settings_.left_out.contains(step_)) continue;
      step_random_ = SeededRandom(settings_.seed * 0x9E3779B97F4A7C15u + step_);
      guarded([&] { happen(); });
      guarded([&] { work(step_random_.below(4)); });
      check();
    }
    if (!out_.violation) mend();
    finish();
    return std::move(out_);
  }

 private:
  // ---- the process ----

  /// Whatever is done ends at a crash, and the process is started again later.
  template <class Work>
  void guarded(Work work) {
    try {
      work();
    } catch (const Crash&) {
      ++out_.crashes;
      tell("the process is gone");
      crash_in_ = 0;
      depth_ = 0;
      moved_.clear();  // it spoke to the process that is gone
      loop_.reset();
      store_.reset();
      trouble_everywhere();
    }
  }

  void start_process() {
    if (loop_) return;
    auto opened = open_model_store(disk_);
    if (!opened) std::abort();
    store_ = std::move(*opened);
    ReconcilerSettings settings;
    settings.keep = keep();
    settings.workers = 0;
    settings.sign_ins = {SignInName("local")};
    auto factory = [this](const Target& target,
                          TargetMoved moved) -> Result<std::unique_ptr<Provider>> {
      for (auto& one : targets_)
        if (one->name == target.name.value) {
          moved_[one->name] = std::move(moved);
          return provider_of(*one, targets_world_);
        }
      return fail(ErrorKind::not_found, "no such target");
    };
    loop_ = std::make_unique<Reconciler>(*store_, clock_, random_, factory, settings);
    if (!loop_->start()) std::abort();
    if (policy_ != nullptr) loop_->resume(policy_);
    trouble_everywhere();
    tell("the process starts");
  }

  void adopt(std::size_t index) {
    const auto& [text, policy] = known_policies()[index];
    AdoptedPolicy adopted{policy->revision, clock_.now(), "", "", {{"main.yaml", text, ""}}};
    if (!loop_->adopt("git", adopted, policy)) return;
    policy_ = policy;
    ++out_.policies;
    tell("policy " + policy->revision.value + " is adopted");
  }

  void work(std::size_t most) {
    if (!loop_) return;
    loop_->tick();
    for (std::size_t i = 0; i < most && loop_->run_one(); ++i) {
    }
  }

  void pass(Duration time) {
    auto until = clock_.now() + time;
    while (clock_.now() < until) {
      auto left = until - clock_.now();
      if (!loop_) return clock_.pass(left);
      auto wake = loop_->tick();
      for (int i = 0; i < 200 && loop_->run_one(); ++i) {
      }
      if (clock_.now() >= until) break;
      wake = std::min(wake, loop_->tick());
      auto wait = Duration{
          std::chrono::duration_cast<std::chrono::milliseconds>(wake - clock_.monotonic()).count()};
      clock_.pass(std::clamp(wait, Duration{1}, until - clock_.now()));
      check();
      if (out_.violation) return;
    }
  }

  // ---- what happens ----

  void happen() {
    ++out_.events;
    if (!loop_) {
      if (step_random_.one_in(3)) return start_process();
      return pass(Duration{std::int64_t(step_random_.below(20'000))});
    }
    struct Event {
      std::size_t weight;
      void (World::*work)();
    };
    static constexpr Event kEvents[] = {
        {30, &World::sign_in},    {10, &World::sign_out},     {6, &World::revoke},
        {25, &World::time},       {4, &World::change_policy}, {8, &World::edit_by_hand},
        {14, &World::break_one},  {3, &World::crash_soon},    {2, &World::disk_trouble},
        {2, &World::acknowledge}, {2, &World::look},          {2, &World::pause},
    };
    std::size_t all = 0;
    for (const Event& event : kEvents) all += event.weight;
    auto drawn = step_random_.below(all);
    for (const Event& event : kEvents) {
      if (drawn < event.weight) return (this->*event.work)();
      drawn -= event.weight;
    }
  }

  IpAddress some_address() {
    return IpAddress::v4(0xCB007100u + std::uint32_t(step_random_.below(16)));
  }

  void sign_in() {
    Session session;
    auto user = "u" + std::to_string(step_random_.below(10));
    session.principal = {"local", user, user};
    session.source = SignInName("local");
    session.groups = {step_random_.one_in(3) ? "devs" : "admins"};
    session.address = some_address();
    session.authenticated = session.created = clock_.now();
    session.expires = clock_.now() + Duration::seconds(20 + std::int64_t(step_random_.below(4000)));
    session.id = SessionId(fmt::format("s{}-{}", step_, ++opened_));
    // Where the record failed, or the process died, nobody knows whether it landed: the session may
    // live.
    sessions_.push_back(session);
    auto opened = loop_->open_session("front", session);
    ++out_.sign_ins;
    tell(fmt::format("{} of {} signs in from {} until {}{}", user, session.groups[0],
                     session.address.to_string(), to_string(session.expires),
                     opened ? "" : ", and is told that it failed"));
    check_store();
  }

  void end_one(EndCause cause) {
    auto live = loop_->live_sessions();
    if (live.empty()) return;
    const Session& session = live[step_random_.below(live.size())];
    (void)loop_->end_session("front", session.id, cause, "");
    ended_[session.id] = clock_.now();
    tell(fmt::format("the session of {} from {} ends: {}", session.principal.name,
                     session.address.to_string(), to_string(cause)));
    check_store();
  }
  void sign_out() { end_one(EndCause::signed_out); }
  void revoke() { end_one(EndCause::revoked); }

  void time() {
    static constexpr std::int64_t kSpans[] = {20, 500, 5'000, 60'000, 700'000};
    auto span = Duration{1 + std::int64_t(step_random_.below(
                                 std::size_t(kSpans[step_random_.below(std::size(kSpans))])))};
    tell(fmt::format("{} ms pass", span.ms));
    if (depth_ > 0) return clock_.pass(std::min(span, Duration::seconds(5)));
    pass(span);
  }

  void change_policy() { adopt(step_random_.below(known_policies().size())); }

  void edit_by_hand() {
    ++out_.edits;
    SimulatedTarget& target = *targets_[step_random_.below(targets_.size())];
    if (target.model.slots.empty()) return;
    auto slot = target.model.slots.begin();
    std::advance(slot, step_random_.below(target.model.slots.size()));
    Key key{slot->first, Prefix::host(some_address())};
    auto at = slot->second.elements.find(key.second);
    if (at == slot->second.elements.end()) {
      ModelElement foreign;
      foreign.ours = false;
      slot->second.elements[key.second] = foreign;
      target.foreign[key] = foreign;
      tell(target.name + ": somebody adds " + key.second.to_string());
    } else if (!at->second.ours) {
      slot->second.elements.erase(at);
      target.foreign.erase(key);
      tell(target.name + ": somebody removes the foreign " + key.second.to_string());
    } else if (step_random_.one_in(4)) {
      auto later = *at->second.until + Duration::hours(1);
      at->second.until = later;
      if (at->second.ends) at->second.ends = later;
      tampered_[{target.name, key.first, key.second}] = clock_.now();
      tell(target.name + ": somebody prolongs " + key.second.to_string());
    } else {
      slot->second.elements.erase(at);
      removed_.insert({target.name, key.first, key.second});
      tell(target.name + ": somebody removes " + key.second.to_string());
    }
    ++target.revision;
    if (step_random_.one_in(2))
      if (auto moved = moved_.find(target.name); moved != moved_.end() && loop_)
        moved->second(TargetName(target.name));
  }

  void break_one() {
    ++out_.faults;
    SimulatedTarget& target = *targets_[step_random_.below(targets_.size())];
    auto fault = CallFault(1 + step_random_.below(6));
    bool read = fault == CallFault::partial_read || step_random_.one_in(3);
    (read ? target.next_read : target.next_write) = fault;
    tell(fmt::format("{}: the next {} goes wrong ({})", target.name, read ? "reading" : "writing",
                     int(fault)));
  }

  void crash_soon() {
    crash_in_ = 1 + step_random_.below(40);
    tell(fmt::format("the process will end at effect {}", crash_in_));
  }

  void disk_trouble() {
    DiskFaults faults;
    faults.full = step_random_.one_in(2);
    if (!faults.full) {
      faults.good_appends = step_random_.below(10);
      faults.lands = step_random_.one_in(2);
    }
    set_faults(*disk_, faults);
    disk_ok_at_ = clock_.now() + Duration::seconds(30);
    tell(faults.full ? "the disk is full" : "the disk will fail");
  }

  void acknowledge() {
    if (depth_ > 0) return;
    auto plan = loop_->plan(*policy_);
    if (!plan || plan->guards.empty()) return;
    (void)loop_->acknowledge("ops", to_hex(plan->id));
    tell("ops acknowledge what is held");
  }

  void look() {
    loop_->refresh({});
    tell("everything is read again");
  }

  void pause() {
    TargetName name(targets_[step_random_.below(targets_.size())]->name);
    if (step_random_.one_in(2))
      (void)loop_->resume_target("ops", name, "");
    else
      (void)loop_->pause("ops", name, clock_.now() + Duration::minutes(10), "");
    tell(name.value + ": paused, or not any more");
    check_store();
  }

  /// A store that refused a write for good is opened again by a new process.
  void check_store() {
    if (clock_.now() >= disk_ok_at_) set_faults(*disk_, {});
    if (store_ && !store_->writable()) throw Crash();
  }

  // ---- within calls ----

  void count_down() {
    ++out_.events;
    if (crash_in_ > 0 && --crash_in_ == 0) throw Crash();
  }

  void yield(SimulatedTarget& target, CallPoint at) {
    ++out_.calls;
    bool armed = target.next_read != CallFault::none || target.next_write != CallFault::none;
    if (armed) target.trouble = clock_.now();
    count_down();
    clock_.pass(Duration{1 + std::int64_t(step_random_.below(std::size_t(target.latency.ms)))});
    if (depth_ > 0 || mending_ || at == CallPoint::after || !step_random_.one_in(12)) return;
    ++depth_;
    static constexpr void (World::* kMeanwhile[])() = {&World::sign_in, &World::sign_out,
                                                       &World::revoke,  &World::edit_by_hand,
                                                       &World::time,    &World::change_policy};
    (this->*kMeanwhile[step_random_.below(std::size(kMeanwhile))])();
    --depth_;
  }

  // ---- what must never happen ----

  void violated(std::string invariant, std::string what) {
    if (!out_.violation)
      out_.violation = Violation{std::move(invariant), std::move(what), step_, clock_.now()};
  }

  Granted granted_by(const Policy& policy, const std::vector<Session>& sessions,
                     const std::string& target) {
    Granted out;
    for (const Allowlist& list : evaluate({policy, sessions, clock_.now(), keep()})) {
      if (list.target.value != target) continue;
      for (const ServiceEntries& service : list.services)
        for (const Entry& entry : service.entries)
          out[{service.service.value, entry.prefix}] = entry.until;
    }
    return out;
  }

  /// Sessions of this moment, and those that ended a moment ago: a call that is under way knows no
  /// better.
  std::vector<Session> about_now() {
    std::vector<Session> out;
    Instant now = clock_.now();
    std::erase_if(sessions_, [&](const Session& one) {
      auto ended = ended_.find(one.id);
      return one.expires + Duration::seconds(60) < now ||
             (ended != ended_.end() && ended->second + Duration::seconds(60) < now);
    });
    for (const Session& one : sessions_) {
      auto ended = ended_.find(one.id);
      if (ended == ended_.end() || now - ended->second <= Duration::seconds(10)) out.push_back(one);
    }
    return out;
  }

  void check_opening(SimulatedTarget& target, const Change& change) {
    Key key{change.slot, change.prefix};
    auto sessions = about_now();
    for (const auto& [text, policy] : known_policies()) {
      auto granted = granted_by(*policy, sessions, target.name);
      auto at = granted.find(key);
      if (at != granted.end() && *change.until <= at->second) return;
    }
    violated("opened-without-grant",
             fmt::format("{}: {} {} {} until {}", target.name, to_string(change.action), key.first,
                         key.second.to_string(), to_string(*change.until)));
  }

  void check() {
    if (out_.violation) return;
    Instant now = clock_.now();
    auto live = loop_ ? loop_->live_sessions() : std::vector<Session>();
    for (auto& target : targets_) {
      target->expire(now);
      check_foreign(*target);
      if (!target->model.protect.empty() && target->model.keep != keep())
        violated("keep-missing", target->name);
      if (loop_) check_own(*target, live);
    }
  }

  void check_foreign(SimulatedTarget& target) {
    std::size_t n = 0;
    for (const auto& [slot, held] : target.model.slots)
      for (const auto& [prefix, element] : held.elements) {
        if (element.ours) continue;
        ++n;
        auto at = target.foreign.find({slot, prefix});
        if (at == target.foreign.end() || at->second != element)
          violated("foreign-touched", target.name + ": " + slot + " " + prefix.to_string());
      }
    if (n < target.foreign.size())
      violated("foreign-touched", target.name + ": a foreign entry is gone");
  }

  void check_own(SimulatedTarget& target, const std::vector<Session>& live) {
    Instant now = clock_.now();
    std::optional<Granted> granted;
    for (const auto& [slot, held] : target.model.slots)
      for (const auto& [prefix, element] : held.elements) {
        if (!element.ours) continue;
        if (!granted) granted = granted_by_any(live, target.name);
        std::tuple where{target.name, slot, prefix};
        auto may = granted->find({slot, prefix});
        bool granted_now = may != granted->end() && may->second > now;
        if (granted_now && *element.until <= may->second) {
          overdue_.erase(where);
          continue;
        }
        auto& [since_when, wholly] = overdue_.try_emplace(where, now, !granted_now).first->second;
        if (!granted_now && !std::exchange(wholly, true)) since_when = now;
        auto since = std::max(since_when, target.trouble.value_or(since_when));
        auto limit = tampered_.contains(where) ? kTamperedWithin : kClosedWithin;
        if (now - since > limit)
          violated("open-too-long", fmt::format("{}: {} {} until {}", target.name, slot,
                                                prefix.to_string(), to_string(*element.until)));
      }
    for (auto at = overdue_.begin(); at != overdue_.end();)
      at = std::get<0>(at->first) == target.name && !stands(target, at->first) ? overdue_.erase(at)
                                                                               : std::next(at);
  }

  static bool stands(const SimulatedTarget& target,
                     const std::tuple<std::string, std::string, Prefix>& where) {
    auto slot = target.model.slots.find(std::get<1>(where));
    if (slot == target.model.slots.end()) return false;
    auto at = slot->second.elements.find(std::get<2>(where));
    return at != slot->second.elements.end() && at->second.ours;
  }

  /// What guards hold back keeps what an earlier policy gave; time and sessions are those of now.
  Granted granted_by_any(const std::vector<Session>& live, const std::string& target) {
    Granted out;
    for (const auto& [text, policy] : known_policies())
      for (const auto& [key, until] : granted_by(*policy, live, target)) {
        Instant& longest = out[key];
        longest = std::max(longest, until);
      }
    return out;
  }

  // ---- the end ----

  /// Everything works again; what stands must become what is wanted.
  void mend() {
    mending_ = true;
    crash_in_ = 0;
    set_faults(*disk_, {});
    for (auto& target : targets_) target->next_read = target->next_write = CallFault::none;
    guarded([&] {
      if (store_ && !store_->writable()) {
        moved_.clear();
        loop_.reset();
        store_.reset();
      }
      start_process();
      if (policy_ == nullptr || loop_->policy() == nullptr) adopt(0);
      for (auto& target : targets_) (void)loop_->resume_target("ops", TargetName(target->name), "");
      for (int round = 0; round < 30 && !out_.violation; ++round) {
        acknowledge();
        pass(Duration::minutes(1));
      }
      check_settled();
      auto chain = store_->verify({});
      if (!chain || !chain->good) violated("chain", chain ? chain->why : chain.error().text());
    });
  }

  void check_settled() {
    if (out_.violation) return;
    auto live = loop_->live_sessions();
    for (auto& target : targets_) {
      auto want = granted_by(*policy_, live, target->name);
      for (const auto& [slot, held] : target->model.slots)
        for (const auto& [prefix, element] : held.elements) {
          auto at = want.find({slot, prefix});
          bool good = !element.ours || (at != want.end() && *element.until == at->second);
          if (!good)
            violated("not-settled",
                     fmt::format("{}: {} {} until {} stands, wanted until {}", target->name, slot,
                                 prefix.to_string(), to_string(*element.until),
                                 at == want.end() ? "never" : to_string(at->second)));
        }
      for (const auto& [key, until] : want)
        if (!stands(*target, {target->name, key.first, key.second}) &&
            !target->foreign.contains(key) &&
            !removed_.contains({target->name, key.first, key.second}))
          violated("not-settled", fmt::format("{}: {} {} is not open", target->name, key.first,
                                              key.second.to_string()));
    }
  }

  void finish() {
    Sha256 digest;
    for (auto& target : targets_)
      for (const auto& [slot, held] : target->model.slots)
        for (const auto& [prefix, element] : held.elements)
          digest.add(fmt::format("{} {} {} {} {}\n", target->name, slot, prefix.to_string(),
                                 element.ours, element.until ? element.until->ms : 0));
    digest.add(fmt::format("{} {} {}", clock_.now().ms, out_.events, out_.calls));
    out_.digest = to_hex(digest.finish());
  }

  void trouble_everywhere() {
    for (auto& target : targets_) target->trouble = clock_.now();
  }

  void tell(std::string what) {
    out_.story.push_back(fmt::format("{:6} {} {}{}", step_,
                                     to_string_ms(clock_.now()).substr(11, 12),
                                     depth_ > 0 ? "  meanwhile " : "", what));
  }

  const SimulationSettings& settings_;
  VirtualClock clock_;
  SeededRandom random_;       // the loop's own
  SeededRandom step_random_;  // of one step: leaving another step out changes nothing here
  std::shared_ptr<ModelDisk> disk_;
  std::unique_ptr<FactStore> store_;
  std::vector<std::unique_ptr<SimulatedTarget>> targets_;
  TargetWorld targets_world_;
  std::unique_ptr<Reconciler> loop_;
  std::shared_ptr<const Policy> policy_;
  std::map<std::string, TargetMoved> moved_;
  std::vector<Session> sessions_;
  std::map<SessionId, Instant> ended_;
  /// Since when it stands longer than it may, and whether nothing grants it at all.
  std::map<std::tuple<std::string, std::string, Prefix>, std::pair<Instant, bool>> overdue_;
  std::map<std::tuple<std::string, std::string, Prefix>, Instant> tampered_;
  std::set<std::tuple<std::string, std::string, Prefix>> removed_;
  Instant disk_ok_at_;
  std::size_t step_ = 0, crash_in_ = 0, opened_ = 0;
  int depth_ = 0;
  bool mending_ = false;
  SimulationResult out_;
};

}  // namespace

SimulationResult simulate(const SimulationSettings& settings) { return World(settings).run(); }

SimulationResult smallest_story(const SimulationSettings& settings, const SimulationResult& found,
                                std::size_t tries) {
  SimulationResult best = found;
  if (!found.violation) return best;
  SimulationSettings now = settings;
  now.steps = found.violation->step;
  auto still = [&](const SimulationSettings& trial) {
    if (tries == 0) return false;
    --tries;
    auto result = simulate(trial);
    bool same = result.violation && result.violation->invariant == found.violation->invariant;
    if (same) best = std::move(result);
    return same;
  };
  // Parts of the story are left out, large ones first.
  for (std::size_t part = std::max<std::size_t>(1, now.steps / 2); part > 0 && tries > 0; part /= 2)
    for (std::size_t from = 1; from <= now.steps && tries > 0; from += part) {
      auto trial = now;
      for (std::size_t step = from; step < from + part; ++step) trial.left_out.insert(step);
      if (trial.left_out.size() > now.left_out.size() && still(trial)) now = trial;
    }
  return best;
}

}  // namespace knock
