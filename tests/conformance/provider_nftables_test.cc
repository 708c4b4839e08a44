// SPDX-License-Identifier: Apache-2.0
// The nftables provider on a real kernel: doors that open for one address, close on time, and cut
// what is open.
#include <gtest/gtest.h>

#include "tests/conformance/nftables_world.h"

namespace knock::test {
namespace {

class Nftables : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    world = std::make_unique<NftablesWorld>();
    provider = world->make_provider();
    driver = std::make_unique<ProviderDriver>(*provider, world->target);
  }

  AllowlistBuilder desired() { return AllowlistBuilder(world->target); }

  std::unique_ptr<NftablesWorld> world;
  std::unique_ptr<Provider> provider;
  std::unique_ptr<ProviderDriver> driver;
};

TEST_F(Nftables, opens_a_port_for_one_address_and_closes_it) {
  EchoServer ssh(world->server, 22);
  EXPECT_EQ(world->from(kFriend4, kServer4, 22), Reached::open) << "before anything is protected";

  auto closed = desired().service("ssh", "tcp/22").protect("tcp/22").build();
  driver->converge(closed);
  EXPECT_EQ(world->from(kFriend4, kServer4, 22), Reached::timeout);
  EXPECT_EQ(world->from(kStranger4, kServer4, 22), Reached::timeout);

  auto open = desired()
                  .service("ssh", "tcp/22")
                  .entry("192.0.2.7/32", in(Duration::hours(1)))
                  .entry("2001:db8::7/128", in(Duration::hours(1)))
                  .protect("tcp/22")
                  .build();
  driver->converge(open);
  EXPECT_EQ(world->from(kFriend4, kServer4, 22), Reached::open);
  EXPECT_EQ(world->from(kStranger4, kServer4, 22), Reached::timeout);
  EXPECT_EQ(world->from(kFriend6, kServer6, 22), Reached::open);
  EXPECT_EQ(world->from(kStranger6, kServer6, 22), Reached::timeout);
  EXPECT_EQ(driver->describe(driver->plan(open)), "");

  auto talk = dial(world->internet, kFriend4, kServer4, 22);
  ASSERT_EQ(talk.reached, Reached::open);
  EXPECT_TRUE(talk.connection->echoes());
  driver->converge(closed);
  EXPECT_EQ(world->from(kFriend4, kServer4, 22), Reached::timeout);
  EXPECT_FALSE(talk.connection->echoes(Duration{400})) << "an open connection outlived its entry";
}

}  // namespace
}  // namespace knock::test
