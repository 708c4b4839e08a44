// SPDX-License-Identifier: Apache-2.0
// One change of a set that holds 100,000 elements: by the privileged half (fence compared, events
// of others read, every acknowledgement checked, safe against what is there), and by a program that
// sends one libmnl batch and reads one acknowledgement. Each in a namespace of its own with the
// same table, taking turns; `sizes` as arguments.
#include <libmnl/libmnl.h>
#include <netinet/in.h>

// After netinet/in.h, or its addresses are declared twice.
#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agents/host/privileged.h"
#include "tests/support/netns.h"

namespace {

using namespace knock;
using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 200, kRounds = 3000, kBound = 5;
const std::string kMarker = "knock:1:0123456789abcdef:0065a0bc00:0123456789abcdef";

double micros(Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "nft_change: {}\n", why);
  std::exit(1);
}

void expect_done(const role::FromApply& answer) {
  if (const auto* failed = std::get_if<role::Failed>(&answer)) give_up(failed->why);
}

role::ElementChange change(bool add, std::uint32_t address) {
  return {add, "ssh", Prefix::host(IpAddress::v4(address)), 28'800'000, add ? kMarker : ""};
}

/// The table with its elements, the same on both sides.
void build(host::Privileged& half, std::size_t elements) {
  role::Ensure table;
  table.table = "knock";
  table.owner = OwnerId{1};
  table.slots = {{"ssh", {{Protocol::tcp, 22, 22}}}};
  expect_done(half.handle(table));
  role::ChangeElements fill{0, "knock", 0, {}};
  for (std::size_t i = 0; i < elements; ++i)
    fill.changes.push_back(change(true, 0x0a000000u + std::uint32_t(i)));
  expect_done(half.handle(fill));
}

/// What a program needs that knows that nobody else is there: one batch, one acknowledgement.
class Bare {
 public:
  Bare() : socket_(mnl_socket_open(NETLINK_NETFILTER)) {
    if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0)
      give_up("cannot open a netfilter socket");
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  ~Bare() { mnl_socket_close(socket_); }

  void change(bool add, std::uint32_t address) {
    char buffer[1024];
    char* at = buffer;
    at += control(at, NFNL_MSG_BATCH_BEGIN);
    at += element(at, add, address);
    at += control(at, NFNL_MSG_BATCH_END);
    if (mnl_socket_sendto(socket_, buffer, std::size_t(at - buffer)) < 0) give_up("send");
    ssize_t got = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
    if (got <= 0 || mnl_cb_run(buffer, std::size_t(got), 0, 0, nullptr, nullptr) < 0)
      give_up(std::string("the bare program was refused: ") + strerror(errno));
  }

 private:
  static std::size_t control(char* at, int type) {
    nlmsghdr* m = mnl_nlmsg_put_header(at);
    m->nlmsg_type = std::uint16_t(type);
    m->nlmsg_flags = NLM_F_REQUEST;
    extra(m, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    return m->nlmsg_len;
  }
  static void extra(nlmsghdr* m, int family, int resource) {
    auto* e = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(m, sizeof(nfgenmsg)));
    e->nfgen_family = std::uint8_t(family);
    e->version = NFNETLINK_V0;
    e->res_id = htons(std::uint16_t(resource));
  }
  static std::size_t element(char* at, bool add, std::uint32_t address) {
    nlmsghdr* m = mnl_nlmsg_put_header(at);
    m->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | (add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
    m->nlmsg_flags = std::uint16_t(NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE : 0));
    extra(m, NFPROTO_INET, 0);
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, "knock");
    mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, "svc_ssh_h4");
    auto* list = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
    auto* one = mnl_attr_nest_start(m, NFTA_LIST_ELEM);
    auto* key = mnl_attr_nest_start(m, NFTA_SET_ELEM_KEY);
    std::uint32_t bytes = htonl(address);
    mnl_attr_put(m, NFTA_DATA_VALUE, sizeof bytes, &bytes);
    mnl_attr_nest_end(m, key);
    if (add) {
      mnl_attr_put_u64(m, NFTA_SET_ELEM_TIMEOUT, htobe64(28'800'000));
      std::string data{'\0', char(kMarker.size() + 1)};
      data += kMarker;
      data += '\0';
      mnl_attr_put(m, NFTA_SET_ELEM_USERDATA, data.size(), data.data());
    }
    mnl_attr_nest_end(m, one);
    mnl_attr_nest_end(m, list);
    return m->nlmsg_len;
  }
  mnl_socket* socket_;
};

struct Figures {
  std::vector<double> add, remove;
  static double at(std::vector<double>& all, double part) {
    std::sort(all.begin(), all.end());
    return all[std::min(all.size() - 1, std::size_t(double(all.size()) * part))];
  }
};

/// Adds an address that is not there, then removes it.
template <class Change>
void measure(Figures& out, int rounds, bool count, Change change) {
  for (int i = 0; i < rounds; ++i) {
    auto address = 0xc0000200u + std::uint32_t(i % 250);
    auto start = Clock::now();
    change(true, address);
    auto middle = Clock::now();
    change(false, address);
    auto end = Clock::now();
    if (!count) continue;
    out.add.push_back(micros(middle - start));
    out.remove.push_back(micros(end - middle));
  }
}

double row(const char* what, std::size_t size, std::vector<double>& ours,
           std::vector<double>& bare) {
  double ratio = Figures::at(ours, 0.5) / Figures::at(bare, 0.5);
  fmt::print(
      "{:<8} {:>8} elements   apply p50 {:>7.1f} µs  p99 {:>7.1f} µs   bare libmnl p50 {:>7.1f} µs "
      " "
      "p99 {:>7.1f} µs   {:.1f} ×\n",
      what, size, Figures::at(ours, 0.5), Figures::at(ours, 0.99), Figures::at(bare, 0.5),
      Figures::at(bare, 0.99), ratio);
  return ratio;
}

bool run(std::size_t size) {
  test::Namespace one, two;
  std::unique_ptr<host::Privileged> half;
  std::unique_ptr<Bare> bare;
  // Sockets stay in the namespace they were opened in, so one thread can use both in turn.
  one.run([&] {
    auto opened = host::Privileged::open();
    if (!opened) give_up(opened.error().text());
    half = std::make_unique<host::Privileged>(std::move(*opened));
    build(*half, size);
  });
  two.run([&] {
    auto builder = host::Privileged::open();
    if (!builder) give_up(builder.error().text());
    build(*builder, size);
    bare = std::make_unique<Bare>();
  });
  std::uint32_t fence = std::get<role::TableFound>(half->handle(role::ReadBack{0, "knock"})).fence;
  auto by_half = [&](bool add, std::uint32_t address) {
    auto answer = half->handle(role::ChangeElements{0, "knock", fence, {change(add, address)}});
    expect_done(answer);
    fence = std::get<role::Done>(answer).fence;
  };
  auto by_bare = [&](bool add, std::uint32_t address) { bare->change(add, address); };
  Figures ours, theirs;
  measure(ours, kWarmUp, false, by_half);
  measure(theirs, kWarmUp, false, by_bare);
  for (int turn = 0; turn < 10; ++turn) {
    measure(ours, kRounds / 10, true, by_half);
    measure(theirs, kRounds / 10, true, by_bare);
  }
  double add = row("add", size, ours.add, theirs.add);
  double remove = row("remove", size, ours.remove, theirs.remove);
  return add <= kBound && remove <= kBound;
}

}  // namespace

int main(int argc, char** argv) {
  if (!test::have_namespaces()) {
    fmt::print("nft_change: SKIPPED: no network namespace\n");
    return 0;
  }
  std::vector<std::size_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {0, 1'000, 10'000, 100'000};
  fmt::print("one change of a hash set, {} rounds each, bound {} × at p50\n", kRounds, kBound);
  bool good = true;
  for (auto size : sizes) good = run(size) && good;
  return good ? 0 : 1;
}
