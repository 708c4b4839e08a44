// SPDX-License-Identifier: Apache-2.0
// `tests`: what a policy says about itself.
#include <fmt/format.h>

#include "schemas/policy/parse_parts.h"

namespace knock {
namespace {

constexpr std::array<std::string_view, 3> kKinds{"as", "always", "never"};

void read_address(Findings& findings, const YamlNode& node, DeclaredTest& test) {
  auto prefix = read_prefix(findings, node, "ip");
  if (!prefix) return;
  test.value.as.ip = prefix;
  if (test.value.kind == PolicyTest::Kind::example && !prefix->is_host())
    findings.error(
        Check::not_one_address, node.place,
        fmt::format("somebody signs in from one address, and {} is a network", prefix->to_string()),
        "write one address; networks stand in `always` and `never`");
}

/// The keys that say who it is; `can` of an invariant stands among them.
void read_person(Findings& findings, Fields& fields, DeclaredTest& test) {
  auto& person = test.value.as;
  if (const auto* user = fields.take("user")) person.user = read_text(findings, *user, "user");
  if (const auto* groups = fields.take("groups"))
    read_uses(findings, groups, "groups", NameUse::Kind::group, person.groups.emplace(), test.uses);
  if (const auto* ip = fields.take("ip")) read_address(findings, *ip, test);
  if (const auto* claims = fields.take("claims"))
    for (auto& claim : read_claims(findings, *claims))
      person.claims.emplace(std::move(claim.claim), std::move(claim.any_of));
  if (const auto* acr = fields.take("acr")) person.acr = read_text(findings, *acr, "acr");
  if (const auto* age = fields.take("mfa_age"))
    person.mfa_age = read_duration(findings, *age, "mfa_age");
  if (const auto* approved = fields.take("approved"))
    person.approved = read_boolean(findings, *approved, "approved");
}

/// The key that says which kind of test this is; null when there is not exactly one.
const YamlNode* read_kind(Findings& findings, const YamlNode& item, Fields& fields,
                          PolicyTest& test) {
  const YamlNode* body = nullptr;
  unsigned written = 0;
  Place last{};
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const auto* node = fields.take(kKinds[i]);
    if (auto place = fields.key_place(kKinds[i]); place.line != 0) {
      ++written;
      last = std::max(last, place);
    }
    if (node == nullptr) continue;
    body = node;
    test.kind = PolicyTest::Kind(i);
  }
  if (written == 1) return body;
  findings.error(
      Check::test_kind, written == 0 ? item.place : last,
      written == 0 ? "a test says neither `as` nor `always` nor `never`"
                   : "a test says more than one of `as`, `always` and `never`",
      "write {as: {user: bob, groups: [dba]}, can: [ssh]}, or {never: {groups: [guests], can: "
      "[ssh]}}; one of them in one test");
  return nullptr;
}

bool contradict(const PolicyTest& test) {
  if (test.can_all) return test.cannot_all || !test.cannot.empty();
  if (test.cannot_all) return !test.can.empty();
  return std::ranges::any_of(test.can, [&](const ServiceName& name) {
    return std::ranges::binary_search(test.cannot, name);
  });
}

void read_example(Findings& findings, const YamlNode& item, Fields& fields, const YamlNode& body,
                  DeclaredTest& test) {
  auto before = findings.all().size();
  Fields person(findings, body, "`as`");
  read_person(findings, person, test);
  person.finish();
  auto& value = test.value;
  const auto* cannot = fields.take("cannot");
  read_services(findings, fields.take("can"), "can", value.can, value.can_all, test.uses);
  read_services(findings, cannot, "cannot", value.cannot, value.cannot_all, test.uses);
  fields.finish();
  if (findings.all().size() != before) return;
  if (!value.can_all && value.can.empty() && !value.cannot_all && value.cannot.empty())
    findings.error(Check::empty_test, item.place, "the test claims nothing",
                   "add `can: [service]`, `cannot: [service]` or both");
  else if (contradict(value))
    findings.error(Check::test_contradicts, cannot->place,
                   "`can` and `cannot` name the same service", "remove it from one of them");
}

void read_invariant(Findings& findings, Fields& fields, const YamlNode& body, DeclaredTest& test) {
  auto what = test.value.kind == PolicyTest::Kind::always ? "`always`" : "`never`";
  Fields person(findings, body, what);
  read_person(findings, person, test);
  read_services(findings, person.need("can"), "can", test.value.can, test.value.can_all, test.uses);
  person.finish();
  fields.finish();
}

void read_test(Findings& findings, const YamlNode& item, std::vector<DeclaredTest>& tests) {
  Fields fields(findings, item, "a test");
  if (!fields.is_map()) return;
  DeclaredTest test;
  test.place = item.place;
  if (const auto* name = fields.take("name"))
    test.value.name = read_text(findings, *name, "name").value_or("");
  if (const auto* at = fields.take("at")) test.value.at = read_instant(findings, *at, "at");
  const auto* body = read_kind(findings, item, fields, test.value);
  // What follows depends on the kind: without one it would only be reported once more.
  if (body == nullptr) return;
  if (test.value.kind == PolicyTest::Kind::example)
    read_example(findings, item, fields, *body, test);
  else
    read_invariant(findings, fields, *body, test);
  tests.push_back(std::move(test));
}

}  // namespace

void read_tests(Findings& findings, const YamlNode& body, std::vector<DeclaredTest>& tests) {
  read_list(findings, body, "tests", true,
            [&](const YamlNode& item) { read_test(findings, item, tests); });
}

}  // namespace knock
