// SPDX-License-Identifier: Apache-2.0
// `behaviour` and `guards`: sections that stand in one file.
#include <fmt/format.h>

#include "base/text.h"
#include "schemas/policy/parse_parts.h"

namespace knock {
namespace {

constexpr std::uint64_t kMostPercent = 1'000'000;
constexpr std::uint64_t kMostEntries = 10'000'000;

/// A length of time, or `none`.
std::optional<Duration> read_longest(Findings& findings, const YamlNode* node, std::string_view key,
                                     std::optional<Duration> otherwise) {
  if (node == nullptr) return otherwise;
  if (node->is_scalar() && node->text == "none") return std::nullopt;
  return read_duration(findings, *node, key);
}

template <class Number>
void read_limit(Findings& findings, Fields& fields, std::string_view key, std::uint64_t most,
                Number& out) {
  if (const auto* node = fields.take(key))
    if (auto number = read_number(findings, *node, key, 0, most)) out = Number(*number);
}

/// "192.0.2.1:22" or "[2001:db8::1]:22".
std::optional<GuardLimits::Probe> endpoint_of(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto port = PortRange::parse("tcp/" + std::string(text.substr(colon + 1)));
  auto address = IpAddress::parse(host);
  if (!address || !port || port->first != port->last) return std::nullopt;
  if ((host.find(':') != std::string_view::npos) != bracketed) return std::nullopt;
  return GuardLimits::Probe{address, port->first};
}

std::optional<GuardLimits::Probe> read_probe(Findings& findings, const YamlNode& node) {
  if (node.is_scalar()) {
    if (read_choice(findings, node, "probe", {"controller-reach"})) return GuardLimits::Probe{};
    return std::nullopt;
  }
  std::optional<GuardLimits::Probe> out;
  Fields fields(findings, node, "`probe`");
  if (const auto* tcp = fields.need("tcp"))
    if (auto text = read_text(findings, *tcp, "tcp")) {
      out = endpoint_of(*text);
      if (!out)
        findings.error(Check::bad_probe, tcp->place,
                       fmt::format("{} is not an address with a port", shown(*text)),
                       "write \"192.0.2.1:22\" or \"[2001:db8::1]:22\": what the controller "
                       "connects to after a change; names are not looked up");
    }
  fields.finish();
  return out;
}

void read_confirm(Findings& findings, const YamlNode& node, Single<GuardLimits>& guards) {
  GuardLimits::Confirm confirm;
  Fields fields(findings, node, "`confirm`");
  if (!fields.is_map()) return;
  read_uses(findings, fields.need("targets"), "targets", NameUse::Kind::target, confirm.targets,
            guards.uses);
  if (const auto* within = fields.need("within"))
    confirm.within = read_duration(findings, *within, "within").value_or(Duration{});
  if (const auto* probe = fields.take("probe")) confirm.probe = read_probe(findings, *probe);
  fields.finish();
  guards.value.confirm = std::move(confirm);
}

}  // namespace

void read_behaviour(Findings& findings, const YamlNode& body, Single<Behaviour>& out) {
  Fields fields(findings, body, "`behaviour`");
  if (!fields.is_map()) return;
  auto& behaviour = out.value;
  if (const auto* preset = fields.take("preset"))
    behaviour = behaviour_of(
        Preset(read_choice(findings, *preset, "preset", {"standard", "strict"}).value_or(0)));
  if (const auto* shared = fields.take("shared_addresses")) {
    auto choice =
        read_choice(findings, *shared, "shared_addresses", {"allow", "deny", "require_token"});
    if (choice) behaviour.shared_addresses = SharedAddresses(*choice);
    if (behaviour.shared_addresses == SharedAddresses::require_token)
      out.surfaces.push_back({Surface::require_token, "require_token", shared->place});
  }
  if (const auto* over = fields.take("over_limit"))
    if (auto choice = read_choice(findings, *over, "over_limit", {"replace", "refuse"}))
      behaviour.over_limit = OverLimit(*choice);
  if (const auto* warn = fields.take("warn_before_end"))
    behaviour.warn_before_end =
        read_duration(findings, *warn, "warn_before_end").value_or(behaviour.warn_before_end);
  behaviour.longest_ttl =
      read_longest(findings, fields.take("longest_ttl"), "longest_ttl", behaviour.longest_ttl);
  behaviour.longest_static = read_longest(findings, fields.take("longest_static"), "longest_static",
                                          behaviour.longest_static);
  fields.finish();
}

void read_guards(Findings& findings, const YamlNode& body, Single<GuardLimits>& out) {
  Fields fields(findings, body, "`guards`");
  if (!fields.is_map()) return;
  auto& limits = out.value;
  if (const auto* node = fields.take("removals")) {
    Fields removals(findings, *node, "`removals`");
    read_limit(findings, removals, "percent", 100, limits.removed_percent);
    read_limit(findings, removals, "entries", kMostEntries, limits.removed_entries);
    removals.finish();
  }
  if (const auto* node = fields.take("additions")) {
    Fields additions(findings, *node, "`additions`");
    read_limit(findings, additions, "percent", kMostPercent, limits.added_percent);
    read_limit(findings, additions, "entries", kMostEntries, limits.added_entries);
    if (const auto* ports = additions.take("new_port"))
      limits.ask_new_ports =
          read_choice(findings, *ports, "new_port", {"confirm", "allow"}).value_or(0) == 0;
    additions.finish();
  }
  if (const auto* node = fields.take("max_prefix")) {
    Fields widest(findings, *node, "`max_prefix`");
    read_limit(findings, widest, "v4", 32, limits.widest_v4);
    read_limit(findings, widest, "v6", 128, limits.widest_v6);
    widest.finish();
  }
  if (const auto* confirm = fields.take("confirm")) read_confirm(findings, *confirm, out);
  fields.finish();
}

}  // namespace knock
