// SPDX-License-Identifier: Apache-2.0
#include "tests/support/generators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <set>

#include "tests/support/choices.h"

namespace knock::test {
namespace {

Prefix prefix(const char* text) { return *Prefix::parse(text); }

const std::vector<IpAddress>& addresses() {
  static const std::vector<IpAddress> all = [] {
    std::vector<IpAddress> out;
    for (auto text : {"192.0.2.10", "192.0.2.200", "198.51.100.7", "203.0.113.9", "2001:db8:1::7",
                      "2001:db8:2::7"})
      out.push_back(*IpAddress::parse(text));
    return out;
  }();
  return all;
}

const std::vector<Prefix>& prefixes() {
  static const std::vector<Prefix> all = {prefix("192.0.2.0/24"),    prefix("192.0.2.0/25"),
                                          prefix("192.0.2.10/32"),   prefix("198.51.100.7/32"),
                                          prefix("203.0.113.0/28"),  prefix("2001:db8:2::/48"),
                                          prefix("2001:db8:2::/64"), prefix("2001:db8:1::7/128")};
  return all;
}

const std::vector<PortRange>& port_pool() {
  static const std::vector<PortRange> all = [] {
    std::vector<PortRange> out;
    for (auto text : {"tcp/22", "tcp/80", "tcp/443", "tcp/80-90", "tcp/85-443", "udp/53"})
      out.push_back(*PortRange::parse(text));
    return out;
  }();
  return all;
}

std::vector<PortRange> any_ports() {
  std::vector<PortRange> out;
  for (int i = 1 + below(2); i > 0; --i) out.push_back(pick(port_pool()));
  return canonical_ports(std::move(out));
}

template <class Rules>
std::string fresh_name(const Rules& rules, const std::string& stem) {
  for (int i = 0;; ++i) {
    auto name = stem + std::to_string(i);
    if (std::none_of(rules.begin(), rules.end(),
                     [&](const auto& rule) { return rule.name.value == name; }))
      return name;
  }
}

template <class Named>
void sort_by_name(std::vector<Named>& list) {
  std::sort(list.begin(), list.end(),
            [](const Named& a, const Named& b) { return a.name < b.name; });
}

template <class Named>
auto names_of(const std::vector<Named>& list) {
  std::vector<decltype(list.front().name)> out;
  for (const Named& one : list) out.push_back(one.name);
  return out;
}

SourceCondition any_source(const Policy& policy, int percent) {
  SourceCondition out;
  if (chance(percent)) out.in = some(names_of(policy.networks));
  if (chance(percent / 2)) out.not_in = {pick(names_of(policy.networks))};
  return out;
}

void add_allow(Policy& policy) {
  AllowRule rule;
  rule.name = RuleName(fresh_name(policy.allow, "allow"));
  rule.who = some(names_of(policy.groups));
  rule.from = any_source(policy, 15);
  rule.to = some(names_of(policy.services));
  rule.ttl = pick(std::vector{Duration::minutes(30), Duration::hours(2), Duration::hours(8)});
  policy.allow.push_back(std::move(rule));
  sort_by_name(policy.allow);
}

void add_static(Policy& policy) {
  StaticRule rule;
  rule.name = RuleName(fresh_name(policy.statics, "static"));
  for (int i = 1 + below(2); i > 0; --i) rule.cidr.push_back({pick(prefixes()), false});
  std::sort(rule.cidr.begin(), rule.cidr.end());
  rule.to = some(names_of(policy.services));
  rule.owner = "sre";
  rule.reason = "probes";
  rule.until = Instant::from_seconds(1'800'000'000 + 3600 * (below(48) - 2));
  policy.statics.push_back(std::move(rule));
  sort_by_name(policy.statics);
}

void add_deny(Policy& policy) {
  DenyRule rule;
  rule.name = RuleName(fresh_name(policy.deny, "deny"));
  if (chance(40)) rule.who = {pick(names_of(policy.groups))};
  rule.from = any_source(policy, 60);
  if (rule.who.empty() && rule.from.in.empty()) rule.from.in = {pick(names_of(policy.networks))};
  rule.to = some(names_of(policy.services));
  policy.deny.push_back(std::move(rule));
  sort_by_name(policy.deny);
}

template <class Rules, class Edit>
void each_list_of_services(Rules& rules, Edit edit) {
  for (auto& rule : rules) {
    edit(rule.to);
    std::sort(rule.to.begin(), rule.to.end());
  }
  std::erase_if(rules, [](const auto& rule) { return rule.to.empty(); });
}

template <class Edit>
void in_all_rules(Policy& policy, Edit edit) {
  each_list_of_services(policy.allow, edit);
  each_list_of_services(policy.statics, edit);
  each_list_of_services(policy.deny, edit);
}

void rename_service(Policy& policy, Service& service) {
  auto was = service.name;
  service.name = ServiceName(fresh_name(policy.services, "new"));
  in_all_rules(policy, [&](std::vector<ServiceName>& to) {
    std::replace(to.begin(), to.end(), was, service.name);
  });
  sort_by_name(policy.services);
}

void remove_service(Policy& policy, std::size_t index) {
  if (policy.services.size() == 1) return;
  auto name = policy.services[index].name;
  policy.services.erase(policy.services.begin() + std::ptrdiff_t(index));
  in_all_rules(policy, [&](std::vector<ServiceName>& to) { std::erase(to, name); });
}

void move_port(Service& from, Service& to) {
  auto range = pick(from.ports);
  to.ports.push_back(range);
  to.ports = canonical_ports(std::move(to.ports));
  auto rest = subtract(from.ports, {range});
  if (!rest.empty()) from.ports = std::move(rest);
}

void edit_services(Policy& policy) {
  auto index = std::size_t(below(int(policy.services.size())));
  Service& service = policy.services[index];
  switch (below(7)) {
    case 0:
      return rename_service(policy, service);
    case 1:
      return move_port(service, policy.services[std::size_t(below(int(policy.services.size())))]);
    case 2:
      service.ports.push_back(pick(port_pool()));
      service.ports = canonical_ports(std::move(service.ports));
      return;
    case 3: {
      auto less = subtract(service.ports, {pick(port_pool())});
      if (!less.empty()) service.ports = std::move(less);
      return;
    }
    case 4:
      service.ports = any_ports();
      return;
    case 5:
      service.targets = some(names_of(policy.targets));
      return;
    default:
      return remove_service(policy, index);
  }
}

template <class Rules>
void drop_one(Rules& rules) {
  if (!rules.empty()) rules.erase(rules.begin() + below(int(rules.size())));
}

void edit_rules(Policy& policy) {
  switch (below(8)) {
    case 0:
      return add_allow(policy);
    case 1:
      return drop_one(policy.allow);
    case 2:
      return add_static(policy);
    case 3:
      return drop_one(policy.statics);
    case 4:
      return add_deny(policy);
    case 5:
      return drop_one(policy.deny);
    case 6:
      if (!policy.allow.empty()) policy.allow.front().to = some(names_of(policy.services));
      return;
    default:
      if (!policy.allow.empty()) policy.allow.front().ttl = Duration::hours(1 + below(4));
  }
}

/// What the older moment left on a target, before anything happened to it.
void settle(World::Place& place, const TargetName& name, const Canonical& was, Instant now) {
  ModelTarget& model = place.model;
  model.exists = true;
  model.protect = was.structure.protect;
  model.keep = was.structure.keep;
  for (const Slot& slot : was.slots) {
    model.slots[slot.name].ports = slot.ports;
    for (const Item& item : slot.items) {
      place.applied.push_back({name, slot.name, item.prefix, item.until, now - Duration::hours(1),
                               PolicyRevision("was"), item.causes, 0});
      bool ran_out = model.native_expiry && item.until <= now;
      if (ran_out) continue;
      auto ends = model.native_expiry ? std::optional(item.until) : std::nullopt;
      model.slots[slot.name].elements[item.prefix] = {true, item.until, ends};
    }
  }
}

void meddle_with_entries(World::Place& place, Instant now) {
  ModelTarget& model = place.model;
  for (AppliedEntry& entry : place.applied) {
    auto& elements = model.slots[entry.slot].elements;
    if (chance(8)) elements.erase(entry.prefix);
    if (chance(20)) entry.readded = 1;
    auto at = elements.find(entry.prefix);
    if (at == elements.end()) continue;
    if (chance(8) && model.native_expiry) at->second.ends = now + Duration::minutes(1 + below(900));
    if (chance(3) && model.native_expiry) at->second.ends = std::nullopt;
    if (chance(8)) at->second.until = now + Duration::minutes(below(600) - 30);
  }
  if (chance(20)) drop_one(place.applied);
}

/// Entries that nothing explains: ours by their mark, or somebody else's.
void add_strangers(ModelTarget& model, Instant now) {
  for (auto& [name, slot] : model.slots) {
    if (chance(75)) continue;
    ModelElement element;
    element.ours = chance(50);
    if (element.ours) {
      element.until = now + Duration::minutes(below(120) - 20);
      if (model.native_expiry) element.ends = element.until;
    }
    slot.elements.emplace(pick(prefixes()), element);
  }
}

void meddle_with_structure(ModelTarget& model) {
  if (chance(15)) model.slots["older"].ports = any_ports();
  if (chance(10)) model.protect = any_ports();
  if (chance(10)) model.keep = {pick(prefixes())};
  if (chance(15) && !model.slots.empty()) {
    auto at = model.slots.begin();
    std::advance(at, below(int(model.slots.size())));
    if (chance(50))
      at->second.ports = any_ports();
    else
      model.slots.erase(at);
  }
}

std::vector<Session> as_of(std::vector<Session> sessions, Instant then) {
  for (Session& session : sessions)
    if (session.end && session.end->at > then) session.end.reset();
  std::erase_if(sessions, [&](const Session& session) { return session.created > then; });
  return sessions;
}

}  // namespace

Policy any_policy() {
  Policy policy;
  policy.revision = PolicyRevision("aaaaaaa");
  for (auto name : {"g1", "g2", "g3"}) {
    Group group{GroupName(name), "idp-" + std::string(name), {}, {}};
    if (chance(30)) group.from = {SignInName("local")};
    policy.groups.push_back(std::move(group));
  }
  policy.networks = {{NetworkName("blocked"),
                      {{prefix("192.0.2.0/25"), false}, {prefix("2001:db8:2::/64"), false}},
                      {}},
                     {NetworkName("office"),
                      {{prefix("198.51.100.0/24"), false}, {prefix("2001:db8:1::/48"), false}},
                      {}},
                     {NetworkName("vpn"),
                      {{prefix("192.0.2.0/24"), false}, {prefix("203.0.113.0/28"), false}},
                      {}}};
  int targets = 1 + below(3);
  for (int i = 0; i < targets; ++i) {
    Target target;
    target.name = TargetName("target" + std::to_string(i));
    target.type = "nftables";
    target.settings = NftablesSettings{"knock" + std::to_string(i), "", chance(85), {Hook::input}};
    if (chance(30)) target.max_ttl = Duration::minutes(10 + 60 * below(3));
    policy.targets.push_back(std::move(target));
  }
  for (auto name : {"db", "ssh", "web"})
    if (policy.services.empty() || chance(75))
      policy.services.push_back(
          {ServiceName(name), any_ports(), some(names_of(policy.targets)), {}});
  for (int i = 1 + below(3); i > 0; --i) add_allow(policy);
  for (int i = below(3); i > 0; --i) add_static(policy);
  for (int i = below(2); i > 0; --i) add_deny(policy);
  return policy;
}

Policy edited(Policy policy) {
  policy.revision = PolicyRevision("bbbbbbb");
  for (int i = 1 + below(4); i > 0; --i) {
    if (chance(60))
      edit_services(policy);
    else
      edit_rules(policy);
  }
  sort_by_name(policy.services);
  return policy;
}

std::vector<Session> any_sessions(Instant now, int most) {
  std::vector<Session> out;
  for (int i = below(most + 1); i > 0; --i) {
    Session session;
    session.id = SessionId("session" + std::to_string(i));
    auto who = pick(std::vector<std::string>{"ana", "bob", "dora"});
    session.principal = {"https://idp.example", who, who};
    session.proof = pick(std::vector{Proof::oidc, Proof::local, Proof::grant});
    session.source = SignInName(std::string(to_string(session.proof)));
    for (auto group : {"g1", "g2", "g3"})
      if (chance(50))
        session.groups.push_back(session.proof == Proof::grant ? group
                                                               : "idp-" + std::string(group));
    session.address = pick(addresses());
    session.created = now - Duration::minutes(below(180));
    session.expires = (now + Duration::minutes(below(600) - 60)).floor_to_second();
    session.authenticated = session.created;
    if (chance(15))
      session.end =
          SessionEnd{now - Duration::minutes(below(30)),
                     pick(std::vector{EndCause::signed_out, EndCause::revoked, EndCause::replaced,
                                      EndCause::restored, EndCause::expired})};
    out.push_back(std::move(session));
  }
  return out;
}

std::optional<EndCause> World::ended(const SessionId& id) const {
  for (const Session& session : sessions) {
    if (session.id != id) continue;
    if (session.end) return session.end->cause;
    return session.live_at(now) ? std::nullopt : std::optional(EndCause::expired);
  }
  return std::nullopt;
}

Canonical World::desired_on(const Target& target, const Policy& policy) const {
  for (const Allowlist& list : evaluate({policy, sessions, now, keep}))
    if (list.target == target.name) return places.at(target.name).model.canonicalize(list);
  return {};
}

PlannedTarget World::plan(const Target& target, bool acknowledged) const {
  const Place& place = places.at(target.name);
  Canonical desired = desired_on(target, planned);
  Canonical before = desired_on(target, in_force);
  bool same = planned.revision == in_force.revision;
  Result<Observed> observed = place.model.observe(now);
  TargetPlanInput input{
      target,        planned,      place.model.capabilities(),
      desired,       nullptr,      observed,
      place.applied, now,          [this](const SessionId& id) { return ended(id); },
      acknowledged,  std::nullopt, sessions};
  if (!first && !same) input.desired_in_force = &before;
  input.stewardship = stewardship;
  return plan_target(input);
}

namespace {

/// Targets as the policy in force left them a while ago.
void grow(World& world, bool edited_by_people) {
  Instant then = world.now - Duration::minutes(20);
  auto sessions = as_of(world.sessions, then);
  auto lists = evaluate({world.in_force, sessions, then, world.keep});
  for (const Target& target : world.planned.targets) {
    World::Place place;
    place.model.native_expiry = chance(50);
    for (const Allowlist& list : lists)
      if (list.target == target.name && !world.first)
        settle(place, target.name, place.model.canonicalize(list), world.now);
    if (edited_by_people && place.model.exists) {
      meddle_with_entries(place, world.now);
      meddle_with_structure(place.model);
      add_strangers(place.model, world.now);
    }
    world.places.emplace(target.name, std::move(place));
  }
}

const Instant kAbout = Instant::from_seconds(1'800'000'000);

}  // namespace

World any_world() {
  World world;
  world.now = kAbout + Duration{below(1000)};
  world.in_force = any_policy();
  world.planned = chance(80) ? edited(world.in_force) : world.in_force;
  world.first = chance(12);
  world.sessions = any_sessions(world.now);
  for (int i = below(3); i > 0; --i)
    world.keep.push_back(pick(std::vector{prefix("198.51.100.0/25"), prefix("203.0.113.9/32"),
                                          prefix("2001:db8:1::/64")}));
  grow(world, chance(50));
  return world;
}

World exchanging_world() {
  World world;
  world.now = kAbout;
  do {
    world.in_force = any_policy();
  } while (world.in_force.services.size() < 2);
  Policy& policy = world.in_force;
  policy.targets.resize(1);
  policy.targets.front().settings = NftablesSettings{};
  for (Service& service : policy.services) service.targets = {policy.targets.front().name};
  world.planned = policy;
  world.planned.revision = PolicyRevision("bbbbbbb");
  std::swap(world.planned.services[0].ports, world.planned.services[1].ports);
  for (int i = below(4); i > 0; --i) edit_rules(world.planned);
  world.sessions = any_sessions(world.now, 5);
  grow(world, chance(20));
  return world;
}

std::string describe(const ModelTarget& model) {
  std::string out = fmt::format("protect [{}] keep", to_string(model.protect));
  for (const Prefix& prefix : model.keep) out += " " + prefix.to_string();
  out += "\n";
  for (const auto& [name, slot] : model.slots) {
    out += fmt::format("  {} [{}]", name, to_string(slot.ports));
    for (const auto& [prefix, element] : slot.elements)
      out += fmt::format(" {}{}", prefix.to_string(), element.ours ? "" : " (foreign)");
    out += "\n";
  }
  return out;
}

std::string describe(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes) {
    out += fmt::format("  {} {} {} {} [{}] {}", int(change.step), to_string(change.action),
                       to_string(change.reason), change.slot, to_string(change.ports),
                       change.prefix.to_string());
    for (const Prefix& prefix : change.keep) out += " keep " + prefix.to_string();
    out += change.until ? " until " + to_string(*change.until) + "\n" : "\n";
  }
  return out;
}

std::string describe(const World& world, const Target& target) {
  auto acknowledged = world.plan(target, true).plan;
  auto plan = world.plan(target, false).plan;
  return fmt::format("{} at {}\n{}all changes\n{}passing\n{}held\n{}in force\n{}planned\n{}",
                     target.name.value, to_string(world.now),
                     describe(world.places.at(target.name).model), describe(acknowledged.changes),
                     describe(plan.changes), describe(plan.held), to_yaml(world.in_force),
                     to_yaml(world.planned));
}

namespace {

bool shares_an_address(const std::vector<Session>& sessions, Instant now) {
  std::set<IpAddress> seen;
  return std::any_of(sessions.begin(), sessions.end(), [&](const Session& session) {
    return session.live_at(now) && !seen.insert(session.address).second;
  });
}

bool overlap_of_services(const Policy& policy) {
  for (const Service& a : policy.services)
    for (const Service& b : policy.services)
      if (a.name < b.name && subtract(a.ports, b.ports) != a.ports) return true;
  return false;
}

bool has_v6(const std::vector<Session>& sessions) {
  return std::any_of(sessions.begin(), sessions.end(),
                     [](const Session& session) { return session.address.family() == Family::v6; });
}

}  // namespace

void Shares::count(const World& world) {
  bool entries = false;
  for (const Target& target : world.planned.targets)
    for (const Slot& slot : world.desired_on(target, world.planned).slots)
      entries = entries || !slot.items.empty();
  ++cases_;
  also("non-empty", entries);
  also("overlapping", overlap_of_services(world.planned));
  also("IPv6", has_v6(world.sessions));
  also("shared address", shares_an_address(world.sessions, world.now));
}

void Shares::count(const std::vector<Session>& sessions, const Policy& policy, bool non_empty) {
  ++cases_;
  also("non-empty", non_empty);
  also("overlapping", overlap_of_services(policy));
  also("IPv6", has_v6(sessions));
  std::set<IpAddress> seen;
  also("shared address", std::any_of(sessions.begin(), sessions.end(), [&](const Session& s) {
         return !seen.insert(s.address).second;
       }));
}

void Shares::also(const std::string& kind, bool is) { of_[kind] += is ? 1 : 0; }

void Shares::judge(const std::vector<std::string>& more) const {
  const char* params = std::getenv("RC_PARAMS");
  std::cout << fmt::format("[ shares   ] RC_PARAMS \"{}\", {} cases:", params ? params : "",
                           cases_);
  for (const auto& [kind, n] : of_)
    std::cout << fmt::format(" {} {:.1f} %", kind, 100.0 * double(n) / double(cases_));
  std::cout << "\n";
  if (cases_ < 500) return;  // too few to tell
  auto kinds = more;
  for (auto kind : {"non-empty", "overlapping", "IPv6", "shared address"}) kinds.push_back(kind);
  for (const auto& kind : kinds)
    EXPECT_GE(of_.at(kind) * 5, cases_) << kind << " cases are below 20 %";
}

}  // namespace knock::test
