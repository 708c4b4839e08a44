// SPDX-License-Identifier: Apache-2.0
// `notify:` of knock.yaml: who is told what happens, beside the log (docs/notifications.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/prefix.h"
#include "schemas/config/secret_reference.h"

namespace knock {

struct WebhookSettings {
  std::string url;                     // https, or http on loopback; its path may be a secret
  SecretReference secret;              // that messages are signed with
  std::vector<std::string> events;     // "policy", "guard", "target"; empty: all of them
  std::vector<Prefix> allow_networks;  // loopback and private addresses that it may have
};

/// Where changes are reviewed: it gets commit statuses, and comments.
struct ForgeSettings {
  enum class Type : std::uint8_t { github, gitlab };
  Type type = Type::github;
  std::string api;      // "https://api.github.com", "https://gitlab.example.org/api/v4"
  std::string project;  // "ops/policy"
  SecretReference token;
  bool post = false;   // plans of pull requests, as comments
  bool watch = false;  // `watch: pulls`: open ones are looked for, and planned
  std::vector<Prefix> allow_networks;
};

struct NotifySettings {
  static constexpr std::size_t kMostWebhooks = 8;
  std::vector<WebhookSettings> webhooks;
  std::optional<ForgeSettings> forge;
  bool empty() const { return webhooks.empty() && !forge; }
};

}  // namespace knock
