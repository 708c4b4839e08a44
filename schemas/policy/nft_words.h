// SPDX-License-Identifier: Apache-2.0
// Words that the nft command takes for its own where a table's name belongs (nftables 1.0.6, found
// by asking `nft list table inet WORD`). We speak netlink and would not mind; the person who types
// `nft list table` at night would be told of a syntax error.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace knock {

/// Sorted.
inline constexpr std::array<std::string_view, 143> kNftWords{
    "accept",   "add",        "ah",       "and",        "arp",      "bridge",   "chain",
    "chains",   "comment",    "comp",     "constant",   "continue", "counter",  "counters",
    "cpu",      "create",     "ct",       "day",        "dccp",     "define",   "delete",
    "describe", "dnat",       "drop",     "dst",        "dup",      "dynamic",  "ecn",
    "element",  "elements",   "eq",       "esp",        "ether",    "exists",   "expires",
    "export",   "fib",        "flow",     "flowtables", "flush",    "fwd",      "gc-interval",
    "ge",       "get",        "goto",     "gt",         "handle",   "hook",     "hour",
    "ibriport", "ibrname",    "icmp",     "icmpv6",     "igmp",     "iif",      "iifgroup",
    "iifname",  "iiftype",    "import",   "include",    "inet",     "insert",   "interval",
    "ip",       "ip6",        "ipsec",    "jhash",      "jump",     "le",       "limit",
    "limits",   "list",       "log",      "lshift",     "lt",       "map",      "maps",
    "mark",     "masquerade", "meta",     "meter",      "meters",   "mh",       "missing",
    "monitor",  "ne",         "netdev",   "nftrace",    "not",      "notrack",  "obriport",
    "obrname",  "oif",        "oifgroup", "oifname",    "oiftype",  "or",       "osf",
    "policy",   "priority",   "queue",    "quota",      "quotas",   "random",   "redefine",
    "redirect", "reject",     "rename",   "replace",    "reset",    "return",   "rshift",
    "rt",       "rt0",        "rt2",      "rtclassid",  "rule",     "ruleset",  "sctp",
    "secmarks", "set",        "sets",     "size",       "skgid",    "snat",     "socket",
    "srh",      "symhash",    "synproxy", "table",      "tables",   "tcp",      "th",
    "time",     "timeout",    "tproxy",   "typeof",     "udp",      "undefine", "vlan",
    "vmap",     "xor",        "xt"};
static_assert(std::ranges::is_sorted(kNftWords));

}  // namespace knock
