// SPDX-License-Identifier: Apache-2.0
// Bytes as a policy file that is formatted. What comes out is its own formatted form, holds the same
// values and the same comments; a policy that loads means the same afterwards; and nothing that
// parses is too strange.
#include "schemas/policy/format.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "schemas/policy/load.h"

namespace {

using namespace knock;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// YAML bounds a key before its colon to 1,024 characters, over several lines it may be longer; and
/// yaml-cpp lets some values between brackets end with a colon, which nobody writes.
bool is_odd(const YamlNode& node) {
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const auto& child = node.children[i];
    bool key = node.is_map() && i % 2 == 0;
    if (key ? child.text.size() > 500 : child.plain && child.text.ends_with(':')) return true;
    if (is_odd(child)) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  auto out = format_policy_file("p.yaml", text);
  require(out.text.has_value() != has_errors(out.diagnostics), "a text xor errors");
  Findings findings(CheckArea::policy);
  auto before = yaml_values(text, findings);
  if (before && !is_odd(*before))
    for (const auto& diagnostic : out.diagnostics)
      require(diagnostic.id != "format.not-understood", "whatever parses can be formatted");
  if (!out.text) return 0;
  auto again = format_policy_file("p.yaml", *out.text);
  require(again.text == out.text, "formatting twice is formatting once");
  require(yaml_comments(text) == yaml_comments(*out.text), "every comment stays");

  auto after = yaml_values(*out.text, findings);
  require(before && after && same_values(*before, *after), "the values stay");
  auto one = load_policy({{"p.yaml", text, ""}}, PolicyRevision("r"), {});
  auto other = load_policy({{"p.yaml", *out.text, ""}}, PolicyRevision("r"), {});
  require(one.policy.has_value() == other.policy.has_value(), "it loads as before");
  if (one.policy) require(same_meaning(*one.policy, *other.policy), "it means the same");
  return 0;
}
