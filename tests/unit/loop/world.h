// SPDX-License-Identifier: Apache-2.0
// One loop with a real store, places in memory and a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "reconciler/loop/reconciler.h"
#include "tests/support/requirement.h"
#include "tests/unit/loop/brittle_store.h"
#include "tests/unit/loop/place.h"

namespace knock::test {

inline constexpr const char* kAna = "203.0.113.7";
inline constexpr const char* kBen = "203.0.113.8";

/// Targets by name, each with service `ssh` (tcp/22) for group admins, for 8 hours.
std::string policy_text(const std::string& targets, const std::string& more = {});
/// "edge: {type: nftables, table: edge}".
std::string one_target(const std::string& name, const std::string& table = {});
std::shared_ptr<const Policy> load(const std::string& text, const std::string& revision);

class World : public testing::Test {
 protected:
  World();
  ~World() override;

  /// The place with this table; made when it is first named.
  Place& place(const std::string& table);

  /// A loop on the same store and places; an earlier one is stopped first.
  void start();
  void stop() { loop_.reset(); }
  /// Opens the store again, as a new process does.
  void restart();
  /// Adopts and waits until everything is settled.
  void adopt(const std::string& text, const std::string& revision);
  Status adopt_only(const std::string& text, const std::string& revision);
  /// start() and adopt() with target "edge".
  void begin();

  Result<Session> sign_in_result(const std::string& address, Duration length = Duration::hours(1),
                                 const std::string& user = "ana");
  /// Signs in and waits until it is open everywhere.
  Session sign_in(const std::string& address, Duration length = Duration::hours(1),
                  const std::string& user = "ana");
  void end(const Session& session, EndCause cause = EndCause::signed_out);
  /// Moves the clock and waits until the loop has seen it.
  void pass_time(Duration by) { clock_.advance(by); }
  bool settled() { return loop_->wait_settled(Deadline::in(kPatience)); }
  TargetStatus status(const std::string& name);
  /// Waits for a condition that other threads bring about.
  template <class Condition>
  static bool soon(Condition condition) {
    for (auto deadline = Deadline::in(kPatience); !deadline.passed();
         std::this_thread::sleep_for(std::chrono::milliseconds(1)))
      if (condition()) return true;
    return condition();
  }
  std::vector<Fact> facts() const;
  template <class T>
  std::vector<T> facts_of() const {
    std::vector<T> out;
    for (Fact& fact : facts())
      if (auto* one = std::get_if<T>(&fact)) out.push_back(std::move(*one));
    return out;
  }
  ProviderFactory factory();
  void open_store();

  TemporaryFolder folder_;
  SystemRandom random_;
  TestClock clock_;
  ReconcilerSettings settings_;
  std::mutex places_mutex_;
  std::map<std::string, std::unique_ptr<Place>> places_;
  std::set<std::string> unreachable_;  // tables whose provider cannot be made; with places_mutex_
  std::unique_ptr<BrittleStore> store_;
  std::unique_ptr<Reconciler> loop_;
};

}  // namespace knock::test
