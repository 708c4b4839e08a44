// SPDX-License-Identifier: Apache-2.0
// The keys beyond who, where and how long: read, printed, compared; and what depends on the
// controller and on the time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "schemas/policy/load.h"
#include "schemas/policy/nft_words.h"
#include "tests/unit/schemas/policy_rows.h"

namespace knock {
namespace {

constexpr std::string_view kLanguage = R"(knock: 1
behaviour: {preset: strict, shared_addresses: require_token, over_limit: replace, warn_before_end: 7d, longest_ttl: none, longest_static: 90d}
groups: {dba: {idp: dba}, leads: {idp: leads}}
networks: {office: [198.51.100.0/24]}
services:
  ssh: {ports: [tcp/22], path: [edge, host]}
  web: {ports: [tcp/443], targets: [proxy], path: [host, edge]}
targets: {edge: {type: nftables}, host: {type: nftables, table: k2}, proxy: {type: nftables, table: k3}}
allow:
  both:
    who: [dba]
    users: [bob@sso, "eve@example.org@local", bob@sso]
    claims: {department: [ops, eng, ops], "https://example.org/verified": ["true"], x-note: 1}
    acr: [gold, "1"]
    mfa_max_age: 15m
    from: {in: [office]}
    schedule:
      - {days: [sat, mon-wed], from: "22:00", to: "06:30", tz: Europe/Berlin}
      - {days: "fri,sun", from: "00:00", to: "24:00", tz: UTC}
    max_users_per_ip: 1
    max_ips_per_user: 3
    approval: {from: [leads, dba], count: 2, ttl: 4h, reason: required}
    to: [ssh]
    ttl: 30d
    connections: 1
  by-name: {users: [bob@sso], to: [ssh], ttl: 1h, until: disconnect}
  plain: {who: [dba], to: [web], ttl: 1h, v6_prefix: 56, schedule: {days: mon, from: "08:00", to: "09:00", tz: America/New_York}, approval: {from: [leads], ttl: 1h}}
break_glass:
  fire: {to: ["*"], ttl: 30m, keys: [bg-2, bg-1, bg-1], quorum: 2, notify: [pager, duty]}
  one: {to: [ssh], ttl: 30m, keys: [bg-1]}
tests:
  - {as: {user: bob@sso, groups: [leads, dba], ip: 198.51.100.9, claims: {department: [eng]}, acr: gold, mfa_age: 20m, approved: true}, can: [ssh], cannot: [web], at: 2026-11-04T12:00:00+01:00, name: "everything: said"}
  - {as: {}, cannot: ["*"]}
  - {never: {ip: 192.0.2.0/24, can: ["*"]}}
  - {always: {groups: [dba], approved: false, can: [web]}, at: 2027-01-31}
)";

PolicyLoad load(std::string_view text, const PolicyContext& context) {
  return load_policy({{"p.yaml", std::string(text), ""}}, PolicyRevision("r"), context);
}
PolicyLoad load(std::string_view text) { return load(text, test::three_zones()); }

Policy sound(std::string_view text) {
  auto result = load(text);
  EXPECT_TRUE(result.policy) << text << to_text(result.diagnostics);
  return result.policy.value_or(Policy{});
}

TEST(PolicyLanguage, ReadsEveryKey) {
  auto policy = sound(kLanguage);
  ASSERT_EQ(policy.allow.size(), 3u);
  const auto& both = policy.allow[0];
  EXPECT_EQ(both.who, std::vector{GroupName("dba")});
  EXPECT_EQ(both.users, (std::vector<UserRef>{{"bob", SignInName("sso")},
                                              {"eve@example.org", SignInName("local")}}));
  EXPECT_EQ(both.claims, (std::vector<ClaimCondition>{{"department", {"eng", "ops"}},
                                                      {"https://example.org/verified", {"true"}}}));
  EXPECT_EQ(both.acr, (std::vector<std::string>{"1", "gold"}));
  EXPECT_EQ(both.mfa_max_age, Duration::minutes(15));
  EXPECT_EQ(both.schedule, (std::vector<Window>{{0b0100111, 22 * 60, 6 * 60 + 30, "Europe/Berlin"},
                                                {0b1010000, 0, 1440, "UTC"}}));
  EXPECT_EQ(both.max_users_per_ip, 1u);
  EXPECT_EQ(
      both.approval,
      (ApprovalCondition{{GroupName("dba"), GroupName("leads")}, 2, Duration::hours(4), true}));
  EXPECT_EQ(both.lasts, Lasts::first_connection);
  EXPECT_EQ(both.max_ips_per_user, 3u);
  EXPECT_EQ(both.v6_prefix, 128);

  const auto& by_name = policy.allow[1];
  EXPECT_TRUE(by_name.who.empty());
  EXPECT_EQ(by_name.users.size(), 1u);
  EXPECT_EQ(by_name.lasts, Lasts::disconnect);
  EXPECT_FALSE(by_name.approval || by_name.mfa_max_age || by_name.max_ips_per_user);

  const auto& plain = policy.allow[2];
  EXPECT_EQ(plain.schedule, (std::vector<Window>{{1, 480, 540, "America/New_York"}}));
  EXPECT_EQ(plain.approval,
            (ApprovalCondition{{GroupName("leads")}, 1, Duration::hours(1), false}));
  EXPECT_EQ(plain.lasts, Lasts::until_deadline);
  EXPECT_EQ(plain.v6_prefix, 56);

  const auto* ssh = policy.service(ServiceName("ssh"));
  EXPECT_EQ(ssh->path, (std::vector{TargetName("edge"), TargetName("host")}));
  EXPECT_EQ(ssh->targets, ssh->path);
  const auto* web = policy.service(ServiceName("web"));
  EXPECT_EQ(web->path, (std::vector{TargetName("host"), TargetName("edge")}))
      << "order means a lot";
  EXPECT_EQ(web->targets.size(), 3u);

  ASSERT_EQ(policy.break_glass.size(), 2u);
  const auto& fire = policy.break_glass[0];
  EXPECT_TRUE(fire.to_all);
  EXPECT_EQ(fire.to.size(), 2u);
  EXPECT_EQ(fire.keys, (std::vector<std::string>{"bg-1", "bg-2"}));
  EXPECT_EQ(fire.quorum, 2u);
  EXPECT_EQ(fire.notify, (std::vector<std::string>{"duty", "pager"}));
  EXPECT_EQ(policy.break_glass[1].quorum, 1u);

  ASSERT_EQ(policy.tests.size(), 4u);
  const auto& said = policy.tests[0];
  EXPECT_EQ(said.kind, PolicyTest::Kind::example);
  EXPECT_EQ(said.as.user, "bob@sso");
  EXPECT_EQ(said.as.groups, (std::vector{GroupName("dba"), GroupName("leads")}));
  EXPECT_EQ(said.as.ip, Prefix::parse("198.51.100.9"));
  EXPECT_EQ(said.as.claims.at("department"), std::vector<std::string>{"eng"});
  EXPECT_EQ(said.as.acr, "gold");
  EXPECT_EQ(said.as.mfa_age, Duration::minutes(20));
  EXPECT_EQ(said.as.approved, true);
  EXPECT_EQ(said.can, std::vector{ServiceName("ssh")});
  EXPECT_EQ(said.cannot, std::vector{ServiceName("web")});
  EXPECT_EQ(said.at, parse_instant("2026-11-04T11:00:00Z"));
  EXPECT_EQ(said.name, "everything: said");
  EXPECT_EQ(said.origin.to_string(), "p.yaml:32:5");
  const auto& nobody = policy.tests[1];
  EXPECT_FALSE(nobody.as.user || nobody.as.groups || nobody.as.ip || nobody.as.approved);
  EXPECT_TRUE(nobody.cannot_all && nobody.cannot.size() == 2u && nobody.can.empty());
  EXPECT_EQ(policy.tests[2].kind, PolicyTest::Kind::never);
  EXPECT_TRUE(policy.tests[2].can_all && policy.tests[2].can.size() == 2u);
  EXPECT_EQ(policy.tests[2].as.ip, Prefix::parse("192.0.2.0/24"));
  EXPECT_EQ(policy.tests[3].kind, PolicyTest::Kind::always);
  EXPECT_EQ(policy.tests[3].as.approved, false);

  EXPECT_EQ(policy.behaviour,
            (Behaviour{Preset::strict, SharedAddresses::require_token, OverLimit::replace,
                       Duration::hours(7 * 24), std::nullopt, Duration::hours(90 * 24)}));
  ASSERT_EQ(policy.zones.size(), 3u);
  EXPECT_EQ(policy.zones.at("Europe/Berlin")->name, "Europe/Berlin");
  EXPECT_EQ(policy.zones.at("UTC")->offsets.front().seconds, 0);
}

void expect_printed_the_same(const Policy& policy) {
  auto text = to_yaml(policy);
  auto again = load(text);
  ASSERT_TRUE(again.policy) << text << to_text(again.diagnostics);
  EXPECT_TRUE(same_meaning(policy, *again.policy)) << text;
  EXPECT_EQ(to_yaml(*again.policy), text);
}

TEST(PolicyLanguage, PrintedAndLoadedAgainItMeansTheSame) {
  expect_printed_the_same(sound(kLanguage));
}

TEST(PolicyLanguage, AConfirmationSaysWhatShowsThatATargetIsReached) {
  using Probe = GuardLimits::Probe;
  auto guards = [](const std::string& written) {
    auto policy = sound(
        "knock: 1\ntargets: {edge: {type: nftables}, host: {type: nftables, table: k}}"
        "\nguards: {additions: {new_port: allow}, confirm: {targets: [host, edge], "
        "within: 5m" +
        written + "}}\n");
    expect_printed_the_same(policy);
    return policy.guards;
  };
  auto person = guards("");
  EXPECT_FALSE(person.ask_new_ports);
  ASSERT_TRUE(person.confirm);
  EXPECT_EQ(person.confirm->targets, (std::vector{TargetName("edge"), TargetName("host")}));
  EXPECT_EQ(person.confirm->within, Duration::minutes(5));
  EXPECT_FALSE(person.confirm->probe) << "somebody confirms";
  EXPECT_EQ(guards(", probe: controller-reach").confirm->probe, Probe());
  EXPECT_EQ(guards(", probe: {tcp: \"192.0.2.1:22\"}").confirm->probe,
            (Probe{IpAddress::parse("192.0.2.1"), 22}));
  EXPECT_EQ(guards(", probe: {tcp: \"[2001:db8::1]:65535\"}").confirm->probe,
            (Probe{IpAddress::parse("2001:db8::1"), 65535}));
  EXPECT_TRUE(sound("knock: 1\nguards: {additions: {entries: 3}}\n").guards.ask_new_ports);
}

TEST(PolicyLanguage, SameMeaningSeesEveryField) {
  const auto base = sound(kLanguage);
  using Change = void (*)(Policy&);
  const std::vector<Change> changes{
      [](Policy& p) { p.allow[0].users.pop_back(); },
      [](Policy& p) { p.allow[0].users[0].source = SignInName("x"); },
      [](Policy& p) { p.allow[0].claims.pop_back(); },
      [](Policy& p) { p.allow[0].claims[0].any_of.pop_back(); },
      [](Policy& p) { p.allow[0].acr.pop_back(); },
      [](Policy& p) { p.allow[0].mfa_max_age.reset(); },
      [](Policy& p) { p.allow[0].schedule.pop_back(); },
      [](Policy& p) { p.allow[0].schedule[0].tz = "UTC"; },
      [](Policy& p) { p.allow[0].max_ips_per_user.reset(); },
      [](Policy& p) { p.allow[0].max_users_per_ip.reset(); },
      [](Policy& p) { p.allow[0].approval.reset(); },
      [](Policy& p) { p.allow[0].approval->reason_required = false; },
      [](Policy& p) { p.allow[0].lasts = Lasts::until_deadline; },
      [](Policy& p) { p.allow[0].v6_prefix = 64; },
      [](Policy& p) { std::swap(p.services[1].path[0], p.services[1].path[1]); },
      [](Policy& p) { p.break_glass.pop_back(); },
      [](Policy& p) { p.break_glass[0].keys.pop_back(); },
      [](Policy& p) { p.break_glass[0].quorum = 1; },
      [](Policy& p) { p.break_glass[0].notify.clear(); },
      [](Policy& p) { p.break_glass[0].ttl = Duration::hours(1); },
      [](Policy& p) { p.behaviour.over_limit = OverLimit::refuse; },
      [](Policy& p) { p.behaviour.longest_static.reset(); },
      [](Policy& p) { p.guards.removed_percent = 29; },
      [](Policy& p) { p.guards.confirm.emplace(); },
      [](Policy& p) { p.guards.ask_new_ports = false; },
      [](Policy& p) { p.tests.emplace_back(); },
      [](Policy& p) { p.tests[0].kind = PolicyTest::Kind::never; },
      [](Policy& p) { p.tests[0].as.user = "eve"; },
      [](Policy& p) { p.tests[0].as.groups.reset(); },
      [](Policy& p) { p.tests[0].as.ip.reset(); },
      [](Policy& p) { p.tests[0].as.claims.clear(); },
      [](Policy& p) { p.tests[0].as.acr.reset(); },
      [](Policy& p) { p.tests[0].as.mfa_age.reset(); },
      [](Policy& p) { p.tests[0].as.approved.reset(); },
      [](Policy& p) { p.tests[0].can.clear(); },
      [](Policy& p) { p.tests[0].cannot.clear(); },
      [](Policy& p) { p.tests[0].at.reset(); },
      [](Policy& p) { p.tests[0].name = ""; },
      [](Policy& p) { p.tests[1].cannot_all = false; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    auto changed = base;
    changes[i](changed);
    EXPECT_FALSE(same_meaning(base, changed)) << "change " << i;
  }
  auto moved = base;
  moved.zones.clear();
  moved.break_glass[0].origin.line = 99;
  EXPECT_TRUE(same_meaning(base, moved)) << "places and tables of time zones are no meaning";
}

TEST(PolicyLanguage, TheOrderOfTestsMeansNothing) {
  auto base = sound(kLanguage);
  base.tests.resize(2);
  base.tests[0].name = "a";
  auto turned = base;
  std::swap(turned.tests[0], turned.tests[1]);
  EXPECT_TRUE(same_meaning(base, turned));
  turned.tests[0].as.groups.emplace();
  EXPECT_FALSE(same_meaning(base, turned));
}

class RandomRules {
 public:
  explicit RandomRules(unsigned seed) : random_(seed) {}

  std::string text() {
    std::string out =
        "knock: 1\ngroups: {dba: {idp: dba}, leads: {idp: leads}}\n"
        "services: {s: {ports: [tcp/1], " +
        pick({"targets: [a, b, c]", "path: [b, a]", "path: [c, a, b]",
              "targets: [c], path: [b, a]"}) +
        "}}\ntargets: {a: {type: nftables}, b: {type: nftables, table: b}, c: {type: nftables, "
        "table: c}}\n" +
        behaviour() + "allow:\n";
    for (int i = 0; i < 4; ++i) out += fmt::format("  r{}: {{{}}}\n", i, rule());
    if (coin())
      out += fmt::format(
          "break_glass: {{f: {{to: [{}], ttl: 5m, keys: [b, a], quorum: {}, "
          "notify: [p]}}}}\n",
          pick({"s", "\"*\""}), 1 + random_() % 2);
    return out;
  }

 private:
  bool coin() { return random_() % 2 == 0; }
  std::string pick(const std::vector<std::string>& words) {
    return words[random_() % words.size()];
  }
  std::string clock(unsigned least) {
    auto minutes = least + random_() % 1440;
    return fmt::format("\"{:02}:{:02}\"", minutes / 60, minutes % 60);
  }

  std::string behaviour() {
    std::string out = "behaviour: {preset: " + pick({"standard", "strict"});
    if (coin()) out += ", shared_addresses: " + pick({"allow", "deny", "require_token"});
    if (coin()) out += ", over_limit: " + pick({"replace", "refuse"});
    if (coin()) out += ", warn_before_end: " + pick({"1h", "14d", "30d"});
    if (coin()) out += ", longest_ttl: " + pick({"none", "100d", "12h"});
    if (coin()) out += ", longest_static: " + pick({"none", "365d"});
    return out + "}\n";
  }

  std::string window() {
    return fmt::format("{{days: {}, from: {}, to: {}, tz: {}}}",
                       pick({"mon", "mon-fri", "[mon, wed-fri]", "sat-mon", "\"tue,thu\""}),
                       clock(0), clock(1), pick({"UTC", "Europe/Berlin", "America/New_York"}));
  }

  std::string rule() {
    std::string out =
        pick({"who: [dba]", "users: [a@sso]", "who: [leads, dba], users: [\"b c@x\"]"});
    if (coin()) out += ", claims: {" + pick({"a: [b]", "\"1\": [\"2\", c], d: [\"\\\"e\"]"}) + "}";
    if (coin()) out += ", acr: [" + pick({"gold", "\"0\", silver"}) + "]";
    if (coin()) out += ", mfa_max_age: " + pick({"90s", "15m"});
    if (coin())
      out += ", schedule: " + (coin() ? window() : "[" + window() + ", " + window() + "]");
    if (coin()) out += fmt::format(", max_users_per_ip: {}", 1 + random_() % 9);
    if (coin()) out += fmt::format(", max_ips_per_user: {}", 1 + random_() % 9);
    bool wide = coin();
    if (wide) out += fmt::format(", v6_prefix: {}", 48 + random_() % 81);
    if (coin())
      out += ", approval: {from: [leads], ttl: 4h" +
             pick({"", ", count: 3", ", reason: required", ", reason: optional"}) + "}";
    if (!wide && coin()) out += pick({", connections: 1", ", until: disconnect"});
    return out + ", to: [" + pick({"s", "\"*\""}) + "], ttl: " + pick({"60m", "12h", "45s"});
  }

  std::mt19937 random_;
};

TEST(PolicyLanguage, WhateverIsWrittenPrintsTheSame) {
  RandomRules rules(5);
  for (int round = 0; round < 300; ++round) {
    auto text = rules.text();
    auto policy = load(text);
    // The one mistake that these texts can make.
    if (text.find("from: \"") != std::string::npos && !policy.policy) {
      ASSERT_EQ(policy.diagnostics[0].id, "policy.empty-window") << to_text(policy.diagnostics);
      continue;
    }
    ASSERT_TRUE(policy.policy) << text << to_text(policy.diagnostics);
    expect_printed_the_same(*policy.policy);
  }
}

TEST(PolicyLanguage, PresetsSetEveryKnob) {
  auto with = [](std::string_view behaviour) {
    return sound("knock: 1\nbehaviour: {" + std::string(behaviour) + "}\n").behaviour;
  };
  EXPECT_EQ(with(""), Behaviour{});
  EXPECT_EQ(with("preset: standard"), behaviour_of(Preset::standard));
  EXPECT_EQ(with("preset: standard"), Behaviour{});
  auto strict = behaviour_of(Preset::strict);
  EXPECT_EQ(with("preset: strict"), strict);
  auto standard = Behaviour{};
  EXPECT_NE(strict.shared_addresses, standard.shared_addresses);
  EXPECT_NE(strict.over_limit, standard.over_limit);
  EXPECT_GT(strict.warn_before_end, standard.warn_before_end);
  EXPECT_TRUE(strict.longest_ttl && !standard.longest_ttl);
  EXPECT_TRUE(strict.longest_static && !standard.longest_static);
  // Written in any order, a knob overrides its preset.
  EXPECT_EQ(with("over_limit: replace, preset: strict").over_limit, OverLimit::replace);
  EXPECT_EQ(with("longest_ttl: none, preset: strict").longest_ttl, std::nullopt);
}

TEST(PolicyLanguage, ASurfaceThatIsThereIsNotAskedFor) {
  auto context = test::three_zones();
  context.surfaces_known = true;
  for (std::size_t i = 0; i < kSurfaces; ++i) context.surfaces.insert(Surface(i));
  EXPECT_TRUE(load(kLanguage, context).policy);
  for (std::size_t i = 0; i < kSurfaces; ++i) {
    auto less = context;
    less.surfaces.erase(Surface(i));
    auto result = load(kLanguage, less);
    EXPECT_FALSE(result.policy) << to_string(Surface(i));
    ASSERT_FALSE(result.diagnostics.empty());
    for (const auto& diagnostic : result.diagnostics) EXPECT_EQ(diagnostic.id, "policy.no-surface");
  }
}

PolicyContext at(std::string_view time) {
  PolicyContext context;
  context.now = parse_instant(time).value();
  return context;
}

std::string static_until(std::string_view until, std::string_view behaviour = "{}") {
  return fmt::format(
      "knock: 1\nbehaviour: {}\nservices: {{s: {{ports: [tcp/1], targets: [t]}}}}\n"
      "targets: {{t: {{type: nftables}}}}\n"
      "static: {{a: {{cidr: [192.0.2.1], to: [s], owner: o, reason: r, until: {}}}}}\n",
      behaviour, until);
}

TEST(PolicyLanguage, StaticEntriesAreWarnedOfAndThenRefused) {
  auto text = static_until("2027-01-31");
  struct Row {
    std::string now, id;
  };
  for (const auto& row : std::vector<Row>{{"2027-01-16T23:59:59Z", ""},
                                          {"2027-01-17T00:00:00Z", "policy.static-ending"},
                                          {"2027-01-30T23:59:59Z", "policy.static-ending"},
                                          {"2027-01-31T00:00:00Z", "policy.static-ended"}}) {
    SCOPED_TRACE(row.now);
    auto result = load(text, at(row.now));
    EXPECT_EQ(result.policy.has_value(), row.id != "policy.static-ended");
    EXPECT_EQ(result.diagnostics.empty() ? "" : result.diagnostics[0].id, row.id);
  }
  EXPECT_TRUE(load(text, PolicyContext{}).diagnostics.empty())
      << "time alone must not unload a policy";
  auto early =
      load(static_until("2027-01-31", "{warn_before_end: 30d}"), at("2027-01-01T00:00:00Z"));
  ASSERT_EQ(early.diagnostics.size(), 1u);
  EXPECT_EQ(early.diagnostics[0].severity, Diagnostic::Severity::warning);
}

TEST(PolicyLanguage, StaticEntriesEndInTime) {
  auto text = static_until("2027-01-31", "{longest_static: 30d, warn_before_end: 1d}");
  EXPECT_TRUE(load(text, at("2027-01-01T00:00:00Z")).diagnostics.empty());
  EXPECT_FALSE(load(text, at("2026-12-31T23:59:59Z")).policy);
  EXPECT_TRUE(load(text, PolicyContext{}).policy);
}

TEST(PolicyLanguage, ATtlMayBeAsLongAsAllowed) {
  auto text = [](std::string_view ttl) {
    return fmt::format(
        "knock: 1\nbehaviour: {{preset: strict}}\ngroups: {{g: {{idp: g}}}}\n"
        "services: {{s: {{ports: [tcp/1], targets: [t]}}}}\ntargets: {{t: {{type: nftables}}}}\n"
        "allow: {{a: {{who: [g], to: [s], ttl: {}}}}}\n",
        ttl);
  };
  EXPECT_TRUE(load(text("12h")).policy);
  EXPECT_FALSE(load(text("43201s")).policy);
}

TEST(PolicyLanguage, WhatOnlyATestNamesIsUnused) {
  auto result = load(
      "knock: 1\ngroups: {g: {idp: g}}\nservices: {s: {ports: [tcp/1], targets: [t]}}\n"
      "targets: {t: {type: nftables}}\ntests: [{never: {groups: [g], can: [s]}}]\n");
  ASSERT_TRUE(result.policy);
  ASSERT_EQ(result.diagnostics.size(), 2u) << to_text(result.diagnostics);
  EXPECT_EQ(result.diagnostics[0].id, "policy.unused-group");
  EXPECT_EQ(result.diagnostics[1].id, "policy.unused-service");
}

/// Holes of one address each in 192.0.2.0/24, and the upper half.
std::string cut_into(int pieces) {
  std::string holes;
  for (int i = 0; i < pieces; ++i) holes += fmt::format("192.0.2.{}, ", 2 * i);
  return "knock: 1\nnetworks: {holes: [" + holes + (pieces > 64 ? "" : "192.0.2.128/25") +
         "], other: [203.0.113.0/24]}\n"
         "groups: {g: {idp: g}}\n"
         "services: {s: {ports: [tcp/1], targets: [t]}, u: {ports: [tcp/2], targets: [t]}}\n"
         "targets: {t: {type: nftables}}\n"
         "deny:\n"
         "  a: {from: {in: [holes]}, to: [s]}\n"
         "  b: {from: {in: [other]}, to: [s]}\n"
         "  c: {from: {in: [holes]}, to: [u], who: [g]}\n"
         "static: {a: {cidr: [192.0.2.0/24, 203.0.113.0/24], to: [s, u], owner: o, reason: r, "
         "until: 2027-01-31}}\n";
}

TEST(PolicyLanguage, AFloodOfWarningsHidesNoError) {
  std::string groups = "knock: 1\ngroups:\n";
  for (int i = 0; i < 1500; ++i) groups += fmt::format("  u{}: {{idp: u}}\n", i);
  auto result =
      load_policy({{"a.yaml", groups, ""}, {"b.yaml", cut_into(66), ""}}, PolicyRevision("r"), {});
  EXPECT_FALSE(result.policy);
  EXPECT_EQ(result.diagnostics.front().id, "policy.too-many-pieces");
  EXPECT_LE(result.diagnostics.size(), 1002u);
}

TEST(PolicyLanguage, SixtyFourPiecesAreEnforced) {
  auto result = load(cut_into(64));
  EXPECT_TRUE(result.policy) << to_text(result.diagnostics);
}

TEST(PolicyLanguage, ZonesNeedASourceUnlessItIsUtc) {
  auto text = [](std::string_view zone) {
    return fmt::format(
        "knock: 1\ngroups: {{g: {{idp: g}}}}\nservices: {{s: {{ports: [tcp/1], targets: [t]}}}}\n"
        "targets: {{t: {{type: nftables}}}}\nallow: {{a: {{who: [g], to: [s], ttl: 1h, schedule: "
        "{{days: mon, from: \"08:00\", to: \"09:00\", tz: {}}}}}}}\n",
        zone);
  };
  EXPECT_TRUE(load(text("UTC"), PolicyContext{}).policy);
  EXPECT_FALSE(load(text("Europe/Berlin"), PolicyContext{}).policy);
  auto typo = load(text("Europe/Berln"));
  ASSERT_EQ(typo.diagnostics.size(), 1u);
  EXPECT_EQ(typo.diagnostics[0].suggestion, "did you mean `Europe/Berlin`?");
}

TEST(PolicyLanguage, ASectionOfOneFileNamesBothPlaces) {
  auto result = load_policy(
      {{"b.yaml", "knock: 1\nbehaviour: {}\n", ""}, {"a.yaml", "knock: 1\n\nbehaviour: {}\n", ""}},
      PolicyRevision("r"), {});
  ASSERT_EQ(result.diagnostics.size(), 1u);
  EXPECT_EQ(result.diagnostics[0].where.to_string(), "b.yaml:2:1");
  EXPECT_NE(result.diagnostics[0].summary.find("a.yaml:3:1"), std::string::npos);
}

TEST(PolicyLanguage, NoWordOfNftIsATable) {
  for (auto word : kNftWords) {
    auto result =
        load(fmt::format("knock: 1\ntargets: {{t: {{type: nftables, table: {}}}}}\n", word));
    ASSERT_EQ(result.diagnostics.size(), 1u) << word;
    EXPECT_EQ(result.diagnostics[0].id, "policy.reserved-table") << word;
  }
  EXPECT_TRUE(load("knock: 1\ntargets: {t: {type: nftables, table: knock-meta}}\n").policy);
}

TEST(PolicyLanguage, SuggestionsNameWhatWasMeant) {
  struct Hint {
    std::string text, suggestion;
  };
  for (const auto& hint : std::vector<Hint>{
           {"behaviour: {preset: strikt}", "did you mean `strict`?"},
           {"behaviour: {shared_addresses: deni}", "did you mean `deny`?"},
           {"behaviour: {preset: zzzzzzzz}", "write `standard` or `strict`"},
           {"brake_glass: {}", "did you mean `break_glass`?"},
           {"behavior: {}", "did you mean `behaviour`?"},
           {"targets: {t: {type: nftables, table: meta}}",
            "write another name, for example `knock-meta`"},
       }) {
    auto result = load("knock: 1\n" + hint.text + "\n");
    ASSERT_EQ(result.diagnostics.size(), 1u) << to_text(result.diagnostics);
    EXPECT_EQ(result.diagnostics[0].suggestion, hint.suggestion);
  }
}

}  // namespace
}  // namespace knock
