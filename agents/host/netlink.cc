// SPDX-License-Identifier: Apache-2.0
#include "agents/host/netlink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

// After netinet/in.h, or its addresses are declared twice.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace knock::host {
namespace {

constexpr int kSubsystem = NFNL_SUBSYS_NFTABLES << 8;
constexpr std::size_t kReceiveBytes = 256 * 1024;

nlmsghdr* put_header(void* buffer, int type, int flags, int family, int resource) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = std::uint16_t(type);
  header->nlmsg_flags = std::uint16_t(NLM_F_REQUEST | flags);
  auto* extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  extra->nfgen_family = std::uint8_t(family);
  extra->version = NFNETLINK_V0;
  extra->res_id = htons(std::uint16_t(resource));
  return header;
}

/// Length of the batch's first message: header, nfgenmsg, generation.
constexpr std::size_t kBatchBegin = sizeof(nlmsghdr) + sizeof(nfgenmsg) + 8;

void raise_buffer(const mnl_socket* socket, int option, int forced, int bytes) {
  int fd = mnl_socket_get_fd(socket);
  // The forced form needs CAP_NET_ADMIN, which whoever may change tables has.
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
    setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

/// The kernel's own words, from the attributes behind an error message.
std::string extended_text(const nlmsghdr* message, const nlmsgerr* error) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t skip = sizeof(nlmsgerr);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) {
    if (error->msg.nlmsg_len < sizeof(nlmsghdr)) return {};
    skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
  }
  std::size_t size = mnl_nlmsg_get_payload_len(message);
  skip = MNL_ALIGN(skip);
  if (skip >= size) return {};
  return Attributes(reinterpret_cast<const char*>(error) + skip, size - skip)
      .text(NLMSGERR_ATTR_MSG);
}

}  // namespace

// ---------------------------------------------------------------- messages

Message::Message(int type, int flags, int family, std::size_t room)
    : buffer_(std::make_unique_for_overwrite<char[]>(room)) {
  header_ = put_header(buffer_.get(), kSubsystem | type, flags, family, 0);
}

Message& Message::text(int attribute, std::string_view value) {
  mnl_attr_put_strz(header_, std::uint16_t(attribute), std::string(value).c_str());
  return *this;
}
Message& Message::u32(int attribute, std::uint32_t value) {
  mnl_attr_put_u32(header_, std::uint16_t(attribute), htonl(value));
  return *this;
}
Message& Message::u64(int attribute, std::uint64_t value) {
  mnl_attr_put_u64(header_, std::uint16_t(attribute), htobe64(value));
  return *this;
}
Message& Message::bytes(int attribute, std::string_view value) {
  mnl_attr_put(header_, std::uint16_t(attribute), value.size(), value.data());
  return *this;
}
Message& Message::begin(int attribute) {
  open_.push_back(mnl_attr_nest_start(header_, std::uint16_t(attribute)));
  return *this;
}
Message& Message::end() {
  mnl_attr_nest_end(header_, open_.back());
  open_.pop_back();
  return *this;
}
std::size_t Message::size() const { return header_->nlmsg_len; }
std::string_view Message::view() const { return {buffer_.get(), header_->nlmsg_len}; }

Batch::Batch() {
  alignas(nlmsghdr) char buffer[64] = {};
  nlmsghdr* begin = put_header(buffer, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  mnl_attr_put_u32(begin, NFNL_BATCH_GENID, 0);
  bytes_.assign(buffer, begin->nlmsg_len);
}

void Batch::add(Message&& message) {
  message.header()->nlmsg_flags |= NLM_F_ACK;
  message.header()->nlmsg_seq = ++count_;
  bytes_ += message.view();
}

// ---------------------------------------------------------------- attributes

Attributes::Attributes(const void* first, std::size_t bytes)
    : all_(static_cast<const char*>(first), bytes) {}

Attributes Attributes::of(const nlmsghdr* message) {
  std::size_t size = mnl_nlmsg_get_payload_len(message), skip = MNL_ALIGN(sizeof(nfgenmsg));
  if (size < skip) return {nullptr, 0};
  return {mnl_nlmsg_get_payload_offset(message, skip), size - skip};
}

std::string_view Attributes::payload(std::string_view attribute) {
  return attribute.empty() ? attribute : attribute.substr(MNL_ATTR_HDRLEN);
}

std::string_view Attributes::find(int attribute) const {
  auto rest = all_;
  while (!rest.empty()) {
    const auto* at = reinterpret_cast<const nlattr*>(rest.data());
    if (!mnl_attr_ok(at, int(rest.size()))) return {};
    if (mnl_attr_get_type(at) == attribute) return rest.substr(0, mnl_attr_get_len(at));
    rest.remove_prefix(std::min<std::size_t>(MNL_ALIGN(mnl_attr_get_len(at)), rest.size()));
  }
  return {};
}

std::string Attributes::text(int attribute) const {
  auto value = bytes(attribute);
  return std::string(value.substr(0, value.find('\0')));
}
std::uint32_t Attributes::u32(int attribute) const {
  auto value = bytes(attribute);
  std::uint32_t out = 0;
  if (value.size() == sizeof out) std::memcpy(&out, value.data(), sizeof out);
  return ntohl(out);
}
std::uint64_t Attributes::u64(int attribute) const {
  auto value = bytes(attribute);
  std::uint64_t out = 0;
  if (value.size() == sizeof out) std::memcpy(&out, value.data(), sizeof out);
  return be64toh(out);
}
Attributes Attributes::nest(int attribute) const {
  auto value = bytes(attribute);
  return {value.data(), value.size()};
}
void Attributes::each(int attribute, const std::function<void(Attributes)>& visit) const {
  auto rest = all_;
  while (!rest.empty()) {
    const auto* at = reinterpret_cast<const nlattr*>(rest.data());
    if (!mnl_attr_ok(at, int(rest.size()))) return;
    if (mnl_attr_get_type(at) == attribute)
      visit({mnl_attr_get_payload(at), mnl_attr_get_payload_len(at)});
    rest.remove_prefix(std::min<std::size_t>(MNL_ALIGN(mnl_attr_get_len(at)), rest.size()));
  }
}

// ---------------------------------------------------------------- socket

void Netlink::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Netlink::Netlink(std::unique_ptr<mnl_socket, Close> socket)
    : socket_(std::move(socket)), receive_(kReceiveBytes) {}

Result<Netlink> Netlink::open() {
  std::unique_ptr<mnl_socket, Close> socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    return fail(netlink_error(errno, "cannot open a netfilter socket"));
  int on = 1;
  // Errors without our own message in them, but with the kernel's words.
  mnl_socket_setsockopt(socket.get(), NETLINK_CAP_ACK, &on, sizeof on);
  mnl_socket_setsockopt(socket.get(), NETLINK_EXT_ACK, &on, sizeof on);
  raise_buffer(socket.get(), SO_RCVBUF, SO_RCVBUFFORCE, 8 << 20);
  timeval patience{5, 0};
  setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return Netlink(std::move(socket));
}

std::uint32_t Netlink::port() const { return mnl_socket_get_portid(socket_.get()); }

Committed Netlink::commit(Batch& batch, std::uint32_t fence) {
  // Sequence numbers are shifted so that late replies to an earlier batch are told apart.
  std::string bytes = batch.bytes_;
  auto* begin = reinterpret_cast<nlmsghdr*>(bytes.data());
  std::uint32_t first = sequence_;
  begin->nlmsg_seq = first;
  std::uint32_t generation = htonl(fence);
  std::memcpy(bytes.data() + kBatchBegin - sizeof generation, &generation, sizeof generation);
  for (std::size_t at = begin->nlmsg_len; at < bytes.size();) {
    auto* message = reinterpret_cast<nlmsghdr*>(bytes.data() + at);
    message->nlmsg_seq += first;
    at += MNL_ALIGN(message->nlmsg_len);
  }
  alignas(nlmsghdr) char buffer[64] = {};
  nlmsghdr* end = put_header(buffer, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  end->nlmsg_seq = first + batch.count_ + 1;
  bytes.append(buffer, end->nlmsg_len);
  sequence_ = end->nlmsg_seq + 1;
  if (sequence_ > 0x7fffffff) sequence_ = 1;

  if (auto room = bytes.size() + 4096; room > send_room_) {
    send_room_ = std::max<std::size_t>(room, 256 * 1024);
    raise_buffer(socket_.get(), SO_SNDBUF, SO_SNDBUFFORCE, int(send_room_));
  }
  if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) < 0)
    return {errno, 0, {}, false, 0};
  return collect(first, batch.count_);
}

Committed Netlink::collect(std::uint32_t first, std::uint32_t count) {
  // The kernel works within the call of send: every reply is waiting by now.
  Committed out;
  std::uint32_t good = 0;
  bool lost = false;
  int fd = mnl_socket_get_fd(socket_.get());
  while (good < count || count == 0) {
    ssize_t got = recv(fd, receive_.data(), receive_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      lost = true;
      continue;
    }
    if (got <= 0) break;
    int rest = int(got);
    for (auto* m = reinterpret_cast<const nlmsghdr*>(receive_.data()); mnl_nlmsg_ok(m, rest);
         m = mnl_nlmsg_next(m, &rest)) {
      std::uint32_t number = m->nlmsg_seq - first;
      if (m->nlmsg_type != NLMSG_ERROR || number > count + 1) continue;
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(m));
      if (error->error == 0) {
        if (number >= 1 && number <= count) ++good;
      } else if (out.error == 0) {
        out = {-error->error, number, extended_text(m, error), false, 0};
      }
    }
  }
  if (out.error == 0 && (lost || good != count)) out.unknown = true;
  return out;
}

Result<unsigned> Netlink::dump(Message& request, Walk walk,
                               const std::function<void(const nlmsghdr*)>& visit) {
  bool many = (request.header()->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  auto sequence = sequence_++;
  request.header()->nlmsg_seq = sequence;
  if (mnl_socket_sendto(socket_.get(), request.view().data(), request.size()) < 0)
    return fail(netlink_error(errno, "asking the kernel for its tables"));
  bool interrupted = false;
  unsigned pieces = 0;
  while (true) {
    ssize_t got = mnl_socket_recvfrom(socket_.get(), receive_.data(), receive_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(netlink_error(errno, "reading the kernel's tables"));
    int rest = int(got);
    bool counted = false;
    for (auto* m = reinterpret_cast<const nlmsghdr*>(receive_.data()); mnl_nlmsg_ok(m, rest);
         m = mnl_nlmsg_next(m, &rest)) {
      if (m->nlmsg_seq != sequence) continue;
      if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (m->nlmsg_type == NLMSG_ERROR) {
        auto error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(m))->error;
        if (error == 0) return pieces;
        return fail(netlink_error(-error, "reading the kernel's tables"));
      }
      if (m->nlmsg_type == NLMSG_DONE) {
        if (interrupted && walk == Walk::all_tables)
          return fail(ErrorKind::conflict, "the tables changed while they were read");
        return pieces;
      }
      if (!std::exchange(counted, true)) ++pieces;
      visit(m);
      if (!many) return pieces;
    }
  }
}

Result<std::uint32_t> Netlink::generation() {
  Message ask(NFT_MSG_GETGEN, 0, AF_UNSPEC);
  std::uint32_t out = 0;
  KNOCK_CHECK(dump(ask, Walk::one_table,
                   [&](const nlmsghdr* m) { out = Attributes::of(m).u32(NFTA_GEN_ID); }));
  if (out == 0) return fail(ErrorKind::internal, "the kernel named no generation of its tables");
  return out;
}

Result<std::uint32_t> Netlink::settle() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    KNOCK_ASSIGN(std::uint32_t now, generation());
    Batch nothing;
    auto committed = commit(nothing, now);
    if (committed.done()) return now;
    if (committed.error != ERESTART)
      return fail(netlink_error(committed.error, "waiting for the kernel's tables"));
  }
  return fail(ErrorKind::unavailable,
              "the firewall's tables change without a pause: another program rewrites them");
}

Error netlink_error(int error, std::string_view what) {
  ErrorKind kind = ErrorKind::internal;
  std::string reason = std::strerror(error);
  switch (error) {
    case EPERM:
    case EACCES:
      kind = ErrorKind::unauthorized;
      reason = "not permitted: CAP_NET_ADMIN in this network namespace is needed";
      break;
    case ENOENT:
      kind = ErrorKind::not_found;
      break;
    case ERESTART:
      kind = ErrorKind::conflict;
      reason = "the tables changed meanwhile";
      break;
    case EEXIST:
      kind = ErrorKind::invalid;
      reason = "it overlaps with what is there";
      break;
    case EINVAL:
    case ERANGE:
    case EBUSY:
      kind = ErrorKind::invalid;
      break;
    case EAGAIN:
      kind = ErrorKind::timeout;
      reason = "no answer from the kernel";
      break;
    case ENOBUFS:
    case ENOMEM:
    case ENFILE:
    case EMSGSIZE:
      kind = ErrorKind::unavailable;
      break;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      kind = ErrorKind::unsupported;
      reason = "this kernel lacks nf_tables, or a part of it";
      break;
    default:
      break;
  }
  return {kind, std::string(what) + ": " + reason, {}, std::nullopt};
}

}  // namespace knock::host
