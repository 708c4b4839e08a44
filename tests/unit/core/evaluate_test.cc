// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/evaluate.h"

#include <fmt/format.h>

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

/// One line for each entry: "edge ssh 192.0.2.10/32 +3600 ana/staff", seconds from now.
std::string text_of(const std::vector<Allowlist>& lists) {
  std::string out;
  for (const Allowlist& list : lists)
    for (const ServiceEntries& service : list.services)
      for (const Entry& entry : service.entries) {
        out += fmt::format("{} {} {} +{}", list.target.value, service.service.value,
                           entry.prefix.to_string(), (entry.until - kNow).ms / 1000);
        if (entry.lasts == Lasts::first_connection) out += " once";
        if (entry.lasts == Lasts::disconnect)
          out += fmt::format(" come+{}", (entry.come_by - kNow).ms / 1000);
        for (const Attribution& cause : entry.causes)
          out += fmt::format(" {}{}/{}", cause.lasts == Lasts::first_connection ? "ticket:" : "",
                             cause.who, cause.rule.value);
        out += "\n";
      }
  return out;
}

const std::string kBase = R"(
groups: {staff: {idp: staff}, admins: {idp: "cn=admins"}}
networks:
  office: [198.51.100.0/24, 2001:db8:1::/48]
  blocked: [192.0.2.0/25]
  half: [198.51.100.128/25]
services:
  ssh: {ports: [tcp/22], targets: [edge]}
  web: {ports: [tcp/80, tcp/443], targets: [edge]}
targets:
  edge: {type: nftables}
)";
const std::string kRule = "allow: {staff: {who: [staff], to: [ssh], ttl: 1h}}\n";

struct Row {
  const char* name;
  std::string yaml;
  std::vector<Session> sessions;
  std::string want;
};

std::vector<Row> rows() {
  std::string two =
      "allow: {long: {who: [staff], to: [ssh], ttl: 8h}, short: {who: [staff], to: "
      "[ssh], ttl: 1h}}\n";
  std::string in_office =
      "allow: {staff: {who: [staff], from: {in: [office]}, to: [ssh], ttl: 1h}}\n";
  std::string not_in =
      "allow: {staff: {who: [staff], from: {in: [office], not_in: [half]}, to: [ssh], ttl: 1h}}\n";
  std::string probes =
      "static: {probes: {cidr: [192.0.2.0/24], to: [ssh], owner: sre, reason: "
      "probes, until: \"2026-11-21T11:00:00Z\"}}\n";
  Duration hour = Duration::hours(1);
  auto allow = [](const std::string& rules) { return "allow: {" + rules + "}\n"; };
  std::string once = "once: {who: [staff], to: [ssh], ttl: 1h, connections: 1}";
  std::string stays = "stays: {who: [staff], to: [ssh], ttl: 20m, until: disconnect}";
  std::string open = "open: {who: [staff], to: [ssh], ttl: 15m}";
  std::string boss = "boss: {who: [admins], to: [ssh], ttl: 30m, connections: 1}";
  std::string bosses_stay = "boss: {who: [admins], to: [ssh], ttl: 30m, until: disconnect}";
  Session admin = SessionOf{.who = "bob", .groups = {"cn=admins"}, .left = Duration::hours(2)};
  return {
      {"one connection, as long as ttl says",
       allow(once),
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +3000 once ticket:ana/once\n"},
      {"what stays: ttl is the time to come, the session's end the end",
       allow(stays),
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +28800 come+600 ana/stays\n"},
      {"who comes no more may still stay",
       allow(stays),
       {SessionOf{.age = Duration::minutes(21)}},
       "edge ssh 192.0.2.10/32 +28800 come+-60 ana/stays\n"},
      {"until a deadline opens more than one connection",
       allow(once + ", " + open),
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +300 ana/open\n"},
      {"and until disconnect",
       allow(stays + ", " + open),
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +300 ana/open\n"},
      {"until disconnect opens more than one connection",
       allow(once + ", " + stays),
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +28800 come+600 ana/stays\n"},
      {"but not when it takes nobody any more",
       allow(once + ", " + stays),
       {SessionOf{.age = Duration::minutes(21)}},
       "edge ssh 192.0.2.10/32 +2340 once ticket:ana/once\n"},
      {"two people at an address: the way that opens most, with its own end",
       allow(open + ", " + boss),
       {SessionOf{}, admin},
       "edge ssh 192.0.2.10/32 +300 ana/open bob/boss\n"},
      {"two people with a ticket each",
       allow(once + ", " + boss),
       {SessionOf{}, admin},
       "edge ssh 192.0.2.10/32 +3000 once ticket:ana/once ticket:bob/boss\n"},
      {"two who may stay: the longer stay with its own time to come, never the best of both",
       allow(stays + ", " + bosses_stay),
       {SessionOf{}, admin},
       "edge ssh 192.0.2.10/32 +28800 come+600 ana/stays bob/boss\n"},
      {"and of one who takes nobody any more nothing is left",
       allow(stays + ", " + bosses_stay),
       {SessionOf{.age = Duration::minutes(21)}, admin},
       "edge ssh 192.0.2.10/32 +7200 come+1200 ana/stays bob/boss\n"},
      {"nobody signed in", kRule, {}, ""},
      {"the rule's ttl counts from the session's start",
       kRule,
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +3000 ana/staff\n"},
      {"the session's end comes first",
       kRule,
       {SessionOf{.left = Duration::minutes(5)}},
       "edge ssh 192.0.2.10/32 +300 ana/staff\n"},
      {"deadlines are whole seconds, rounded down",
       kRule,
       {SessionOf{.age = Duration{600'001}},
        SessionOf{.who = "bob", .from = "192.0.2.11", .left = Duration{5'999}}},
       "edge ssh 192.0.2.10/32 +2999 ana/staff\nedge ssh 192.0.2.11/32 +5 bob/staff\n"},
      {"what has less than a second left is nothing",
       kRule,
       {SessionOf{.left = Duration{999}}},
       ""},
      {"the rule's time has passed", kRule, {SessionOf{.age = hour}}, ""},
      {"the session is over", kRule, {SessionOf{.left = Duration{}}}, ""},
      {"the session was ended", kRule, {SessionOf{.ended = EndCause::signed_out}}, ""},
      {"another group", kRule, {SessionOf{.groups = {"cn=admins"}}}, ""},
      {"the group is the source's word, not ours",
       "allow: {a: {who: [admins], to: [ssh], ttl: 1h}}\n",
       {SessionOf{.groups = {"admins"}},
        SessionOf{.who = "bob", .from = "192.0.2.11", .groups = {"cn=admins"}}},
       "edge ssh 192.0.2.11/32 +3000 bob/a\n"},
      {"an operator's grant names our groups",
       "allow: {a: {who: [admins], to: [ssh], ttl: 1h}}\n",
       {SessionOf{.groups = {"admins"}, .source = "grant", .proof = Proof::grant},
        SessionOf{.who = "bob",
                  .from = "192.0.2.11",
                  .groups = {"cn=admins"},
                  .source = "grant",
                  .proof = Proof::grant}},
       "edge ssh 192.0.2.10/32 +3000 ana/a\n"},
      {"of two rules the later deadline",
       two,
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +28200 ana/long\n"},
      {"two people at one address share the entry",
       kRule,
       {SessionOf{}, SessionOf{.who = "bob", .age = Duration::minutes(1)}},
       "edge ssh 192.0.2.10/32 +3540 ana/staff bob/staff\n"},
      {"one person's two sessions at one address",
       kRule,
       {SessionOf{}, SessionOf{}},
       "edge ssh 192.0.2.10/32 +3000 ana/staff\n"},
      {"only from a network",
       in_office,
       {SessionOf{}, SessionOf{.who = "bob", .from = "198.51.100.7"},
        SessionOf{.who = "eve", .from = "2001:db8:1::9"},
        SessionOf{.who = "fay", .from = "2001:db8:2::9"}},
       "edge ssh 198.51.100.7/32 +3000 bob/staff\nedge ssh 2001:db8:1::9/128 +3000 eve/staff\n"},
      {"not from a part of it",
       not_in,
       {SessionOf{.who = "bob", .from = "198.51.100.7"},
        SessionOf{.who = "eve", .from = "198.51.100.200"}},
       "edge ssh 198.51.100.7/32 +3000 bob/staff\n"},
      {"deny by network wins",
       kRule + "deny: {d: {from: {in: [blocked]}, to: [\"*\"]}}\n",
       {SessionOf{}, SessionOf{.who = "bob", .from = "192.0.2.130"}},
       "edge ssh 192.0.2.130/32 +3000 bob/staff\n"},
      {"deny by group wins",
       kRule + "deny: {d: {who: [admins], to: [ssh]}}\n",
       {SessionOf{.groups = {"cn=admins", "staff"}},
        SessionOf{.who = "bob", .from = "192.0.2.130"}},
       "edge ssh 192.0.2.130/32 +3000 bob/staff\n"},
      {"deny by group and network needs both",
       kRule + "deny: {d: {who: [admins], from: {in: [blocked]}, to: [ssh]}}\n",
       {SessionOf{.groups = {"cn=admins", "staff"}},
        SessionOf{.who = "bob", .from = "192.0.2.130", .groups = {"cn=admins", "staff"}},
        SessionOf{.who = "eve", .from = "192.0.2.12"}},
       "edge ssh 192.0.2.12/32 +3000 eve/staff\nedge ssh 192.0.2.130/32 +3000 bob/staff\n"},
      {"deny of one service leaves the other",
       "allow: {staff: {who: [staff], to: [\"*\"], ttl: 1h}}\n"
       "deny: {d: {from: {in: [blocked]}, to: [ssh]}}\n",
       {SessionOf{}},
       "edge web 192.0.2.10/32 +3000 ana/staff\n"},
      {"a static entry", probes, {}, "edge ssh 192.0.2.0/24 +3600 sre/probes\n"},
      {"deny is cut out of a static entry exactly",
       probes + "deny: {d: {from: {in: [blocked]}, to: [ssh]}}\n",
       {},
       "edge ssh 192.0.2.128/25 +3600 sre/probes\n"},
      {"a part of the denied network may stay",
       "static: {probes: {cidr: [198.51.100.0/24], to: [ssh], owner: sre, reason: probes, until: "
       "\"2026-11-21T11:00:00Z\"}}\n"
       "deny: {d: {from: {in: [office], not_in: [half]}, to: [ssh]}}\n",
       {},
       "edge ssh 198.51.100.128/25 +3600 sre/probes\n"},
      {"deny by group cuts nothing out of a static entry",
       probes + "deny: {d: {who: [staff], from: {in: [blocked]}, to: [ssh]}}\n",
       {},
       "edge ssh 192.0.2.0/24 +3600 sre/probes\n"},
      {"a static entry that has run out",
       "static: {probes: {cidr: [192.0.2.0/24], to: [ssh], owner: sre, reason: probes, until: "
       "\"2026-11-21T10:00:00Z\"}}\n",
       {},
       ""},
      {"an address and a network around it are two entries",
       kRule + probes,
       {SessionOf{}},
       "edge ssh 192.0.2.0/24 +3600 sre/probes\nedge ssh 192.0.2.10/32 +3000 ana/staff\n"},
      {"the same address by session and by rule is one entry",
       kRule + "static: {own: {cidr: [192.0.2.10/32], to: [ssh], owner: sre, reason: r, until: "
               "\"2026-11-21T10:30:00Z\"}}\n",
       {SessionOf{}},
       "edge ssh 192.0.2.10/32 +3000 ana/staff sre/own\n"},
  };
}

TEST(Evaluate, Table) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    Policy policy = policy_of(kBase + row.yaml);
    EXPECT_EQ(text_of(evaluate({policy, row.sessions, kNow, {}})), row.want);
  }
}

TEST(Evaluate, SourcesOfAGroup) {
  Policy policy = policy_of(R"(
groups: {dba: {idp: dba, from: [corp, partner]}}
services: {db: {ports: [tcp/5432], targets: [edge]}}
targets: {edge: {type: nftables}}
allow: {dba: {who: [dba], to: [db], ttl: 1h}}
)");
  auto opens = [&](std::string source, Proof proof) {
    Session session = SessionOf{.groups = {"dba"}, .source = source, .proof = proof};
    return !evaluate({policy, std::vector{session}, kNow, {}})[0].services[0].entries.empty();
  };
  EXPECT_TRUE(opens("corp", Proof::oidc));
  EXPECT_TRUE(opens("partner", Proof::oidc));
  EXPECT_FALSE(opens("local", Proof::local)) << "a local account that calls itself dba";
  EXPECT_TRUE(opens("grant", Proof::grant)) << "an operator's word counts everywhere";
}

const std::string kTwoTargets = R"(
groups: {staff: {idp: staff}}
services:
  ssh: {ports: [tcp/22], targets: [edge, host]}
  web: {ports: [tcp/443, tcp/80], targets: [host]}
targets:
  edge: {type: nftables, table: edge, max_ttl: 20m}
  host: {type: nftables, table: host, protect: false}
  idle: {type: nftables, table: idle}
allow: {staff: {who: [staff], to: ["*"], ttl: 1h}}
static: {probes: {cidr: [203.0.113.0/28], to: [ssh], owner: sre, reason: r, until: 2026-12-01}}
)";

TEST(Evaluate, NobodyStaysBeyondTheTargetsLongestTime) {
  auto text = kTwoTargets;
  auto at = text.find("ttl: 1h");
  text.replace(at, 7, "ttl: 15m, until: disconnect");
  Policy policy = policy_of(text);
  policy.statics.clear();
  EXPECT_EQ(text_of(evaluate({policy, std::vector<Session>{SessionOf{}}, kNow, {}})),
            "edge ssh 192.0.2.10/32 +600 come+300 ana/staff\n"
            "host ssh 192.0.2.10/32 +28800 come+300 ana/staff\n"
            "host web 192.0.2.10/32 +28800 come+300 ana/staff\n");
}

TEST(Evaluate, TargetsDiffer) {
  Policy policy = policy_of(kTwoTargets);
  auto keep = prefixes({"203.0.113.9", "198.51.100.0/28"});
  auto lists = evaluate({policy, std::vector<Session>{SessionOf{}}, kNow, keep});
  EXPECT_EQ(text_of(lists),
            "edge ssh 192.0.2.10/32 +600 ana/staff\n"       // its max_ttl, from the session's start
            "edge ssh 203.0.113.0/28 +828000 sre/probes\n"  // which static entries have not
            "host ssh 192.0.2.10/32 +3000 ana/staff\n"
            "host ssh 203.0.113.0/28 +828000 sre/probes\n"
            "host web 192.0.2.10/32 +3000 ana/staff\n");
  ASSERT_EQ(lists.size(), 3u);
  EXPECT_EQ(lists[0].protect, ports("tcp/22"));
  EXPECT_EQ(lists[1].protect, ports("")) << "protect: false";
  EXPECT_EQ(lists[1].services[1].ports, ports("tcp/80 tcp/443"));
  EXPECT_TRUE(lists[2].services.empty() && lists[2].protect.empty());
  for (const Allowlist& list : lists)
    EXPECT_EQ(list.keep, prefixes({"198.51.100.0/28", "203.0.113.9"})) << "sorted";
}

TEST(Evaluate, AServiceWithoutEntriesIsListed) {
  auto lists = evaluate({policy_of(kBase), {}, kNow, {}});
  ASSERT_EQ(lists.size(), 1u);
  ASSERT_EQ(lists[0].services.size(), 2u);
  EXPECT_EQ(lists[0].services[0].service.value, "ssh");
  EXPECT_TRUE(lists[0].services[0].entries.empty());
  EXPECT_EQ(lists[0].protect, ports("tcp/22 tcp/80 tcp/443"));
}

TEST(Evaluate, HostGivesTheRowsOfThatHost) {
  Policy policy = policy_of(kTwoTargets +
                            "networks: {n: [203.0.113.0/29]}\n"
                            "deny: {d: {from: {in: [n]}, to: [web]}}\n");
  std::vector<Session> sessions{SessionOf{}, SessionOf{.who = "bob"},
                                SessionOf{.who = "eve", .from = "2001:db8::1"}};
  auto rows = text_of(evaluate_host({policy, sessions, kNow, {}}, address("192.0.2.10")));
  EXPECT_EQ(rows,
            "edge ssh 192.0.2.10/32 +600 ana/staff bob/staff\n"
            "host ssh 192.0.2.10/32 +3000 ana/staff bob/staff\n"
            "host web 192.0.2.10/32 +3000 ana/staff bob/staff\n");
  // The network around it is another row.
  EXPECT_EQ(text_of(evaluate_host({policy, sessions, kNow, {}}, address("203.0.113.1"))), "");
  auto lists = evaluate_host({policy, sessions, kNow, {}}, address("203.0.113.1"));
  EXPECT_EQ(lists.size(), 3u) << "every target is listed";
}

TEST(Evaluate, ReachNamesTheRuleThatLastsLongest) {
  Policy policy = policy_of(kBase +
                            "allow:\n  b: {who: [staff], to: [ssh, web], ttl: 2h}\n"
                            "  a: {who: [staff], to: [ssh], ttl: 2h}\n"
                            "  c: {who: [staff], to: [web], ttl: 1h}\n");
  auto reaches = reach_of(policy, SessionOf{}, kNow);
  ASSERT_EQ(reaches.size(), 2u);
  EXPECT_EQ(reaches[0].service.value, "ssh");
  EXPECT_EQ(reaches[0].rule.value, "a") << "of equals the first name";
  EXPECT_EQ(reaches[1].rule.value, "b");
  EXPECT_EQ(reaches[1].until, kNow + Duration::minutes(110));
  EXPECT_TRUE(reach_of(policy, SessionOf{.ended = EndCause::revoked}, kNow).empty());
}

TEST(Evaluate, DeniedNetworksAreWhatNobodyPasses) {
  Policy policy = policy_of(kBase +
                            "deny:\n"
                            "  a: {from: {in: [office], not_in: [half]}, to: [ssh]}\n"
                            "  b: {who: [staff], from: {in: [blocked]}, to: [ssh]}\n"
                            "  c: {from: {in: [blocked]}, to: [web]}\n");
  auto holes = denied_networks(policy, ServiceName("ssh"));
  std::sort(holes.begin(), holes.end());
  EXPECT_EQ(holes, prefixes({"198.51.100.0/25", "2001:db8:1::/48"}));
  EXPECT_EQ(denied_networks(policy, ServiceName("web")), prefixes({"192.0.2.0/25"}));
  EXPECT_TRUE(is_denied(policy, SessionOf{}, ServiceName("ssh")));
  EXPECT_FALSE(is_denied(policy, SessionOf{.from = "192.0.2.200"}, ServiceName("ssh")));
}

}  // namespace
}  // namespace knock::test
