// SPDX-License-Identifier: Apache-2.0
// The repositories in examples/policies: each is sound, formatted and tested, today and years from
// now; each rule of it is missed by a test when it is taken away; and its pull-request.patch, applied
// while the people of its sessions.json are signed in, gives the plan that stands in
// tests/golden/examples/NAME. accounts.json and earlier.json there are people who are not signed in.
// KNOCK_UPDATE_GOLDEN=1 writes the plans anew; such a run is marked skipped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "reconciler/core/policy_check.h"
#include "reconciler/core/render.h"
#include "reconciler/loop/planner.h"
#include "schemas/policy/format.h"
#include "schemas/policy/load.h"
#include "store/tzdata/system_zones.h"
#include "tests/golden/people.h"
#include "tests/golden/unified_patch.h"
#include "tests/support/model_target.h"
#include "tests/support/requirement.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

fs::path examples() { return fs::path(source_dir()) / "examples" / "policies"; }
fs::path golden(const std::string& name) {
  return fs::path(source_dir()) / "tests" / "golden" / "examples" / name;
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(examples(), error))
    if (item.is_directory()) out.push_back(item.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::string text_of(const fs::path& path) { return read_file(path.string()); }

Files files_of(const fs::path& folder) {
  Files out;
  for (const auto& item : fs::recursive_directory_iterator(folder))
    if (item.path().extension() == ".yaml")
      out[fs::relative(item.path(), folder).generic_string()] = text_of(item.path());
  return out;
}

Files changed(const std::string& name) {
  auto out =
      apply_patch(files_of(examples() / name), text_of(examples() / name / "pull-request.patch"));
  EXPECT_TRUE(out) << out.error().text();
  return out ? *std::move(out) : Files();
}

const std::vector<SignInName> kSources{SignInName("corp"), SignInName("local"),
                                       SignInName("partners"), SignInName("vendor")};

/// As a controller that has all of them judges a commit.
Policy load(const Files& files, const char* revision, Instant now) {
  PolicyContext context{kSources, true};
  context.zones = system_zones();
  context.now = now;
  std::vector<PolicyFile> list;
  for (const auto& [path, content] : files) list.push_back({path, content, ""});
  auto loaded = load_policy(list, PolicyRevision(revision), context);
  EXPECT_TRUE(loaded.policy);
  EXPECT_TRUE(loaded.diagnostics.empty()) << to_text(loaded.diagnostics);
  return loaded.policy.value_or(Policy());
}

Instant now_of(const std::string& name) {
  auto text = text_of(golden(name) / "now");
  auto now = parse_instant(trim(text));
  EXPECT_TRUE(now) << text;
  return now.value_or(Instant());
}

SessionsDocument sessions_of(const std::string& name) {
  auto out = sessions_document_from_json(text_of(examples() / name / "sessions.json"));
  EXPECT_TRUE(out) << out.error().text();
  return out ? *std::move(out) : SessionsDocument();
}

class Example : public ::testing::TestWithParam<std::string> {
 protected:
  fs::path folder() const { return examples() / GetParam(); }
};

TEST_P(Example, IsSoundBeforeAndAfterItsPullRequest) {
  auto now = now_of(GetParam());
  auto later = *parse_instant("2031-06-02T10:00:00Z");
  for (const Files& files : {files_of(folder()), changed(GetParam())}) {
    for (const auto& [path, content] : files) {
      SCOPED_TRACE(path);
      auto formatted = format_policy_file(path, content);
      ASSERT_TRUE(formatted.text) << to_text(formatted.diagnostics);
      EXPECT_EQ(*formatted.text, content) << "`knock fmt` it";
      EXPECT_TRUE(content.starts_with("# yaml-language-server: $schema=../")) << content;
      auto schema = content.substr(content.find('=') + 1);
      schema.resize(schema.find('\n'));
      EXPECT_TRUE(fs::exists((folder() / path).parent_path() / schema)) << schema;
    }
    for (Instant at : {now, later}) {
      auto policy = load(files, "r", at);
      ASSERT_FALSE(HasFailure());
      EXPECT_GE(policy.tests.size(), 4u);
      auto check = check_policy(policy, at);
      EXPECT_TRUE(check.ok()) << to_text(policy, check);
    }
  }
}

/// Tests that would pass without a rule do not know what it is for.
TEST_P(Example, NoRuleCanGoUnnoticed) {
  auto now = now_of(GetParam());
  for (const Files& files : {files_of(folder()), changed(GetParam())}) {
    const Policy policy = load(files, "r", now);
    ASSERT_FALSE(HasFailure());
    auto expect_noticed = [&](auto list, std::string_view kind) {
      for (std::size_t i = 0; i < (policy.*list).size(); ++i) {
        Policy without = policy;
        (without.*list).erase((without.*list).begin() + std::ptrdiff_t(i));
        EXPECT_FALSE(check_policy(without, now).ok())
            << kind << " " << (policy.*list)[i].name.value << " can be taken away unnoticed";
      }
    };
    expect_noticed(&Policy::allow, "allow");
    expect_noticed(&Policy::deny, "deny");
    expect_noticed(&Policy::statics, "static");
  }
}

TEST_P(Example, ItsReadmeSaysWhatIsThere) {
  auto readme = text_of(folder() / "README.md");
  for (const auto& [path, content] : files_of(folder()))
    EXPECT_NE(readme.find("`" + path + "`"), readme.npos) << path << " is not in the README";
  auto now = text_of(golden(GetParam()) / "now");
  EXPECT_NE(readme.find("--sessions sessions.json --at " + std::string(trim(now))), readme.npos);
  for (std::string_view part : {"Who reads it", "What to change first", "pull-request.patch"})
    EXPECT_NE(readme.find(part), readme.npos) << part;
}

// ---- the plan

/// An nftables target as a value.
class ModelProvider final : public Provider {
 public:
  Capabilities capabilities() const override {
    auto out = model.capabilities();
    out.cuts_established = Capabilities::CutsEstablished::always;
    out.atomic = true;
    out.batch = 500;
    return out;
  }
  Canonical canonicalize(const Allowlist& desired) const override {
    return model.canonicalize(desired);
  }
  Result<Observed> observe(Deadline) override { return model.observe(now); }
  Result<Outcome> apply(const TargetPlan&, const Structure&, Instant, Deadline) override {
    return fail(ErrorKind::unsupported, "nothing is applied here");
  }

  ModelTarget model;
  std::vector<AppliedEntry> applied;
  Instant now;
};

/// Every target as it stands while `policy` is in force.
std::map<TargetName, ModelProvider> standing(const Policy& policy, const SessionsDocument& people,
                                             Instant now) {
  std::map<TargetName, ModelProvider> out;
  for (const Allowlist& list : evaluate({policy, people.sessions, now, {}, people.approvals})) {
    ModelProvider& place = out[list.target];
    place.now = now;
    place.model.exists = true;
    place.model.protect = list.protect;
    for (const ServiceEntries& service : list.services) {
      ModelSlot& slot = place.model.slots[service.service.value];
      slot.ports = service.ports;
      for (const Entry& entry : service.entries) {
        slot.elements[entry.prefix] = {true,          entry.until,
                                       entry.until,   entry.lasts,
                                       entry.come_by, entry.lasts == Lasts::first_connection};
        place.applied.push_back({list.target, service.service.value, entry.prefix, entry.until, now,
                                 policy.revision, entry.causes, 0});
      }
    }
  }
  return out;
}

Plan plan_of(const std::string& name) {
  auto now = now_of(name);
  auto before = load(files_of(examples() / name), "3f2c1aa09b77", now);
  auto after = load(changed(name), "8d01b7e2c4a9", now);
  auto people = sessions_of(name);
  auto accounts = accounts_of(golden(name) / "accounts.json");
  auto earlier = earlier_of(golden(name) / "earlier.json");
  auto places = standing(before, people, now);
  PlannerInput input{after, &before, people.sessions, accounts, {}, now, 42, {}, {}, {}, {}, {}};
  input.approvals = people.approvals;
  input.seen = earlier;
  input.sources = kSources;
  input.ended = [](const SessionId&) { return std::optional<EndCause>(); };
  input.applied = [&](const TargetName& target) { return places[target].applied; };
  // What stands gave everybody their tickets.
  input.tickets = [&](const TargetName& target) {
    Tickets out;
    for (const AppliedEntry& entry : places[target].applied)
      for (const Attribution& cause : entry.causes)
        if (cause.lasts == Lasts::first_connection)
          out.given[{entry.slot, entry.prefix}].insert(cause.session);
    return out;
  };
  input.observe = [&](const Target& target) {
    places[target.name].now = now;
    return places[target.name].observe(Deadline::in(Duration::seconds(1)));
  };
  input.provider = [&](const Target& target) -> Provider* { return &places[target.name]; };
  return make_plan(input);
}

using Results = std::map<std::string, std::string>;  // by the file's name

Results results_of(const std::string& name) {
  Plan plan = plan_of(name);
  auto headline = text_of(golden(name) / "headline");
  RenderOptions options{false, std::string(trim(headline)), "ana"};
  Results out;
  auto into = [&](const std::string& file) -> Write {
    return [&text = out[file]](std::string_view piece) { text += piece; };
  };
  write_text(plan, options, into("plan.txt"));
  write_markdown(plan, options, into("plan.md"));
  write_html(plan, options, into("plan.html"));
  write_json(plan, into("plan.json"), View::full);
  return out;
}

TEST_P(Example, ItsPullRequestGivesThisPlan) {
  auto results = results_of(GetParam());
  ASSERT_FALSE(HasFailure());
  const char* update = std::getenv("KNOCK_UPDATE_GOLDEN");
  bool rewrite = update != nullptr && std::string_view(update) == "1";
  for (auto& [name, text] : results) {
    auto path = golden(GetParam()) / name;
    if (rewrite)
      write_file(path.string(), text);
    else
      EXPECT_EQ(text_of(path), text) << path;
  }
  if (rewrite) GTEST_SKIP() << "rewritten: read the difference before you commit it";
}

/// The first two questions of a reviewer have an answer in every example.
TEST_P(Example, ItsPlanSpeaksOfPeople) {
  Plan plan = plan_of(GetParam());
  EXPECT_FALSE(plan.edits.empty());
  EXPECT_FALSE(plan.cuts.empty()) << "nobody who is signed in notices";
  EXPECT_TRUE(std::any_of(plan.figures.begin(), plan.figures.end(),
                          [](const PeopleFigure& figure) { return !figure.gains; }));
}

TEST(Examples, AreSeven) { EXPECT_EQ(names().size(), 7u) << examples(); }

INSTANTIATE_TEST_SUITE_P(Policies, Example, ::testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(UnifiedPatch, ChangesAddsAndTakesAway) {
  Files files{{"a", "1\n2\n3\n4\n5\n6\n7\n8\n"}, {"gone", "x\n"}};
  auto out = apply_patch(files,
                         "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,3 @@\n 1\n+1.5\n 2\n"
                         "@@ -7,2 +8,1 @@\n 7\n-8\ndiff --git a/gone b/gone\n--- a/gone\n"
                         "+++ /dev/null\n@@ -1 +0,0 @@\n-x\ndiff --git a/new b/new\n"
                         "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+y\n");
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(*out, (Files{{"a", "1\n1.5\n2\n3\n4\n5\n6\n7\n"}, {"new", "y\n"}}));
  EXPECT_FALSE(apply_patch(files, "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n 1\n-3\n"));
  EXPECT_FALSE(apply_patch(files, "--- a/a\n"));
}

}  // namespace
}  // namespace knock::test
