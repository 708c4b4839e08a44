// SPDX-License-Identifier: Apache-2.0
#include "schemas/config/notify.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/config/parse.h"
#include "schemas/config/url.h"

namespace knock {
namespace {

/// A webhook's path often is its secret, so nothing of an address is repeated.
std::string read_address(Findings& findings, const YamlNode& node, std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word) return "";
  auto url = parse_plain_url(*word);
  bool web = url && (url->scheme == "https" || url->scheme == "http") && !url->userinfo;
  if (!web) {
    findings.error(Check::bad_url, node.place, fmt::format("`{}` is not an address", key),
                   "write https://HOST/PATH, without a user in it");
    return "";
  }
  if (url->scheme == "http" && !url->on_loopback()) {
    findings.error(Check::plain_http, node.place,
                   fmt::format("`{}` is plain http: whoever sits on the way could read it", key),
                   "write https://; http:// is for 127.0.0.1 or [::1]");
    return "";
  }
  while (word->ends_with('/')) word->pop_back();
  return *word;
}

std::vector<Prefix> read_networks(Findings& findings, const YamlNode& node) {
  std::vector<Prefix> out;
  read_list(findings, node, "allow_networks", false, [&](const YamlNode& item) {
    if (auto prefix = read_prefix(findings, item, "allow_networks")) out.push_back(*prefix);
  });
  std::ranges::sort(out);
  return out;
}

void read_webhook(Findings& findings, const YamlNode& node, std::string_view base,
                  NotifySettings& notify) {
  Fields fields(findings, node, "a webhook");
  if (!fields.is_map()) return;
  WebhookSettings hook;
  if (const auto* url = fields.need("url")) hook.url = read_address(findings, *url, "url");
  if (const auto* secret = fields.need("secret"))
    hook.secret = read_secret(findings, *secret, "secret", base).value_or(SecretReference{});
  if (const auto* events = fields.take("events"))
    read_list(findings, *events, "events", true, [&](const YamlNode& item) {
      constexpr std::string_view kWords[] = {"policy", "guard", "target"};
      if (auto word = read_choice(findings, item, "events", {"policy", "guard", "target"}))
        hook.events.emplace_back(kWords[*word]);
    });
  if (const auto* networks = fields.take("allow_networks"))
    hook.allow_networks = read_networks(findings, *networks);
  fields.finish();
  notify.webhooks.push_back(std::move(hook));
}

bool is_project(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
  return text.find('/') != std::string_view::npos && !text.starts_with('/') &&
         !text.ends_with('/') && text.size() <= 200 && text.find("//") == std::string_view::npos &&
         text.find("..") == std::string_view::npos &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

/// What is found is planned against the branch that is followed, once it was fetched.
void read_watch(Findings& findings, const YamlNode& node, const PolicyLocation* policy,
                ForgeSettings& forge) {
  forge.watch = read_choice(findings, node, "watch", {"pulls"}).has_value();
  if (!forge.watch || policy == nullptr) return;
  if (policy->pulls.empty())
    findings.error(Check::missing_key, node.place,
                   "`watch` needs `pulls` below `policy`: nothing says where the repository keeps "
                   "what a pull request brings",
                   policy->repository.empty()
                       ? "a folder has no pull requests: write policy: {repo: …, pulls: github}"
                       : "add pulls: github or pulls: gitlab to `policy`");
  else if (followed_branch(*policy).empty())
    findings.error(Check::bad_ref, node.place,
                   "`watch` needs a branch: pull requests go to none of the others that "
                   "`policy.ref` may name",
                   "write ref: main below `policy`, or leave `watch` out");
}

void read_forge(Findings& findings, const YamlNode& node, std::string_view base,
                const PolicyLocation* policy, NotifySettings& notify) {
  Fields fields(findings, node, "`forge`");
  if (!fields.is_map()) return;
  ForgeSettings forge;
  if (const auto* type = fields.need("type"))
    if (auto word = read_choice(findings, *type, "type", {"github", "gitlab"}))
      forge.type = ForgeSettings::Type(*word);
  if (const auto* api = fields.need("api")) forge.api = read_address(findings, *api, "api");
  if (const auto* project = fields.need("project")) {
    forge.project = read_word(findings, *project, "project").value_or("a/b");
    if (!is_project(forge.project))
      findings.error(Check::bad_url, project->place, "`project` is no name of a project",
                     "write it as the forge's addresses do: ops/policy");
  }
  if (const auto* token = fields.need("token"))
    forge.token = read_secret(findings, *token, "token", base).value_or(SecretReference{});
  if (const auto* post = fields.take("post"))
    forge.post = read_boolean(findings, *post, "post").value_or(false);
  if (const auto* watch = fields.take("watch")) read_watch(findings, *watch, policy, forge);
  if (const auto* networks = fields.take("allow_networks"))
    forge.allow_networks = read_networks(findings, *networks);
  fields.finish();
  notify.forge = std::move(forge);
}

}  // namespace

void read_notify(Findings& findings, const YamlNode& node, std::string_view base_directory,
                 const PolicyLocation* policy, NotifySettings& notify) {
  Fields fields(findings, node, "`notify`");
  if (!fields.is_map()) return;
  if (const auto* hooks = fields.take("webhooks")) {
    read_list(findings, *hooks, "webhooks", true, [&](const YamlNode& item) {
      if (notify.webhooks.size() < NotifySettings::kMostWebhooks)
        read_webhook(findings, item, base_directory, notify);
    });
    if (hooks->is_sequence() && hooks->children.size() > NotifySettings::kMostWebhooks)
      findings.error(Check::bad_url, hooks->place,
                     fmt::format("more than {} webhooks", NotifySettings::kMostWebhooks),
                     "let one of them tell the others");
  }
  if (const auto* forge = fields.take("forge"))
    read_forge(findings, *forge, base_directory, policy, notify);
  fields.finish();
}

}  // namespace knock
