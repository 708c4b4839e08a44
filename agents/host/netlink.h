// SPDX-License-Identifier: Apache-2.0
// nf_tables over netlink, as little of it as a table of our own needs: messages, one batch as one
// transaction with a fence, dumps. No text is ever interpreted, and one transaction may hold
// structure and elements alike.
//
// A batch carries the generation it was computed from; the kernel refuses it (ERESTART) when any
// program has changed any table of this namespace since. Each successful batch raises the
// generation by exactly one, so the number after our own transaction is known without asking.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct nlmsghdr;
struct nlattr;
struct mnl_socket;

namespace knock::host {

/// One message of the nf_tables subsystem while it is being written. Numbers go out big-endian.
class Message {
 public:
  /// `type` is NFT_MSG_…; flags as NLM_F_CREATE. NLM_F_REQUEST is added.
  /// `room` is never exceeded by a caller: the parts of one message have known sizes.
  Message(int type, int flags, int family, std::size_t room = 4096);
  Message& text(int attribute, std::string_view value);  // NUL-terminated
  Message& u32(int attribute, std::uint32_t value);
  Message& u64(int attribute, std::uint64_t value);
  Message& bytes(int attribute, std::string_view value);
  Message& begin(int attribute);  // a nest; to be ended
  Message& end();
  std::size_t size() const;
  nlmsghdr* header() { return header_; }
  std::string_view view() const;

 private:
  std::unique_ptr<char[]> buffer_;
  nlmsghdr* header_;
  std::vector<nlattr*> open_;
};

/// A nested attribute's length has 16 bits: element messages are closed before this.
inline constexpr std::size_t kMostMessageBytes = 60'000, kElementMessageRoom = 64 * 1024;

/// One transaction. Messages are numbered from 1.
class Batch {
 public:
  Batch();
  void add(Message&& message);
  bool empty() const { return count_ == 0; }
  std::uint32_t count() const { return count_; }
  std::size_t size() const { return bytes_.size(); }

 private:
  friend class Netlink;
  std::string bytes_;
  std::uint32_t count_ = 0;
};

/// What became of a batch.
struct Committed {
  int error = 0;                 // errno; ERESTART: the generation was another one
  std::uint32_t message = 0;     // the first that failed; 0: the batch as a whole
  std::string text;              // what the kernel said besides
  bool unknown = false;          // replies were lost: it may or may not stand
  std::uint32_t generation = 0;  // done: the one it made
  bool done() const { return error == 0 && !unknown; }
};

/// An attribute list read back, by number. Views live as long as the message.
class Attributes {
 public:
  Attributes(const void* first, std::size_t bytes);
  /// Of a message of nf_tables, behind its nfgenmsg.
  static Attributes of(const nlmsghdr* message);
  bool has(int attribute) const { return !find(attribute).empty(); }
  std::string_view bytes(int attribute) const { return payload(find(attribute)); }
  std::string text(int attribute) const;   // without the NUL
  std::uint32_t u32(int attribute) const;  // 0 when absent
  std::uint64_t u64(int attribute) const;  // 0 when absent
  Attributes nest(int attribute) const;
  /// Every attribute of that number, in order.
  void each(int attribute, const std::function<void(Attributes)>& visit) const;

 private:
  static std::string_view payload(std::string_view attribute);
  std::string_view find(int attribute) const;
  std::string_view all_;
};

/// A netfilter netlink socket. One thread.
class Netlink {
 public:
  static Result<Netlink> open();
  std::uint32_t port() const;

  /// Sends the batch with generation `fence` and collects every acknowledgement.
  Committed commit(Batch& batch, std::uint32_t fence);
  /// What a dump walks over. The kernel calls a dump interrupted when any table of the namespace
  /// changed meanwhile; one that stays within a table is only disturbed by changes of that table,
  /// which the monitor tells, and on a busy host nothing else would ever be read.
  enum class Walk { one_table, all_tables };
  /// Calls `visit` with every message of the answer, and tells in how many pieces it came.
  /// `conflict`: interrupted (all_tables).
  Result<unsigned> dump(Message& request, Walk walk,
                        const std::function<void(const nlmsghdr*)>& visit);
  /// The generation as the kernel tells it. Another program's commit may be half-way: settle() is
  /// what fences are made of.
  Result<std::uint32_t> generation();
  /// A generation that no commit in flight is part of: an empty batch waits for them.
  Result<std::uint32_t> settle();

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netlink(std::unique_ptr<mnl_socket, Close> socket);
  Committed collect(std::uint32_t first, std::uint32_t count);
  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<char> receive_;  // one for all calls: clearing a fresh one costs more than a change
  std::uint32_t sequence_ = 1;
  std::size_t send_room_ = 0;
};

/// An errno as an Error: "what: reason".
Error netlink_error(int error, std::string_view what);

}  // namespace knock::host
