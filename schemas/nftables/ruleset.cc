// SPDX-License-Identifier: Apache-2.0
#include "schemas/nftables/ruleset.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <set>

#include "base/text.h"
#include "schemas/json/strict_json.h"

namespace knock {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostJumps = 8;
/// Taking holes out of a prefix may leave hundreds of pieces; nobody wants to review those.
constexpr std::size_t kMostPieces = 64;
/// Chains that only we make (agents/host/layout.h).
constexpr std::string_view kOwnChain = "knock_mark";

const json::value* member(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}
std::string text(const json::value& value, std::string_view key) {
  const auto* found = member(value, key);
  const auto* string = found == nullptr ? nullptr : found->if_string();
  return string == nullptr ? std::string() : std::string(*string);
}

/// {"KEY": …}, as statements and expressions are written.
std::string_view kind_of(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr || object->empty()) return {};
  return object->begin()->key();
}
const json::value& inside(const json::value& value) { return value.get_object().begin()->value(); }

// ---- values of a match ----

std::vector<Prefix> prefixes_between(IpAddress first, const IpAddress& last) {
  std::vector<Prefix> out;
  while (first <= last) {
    int length = first.bits();
    while (length > 0 && first.first_of(length - 1) == first && first.last_of(length - 1) <= last)
      --length;
    out.push_back(Prefix::of(first, length));
    auto next = first.last_of(length).next();
    if (!next) break;
    first = *next;
  }
  return out;
}

std::optional<IpAddress> address_in(const json::value& value) {
  const auto* string = value.if_string();
  return string == nullptr ? std::nullopt : IpAddress::parse(*string);
}

std::optional<std::vector<Prefix>> range_in(const json::value& bounds) {
  const auto* pair = bounds.if_array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  auto first = address_in((*pair)[0]), last = address_in((*pair)[1]);
  if (!first || !last || first->family() != last->family() || *last < *first) return std::nullopt;
  return prefixes_between(*first, *last);
}

std::optional<Prefix> prefix_in(const json::value& value) {
  auto address = IpAddress::parse(text(value, "addr"));
  const auto* length = member(value, "len");
  if (!address || length == nullptr || !length->is_int64()) return std::nullopt;
  auto bits = length->get_int64();
  if (bits < 0 || bits > address->bits()) return std::nullopt;
  return Prefix::of(*address, int(bits));
}

using Sets = std::map<std::string, const json::array*>;  // "family table name"

/// Calls `one` with every value of "x", {"set": […]}, {"elem": {"val": x}} and "@name"; false when
/// something in it was not understood.
template <class One>
bool each_value(const json::value& value, const Sets& sets, const std::string& table, One one) {
  if (const auto* string = value.if_string(); string != nullptr && string->starts_with('@')) {
    auto at = sets.find(table + " " + std::string(string->subview(1)));
    return at != sets.end() &&
           std::all_of(at->second->begin(), at->second->end(), [&](const json::value& element) {
             // An element that dies by itself is not what somebody decided for good.
             const auto* inner = member(element, "elem");
             if (inner != nullptr && member(*inner, "timeout") != nullptr) return false;
             const auto* plain = inner == nullptr ? nullptr : member(*inner, "val");
             return one(plain == nullptr ? element : *plain);
           });
  }
  if (kind_of(value) != "set") return one(value);
  const auto* list = inside(value).if_array();
  return list != nullptr && std::all_of(list->begin(), list->end(), one);
}

bool take_addresses(const json::value& value, std::vector<Prefix>& out) {
  if (auto host = address_in(value)) {
    out.push_back(Prefix::host(*host));
    return true;
  }
  if (kind_of(value) == "prefix") {
    auto prefix = prefix_in(inside(value));
    if (prefix) out.push_back(*prefix);
    return prefix.has_value();
  }
  auto range = kind_of(value) == "range" ? range_in(inside(value)) : std::nullopt;
  if (range) out.insert(out.end(), range->begin(), range->end());
  return range.has_value();
}

std::optional<std::uint16_t> port_in(const json::value& value) {
  const auto* number = value.if_int64();
  if (number == nullptr || *number < 1 || *number > 65535) return std::nullopt;
  return std::uint16_t(*number);
}

using Ports = std::vector<std::pair<std::uint16_t, std::uint16_t>>;

bool take_ports(const json::value& value, Ports& out) {
  if (auto port = port_in(value)) {
    out.emplace_back(*port, *port);
    return true;
  }
  const auto* pair = kind_of(value) == "range" ? inside(value).if_array() : nullptr;
  if (pair == nullptr || pair->size() != 2) return false;
  auto first = port_in((*pair)[0]), last = port_in((*pair)[1]);
  if (!first || !last || *last < *first) return false;
  out.emplace_back(*first, *last);
  return true;
}

// ---- one rule ----

enum class Verdict { none, accept, refuse, jump, other };

struct RuleMeaning {
  std::optional<std::vector<Prefix>> from;  // nothing: everybody
  std::optional<Ports> ports;               // nothing: all of them
  std::set<Protocol> protocols;             // empty: any
  Verdict verdict = Verdict::none;
  std::string target;    // of a jump
  std::string unknown;   // what was not understood; "" = nothing
  bool concerns = true;  // false: not about new connections over the network

  void not_understood(std::string what) {
    if (unknown.empty()) unknown = std::move(what);
  }

  std::vector<PortRange> port_ranges() const {
    std::vector<PortRange> out;
    for (auto protocol : protocols)
      for (auto [first, last] : ports.value_or(Ports())) out.push_back({protocol, first, last});
    return canonical_ports(std::move(out));
  }
};

class RuleReader {
 public:
  RuleReader(const Sets& sets, std::string table) : sets_(sets), table_(std::move(table)) {}

  RuleMeaning read(const json::value& rule) {
    const auto* statements = member(rule, "expr");
    const auto* list = statements == nullptr ? nullptr : statements->if_array();
    if (list == nullptr) {
      out_.not_understood("has no statements");
      return out_;
    }
    for (const json::value& statement : *list) read_statement(statement);
    return out_;
  }

 private:
  void read_statement(const json::value& statement) {
    auto kind = kind_of(statement);
    if (kind == "match")
      match(inside(statement));
    else if (kind == "accept")
      out_.verdict = Verdict::accept;
    else if (kind == "drop" || kind == "reject")
      out_.verdict = Verdict::refuse;
    else if (kind == "jump" || kind == "goto") {
      out_.verdict = kind == "jump" ? Verdict::jump : Verdict::other;
      out_.target = text(inside(statement), "target");
    } else if (kind == "return" || kind == "continue" || kind == "queue" || kind == "vmap")
      out_.verdict = Verdict::other;
    else if (kind != "counter" && kind != "log")
      out_.not_understood(kind == "xt" ? "is written by iptables"
                                       : "has `" + printable(std::string(kind)) + "`");
  }

  void match(const json::value& match) {
    const auto* left = member(match, "left");
    const auto* right = member(match, "right");
    auto op = text(match, "op");
    if (left == nullptr || right == nullptr)
      return out_.not_understood("has a match without sides");
    auto kind = kind_of(*left);
    bool is = op == "==" || op == "in";
    if (kind == "ct" && text(inside(*left), "key") == "state") return state(*right, is);
    if (kind == "meta") return meta(text(inside(*left), "key"), *right, is);
    if (kind == "payload")
      return payload(text(inside(*left), "protocol"), text(inside(*left), "field"), *right, is);
    out_.not_understood("asks for `" + printable(std::string(kind)) + "`");
  }

  /// Who is not about new connections does not matter here: every connection was new once.
  void state(const json::value& right, bool is) {
    bool fresh = false;
    auto one = [&](const json::value& value) {
      fresh = fresh || (value.is_string() && value.get_string() == "new");
      return value.is_string();
    };
    const auto* list = right.if_array();
    bool read = list != nullptr ? std::all_of(list->begin(), list->end(), one)
                                : each_value(right, sets_, table_, one);
    if (!is || !read) return out_.not_understood("asks for a connection's state");
    out_.concerns = out_.concerns && fresh;
  }

  void meta(const std::string& key, const json::value& right, bool is) {
    if (key == "l4proto") return protocol(right, is);
    bool loopback =
        (key == "iif" || key == "iifname") && is && right.is_string() && right.get_string() == "lo";
    if (loopback)
      out_.concerns = false;
    else
      out_.not_understood("asks for `" + printable(key) + "`");
  }

  void protocol(const json::value& right, bool is) {
    std::set<Protocol> named;
    bool others = false;
    bool read = is && each_value(right, sets_, table_, [&](const json::value& value) {
                  const auto* word = value.if_string();
                  if (word != nullptr && *word == "tcp")
                    named.insert(Protocol::tcp);
                  else if (word != nullptr && *word == "udp")
                    named.insert(Protocol::udp);
                  else
                    others = true;
                  return true;
                });
    if (!read) return out_.not_understood("asks for a protocol");
    if (named.empty() && others) out_.concerns = false;  // ICMP and the like
    out_.protocols.merge(named);
  }

  void payload(const std::string& header, const std::string& field, const json::value& right,
               bool is) {
    if ((header == "ip" || header == "ip6") && field == "saddr") return source(right, is);
    if ((header == "ip" && field == "protocol") || (header == "ip6" && field == "nexthdr"))
      return protocol(right, is);
    if (header.starts_with("icmp")) {
      out_.concerns = false;
      return;
    }
    if (field != "dport" || !is || out_.ports)
      return out_.not_understood("asks for `" + printable(header + " " + field) + "`");
    if (header == "tcp") out_.protocols = {Protocol::tcp};
    if (header == "udp") out_.protocols = {Protocol::udp};
    Ports ports;
    if (!each_value(right, sets_, table_,
                    [&](const json::value& value) { return take_ports(value, ports); }))
      return out_.not_understood("names ports in a way that is not understood");
    out_.ports = std::move(ports);
  }

  void source(const json::value& right, bool is) {
    std::vector<Prefix> from;
    bool read = is && !out_.from && each_value(right, sets_, table_, [&](const json::value& value) {
                  return take_addresses(value, from);
                });
    if (!read) return out_.not_understood("names addresses in a way that is not understood");
    out_.from = without_nested(std::move(from));
  }

  const Sets& sets_;
  std::string table_;
  RuleMeaning out_;
};

// ---- chains ----

struct Chain {
  std::string table, name;  // "inet filter", "input"
  std::string hook;         // "" = only reached by jumps
  bool drops = false;       // what no rule accepts
  std::vector<const json::value*> rules;
};

/// What was refused further up in the same chain: whole, or not understood.
struct Refused {
  std::optional<std::vector<Prefix>> from;
  std::vector<PortRange> ports;
  bool all_ports = false;
};

class Walk {
 public:
  Walk(const std::map<std::string, Chain>& chains, const Sets& sets, bool through, OwnRules& out)
      : chains_(chains), sets_(sets), through_(through), out_(out) {}

  void base(const Chain& chain) {
    follow(chain, 0);
    if (chain.drops) out_.closes_the_rest = true;
  }

 private:
  void follow(const Chain& chain, std::size_t depth) {
    for (const json::value* rule : chain.rules) {
      RuleMeaning meaning = RuleReader(sets_, chain.table).read(*rule);
      bool only_counts = meaning.verdict == Verdict::none && meaning.unknown.empty();
      if (!meaning.concerns || only_counts) continue;
      const auto* handle = member(*rule, "handle");
      std::string where = fmt::format(
          "{} {}, handle {}", printable(chain.table), printable(chain.name),
          handle != nullptr && handle->is_int64() ? handle->get_int64() : std::int64_t(0));
      step(chain, meaning, where, text(*rule, "comment"), depth);
    }
  }

  void leave_out(const std::string& where, std::string why) {
    out_.left_out.push_back({where, std::move(why)});
  }

  void step(const Chain& chain, const RuleMeaning& meaning, const std::string& where,
            const std::string& comment, std::size_t depth) {
    switch (meaning.verdict) {
      case Verdict::accept:
        return accept(meaning, where, comment);
      case Verdict::refuse:
        return refuse(meaning, where);
      case Verdict::jump:
        return jump(chain, meaning, where, depth);
      case Verdict::other:
        leave_out(where, "leaves the chain in a way that is not followed");
        return unclear_since(where);
      case Verdict::none:  // it may refuse inside what is not understood
        leave_out(where, meaning.unknown);
        return unclear_since(where);
    }
  }

  /// From here on nobody knows which packets are still on their way.
  void unclear_since(const std::string& where) {
    if (unclear_.empty()) unclear_ = where;
  }

  void jump(const Chain& chain, const RuleMeaning& meaning, const std::string& where,
            std::size_t depth) {
    bool whole =
        meaning.unknown.empty() && !meaning.from && !meaning.ports && meaning.protocols.empty();
    auto target = chains_.find(chain.table + " " + meaning.target);
    if (whole && target != chains_.end() && depth < kMostJumps)
      return follow(target->second, depth + 1);
    leave_out(where, "jumps to " + printable(meaning.target) + " under a condition");
    unclear_since(where);
  }

  void refuse(const RuleMeaning& meaning, const std::string& where) {
    if (!meaning.unknown.empty() || (meaning.ports && meaning.protocols.empty()) ||
        (!meaning.ports && !meaning.protocols.empty())) {
      leave_out(where, "refuses, but " + (meaning.unknown.empty() ? std::string("not by port")
                                                                  : meaning.unknown));
      return unclear_since(where);
    }
    if (!meaning.from && !meaning.ports) {
      out_.closes_the_rest = true;
      closed_ = true;
    }
    refused_.push_back({meaning.from, meaning.port_ranges(), !meaning.ports});
  }

  void accept(const RuleMeaning& meaning, const std::string& where, const std::string& comment) {
    if (closed_) return leave_out(where, "stands behind a rule that refuses everything");
    if (!meaning.unknown.empty()) return leave_out(where, meaning.unknown);
    if (!unclear_.empty())
      return leave_out(where, "stands behind a rule that is not understood (" + unclear_ + ")");
    if (!meaning.ports || meaning.protocols.empty())
      return leave_out(where, "names no tcp or udp ports");
    LetIn rule{!meaning.from,         through_, meaning.from.value_or(std::vector<Prefix>()),
               meaning.port_ranges(), where,    comment};
    for (const Refused& refused : refused_)
      if (!take_away(refused, rule))
        return leave_out(where, "overlaps with what is refused before it");
    bool nothing_left = rule.ports.empty() || (!rule.everybody && rule.from.empty());
    if (!nothing_left) out_.let_in.push_back(std::move(rule));
  }

  /// False when what remains cannot be said as addresses × ports.
  static bool take_away(const Refused& refused, LetIn& rule) {
    auto ports_left =
        refused.all_ports ? std::vector<PortRange>() : subtract(rule.ports, refused.ports);
    if (ports_left == rule.ports) return true;
    if (!refused.from) {
      rule.ports = std::move(ports_left);
      return true;
    }
    if (rule.everybody) return true;  // to all but a few, and to be looked at by a person anyway
    std::vector<Prefix> left;
    for (const Prefix& prefix : rule.from)
      for (const Prefix& piece : subtract(prefix, *refused.from)) left.push_back(piece);
    if (left == rule.from) return true;
    if (!ports_left.empty() || left.size() > kMostPieces) return false;
    rule.from = std::move(left);
    return true;
  }

  const std::map<std::string, Chain>& chains_;
  const Sets& sets_;
  bool through_;
  OwnRules& out_;
  std::vector<Refused> refused_;
  std::string unclear_;
  bool closed_ = false;
};

struct Ruleset {
  std::map<std::string, Chain> chains;
  std::vector<std::string> order;  // as they are listed
  Sets sets;
  std::set<std::string> own;  // tables

  void add(const json::value& object) {
    auto kind = kind_of(object);
    if (kind.empty() || !inside(object).is_object()) return;
    const json::value& body = inside(object);
    auto table = text(body, "family") + " " + text(body, "table");
    if (kind == "chain") {
      auto name = text(body, "name");
      if (name == kOwnChain) own.insert(table);
      bool filter = text(body, "type") == "filter";
      auto& chain = chains[table + " " + name];
      chain = {table, name, filter ? text(body, "hook") : "", text(body, "policy") == "drop", {}};
      order.push_back(table + " " + name);
    }
    if (kind == "set")
      if (const auto* elements = member(body, "elem"); elements != nullptr && elements->is_array())
        sets[table + " " + text(body, "name")] = &elements->get_array();
    if (kind == "rule") {
      auto chain = chains.find(table + " " + text(body, "chain"));
      if (chain != chains.end()) chain->second.rules.push_back(&body);
    }
  }

  std::vector<const Chain*> at(std::string_view hook) const {
    std::vector<const Chain*> out;
    for (const auto& name : order) {
      const Chain& chain = chains.at(name);
      if (chain.hook == hook && !own.contains(chain.table)) out.push_back(&chain);
    }
    return out;
  }
};

}  // namespace

Result<OwnRules> read_own_rules(std::string_view text) {
  KNOCK_ASSIGN(auto document, parse_strict(text));
  const auto* list = member(document, "nftables");
  if (list == nullptr || !list->is_array())
    return fail(ErrorKind::invalid, "this is not what `nft -j list ruleset` prints");
  Ruleset ruleset;
  for (const json::value& object : list->get_array()) ruleset.add(object);
  OwnRules out;
  for (std::string_view hook : {"input", "forward"}) {
    auto chains = ruleset.at(hook);
    std::erase_if(chains, [](const Chain* chain) { return chain->rules.empty() && !chain->drops; });
    if (chains.size() > 1) {
      for (const Chain* chain : chains)
        out.left_out.push_back({printable(chain->table) + " " + printable(chain->name),
                                fmt::format("{} chains judge each packet at {}; what passes all of "
                                            "them is not worked out",
                                            chains.size(), hook)});
      continue;
    }
    for (const Chain* chain : chains)
      Walk(ruleset.chains, ruleset.sets, hook == "forward", out).base(*chain);
  }
  return out;
}

}  // namespace knock
