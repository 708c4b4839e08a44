// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "schemas/config/config.h"
#include "schemas/config/front_user.h"
#include "schemas/config/url.h"

namespace knock {
namespace {

using Kind = SecretReference::Kind;

constexpr std::string_view kSmallest = "owner: 00112233445566ff\npolicy: {dir: policy}\n";

constexpr std::string_view kEverything = R"(x-note: every key once
owner: "00112233445566ff"
listen: "[2001:db8::1]:443"
public_url: https://Knock.Example.org:443/
tls: {cert: tls/cert.pem, key: /srv/key.pem}
insecure_http: false
trusted_proxies: [192.0.2.9/32, 172.16.0.0/12]
store: sqlite://state/knock.db
socket: run/admin.sock
front_user: knock-front
policy: {repo: "git@git.example.org:policy.git", ref: release/2027, poll: 10s}
sign_in:
  sso:
    type: oidc
    issuer: https://id.example.org/realm
    client_id: knock
    client_secret: "file:secret.txt"
    token_auth: post
    algorithms: [ES256, EdDSA, ES256]
    scopes: [openid, groups]
    groups_claim: "https://example.org/groups"
    allow_networks: [10.0.0.0/8]
    max_session: 8h
    title: The Company
  lab: {type: oidc, issuer: "http://127.0.0.1:9000", client_id: lab, client_secret: "exec:pass show lab"}
  public: {type: oidc, issuer: "http://[::1]:9000", client_id: p}
  env: {type: oidc, issuer: "https://e.example", client_id: p, client_secret: "env:SSO_SECRET"}
  local: {type: local, enabled: false, max_session: 1h}
keep:
  - {prefix: 192.0.2.0/28, owner: sre, reason: the operators' office}
  - {prefix: "2001:db8:5::/64", owner: sre, reason: their other office}
operators: [{from: env, group: netops}, {from: env, user: "00u1"}]
)";

ConfigLoad load(std::string_view text) { return load_config("knock.yaml", text, "/etc/knock"); }

TEST(ConfigLoad, TheSmallestHasDefaultsOnLoopback) {
  auto result = load(kSmallest);
  ASSERT_TRUE(result.config) << to_text(result.diagnostics);
  const auto& config = *result.config;
  EXPECT_EQ(config.owner.to_string(), "00112233445566ff");
  EXPECT_TRUE(config.listen.address.is_loopback());
  EXPECT_EQ(config.listen.port, 8443);
  EXPECT_EQ(config.public_url, "http://127.0.0.1:8443");
  EXPECT_EQ(config.store_path(), "/var/lib/knock/knock.db");
  EXPECT_EQ(config.socket, "/run/knock/admin.sock");
  EXPECT_EQ(config.front_user, "nobody");
  EXPECT_EQ(config.front_user_origin.line, 0u);
  EXPECT_EQ(config.policy.directory, "/etc/knock/policy");
  EXPECT_EQ(config.policy.poll, Duration::seconds(30));
  EXPECT_TRUE(config.local.enabled);
  EXPECT_TRUE(config.oidc.empty());
  EXPECT_FALSE(config.tls);
  EXPECT_FALSE(config.insecure_http);
}

TEST(ConfigLoad, ReadsEveryKey) {
  auto result = load(kEverything);
  ASSERT_TRUE(result.config) << to_text(result.diagnostics);
  const auto& config = *result.config;
  EXPECT_EQ(config.listen.address.to_string(), "2001:db8::1");
  EXPECT_EQ(config.listen.port, 443);
  EXPECT_EQ(config.public_url, "https://knock.example.org:443");
  EXPECT_EQ(config.tls->certificate, "/etc/knock/tls/cert.pem");
  EXPECT_EQ(config.tls->key, "/srv/key.pem");
  ASSERT_EQ(config.trusted_proxies.size(), 2u);
  EXPECT_EQ(config.trusted_proxies[0].to_string(), "172.16.0.0/12");
  EXPECT_EQ(config.store_path(), "/etc/knock/state/knock.db");
  EXPECT_EQ(config.socket, "/etc/knock/run/admin.sock");
  EXPECT_EQ(config.front_user, "knock-front");
  EXPECT_EQ(config.front_user_origin.column, 13u);
  EXPECT_EQ(config.policy.repository, "git@git.example.org:policy.git");
  EXPECT_EQ(config.policy.directory, "");
  EXPECT_EQ(config.policy.ref, "release/2027");
  EXPECT_EQ(config.policy.poll, Duration::seconds(10));
  EXPECT_FALSE(config.local.enabled);
  EXPECT_EQ(config.local.max_session, Duration::hours(1));
  ASSERT_EQ(config.keep.size(), 2u);
  EXPECT_EQ(config.keep[0].prefix.to_string(), "192.0.2.0/28");
  EXPECT_EQ(config.keep[0].reason, "the operators' office");
  EXPECT_EQ(config.keep[1].origin.to_string(), "knock.yaml:31:14");
  ASSERT_EQ(config.operators.size(), 2u);
  EXPECT_EQ(config.operators[0].from, SignInName("env"));
  EXPECT_EQ(config.operators[0].group, "netops");
  EXPECT_EQ(config.operators[1].user, "00u1");
}

TEST(ConfigLoad, AsksTheMachineAboutFrontsUser) {
  struct Row {
    const char* name;
    bool written;
    UsersHere here;
    const char* want;  // "" = fine
  };
  constexpr std::uint32_t kNobody = 65534, kKnock = 997;
  const Row rows[] = {
      {"a user of its own", true, {0, kNobody, 0u}, ""},
      {"nobody, not written", false, {0, kNobody, 0u}, ""},
      {"before there is a database", true, {0, kNobody, std::nullopt}, ""},
      {"another name of root", true, {0, 0u, std::nullopt}, "another name of root"},
      {"no such user", true, {0, std::nullopt, 0u}, "there is no user"},
      {"no such user, not written", false, {0, std::nullopt, 0u}, "there is no user"},
      {"the database's owner", true, {0, kKnock, kKnock}, "could change the log"},
      {"the database's owner, not written", false, {0, kNobody, kNobody}, "could change the log"},
      {"who starts it", true, {kKnock, kKnock, std::nullopt}, "would have its files"},
      {"the database's owner, started by another", true, {1000, kKnock, kKnock}, "change the log"},
      {"somebody who cannot be become", true, {kKnock, std::nullopt, kKnock}, ""},
      {"not root, and not written", false, {kNobody, kNobody, kNobody}, ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    auto text = std::string(kSmallest) + (row.written ? "front_user: knock-front\n" : "");
    auto result = load(text);
    ASSERT_TRUE(result.config) << to_text(result.diagnostics);
    auto problem = front_user_problem(*result.config, row.here);
    EXPECT_EQ(problem.has_value(), *row.want != 0) << (problem ? problem->summary : "");
    if (!problem) continue;
    EXPECT_EQ(problem->id, "config.bad-user");
    EXPECT_NE(problem->summary.find(row.want), std::string::npos) << problem->summary;
    EXPECT_FALSE(problem->suggestion.empty());
    EXPECT_EQ(problem->where.file, "knock.yaml");
    EXPECT_EQ(problem->where.column, row.written ? 13u : 0u);
  }
}

TEST(ConfigLoad, ReadsSignInSources) {
  auto result = load(kEverything);
  ASSERT_TRUE(result.config) << to_text(result.diagnostics);
  const auto& sources = result.config->oidc;
  ASSERT_EQ(sources.size(), 4u);  // by name
  EXPECT_EQ(sources[0].name, SignInName("env"));
  EXPECT_EQ(sources[0].client_secret->kind, Kind::environment);
  EXPECT_EQ(sources[0].client_secret->value, "SSO_SECRET");
  EXPECT_EQ(sources[1].client_secret->kind, Kind::command);
  EXPECT_EQ(sources[1].client_secret->value, "pass show lab");
  EXPECT_EQ(sources[1].algorithms, std::vector<std::string>{"RS256"});
  EXPECT_EQ(sources[1].max_session, Duration::hours(12));
  EXPECT_FALSE(sources[2].client_secret);
  EXPECT_EQ(sources[2].token_auth, TokenAuth::discovered);
  EXPECT_EQ(sources[3].token_auth, TokenAuth::post);
  const auto& sso = sources[3];
  EXPECT_EQ(sso.issuer, "https://id.example.org/realm");
  EXPECT_EQ(sso.client_secret->kind, Kind::file);
  EXPECT_EQ(sso.client_secret->value, "/etc/knock/secret.txt");
  EXPECT_EQ(sso.algorithms, (std::vector<std::string>{"ES256", "EdDSA"}));
  EXPECT_EQ(sso.scopes, (std::vector<std::string>{"openid", "groups"}));
  EXPECT_EQ(sso.groups_claim, "https://example.org/groups");
  EXPECT_EQ(sso.allow_networks[0].to_string(), "10.0.0.0/8");
  EXPECT_EQ(sso.title, "The Company");
  EXPECT_EQ(sso.origin.to_string(), "knock.yaml:13:3");
}

TEST(ConfigLoad, ThePublicUrlFollowsFromALoopbackAddress) {
  auto with = [](std::string_view more) {
    return load(std::string(kSmallest) + std::string(more));
  };
  EXPECT_EQ(with("listen: \"[::1]:9\"\n").config->public_url, "http://[::1]:9");
  EXPECT_EQ(with("listen: 127.0.0.1:9\ntls: {cert: a, key: b}\n").config->public_url,
            "https://127.0.0.1:9");
  EXPECT_EQ(with("public_url: \"http://[::1]:80/\"\n").config->public_url, "http://[::1]:80");
  auto lab = with("listen: 0.0.0.0:80\ninsecure_http: true\npublic_url: http://lab.example\n");
  ASSERT_TRUE(lab.config) << to_text(lab.diagnostics);
  EXPECT_EQ(lab.config->public_url, "http://lab.example");
}

TEST(ConfigLoad, RepositoriesThatGitUnderstands) {
  struct Form {
    std::string written, read;
  };
  for (const auto& form :
       std::vector<Form>{{"https://git.example/p.git", "https://git.example/p.git"},
                         {"ssh://git@git.example:2222/p", "ssh://git@git.example:2222/p"},
                         {"git.example:p/q", "git.example:p/q"},
                         {"file:///srv/p.git", "file:///srv/p.git"},
                         {"/srv/p.git", "/srv/p.git"},
                         {"../p.git", "/etc/p.git"},
                         {"http://127.0.0.1:3000/p", "http://127.0.0.1:3000/p"}}) {
    auto result = load("owner: 00112233445566ff\npolicy: {repo: \"" + form.written + "\"}\n");
    ASSERT_TRUE(result.config) << form.written << to_text(result.diagnostics);
    EXPECT_EQ(result.config->policy.repository, form.read);
    EXPECT_EQ(result.config->policy.ref, "main");
  }
}

TEST(ConfigLoad, SignersByPath) {
  auto result = load(R"(owner: 00112233445566ff
policy:
  repo: /srv/policy.git
  require_signed:
    - {paths: ["services/payroll/**", groups.yaml], signers: [payroll.signers, /srv/ops.gpg], revoked: krl}
    - {signers: ops.signers}
)");
  ASSERT_TRUE(result.config) << to_text(result.diagnostics);
  const auto& rules = result.config->policy.require_signed;
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0], (SignersRule{{"services/payroll/**", "groups.yaml"},
                                   {"/etc/knock/payroll.signers", "/srv/ops.gpg"},
                                   "/etc/knock/krl"}));
  EXPECT_EQ(rules[1], (SignersRule{{}, {"/etc/knock/ops.signers"}, ""}));
  EXPECT_EQ(result.config->policy.advance.mode, Advance::Mode::automatic);
}

TEST(ConfigLoad, WherePullRequestsLie) {
  for (auto [written, read] :
       {std::pair{"", ""}, std::pair{", pulls: github", "refs/pull/{number}/head"},
        std::pair{", pulls: gitlab", "refs/merge-requests/{number}/head"},
        std::pair{", pulls: \"refs/changes/{number}/1\"", "refs/changes/{number}/1"}}) {
    auto result =
        load("owner: 00112233445566ff\npolicy: {repo: /srv/p.git" + std::string(written) + "}\n");
    ASSERT_TRUE(result.config) << written << to_text(result.diagnostics);
    EXPECT_EQ(result.config->policy.pulls, read);
  }
}

TEST(ConfigLoad, WhoIsTold) {
  auto result = load(R"(owner: 00112233445566ff
policy: {repo: /srv/p.git}
notify:
  webhooks:
    - {url: "https://hooks.example.org/knock?key=1", secret: "file:hook.secret", events: [policy, guard]}
    - {url: "http://127.0.0.1:9000/", secret: "env:HOOK", allow_networks: [127.0.0.0/8]}
  forge: {type: gitlab, api: "https://git.example.org/api/v4/", project: ops/net/policy, token: "file:/run/t", post: true}
)");
  ASSERT_TRUE(result.config) << to_text(result.diagnostics);
  const auto& notify = result.config->notify;
  ASSERT_EQ(notify.webhooks.size(), 2u);
  EXPECT_EQ(notify.webhooks[0].url, "https://hooks.example.org/knock?key=1");
  EXPECT_EQ(notify.webhooks[0].secret.value, "/etc/knock/hook.secret");
  EXPECT_EQ(notify.webhooks[0].events, (std::vector<std::string>{"policy", "guard"}));
  EXPECT_EQ(notify.webhooks[1].url, "http://127.0.0.1:9000");
  EXPECT_EQ(notify.webhooks[1].allow_networks.size(), 1u);
  ASSERT_TRUE(notify.forge);
  EXPECT_EQ(notify.forge->type, ForgeSettings::Type::gitlab);
  EXPECT_EQ(notify.forge->api, "https://git.example.org/api/v4");
  EXPECT_EQ(notify.forge->project, "ops/net/policy");
  EXPECT_TRUE(notify.forge->post);
  EXPECT_FALSE(notify.forge->watch) << "nobody asked for it";
  auto none = load("owner: 00112233445566ff\npolicy: {dir: p}\n");
  EXPECT_TRUE(none.config->notify.empty());
}

TEST(ConfigLoad, PullRequestsToAFollowedBranchAreLookedFor) {
  for (auto [ref, branch] :
       {std::pair{"main", "main"}, std::pair{"refs/heads/release/2", "release/2"}}) {
    auto result = load("owner: 00112233445566ff\npolicy: {repo: /srv/p.git, pulls: github, ref: " +
                       std::string(ref) +
                       "}\nnotify: {forge: {type: github, api: \"https://api.github.com\", "
                       "project: ops/policy, token: \"file:/run/t\", watch: pulls}}\n");
    ASSERT_TRUE(result.config) << to_text(result.diagnostics);
    EXPECT_TRUE(result.config->notify.forge->watch);
    EXPECT_EQ(followed_branch(result.config->policy), branch);
  }
  EXPECT_EQ(followed_branch({}), "") << "a folder";
}

TEST(ConfigLoad, WaysToAdvance) {
  auto advance = [](std::string text) {
    auto result = load("owner: 00112233445566ff\npolicy: {dir: p, advance: " + text + "}\n");
    EXPECT_TRUE(result.config) << to_text(result.diagnostics);
    return result.config ? result.config->policy.advance : Advance{};
  };
  EXPECT_EQ(advance("auto").mode, Advance::Mode::automatic);
  EXPECT_EQ(advance("manual").mode, Advance::Mode::manual);
  auto one =
      advance("{window: {days: mon-thu, from: \"09:00\", to: \"16:00\", tz: Europe/Berlin}}");
  EXPECT_EQ(one.mode, Advance::Mode::window);
  ASSERT_EQ(one.window.size(), 1u);
  EXPECT_EQ(to_string(one.window[0]), "mon-thu 09:00-16:00 Europe/Berlin");
  EXPECT_EQ(advance("{window: [{days: sat, from: \"09:00\", to: \"16:00\", tz: UTC},"
                    " {days: mon, from: \"01:00\", to: \"02:00\", tz: UTC}]}")
                .window.size(),
            2u);
}

TEST(PathPattern, MatchesWholePaths) {
  struct Row {
    const char *pattern, *path;
    bool matches;
  };
  const Row rows[] = {
      {"a/**", "a/b", true},      {"a/**", "a/b/c.yaml", true}, {"a/**", "a", false},
      {"a/**", "ab/c", false},    {"a/**", "A/b", false},       {"**", "a", true},
      {"**", "a/b", true},        {"**/x", "x", true},          {"**/x", "a/b/x", true},
      {"**/x", "a/xx", false},    {"a/**/z", "a/z", true},      {"a/**/z", "a/b/c/z", true},
      {"a/**/z", "a/b/c", false}, {"*.yaml", "a.yaml", true},   {"*.yaml", "a/b.yaml", false},
      {"a/*", "a/b", true},       {"a/*", "a/b/c", false},      {"a?c", "abc", true},
      {"a?c", "a/c", false},      {"*a*b*", "xxaxxbxx", true},  {"*a*b*", "xxbxxaxx", false},
      {"a", "a/b", false},        {"a.c", "abc", false},        {"**/b/**", "a/b/c", true},
      {"**/b/**", "b/c", true},   {"**/b/**", "a/b", false},
  };
  for (const auto& row : rows)
    EXPECT_EQ(path_matches(row.pattern, row.path), row.matches) << row.pattern << " " << row.path;
}

TEST(PlainUrl, TakesApartWhatItUnderstandsAndNothingElse) {
  auto url = parse_plain_url("HTTPS://Id.Example.org:8443/realm/x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "id.example.org");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path, "/realm/x");
  EXPECT_FALSE(url->userinfo || url->extra || url->on_loopback());
  EXPECT_TRUE(parse_plain_url("http://127.9.9.9")->on_loopback());
  EXPECT_TRUE(parse_plain_url("http://[::1]")->on_loopback());
  EXPECT_TRUE(parse_plain_url("http://localhost")->on_loopback());
  EXPECT_FALSE(parse_plain_url("http://127.0.0.1.example")->on_loopback());
  EXPECT_FALSE(parse_plain_url("http://127.0.0.1@a.example")->on_loopback());
  EXPECT_TRUE(parse_plain_url("http://127.0.0.1@a.example")->userinfo);
  EXPECT_TRUE(parse_plain_url("http://a.example#b")->extra);
  for (std::string_view text :
       {"", "a", "://a", "http://", "http://:80", "http://a:", "http://a:0", "http://a:080",
        "http://a:65536", "http://a b", "http://a\\b", "http://[::1", "http://[1.2.3.4]",
        "http://[::1]x", "http://a..b", "http://-a", "http://a_b", "http://é", "h ttp://a"})
    EXPECT_FALSE(parse_plain_url(text)) << text;
}

}  // namespace
}  // namespace knock
