// SPDX-License-Identifier: Apache-2.0
#include "agents/host/table_image.h"

#include <libmnl/libmnl.h>
#include <netinet/in.h>

// After netinet/in.h, or its addresses are declared twice.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <tuple>

#include "base/sha256.h"

namespace knock::host {
namespace {

template <class List>
auto* find_by_name(List& list, std::string_view name) {
  auto at = std::lower_bound(list.begin(), list.end(), name,
                             [](const auto& item, std::string_view n) { return item.name < n; });
  return at != list.end() && at->name == name ? &*at : nullptr;
}

template <class List>
void sort_by_name(List& list) {
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

/// The comment out of user data: type 0, length, text with its NUL.
std::string comment_of(std::string_view data) {
  while (data.size() >= 2) {
    auto type = std::uint8_t(data[0]), length = std::uint8_t(data[1]);
    data.remove_prefix(2);
    if (length > data.size()) return {};
    if (type == 0)
      return std::string(data.substr(0, std::min<std::size_t>(data.find('\0'), length)));
    data.remove_prefix(length);
  }
  return {};
}

Status read_chains_once(Netlink& netlink, const std::string& table, TableImage& image) {
  // Kernels do not filter chains by table.
  Message ask(NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_INET);
  image.chains.clear();
  KNOCK_CHECK(netlink.dump(ask, Netlink::Walk::all_tables, [&](const nlmsghdr* m) {
    auto a = Attributes::of(m);
    if (a.text(NFTA_CHAIN_TABLE) != table) return;
    ChainImage chain;
    chain.name = a.text(NFTA_CHAIN_NAME);
    chain.base = a.has(NFTA_CHAIN_HOOK);
    chain.type = a.text(NFTA_CHAIN_TYPE);
    chain.hook = a.nest(NFTA_CHAIN_HOOK).u32(NFTA_HOOK_HOOKNUM);
    chain.priority = std::int32_t(a.nest(NFTA_CHAIN_HOOK).u32(NFTA_HOOK_PRIORITY));
    chain.policy = a.u32(NFTA_CHAIN_POLICY);
    chain.flags = a.u32(NFTA_CHAIN_FLAGS);
    image.chains.push_back(std::move(chain));
  }));
  sort_by_name(image.chains);
  return {};
}

Status read_chains(Netlink& netlink, const std::string& table, TableImage& image) {
  // The list is short, so between two commits of a busy neighbour there is room for it.
  Status read;
  for (int attempt = 0; attempt < 100; ++attempt) {
    read = read_chains_once(netlink, table, image);
    if (read || read.error().kind != ErrorKind::conflict) break;
  }
  return read;
}

Status read_sets(Netlink& netlink, const std::string& table, TableImage& image) {
  Message ask(NFT_MSG_GETSET, NLM_F_DUMP, NFPROTO_INET);
  ask.text(NFTA_SET_TABLE, table);
  KNOCK_CHECK(netlink.dump(ask, Netlink::Walk::one_table, [&](const nlmsghdr* m) {
    auto a = Attributes::of(m);
    if (a.text(NFTA_SET_TABLE) != table) return;
    image.sets.push_back({a.text(NFTA_SET_NAME), a.u32(NFTA_SET_FLAGS), a.u32(NFTA_SET_KEY_TYPE),
                          a.u32(NFTA_SET_KEY_LEN), a.u64(NFTA_SET_TIMEOUT)});
  }));
  sort_by_name(image.sets);
  return {};
}

Status read_rules(Netlink& netlink, const std::string& table, TableImage& image) {
  Message ask(NFT_MSG_GETRULE, NLM_F_DUMP, NFPROTO_INET);
  ask.text(NFTA_RULE_TABLE, table);
  std::map<std::string, std::vector<RuleImage>> chains;
  KNOCK_CHECK(netlink.dump(ask, Netlink::Walk::one_table, [&](const nlmsghdr* m) {
    auto a = Attributes::of(m);
    if (a.text(NFTA_RULE_TABLE) != table) return;
    auto chain = a.text(NFTA_RULE_CHAIN);
    chains[chain].push_back({chain, std::string(a.bytes(NFTA_RULE_EXPRESSIONS)),
                             comment_of(a.bytes(NFTA_RULE_USERDATA))});
  }));
  for (auto& [name, rules] : chains)
    for (auto& rule : rules) image.rules.push_back(std::move(rule));
  return {};
}

/// Feeds fields so that no two different sequences give the same bytes.
class Digester {
 public:
  void text(std::string_view value) {
    number(value.size());
    sha_.add(value);
  }
  void number(std::uint64_t value) {
    char bytes[8];
    for (char& byte : bytes) {
      byte = char(value);
      value >>= 8;
    }
    sha_.add({bytes, sizeof bytes});
  }
  std::string finish() { return to_hex(sha_.finish()).substr(0, 32); }

 private:
  Sha256 sha_;
};

// ---------------------------------------------------------------- elements

struct RawElement {
  IpAddress key;
  bool end = false;
  std::size_t pass = 0;  // the reading that saw it last
  role::ElementFound found;
};

/// Of a label; 0 when it is none that we give.
std::uint64_t tag_of(std::string_view label) {
  if (label.size() != 16 || label.find_first_not_of('\0') < 8) return 0;
  std::uint64_t out = 0;
  for (char byte : label.substr(8)) out = (out << 8) | std::uint8_t(byte);
  return out;
}

/// True when the element's counter saw a packet. One without a counter is not as we made it, and
/// what became of it is not known: then it counts as used.
bool is_used(Attributes element) {
  bool counted = false, any = false;
  element.nest(NFTA_SET_ELEM_EXPRESSIONS).each(NFTA_LIST_ELEM, [&](Attributes expression) {
    if (expression.text(NFTA_EXPR_NAME) != "counter") return;
    counted = true;
    any = any || expression.nest(NFTA_EXPR_DATA).u64(NFTA_COUNTER_PACKETS) > 0;
  });
  return any || !counted;
}

std::optional<RawElement> parse_element(Attributes a, SetKind kind) {
  auto key = a.nest(NFTA_SET_ELEM_KEY).bytes(NFTA_DATA_VALUE);
  std::size_t length = kind.family == Family::v4 ? 4 : 16;
  if (key.size() != key_length(kind)) return std::nullopt;
  RawElement out;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(key.data());
  out.found.part = kind.part;
  out.found.comment = comment_of(a.bytes(NFTA_SET_ELEM_USERDATA));
  if (kind.part == role::Part::stay) {
    // Written by hand it has no address, and nobody has such a label.
    auto address = address_in(out.found.comment);
    if (!address) return std::nullopt;
    out.key = *address;
    out.found.tag = tag_of(key);
    out.found.comment.resize(out.found.comment.size() - 33);
  } else if (auto address = IpAddress::from_bytes({bytes, length})) {
    out.key = *address;
  }
  if (is_map(kind)) out.found.tag = tag_of(a.nest(NFTA_SET_ELEM_DATA).bytes(NFTA_DATA_VALUE));
  if (kind.part == role::Part::once) out.found.used = is_used(a);
  // ::ffff:0:0/96 in an IPv6 set matches nothing that arrives as IPv6; it has no value of its own.
  if (out.key.family() != kind.family) return std::nullopt;
  out.end = (a.u32(NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0;
  out.found.timed = a.has(NFTA_SET_ELEM_EXPIRATION);
  out.found.left_ms = a.u64(NFTA_SET_ELEM_EXPIRATION);
  return out;
}

// A set that changes in every pass while nobody commits to it does not exist; this is only an end.
constexpr int kMostPasses = 10;

/// The elements of one set, out of several readings.
///
/// A long list comes in pieces, and between two of them the kernel finds its place again by
/// counting. When it removes an expired element or grows its hash table meanwhile, live elements
/// are skipped, or come twice, and nothing tells so. What is missed would look like a removal by
/// hand. So a list in pieces is read again until all is seen; nobody's commit is between (the fence
/// is checked), so what was seen once stands until its life is over.
class ElementCollector {
 public:
  void start_pass() {
    sort_and_unite();
    known_ = all_.size();
    started_.push_back(std::chrono::steady_clock::now());
  }
  void add(RawElement element) {
    element.pass = started_.size() - 1;
    all_.push_back(std::move(element));
  }
  /// True after the first pass, and after each that saw something for the first time.
  bool found_more() {
    sort_and_unite();
    return all_.size() > known_;
  }
  /// Elements, without ends of intervals, that live for sure.
  std::size_t living() {
    sort_and_unite();
    auto now = std::chrono::steady_clock::now();
    return std::size_t(std::ranges::count_if(all_, [&](const RawElement& element) {
      return !element.end && !may_be_over(element, now);
    }));
  }
  /// Sorted by key; an end stands before a start.
  std::vector<RawElement> take() && {
    sort_and_unite();
    auto now = std::chrono::steady_clock::now();
    std::erase_if(all_, [&](const RawElement& element) {
      return may_be_over(element, now) && element.pass + 1 < started_.size();
    });
    return std::move(all_);
  }

 private:
  bool may_be_over(const RawElement& element, std::chrono::steady_clock::time_point now) const {
    auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - started_[element.pass]);
    return element.found.timed && element.found.left_ms <= std::uint64_t(age.count());
  }
  void sort_and_unite() {
    // One address may have several tags.
    auto key = [](const RawElement& e) { return std::make_tuple(e.key, !e.end, e.found.tag); };
    // Of several sightings the latest is kept.
    std::sort(all_.begin(), all_.end(), [&](const RawElement& a, const RawElement& b) {
      auto ka = key(a), kb = key(b);
      return ka != kb ? ka < kb : a.pass > b.pass;
    });
    auto same = [&](const RawElement& a, const RawElement& b) { return key(a) == key(b); };
    all_.erase(std::unique(all_.begin(), all_.end(), same), all_.end());
  }

  std::vector<RawElement> all_;
  std::vector<std::chrono::steady_clock::time_point> started_;
  std::size_t known_ = 0;
};

std::optional<IpAddress> before(const IpAddress& address) {
  std::array<std::uint8_t, 16> bytes{};
  auto all = address.bytes();
  std::copy(all.begin(), all.end(), bytes.begin());
  std::size_t i = all.size();
  while (i > 0 && bytes[i - 1] == 0) bytes[--i] = 0xff;
  if (i == 0) return std::nullopt;
  --bytes[i - 1];
  return IpAddress::from_bytes({bytes.data(), all.size()});
}

/// Calls `each` with every interval: its first and last address, and what was written there.
template <class Each>
void join_intervals(const std::vector<RawElement>& raw, Each each) {
  const RawElement* open = nullptr;
  for (const auto& element : raw) {
    auto last = before(element.key);
    if (open != nullptr && last) each(open->key, *last, open->found);
    open = element.end ? nullptr : &element;
  }
  if (open != nullptr) each(open->key, open->key.last_of(0), open->found);
}

}  // namespace

const ChainImage* TableImage::chain(std::string_view name) const {
  return find_by_name(chains, name);
}
const SetImage* TableImage::set(std::string_view name) const { return find_by_name(sets, name); }

std::optional<std::string> TableImage::mark() const {
  std::optional<std::string> out;
  for (const auto& rule : rules) {
    if (rule.chain != kMarkChain) continue;
    if (out) return std::nullopt;
    out = rule.comment;
  }
  return out;
}

std::optional<OwnerId> TableImage::owner() const {
  if (auto owner = parse_owner_mark(comment)) return owner;
  auto text = mark();
  if (!text) return std::nullopt;
  return parse_owner_mark(text->substr(0, text->rfind(':')));
}

static Status read_keep(Netlink& netlink, const std::string& table, TableImage& image) {
  for (auto family : {Family::v4, Family::v6}) {
    auto name = family == Family::v4 ? kKeep4 : kKeep6;
    SetKind kind{family, true};
    const auto* set = image.set(name);
    if (set == nullptr || set->key_type != set_key_type(kind)) continue;
    KNOCK_ASSIGN(auto elements, read_elements(netlink, table, name, kind));
    for (const auto& element : elements) image.keep.push_back(element.prefix);
  }
  return {};
}

Result<TableImage> read_table(Netlink& netlink, const std::string& table) {
  TableImage image;
  Message ask(NFT_MSG_GETTABLE, 0, NFPROTO_INET);
  ask.text(NFTA_TABLE_NAME, table);
  auto found = netlink.dump(ask, Netlink::Walk::one_table, [&](const nlmsghdr* m) {
    image.exists = true;
    image.comment = comment_of(Attributes::of(m).bytes(NFTA_TABLE_USERDATA));
  });
  if (!found && found.error().kind == ErrorKind::not_found) return image;
  if (!found) return fail(std::move(found.error()));
  KNOCK_CHECK(read_chains(netlink, table, image));
  KNOCK_CHECK(read_sets(netlink, table, image));
  KNOCK_CHECK(read_rules(netlink, table, image));
  KNOCK_CHECK(read_keep(netlink, table, image));
  return image;
}

std::string mark_of(const TableImage& image, OwnerId owner) {
  Digester digest;
  for (const auto& chain : image.chains) {
    digest.text("chain");
    digest.text(chain.name);
    digest.text(chain.type);
    for (std::uint64_t n : {std::uint64_t(chain.base), std::uint64_t(chain.hook),
                            std::uint64_t(std::uint32_t(chain.priority)),
                            std::uint64_t(chain.policy), std::uint64_t(chain.flags)})
      digest.number(n);
  }
  for (const auto& set : image.sets) {
    digest.text("set");
    digest.text(set.name);
    for (std::uint64_t n : {std::uint64_t(set.flags), std::uint64_t(set.key_type),
                            std::uint64_t(set.key_length), set.timeout})
      digest.number(n);
  }
  for (const auto& rule : image.rules) {
    if (rule.chain == kMarkChain) continue;
    digest.text("rule");
    digest.text(rule.chain);
    digest.text(rule.expressions);
    digest.text(rule.comment);
  }
  return owner_mark(owner) + ":" + digest.finish();
}

/// Elements in a set, those included that have expired and are not collected yet; nothing where the
/// kernel does not tell (before 6.16).
static Result<std::optional<std::uint32_t>> count_elements(Netlink& netlink,
                                                           const std::string& table,
                                                           std::string_view set) {
  constexpr int kCount = 20;  // NFTA_SET_COUNT, younger than Debian 12's headers
  Message ask(NFT_MSG_GETSET, 0, NFPROTO_INET);
  ask.text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, set);
  std::optional<std::uint32_t> count;
  KNOCK_CHECK(netlink.dump(ask, Netlink::Walk::one_table, [&](const nlmsghdr* m) {
    auto a = Attributes::of(m);
    if (a.has(kCount)) count = a.u32(kCount);
  }));
  return count;
}

// All is seen when as many live as the kernel counts. Where it counts expired ones too, or does not
// tell, passes go on until several in a row see nothing new.
static Result<std::vector<RawElement>> read_raw(Netlink& netlink, const std::string& table,
                                                std::string_view set, SetKind kind) {
  constexpr int kQuietPasses = 2;
  ElementCollector all;
  int quiet = 0;
  for (int pass = 0; pass < kMostPasses && quiet < kQuietPasses; ++pass) {
    Message ask(NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_INET);
    ask.text(NFTA_SET_ELEM_LIST_TABLE, table).text(NFTA_SET_ELEM_LIST_SET, set);
    all.start_pass();
    KNOCK_ASSIGN(auto pieces, netlink.dump(ask, Netlink::Walk::one_table, [&](const nlmsghdr* m) {
      Attributes::of(m).nest(NFTA_SET_ELEM_LIST_ELEMENTS).each(NFTA_LIST_ELEM, [&](Attributes a) {
        if (auto element = parse_element(a, kind)) all.add(std::move(*element));
      });
    }));
    if (pieces <= 1) break;
    KNOCK_ASSIGN(auto count, count_elements(netlink, table, set));
    if (count && all.living() >= *count) break;
    quiet = all.found_more() ? 0 : quiet + 1;
  }
  return std::move(all).take();
}

Result<std::vector<role::ElementFound>> read_elements(Netlink& netlink, const std::string& table,
                                                      std::string_view set, SetKind kind) {
  KNOCK_ASSIGN(auto raw, read_raw(netlink, table, set, kind));
  std::vector<role::ElementFound> out;
  if (kind.interval) {
    join_intervals(raw, [&](const IpAddress& first, const IpAddress& last, const auto& like) {
      for (const auto& prefix : prefixes_of(first, last)) {
        out.push_back(like);
        out.back().prefix = prefix;
      }
    });
    return out;
  }
  out.reserve(raw.size());
  for (auto& element : raw) {
    out.push_back(std::move(element.found));
    out.back().prefix = Prefix::host(element.key);
  }
  return out;
}

Result<std::vector<RangeFound>> read_ranges(Netlink& netlink, const std::string& table,
                                            std::string_view set, SetKind kind) {
  KNOCK_ASSIGN(auto raw, read_raw(netlink, table, set, kind));
  std::vector<RangeFound> out;
  join_intervals(raw, [&](const IpAddress& first, const IpAddress& last, const auto& like) {
    out.push_back({first, last, like.comment});
  });
  return out;
}

std::vector<Prefix> prefixes_of(const IpAddress& first, const IpAddress& last) {
  std::vector<Prefix> out;
  std::optional<IpAddress> at = first;
  while (at && *at <= last) {
    int length = at->bits();
    while (length > 0 && at->first_of(length - 1) == *at && at->last_of(length - 1) <= last)
      --length;
    out.push_back(Prefix::of(*at, length));
    at = out.back().last().next();
  }
  return out;
}

}  // namespace knock::host
