// SPDX-License-Identifier: Apache-2.0
// Every setting of knock.yaml that changed is named: one that is forgotten here would be ignored in
// silence.
#include "server/core/config_changes.h"

#include <gtest/gtest.h>

#include <functional>

namespace knock {
namespace {

Config config() {
  Config out;
  out.owner = OwnerId{1};
  out.oidc.resize(1);
  out.oidc[0].name = SignInName("corp");
  out.keep.push_back({Prefix::parse("203.0.113.0/24").value(), "ops", "why", {}});
  return out;
}

struct Row {
  const char* name;
  std::function<void(Config&)> change;
};

const Row kRows[] = {
    {"owner", [](Config& c) { c.owner = OwnerId{2}; }},
    {"listen", [](Config& c) { c.listen.port = 1; }},
    {"listen", [](Config& c) { c.listen.address = IpAddress::parse("203.0.113.1").value(); }},
    {"tls", [](Config& c) { c.tls = TlsFiles{"a", "b"}; }},
    {"public_url", [](Config& c) { c.public_url = "https://k.example"; }},
    {"insecure_http", [](Config& c) { c.insecure_http = true; }},
    {"trusted_proxies", [](Config& c) { c.trusted_proxies.emplace_back(); }},
    {"policy", [](Config& c) { c.policy.directory = "x"; }},
    {"policy", [](Config& c) { c.policy.repository = "x"; }},
    {"policy", [](Config& c) { c.policy.ref = "x"; }},
    {"policy", [](Config& c) { c.policy.poll = Duration::seconds(1); }},
    {"store", [](Config& c) { c.store = "sqlite:///x"; }},
    {"socket", [](Config& c) { c.socket = "/x"; }},
    {"front_user", [](Config& c) { c.front_user = "x"; }},
    {"sign_in.local", [](Config& c) { c.local.enabled = false; }},
    {"sign_in.local", [](Config& c) { c.local.max_session = Duration::hours(1); }},
    {"sign_in.corp", [](Config& c) { c.oidc.clear(); }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].title = "x"; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].issuer = "x"; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].client_id = "x"; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].client_secret = SecretReference{}; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].algorithms = {"ES256"}; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].scopes.clear(); }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].groups_claim = "x"; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].token_auth = TokenAuth::post; }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].allow_networks.emplace_back(); }},
    {"sign_in.corp", [](Config& c) { c.oidc[0].max_session = Duration::hours(1); }},
    {"policy", [](Config& c) { c.policy.pulls = "refs/pull/{number}/head"; }},
    {"notify", [](Config& c) { c.notify.webhooks.emplace_back(); }},
    {"notify", [](Config& c) { c.notify.forge = ForgeSettings{}; }},
    {"keep", [](Config& c) { c.keep.clear(); }},
    {"keep", [](Config& c) { c.keep[0].owner = "x"; }},
    {"operators", [](Config& c) { c.operators.push_back({SignInName("local"), "admins", ""}); }},
};

TEST(ConfigChanges, NamesEachSettingThatChangedAndNoOther) {
  EXPECT_TRUE(changed_settings(config(), config()).empty());
  for (const Row& row : kRows) {
    auto written = config();
    row.change(written);
    EXPECT_EQ(changed_settings(config(), written), std::vector<std::string>{row.name});
    EXPECT_EQ(changed_settings(written, config()), std::vector<std::string>{row.name});
  }
}

TEST(ConfigChanges, WhereItStandsInTheFileIsNoChange) {
  auto written = config();
  written.oidc[0].origin.line = written.keep[0].origin.line = 99;
  EXPECT_TRUE(changed_settings(config(), written).empty());
}

}  // namespace
}  // namespace knock
