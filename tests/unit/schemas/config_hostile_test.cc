// SPDX-License-Identifier: Apache-2.0
// Every check of the configuration's loader has a document that only this check refuses, with its
// id and its place.
#include <gtest/gtest.h>

#include "schemas/config/config.h"
#include "schemas/policy/check.h"
#include "tests/unit/schemas/hostile_row.h"

namespace knock {
namespace {

using test::Expected;

struct Row {
  std::string name;
  std::string text;
  Expected want;
};

/// Two lines of sound configuration; what a row adds begins in line 3.
std::string with(std::string_view more) {
  return "owner: 00112233445566ff\npolicy: {dir: /etc/knock/policy}\n" + std::string(more);
}
/// A policy repository; keys begin in line 4, column 3.
std::string git(std::string_view keys) {
  return "owner: 00112233445566ff\npolicy:\n  repo: /srv/p.git\n  " + std::string(keys) + "\n";
}
/// One sign-in source in line 4, after "  sso: {type: oidc, " (20 characters).
std::string oidc(std::string_view keys) {
  return with("sign_in:\n  sso: {type: oidc, " + std::string(keys) + "}\n");
}
/// The same with what a provider needs, in line 5; keys begin in line 6.
std::string told(const std::string& what) {
  return "owner: 00112233445566ff\npolicy: {dir: p}\nnotify: {" + what + "}\n";
}

/// One line; what it watches begins in column 25.
std::string forge_that_watches(const std::string& what) {
  return "notify: {forge: {watch: " + what +
         ", type: github, api: \"https://api.example\", project: a/b, token: \"env:A\"}}\n";
}

std::string more_oidc(std::string_view keys) {
  return with(
      "sign_in:\n  sso:\n    type: oidc\n    issuer: https://id.example.org\n    client_id: k\n   "
      " " +
      std::string(keys) + "\n");
}

std::vector<Row> yaml_rows() {
  return {
      {"too large", std::string((1 << 20) + 1, '#'), {"yaml.too-large", "0"}},
      {"not UTF-8", with("x: \xff"), {"yaml.encoding", "3:4"}},
      {"an escape", with("# \x1b"), {"yaml.hidden-character", "3:3"}},
      {"empty", "", {"yaml.empty", "1:1"}},
      {"two documents", with("---\na: b\n"), {"yaml.several-documents", "3:1"}},
      {"a list", "- a\n", {"yaml.root-not-map", "1:1"}},
      {"an anchor", with("x-a: &b c\n"), {"yaml.anchor", "3:6"}},
      {"an alias", with("x-a: *b\n"), {"yaml.alias", "3:6"}},
      {"a tag", with("x-a: !!str b\n"), {"yaml.tag", "3:6"}},
      {"a merge key", with("<<: {}\n"), {"yaml.merge-key", "3:1"}},
      {"too deep",
       with("x-a: " + std::string(64, '[') + std::string(64, ']')),
       {"yaml.depth", "3:69"}},
      {"too many values",
       [] {
         std::string text = "x-a: [";
         for (int i = 0; i < 200'000; ++i) text += "1,";
         return text + "]";
       }(),
       {"yaml.nodes", "1:400001"}},
      {"a key twice", with("owner: 00112233445566ff\n"), {"yaml.duplicate-key", "3:1"}},
      {"a key that is a list", with("x-a: {[b]: c}\n"), {"yaml.key-not-text", "3:7"}},
      {"an open quote", with("x-a: \"b\n"), {"yaml.open-quote", "3:6"}},
      {"an open bracket", with("x-a: [b\n"), {"yaml.syntax", "4:1"}},
  };
}

std::vector<Row> reader_rows() {
  return {
      {"a misspelt key", with("lissten: 127.0.0.1:1\n"), {"config.unknown-key", "3:1"}},
      {"a misspelt key of tls",
       with("tls: {cert: a, key: b, kye: c}\n"),
       {"config.unknown-key", "3:24"}},
      {"a misspelt tls on a public address",
       with("listen: 192.0.2.1:443\ntsl: {cert: a, key: b}\n"),
       {"config.unknown-key", "4:1"}},
      {"a key of the policy", with("groups: {}\n"), {"config.unknown-key", "3:1"}},
      {"no owner", "policy: {dir: p}\n", {"config.missing-key", "1:1"}},
      {"no policy", "owner: 00112233445566ff\n", {"config.missing-key", "1:1"}},
      {"tls without key", with("tls: {cert: a}\n"), {"config.missing-key", "3:6"}},
      {"an operator of nowhere",
       with("operators: [{group: admins}]\n"),
       {"config.missing-key", "3:13"}},
      {"an operator who is nobody",
       with("operators: [{from: local}]\n"),
       {"config.bad-operator", "3:13"}},
      {"an operator who is a group and a person",
       with("operators: [{from: local, group: a, user: b}]\n"),
       {"config.bad-operator", "3:13"}},
      {"an operator of an unknown source",
       with("operators: [{from: nosuch, user: b}]\n"),
       {"config.bad-operator", "3:13"}},
      {"keep without reason",
       with("keep: [{prefix: 192.0.2.1/32, owner: o}]\n"),
       {"config.missing-key", "3:8"}},
      {"keep without owner",
       with("keep: [{prefix: 192.0.2.1/32, reason: o}]\n"),
       {"config.missing-key", "3:8"}},
      {"keep without prefix",
       with("keep: [{owner: o, reason: o}]\n"),
       {"config.missing-key", "3:8"}},
      {"a source without type",
       with("sign_in:\n  sso: {issuer: x}\n"),
       {"config.missing-key", "4:3"}},
      {"a source without issuer", oidc("client_id: k"), {"config.missing-key", "4:8"}},
      {"a source without client_id",
       oidc("issuer: \"https://id.example.org\""),
       {"config.missing-key", "4:8"}},
      {"no name for a public address",
       with("listen: 192.0.2.1:443\ntls: {cert: a, key: b}\n"),
       {"config.missing-key", "3:1"}},
      {"nothing after a key", with("listen:\n"), {"config.missing-value", "3:1"}},
      {"nothing after a source", with("sign_in:\n  sso:\n"), {"config.missing-value", "4:3"}},
      {"a text for tls", with("tls: yes\n"), {"config.wrong-type", "3:6"}},
      {"a list for sign_in", with("sign_in: [local]\n"), {"config.wrong-type", "3:10"}},
      {"a map for a secret", more_oidc("client_secret: {env: X}"), {"config.wrong-type", "8:20"}},
      {"a name in capitals",
       with("sign_in: {SSO: {type: oidc, issuer: \"https://i.example\", client_id: k}}\n"),
       {"config.bad-name", "3:11"}},
      {"yes as a text",
       with("keep: [{prefix: 192.0.2.1/32, owner: yes, reason: o}]\n"),
       {"config.ambiguous-text", "3:38"}},
      {"an empty text", more_oidc("title: \"\""), {"config.bad-text", "8:12"}},
      {"yes as a truth value", with("insecure_http: yes\n"), {"config.bad-boolean", "3:16"}},
      {"a duration without unit",
       "owner: 00112233445566ff\npolicy: {dir: p, poll: 30}\n",
       {"config.bad-duration", "2:24"}},
      {"a session without end", more_oidc("max_session: 0s"), {"config.bad-duration", "8:18"}},
      {"a local session without unit",
       with("sign_in: {local: {type: local, max_session: 8}}\n"),
       {"config.bad-duration", "3:45"}},
      {"a host name as proxy",
       with("trusted_proxies: [proxy.example]\n"),
       {"config.bad-prefix", "3:19"}},
      {"host bits of a proxy",
       with("trusted_proxies: [192.0.2.1/24]\n"),
       {"config.host-bits", "3:19"}},
      {"everybody as proxy",
       with("trusted_proxies: [0.0.0.0/0]\n"),
       {"config.wide-prefix", "3:19"}},
      {"a wide keep",
       with("keep: [{prefix: 10.0.0.0/8, owner: o, reason: r}]\n"),
       {"config.wide-prefix", "3:17"}},
      {"a wide IPv6 keep",
       with("keep: [{prefix: \"2001:db8::/32\", owner: o, reason: r}]\n"),
       {"config.wide-prefix", "3:17"}},
      {"no algorithm", more_oidc("algorithms: []"), {"config.empty-list", "8:17"}},
      {"a kind of sign-in to come",
       with("sign_in: {s: {type: saml, zzz: 1}}\n"),
       {"config.unknown-type", "3:21"}},
      {"credentials", with("credentials: {}\n"), {"config.not-supported", "3:1"}},
      {"telemetry", with("telemetry: {}\n"), {"config.not-supported", "3:1"}},
      {"audit", with("audit: {}\n"), {"config.not-supported", "3:1"}},
  };
}

std::vector<Row> config_rows() {
  const std::string wide = "listen: 0.0.0.0:8443\n";
  return {
      {"a short owner", "owner: 0011\npolicy: {dir: p}\n", {"config.bad-owner", "1:8"}},
      {"an owner in capitals",
       "owner: 00112233445566FF\npolicy: {dir: p}\n",
       {"config.bad-owner", "1:8"}},
      {"a word for an owner", "owner: knock\npolicy: {dir: p}\n", {"config.bad-owner", "1:8"}},
      {"a name to listen on", with("listen: localhost:8443\n"), {"config.bad-listen", "3:9"}},
      {"no port to listen on", with("listen: 127.0.0.1\n"), {"config.bad-listen", "3:9"}},
      {"port zero", with("listen: 127.0.0.1:0\n"), {"config.bad-listen", "3:9"}},
      {"a port beyond 65535", with("listen: 127.0.0.1:65536\n"), {"config.bad-listen", "3:9"}},
      {"IPv6 without brackets", with("listen: \"::1:8443\"\n"), {"config.bad-listen", "3:9"}},
      {"IPv4 in brackets", with("listen: \"[127.0.0.1]:8443\"\n"), {"config.bad-listen", "3:9"}},
      {"a URL with a path",
       with("public_url: https://a.example/knock\n"),
       {"config.bad-url", "3:13"}},
      {"a URL with a user",
       with("public_url: https://u:p@a.example\n"),
       {"config.bad-url", "3:13"}},
      {"a URL with a query", with("public_url: https://a.example?b\n"), {"config.bad-url", "3:13"}},
      {"another scheme", with("public_url: ftp://a.example\n"), {"config.bad-url", "3:13"}},
      {"no scheme", with("public_url: a.example\n"), {"config.bad-url", "3:13"}},
      {"a plain URL", with("public_url: http://a.example\n"), {"config.plain-http", "3:13"}},
      {"a public address without tls", with(wide), {"config.plain-http", "3:1"}},
      {"a public address without tls, with a name",
       with(wide + "public_url: https://a.example\n"),
       {"config.plain-http", "3:1"}},
      {"a plain issuer",
       oidc("client_id: k, issuer: \"http://id.example.org\""),
       {"config.plain-http", "4:43"}},
      {"a plain issuer in a private network",
       oidc("client_id: k, issuer: \"http://10.0.0.1\""),
       {"config.plain-http", "4:43"}},
      {"a plain issuer that only begins like loopback",
       oidc("client_id: k, issuer: \"http://localhost.example\""),
       {"config.plain-http", "4:43"}},
      {"a socket's path too long",
       with("socket: /run/" + std::string(120, 'k') + "\n"),
       {"config.bad-path", "3:9"}},
      {"another store", with("store: postgres://u:secret@db/knock\n"), {"config.bad-store", "3:8"}},
      {"a store without a path", with("store: \"sqlite://\"\n"), {"config.bad-store", "3:8"}},
      {"root faces the network", with("front_user: root\n"), {"config.bad-user", "3:13"}},
      {"a user with shell syntax", with("front_user: \"a;b\"\n"), {"config.bad-user", "3:13"}},
      {"a number as user", with("front_user: 0\n"), {"config.bad-user", "3:13"}},
      {"a secret written out",
       more_oidc("client_secret: hunter2"),
       {"config.literal-secret", "8:20"}},
      {"a way to send a secret that is none",
       more_oidc("client_secret: env:X\n    token_auth: jwt"),
       {"config.bad-token-auth", "9:17"}},
      {"a way to send no secret", more_oidc("token_auth: post"), {"config.bad-token-auth", "8:17"}},
      {"a secret in an expression",
       more_oidc("client_secret: ${SECRET}"),
       {"config.literal-secret", "8:20"}},
      {"a token in the repository's address",
       "owner: 00112233445566ff\npolicy: {repo: \"https://tok3n@git.example/p\"}\n",
       {"config.literal-secret", "2:16"}},
      {"a password in an ssh address",
       "owner: 00112233445566ff\npolicy: {repo: \"ssh://git:hunter2@git.example/p\"}\n",
       {"config.literal-secret", "2:16"}},
      {"a variable with a bad name",
       more_oidc("client_secret: env:MY-SECRET"),
       {"config.bad-secret", "8:20"}},
      {"a file without a path",
       more_oidc("client_secret: \"file:\""),
       {"config.bad-secret", "8:20"}},
      {"a command of nothing",
       more_oidc("client_secret: \"exec: \""),
       {"config.bad-secret", "8:20"}},
      {"signatures of a folder",
       "owner: 00112233445566ff\npolicy: {dir: p, require_signed: [{signers: s}]}\n",
       {"config.policy-location", "2:18"}},
      {"signers in the policy repository",
       git("require_signed: [{signers: /srv/p.git/signers}]"),
       {"config.bad-signers", "4:30"}},
      {"a path from the machine's root",
       git("require_signed: [{paths: [/a/**], signers: s}]"),
       {"config.bad-signers", "4:29"}},
      {"a path that climbs",
       git("require_signed: [{paths: [a/../b], signers: s}]"),
       {"config.bad-signers", "4:29"}},
      {"two stars within a name",
       git("require_signed: [{paths: [a**/b], signers: s}]"),
       {"config.bad-signers", "4:29"}},
      {"a rule that never decides",
       git("require_signed: [{signers: s}, {paths: [a], signers: t}]"),
       {"config.bad-signers", "4:34"}},
      {"too many rules of signers",
       git([] {
         std::string text = "require_signed: [";
         for (int i = 0; i < 101; ++i) text += "{paths: [a], signers: s},";
         return text + "]";
       }()),
       {"config.bad-signers", "4:19"}},
      {"pull requests of a folder",
       "owner: 00112233445566ff\npolicy: {dir: p, pulls: github}\n",
       {"config.policy-location", "2:18"}},
      {"a forge that is none", git("pulls: bitbucket"), {"config.bad-ref", "4:10"}},
      {"pull requests without a number", git("pulls: refs/pull/head"), {"config.bad-ref", "4:10"}},
      {"pull requests with two numbers",
       git("pulls: \"refs/pull/{number}/{number}\""),
       {"config.bad-ref", "4:10"}},
      {"a webhook in plain text",
       told("webhooks: [{url: \"http://hooks.example.org/x\", secret: \"env:A\"}]"),
       {"config.plain-http", "3:27"}},
      {"a webhook with a user in it",
       told("webhooks: [{url: \"https://u:p@hooks.example.org/x\", secret: \"env:A\"}]"),
       {"config.bad-url", "3:27"}},
      {"a webhook without a secret",
       told("webhooks: [{url: \"https://hooks.example.org/x\"}]"),
       {"config.missing-key", "3:21"}},
      {"a webhook's secret in the file",
       told("webhooks: [{url: \"https://h.example/x\", secret: hunter2}]"),
       {"config.literal-secret", "3:58"}},
      {"nine webhooks",
       told([] {
         std::string text = "webhooks: [";
         for (int i = 0; i < 9; ++i) text += "{url: \"https://h.example/x\", secret: \"env:A\"},";
         return text + "]";
       }()),
       {"config.bad-url", "3:20"}},
      {"a forge's project that climbs",
       told("forge: {type: github, api: \"https://api.example\", project: a/../b, token: "
            "\"env:A\"}"),
       {"config.bad-url", "3:69"}},
      {"a watch for something else",
       git("pulls: github") + forge_that_watches("everything"),
       {"config.bad-choice", "5:25"}},
      {"a watch for pull requests that cannot be fetched",
       git("ref: main") + forge_that_watches("pulls"),
       {"config.missing-key", "5:25"}},
      {"a watch for pull requests of a tag",
       git("pulls: github\n  ref: refs/tags/v1") + forge_that_watches("pulls"),
       {"config.bad-ref", "6:25"}},
      {"a way to advance that is none", git("advance: never"), {"config.bad-advance", "4:12"}},
      {"a window that is nowhere", git("advance: window"), {"config.bad-advance", "4:12"}},
      {"a window of no days",
       git("advance: {window: {days: monday, from: \"09:00\", to: \"16:00\", tz: UTC}}"),
       {"config.bad-advance", "4:28"}},
      {"a window in no time zone",
       git("advance: {window: {days: mon, from: \"09:00\", to: \"16:00\", tz: ../x}}"),
       {"config.bad-advance", "4:65"}},
      {"a policy from nowhere",
       "owner: 00112233445566ff\npolicy: {poll: 30s}\n",
       {"config.policy-location", "2:9"}},
      {"a policy from two places",
       "owner: 00112233445566ff\npolicy: {dir: p, repo: /r}\n",
       {"config.policy-location", "2:9"}},
      {"a ref of a folder",
       "owner: 00112233445566ff\npolicy: {dir: p, ref: main}\n",
       {"config.policy-location", "2:18"}},
      {"a repository that is an option",
       "owner: 00112233445566ff\npolicy: {repo: \"--upload-pack=x\"}\n",
       {"config.bad-repository", "2:16"}},
      {"a repository that is a command",
       "owner: 00112233445566ff\npolicy: {repo: \"ext::sh -c x\"}\n",
       {"config.bad-repository", "2:16"}},
      {"a repository over git://",
       "owner: 00112233445566ff\npolicy: {repo: \"git://a.example/p\"}\n",
       {"config.bad-repository", "2:16"}},
      {"a repository over http",
       "owner: 00112233445566ff\npolicy: {repo: \"http://a.example/p\"}\n",
       {"config.bad-repository", "2:16"}},
      {"a ref that is an option",
       "owner: 00112233445566ff\npolicy: {repo: /r, ref: -x}\n",
       {"config.bad-ref", "2:25"}},
      {"a ref with a range",
       "owner: 00112233445566ff\npolicy: {repo: /r, ref: a..b}\n",
       {"config.bad-ref", "2:25"}},
      {"a ref with a refspec",
       "owner: 00112233445566ff\npolicy: {repo: /r, ref: \"a:b\"}\n",
       {"config.bad-ref", "2:25"}},
      {"an issuer that is no address",
       oidc("client_id: k, issuer: keycloak"),
       {"config.bad-issuer", "4:43"}},
      {"an issuer with a query",
       oidc("client_id: k, issuer: \"https://a.example/?b\""),
       {"config.bad-issuer", "4:43"}},
      {"an issuer with a user",
       oidc("client_id: k, issuer: \"https://u@a.example/\""),
       {"config.bad-issuer", "4:43"}},
      {"none as algorithm",
       more_oidc("algorithms: [RS256, none]"),
       {"config.bad-algorithm", "8:25"}},
      {"a shared key as algorithm",
       more_oidc("algorithms: [HS256]"),
       {"config.bad-algorithm", "8:18"}},
      {"an algorithm in lower case",
       more_oidc("algorithms: [rs256]"),
       {"config.bad-algorithm", "8:18"}},
      {"scopes without openid", more_oidc("scopes: [email]"), {"config.bad-scope", "8:13"}},
      {"two words as a scope", more_oidc("scopes: [openid email]"), {"config.bad-scope", "8:14"}},
      {"grant as a source",
       with("sign_in: {grant: {type: oidc, issuer: x}}\n"),
       {"config.name-taken", "3:11"}},
      {"local as a provider",
       with("sign_in: {local: {type: oidc, issuer: x}}\n"),
       {"config.name-taken", "3:11"}},
      {"local accounts under another name",
       with("sign_in: {people: {type: local}}\n"),
       {"config.name-taken", "3:11"}},
  };
}

std::vector<Row> all_rows() {
  auto rows = yaml_rows();
  for (auto more : {reader_rows(), config_rows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

TEST(ConfigHostile, EveryRowGivesItsOneDiagnostic) {
  for (const auto& row : all_rows()) {
    SCOPED_TRACE(row.name);
    auto load = load_config("knock.yaml", row.text, "/etc/knock");
    test::expect_only(load.diagnostics, row.want);
    EXPECT_FALSE(load.config);
  }
}

TEST(ConfigHostile, AFloodOfMistakesIsCutAndSaysSo) {
  std::string text = with("");
  for (int i = 0; i < 300; ++i) text += "unknown" + std::to_string(i) + ": 1\n";
  auto load = load_config("knock.yaml", text, "");
  ASSERT_EQ(load.diagnostics.size(), 201u);
  EXPECT_EQ(load.diagnostics.back().id, "config.too-many-problems");
}

TEST(ConfigHostile, EveryIdHasARow) {
  std::set<std::string> seen{"config.too-many-problems"};
  for (const auto& row : all_rows()) seen.insert(row.want.id);
  EXPECT_EQ(test::sorted_list(seen), config_diagnostic_ids());
}

// Wherever a secret is written by mistake, no message repeats it.
TEST(ConfigHostile, NoMessageRepeatsASecret) {
  const std::vector<std::string> texts{
      more_oidc("client_secret: hunter2"),
      more_oidc("client_secret: [hunter2]"),
      more_oidc("client_secret: {hunter2: hunter2}"),
      more_oidc("client_secret: \"env:hunter2!\""),
      more_oidc("client_secret:\n      hunter2"),
      more_oidc("client_secret: |\n      hunter2\n      hunter2"),
      more_oidc("client_secret: \"hunter2"),
      more_oidc("client_secret: hunter2: a"),
      more_oidc("client_secret: &hunter2 a"),
      more_oidc("client_secret: !hunter2 a"),
      more_oidc("client_secret: *hunter2"),
      more_oidc("client_scret: hunter2"),
      more_oidc("clientsecret: hunter2"),
      more_oidc("password: hunter2"),
      more_oidc("client_secret: hunter2\n    client_secret: hunter2"),
      oidc("client_secret: hunter2, isuer: x"),
      oidc("client_secret: hunter2, issuer: \"http://x.example\""),
      with("store: postgres://u:hunter2@db/knock\n"),
      with("public_url: https://u:hunter2@a.example\n"),
      "owner: 00112233445566ff\npolicy: {repo: \"https://u:hunter2@git.example/p\", reff: x}\n",
      "owner: 00112233445566ff\npolicy: {repo: \"https://u:hunter2@git.example:x/p\"}\n",
      oidc("client_id: k, issuer: \"https://u:hunter2@a.example/\""),
  };
  for (const auto& text : texts) {
    auto load = load_config("knock.yaml", text, "");
    EXPECT_FALSE(load.config) << text;
    EXPECT_EQ(to_text(load.diagnostics).find("hunter2"), std::string::npos)
        << text << to_text(load.diagnostics);
    for (const auto& diagnostic : load.diagnostics)
      EXPECT_EQ(diagnostic.line_text.find("hunter2"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace knock
