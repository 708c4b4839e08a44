// SPDX-License-Identifier: Apache-2.0
// Who holds how many of a server's connections. An address is counted alone (of IPv6 its /64, which
// one host has to itself) and with the network around it (a /24, a /48: what one customer often
// has). Memory grows with the connections and not with the addresses that were ever seen. One
// thread.
#pragma once

#include <map>
#include <vector>

#include "base/prefix.h"

namespace knock::net {

class Connection;

class Peers {
 public:
  struct Bits {
    int v4, v6;
  };
  static constexpr Bits kAddress{32, 64}, kNetwork{24, 48};

  explicit Peers(Bits bits) : bits_(bits) {}

  void add(const IpAddress& address, Connection* connection) {
    groups_[group(address)].push_back(connection);
  }
  void remove(const IpAddress& address, Connection* connection) {
    auto at = groups_.find(group(address));
    if (at == groups_.end()) return;
    std::erase(at->second, connection);
    if (at->second.empty()) groups_.erase(at);
  }
  /// Those of everybody who is counted together with `address`, in the order they came.
  const std::vector<Connection*>& beside(const IpAddress& address) const {
    static const std::vector<Connection*> kNobody;
    auto at = groups_.find(group(address));
    return at == groups_.end() ? kNobody : at->second;
  }
  bool empty() const { return groups_.empty(); }

 private:
  Prefix group(const IpAddress& address) const {
    return Prefix::of(address, address.family() == Family::v4 ? bits_.v4 : bits_.v6);
  }
  Bits bits_;
  std::map<Prefix, std::vector<Connection*>> groups_;
};

}  // namespace knock::net
