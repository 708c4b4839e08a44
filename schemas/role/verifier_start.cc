// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/verifier_start.h"

#include "schemas/role/wire.h"

namespace knock::role {
namespace {

constexpr std::uint8_t kVerifierStart = 1;

void put(wire::Writer& out, const std::vector<std::string>& list) {
  out.u32(std::uint32_t(list.size()));
  for (const auto& item : list) out.text(item);
}

std::vector<std::string> texts(wire::Reader& in) {
  std::vector<std::string> out;
  for (auto left = in.count(1000, 4); left > 0 && !in.bad(); --left) out.push_back(in.text());
  return out;
}

}  // namespace

std::string encode(const std::vector<VerifierSource>& sources) {
  wire::Writer out(kVerifierStart);
  out.u32(std::uint32_t(sources.size()));
  for (const VerifierSource& source : sources) {
    const OidcSettings& s = source.settings;
    for (const auto* field : {&s.name.value, &s.title, &s.issuer, &s.client_id, &s.groups_claim})
      out.text(*field);
    out.u8(std::uint8_t(s.token_auth));
    put(out, s.algorithms);
    put(out, s.scopes);
    out.u32(std::uint32_t(s.allow_networks.size()));
    for (const Prefix& prefix : s.allow_networks) out.prefix(prefix);
    out.u64(std::uint64_t(s.max_session.ms));
    out.text(source.client_secret.reveal());
  }
  return std::move(out).finish().substr(4);
}

Result<std::vector<VerifierSource>> decode_verifier_start(std::string_view body) {
  wire::Reader in(body);
  std::vector<VerifierSource> out;
  for (auto left = in.count(1000, 40); left > 0 && !in.bad(); --left) {
    VerifierSource source;
    OidcSettings& s = source.settings;
    for (auto* field : {&s.name.value, &s.title, &s.issuer, &s.client_id, &s.groups_claim})
      *field = in.text();
    auto auth = in.u8();
    if (auth > std::uint8_t(TokenAuth::post)) in.spoil();
    s.token_auth = TokenAuth(auth);
    s.algorithms = texts(in);
    s.scopes = texts(in);
    for (auto prefixes = in.count(10'000, 6); prefixes > 0 && !in.bad(); --prefixes)
      s.allow_networks.push_back(in.prefix());
    s.max_session = Duration{std::int64_t(in.u64())};
    source.client_secret = Secret(in.text());
    out.push_back(std::move(source));
  }
  if (in.kind() != kVerifierStart || !in.ok())
    return fail(ErrorKind::invalid, "the verifier's start is out of shape");
  return out;
}

}  // namespace knock::role
