// SPDX-License-Identifier: Apache-2.0
// The published JSON Schemas are for editors. They must take what the loaders take, and notice the
// shape of a mistake where a schema can: each row below is refused by both.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <charconv>
#include <filesystem>
#include <regex>
#include <set>

#include "schemas/config/config.h"
#include "schemas/policy/load.h"
#include "schemas/policy/yaml_document.h"
#include "tests/support/requirement.h"
#include "tests/unit/schemas/schema_problems.h"

namespace knock {
namespace {

namespace json = boost::json;

/// As an editor sees it: YAML 1.2's core schema.
json::value to_json(const YamlNode& node) {
  if (node.is_sequence()) {
    json::array out;
    for (const auto& child : node.children) out.push_back(to_json(child));
    return out;
  }
  if (node.is_map()) {
    json::object out;
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2)
      out[node.children[i].text] = to_json(node.children[i + 1]);
    return out;
  }
  if (node.plain && (node.text == "true" || node.text == "false")) return node.text == "true";
  if (node.plain && (node.text.empty() || node.text == "null" || node.text == "~")) return nullptr;
  std::int64_t number = 0;
  const char* last = node.text.data() + node.text.size();
  auto [end, problem] = std::from_chars(node.text.data(), last, number);
  if (node.plain && problem == std::errc() && end == last) return number;
  return json::string(node.text);
}

class Schema {
 public:
  explicit Schema(const std::string& path)
      : text_(json::parse(test::read_file(test::source_dir() + path))) {
    valijson::adapters::BoostJsonAdapter adapter(text_);
    valijson::SchemaParser().populateSchema(adapter, schema_);
  }

  /// "" when the document fits.
  std::string problems(std::string_view yaml) {
    Findings findings(CheckArea::policy);
    auto tree = parse_yaml(yaml, findings);
    if (!tree) return "not YAML";
    return test::schema_problems(schema_, to_json(*tree));
  }

 private:
  json::value text_;
  valijson::Schema schema_;
};

Schema& policy_schema() {
  static Schema schema("/schemas/policy/policy.v1.schema.json");
  return schema;
}
Schema& config_schema() {
  static Schema schema("/schemas/config/config.v1.schema.json");
  return schema;
}

bool loads(const std::string& text) {
  return load_policy({{"p.yaml", text, ""}}, PolicyRevision("r"), {}).policy.has_value();
}

constexpr std::string_view kPolicy =
    "knock: 1\n"
    "x-note: [1, {a: b}]\n"
    "groups: {dba: {idp: dba, from: [sso], x-a: 1}, no: {idp: \"yes\"}}\n"
    "networks: {office: [198.51.100.0/24, \"::1\", {cidr: 10.0.0.0/8, any: true}]}\n"
    "services: {ssh: {ports: [tcp/22, udp/1-65535], targets: [edge]}}\n"
    "targets: {edge: {type: nftables, table: k-1, netns: /proc/1/ns/net, protect: false, hooks: "
    "[forward], "
    "max_ttl: 8h, capacity: {entries: 10, reserve: 2}, ownership: observe, on_remove: orphan, "
    "heal: on}}\n"
    "allow: {a: {who: [dba, no], to: [\"*\"], ttl: 1h, from: {not_in: [office]}}}\n"
    "static: {s: {cidr: [{cidr: 10.0.0.0/8, any: true}], to: [ssh], owner: o, reason: r, until: "
    "2027-01-31}}\n"
    "deny: {d: {from: {in: [office]}, to: [ssh]}, e: {who: [dba], to: [\"*\"]}}\n";

constexpr std::string_view kLanguage =
    "knock: 1\n"
    "behaviour: {preset: strict, shared_addresses: require_token, over_limit: replace, "
    "warn_before_end: 7d, longest_ttl: none, longest_static: 90d}\n"
    "groups: {dba: {idp: dba}}\n"
    "services: {ssh: {ports: [tcp/22], path: [edge, host]}, web: {ports: [tcp/443], targets: "
    "[proxy], path: [host, edge]}}\n"
    "targets: {edge: {type: nftables}, host: {type: nftables, table: k2}, proxy: {type: nftables, "
    "table: k3}}\n"
    "allow:\n"
    "  a: {users: [bob@sso, \"eve@example.org@local\"], claims: {department: [eng], \"1\": "
    "[\"2\"]}, acr: [gold], mfa_max_age: 15m, schedule: {days: [mon, wed-fri], from: \"07:00\", "
    "to: "
    "\"24:00\", tz: UTC}, to: [ssh], ttl: 1h, connections: 1}\n"
    "  b: {who: [dba], schedule: [{days: mon-fri, from: \"00:00\", to: \"00:01\", tz: UTC}], "
    "max_users_per_ip: 2, max_ips_per_user: 3, v6_prefix: 64, approval: {from: [dba], ttl: 4h, "
    "count: 2, reason: required}, to: [web], "
    "ttl: 1h}\n"
    "  c: {who: [dba], to: [web], ttl: 1h, until: disconnect}\n"
    "break_glass: {f: {to: [\"*\"], ttl: 30m, keys: [a, b], quorum: 2, notify: [pager]}}\n"
    "tests: [{as: {user: bob, groups: [dba], ip: 192.0.2.1, claims: {d: [e]}, acr: g, mfa_age: 5m, "
    "approved: true}, can: [ssh], cannot: [web], at: 2027-01-31, name: x}, {as: {}, cannot: "
    "[\"*\"]}, {never: {ip: 192.0.2.0/24, can: [\"*\"]}}, {always: {groups: [dba], can: [ssh]}}]\n";

TEST(PolicySchema, TakesWhatTheLoaderTakes) {
  EXPECT_TRUE(loads(std::string(kPolicy)));
  EXPECT_EQ(policy_schema().problems(kPolicy), "");
  EXPECT_TRUE(loads(std::string(kLanguage)));
  EXPECT_EQ(policy_schema().problems(kLanguage), "");
  std::size_t files = 0;
  for (const auto& item :
       std::filesystem::recursive_directory_iterator(test::source_dir() + "/examples/policies")) {
    if (item.path().extension() != ".yaml") continue;
    EXPECT_EQ(policy_schema().problems(test::read_file(item.path().string())), "") << item.path();
    ++files;
  }
  EXPECT_GE(files, 30u);
}

/// Every name of a key, wherever in the schema it stands.
void collect_keys(const json::value& schema, std::set<std::string>& out) {
  if (const auto* list = schema.if_array())
    for (const auto& item : *list) collect_keys(item, out);
  const auto* object = schema.if_object();
  if (object == nullptr) return;
  for (const auto& member : *object) {
    if (member.key() == "properties" && member.value().is_object())
      for (const auto& property : member.value().as_object()) out.insert(property.key());
    collect_keys(member.value(), out);
  }
}

/// The tables of the page, not its prose: a key is explained where it stands in code in the first
/// cell of a row, alone or inside of another ("removals: {percent, entries}").
bool is_explained(const std::string& page, const std::string& key) {
  std::regex row("(^|\\n)(\\| `[^|]*\\b" + key + "\\b[^|]*` \\||#+ " + key + "(\\n|$))");
  return std::regex_search(page, row);
}

TEST(PolicySchema, EveryKeyIsExplainedOnThePage) {
  auto page = test::read_file(test::source_dir() + "/docs/policy.md");
  auto schema =
      json::parse(test::read_file(test::source_dir() + "/schemas/policy/policy.v1.schema.json"));
  std::set<std::string> keys;
  collect_keys(schema, keys);
  EXPECT_GE(keys.size(), 70u);
  for (const std::string& key : keys)
    EXPECT_TRUE(is_explained(page, key)) << "`" << key << "` has no row in docs/policy.md";
}

TEST(PolicySchema, TakesWhatIsPrinted) {
  for (auto text : {kPolicy, kLanguage}) {
    auto load = load_policy({{"p.yaml", std::string(text), ""}}, PolicyRevision("r"), {});
    ASSERT_TRUE(load.policy) << to_text(load.diagnostics);
    EXPECT_EQ(policy_schema().problems(to_yaml(*load.policy)), "");
  }
}

TEST(PolicySchema, RefusesTheShapesThatTheLoaderRefuses) {
  for (std::string body : {
           "grups: {}",
           "groups: []",
           "groups: {DBA: {idp: a}}",
           "groups: {x-a: {idp: a}}",
           "groups: {a: {}}",
           "groups: {a: {ipd: a}}",
           "groups: {a: {idp: true}}",
           "groups: {a: {idp: a, from: []}}",
           "networks: {n: 192.0.2.0/24}",
           "networks: {n: []}",
           "networks: {n: [example.org]}",
           "networks: {n: [{cidr: 10.0.0.0/8, any: yes}]}",
           "networks: {n: [{any: true}]}",
           "services: {s: {ports: [443], targets: [t]}}",
           "services: {s: {ports: [tcp/0], targets: [t]}}",
           "services: {s: {ports: [icmp/1], targets: [t]}}",
           "services: {s: {ports: [tcp/1]}}",
           "targets: {t: {type: nftable}}",
           "targets: {t: {type: nftables, hooks: [output]}}",
           "targets: {t: {type: nftables, hooks: []}}",
           "targets: {t: {type: nftables, table: K}}",
           "targets: {t: {type: nftables, protect: 'true'}}",
           "targets: {t: {type: nftables, capacity: {entries: 0}}}",
           "targets: {t: {type: nftables, capacity: 5}}",
           "targets: {t: {type: nftables, capacity: {entries: 5, reserve: -1}}}",
           "targets: {t: {type: nftables, ownership: mine}}",
           "targets: {t: {type: nftables, on_remove: keep}}",
           "targets: {t: {type: nftables, heal: \"yes\"}}",
           "allow: {a: {who: [a], to: [s], ttl: 8}}",
           "allow: {a: {who: [a], to: [s]}}",
           "allow: {a: {who: [], to: [s], ttl: 8h}}",
           "allow: {a: {who: [a], to: [\"*\", s], ttl: 8h}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, from: {}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, approval: {}}}",
           "static: {s: {cidr: [192.0.2.1/32], to: [s], owner: o, reason: r}}",
           "static: {s: {cidr: [192.0.2.1/32], to: [s], owner: o, reason: r, until: tomorrow}}",
           "deny: {d: {to: [s]}}",
           "deny: {d: {from: {not_in: [n]}, to: [s]}}",
           "tests: []",
           "allow: {a: {who: [a], to: [s], ttl: 8h, users: [bob]}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, users: []}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, claims: {}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, claims: {d: e}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, claims: {d: [true]}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, acr: gold}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, mfa_max_age: 15}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: mon-fri}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: []}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: {days: weekdays, from: \"07:00\", "
           "to: \"20:00\", tz: UTC}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: {days: mon, from: \"7:00\", to: "
           "\"20:00\", tz: UTC}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: {days: mon, from: \"07:00\", to: "
           "\"24:01\", tz: UTC}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: {days: mon, from: \"07:00\", to: "
           "\"00:00\", tz: UTC}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: {days: mon, from: \"07:00\", to: "
           "\"20:00\", tz: ../x}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, schedule: {days: mon}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, max_ips_per_user: 0}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, max_users_per_ip: many}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, approval: {from: [a]}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, approval: {from: [a], ttl: 1h, count: 17}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, approval: {from: [a], ttl: 1h, reason: "
           "maybe}}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, connections: 2}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, until: 2027-01-31}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, connections: 1, until: disconnect}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, v6_prefix: 47}}",
           "allow: {a: {who: [a], to: [s], ttl: 8h, geo: [DE]}}",
           "allow: {a: {to: [s], ttl: 8h}}",
           "services: {s: {ports: [tcp/1], path: [t]}}",
           "services: {s: {ports: [tcp/1], path: [t, t]}}",
           "behaviour: {preset: lax}",
           "behaviour: {shared_addresses: none}",
           "behaviour: {longest_ttl: never}",
           "behaviour: {knob: 1}",
           "guards: {removals: 30}",
           "guards: {additions: {percent: -1}}",
           "guards: {max_prefix: {v4: 33}}",
           "guards: {confirm: {targets: [t]}}",
           "guards: {additions: {new_port: maybe}}",
           "guards: {confirm: {targets: [t], within: 5m, probe: ping}}",
           "guards: {confirm: {targets: [t], within: 5m, probe: {}}}",
           "break_glass: {f: {to: [s], ttl: 1h}}",
           "break_glass: {f: {to: [s], ttl: 1h, keys: [a], quorum: 0}}",
           "break_glass: {f: {who: [a], to: [s], ttl: 1h, keys: [a]}}",
           "tests: {}",
           "tests: [{can: [s]}]",
           "tests: [{as: {}}]",
           "tests: [{as: {user: a}, never: {can: [s]}}]",
           "tests: [{never: {groups: [a]}}]",
           "tests: [{never: {can: [s]}, can: [s]}]",
           "tests: [{as: {approved: 'yes'}, can: [s]}]",
           "tests: [{as: {}, can: [s], at: monday}]",
       }) {
    auto text = "knock: 1\n" + body + "\n";
    EXPECT_NE(policy_schema().problems(text), "") << body;
    EXPECT_FALSE(loads(text)) << body;
  }
  EXPECT_NE(policy_schema().problems("knock: 2\n"), "");
  EXPECT_NE(policy_schema().problems("groups: {}\n"), "");
}

constexpr std::string_view kConfig =
    "owner: 00112233445566ff\n"
    "x-note: 1\n"
    "listen: \"[::1]:8443\"\n"
    "public_url: https://knock.example.org/\n"
    "tls: {cert: a.pem, key: b.pem}\n"
    "insecure_http: false\n"
    "trusted_proxies: [192.0.2.1]\n"
    "store: sqlite://k.db\n"
    "socket: k.sock\n"
    "front_user: _knock\n"
    "policy: {repo: \"git@h:p\", ref: main, poll: 30s}\n"
    "sign_in:\n"
    "  sso: {type: oidc, issuer: \"https://id.example.org/realm\", client_id: k, client_secret: "
    "\"env:X\", token_auth: basic, "
    "algorithms: [ES256], scopes: [openid, groups], groups_claim: g, allow_networks: [10.0.0.0/8], "
    "max_session: 8h, title: T}\n"
    "  local: {type: local, enabled: true, max_session: 8h}\n"
    "keep: [{prefix: 192.0.2.0/28, owner: o, reason: r}]\n";

TEST(ConfigSchema, TakesWhatTheLoaderTakes) {
  auto load = load_config("knock.yaml", kConfig, "");
  EXPECT_TRUE(load.config) << to_text(load.diagnostics);
  EXPECT_EQ(config_schema().problems(kConfig), "");
  EXPECT_EQ(config_schema().problems("owner: 00112233445566ff\npolicy: {dir: p}\n"), "");
}

TEST(ConfigSchema, RefusesTheShapesThatTheLoaderRefuses) {
  const std::string source =
      "sign_in: {s: {type: oidc, issuer: \"https://a.example\", client_id: k, ";
  for (std::string body : {
           std::string("lissten: 127.0.0.1:1"),
           std::string("listen: localhost:8443"),
           std::string("listen: 127.0.0.1"),
           std::string("public_url: https://a.example/path"),
           std::string("tls: {cert: a}"),
           std::string("insecure_http: 'true'"),
           std::string("trusted_proxies: [proxy]"),
           std::string("store: postgres://a/b"),
           std::string("front_user: root"),
           std::string("keep: [{prefix: 192.0.2.1}]"),
           std::string(
               "sign_in: {grant: {type: oidc, issuer: \"https://a.example\", client_id: k}}"),
           std::string(
               "sign_in: {local: {type: oidc, issuer: \"https://a.example\", client_id: k}}"),
           std::string("sign_in: {people: {type: local}}"),
           std::string("sign_in: {s: {type: saml}}"),
           std::string("sign_in: {s: {type: oidc, client_id: k}}"),
           source + "client_secret: hunter2}}",
           source + "client_secret: \"env:X\", token_auth: jwt}}",
           source + "client_secret: \"env:A-B\"}}",
           source + "algorithms: [none]}}",
           source + "algorithms: [HS256]}}",
           source + "scopes: [email]}}",
           source + "max_session: 8}}",
           std::string("credentials: {}"),
       }) {
    auto text = "owner: 00112233445566ff\npolicy: {dir: p}\n" + body + "\n";
    EXPECT_NE(config_schema().problems(text), "") << body;
    EXPECT_FALSE(load_config("knock.yaml", text, "").config) << body;
  }
  for (std::string_view policy : {"{}", "{dir: p, repo: r}", "{dir: p, ref: main}", "p"}) {
    auto text = "owner: 00112233445566ff\npolicy: " + std::string(policy) + "\n";
    EXPECT_NE(config_schema().problems(text), "") << policy;
    EXPECT_FALSE(load_config("knock.yaml", text, "").config) << policy;
  }
}

}  // namespace
}  // namespace knock
