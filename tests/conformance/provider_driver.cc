// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/provider_driver.h"

#include <algorithm>

#include "base/text.h"
#include "reconciler/core/guard.h"

namespace knock::test {

ProviderDriver::ProviderDriver(Provider& provider, TargetName target) : provider_(provider) {
  target_.name = std::move(target);
}

TargetPlan ProviderDriver::whole_plan(const Allowlist& desired) {
  auto canonical = provider_.canonicalize(desired);
  auto observed = observe();
  auto capabilities = provider_.capabilities();
  TargetPlanInput input{target_,  policy_, capabilities, canonical, nullptr, observed,
                        applied_, now(),   {},           true,      {}};
  input.had_ticket = [&](const std::string& slot, const Prefix& at, const SessionId& session) {
    return tickets_.contains({slot, at, session});
  };
  input.stewardship = stewardship_;
  return plan_target(input).plan;
}

std::vector<std::string> ProviderDriver::reports(const Allowlist& desired) {
  std::vector<std::string> out;
  for (const auto& change : whole_plan(desired).changes)
    if (change.action == Action::report) out.push_back(change.detail);
  return out;
}

TargetPlan ProviderDriver::plan(const Allowlist& desired) {
  auto plan = whole_plan(desired);
  std::erase_if(plan.changes, [](const Change& c) { return c.action == Action::report; });
  return plan;
}

Result<Outcome> ProviderDriver::apply(const TargetPlan& plan, const Allowlist& desired) {
  auto structure = provider_.canonicalize(desired).structure;
  auto outcome = provider_.apply(plan, structure, now(), Deadline::in(Duration::seconds(20)));
  if (!outcome) return outcome;
  EXPECT_EQ(outcome->steps.size(), plan.changes.size());
  for (std::size_t i = 0; i < outcome->steps.size(); ++i)
    if (outcome->steps[i].kind == StepOutcome::Kind::done) remember(plan.changes[i]);
  return outcome;
}

TargetPlan ProviderDriver::converge(const Allowlist& desired) {
  auto made = plan(desired);
  EXPECT_TRUE(made.readable) << made.unreadable_because;
  auto outcome = apply(made, desired);
  if (!outcome) {
    ADD_FAILURE() << outcome.error().text() << "\n" << describe(made);
    return made;
  }
  for (std::size_t i = 0; i < outcome->steps.size(); ++i)
    EXPECT_EQ(outcome->steps[i].kind, StepOutcome::Kind::done)
        << i << ": " << outcome->steps[i].why << "\n"
        << describe(made);
  return made;
}

void ProviderDriver::remember(const Change& change) {
  bool entry = change.action == Action::add || change.action == Action::extend ||
               change.action == Action::shorten || change.action == Action::remove;
  if (!entry) return;
  std::erase_if(applied_, [&](const AppliedEntry& e) {
    return e.slot == change.slot && e.prefix == change.prefix;
  });
  if (change.action == Action::remove) return;
  for (const auto& cause : change.causes)
    if (cause.lasts == Lasts::first_connection)
      tickets_.emplace(change.slot, change.prefix, cause.session);
  AppliedEntry e;
  e.target = target_.name;
  e.slot = change.slot;
  e.prefix = change.prefix;
  e.until = *change.until;
  e.causes = change.causes;
  applied_.push_back(std::move(e));
}

std::string ProviderDriver::describe(const TargetPlan& plan) {
  std::string out;
  for (const auto& change : plan.changes) {
    out += std::string(to_string(change.action));
    if (!change.slot.empty()) out += " " + change.slot.get();
    bool entry = change.action == Action::add || change.action == Action::extend ||
                 change.action == Action::shorten || change.action == Action::remove;
    out += " " + (entry ? change.prefix.to_string() : to_string(change.ports)) + "\n";
  }
  return out;
}

Attribution cause(const std::string& service, Instant until) {
  Attribution out;
  out.kind = Attribution::Kind::fixed;
  out.who = "tester";
  out.service = ServiceName(service);
  out.rule = RuleName("rule");
  out.until = until;
  return out;
}

AllowlistBuilder& AllowlistBuilder::service(const std::string& name, const std::string& text) {
  out.services.push_back({ServiceName(name), ports(text), {}});
  return *this;
}

AllowlistBuilder& AllowlistBuilder::entry(const std::string& text, Instant until) {
  auto& service = out.services.back();
  service.entries.push_back({prefix(text), until, {cause(service.service.value, until)}});
  return *this;
}

AllowlistBuilder& AllowlistBuilder::once(const std::string& text, Instant until,
                                         const std::string& session) {
  entry(text, until);
  auto& entry = out.services.back().entries.back();
  entry.lasts = Lasts::first_connection;
  entry.causes.edit([&](auto& causes) {
    causes[0].lasts = Lasts::first_connection;
    causes[0].kind = Attribution::Kind::session;
    causes[0].session = SessionId(session);
  });
  return *this;
}

AllowlistBuilder& AllowlistBuilder::staying(const std::string& text, Instant come_by,
                                            Instant until) {
  entry(text, until);
  auto& entry = out.services.back().entries.back();
  entry.lasts = Lasts::disconnect;
  entry.causes.edit([](auto& causes) { causes[0].lasts = Lasts::disconnect; });
  entry.come_by = come_by;
  return *this;
}

AllowlistBuilder& AllowlistBuilder::protect(const std::string& text) {
  out.protect = ports(text);
  return *this;
}

AllowlistBuilder& AllowlistBuilder::keep(const std::string& text) {
  out.keep.push_back(prefix(text));
  return *this;
}

Allowlist AllowlistBuilder::build() const {
  Allowlist list = out;
  auto by_service = [](const auto& a, const auto& b) { return a.service < b.service; };
  std::sort(list.services.begin(), list.services.end(), by_service);
  for (auto& service : list.services)
    std::sort(service.entries.begin(), service.entries.end(),
              [](const Entry& a, const Entry& b) { return a.prefix < b.prefix; });
  std::sort(list.keep.begin(), list.keep.end());
  return list;
}

std::vector<PortRange> ports(const std::string& text) {
  std::vector<PortRange> out;
  for (auto word : split(text, ' ')) out.push_back(PortRange::parse(word).value());
  return canonical_ports(std::move(out));
}

Prefix prefix(const std::string& text) { return Prefix::parse_exact(text).value(); }
Instant now() { return SystemClock().now(); }
Instant in(Duration duration) { return (now() + duration).floor_to_second(); }

}  // namespace knock::test
