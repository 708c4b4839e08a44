// SPDX-License-Identifier: Apache-2.0
// What a machine's own nftables rules let in, read from `nft -j list ruleset` (libnftables-json(5)),
// so that somebody's firewall can become a policy. Pure; any thread.
//
// Only what is understood whole is taken, because half of a rule opens more than the rule: accepts
// of tcp or udp ports, from addresses or from everybody, in the chains that see packets to this
// machine or through it. Whatever stands before an accept and takes something away is taken away
// here too; what is not understood is left out and named.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/port_range.h"
#include "base/prefix.h"
#include "base/result.h"

namespace knock {

/// A rule that lets packets in, of new connections.
struct LetIn {
  bool everybody = false;        // asks for no address; then `from` is empty
  bool through = false;          // to machines behind this one, not to itself
  std::vector<Prefix> from;      // sorted, without nested ones; what others take away is not in it
  std::vector<PortRange> ports;  // canonical, not empty
  std::string where;             // "inet filter input, handle 7"
  std::string comment;           // the rule's own; from outside
};

struct LeftOut {
  std::string where, why;
};

struct OwnRules {
  std::vector<LetIn> let_in;  // in the order of the rules
  std::vector<LeftOut> left_out;
  bool closes_the_rest = false;  // a chain drops what no rule accepts
};

/// Tables of knock's own are skipped. Errors: `invalid`, when this is not such a document.
Result<OwnRules> read_own_rules(std::string_view json);

}  // namespace knock
