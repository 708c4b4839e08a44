// SPDX-License-Identifier: Apache-2.0
// What the provider makes of a plan, message by message; the kernel is a model. Packets are in
// tests/conformance/provider_nftables_test.cc.
#include "agents/nftables/provider.h"

#include <gtest/gtest.h>

#include "reconciler/core/marker.h"
#include "tests/unit/agents/fake_apply.h"

namespace knock::test {
namespace {

const OwnerId kOwner{7};
const Instant kNow = Instant::from_seconds(1'800'000'000);

Prefix prefix(const char* text) { return Prefix::parse_exact(text).value(); }
std::vector<PortRange> ports(const char* text) { return {PortRange::parse(text).value()}; }
Deadline soon() { return Deadline::in(Duration::seconds(5)); }

Change element(Action action, Step step, const char* slot, const char* where,
               std::optional<std::int64_t> left = std::nullopt) {
  Change out;
  out.action = action;
  out.step = step;
  out.slot = slot;
  out.prefix = prefix(where);
  if (left) out.until = kNow + Duration::seconds(*left);
  return out;
}
Change reshape(const char* slot, std::vector<PortRange> to, Step step = Step::structure) {
  Change out;
  out.action = Action::reshape;
  out.step = step;
  out.slot = slot;
  out.ports = std::move(to);
  return out;
}
Change protect(const char* what) {
  Change out;
  out.action = Action::protect;
  out.step = Step::close_by_policy;
  out.ports = ports(what);
  out.keep = {prefix("192.0.2.9/32")};
  return out;
}

class NftablesProviderTest : public ::testing::Test {
 protected:
  NftablesProviderTest() {
    provider = make_nftables_provider(TargetName("edge"), {}, kOwner,
                                      std::make_unique<FakeApply>(table), {})
                   .value();
  }

  /// A table with one slot, "ssh", and one entry of ours in it.
  void build() {
    TargetPlan plan;
    plan.changes = {reshape("ssh", ports("tcp/22")),
                    element(Action::add, Step::open, "ssh", "192.0.2.7/32", 3600),
                    protect("tcp/22")};
    EXPECT_EQ(text(apply(plan)), "done done done");
    table.heard.clear();
  }

  Result<Outcome> apply(TargetPlan plan) { return provider->apply(plan, {}, kNow, soon()); }
  TargetPlan planned(std::vector<Change> changes) {
    TargetPlan plan;
    plan.fence = provider->observe(soon()).value().fence;
    plan.changes = std::move(changes);
    table.heard.clear();
    return plan;
  }

  static std::string text(const Result<Outcome>& outcome) {
    if (!outcome) return std::string(to_string(outcome.error().kind)) + "!";
    std::string out;
    for (const auto& step : outcome->steps) {
      if (!out.empty()) out += " ";
      switch (step.kind) {
        case StepOutcome::Kind::done:
          out += "done";
          break;
        case StepOutcome::Kind::rejected:
          out += "rejected";
          break;
        case StepOutcome::Kind::unknown:
          out += "unknown";
          break;
        case StepOutcome::Kind::not_tried:
          out += "not_tried";
          break;
      }
    }
    return out;
  }

  std::string heard() const {
    std::string out;
    for (const auto& message : table.heard) {
      if (!out.empty()) out += "; ";
      if (const auto* m = std::get_if<role::Ensure>(&message)) {
        out += "ensure";
        for (const auto& slot : m->slots) out += " " + slot.name;
        if (!m->protect.empty()) out += " protect " + to_string(m->protect);
        out += elements(m->changes);
      } else if (const auto* c = std::get_if<role::ChangeElements>(&message)) {
        out += "change" + elements(c->changes);
      } else if (std::holds_alternative<role::TakeOver>(message)) {
        out += "take over";
      } else {
        out += "read";
      }
    }
    return out;
  }

  static std::string elements(const std::vector<role::ElementChange>& changes) {
    std::string out;
    for (const auto& change : changes)
      out += (change.add ? " +" : " -") + change.prefix.to_string();
    return out;
  }

  FakeTable table;
  std::unique_ptr<Provider> provider;
};

TEST_F(NftablesProviderTest, a_whole_plan_is_one_transaction) {
  build();
  auto plan = planned(
      {element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32"),
       reshape("db", ports("tcp/5432")), element(Action::add, Step::open, "db", "192.0.2.8/32", 60),
       element(Action::remove, Step::close_by_policy, "ssh", "192.0.2.6/32"), protect("tcp/5432")});
  EXPECT_EQ(text(apply(plan)), "done done done done done");
  EXPECT_EQ(heard(), "ensure db ssh protect tcp/22,5432 -192.0.2.7/32 +192.0.2.8/32 -192.0.2.6/32");
}

TEST_F(NftablesProviderTest, a_refused_plan_is_done_in_its_order_but_for_what_is_to_blame) {
  build();
  table.slots["ssh"][prefix("10.0.0.0/16")] = {prefix("10.0.0.0/16"), false, 0, "by hand"};
  auto plan = planned(
      {element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32"),
       reshape("db", ports("tcp/5432")), element(Action::add, Step::open, "db", "192.0.2.8/32", 60),
       element(Action::add, Step::open, "ssh", "10.0.7.0/24", 60),
       element(Action::extend, Step::prolong, "ssh", "192.0.2.6/32", 60), protect("tcp/5432")});
  auto outcome = apply(plan);
  EXPECT_EQ(text(outcome), "done done done rejected done done");
  EXPECT_NE(outcome->steps[3].why.find("10.0.0.0/16"), std::string::npos) << outcome->steps[3].why;
  EXPECT_EQ(heard(),
            "ensure db ssh protect tcp/22,5432 -192.0.2.7/32 +192.0.2.8/32 +10.0.7.0/24 "
            "+192.0.2.6/32; "
            "change -192.0.2.7/32; "
            "ensure db ssh protect tcp/22; "
            "change +192.0.2.8/32 +10.0.7.0/24 +192.0.2.6/32; "
            "change +192.0.2.8/32; change +10.0.7.0/24 +192.0.2.6/32; "
            "change +10.0.7.0/24; change +192.0.2.6/32; "
            "ensure db ssh protect tcp/22,5432");
  EXPECT_EQ(outcome->fence, std::to_string(table.generation));
}

TEST_F(NftablesProviderTest, a_shortening_whose_end_has_come_is_a_removal) {
  build();
  auto outcome =
      apply(planned({element(Action::shorten, Step::close_now, "ssh", "192.0.2.7/32", 0)}));
  EXPECT_EQ(text(outcome), "done");
  EXPECT_EQ(heard(), "change -192.0.2.7/32");
}

TEST_F(NftablesProviderTest, entries_alone_are_one_transaction) {
  build();
  auto plan = planned({element(Action::add, Step::open, "ssh", "192.0.2.8/32", 60),
                       element(Action::extend, Step::prolong, "ssh", "192.0.2.7/32", 7200)});
  auto outcome = apply(plan);
  EXPECT_EQ(text(outcome), "done done");
  EXPECT_EQ(heard(), "change +192.0.2.8/32 +192.0.2.7/32");
  EXPECT_EQ(outcome->fence, std::to_string(table.generation));
}

TEST_F(NftablesProviderTest, an_entry_carries_its_own_deadline) {
  build();
  apply(planned({element(Action::add, Step::open, "ssh", "192.0.2.8/32", 60)}));
  const auto& found = table.slots["ssh"].at(prefix("192.0.2.8/32"));
  EXPECT_LE(found.left_ms, 60'000u);
  EXPECT_GT(found.left_ms, 55'000u);
  auto marker = parse_marker(found.comment);
  ASSERT_TRUE(marker);
  EXPECT_EQ(marker->owner, kOwner);
  EXPECT_EQ(marker->until, kNow + Duration::seconds(60));
  EXPECT_EQ(marker->entry, entry_id(TargetName("edge"), prefix("192.0.2.8/32"), "ssh"));

  auto observed = provider->observe(soon());
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots[0].items.size(), 2u);
  EXPECT_TRUE(observed->slots[0].items[1].ours);
  EXPECT_EQ(observed->slots[0].items[1].until, kNow + Duration::seconds(60));
}

TEST_F(NftablesProviderTest, a_deadline_that_has_passed_opens_nothing) {
  build();
  auto outcome = apply(planned({element(Action::add, Step::open, "ssh", "192.0.2.8/32", 0),
                                element(Action::add, Step::open, "ssh", "192.0.2.9/32", -5),
                                element(Action::add, Step::open, "ssh", "192.0.2.6/32", 60)}));
  EXPECT_EQ(text(outcome), "rejected rejected done");
  EXPECT_EQ(outcome->steps[0].why, "deadline has passed");
  EXPECT_EQ(heard(), "change +192.0.2.6/32");
}

TEST_F(NftablesProviderTest, a_stale_fence_changes_nothing) {
  build();
  auto plan = planned({element(Action::add, Step::open, "ssh", "192.0.2.8/32", 60)});
  table.generation++;
  EXPECT_EQ(text(apply(plan)), "conflict!");
  EXPECT_FALSE(table.slots["ssh"].contains(prefix("192.0.2.8/32")));
}

TEST_F(NftablesProviderTest, a_stale_fence_is_seen_where_structure_comes_first) {
  build();
  auto plan = planned({reshape("db", ports("tcp/5432"))});
  table.generation++;
  EXPECT_EQ(text(apply(plan)), "conflict!");
  EXPECT_FALSE(table.slots.contains("db"));
}

TEST_F(NftablesProviderTest, a_conflict_half_way_leaves_the_rest_untried) {
  build();
  table.slots["ssh"][prefix("10.0.0.0/16")] = {prefix("10.0.0.0/16"), false, 0, "by hand"};
  auto plan =
      planned({element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32"),
               reshape("db", ports("tcp/5432")),
               element(Action::add, Step::open, "ssh", "10.0.7.0/24", 60), protect("tcp/5432")});
  // Refused as a whole, so one after the other; before the third message somebody meddles.
  table.before_next = [&] {
    table.before_next = [&] { table.before_next = [&] { ++table.generation; }; };
  };
  auto outcome = apply(plan);
  EXPECT_EQ(text(outcome), "done not_tried not_tried not_tried");
  EXPECT_EQ(outcome->fence, "");
  EXPECT_NE(outcome->steps[1].why.find("moved"), std::string::npos);
}

TEST_F(NftablesProviderTest, a_lost_answer_is_unknown_not_failed) {
  for (auto kind : {ErrorKind::timeout, ErrorKind::unavailable}) {
    build();
    auto plan = planned({element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32"),
                         element(Action::add, Step::open, "ssh", "192.0.2.8/32", 60)});
    table.faults = {FakeTable::Fault{true, {kind, "late", {}, {}}}};
    auto outcome = apply(plan);
    EXPECT_EQ(text(outcome), "unknown unknown");
    EXPECT_EQ(outcome->fence, "");
    EXPECT_TRUE(table.slots["ssh"].contains(prefix("192.0.2.8/32"))) << "it stands all the same";
  }
}

TEST_F(NftablesProviderTest, after_an_unknown_outcome_the_table_is_read_before_it_is_written) {
  build();
  auto plan = planned({element(Action::add, Step::open, "ssh", "192.0.2.8/32", 60)});
  table.faults = {FakeTable::Fault{true, {ErrorKind::timeout, "late", {}, {}}}};
  apply(plan);
  table.heard.clear();
  plan.fence.clear();
  EXPECT_EQ(text(apply(plan)), "done");
  EXPECT_EQ(heard(), "read; change +192.0.2.8/32");
}

TEST_F(NftablesProviderTest, one_bad_change_does_not_stop_the_others) {
  build();
  table.slots["ssh"][prefix("10.0.0.0/16")] = {prefix("10.0.0.0/16"), false, 0, "by hand"};
  auto outcome = apply(planned({element(Action::add, Step::open, "ssh", "192.0.2.8/32", 60),
                                element(Action::add, Step::open, "ssh", "10.0.7.0/24", 60),
                                element(Action::add, Step::open, "ssh", "10.9.0.0/24", 60),
                                element(Action::add, Step::open, "ssh", "192.0.2.6/32", 60)}));
  EXPECT_EQ(text(outcome), "done rejected done done");
  EXPECT_NE(outcome->steps[1].why.find("10.0.0.0/16"), std::string::npos) << outcome->steps[1].why;
}

TEST_F(NftablesProviderTest, ranges_are_cut_anew_within_one_transaction) {
  build();
  apply(planned({element(Action::add, Step::open, "ssh", "10.0.0.0/24", 60)}));
  auto outcome =
      apply(planned({element(Action::add, Step::open, "ssh", "10.0.0.0/25", 90),
                     element(Action::add, Step::open, "ssh", "10.0.0.128/25", 60),
                     element(Action::remove, Step::close_by_policy, "ssh", "10.0.0.0/24")}));
  EXPECT_EQ(text(outcome), "done done done");
  EXPECT_FALSE(table.slots["ssh"].contains(prefix("10.0.0.0/24")));
  EXPECT_TRUE(table.slots["ssh"].contains(prefix("10.0.0.0/25")));
}

TEST_F(NftablesProviderTest, what_goes_with_its_slot_counts_as_removed) {
  build();
  auto outcome = apply(planned({element(Action::remove, Step::close_now, "old", "192.0.2.7/32"),
                                element(Action::add, Step::open, "old", "192.0.2.7/32", 60)}));
  EXPECT_EQ(text(outcome), "done rejected");
  EXPECT_EQ(heard(), "");
}

TEST_F(NftablesProviderTest, without_a_table_there_is_nothing_to_close) {
  auto outcome = apply(planned({element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32")}));
  EXPECT_EQ(text(outcome), "done");
  EXPECT_EQ(heard(), "");
}

TEST_F(NftablesProviderTest, rules_changed_by_hand_are_seen_and_built_anew) {
  build();
  EXPECT_FALSE(provider->observe(soon())->structure_differs);
  table.intact = false;
  auto observed = provider->observe(soon());
  ASSERT_TRUE(observed);
  EXPECT_TRUE(observed->structure_differs);
  EXPECT_EQ(observed->structure.slots.size(), 1u) << "it is no slot";
  auto plan = planned({reshape("", {}, Step::close_by_policy)});
  EXPECT_EQ(text(apply(plan)), "done");
  EXPECT_EQ(heard(), "ensure ssh protect tcp/22");
  EXPECT_FALSE(provider->observe(soon())->structure_differs);
}

TEST_F(NftablesProviderTest, other_hooks_are_seen_and_built) {
  build();
  table.structure.forward = false;
  auto observed = provider->observe(soon());
  ASSERT_TRUE(observed);
  EXPECT_TRUE(observed->structure_differs);
}

TEST_F(NftablesProviderTest, a_table_that_is_not_intact_is_built_with_the_next_entry) {
  build();
  table.intact = false;
  EXPECT_EQ(text(apply(planned({element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32")}))),
            "done");
  EXPECT_EQ(heard(), "ensure ssh protect tcp/22 -192.0.2.7/32");
}

TEST_F(NftablesProviderTest, another_installations_table_is_read_and_never_written) {
  build();
  table.owner = OwnerId{8};
  auto observed = provider->observe(soon());
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->other_owner, OwnerId{8});
  table.heard.clear();
  auto done = apply(planned({element(Action::remove, Step::close_now, "ssh", "192.0.2.7/32")}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::unauthorized);
  EXPECT_NE(done.error().message.find("0000000000000008"), std::string::npos);
  EXPECT_EQ(heard().find("change"), std::string::npos) << heard();
  EXPECT_EQ(heard().find("ensure"), std::string::npos) << heard();
  table.owner = OwnerId{};
  observed = provider->observe(soon());
  ASSERT_FALSE(observed);
  EXPECT_NE(observed.error().message.find("not made by knock"), std::string::npos);
}

TEST_F(NftablesProviderTest, everybody_is_no_entry) {
  Allowlist desired;
  desired.services = {{ServiceName("web"),
                       ports("tcp/443"),
                       {{prefix("0.0.0.0/0"), kNow, {}}, {prefix("10.0.0.0/8"), kNow, {}}}}};
  auto canonical = provider->canonicalize(desired);
  ASSERT_EQ(canonical.slots[0].items.size(), 1u);
  EXPECT_EQ(canonical.slots[0].items[0].prefix, prefix("10.0.0.0/8"));
  ASSERT_EQ(canonical.findings.size(), 1u);
  EXPECT_EQ(canonical.findings[0].id, "nftables.prefix-any");

  build();
  auto outcome = apply(planned({element(Action::add, Step::open, "ssh", "::/0", 60)}));
  EXPECT_EQ(text(outcome), "rejected");
}

TEST_F(NftablesProviderTest, a_canonical_state_has_no_nested_keep_prefixes) {
  Allowlist desired;
  desired.keep = {prefix("192.0.2.0/24"), prefix("192.0.2.9/32")};
  EXPECT_EQ(provider->canonicalize(desired).structure.keep,
            std::vector<Prefix>{prefix("192.0.2.0/24")});
}

TEST_F(NftablesProviderTest, what_is_ours_is_not_hidden_by_a_twin) {
  build();
  table.structure.slots = {{"ssh", ports("tcp/22")}};
  auto observed = provider->observe(soon());
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->slots[0].items.size(), 1u);
  // Another owner's marker and an unknown version are foreign.
  auto& slot = table.slots["ssh"];
  for (const char* comment : {"knock:1:0000000000000008:0065a0bc00:0123456789abcdef",
                              "knock:2:0000000000000007:0065a0bc00:0123456789abcdef", ""}) {
    slot[prefix("192.0.2.7/32")].comment = comment;
    observed = provider->observe(soon());
    EXPECT_FALSE(observed->slots[0].items[0].ours) << comment;
  }
}

TEST(NftablesFactory, refuses_what_cannot_be_a_table_or_an_owner) {
  FakeTable table;
  for (const char* name : {"", "Knock", "a b", "9"}) {
    NftablesSettings settings;
    settings.table = name;
    auto made = make_nftables_provider(TargetName("t"), settings, kOwner,
                                       std::make_unique<FakeApply>(table), {});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, ErrorKind::invalid);
  }
  EXPECT_FALSE(make_nftables_provider(TargetName("t"), {}, OwnerId{},
                                      std::make_unique<FakeApply>(table), {}));
}

}  // namespace
}  // namespace knock::test
