// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/policy_delta.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace knock {
namespace {

/// to_yaml() prints each element on a line of its own: "  name: body" below "section:", an element
/// without a name as "  - body", and a section that is one element as "section: body".
struct Elements {
  std::vector<std::string> sections;                                  // in their order
  std::map<std::pair<std::string, std::string>, std::string> bodies;  // by section and name
};

/// The key of a line, without quotes, and what follows it.
std::pair<std::string, std::string> split_line(std::string_view line) {
  std::size_t end = 0;
  bool quoted = line.starts_with('"');
  if (quoted)
    for (end = 1; end < line.size() && line[end] != '"'; ++end) end += line[end] == '\\';
  end = line.find(':', end);
  if (end == std::string_view::npos) return {std::string(line), ""};
  auto key = quoted ? line.substr(1, end - 2) : line.substr(0, end);
  return {std::string(key), std::string(trim(line.substr(end + 1)))};
}

/// The name that an element without a key of its own gives itself: `{name: "…", …}`. Empty where it
/// has none, or one that could be taken for such an element.
std::string own_name(std::string_view body) {
  constexpr std::string_view kBegin = "{name: \"";
  if (!body.starts_with(kBegin)) return "";
  std::string out;
  for (auto at = kBegin.size(); at < body.size() && body[at] != '"'; ++at) {
    if (body[at] == '\\') ++at;
    if (at < body.size()) out += body[at];
  }
  return out.starts_with("- ") ? "" : out;
}

Elements elements_of(const Policy& policy) {
  Elements out;
  auto text = to_yaml(policy);
  for (auto line : split(text, '\n')) {
    if (line.empty()) continue;
    if (line[0] != ' ') {
      auto [key, body] = split_line(line);
      out.sections.push_back(key);
      if (!body.empty()) out.bodies[{key, ""}] = body;
      continue;
    }
    line = trim(line);
    if (out.sections.empty()) continue;
    if (line.starts_with("- ")) {
      // Elements without a name, and with one that is not the only one, are told apart by what they
      // say.
      auto name = own_name(line.substr(2));
      bool fresh = !name.empty() &&
                   out.bodies.try_emplace({out.sections.back(), name}, line.substr(2)).second;
      if (!fresh) out.bodies[{out.sections.back(), std::string(line)}] = line.substr(2);
    } else {
      auto [name, body] = split_line(line);
      out.bodies[{out.sections.back(), name}] = body;
    }
  }
  return out;
}

template <class T>
void add_origins(std::string_view section, const std::vector<T>& values,
                 std::map<std::pair<std::string, std::string>, SourceRange>& out) {
  for (const T& value : values) out[{std::string(section), value.name.value}] = value.origin;
}

std::map<std::pair<std::string, std::string>, SourceRange> origins_of(const Policy& policy) {
  std::map<std::pair<std::string, std::string>, SourceRange> out;
  add_origins("groups", policy.groups, out);
  add_origins("networks", policy.networks, out);
  add_origins("services", policy.services, out);
  add_origins("targets", policy.targets, out);
  add_origins("allow", policy.allow, out);
  add_origins("static", policy.statics, out);
  add_origins("deny", policy.deny, out);
  add_origins("break_glass", policy.break_glass, out);
  for (const PolicyTest& test : policy.tests)
    if (!test.name.empty()) out.emplace(std::pair("tests", test.name), test.origin);
  return out;
}

/// Of both, in the order of either.
std::vector<std::string> all_sections(const Elements& before, const Elements& after) {
  auto out = after.sections;
  for (std::size_t i = 0; i < before.sections.size(); ++i) {
    if (std::ranges::find(out, before.sections[i]) != out.end()) continue;
    auto behind = i == 0 ? out.begin() : std::ranges::find(out, before.sections[i - 1]);
    out.insert(behind == out.end() ? behind : (i == 0 ? behind : behind + 1), before.sections[i]);
  }
  return out;
}

}  // namespace

std::vector<PolicyEdit> policy_delta(const Policy* in_force, const Policy& planned) {
  std::vector<PolicyEdit> out;
  if (in_force == nullptr || same_meaning(*in_force, planned)) return out;
  auto before = elements_of(*in_force), after = elements_of(planned);
  auto was_at = origins_of(*in_force), is_at = origins_of(planned);
  for (const std::string& section : all_sections(before, after)) {
    std::map<std::string, PolicyEdit> edits;
    for (const auto& [key, body] : before.bodies)
      if (key.first == section) edits[key.second].before = body;
    for (const auto& [key, body] : after.bodies)
      if (key.first == section) edits[key.second].after = body;
    for (auto& [name, edit] : edits) {
      if (edit.before == edit.after) continue;
      using Kind = PolicyEdit::Kind;
      edit.kind = edit.before.empty()  ? Kind::added
                  : edit.after.empty() ? Kind::removed
                                       : Kind::changed;
      edit.section = section;
      edit.name = name.starts_with("- ") ? "" : name;
      const auto& origins = edit.kind == Kind::removed ? was_at : is_at;
      if (auto at = origins.find({section, name}); at != origins.end()) edit.origin = at->second;
      out.push_back(std::move(edit));
    }
  }
  return out;
}

}  // namespace knock
