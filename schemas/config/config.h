// SPDX-License-Identifier: Apache-2.0
// knock.yaml: what belongs to whoever runs the machine and not into the policy repository, because it names secrets.
// Same loader and diagnostics as policy. Secrets are references (env:NAME, file:PATH, exec:COMMAND), never literals.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/prefix.h"
#include "base/time.h"
#include "schemas/config/notify.h"
#include "schemas/config/policy_location.h"
#include "schemas/config/secret_reference.h"
#include "schemas/diagnostic.h"

namespace knock {

struct ListenAddress {
  IpAddress address;
  std::uint16_t port = 8443;
};

struct TlsFiles {
  std::string certificate;  // PEM chain
  std::string key;          // PEM
};

struct KeepPrefix {
  Prefix prefix;
  std::string owner;
  std::string reason;
  SourceRange origin;
};

/// Somebody who operates this installation: members of a group, or one person.
struct OperatorEntry {
  SignInName from;    // a source of `sign_in`, or "local"
  std::string group;  // as the source names it; "": `user`
  std::string user;   // the subject
};

/// How the client's secret reaches the provider's token endpoint (OpenID Connect Core 1.0, section
/// 9). `discovered`: as the provider says it takes it, Basic where it takes both.
enum class TokenAuth : std::uint8_t { discovered, basic, post };

/// An OpenID provider.
struct OidcSettings {
  SignInName name;
  std::string title;  // on the button; the name when empty
  std::string issuer;
  std::string client_id;
  std::optional<SecretReference> client_secret;
  TokenAuth token_auth = TokenAuth::discovered;
  std::vector<std::string> algorithms{
      "RS256"};  // accepted for ID tokens; never taken from the token
  std::vector<std::string> scopes{"openid", "profile", "email"};
  std::string groups_claim = "groups";
  std::vector<Prefix> allow_networks;  // loopback and private addresses the provider may have
  Duration max_session = Duration::hours(12);
  SourceRange origin;
};

struct LocalSettings {
  bool enabled = true;
  Duration max_session = Duration::hours(12);
};

struct Config {
  OwnerId owner;
  ListenAddress listen;
  std::string
      public_url;  // "https://knock.example.org"; derived from listen when empty and on loopback
  std::optional<TlsFiles> tls;
  bool insecure_http = false;
  std::vector<Prefix> trusted_proxies;
  std::string store = "sqlite:///var/lib/knock/knock.db";
  std::string store_path() const;  // of a sqlite:// store
  std::string socket = "/run/knock/admin.sock";
  std::string front_user = "nobody";
  SourceRange front_user_origin;  // line 0 when it is not written
  PolicyLocation policy;
  LocalSettings local;
  std::vector<OidcSettings> oidc;
  std::vector<KeepPrefix> keep;          // never wider than /24 or /48
  std::vector<OperatorEntry> operators;  // whom no policy cuts unseen
  NotifySettings notify;
};

struct ConfigLoad {
  std::optional<Config> config;  // set exactly when there are no errors
  Diagnostics diagnostics;
};

/// Pure: relative paths inside are resolved against `base_directory`.
ConfigLoad load_config(std::string_view file_name, std::string_view content,
                       std::string_view base_directory);

}  // namespace knock
