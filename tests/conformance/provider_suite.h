// SPDX-License-Identifier: Apache-2.0
// What every provider must do, whatever it stands in front of. A kind of target joins with one
// INSTANTIATE_TEST_SUITE_P and a world of its own: the real thing, or a model of it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "reconciler/interfaces/provider.h"
#include "tests/conformance/provider_driver.h"

namespace knock::test {

/// One target and everything that can happen to it behind a provider's back.
class ProviderWorld {
 public:
  virtual ~ProviderWorld() = default;
  virtual TargetName target() const = 0;
  /// A controller's provider. Several may exist: a second controller, or one after a crash.
  virtual std::unique_ptr<Provider> make_provider() = 0;
  /// The provider of a controller of another installation. Null: this kind of target has no
  /// container that could belong to anybody.
  virtual std::unique_ptr<Provider> make_others_provider() { return nullptr; }
  /// Somebody puts an entry without our mark into a slot that exists.
  virtual void add_foreign(const std::string& slot, const Prefix& prefix) = 0;
  /// Somebody takes an entry away.
  virtual void remove_by_hand(const std::string& slot, const Prefix& prefix) = 0;
  /// Somebody removes our container with all that is in it.
  virtual void remove_container() = 0;
};

struct ProviderKind {
  std::string name;
  /// Why it cannot run here; nothing: it can. Named by requirement, for KNOCK_REQUIRE.
  std::string requirement;
  std::function<bool()> present;
  std::function<std::unique_ptr<ProviderWorld>()> make;
};

class ProviderSuite : public ::testing::TestWithParam<ProviderKind> {
 protected:
  void SetUp() override;
  AllowlistBuilder desired() const { return AllowlistBuilder(world->target()); }
  /// Desired states as they come in a life, generated; always the same for one seed.
  std::vector<Allowlist> states(unsigned seed, std::size_t count) const;
  /// Observed content is exactly what is wanted, and nothing is left to do.
  void expect_converged(const Allowlist& wanted);

  std::unique_ptr<ProviderWorld> world;
  std::unique_ptr<Provider> provider;
  std::unique_ptr<ProviderDriver> driver;
};

}  // namespace knock::test
