// SPDX-License-Identifier: Apache-2.0
// Scenarios a reviewer reads: what stands in a folder's policy.yaml, sessions.json, observed.json
// and now gives its allowlist.txt and its plan in every form and view. before.yaml, where there is
// one, is the policy in force; accounts.json and earlier.json are people who are not signed in. KNOCK_UPDATE_GOLDEN=1 writes the results anew; such a run is marked skipped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "reconciler/core/plan.h"
#include "reconciler/core/policy_delta.h"
#include "reconciler/core/render.h"
#include "reconciler/core/shared_addresses.h"
#include "schemas/json/object_reader.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/codec.h"
#include "schemas/policy/load.h"
#include "schemas/session/codec.h"
#include "tests/golden/people.h"
#include "tests/support/model_target.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

fs::path golden_folder() {
  const char* source = std::getenv("KNOCK_SOURCE_DIR");
  return fs::path(source != nullptr ? source : ".") / "tests" / "golden";
}

std::vector<std::string> scenarios() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(golden_folder(), error))
    if (fs::exists(entry.path() / "policy.yaml")) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  EXPECT_TRUE(in.good()) << path << " cannot be read";
  return out.str();
}

Policy load(const fs::path& path, const char* revision) {
  auto loaded =
      load_policy({{path.filename().string(), read(path), ""}}, PolicyRevision(revision), {});
  EXPECT_TRUE(loaded.policy) << to_text(loaded.diagnostics);
  return loaded.policy.value_or(Policy());
}

// ---- observed.json

std::optional<Prefix> a_prefix(std::string_view text) { return Prefix::parse_exact(text); }
std::optional<PortRange> a_port(std::string_view text) { return PortRange::parse(text); }

template <class Parse>
auto each(ObjectReader& in, std::string_view key, Parse parse) {
  std::vector<typename decltype(parse(std::string_view()))::value_type> out;
  if (!in.has(key)) return out;
  for (const std::string& text : in.texts(key)) {
    auto value = parse(text);
    if (!value) in.refuse("value", key, text);
    if (value) out.push_back(*value);
  }
  return out;
}

struct Place {
  ModelTarget model;
  std::vector<AppliedEntry> applied;
  std::vector<PortRange> protected_before;  // by the records
  std::optional<std::string> unreadable;
  bool complete = true;
  bool structure_differs = false;
};

Attribution read_cause(const boost::json::value& value, ObjectReader& outer) {
  ObjectReader in(value, "cause");
  Attribution cause;
  if (in.has("session"))
    cause.session = SessionId(in.text("session"));
  else
    cause.kind = Attribution::Kind::fixed;
  cause.who = in.text("who");
  cause.service = ServiceName(in.text("service"));
  cause.rule = RuleName(in.text("rule"));
  cause.until = in.time("until");
  if (auto end = in.finish(); !end) outer.adopt(end.error());
  return cause;
}

/// {"slot", "prefix", "until", "left_seconds", "foreign"}: `until` of the marker; the target's own
/// timer says the same unless left_seconds says otherwise.
void read_entry(const boost::json::value& value, Instant now, ObjectReader& outer, Place& place) {
  ObjectReader in(value, "entry");
  auto slot = in.text("slot");
  auto prefix = in.parsed("prefix", "a prefix", a_prefix);
  ModelElement element;
  element.ours = !(in.has("foreign") && in.flag("foreign"));
  if (element.ours) element.until = in.time("until");
  element.ends = element.until;
  if (in.has("left_seconds"))
    element.ends = now + Duration::seconds(in.integer("left_seconds", 0, 1'000'000));
  if (auto end = in.finish(); !end) outer.adopt(end.error());
  place.model.slots[slot].elements[prefix] = element;
}

void read_applied(const boost::json::value& value, const TargetName& target, ObjectReader& outer,
                  Place& place) {
  ObjectReader in(value, "applied");
  AppliedEntry entry;
  entry.target = target;
  entry.slot = in.text("slot");
  entry.prefix = in.parsed("prefix", "a prefix", a_prefix);
  entry.until = in.time("until");
  if (in.has("readded")) entry.readded = int(in.integer("readded", 0, 9));
  std::vector<Attribution> causes;
  for (const auto* cause : in.list("causes")) causes.push_back(read_cause(*cause, in));
  entry.causes = std::move(causes);
  if (auto end = in.finish(); !end) outer.adopt(end.error());
  place.applied.push_back(std::move(entry));
}

struct World {
  std::vector<Prefix> keep;
  std::map<TargetName, Place> places;
};

void read_target(const boost::json::value& value, Instant now, ObjectReader& outer, World& world) {
  ObjectReader in(value, "target");
  TargetName name(in.text("target"));
  Place& place = world.places[name];
  if (in.has("unreadable")) place.unreadable = in.text("unreadable");
  if (in.has("partial")) place.complete = !in.flag("partial");
  place.model.protect = canonical_ports(each(in, "protect", a_port));
  place.model.keep = each(in, "keep", a_prefix);
  place.protected_before = canonical_ports(each(in, "protected_before", a_port));
  if (in.has("structure_differs")) place.structure_differs = in.flag("structure_differs");
  place.model.exists = in.has("slots");
  if (in.has("slots"))
    for (const auto* slot : in.list("slots")) {
      ObjectReader one(*slot, "slot");
      auto slot_name = one.text("name");
      place.model.slots[slot_name].ports = canonical_ports(each(one, "ports", a_port));
      if (auto end = one.finish(); !end) in.adopt(end.error());
    }
  if (in.has("entries"))
    for (const auto* entry : in.list("entries")) read_entry(*entry, now, in, place);
  if (in.has("applied"))
    for (const auto* entry : in.list("applied")) read_applied(*entry, name, in, place);
  if (auto end = in.finish(); !end) outer.adopt(end.error());
}

World read_world(const fs::path& path, Instant now) {
  World world;
  auto parsed = parse_strict(read(path));
  EXPECT_TRUE(parsed) << parsed.error().text();
  if (!parsed) return world;
  ObjectReader in(*parsed, "observed.json");
  world.keep = each(in, "keep", a_prefix);
  for (const auto* target : in.list("targets")) read_target(*target, now, in, world);
  auto end = in.finish();
  EXPECT_TRUE(end) << end.error().text();
  return world;
}

// ---- what comes of it

std::string allowlist_text(const std::vector<Allowlist>& lists) {
  std::string out;
  for (const Allowlist& list : lists) {
    out += fmt::format("{}\n  protect {}\n", list.target.value,
                       list.protect.empty() ? "nothing" : to_string(list.protect));
    for (const Prefix& prefix : list.keep) out += fmt::format("  keep {}\n", prefix.to_string());
    for (const ServiceEntries& service : list.services) {
      out += fmt::format("  {} {}\n", service.service.value, to_string(service.ports));
      for (const Entry& entry : service.entries) {
        out += fmt::format("    {} until {}", entry.prefix.to_string(), to_string(entry.until));
        for (const Attribution& cause : entry.causes)
          out += fmt::format("; {} by {}", printable(cause.who), cause.rule.value);
        out += "\n";
      }
    }
  }
  return out;
}

using Results = std::map<std::string, std::string>;  // by the file's name

Write into(std::string& text) {
  return [&text](std::string_view piece) { text += piece; };
}

const SignInName kSources[] = {SignInName("corp"), SignInName("local")};

Results results_of(const fs::path& folder) {
  auto now_text = read(folder / "now");
  auto now = parse_instant(trim(now_text));
  EXPECT_TRUE(now) << "now: " << now_text;
  auto sessions = sessions_from_json(read(folder / "sessions.json"));
  EXPECT_TRUE(sessions) << sessions.error().text();
  if (!now || !sessions) return {};
  World world = read_world(folder / "observed.json", *now);
  Policy policy = load(folder / "policy.yaml", "8d01b7e2c4a9");
  std::optional<Policy> before;
  if (fs::exists(folder / "before.yaml")) before = load(folder / "before.yaml", "3f2c1aa09b77");

  auto lists = evaluate({policy, *sessions, *now, world.keep});
  std::vector<Allowlist> lists_before;
  if (before) lists_before = evaluate({*before, *sessions, *now, world.keep});
  auto list_for = [](const std::vector<Allowlist>& from, const TargetName& name) {
    for (const Allowlist& list : from)
      if (list.target == name) return list;
    return Allowlist{name, {}, {}, {}};
  };
  auto ended = [&](const SessionId& id) -> std::optional<EndCause> {
    for (const Session& session : *sessions)
      if (session.id == id && session.end) return session.end->cause;
    return std::nullopt;
  };
  std::vector<PlannedTarget> targets;
  for (const Target& target : policy.targets) {
    Place& place = world.places[target.name];
    auto capabilities = place.model.capabilities();
    auto wanted = place.model.canonicalize(list_for(lists, target.name));
    auto had = place.model.canonicalize(list_for(lists_before, target.name));
    Result<Observed> observed = place.model.observe(*now);
    observed->complete = place.complete;
    observed->structure_differs = place.structure_differs;
    if (place.unreadable)
      observed = fail(Error{ErrorKind::unavailable, *place.unreadable, {"observe"}, {}});
    targets.push_back(plan_target({target, policy, capabilities, wanted, before ? &had : nullptr,
                                   observed, place.applied, *now, ended, false, std::nullopt,
                                   *sessions, place.protected_before}));
  }
  const Policy* in_force = before ? &*before : nullptr;
  auto people = compare_people({in_force,
                                policy,
                                *sessions,
                                accounts_of(folder / "accounts.json"),
                                *now,
                                {},
                                earlier_of(folder / "earlier.json"),
                                kSources});
  auto from = before ? before->revision : policy.revision;
  Plan plan = assemble(from, policy.revision, 42, *now, std::move(targets), std::move(people));
  plan.edits = policy_delta(in_force, policy);
  plan.findings = shared_addresses(lists, *sessions, *now);
  RenderOptions options;
  if (before) options = {false, "what the scenario's name says", "ana"};
  Results out;
  out["allowlist.txt"] = allowlist_text(lists);
  for (View view : {View::full, View::people, View::shape}) {
    options.view = view;
    auto name = "plan" + (view == View::full ? "" : "." + std::string(to_string(view)));
    write_text(plan, options, into(out[name + ".txt"]));
    write_markdown(plan, options, into(out[name + ".md"]));
    write_json(plan, into(out[name + ".json"]), view);
    if (view == View::full) write_html(plan, options, into(out[name + ".html"]));
  }
  return out;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, IsAsWritten) {
  auto folder = golden_folder() / GetParam();
  auto results = results_of(folder);
  ASSERT_FALSE(HasFailure());
  const char* update = std::getenv("KNOCK_UPDATE_GOLDEN");
  bool rewrite = update != nullptr && std::string_view(update) == "1";
  for (auto& [name, text] : results) {
    if (rewrite)
      std::ofstream(folder / name, std::ios::binary | std::ios::trunc) << text;
    else
      EXPECT_EQ(read(folder / name), text) << name << " of " << folder;
  }
  if (rewrite) GTEST_SKIP() << "rewritten: read the difference before you commit it";
}

TEST(GoldenScenarios, AreThere) { EXPECT_GE(scenarios().size(), 8u) << golden_folder(); }

INSTANTIATE_TEST_SUITE_P(Scenarios, Golden, ::testing::ValuesIn(scenarios()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace knock::test
