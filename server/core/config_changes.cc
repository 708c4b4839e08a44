// SPDX-License-Identifier: Apache-2.0
#include "server/core/config_changes.h"

#include <set>
#include <tuple>

namespace knock {
namespace {

auto values(const std::optional<SecretReference>& secret) {
  return secret ? std::pair(int(secret->kind), secret->value) : std::pair(-1, std::string());
}

auto values(const OidcSettings& oidc) {
  return std::tuple(oidc.name, oidc.title, oidc.issuer, oidc.client_id, values(oidc.client_secret),
                    oidc.token_auth, oidc.algorithms, oidc.scopes, oidc.groups_claim,
                    oidc.allow_networks, oidc.max_session);
}

auto values(const std::optional<TlsFiles>& tls) {
  return tls ? std::pair(tls->certificate, tls->key) : std::pair(std::string(), std::string());
}

auto values(const PolicyLocation& policy) {
  return std::tuple(policy.directory, policy.repository, policy.ref, policy.poll,
                    policy.require_signed, policy.advance, policy.pulls);
}

auto values(const SecretReference& secret) { return std::pair(int(secret.kind), secret.value); }

auto values(const NotifySettings& notify) {
  std::vector<std::tuple<std::string, std::pair<int, std::string>, std::vector<std::string>,
                         std::vector<Prefix>>>
      hooks;
  for (const WebhookSettings& hook : notify.webhooks)
    hooks.emplace_back(hook.url, values(hook.secret), hook.events, hook.allow_networks);
  auto forge = notify.forge.value_or(ForgeSettings{});
  return std::tuple(hooks, notify.forge.has_value(), forge.type, forge.api, forge.project,
                    values(forge.token), forge.post, forge.allow_networks);
}

auto values(const std::vector<KeepPrefix>& keep) {
  std::vector<std::tuple<Prefix, std::string, std::string>> out;
  for (const KeepPrefix& each : keep) out.emplace_back(each.prefix, each.owner, each.reason);
  return out;
}

auto values(const std::vector<OperatorEntry>& operators) {
  std::vector<std::tuple<SignInName, std::string, std::string>> out;
  for (const OperatorEntry& each : operators) out.emplace_back(each.from, each.group, each.user);
  return out;
}

const OidcSettings* named(const Config& config, const SignInName& name) {
  for (const OidcSettings& oidc : config.oidc)
    if (oidc.name == name) return &oidc;
  return nullptr;
}

void add_sign_ins(const Config& running, const Config& written, std::vector<std::string>& out) {
  if (std::tuple(running.local.enabled, running.local.max_session) !=
      std::tuple(written.local.enabled, written.local.max_session))
    out.push_back("sign_in.local");
  std::set<SignInName> names;
  for (const auto* config : {&running, &written})
    for (const OidcSettings& oidc : config->oidc) names.insert(oidc.name);
  for (const SignInName& name : names) {
    const auto *before = named(running, name), *after = named(written, name);
    if (before == nullptr || after == nullptr || values(*before) != values(*after))
      out.push_back("sign_in." + name.value);
  }
}

}  // namespace

std::vector<std::string> changed_settings(const Config& running, const Config& written) {
  std::vector<std::string> out;
  auto compare = [&](const char* key, const auto& before, const auto& after) {
    if (before != after) out.emplace_back(key);
  };
  compare("owner", running.owner, written.owner);
  compare("listen", std::pair(running.listen.address, running.listen.port),
          std::pair(written.listen.address, written.listen.port));
  compare("tls", values(running.tls), values(written.tls));
  compare("public_url", running.public_url, written.public_url);
  compare("insecure_http", running.insecure_http, written.insecure_http);
  compare("trusted_proxies", running.trusted_proxies, written.trusted_proxies);
  compare("policy", values(running.policy), values(written.policy));
  compare("store", running.store, written.store);
  compare("socket", running.socket, written.socket);
  compare("front_user", running.front_user, written.front_user);
  add_sign_ins(running, written, out);
  compare("keep", values(running.keep), values(written.keep));
  compare("operators", values(running.operators), values(written.operators));
  compare("notify", values(running.notify), values(written.notify));
  return out;
}

}  // namespace knock
