// SPDX-License-Identifier: Apache-2.0
// The authorization code flow with one OpenID provider (OpenID Connect Core 1.0 section 3.1, RFC
// 7636, RFC 9207). State, nonce and the PKCE verifier are core's to make and to use once; this
// class fetches and checks.
//
// What the provider says about itself and its keys are kept for an hour. A token signed with a key
// we do not know makes us fetch the keys again, at most once a minute, so that strangers cannot
// make us hammer the provider.
//
// Any thread; each brings its own HttpClient. While one fetches, others that need the same wait for
// it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/secret.h"
#include "base/time.h"
#include "net/http_client.h"
#include "schemas/config/config.h"
#include "sso/oidc/discovery.h"
#include "sso/oidc/id_token.h"

namespace knock::sso {

inline constexpr Duration kMetadataAge = Duration::hours(1);
inline constexpr Duration kKeyRefetch = Duration::seconds(60);

struct CodeExchange {
  std::string redirect_uri, code, pkce_verifier, nonce;
  std::string issuer;                    // the callback's `iss`; empty when there was none
  std::vector<std::string> claims = {};  // Expectations::claims
};

class OidcClient {
 public:
  /// Codes: settings.issuer, settings.algorithm. Without a secret the client is a public one.
  static Verdict<std::unique_ptr<OidcClient>> make(OidcSettings settings,
                                                   std::optional<Secret> client_secret,
                                                   const Clock& clock);

  /// Where to send the browser. Codes: provider.*, discovery.*.
  Verdict<std::string> authorization_url(net::HttpClient& http, std::string_view redirect_uri,
                                         std::string_view state, std::string_view nonce,
                                         std::string_view challenge,
                                         std::optional<Duration> max_age, Deadline deadline);

  /// A code for an ID token that passed every check at `now`. Codes: callback.issuer, code.refused,
  /// provider.*, discovery.*, keys.*, token.*.
  Verdict<IdToken> exchange(net::HttpClient& http, const CodeExchange& code, Instant now,
                            Deadline deadline);

  const OidcSettings& settings() const { return settings_; }

 private:
  template <class T>
  struct Kept {
    std::shared_ptr<const T> value;
    MonotonicTime fetched{};
  };

  OidcClient(OidcSettings settings, std::optional<Secret> client_secret, const Clock& clock);
  Verdict<std::shared_ptr<const Discovery>> discovery(net::HttpClient& http, Deadline deadline);
  /// `unknown_to`: a set that lacked the key we need; null when none was tried yet.
  Verdict<std::shared_ptr<const KeySet>> keys(net::HttpClient& http, const Discovery& about,
                                              const KeySet* unknown_to, Deadline deadline);
  Verdict<std::string> token(net::HttpClient& http, const Discovery& about,
                             const CodeExchange& code, Deadline deadline);
  bool fresh(MonotonicTime fetched, Duration age) const;

  const OidcSettings settings_;
  const std::optional<Secret> client_secret_;
  const Clock& clock_;
  Expectations expected_;  // without the nonce

  std::timed_mutex mutex_;  // held while fetching; everything below
  Kept<Discovery> discovery_;
  Kept<KeySet> keys_;
  std::optional<MonotonicTime> refetched_;
};

}  // namespace knock::sso
