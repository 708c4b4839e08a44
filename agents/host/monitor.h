// SPDX-License-Identifier: Apache-2.0
// Who changed what since: the fence of one table, made of the namespace's one generation number.
//
// The number moves with every program's every commit, so on a busy host a fence would always be
// stale. The monitor reads the events of all commits but our own and remembers for each watched
// table the last generation in which somebody else touched it. A fence is then good as long as
// every later commit concerned other tables. Where events were lost, it is not.
//
// Only numbers that the monitor has seen the end of are used: the kernel raises the number before
// it shows the change and before it tells about it, so a number that was merely asked for may
// belong to a commit that is half-way. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agents/host/netlink.h"
#include "base/result.h"

namespace knock::host {

/// True when generation `a` is not before `b`; the number wraps.
inline bool not_before(std::uint32_t a, std::uint32_t b) { return std::int32_t(a - b) >= 0; }

class Monitor {
 public:
  /// Sees the commits of every socket but `netlink`, which is also used to find the starting point.
  static Result<Monitor> open(Netlink& netlink);

  /// Readable when something happened.
  int fd() const;
  /// Reads everything that is waiting, without blocking.
  Status drain(Netlink& netlink);
  /// From here on changes of this table (family inet) are remembered and told.
  void watch(const std::string& table);
  /// The latest generation that is known to be complete.
  std::uint32_t current() const { return current_; }
  /// True when the table is as it was at `fence`, as of current().
  bool unchanged_since(const std::string& table, std::uint32_t fence) const;
  /// Our own batch with fence current() was committed and touched `table`.
  void committed(const std::string& table);
  /// While anybody listens, the kernel writes an event of 4 KiB for each element of a batch, our
  /// own included: for 100,000 that is ten times the work and gigabytes. So around a big batch of
  /// ours nobody listens; its fence proves that nothing happened before it, and resume() looks
  /// whether anything happened after.
  void pause();
  Status resume(Netlink& netlink);
  /// Watched tables that others changed since the last call.
  std::vector<std::string> take_moved();

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  explicit Monitor(std::unique_ptr<mnl_socket, Close> socket);
  void read(const nlmsghdr* message);
  void end_of_commit(std::uint32_t generation);
  /// Events were lost: everything may have changed up to `generation`.
  void forget(std::uint32_t generation);

  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<char> receive_;
  std::map<std::string, std::uint32_t> changed_;  // watched table → last generation that touched it
  std::set<std::string> in_this_commit_, moved_;
  std::uint32_t current_ = 0;
  bool gap_ = false;
};

}  // namespace knock::host
