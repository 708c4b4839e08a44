// SPDX-License-Identifier: Apache-2.0
// A server and the Internet as two namespaces on one wire, with the nftables provider in front of
// the server: every claim of a test is a packet.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "agents/host/local_channel.h"
#include "agents/nftables/provider.h"
#include "tests/conformance/provider_driver.h"
#include "tests/support/netns.h"
#include "tests/support/requirement.h"

namespace knock::test {

inline const OwnerId kOwner{0x0123456789abcdefull};
inline const char* kServer4 = "192.0.2.1";
inline const char* kServer6 = "2001:db8::1";
// Who calls. .7 and ::7 are let in by most tests, the others are strangers; .9 is the operator.
inline const char* kFriend4 = "192.0.2.7";
inline const char* kFriend6 = "2001:db8::7";
inline const char* kStranger4 = "192.0.2.8";
inline const char* kStranger6 = "2001:db8::8";
inline const char* kOperator4 = "192.0.2.9";

class NftablesWorld {
 public:
  NftablesWorld() {
    join(server, "wire", internet, "wire");
    add_address(server, "wire", std::string(kServer4) + "/24");
    add_address(server, "wire", std::string(kServer6) + "/64");
    for (const char* address : {kFriend4, kStranger4, kOperator4})
      add_address(internet, "wire", std::string(address) + "/24");
    for (const char* address : {kFriend6, kStranger6})
      add_address(internet, "wire", std::string(address) + "/64");
    // A fresh wire comes up in its own time, and neighbours have to find each other first.
    for (const char* address : {kFriend4, kStranger4, kOperator4}) meet(address, kServer4);
    for (const char* address : {kFriend6, kStranger6}) meet(address, kServer6);
  }

  std::unique_ptr<Provider> make_provider(OwnerId owner = kOwner) {
    auto channel = host::open_local_channel(server.path());
    if (!channel) throw std::runtime_error(channel.error().text());
    auto made = make_nftables_provider(target, NftablesSettings{}, owner, std::move(*channel),
                                       [this](const TargetName&) { ++moved; });
    if (!made) throw std::runtime_error(made.error().text());
    return std::move(*made);
  }

  Reached from(const char* source, const char* to, int port) {
    return reach(internet, source, to, port);
  }

  const TargetName target{"edge"};
  Namespace server, internet;
  std::atomic<int> moved{0};

 private:
  void meet(const char* source, const char* to) {
    if (!eventually([&] { return from(source, to, 9) == Reached::refused; }))
      throw std::runtime_error(std::string(source) + " does not reach " + to);
  }
};

/// Tests with a world, a provider and a driver.
class Nftables : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    world = std::make_unique<NftablesWorld>();
    provider = world->make_provider();
    driver = std::make_unique<ProviderDriver>(*provider, world->target);
  }

  AllowlistBuilder desired() { return AllowlistBuilder(world->target); }
  /// ssh protected, and open to the given addresses for an hour.
  Allowlist ssh_for(const std::vector<std::string>& who) {
    auto list = desired().service("ssh", "tcp/22").protect("tcp/22");
    for (const auto& one : who) list.entry(one, in(Duration::hours(1)));
    return list.build();
  }
  Reached from(const char* source, int port = 22) {
    return world->from(source, source == kFriend6 || source == kStranger6 ? kServer6 : kServer4,
                       port);
  }
  /// Somebody else's firewall, as every distribution has it.
  void install_stateful_firewall() {
    world->server.nft(
        "table inet filter { chain input { type filter hook input priority 0; policy accept;"
        " ct state established,related accept\n }\n }");
  }

  std::unique_ptr<NftablesWorld> world;
  std::unique_ptr<Provider> provider;
  std::unique_ptr<ProviderDriver> driver;
};

}  // namespace knock::test
