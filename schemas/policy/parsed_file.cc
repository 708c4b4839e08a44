// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/parsed_file.h"

#include <fmt/format.h>

#include "schemas/policy/parse_parts.h"
#include "schemas/policy/parse_target.h"

namespace knock {
namespace {

/// Reads one element; `broken` follows from whether it reported anything.
template <class T, class Read>
void read_element(ParsedFile& file, const YamlNode& name, const YamlNode& body,
                  std::vector<Declared<T>>& out, const Read& read) {
  Declared<T> element;
  auto before = file.findings.all().size();
  element.place = name.place;
  if (name.text.starts_with("x-"))
    file.findings.error(Check::reserved_name, name.place,
                        fmt::format("names do not begin with `x-`: {}", shown(name.text)),
                        "keys that begin with x- are notes; a rule under such a name would look "
                        "ignored");
  else
    read_name(file.findings, name, "name");
  element.value.name = decltype(element.value.name)(name.text);
  if (body.is_missing())
    file.findings.error(Check::missing_value, name.place,
                        fmt::format("nothing is written for {}", shown(name.text)),
                        "write its keys, or remove the name");
  else
    read(file.findings, body, element);
  element.broken = file.findings.all().size() != before;
  out.push_back(std::move(element));
}

template <class T, class Read>
void read_section(ParsedFile& file, Fields& root, Section section, std::vector<Declared<T>>& out,
                  const Read& read) {
  const auto* node = root.take(to_string(section));
  bool& incomplete = file.incomplete[std::size_t(section)];
  if (node == nullptr) {
    incomplete = root.key_place(to_string(section)).line != 0;
    return;
  }
  if (!node->is_map()) {
    file.findings.error(
        Check::wrong_type, node->place,
        fmt::format("`{}` must be a map from names to their meaning", to_string(section)),
        fmt::format("write `{}: {{name: …}}`", to_string(section)));
    incomplete = true;
    return;
  }
  out.reserve(node->children.size() / 2);
  for (std::size_t i = 0; i + 1 < node->children.size(); i += 2)
    read_element(file, node->children[i], node->children[i + 1], out, read);
}

void read_group(Findings& findings, const YamlNode& body, Declared<Group>& group) {
  Fields fields(findings, body, "a group");
  if (const auto* idp = fields.need("idp"))
    if (auto text = read_text(findings, *idp, "idp")) group.value.idp = *text;
  read_uses(findings, fields.take("from"), "from", NameUse::Kind::sign_in, group.value.from,
            group.uses);
  fields.finish();
}

void read_network(Findings& findings, const YamlNode& body, Declared<Network>& network) {
  read_prefixes(findings, body, network.value.name.value, network.value.prefixes);
}

void read_port(Findings& findings, const YamlNode& item, std::vector<PortRange>& out) {
  auto word = read_word(findings, item, "ports");
  if (!word) return;
  if (auto port = PortRange::parse(*word)) {
    out.push_back(*port);
    return;
  }
  bool bare = !word->empty() && word->find_first_not_of("0123456789-") == std::string::npos;
  findings.error(Check::bad_port, item.place, fmt::format("{} is not a port", shown(*word)),
                 bare && PortRange::parse("tcp/" + *word)
                     ? fmt::format("say which protocol: tcp/{0} or udp/{0}", *word)
                     : "write tcp/443 or udp/60000-61000; ports are 1 to 65535");
}

/// Targets that a packet passes one after the other; they are targets of the service too.
void read_path(Findings& findings, const YamlNode& node, Declared<Service>& service) {
  auto& [name, ports, targets, path, origin] = service.value;
  auto before = findings.all().size();
  read_uses_in_order(findings, &node, "path", NameUse::Kind::target, path, service.uses);
  service.surfaces.push_back({Surface::path, "path", node.place});
  auto names = path;
  sort_unique(names);
  if (findings.all().size() != before) return;
  if (names.size() != path.size())
    findings.error(Check::path_twice, node.place, "`path` passes one target twice",
                   "name each target once, the outermost first");
  else if (path.size() < 2)
    findings.error(Check::path_too_short, node.place, "`path` has one target, so there is no order",
                   "use `targets`, or name what a packet passes before or behind it");
  targets.insert(targets.end(), path.begin(), path.end());
  sort_unique(targets);
}

void read_service(Findings& findings, const YamlNode& body, Declared<Service>& service) {
  Fields fields(findings, body, "a service");
  if (const auto* ports = fields.need("ports")) {
    read_list(findings, *ports, "ports", true,
              [&](const YamlNode& item) { read_port(findings, item, service.value.ports); });
    service.value.ports = canonical_ports(std::move(service.value.ports));
  }
  bool has_path = fields.key_place("path").line != 0;
  const auto* targets = has_path ? fields.take("targets") : fields.need("targets");
  read_uses(findings, targets, "targets", NameUse::Kind::target, service.value.targets,
            service.uses);
  if (const auto* path = fields.take("path")) read_path(findings, *path, service);
  fields.finish();
}

/// `knock: 1`. False when the rest is written in another version of the language.
bool read_header(Findings& findings, Fields& root) {
  const auto* header = root.take("knock");
  if (header == nullptr) {
    if (root.key_place("knock").line == 0)
      findings.error(Check::header_missing, {1, 1, 0}, "the header `knock: 1` is missing",
                     "begin the file with `knock: 1`");
    return true;
  }
  if (header->is_scalar() && header->plain && header->text == "1") return true;
  findings.error(Check::header_version, header->place,
                 "this controller reads version 1 of the policy language",
                 "write `knock: 1`, or use the knock that this policy was written for");
  return false;
}

/// A section that stands in one file.
template <class T, class Read>
void read_single(ParsedFile& file, Fields& root, std::string_view key,
                 std::optional<Single<T>>& out, const Read& read) {
  const auto* node = root.take(key);
  if (node == nullptr) return;
  out.emplace().place = root.key_place(key);
  read(file.findings, *node, *out);
}

/// A misspelt section hides what it declares.
void mark_misspelt(ParsedFile& file, const Fields& root) {
  for (const auto& [written, meant] : root.unknown())
    for (std::size_t i = 0; i < kSections; ++i)
      if (meant == to_string(Section(i))) file.incomplete[i] = true;
}

}  // namespace

std::string_view to_string(Section section) {
  switch (section) {
    case Section::groups:
      return "groups";
    case Section::networks:
      return "networks";
    case Section::services:
      return "services";
    case Section::targets:
      return "targets";
    case Section::allow:
      return "allow";
    case Section::statics:
      return "static";
    case Section::deny:
      return "deny";
    case Section::break_glass:
      return "break_glass";
  }
  return "unknown";
}

ParsedFile parse_policy_file(std::string_view content) {
  ParsedFile file;
  auto tree = parse_yaml(content, file.findings);
  if (!tree) {
    file.incomplete.fill(true);
    return file;
  }
  Fields root(file.findings, *tree, "a policy");
  if (!read_header(file.findings, root)) {
    file.incomplete.fill(true);
    return file;
  }
  read_section(file, root, Section::groups, file.groups, read_group);
  read_section(file, root, Section::networks, file.networks, read_network);
  read_section(file, root, Section::services, file.services, read_service);
  read_section(file, root, Section::targets, file.targets, read_target);
  read_section(file, root, Section::allow, file.allow, read_allow);
  read_section(file, root, Section::statics, file.statics, read_static);
  read_section(file, root, Section::deny, file.deny, read_deny);
  read_section(file, root, Section::break_glass, file.break_glass, read_break_glass);
  read_single(file, root, "behaviour", file.behaviour, read_behaviour);
  read_single(file, root, "guards", file.guards, read_guards);
  if (const auto* tests = root.take("tests")) read_tests(file.findings, *tests, file.tests);
  root.finish();
  mark_misspelt(file, root);
  return file;
}

}  // namespace knock
