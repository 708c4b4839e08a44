// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/verifier.h"

#include "schemas/role/fields.h"

namespace knock::role {
namespace {

constexpr std::uint8_t kToVerifier = 65, kFromVerifier = 97;
constexpr std::size_t kLongestName = 64, kLongestUrl = 8192, kLongestShown = 1024;
constexpr std::size_t kLongestToken = 256, kLongestHash = 512, kLongestPassword = 1024;
constexpr std::size_t kLongestCode = 4096, kLongestIdentity = 2048, kLongestGroup = 512;
constexpr Duration kLongestAge = Duration::hours(24 * 3660);
constexpr std::uint32_t kMostGroups = 10'000, kMostValues = 100;

// ── to the verifier

template <class Io>
void fields(Io& io, Part<Io, CheckPassword>& m) {
  io.number(m.request);
  io.text(m.hash, kLongestHash);
  io.text(m.password, kLongestPassword);
}
template <class Io>
void fields(Io& io, Part<Io, MakeUrl>& m) {
  io.number(m.request);
  io.name(m.source, kLongestName);
  io.text(m.redirect_uri, kLongestUrl);
  for (auto* text : {&m.state, &m.nonce, &m.challenge}) io.text(*text, kLongestToken);
  io.maybe(m.max_age, [](auto& each, auto& age) {
    auto ms = std::uint64_t(age.ms);
    each.number(ms);
    if constexpr (Io::kReads) {
      each.demand(ms <= std::uint64_t(kLongestAge.ms));
      age.ms = std::int64_t(ms);
    }
  });
}
template <class Io>
void fields(Io& io, Part<Io, ExchangeCode>& m) {
  io.number(m.request);
  io.name(m.source, kLongestName);
  io.text(m.redirect_uri, kLongestUrl);
  io.text(m.code, kLongestCode);
  io.text(m.pkce_verifier, kLongestToken);
  io.text(m.nonce, kLongestToken);
  io.text(m.issuer, kLongestCode);
  io.instant(m.now);
  io.list(m.claims, kMostClaims, 4,
          [](auto& each, auto& claim) { each.text(claim, kLongestClaim); });
}

template <class Io>
void fields(Io& io, Part<Io, Ping>& m) {
  io.number(m.request);
}

// ── from the verifier

template <class Io>
void fields(Io& io, Part<Io, PasswordChecked>& m) {
  io.number(m.request);
  io.flag(m.good);
}
template <class Io>
void fields(Io& io, Part<Io, UrlMade>& m) {
  io.number(m.request);
  io.text(m.url, kLongestUrl);
}
template <class Io>
void fields(Io& io, Part<Io, Proven>& m) {
  io.number(m.request);
  io.text(m.issuer, kLongestIdentity);
  io.text(m.subject, kLongestIdentity);
  io.shown(m.name, kLongestShown);
  io.list(m.groups, kMostGroups, 4,
          [](auto& each, auto& group) { each.text(group, kLongestGroup); });
  io.instant(m.authenticated);
  io.map(m.claims, kMostClaims, kLongestClaim, [](auto& each, auto& values) {
    each.list(values, kMostValues, 4,
              [](auto& one, auto& value) { one.text(value, kLongestGroup); });
  });
  io.text(m.acr, kLongestGroup);
  io.maybe(m.mfa_at, [](auto& each, auto& at) { each.instant(at); });
  if constexpr (Io::kReads) io.demand(!m.issuer.empty() && !m.subject.empty());
}
template <class Io>
void fields(Io& io, Part<Io, NotProven>& m) {
  io.number(m.request);
  io.text(m.code, kLongestName);
  io.shown(m.why, kLongestShown);
}

template <class Io>
void fields(Io& io, Part<Io, Pong>& m) {
  io.number(m.request);
}

constexpr auto kFields = [](auto& io, auto& message) { fields(io, message); };

}  // namespace

std::string encode(const ToVerifier& message) {
  return encode_variant(message, kToVerifier, kFields);
}
std::string encode(const FromVerifier& message) {
  return encode_variant(message, kFromVerifier, kFields);
}

Result<ToVerifier> decode_to_verifier(std::string_view body) {
  return decode_variant<ToVerifier>(body, kToVerifier, "message to the verifier", kFields);
}
Result<FromVerifier> decode_from_verifier(std::string_view body) {
  return decode_variant<FromVerifier>(body, kFromVerifier, "message from the verifier", kFields);
}

std::uint64_t request_of(const ToVerifier& message) {
  return std::visit([](const auto& m) { return m.request; }, message);
}
std::uint64_t request_of(const FromVerifier& message) {
  return std::visit([](const auto& m) { return m.request; }, message);
}

}  // namespace knock::role
