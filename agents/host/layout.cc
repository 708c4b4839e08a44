// SPDX-License-Identifier: Apache-2.0
#include "agents/host/layout.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>

// After netinet/in.h, or its addresses are declared twice.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <charconv>
#include <cstring>

namespace knock::host {
namespace {

constexpr std::string_view kSlotPrefix = "svc_";
constexpr std::string_view kSuffixes[] = {"_h4", "_h6", "_n4", "_n6"};  // as kSetKinds
constexpr std::string_view kTicketSuffixes[] = {"_s4", "_s6", "_o4",
                                                "_o6", "_c4", "_c6"};  // as kTicketKinds
constexpr std::size_t kSuffix = 3;

// What nft's user space keeps in "userdata": a list of type, length, value. Numbers from
// libnftnl/udata.h and nft's own datatype.h; they are its promise to old rule sets.
constexpr std::uint8_t kComment = 0;          // of tables, rules and elements
constexpr std::uint8_t kSetKeyByteOrder = 0;  // of sets: u32, 2 = big-endian
constexpr std::uint8_t kElementFlags = 1;     // u32, 1 = the interval has no end
constexpr std::uint32_t kTypeIp4 = 7, kTypeIp6 = 8;
constexpr std::uint32_t kTypeTag = kTypeIp6;  // as long as a label, and nft can show it
constexpr std::size_t kTagBytes = 16;

// Longer than anything that has a ticket: within it there is no second one.
constexpr std::uint64_t kOnceInSeconds = 366ull * 24 * 3600;

std::string user_data(std::uint8_t type, std::string_view value) {
  std::string out{char(type), char(value.size())};
  out += value;
  return out;
}
std::string user_u32(std::uint8_t type, std::uint32_t value) {
  return user_data(type, {reinterpret_cast<const char*>(&value), sizeof value});
}
std::string comment_data(std::string_view comment) {
  std::string text(comment);
  text += '\0';
  return user_data(kComment, text);
}

std::string_view as_text(const IpAddress& address) {
  auto bytes = address.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string big_endian(std::uint16_t value) { return {char(value >> 8), char(value)}; }

// ---------------------------------------------------------------- expressions

/// Writes one rule expression by expression; registers are always the first.
class Rule {
 public:
  Rule(const std::string& table, std::string_view chain)
      : message_(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET) {
    message_.text(NFTA_RULE_TABLE, table).text(NFTA_RULE_CHAIN, chain);
    message_.begin(NFTA_RULE_EXPRESSIONS);
  }

  Rule& meta(std::uint32_t key) {
    start("meta").u32(NFTA_META_KEY, key).u32(NFTA_META_DREG, NFT_REG_1);
    return finish();
  }
  Rule& payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length) {
    start("payload")
        .u32(NFTA_PAYLOAD_DREG, NFT_REG_1)
        .u32(NFTA_PAYLOAD_BASE, base)
        .u32(NFTA_PAYLOAD_OFFSET, offset)
        .u32(NFTA_PAYLOAD_LEN, length);
    return finish();
  }
  Rule& compare(std::uint32_t operation, std::string_view value) {
    start("cmp").u32(NFTA_CMP_SREG, NFT_REG_1).u32(NFTA_CMP_OP, operation);
    message_.begin(NFTA_CMP_DATA).bytes(NFTA_DATA_VALUE, value).end();
    return finish();
  }
  Rule& ct(std::uint32_t key) {
    start("ct").u32(NFTA_CT_KEY, key).u32(NFTA_CT_DREG, NFT_REG_1);
    return finish();
  }
  Rule& set_label() {
    start("ct").u32(NFTA_CT_KEY, NFT_CT_LABELS).u32(NFTA_CT_SREG, NFT_REG_1);
    return finish();
  }
  Rule& mask(std::string_view bits) {
    start("bitwise")
        .u32(NFTA_BITWISE_SREG, NFT_REG_1)
        .u32(NFTA_BITWISE_DREG, NFT_REG_1)
        .u32(NFTA_BITWISE_LEN, std::uint32_t(bits.size()));
    message_.begin(NFTA_BITWISE_MASK).bytes(NFTA_DATA_VALUE, bits).end();
    message_.begin(NFTA_BITWISE_XOR).bytes(NFTA_DATA_VALUE, std::string(bits.size(), '\0')).end();
    return finish();
  }
  Rule& by_map(std::string_view map) {
    start("lookup")
        .text(NFTA_LOOKUP_SET, map)
        .u32(NFTA_LOOKUP_SREG, NFT_REG_1)
        .u32(NFTA_LOOKUP_DREG, NFT_REG_1);
    return finish();
  }
  /// Where a connection begins: of TCP, nothing that may belong to an older one.
  Rule& begins(Protocol protocol) {
    constexpr std::uint32_t kNew = 8;  // NF_CT_STATE_BIT(IP_CT_NEW), in the host's own byte order
    constexpr char kSyn = 0x02, kFinSynRstAck = 0x17;
    std::string state(reinterpret_cast<const char*>(&kNew), sizeof kNew);
    ct(NFT_CT_STATE).mask(state).compare(NFT_CMP_NEQ, std::string(sizeof kNew, '\0'));
    ct(NFT_CT_LABELS).compare(NFT_CMP_EQ, std::string(kTagBytes, '\0'));
    meta(NFT_META_L4PROTO).compare(NFT_CMP_EQ, std::string(1, char(protocol)));
    if (protocol != Protocol::tcp) return *this;
    return payload(NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1)
        .mask(std::string(1, kFinSynRstAck))
        .compare(NFT_CMP_EQ, std::string(1, kSyn));
  }
  Rule& in_set(std::string_view set) {
    start("lookup").text(NFTA_LOOKUP_SET, set).u32(NFTA_LOOKUP_SREG, NFT_REG_1);
    return finish();
  }
  Rule& verdict(int code, std::string_view chain = {}) {
    start("immediate").u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    message_.begin(NFTA_IMMEDIATE_DATA).begin(NFTA_DATA_VERDICT);
    message_.u32(NFTA_VERDICT_CODE, std::uint32_t(code));
    if (!chain.empty()) message_.text(NFTA_VERDICT_CHAIN, chain);
    message_.end().end();
    return finish();
  }
  Rule& to_ports(const PortRange& ports) {
    meta(NFT_META_L4PROTO).compare(NFT_CMP_EQ, std::string(1, char(ports.protocol)));
    payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
    if (ports.first == ports.last) return compare(NFT_CMP_EQ, big_endian(ports.first));
    return compare(NFT_CMP_GTE, big_endian(ports.first))
        .compare(NFT_CMP_LTE, big_endian(ports.last));
  }
  Rule& is(Family family) {
    auto protocol = family == Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    return meta(NFT_META_NFPROTO).compare(NFT_CMP_EQ, std::string(1, char(protocol)));
  }
  Rule& from(Family family) {
    is(family);
    return family == Family::v4 ? payload(NFT_PAYLOAD_NETWORK_HEADER, 12, 4)
                                : payload(NFT_PAYLOAD_NETWORK_HEADER, 8, 16);
  }
  Message done(std::string_view comment) {
    message_.end();
    if (!comment.empty()) message_.bytes(NFTA_RULE_USERDATA, comment_data(comment));
    return std::move(message_);
  }

 private:
  Message& start(std::string_view name) {
    message_.begin(NFTA_LIST_ELEM).text(NFTA_EXPR_NAME, name);
    return message_.begin(NFTA_EXPR_DATA);
  }
  Rule& finish() {
    message_.end().end();
    return *this;
  }
  Message message_;
};

std::string tag_bytes(std::uint64_t tag) {
  std::string out(kTagBytes, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[kTagBytes - 1 - i] = char(tag >> (8 * i));
  return out;
}

/// `limit rate 1/… burst 1` and `counter`: under its lock the first lets one packet pass ever, and
/// then the second counts it.
void one_ever(Message& m) {
  m.begin(NFTA_LIST_ELEM).text(NFTA_EXPR_NAME, "limit").begin(NFTA_EXPR_DATA);
  m.u64(NFTA_LIMIT_RATE, 1).u64(NFTA_LIMIT_UNIT, kOnceInSeconds).u32(NFTA_LIMIT_BURST, 1);
  m.u32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS).u32(NFTA_LIMIT_FLAGS, 0).end().end();
  m.begin(NFTA_LIST_ELEM).text(NFTA_EXPR_NAME, "counter").begin(NFTA_EXPR_DATA);
  m.u64(NFTA_COUNTER_BYTES, 0).u64(NFTA_COUNTER_PACKETS, 0).end().end();
}

/// The address behind a prefix's last one; nothing when it is the family's last.
std::optional<IpAddress> behind(const Prefix& prefix) { return prefix.last().next(); }

}  // namespace

// ---------------------------------------------------------------- names

std::string slot_chain(std::string_view slot) { return std::string(kSlotPrefix).append(slot); }

std::string slot_set(std::string_view slot, SetKind kind) {
  auto out = slot_chain(slot);
  for (std::size_t i = 0; i < std::size(kSetKinds); ++i)
    if (kSetKinds[i] == kind) out += kSuffixes[i];
  for (std::size_t i = 0; i < std::size(kTicketKinds); ++i)
    if (kTicketKinds[i] == kind) out += kTicketSuffixes[i];
  return out;
}

std::size_t key_length(SetKind kind) {
  if (kind.part == role::Part::stay) return kTagBytes;
  return kind.family == Family::v4 ? 4 : 16;
}

std::optional<SlotSet> parse_slot_set(std::string_view set) {
  if (!set.starts_with(kSlotPrefix)) return std::nullopt;
  set.remove_prefix(kSlotPrefix.size());
  if (set.size() <= kSuffix) return std::nullopt;
  auto slot = set.substr(0, set.size() - kSuffix), suffix = set.substr(slot.size());
  if (!role::valid_slot(slot)) return std::nullopt;
  for (std::size_t i = 0; i < std::size(kSuffixes); ++i)
    if (suffix == kSuffixes[i]) return SlotSet{std::string(slot), kSetKinds[i]};
  for (std::size_t i = 0; i < std::size(kTicketSuffixes); ++i)
    if (suffix == kTicketSuffixes[i]) return SlotSet{std::string(slot), kTicketKinds[i]};
  return std::nullopt;
}

std::string with_address(std::string_view marker, const IpAddress& address) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out(marker);
  out += ':';
  std::string bytes(as_text(address));
  if (bytes.size() == 4) bytes = std::string(10, '\0') + "\xff\xff" + bytes;
  for (char byte : bytes) {
    out += kDigits[std::uint8_t(byte) >> 4];
    out += kDigits[std::uint8_t(byte) & 15];
  }
  return out;
}

std::optional<IpAddress> address_in(std::string_view stay_comment) {
  constexpr std::size_t kDigits = 32;
  if (stay_comment.size() <= kDigits) return std::nullopt;
  auto text = stay_comment.substr(stay_comment.size() - kDigits);
  if (stay_comment[stay_comment.size() - kDigits - 1] != ':') return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto pair = text.substr(2 * i, 2);
    auto [end, error] = std::from_chars(pair.data(), pair.data() + 2, bytes[i], 16);
    if (error != std::errc() || end != pair.data() + 2) return std::nullopt;
  }
  return IpAddress::from_bytes(bytes);
}

std::string slot_comment(std::string_view slot, const PortRange& ports) {
  return "slot " + ports.to_string() + " " + std::string(slot);
}
std::string protect_comment(const PortRange& ports) { return "protect " + ports.to_string(); }

std::optional<RuleMeaning> parse_rule_comment(std::string_view comment) {
  constexpr std::string_view kSlot = "slot ", kProtect = "protect ";
  RuleMeaning out;
  if (comment.starts_with(kSlot)) {
    comment.remove_prefix(kSlot.size());
    auto space = comment.find(' ');
    if (space == comment.npos) return std::nullopt;
    out.slot = comment.substr(space + 1);
    if (!role::valid_slot(out.slot)) return std::nullopt;
    comment = comment.substr(0, space);
  } else if (comment.starts_with(kProtect)) {
    comment.remove_prefix(kProtect.size());
  } else {
    return std::nullopt;
  }
  auto ports = PortRange::parse(comment);
  if (!ports) return std::nullopt;
  out.ports = *ports;
  return out;
}

std::string owner_mark(OwnerId owner) { return "knock:1:" + owner.to_string(); }

std::optional<OwnerId> parse_owner_mark(std::string_view text) {
  constexpr std::string_view kPrefix = "knock:1:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  return OwnerId::parse(text.substr(kPrefix.size()));
}

// ---------------------------------------------------------------- structure

Message new_table(const std::string& table, OwnerId owner) {
  Message m(NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET);
  m.text(NFTA_TABLE_NAME, table).u32(NFTA_TABLE_FLAGS, 0);
  m.bytes(NFTA_TABLE_USERDATA, comment_data(owner_mark(owner)));
  return m;
}

Message delete_table(const std::string& table) {
  Message m(NFT_MSG_DELTABLE, 0, NFPROTO_INET);
  m.text(NFTA_TABLE_NAME, table);
  return m;
}

Message new_chain(const std::string& table, std::string_view chain) {
  Message m(NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_INET);
  m.text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, chain);
  return m;
}

Message new_hook(const std::string& table, std::string_view chain, std::uint32_t hook) {
  Message m(NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_INET);
  m.text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, chain);
  m.begin(NFTA_CHAIN_HOOK);
  m.u32(NFTA_HOOK_HOOKNUM, hook).u32(NFTA_HOOK_PRIORITY, std::uint32_t(kPriority));
  m.end();
  m.u32(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, "filter");
  return m;
}

Message delete_chain(const std::string& table, const std::string& chain) {
  Message m(NFT_MSG_DELCHAIN, 0, NFPROTO_INET);
  m.text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, chain);
  return m;
}

Message delete_all_rules(const std::string& table) {
  Message m(NFT_MSG_DELRULE, 0, NFPROTO_INET);
  m.text(NFTA_RULE_TABLE, table);
  return m;
}

Message delete_rules(const std::string& table, std::string_view chain) {
  Message m(NFT_MSG_DELRULE, 0, NFPROTO_INET);
  m.text(NFTA_RULE_TABLE, table).text(NFTA_RULE_CHAIN, chain);
  return m;
}

std::uint32_t set_flags(SetKind kind, bool timed) {
  return (kind.interval ? NFT_SET_INTERVAL : 0u) | (timed ? NFT_SET_TIMEOUT : 0u) |
         (is_map(kind) ? NFT_SET_MAP : 0u) | (kind.part == role::Part::once ? NFT_SET_EXPR : 0u);
}
std::uint32_t set_key_type(SetKind kind) {
  if (kind.part == role::Part::stay) return kTypeTag;
  return kind.family == Family::v4 ? kTypeIp4 : kTypeIp6;
}

Message new_set(const std::string& table, std::string_view set, SetKind kind, bool timed) {
  Message m(NFT_MSG_NEWSET, NLM_F_CREATE, NFPROTO_INET);
  m.text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, set);
  m.u32(NFTA_SET_FLAGS, set_flags(kind, timed));
  m.u32(NFTA_SET_KEY_TYPE, set_key_type(kind));
  m.u32(NFTA_SET_KEY_LEN, std::uint32_t(key_length(kind)));
  m.u32(NFTA_SET_ID, 1);  // asked for by the kernel; sets are referred to by name
  if (is_map(kind)) m.u32(NFTA_SET_DATA_TYPE, kTypeTag).u32(NFTA_SET_DATA_LEN, kTagBytes);
  if (kind.part == role::Part::once) {
    m.begin(NFTA_SET_EXPRESSIONS);
    one_ever(m);
    m.end();
  }
  m.bytes(NFTA_SET_USERDATA, user_u32(kSetKeyByteOrder, 2));
  return m;
}

Message delete_set(const std::string& table, const std::string& set) {
  Message m(NFT_MSG_DELSET, 0, NFPROTO_INET);
  m.text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, set);
  return m;
}

Message flush_set(const std::string& table, std::string_view set) {
  Message m(NFT_MSG_DELSETELEM, 0, NFPROTO_INET);
  m.text(NFTA_SET_ELEM_LIST_TABLE, table).text(NFTA_SET_ELEM_LIST_SET, set);
  return m;
}

// ---------------------------------------------------------------- rules

Message accept_loopback(const std::string& table, std::string_view chain, std::uint32_t lo) {
  std::string index(reinterpret_cast<const char*>(&lo), sizeof lo);  // the host's own byte order
  return Rule(table, chain)
      .meta(NFT_META_IIF)
      .compare(NFT_CMP_EQ, index)
      .verdict(NF_ACCEPT)
      .done({});
}
Message jump_guard(const std::string& table, std::string_view chain) {
  return Rule(table, chain).verdict(NFT_JUMP, kGuardChain).done({});
}
Message accept_from_set(const std::string& table, std::string_view chain, std::string_view set,
                        Family family, std::string_view comment) {
  return Rule(table, chain).from(family).in_set(set).verdict(NF_ACCEPT).done(comment);
}
Message label_from_map(const std::string& table, std::string_view chain, std::string_view map,
                       Family family, Protocol protocol) {
  return Rule(table, chain).begins(protocol).from(family).by_map(map).set_label().done({});
}
Message accept_labelled(const std::string& table, std::string_view chain, std::string_view set,
                        Family family) {
  return Rule(table, chain).is(family).ct(NFT_CT_LABELS).in_set(set).verdict(NF_ACCEPT).done({});
}
Message jump_slot(const std::string& table, std::string_view slot, const PortRange& ports) {
  return Rule(table, kGuardChain)
      .to_ports(ports)
      .verdict(NFT_JUMP, slot_chain(slot))
      .done(slot_comment(slot, ports));
}
Message drop_ports(const std::string& table, const PortRange& ports) {
  return Rule(table, kGuardChain).to_ports(ports).verdict(NF_DROP).done(protect_comment(ports));
}
Message mark_rule(const std::string& table, std::string_view comment) {
  return Rule(table, kMarkChain).verdict(NFT_RETURN).done(comment);
}

// ---------------------------------------------------------------- elements

ElementWriter::ElementWriter(Batch& batch, int type, std::string table, std::string set,
                             SetKind kind)
    : batch_(batch), type_(type), table_(std::move(table)), set_(std::move(set)), kind_(kind) {}

void ElementWriter::key(const Prefix& prefix, std::uint64_t tag) { element(prefix, 0, {}, tag); }

void ElementWriter::element(const Prefix& prefix, std::uint64_t left_ms, std::string_view comment,
                            std::uint64_t tag) {
  start();
  if (!kind_.interval) {
    one(prefix.first(), false, left_ms, comment, false, tag);
    return;
  }
  auto end = behind(prefix);
  one(prefix.first(), false, left_ms, comment, !end);
  if (end) one(*end, true, 0, {}, false);
}

void ElementWriter::range(const IpAddress& first, const IpAddress& last) {
  start();
  auto end = last.next();
  one(first, false, 0, {}, !end);
  if (end) one(*end, true, 0, {}, false);
}

void ElementWriter::start() {
  if (message_ && message_->size() > kMostMessageBytes) flush();
  if (message_) return;
  message_.emplace(type_, type_ == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, NFPROTO_INET,
                   kElementMessageRoom);
  message_->text(NFTA_SET_ELEM_LIST_TABLE, table_).text(NFTA_SET_ELEM_LIST_SET, set_);
  message_->begin(NFTA_SET_ELEM_LIST_ELEMENTS);
  number_ = 0;
}

void ElementWriter::one(const IpAddress& key, bool end_of_interval, std::uint64_t left_ms,
                        std::string_view comment, bool open_ended, std::uint64_t tag) {
  auto& m = *message_;
  m.begin(++number_);
  if (end_of_interval) m.u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  if (left_ms > 0) m.u64(NFTA_SET_ELEM_TIMEOUT, left_ms);
  std::string bytes(as_text(key));
  if (kind_.part == role::Part::stay) bytes = tag_bytes(tag);
  m.begin(NFTA_SET_ELEM_KEY).bytes(NFTA_DATA_VALUE, bytes).end();
  if (is_map(kind_) && type_ == NFT_MSG_NEWSETELEM)
    m.begin(NFTA_SET_ELEM_DATA).bytes(NFTA_DATA_VALUE, tag_bytes(tag)).end();
  if (kind_.part == role::Part::once && type_ == NFT_MSG_NEWSETELEM) {
    m.begin(NFTA_SET_ELEM_EXPRESSIONS);
    one_ever(m);
    m.end();
  }
  std::string data;
  bool named = kind_.part == role::Part::stay && !comment.empty();
  if (!comment.empty()) data += comment_data(named ? with_address(comment, key) : comment);
  if (open_ended && type_ == NFT_MSG_NEWSETELEM) data += user_u32(kElementFlags, 1);
  if (!data.empty()) m.bytes(NFTA_SET_ELEM_USERDATA, data);
  m.end();
}

void ElementWriter::flush() {
  if (!message_) return;
  message_->end();
  batch_.add(std::move(*message_));
  message_.reset();
}

}  // namespace knock::host
