// SPDX-License-Identifier: Apache-2.0
#include "sso/oidc/client.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/text.h"
#include "schemas/json/strict_json.h"

namespace knock::sso {
namespace {

namespace json = boost::json;

constexpr std::size_t kDocumentBytes = 256
                                       << 10;  // the largest public providers stay below a tenth

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  out.resize(std::size_t(length));
  return out;
}

/// One half of Basic credentials is form-encoded first (RFC 6749 section 2.3.1).
std::string encoded(std::string_view text) {
  return net::encode_form({{"", std::string(text)}}).substr(1);
}

tl::unexpected<Refusal> from_network(std::string_view what, const Error& error) {
  auto code = error.kind == ErrorKind::unauthorized ? "provider.address"
              : error.kind == ErrorKind::invalid    ? "provider.answer"
                                                    : "provider.unreachable";
  return refuse(code, fmt::format("asking the provider for {}: {}", what, error.text()));
}

Verdict<std::string> get(net::HttpClient& http, const std::string& url, std::string_view what,
                         Deadline deadline) {
  auto answer =
      http.send({"GET", url, {{"Accept", "application/json"}}, "", kDocumentBytes}, deadline);
  if (!answer) return from_network(what, answer.error());
  if (answer->status != 200)
    return refuse("provider.status", fmt::format("asking the provider for {}: it answered HTTP {}",
                                                 what, answer->status));
  return std::move(answer->body);
}

tl::unexpected<Refusal> busy() {
  return refuse("provider.unreachable", "the provider did not answer in time");
}

/// What the provider says when it will not give a token (RFC 6749 section 5.2). Only `error` is
/// shown: a description may repeat what we sent.
tl::unexpected<Refusal> token_refused(const net::IncomingResponse& answer) {
  std::string error;
  auto document = parse_strict(answer.body);
  if (document && document->is_object()) {
    auto* value = document->as_object().if_contains("error");
    if (value != nullptr && value->is_string())
      error = printable(std::string_view(value->as_string()).substr(0, 60));
  }
  if (error == "invalid_client" || answer.status == 401)
    return refuse("provider.client",
                  "the provider does not accept our client id and secret: compare them with "
                  "what the provider shows, and token_auth with how it wants to be told");
  if (error == "invalid_grant")
    return refuse("code.refused",
                  "the provider does not accept the code: it was used before, is too old, or was "
                  "made for somebody else");
  return refuse("provider.status",
                fmt::format("exchanging the code: the provider answered HTTP {}{}{}", answer.status,
                            error.empty() ? "" : " ", error));
}

}  // namespace

Verdict<std::unique_ptr<OidcClient>> OidcClient::make(OidcSettings settings,
                                                      std::optional<Secret> client_secret,
                                                      const Clock& clock) {
  if (!is_acceptable_url(settings.issuer) || settings.issuer.find('?') != settings.issuer.npos)
    return refuse("settings.issuer",
                  fmt::format("sign_in {}: the issuer {} must be an https address, or http on "
                              "loopback",
                              printable(settings.name.value), printable(settings.issuer)));
  std::unique_ptr<OidcClient> out(
      new OidcClient(std::move(settings), std::move(client_secret), clock));
  for (auto& name : out->settings_.algorithms) {
    auto algorithm = algorithm_named(name);
    if (!algorithm)
      return refuse("settings.algorithm",
                    fmt::format("sign_in {}: {} is not an algorithm knock verifies; write "
                                "one of RS256 PS256 ES256 EdDSA (or 384, 512)",
                                printable(out->settings_.name.value), printable(name)));
    out->expected_.algorithms.push_back(*algorithm);
  }
  return out;
}

OidcClient::OidcClient(OidcSettings settings, std::optional<Secret> client_secret,
                       const Clock& clock)
    : settings_(std::move(settings)), client_secret_(std::move(client_secret)), clock_(clock) {
  expected_.issuer = settings_.issuer;
  expected_.client_id = settings_.client_id;
  expected_.groups_claim = settings_.groups_claim;
}

bool OidcClient::fresh(MonotonicTime fetched, Duration age) const {
  return clock_.monotonic() - fetched < age.chrono();
}

Verdict<std::shared_ptr<const Discovery>> OidcClient::discovery(net::HttpClient& http,
                                                                Deadline deadline) {
  std::unique_lock lock(mutex_, deadline.at);
  if (!lock) return busy();
  if (discovery_.value && fresh(discovery_.fetched, kMetadataAge)) return discovery_.value;
  auto text = get(http, discovery_url(settings_.issuer), "its description", deadline);
  if (!text) return tl::unexpected(text.error());
  auto parsed = parse_discovery(*text, settings_.issuer, settings_.algorithms);
  if (!parsed) return tl::unexpected(parsed.error());
  discovery_ = {std::make_shared<const Discovery>(std::move(*parsed)), clock_.monotonic()};
  return discovery_.value;
}

Verdict<std::shared_ptr<const KeySet>> OidcClient::keys(net::HttpClient& http,
                                                        const Discovery& about,
                                                        const KeySet* unknown_to,
                                                        Deadline deadline) {
  std::unique_lock lock(mutex_, deadline.at);
  if (!lock) return busy();
  bool current = keys_.value && fresh(keys_.fetched, kMetadataAge);
  // Somebody else may have fetched a newer set meanwhile: then that one is tried first.
  if (current && keys_.value.get() != unknown_to) return keys_.value;
  if (current && refetched_ && fresh(*refetched_, kKeyRefetch)) return keys_.value;
  if (current) refetched_ = clock_.monotonic();
  auto text = get(http, about.jwks_uri, "its keys", deadline);
  if (!text) return tl::unexpected(text.error());
  auto parsed = KeySet::parse(*text);
  if (!parsed) return tl::unexpected(parsed.error());
  keys_ = {std::make_shared<const KeySet>(std::move(*parsed)), clock_.monotonic()};
  return keys_.value;
}

Verdict<std::string> OidcClient::authorization_url(net::HttpClient& http,
                                                   std::string_view redirect_uri,
                                                   std::string_view state, std::string_view nonce,
                                                   std::string_view challenge,
                                                   std::optional<Duration> max_age,
                                                   Deadline deadline) {
  auto about = discovery(http, deadline);
  if (!about) return tl::unexpected(about.error());
  auto& endpoint = (*about)->authorization_endpoint;
  std::vector<std::pair<std::string, std::string>> query{
      {"response_type", "code"},
      {"client_id", settings_.client_id},
      {"redirect_uri", std::string(redirect_uri)},
      {"scope", join(settings_.scopes, " ")},
      {"state", std::string(state)},
      {"nonce", std::string(nonce)},
      {"code_challenge", std::string(challenge)},
      {"code_challenge_method", "S256"}};
  // With it the token must say when the sign-in was (OpenID Connect Core section 3.1.2.1).
  if (max_age) query.emplace_back("max_age", std::to_string(max_age->ms / 1000));
  return endpoint + (endpoint.find('?') == endpoint.npos ? "?" : "&") + net::encode_form(query);
}

Verdict<std::string> OidcClient::token(net::HttpClient& http, const Discovery& about,
                                       const CodeExchange& code, Deadline deadline) {
  net::OutgoingRequest request{
      "POST", about.token_endpoint, {{"Accept", "application/json"}}, "", kDocumentBytes};
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  std::vector<std::pair<std::string, std::string>> form = {{"grant_type", "authorization_code"},
                                                           {"code", code.code},
                                                           {"redirect_uri", code.redirect_uri},
                                                           {"code_verifier", code.pkce_verifier}};
  bool in_body = settings_.token_auth == TokenAuth::discovered
                     ? about.client_secret_in_body
                     : settings_.token_auth == TokenAuth::post;
  if (!client_secret_ || in_body) form.emplace_back("client_id", settings_.client_id);
  if (client_secret_ && in_body)
    form.emplace_back("client_secret", client_secret_->reveal());
  else if (client_secret_)
    request.headers.emplace_back(
        "Authorization",
        "Basic " + base64(encoded(settings_.client_id) + ":" + encoded(client_secret_->reveal())));
  request.body = net::encode_form(form);
  auto answer = http.send(request, deadline);
  if (!answer) return from_network("a token", answer.error());
  if (answer->status != 200) return token_refused(*answer);
  auto document = parse_strict(answer->body);
  auto* object = document ? document->if_object() : nullptr;
  auto* id_token = object == nullptr ? nullptr : object->if_contains("id_token");
  if (id_token == nullptr || !id_token->is_string())
    return refuse("provider.answer",
                  "the provider's answer to the code holds no id_token: is the scope openid among "
                  "this sign-in's scopes?");
  return std::string(id_token->as_string());
}

Verdict<IdToken> OidcClient::exchange(net::HttpClient& http, const CodeExchange& code, Instant now,
                                      Deadline deadline) {
  auto about = discovery(http, deadline);
  if (!about) return tl::unexpected(about.error());
  // Mix-up (RFC 9207): an answer of another provider must not be spent at this one.
  if (code.issuer.empty() ? (*about)->names_itself_in_callback : code.issuer != settings_.issuer)
    return refuse("callback.issuer",
                  code.issuer.empty()
                      ? "the callback does not say which provider it comes from (iss)"
                      : "the callback comes from another provider (iss)");
  if (code.nonce.empty() || code.code.empty())
    return refuse("code.missing", "there is no code to exchange, or no nonce to expect");
  auto token_text = token(http, **about, code, deadline);
  if (!token_text) return tl::unexpected(token_text.error());
  auto expected = expected_;
  expected.nonce = code.nonce;
  expected.claims = code.claims;
  auto key_set = keys(http, **about, nullptr, deadline);
  if (!key_set) return tl::unexpected(key_set.error());
  auto verdict = verify_id_token(*token_text, **key_set, expected, now);
  if (verdict || verdict.error().code != "token.key_unknown") return verdict;
  auto newer = keys(http, **about, key_set->get(), deadline);
  if (!newer) return tl::unexpected(newer.error());
  return *newer == *key_set ? verdict : verify_id_token(*token_text, **newer, expected, now);
}

}  // namespace knock::sso
