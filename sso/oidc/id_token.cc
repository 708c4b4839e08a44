// SPDX-License-Identifier: Apache-2.0
#include "sso/oidc/id_token.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>

#include "base/text.h"
#include "schemas/json/strict_json.h"
#include "sso/jose/jws.h"

namespace knock::sso {
namespace {

namespace json = boost::json;
using Why = std::optional<std::string>;

struct Work {
  json::object claims;
  const Expectations* expected;
  Instant now;
};

std::string shown(std::string_view text) { return printable(text.substr(0, 200)); }

std::optional<std::string_view> text(const Work& work, std::string_view name) {
  auto* value = work.claims.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string_view(value->as_string());
}

/// Whole seconds since 1970 up to the year 9999. Fractions are allowed by RFC 7519 and sent by
/// nobody we know.
std::optional<Instant> time(const Work& work, std::string_view name) {
  auto* value = work.claims.if_contains(name);
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  auto seconds = value->as_int64();
  if (seconds < 0 || seconds > 253'402'300'799) return std::nullopt;
  return Instant::from_seconds(seconds);
}

bool has(const Work& work, std::string_view name) { return work.claims.contains(name); }

Why issuer_is_the_provider(const Work& work) {
  auto issuer = text(work, "iss");
  if (!issuer) return "the token names no issuer";
  if (*issuer == work.expected->issuer) return std::nullopt;
  return fmt::format("the token was issued by {}", shown(*issuer));
}

/// The audiences; nothing when the claim has another shape than RFC 7519 section 4.1.3 allows.
std::optional<std::vector<std::string>> audiences(const Work& work) {
  if (auto one = text(work, "aud")) return std::vector<std::string>{std::string(*one)};
  auto* list = work.claims.if_contains("aud");
  if (list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<std::string> out;
  for (auto& each : list->as_array()) {
    if (!each.is_string()) return std::nullopt;
    out.emplace_back(each.as_string());
  }
  return out;
}

Why audience_is_us(const Work& work) {
  auto all = audiences(work);
  if (!all) return "the token names no audience";
  if (std::find(all->begin(), all->end(), work.expected->client_id) != all->end())
    return std::nullopt;
  return fmt::format("the token is for another application ({})", shown(join(*all, ", ")));
}

Why authorized_party_is_us(const Work& work) {
  auto party = text(work, "azp");
  if (has(work, "azp") && (!party || *party != work.expected->client_id))
    return "the token was given to another application (azp)";
  auto all = audiences(work);
  if (all && all->size() > 1 && !party)
    return "the token is for several applications and does not say which one asked (azp)";
  return std::nullopt;
}

Why subject_is_sane(const Work& work) {
  auto subject = text(work, "sub");
  if (!subject || subject->empty()) return "the token names no subject";
  if (subject->size() > 255) return "the token's subject is longer than 255 bytes";
  if (printable(*subject) != *subject)
    return fmt::format("the token's subject holds characters that cannot be shown ({})",
                       shown(*subject));
  return std::nullopt;
}

Why not_expired(const Work& work) {
  auto expires = time(work, "exp");
  if (!expires) return "the token does not say when it expires";
  if (work.now < *expires + kClockSkew) return std::nullopt;
  return fmt::format("the token expired at {}, and it is {}: if it is fresh, compare the clocks",
                     to_string(*expires), to_string(work.now));
}

Why already_valid(const Work& work) {
  if (!has(work, "nbf")) return std::nullopt;
  auto start = time(work, "nbf");
  if (start && *start <= work.now + kClockSkew) return std::nullopt;
  return "the token is not valid yet (nbf): compare the clocks";
}

Why issued_in_the_past(const Work& work) {
  auto issued = time(work, "iat");
  if (!issued) return "the token does not say when it was issued";
  if (*issued <= work.now + kClockSkew) return std::nullopt;
  return fmt::format("the token was issued at {}, and it is {}: compare the clocks",
                     to_string(*issued), to_string(work.now));
}

Why nonce_is_ours(const Work& work) {
  auto nonce = text(work, "nonce");
  if (nonce && !nonce->empty() && *nonce == work.expected->nonce) return std::nullopt;
  return "the token was not made for this sign-in (nonce)";
}

Why authenticated_in_the_past(const Work& work) {
  if (!has(work, "auth_time")) return std::nullopt;
  auto when = time(work, "auth_time");
  if (when && *when <= work.now + kClockSkew) return std::nullopt;
  return "the time of authentication is no time in the past (auth_time)";
}

/// Some providers leave groups out when there are too many and put a pointer instead (OpenID
/// Connect Core section 5.6.2).
bool groups_are_elsewhere(const Work& work) {
  auto* names = work.claims.if_contains("_claim_names");
  return names != nullptr && names->is_object() &&
         names->as_object().contains(work.expected->groups_claim);
}

Why groups_are_a_list_of_text(const Work& work) {
  auto& claim = work.expected->groups_claim;
  // Reading "none" here would skip every deny rule for these groups.
  if (groups_are_elsewhere(work))
    return fmt::format(
        "the person has too many groups for the token: let the provider send only those "
        "assigned to this application ({})",
        shown(claim));
  auto* value = work.claims.if_contains(claim);
  if (value == nullptr) return std::nullopt;
  auto* list = value->if_array();
  auto is_name = [](const json::value& each) {
    return each.is_string() && each.as_string().size() <= kLongestGroup;
  };
  if (list == nullptr || list->size() > kMostGroups ||
      !std::all_of(list->begin(), list->end(), is_name))
    return fmt::format("the claim {} is not a list of at most {} names of at most {} bytes",
                       shown(claim), kMostGroups, kLongestGroup);
  return std::nullopt;
}

struct Check {
  std::string_view code;
  Why (*wrong)(const Work&);
};

constexpr Check kChecks[] = {
    {"token.issuer", issuer_is_the_provider},
    {"token.audience", audience_is_us},
    {"token.authorized_party", authorized_party_is_us},
    {"token.subject", subject_is_sane},
    {"token.expired", not_expired},
    {"token.not_before", already_valid},
    {"token.issued", issued_in_the_past},
    {"token.nonce", nonce_is_ours},
    {"token.auth_time", authenticated_in_the_past},
    {"token.groups", groups_are_a_list_of_text},
};

std::string name_of(const Work& work) {
  for (auto claim : {"preferred_username", "email", "name"}) {
    auto value = text(work, claim);
    if (value && !value->empty() && value->size() <= 200) return std::string(*value);
  }
  return std::string(text(work, "sub").value_or(""));
}

std::vector<std::string> groups_of(const Work& work) {
  std::vector<std::string> out;
  auto* value = work.claims.if_contains(work.expected->groups_claim);
  if (value == nullptr || !value->is_array()) return out;
  for (auto& each : value->as_array())
    if (each.is_string()) out.emplace_back(each.as_string());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::optional<std::string> plain_value(const json::value& value) {
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_int64()) return std::to_string(value.as_int64());
  if (value.is_uint64()) return std::to_string(value.as_uint64());
  if (!value.is_string() || value.as_string().size() > kLongestValue) return std::nullopt;
  return std::string(value.as_string());
}

/// Nothing: it is not said in a way that a rule could be compared with.
std::optional<std::vector<std::string>> values_of(const Work& work, std::string_view claim) {
  auto* said = work.claims.if_contains(claim);
  if (said == nullptr) return std::nullopt;
  std::vector<std::string> out;
  if (auto* list = said->if_array()) {
    if (list->size() > kMostValues) return std::nullopt;
    for (auto& each : *list) {
      auto value = plain_value(each);
      if (!value) return std::nullopt;
      out.push_back(std::move(*value));
    }
  } else if (auto value = plain_value(*said)) {
    out.push_back(std::move(*value));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  if (out.empty()) return std::nullopt;
  return out;
}

std::optional<Instant> second_factor(const Work& work) {
  auto* methods = work.claims.if_contains("amr");
  auto* list = methods != nullptr ? methods->if_array() : nullptr;
  auto when = time(work, "auth_time");
  if (list == nullptr || !when) return std::nullopt;
  bool shown = std::any_of(list->begin(), list->end(), [](const json::value& method) {
    return method.is_string() && method.as_string() == "mfa";
  });
  return shown ? std::optional(std::min(*when, work.now)) : std::nullopt;
}

IdToken take(const Work& work) {
  IdToken out;
  out.issuer = text(work, "iss").value_or("");
  out.subject = text(work, "sub").value_or("");
  out.name = name_of(work);
  out.groups = groups_of(work);
  out.issued = time(work, "iat").value_or(Instant{});
  out.expires = time(work, "exp").value_or(Instant{});
  // A clock ahead of ours must not make a sign-in younger than it can be.
  out.authenticated = std::min(time(work, "auth_time").value_or(out.issued), work.now);
  for (const auto& claim : work.expected->claims)
    if (auto values = values_of(work, claim)) out.claims.emplace(claim, std::move(*values));
  auto acr = text(work, "acr").value_or("");
  if (acr.size() <= kLongestValue) out.acr = acr;
  out.mfa_at = second_factor(work);
  return out;
}

}  // namespace

Verdict<IdToken> verify_id_token(std::string_view token, const KeySet& keys,
                                 const Expectations& expected, Instant now) {
  auto payload = verify_jws(token, keys, expected.algorithms);
  if (!payload) return tl::unexpected(payload.error());
  return read_claims(*payload, expected, now);
}

Verdict<IdToken> read_claims(std::string_view payload, const Expectations& expected, Instant now) {
  auto document = parse_strict(payload);
  if (!document || !document->is_object())
    return refuse("token.payload",
                  "the token's claims cannot be read: " +
                      (document ? "they are not an object" : document.error().message));
  Work work{std::move(document->as_object()), &expected, now};
  for (auto& check : kChecks)
    if (auto why = check.wrong(work)) return refuse(check.code, *std::move(why));
  return take(work);
}

}  // namespace knock::sso
