// SPDX-License-Identifier: Apache-2.0
// The nftables provider before a kernel, directly and over the apply role's socket, and before a
// model, in one suite.
#include <sys/socket.h>

#include <thread>

#include "agents/host/privileged.h"
#include "tests/conformance/nftables_world.h"
#include "tests/conformance/provider_suite.h"
#include "tests/unit/agents/fake_apply.h"

namespace knock::test {
namespace {

class KernelWorld : public ProviderWorld {
 public:
  TargetName target() const override { return TargetName("edge"); }
  std::unique_ptr<Provider> make_provider() override {
    auto made = make_nftables_provider(target(), {}, kOwner, channel(), {});
    return std::move(made.value());
  }
  std::unique_ptr<Provider> make_others_provider() override {
    auto made = make_nftables_provider(target(), {}, OwnerId{42}, channel(), {});
    return std::move(made.value());
  }
  void add_foreign(const std::string& slot, const Prefix& prefix) override {
    server_.nft("add element inet knock svc_" + slot + "_h4 { " + prefix.network().to_string() +
                " comment \"ana's\" }");
  }
  void remove_by_hand(const std::string& slot, const Prefix& prefix) override {
    server_.nft("delete element inet knock svc_" + slot + "_h4 { " + prefix.network().to_string() +
                " }");
  }
  void remove_container() override { server_.nft("flush ruleset"); }

 protected:
  virtual std::unique_ptr<ApplyChannel> channel() {
    return std::move(host::open_local_channel(server_.path()).value());
  }
  Namespace server_;
};

class SocketWorld : public KernelWorld {
 public:
  ~SocketWorld() override {
    for (auto& role : roles_) role.join();
  }

 protected:
  std::unique_ptr<ApplyChannel> channel() override {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
      throw std::runtime_error("socketpair");
    // The role ends when the provider closes its end.
    roles_.emplace_back([this, fd = pair[1]] {
      server_.run([fd] {
        auto served = host::run_privileged(fd);
        EXPECT_TRUE(served) << served.error().text();
      });
      close(fd);
    });
    return std::make_unique<SocketApplyChannel>(pair[0]);
  }

 private:
  std::vector<std::thread> roles_;
};

class ModelWorld : public ProviderWorld {
 public:
  TargetName target() const override { return TargetName("edge"); }
  std::unique_ptr<Provider> make_provider() override {
    auto made =
        make_nftables_provider(target(), {}, kOwner, std::make_unique<FakeApply>(table_), {});
    return std::move(made.value());
  }
  std::unique_ptr<Provider> make_others_provider() override {
    auto made =
        make_nftables_provider(target(), {}, OwnerId{42}, std::make_unique<FakeApply>(table_), {});
    return std::move(made.value());
  }
  void add_foreign(const std::string& slot, const Prefix& prefix) override {
    table_.slots[slot][prefix] = {prefix, false, 0, "ana's"};
    ++table_.generation;
  }
  void remove_by_hand(const std::string& slot, const Prefix& prefix) override {
    table_.slots[slot].erase(prefix);
    ++table_.generation;
  }
  void remove_container() override {
    table_ = {};
    table_.generation = 99;
  }

 private:
  FakeTable table_;
};

template <class World>
std::unique_ptr<ProviderWorld> make() {
  return std::make_unique<World>();
}

INSTANTIATE_TEST_SUITE_P(
    Nftables, ProviderSuite,
    ::testing::Values(ProviderKind{"kernel", "netns", have_namespaces, make<KernelWorld>},
                      ProviderKind{"socket", "netns", have_namespaces, make<SocketWorld>},
                      ProviderKind{"model", "", {}, make<ModelWorld>}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace knock::test
