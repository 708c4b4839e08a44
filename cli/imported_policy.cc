// SPDX-License-Identifier: Apache-2.0
#include "cli/imported_policy.h"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "base/text.h"
#include "schemas/policy/yaml_scalar.h"

namespace knock::cli {
namespace {

/// What people call a port, where it has a name of its own in /etc/services.
std::string port_name(const PortRange& ports) {
  std::string number = std::to_string(ports.first);
  if (ports.last != ports.first) number += "-" + std::to_string(ports.last);
  std::string plain = std::string(to_string(ports.protocol)) + "-" + number;
  if (ports.last != ports.first) return plain;
  std::vector<char> room(4096);
  servent entry{}, *found = nullptr;
  getservbyport_r(htons(ports.first), std::string(to_string(ports.protocol)).c_str(), &entry,
                  room.data(), room.size(), &found);
  if (found == nullptr) return plain;
  std::string name = found->s_name;
  bool fits = name.size() <= 40 && std::all_of(name.begin(), name.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
              });
  return fits && name[0] != '-' ? name : plain;
}

/// One service for each set of ports on each side of the machine.
class Services {
 public:
  using Key = std::pair<bool, std::vector<PortRange>>;  // through, ports

  /// The starter has this one already (init.cc).
  Services() { names_[kStarters] = *taken_.insert("ssh").first; }

  const std::string& name_of(const LetIn& rule) {
    auto [at, fresh] = names_.try_emplace({rule.through, rule.ports});
    if (!fresh) return at->second;
    std::string name = port_name(rule.ports[0]);
    if (rule.ports.size() > 1) name += fmt::format("-and-{}-more", rule.ports.size() - 1);
    if (rule.through) name += "-behind";
    std::string unique = name;
    for (int i = 2; !taken_.insert(unique).second; ++i) unique = fmt::format("{}-{}", name, i);
    return at->second = unique;
  }
  std::map<Key, std::string> to_declare() const {
    auto out = names_;
    out.erase(kStarters);
    return out;
  }

 private:
  inline static const Key kStarters{false, {{Protocol::tcp, 22, 22}}};
  std::map<Key, std::string> names_;
  std::set<std::string> taken_;
};

std::string port_list(const std::vector<PortRange>& ports) {
  std::vector<std::string> out;
  for (const PortRange& range : ports) out.push_back(range.to_string());
  return "[" + join(out, ", ") + "]";
}

std::string address_list(const std::vector<Prefix>& from) {
  std::vector<std::string> out;
  for (const Prefix& prefix : from) {
    auto text = prefix.to_string();
    out.push_back(prefix.is_wide() ? "{cidr: " + text + ", any: true}" : text);
  }
  return "[" + join(out, ", ") + "]";
}

/// One static entry to be reviewed: nobody answers for it yet, and it ends.
std::string static_entry(std::string_view name, const std::vector<Prefix>& from,
                         std::string_view service, std::string_view reason,
                         std::string_view until) {
  return fmt::format(
      "  {}:\n    cidr: {}\n    to: [{}]\n    owner: nobody yet\n    reason: {}\n    until: {}\n",
      name, address_list(from), service, yaml_quoted(std::string(reason)), until);
}

/// A comment of one line, whatever stood in the rule.
std::string remark(std::string_view text) { return "# " + printable(text) + "\n"; }

}  // namespace

ImportedPolicy imported_policy(const OwnRules& rules, Instant now) {
  ImportedPolicy out;
  Services services;
  std::string statics, open, left_out;
  auto until = to_string(now + kImportedLife).substr(0, 10);
  for (const LetIn& rule : rules.let_in) {
    if (rule.everybody) {
      ++out.open_to_everybody;
      open += remark(fmt::format("  {}   {}{}", to_string(rule.ports), rule.where,
                                 rule.comment.empty() ? "" : ": " + rule.comment));
      continue;
    }
    out.through = out.through || rule.through;
    statics +=
        static_entry(fmt::format("imported-{}", ++out.entries), rule.from, services.name_of(rule),
                     rule.comment.empty() ? rule.where : rule.where + ": " + rule.comment, until);
  }
  for (const LeftOut& rule : rules.left_out) {
    ++out.left_out;
    left_out += remark("  " + rule.where + ": " + rule.why);
  }
  auto declared = services.to_declare();
  out.services = declared.size();

  out.text =
      "# yaml-language-server: $schema=policy.v1.schema.json\n"
      "# What this machine's own nftables rules let in, as they stood on " +
      to_string(now).substr(0, 10) +
      ".\n# Each entry ends on its own: say who it is for, or give the people behind it a group.\n"
      "knock: 1\n";
  if (!declared.empty()) out.text += "\nservices:\n";
  for (const auto& [key, name] : declared)
    out.text += fmt::format("  {}: {{ports: {}, targets: [{}]}}\n", name, port_list(key.second),
                            key.first ? "behind-this-host" : "this-host");
  if (!statics.empty()) out.text += "\nstatic:\n" + statics;
  if (!open.empty())
    out.text +=
        "\n# Open to everybody today, and therefore not imported. Where a port should be closed, "
        "make it a service:\n" +
        open;
  if (!left_out.empty())
    out.text +=
        "\n# Not imported, because half of a rule would open more than the rule:\n" + left_out;
  return out;
}

ImportedPolicy imported_entries(const std::string& target, std::vector<FoundEntry> found,
                                Instant now) {
  ImportedPolicy out;
  std::string statics, open;
  auto until = to_string(now + kImportedLife).substr(0, 10);
  // What somebody wrote with one remark belongs together.
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<Prefix>> entries;
  for (FoundEntry& one : found) {
    if (one.prefix.length() == 0) {
      ++out.open_to_everybody;
      open += remark(fmt::format("  {} for everybody{}", one.service,
                                 one.comment.empty() ? "" : ": " + one.comment));
      continue;
    }
    bool sooner = one.ends && *one.ends < now + kImportedLife;
    entries[{one.service, one.comment, sooner ? to_string(*one.ends) : until}].push_back(
        one.prefix);
  }
  for (auto& [key, from] : entries) {
    const auto& [service, comment, end] = key;
    std::sort(from.begin(), from.end());
    auto where = "found on " + target;
    statics += static_entry(fmt::format("found-on-{}-{}", target, ++out.entries).substr(0, 63),
                            from, service, comment.empty() ? where : where + ": " + comment, end);
  }
  out.text =
      "# What stood on " + printable(target) + " without knock's mark on " +
      to_string(now).substr(0, 10) +
      ".\n# Each entry ends on its own: say who it is for and why, or leave it out.\nknock: 1\n";
  if (!statics.empty()) out.text += "\nstatic:\n" + statics;
  if (!open.empty()) out.text += "\n# Not imported, because everybody is no allowlist:\n" + open;
  return out;
}

}  // namespace knock::cli
