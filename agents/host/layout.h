// SPDX-License-Identifier: Apache-2.0
// How our table is built, and its parts as netlink messages.
//
//   table inet NAME                 comment knock:1:<owner>
//     set keep4, keep6              operators' standing accepts (interval, no timeout)
//     set svc_<slot>_h4, _h6        hosts (hash, timeout)
//     set svc_<slot>_n4, _n6        wider prefixes (interval, timeout)
//     chain svc_<slot>              accepts the slot's four sets
//   and for a slot with entries that last by connection (docs/adr/0016), of both families:
//     set svc_<slot>_s4, _s6        tags: connections with this one stay; comments name the address
//     map svc_<slot>_o4, _o6        address : tag, each element with `limit` and `counter`: one
//                                   connection is given the tag
//     map svc_<slot>_c4, _c6        address : tag: each connection is given the tag
//     chain svc_<slot>              then: new and without a label → `ct label set` by _o and _c;
//                                   accepts labels in _s
//     chain guard                   keep accepts; per slot `dport … jump svc_<slot>`; drops of
//                                   protected ports
//     chain input, forward          filter hooks at priority -5, policy accept: `iif lo accept`
//                                   (input), jump guard
//     chain knock_mark              never reached; its one rule's comment holds the digest of all
//                                   the above, so that an edit by hand is seen
//
// The hooks stand before anybody's `established accept` (priority 0) and a drop is final, so an
// entry that ends cuts open connections too. Nothing here asks for `ct state` but to tell where a
// connection begins that needs a ticket. A tag is a connection's label (`ct label`): its last eight
// bytes, big-endian, the others 0; chosen at random, so that no two entries share one. The kernel knows who has which label, so it is shown to nobody,
// and goes with the connection. nft has no type for labels in sets and shows them as IPv6 addresses,
// which are as long. Slot names hold
// nothing but [a-z0-9._-], which both nft's syntax and a suffix of fixed length leave unambiguous.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agents/host/netlink.h"
#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "schemas/role/apply.h"

namespace knock::host {

inline constexpr std::string_view kInputChain = "input", kForwardChain = "forward";
inline constexpr std::string_view kGuardChain = "guard", kMarkChain = "knock_mark";
inline constexpr std::string_view kKeep4 = "keep4", kKeep6 = "keep6";
inline constexpr std::int32_t kPriority = -5;  // before filter's 0

struct SetKind {
  Family family = Family::v4;
  bool interval = false;
  role::Part part = role::Part::open;
  friend bool operator==(SetKind, SetKind) = default;
};
inline constexpr SetKind kSetKinds[] = {
    {Family::v4, false}, {Family::v6, false}, {Family::v4, true}, {Family::v6, true}};
inline constexpr SetKind kTicketKinds[] = {
    {Family::v4, false, role::Part::stay}, {Family::v6, false, role::Part::stay},
    {Family::v4, false, role::Part::once}, {Family::v6, false, role::Part::once},
    {Family::v4, false, role::Part::come}, {Family::v6, false, role::Part::come}};
inline bool is_map(SetKind kind) {
  return kind.part == role::Part::once || kind.part == role::Part::come;
}
std::size_t key_length(SetKind kind);
/// A `stay` element's comment ends in ":" and its address, 32 hex digits (IPv4 as ::ffff:…), because
/// its key is the tag alone.
std::optional<IpAddress> address_in(std::string_view stay_comment);
std::string with_address(std::string_view marker, const IpAddress& address);

std::string slot_chain(std::string_view slot);
std::string slot_set(std::string_view slot, SetKind kind);
inline SetKind set_kind_of(const Prefix& prefix, role::Part part = role::Part::open) {
  return {prefix.family(), !prefix.is_host(), part};
}
struct SlotSet {
  std::string slot;
  SetKind kind;
};
std::optional<SlotSet> parse_slot_set(std::string_view set);

/// Comments of rules in `guard`, which are how a table tells what it was built for.
std::string slot_comment(std::string_view slot, const PortRange& ports);
std::string protect_comment(const PortRange& ports);
struct RuleMeaning {
  std::string slot;  // "": the ports are protected
  PortRange ports;
};
std::optional<RuleMeaning> parse_rule_comment(std::string_view comment);

/// Comments of the table and of the mark.
std::string owner_mark(OwnerId owner);
std::optional<OwnerId> parse_owner_mark(std::string_view text);

// ---- the parts as messages; `table` is always of family inet

Message new_table(const std::string& table, OwnerId owner);
Message delete_table(const std::string& table);
Message new_chain(const std::string& table, std::string_view chain);
Message new_hook(const std::string& table, std::string_view chain, std::uint32_t hook);
Message delete_chain(const std::string& table, const std::string& chain);
Message delete_all_rules(const std::string& table);
Message delete_rules(const std::string& table, std::string_view chain);
/// `timed`: elements have timeouts.
Message new_set(const std::string& table, std::string_view set, SetKind kind, bool timed);
Message delete_set(const std::string& table, const std::string& set);
Message flush_set(const std::string& table, std::string_view set);
std::uint32_t set_flags(SetKind kind, bool timed);
std::uint32_t set_key_type(SetKind kind);

Message accept_loopback(const std::string& table, std::string_view chain, std::uint32_t lo);
Message jump_guard(const std::string& table, std::string_view chain);
Message accept_from_set(const std::string& table, std::string_view chain, std::string_view set,
                        Family family, std::string_view comment);
/// A connection that begins and has no label yet is given that of its address's ticket.
Message label_from_map(const std::string& table, std::string_view chain, std::string_view map,
                       Family family, Protocol protocol);
Message accept_labelled(const std::string& table, std::string_view chain, std::string_view set,
                        Family family);
Message jump_slot(const std::string& table, std::string_view slot, const PortRange& ports);
Message drop_ports(const std::string& table, const PortRange& ports);
Message mark_rule(const std::string& table, std::string_view comment);

/// Collects element changes of one set into messages of bounded size.
class ElementWriter {
 public:
  /// `type`: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. Messages go into `batch`.
  ElementWriter(Batch& batch, int type, std::string table, std::string set, SetKind kind);
  ~ElementWriter() = default;
  /// The key alone; with its tag where the set has tags.
  void key(const Prefix& prefix, std::uint64_t tag = 0);
  /// With its life and comment; left_ms 0: no timeout (sets that have none).
  void element(const Prefix& prefix, std::uint64_t left_ms, std::string_view comment,
               std::uint64_t tag = 0);
  /// The key of an interval, whatever its ends.
  void range(const IpAddress& first, const IpAddress& last);
  /// Must be called at the end.
  void flush();

 private:
  void start();
  void one(const IpAddress& key, bool end_of_interval, std::uint64_t left_ms,
           std::string_view comment, bool open_ended, std::uint64_t tag = 0);
  Batch& batch_;
  int type_;
  std::string table_, set_;
  SetKind kind_;
  std::optional<Message> message_;
  int number_ = 0;
};

}  // namespace knock::host
