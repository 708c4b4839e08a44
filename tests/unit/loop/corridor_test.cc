// SPDX-License-Identifier: Apache-2.0
// `path: [edge, inner]`: opens from the innermost outwards, closes from the outermost inwards.
#include "reconciler/core/corridor.h"

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

std::string corridor_text() {
  auto text = policy_text(one_target("edge") + one_target("inner"));
  auto at = text.find("targets: [edge, inner]");
  return text.replace(at, 7, "path");
}

class Corridor : public World {
 protected:
  void begin() {
    start();
    adopt(corridor_text(), "r1");
  }
  bool open(const std::string& table) { return place(table).open("ssh", "203.0.113.7/32"); }
  /// Everything is done there that can be done.
  bool at_rest(const std::string& name) {
    return soon([&] {
      auto now = status(name);
      return now.problem.empty() && now.observed_generation == now.generation;
    });
  }
  void note_steps() {
    for (const char* table : {"edge", "inner"}) {
      auto lock = place(table).lock();
      place(table).step_fault = [this, table](const Change& change) {
        std::lock_guard guard(steps_mutex_);
        if (change.action == Action::add || change.action == Action::remove)
          steps_.push_back(std::string(to_string(change.action)) + " " + table);
        return std::optional<StepOutcome::Kind>();
      };
    }
  }
  std::vector<std::string> steps() {
    std::lock_guard guard(steps_mutex_);
    return std::exchange(steps_, {});
  }
  std::string finding(const std::string& name) {
    for (const Finding& finding : status(name).findings)
      if (finding.id == "path.half-open") return finding.sentence;
    return "";
  }

 private:
  std::mutex steps_mutex_;
  std::vector<std::string> steps_;
};

TEST_F(Corridor, TheOutsideOpensOnlyWhenTheInsideHas) {
  begin();
  place("inner").applying.close();
  ASSERT_TRUE(sign_in_result(kAna));
  ASSERT_TRUE(place("inner").applying.wait_for_caller());
  ASSERT_TRUE(at_rest("edge"));
  EXPECT_FALSE(open("edge"));
  place("inner").applying.open();
  EXPECT_TRUE(soon([&] { return open("edge"); }));
  EXPECT_TRUE(open("inner"));
  EXPECT_EQ(finding("edge"), "");
}

TEST_F(Corridor, TheOrderIsThatOfThePathEachTime) {
  begin();
  for (int i = 0; i < 20; ++i) {
    note_steps();
    auto session = sign_in(kAna);
    ASSERT_TRUE(settled());
    EXPECT_EQ(steps(), (std::vector<std::string>{"add inner", "add edge"}));
    end(session);
    ASSERT_TRUE(settled());
    EXPECT_EQ(steps(), (std::vector<std::string>{"remove edge", "remove inner"}));
  }
}

TEST_F(Corridor, WithoutTheInsideTheOutsideStaysShutAndSaysWhy) {
  begin();
  {
    auto lock = place("inner").lock();
    place("inner").step_fault = [](const Change& change) {
      return change.action == Action::add ? std::optional(StepOutcome::Kind::rejected)
                                          : std::nullopt;
    };
  }
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(soon([&] { return status("inner").rejected == 1; }));
  ASSERT_TRUE(at_rest("edge"));
  EXPECT_FALSE(open("edge"));
  for (const SessionOnTarget& row : loop_->where(*session))
    if (row.target == TargetName("edge")) EXPECT_EQ(row.problem, "opens as soon as inner has");
}

TEST_F(Corridor, WhatStandsHalfWayIsNamed) {
  begin();
  {
    auto lock = place("edge").lock();
    place("edge").step_fault = [](const Change& change) {
      return change.action == Action::add ? std::optional(StepOutcome::Kind::rejected)
                                          : std::nullopt;
    };
  }
  ASSERT_TRUE(sign_in_result(kAna));
  EXPECT_TRUE(soon([&] {
    return finding("edge") == "ssh: 1 entry stands on inner and not here: nobody comes so far";
  })) << finding("edge");
}

// Closing is asked for in the order of the path, but depends on nobody.
TEST_F(Corridor, AnOutsideThatDoesNotAnswerKeepsNothingOpenInside) {
  begin();
  auto session = sign_in(kAna);
  place("edge").applying.close();
  end(session);
  ASSERT_TRUE(place("edge").applying.wait_for_caller());
  EXPECT_TRUE(soon([&] { return !open("inner"); }));
  EXPECT_TRUE(open("edge"));
  place("edge").applying.open();
  EXPECT_TRUE(soon([&] { return !open("edge"); }));
}

// After a restart the records tell what stands inside.
TEST_F(Corridor, ARestartOpensTheOutsideAfterTheInside) {
  begin();
  place("inner").applying.close();
  ASSERT_TRUE(sign_in_result(kAna));
  ASSERT_TRUE(place("inner").applying.wait_for_caller());
  place("inner").applying.open();
  stop();
  restart();
  adopt(corridor_text(), "r1");
  EXPECT_TRUE(soon([&] { return open("edge") && open("inner"); }));
}

TEST(CorridorNeighbours, FollowTheOrderOfThePath) {
  Service service;
  service.path = {TargetName("edge"), TargetName("middle"), TargetName("host")};
  EXPECT_EQ(next_inwards(service, TargetName("edge")), TargetName("middle"));
  EXPECT_EQ(next_inwards(service, TargetName("host")), std::nullopt);
  EXPECT_EQ(next_outwards(service, TargetName("host")), TargetName("middle"));
  EXPECT_EQ(next_outwards(service, TargetName("edge")), std::nullopt);
  EXPECT_EQ(next_inwards(service, TargetName("beside")), std::nullopt);
  EXPECT_EQ(next_outwards(service, TargetName("beside")), std::nullopt);
}

}  // namespace
}  // namespace knock::test
