// SPDX-License-Identifier: Apache-2.0
// No view shows what it must not, in any form: names and addresses of a whole world are planted, and
// looked for in what is written.
#include <fmt/format.h>

#include "base/text.h"
#include "reconciler/core/policy_delta.h"
#include "reconciler/core/render.h"
#include "reconciler/core/shared_addresses.h"
#include "tests/support/model_target.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string kBefore = R"(
groups: {staff: {idp: staff, from: [corp, local]}, admins: {idp: admins, from: [corp]}}
networks: {office: [198.51.100.0/24, "2001:db8:77::/48"]}
services:
  ssh: {ports: [tcp/22], targets: [edge]}
  web: {ports: [tcp/443], targets: [edge]}
targets: {edge: {type: nftables}}
allow:
  admins: {who: [admins], from: {in: [office]}, to: [ssh], ttl: 2h}
  staff: {who: [staff], to: [ssh, web], ttl: 8h}
static:
  probes: {cidr: [203.0.113.64/28], to: [web], owner: nameowner, reason: namereason, until: 2027-01-31}
)";

std::string after() {
  auto text = kBefore;
  auto replace = [&](std::string_view from, std::string_view to) {
    auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) text.replace(at, from.size(), to);
  };
  replace("198.51.100.0/24", "198.51.100.0/25, 203.0.113.192/26");
  replace("who: [staff], to: [ssh, web], ttl: 8h", "who: [staff], to: [web], ttl: 4h");
  replace("to: [ssh], ttl: 2h", "to: [ssh], ttl: 1h");
  replace("until: 2027-01-31", "until: 2027-02-28");
  replace("static:", "  named: {users: [namelisted@corp], to: [ssh], ttl: 1h}\nstatic:");
  return text;
}

struct Canaries {
  std::vector<std::string> names{"nameana",  "namebob",   "nameeve",    "nameguest",  "nameseen",
                                 "nameacct", "nameowner", "namereason", "namelisted", "namewriter",
                                 "namehead", "namewhy",   "nameforeign"};
  std::vector<std::string> addresses{"192.0.2.10",    "192.0.2.11",     "198.51.100.200",
                                     "192.0.2.66",    "192.0.2.99",     "2001:db8:77::9",
                                     "203.0.113.64",  "203.0.113.192",  "198.51.100.0",
                                     "2001:db8:77::", "198.51.100.240", "192.0.2.250"};
};

/// Everything that a plan is made of: gains, losses, cuts, drift, foreign and unreadable targets,
/// guards, shared addresses.
Plan world() {
  Policy before = policy_of(kBefore), planned = policy_of(after());
  std::vector<Session> sessions{
      SessionOf{.who = "nameana", .from = "192.0.2.10"},
      SessionOf{.who = "namebob", .from = "192.0.2.11"},
      SessionOf{.who = "nameeve", .from = "2001:db8:77::9", .groups = {"admins"}},
      SessionOf{.who = "nameeve", .from = "198.51.100.200", .groups = {"admins"}},
      SessionOf{.who = "nameguest", .from = "192.0.2.10", .groups = {}}};
  std::vector<Session> seen{SessionOf{.who = "nameseen", .from = "192.0.2.250"}};
  Account account;
  account.user = "nameacct";
  account.groups = {"staff"};
  std::vector<Account> accounts{account};
  auto keep = prefixes({"198.51.100.240/28"});
  ModelTarget model;
  Result<Observed> none = model.observe(kNow);
  auto lists = evaluate({planned, sessions, kNow, keep});
  auto wanted = model.canonicalize(lists[0]);
  auto had = model.canonicalize(evaluate({before, sessions, kNow, keep})[0]);
  for (const Slot& slot : had.slots)
    for (const Item& item : slot.items) {
      ModelElement element;
      element.ours = true;
      element.until = element.ends = item.until;
      model.slots[slot.name].elements[item.prefix] = element;
      model.slots[slot.name].ports = slot.ports;
    }
  model.exists = true;
  model.protect = had.structure.protect;
  model.keep = {prefix("198.51.100.240/29")};
  ModelElement orphan;
  orphan.ours = true;
  orphan.until = orphan.ends = kNow + Duration::hours(1);
  model.slots["ssh"].elements[prefix("192.0.2.66")] = orphan;
  model.slots["web"].elements[prefix("192.0.2.99")] = ModelElement{};
  Result<Observed> observed = model.observe(kNow);
  auto capabilities = model.capabilities();
  auto input = [&](const Result<Observed>& reading) {
    return TargetPlanInput{
        planned.targets[0], planned, capabilities, wanted, &had, reading, {}, kNow, {}, false,
        std::nullopt,       sessions};
  };
  std::vector<PlannedTarget> targets{plan_target(input(observed))};
  auto lost = fail(Error{ErrorKind::unavailable, "192.0.2.250: namewhy", {"observe"}, {}});
  targets.push_back(plan_target(input(Result<Observed>(lost))));
  targets[1].plan.target = TargetName("unread");
  SignInName sources[] = {SignInName("corp")};
  auto plan =
      assemble(PolicyRevision("1111111"), PolicyRevision("2222222"), 7, kNow, std::move(targets),
               compare_people({&before, planned, sessions, accounts, kNow, {}, seen, sources}));
  plan.edits = policy_delta(&before, planned);
  plan.findings = shared_addresses(lists, sessions, kNow);
  plan.findings.push_back({Finding::Level::warning, "of.tomorrow", TargetName("edge"),
                           "nameforeign holds 192.0.2.250 and 2001:db8:77::9/64"});
  plan.guards = {{"any", TargetName("edge"), "10 of 203.0.113.192/26", "not 2001:db8:77::/48", 1}};
  plan.targets[0].fence = "generation 4711";
  Change held = plan.targets[0].changes.front();
  held.detail = "nameforeign put 192.0.2.250 there";
  held.handle = "handle-of-192.0.2.250";
  plan.targets[0].held = {held};
  return plan;
}

std::string written(const Plan& plan, std::string_view form, View view) {
  std::string out;
  Write into = [&](std::string_view piece) { out += piece; };
  RenderOptions options{false, "namehead at 192.0.2.250", "namewriter", view};
  if (form == "text") write_text(plan, options, into);
  if (form == "markdown") write_markdown(plan, options, into);
  if (form == "html") write_html(plan, options, into);
  if (form == "json") write_json(plan, into, view);
  return out;
}

std::vector<std::string> found(const std::string& text, const std::vector<std::string>& canaries) {
  std::vector<std::string> out;
  for (const std::string& canary : canaries)
    if (text.find(canary) != std::string::npos) out.push_back(canary);
  return out;
}

constexpr const char* kForms[] = {"text", "markdown", "html", "json"};

TEST(Views, ShowNothingTheyMustNot) {
  Plan plan = world();
  Canaries canaries;
  for (const char* form : kForms) {
    auto people = written(plan, form, View::people), shape = written(plan, form, View::shape);
    EXPECT_EQ(join(found(people, canaries.addresses), " "), "") << form << "\n" << people;
    EXPECT_EQ(join(found(shape, canaries.addresses), " "), "") << form << "\n" << shape;
    EXPECT_EQ(join(found(shape, canaries.names), " "), "") << form << "\n" << shape;
  }
}

/// An entry's id is a hash of an address, a session's id leads to one.
TEST(Views, GiveNothingToFindAnAddressBy) {
  Plan plan = world();
  std::vector<std::string> ids;
  for (const TargetPlan& target : plan.targets)
    for (const Change& change : target.changes) {
      ids.push_back(change.entry.to_string());
      for (const Attribution& cause : change.causes)
        if (!cause.session.empty()) ids.push_back("\"" + cause.session.value);
    }
  ids.push_back("\"fence\":\"" + plan.targets[0].fence + "\"");
  ASSERT_GT(ids.size(), 5u);
  std::erase(ids, EntryId().to_string());
  EXPECT_GT(found(written(plan, "json", View::full), ids).size(), 5u);
  for (View view : {View::people, View::shape})
    for (const char* form : kForms)
      EXPECT_EQ(join(found(written(plan, form, view), ids), " "), "") << form;
}

/// What the test above looks for is in the plan: none of its canaries is looked for in vain.
TEST(Views, InFullHaveEverything) {
  Plan plan = world();
  Canaries canaries;
  std::string everything;
  for (const char* form : kForms) everything += written(plan, form, View::full);
  EXPECT_EQ(found(everything, canaries.names), canaries.names);
  EXPECT_EQ(found(everything, canaries.addresses), canaries.addresses);
  std::string people = written(plan, "text", View::people);
  for (const char* name : {"nameana", "namebob", "nameeve", "nameguest", "nameseen", "nameowner",
                           "namelisted", "namewhy"})
    EXPECT_NE(people.find(name), std::string::npos) << name << "\n" << people;
  EXPECT_NE(people.find("IPv6 host"), std::string::npos) << people;
}

TEST(Views, AShapeSaysWhatThePoliciesSayAndWhatItLeavesOut) {
  auto shape = written(world(), "text", View::shape);
  for (const char* line : {"members of", "  ~ allow staff", "  + allow named", "\nLeft out, ",
                           "a key with plan:people shows them"})
    EXPECT_NE(shape.find(line), std::string::npos) << line << "\n" << shape;
}

/// What somebody's being signed in, or where, could change.
Plan with_nobody_signed_in(Plan plan) {
  plan.id = Digest{7};
  plan.seen_within = Duration();
  plan.people.clear();
  plan.cuts.clear();
  plan.guards.clear();
  std::erase_if(plan.figures, [](const PeopleFigure& figure) { return figure.complete(); });
  for (PeopleFigure& figure : plan.figures) {
    figure.directory = figure.seen = figure.named = figure.sessions = 0;
    figure.oldest.reset();
  }
  auto moves = [](const Change& change) {
    return change.action != Action::protect && change.action != Action::unprotect;
  };
  for (TargetPlan& target : plan.targets) {
    target.owned = target.foreign = target.writes = 0;
    target.calls.reset();
    target.state.reset();
    target.findings.clear();
    std::erase_if(target.changes, moves);
    std::erase_if(target.held, moves);
    target.changes.insert(target.changes.end(), target.held.begin(), target.held.end());
    target.held.clear();
  }
  std::erase_if(plan.findings, [](const Finding& finding) {
    return !finding.id.starts_with("plan.not-") && finding.id != "plan.local" &&
           finding.id != "plan.no-surface" && finding.id != "target.gone";
  });
  return plan;
}

/// A candidate is a question that its author chose: a shape of it must not answer where anybody is.
TEST(Views, AShapeIsTheSameWhoeverIsSignedIn) {
  for (const char* form : kForms) {
    auto shape = written(world(), form, View::shape);
    EXPECT_EQ(written(with_nobody_signed_in(world()), form, View::shape), shape) << form;
    EXPECT_NE(written(with_nobody_signed_in(world()), form, View::people),
              written(world(), form, View::people))
        << form;
  }
}

}  // namespace
}  // namespace knock::test
