// SPDX-License-Identifier: Apache-2.0
// What --json prints fits the published schema, and the schema is narrow enough to notice when it
// does not.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/support/requirement.h"
#include "tests/unit/schemas/plan_samples.h"
#include "tests/unit/schemas/schema_problems.h"

namespace knock {
namespace {

namespace json = boost::json;

/// The published schema lets unknown members be, because minor versions add some. Here every member
/// must be documented.
void forbid_unknown_members(json::value& value) {
  if (auto* list = value.if_array())
    for (auto& element : *list) forbid_unknown_members(element);
  auto* object = value.if_object();
  if (object == nullptr) return;
  for (auto& member : *object) forbid_unknown_members(member.value());
  auto* type = object->if_contains("type");
  if (type != nullptr && *type == "object") (*object)["additionalProperties"] = false;
}

class PlanSchema : public ::testing::Test {
 protected:
  void SetUp() override {
    auto text =
        json::parse(test::read_file(test::source_dir() + "/schemas/plan/plan.v1.schema.json"));
    forbid_unknown_members(text);
    valijson::adapters::BoostJsonAdapter adapter(text);
    valijson::SchemaParser().populateSchema(adapter, schema_);
  }

  /// "" when it fits.
  std::string problems(const json::value& document) {
    return test::schema_problems(schema_, document);
  }

  valijson::Schema schema_;
};

TEST_F(PlanSchema, ARichPlanFits) {
  auto document = json::parse(test::json_of(test::rich_plan()));
  EXPECT_EQ(problems(document), "");
  EXPECT_EQ(problems(json::parse(test::json_of(Plan()))), "");
  for (View view : {View::people, View::shape})
    EXPECT_EQ(problems(json::parse(test::json_of(test::rich_plan(), view))), "") << to_string(view);
}

TEST_F(PlanSchema, TheSchemaNoticesWhatDoesNot) {
  const auto good = json::parse(test::json_of(test::rich_plan()));
  auto spoiled = [&](auto spoil) {
    auto copy = good;
    spoil(copy.as_object());
    return !problems(copy).empty();
  };
  auto change = [](json::object& plan) -> json::object& {
    return plan["targets"].as_array()[0].as_object()["changes"].as_array()[0].as_object();
  };
  EXPECT_TRUE(spoiled([](json::object& plan) { plan.erase("people"); }));
  EXPECT_TRUE(spoiled([](json::object& plan) { plan["surprise"] = 1; }));
  EXPECT_TRUE(spoiled([](json::object& plan) { plan["knock_plan"] = "2.0"; }));
  EXPECT_TRUE(spoiled([](json::object& plan) { plan["as_of"] = 5; }));
  EXPECT_TRUE(spoiled([&](json::object& plan) { change(plan)["action"] = "explode"; }));
  EXPECT_TRUE(spoiled([&](json::object& plan) { change(plan)["prefix"] = "203.0.113.7"; }));
  EXPECT_TRUE(spoiled([&](json::object& plan) { change(plan)["more"] = ""; }));
  EXPECT_FALSE(spoiled([&](json::object& plan) { change(plan)["action_reason"] = "full-moon"; }))
      << "the list of reasons is open";
}

}  // namespace
}  // namespace knock
