// SPDX-License-Identifier: Apache-2.0
#include "sso/jose/jws.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>

#include "base/random.h"
#include "base/text.h"
#include "schemas/json/strict_json.h"
#include "sso/jose/signature.h"

namespace knock::sso {
namespace {

namespace json = boost::json;

struct Token {
  json::object header;
  std::string algorithm, key_id;
  bool has_key_id = false;
  std::string payload, signature;
  std::string_view signed_text;
};

/// What the checks look at; later ones find what earlier ones chose.
struct Work {
  Token token;
  const KeySet* keys;
  const std::vector<Algorithm>* accepted;
  std::optional<Algorithm> algorithm;
  std::vector<const PublicKey*> candidates;
};

using Why = std::optional<std::string>;

Why algorithm_is_accepted(Work& work) {
  auto& accepted = *work.accepted;
  if (std::any_of(accepted.begin(), accepted.end(),
                  [&](auto& a) { return a.name == work.token.algorithm; }))
    return std::nullopt;
  return fmt::format("the token is signed with {}, which algorithms of this sign-in does not list",
                     printable(work.token.algorithm.substr(0, 40)));
}

Why nothing_critical(Work& work) {
  if (!work.token.header.contains("crit")) return std::nullopt;
  return "the token's header names extensions that must be understood (crit), and knock has none";
}

Why payload_is_encoded(Work& work) {
  if (!work.token.header.contains("b64")) return std::nullopt;
  return "the token's header speaks of an unencoded payload (b64), which ID tokens never have";
}

/// A key that travels with the token proves only that its sender has a key.
Why no_key_of_its_own(Work& work) {
  for (auto name : {"jwk", "jku", "x5c", "x5u"})
    if (work.token.header.contains(name))
      return fmt::format("the token's header brings its own key ({})", name);
  return std::nullopt;
}

/// Explicit typing (RFC 8725 section 3.11): an access token or a logout token is not an ID token.
Why type_is_jwt(Work& work) {
  auto* type = work.token.header.if_contains("typ");
  if (type == nullptr) return std::nullopt;
  if (type->is_string() && (type->as_string() == "JWT" || type->as_string() == "jwt"))
    return std::nullopt;
  return "the token's header says that it is something else than a JWT (typ)";
}

Why key_is_known(Work& work) {
  for (auto& key : work.keys->keys()) {
    bool fits = work.token.has_key_id ? key.id == work.token.key_id
                                      : work.algorithm && !key.unfit_for(*work.algorithm);
    if (fits) work.candidates.push_back(&key);
  }
  if (!work.candidates.empty()) return std::nullopt;
  return work.token.has_key_id
             ? fmt::format("the provider does not publish the key {} the token is signed with",
                           printable(work.token.key_id.substr(0, 100)))
             : "the token names no key, and the provider publishes none that fits";
}

Why key_is_the_only_one(Work& work) {
  if (work.candidates.size() == 1) return std::nullopt;
  return "the token names no key, and the provider publishes several that fit";
}

Why key_fits(Work& work) {
  if (!work.algorithm) return std::nullopt;
  auto why = work.candidates.front()->unfit_for(*work.algorithm);
  if (!why) return std::nullopt;
  return fmt::format("the key {} must not be used: {}",
                     printable(work.candidates.front()->id.substr(0, 100)), *why);
}

Why signature_matches(Work& work) {
  if (work.algorithm && signature_is_good(*work.algorithm, *work.candidates.front(),
                                          work.token.signed_text, work.token.signature))
    return std::nullopt;
  return "the token's signature is not the provider's";
}

struct Check {
  std::string_view code;
  Why (*wrong)(Work&);
};

constexpr Check kChecks[] = {
    {"token.algorithm", algorithm_is_accepted},
    {"token.critical", nothing_critical},
    {"token.unencoded", payload_is_encoded},
    {"token.embedded_key", no_key_of_its_own},
    {"token.type", type_is_jwt},
    {"token.key_unknown", key_is_known},
    {"token.key_ambiguous", key_is_the_only_one},
    {"token.key_unfit", key_fits},
    {"token.signature", signature_matches},
};

tl::unexpected<Refusal> malformed(std::string why) {
  return refuse("token.format", "the token is not one: " + std::move(why));
}

Verdict<json::object> read_header(std::string_view part) {
  std::string text;
  if (!base64url_decode(part, text)) return malformed("its header is not base64url");
  auto document = parse_strict(text);
  if (!document) return malformed("its header: " + document.error().message);
  if (!document->is_object()) return malformed("its header is not an object");
  return std::move(document->as_object());
}

Verdict<Token> read_token(std::string_view text) {
  if (text.size() > kLongestToken) return malformed("it is too long");
  auto parts = split(text, '.');
  if (parts.size() != 3) return malformed("it does not have three parts");
  Token out;
  auto header = read_header(parts[0]);
  if (!header) return tl::unexpected(header.error());
  out.header = std::move(*header);
  auto* algorithm = out.header.if_contains("alg");
  if (algorithm == nullptr || !algorithm->is_string())
    return malformed("its header has no \"alg\"");
  out.algorithm = algorithm->as_string();
  if (auto* id = out.header.if_contains("kid")) {
    if (!id->is_string()) return malformed("its \"kid\" is not text");
    out.key_id = id->as_string();
    out.has_key_id = true;
  }
  if (!base64url_decode(parts[1], out.payload)) return malformed("its payload is not base64url");
  if (!base64url_decode(parts[2], out.signature))
    return malformed("its signature is not base64url");
  out.signed_text = text.substr(0, parts[0].size() + 1 + parts[1].size());
  return out;
}

}  // namespace

Verdict<std::string> verify_jws(std::string_view text, const KeySet& keys,
                                const std::vector<Algorithm>& accepted) {
  auto token = read_token(text);
  if (!token) return tl::unexpected(token.error());
  Work work{std::move(*token), &keys, &accepted, std::nullopt, {}};
  work.algorithm = algorithm_named(work.token.algorithm);
  for (auto& check : kChecks) {
    if (auto why = check.wrong(work)) return refuse(check.code, *std::move(why));
  }
  return std::move(work.token.payload);
}

}  // namespace knock::sso
