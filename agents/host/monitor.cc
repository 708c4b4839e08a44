// SPDX-License-Identifier: Apache-2.0
#include "agents/host/monitor.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

// After netinet/in.h, or its addresses are declared twice.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace knock::host {
namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;

// Every kind of nf_tables object names its table in attribute 1.
constexpr int kTableAttribute = 1;
static_assert(NFTA_TABLE_NAME == kTableAttribute && NFTA_CHAIN_TABLE == kTableAttribute &&
              NFTA_RULE_TABLE == kTableAttribute && NFTA_SET_TABLE == kTableAttribute &&
              NFTA_SET_ELEM_LIST_TABLE == kTableAttribute && NFTA_OBJ_TABLE == kTableAttribute &&
              NFTA_FLOWTABLE_TABLE == kTableAttribute);

/// Drops, in the kernel, the events of commits that came from `port`: 100,000 elements of our own
/// would overrun the buffer. Events of one commit share a packet, other commits' never do.
Status hide_own(int fd, std::uint32_t port) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  sock_fprog program{std::uint16_t(std::size(code)), code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return fail(netlink_error(errno, "cannot filter the firewall's events"));
  return {};
}

}  // namespace

void Monitor::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Monitor::Monitor(std::unique_ptr<mnl_socket, Close> socket)
    : socket_(std::move(socket)), receive_(kReceiveBytes) {}

Result<Monitor> Monitor::open(Netlink& netlink) {
  std::unique_ptr<mnl_socket, Close> socket(
      mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    return fail(netlink_error(errno, "cannot open a netfilter socket for events"));
  int fd = mnl_socket_get_fd(socket.get());
  int bytes = 8 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  KNOCK_CHECK(hide_own(fd, netlink.port()));
  int group = NFNLGRP_NFTABLES;
  if (mnl_socket_setsockopt(socket.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
    return fail(netlink_error(errno, "cannot listen to the firewall's events"));
  Monitor out(std::move(socket));
  KNOCK_ASSIGN(out.current_, netlink.settle());
  KNOCK_CHECK(out.drain(netlink));
  return out;
}

int Monitor::fd() const { return mnl_socket_get_fd(socket_.get()); }

void Monitor::watch(const std::string& table) { changed_.emplace(table, current_); }

Status Monitor::drain(Netlink& netlink) {
  while (true) {
    ssize_t got = recv(fd(), receive_.data(), receive_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      gap_ = true;
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got < 0) return fail(netlink_error(errno, "reading the firewall's events"));
    int rest = int(got);
    for (auto* m = reinterpret_cast<const nlmsghdr*>(receive_.data()); mnl_nlmsg_ok(m, rest);
         m = mnl_nlmsg_next(m, &rest))
      read(m);
  }
  if (gap_) {
    // What is waiting after this belongs to numbers up to this one, or is read as usual.
    KNOCK_ASSIGN(std::uint32_t now, netlink.settle());
    gap_ = false;
    forget(now);
  }
  return {};
}

void Monitor::read(const nlmsghdr* message) {
  if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return;
  auto attributes = Attributes::of(message);
  if ((message->nlmsg_type & 0xff) == NFT_MSG_NEWGEN) {
    end_of_commit(attributes.u32(NFTA_GEN_ID));
    return;
  }
  const auto* extra = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
  if (extra->nfgen_family != NFPROTO_INET) return;
  auto table = attributes.text(kTableAttribute);
  if (changed_.contains(table)) in_this_commit_.insert(std::move(table));
}

void Monitor::end_of_commit(std::uint32_t generation) {
  auto touched = std::move(in_this_commit_);
  in_this_commit_.clear();
  if (not_before(current_, generation)) {
    // Known already, from settle(): its events still count.
    for (const auto& table : touched) {
      changed_[table] = current_;
      moved_.insert(table);
    }
    return;
  }
  std::uint32_t next = current_ + 1 == 0 ? 1 : current_ + 1;
  if (generation != next) gap_ = true;
  current_ = generation;
  for (const auto& table : touched) {
    changed_[table] = generation;
    moved_.insert(table);
  }
}

void Monitor::forget(std::uint32_t generation) {
  in_this_commit_.clear();
  if (!not_before(current_, generation)) current_ = generation;
  for (auto& [table, when] : changed_) {
    when = current_;
    moved_.insert(table);
  }
}

bool Monitor::unchanged_since(const std::string& table, std::uint32_t fence) const {
  auto at = changed_.find(table);
  return at != changed_.end() && not_before(current_, fence) && not_before(fence, at->second);
}

void Monitor::committed(const std::string& table) {
  current_ = current_ + 1 == 0 ? 1 : current_ + 1;
  auto at = changed_.find(table);
  if (at != changed_.end()) at->second = current_;
}

void Monitor::pause() {
  int group = NFNLGRP_NFTABLES;
  mnl_socket_setsockopt(socket_.get(), NETLINK_DROP_MEMBERSHIP, &group, sizeof group);
}

Status Monitor::resume(Netlink& netlink) {
  int group = NFNLGRP_NFTABLES;
  if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
    gap_ = true;
    return fail(netlink_error(errno, "cannot listen to the firewall's events"));
  }
  auto now = netlink.settle();
  gap_ = !now;  // the next drain looks again
  if (!now) return fail(std::move(now.error()));
  if (*now != current_) forget(*now);
  return {};
}

std::vector<std::string> Monitor::take_moved() {
  std::vector<std::string> out(moved_.begin(), moved_.end());
  moved_.clear();
  return out;
}

}  // namespace knock::host
