// SPDX-License-Identifier: Apache-2.0
// What an OpenID provider, or somebody in its place, can send. The first byte says what the rest
// is:
//   K a key set · D a description · T a token · C a token's header, a newline, and its claims
//   (signed by nobody)
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/text.h"
#include "sso/jose/jws.h"
#include "sso/oidc/discovery.h"
#include "sso/oidc/id_token.h"

namespace {

using namespace knock;
using namespace knock::sso;

constexpr Instant kNow = Instant::from_seconds(1'800'000'000);

void must(bool promise) {
  if (!promise) std::abort();
}

/// The public key of RFC 8037 appendix A; a fuzzer that finds its signatures has earned the crash.
const KeySet& keys() {
  static const KeySet keys =
      KeySet::parse(
          R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwUaaPdHURI"}]})")
          .value();
  return keys;
}

const Expectations& expected() {
  static const Expectations out{
      "https://idp.example", "knock", "n", "groups", {algorithm_named("EdDSA").value()}};
  return out;
}

void judge(const std::string& token) {
  must(!verify_id_token(token, keys(), expected(), kNow));
  auto parts = split(token, '.');
  std::string payload;
  if (parts.size() != 3 || !base64url_decode(parts[1], payload)) return;
  auto claims = read_claims(payload, expected(), kNow);
  if (!claims) {
    must(!claims.error().code.empty() && printable(claims.error().why) == claims.error().why);
    return;
  }
  must(claims->issuer == expected().issuer && !claims->subject.empty() &&
       claims->subject.size() <= 255);
  must(printable(claims->subject) == claims->subject && claims->groups.size() <= kMostGroups);
  must(claims->authenticated <= kNow && kNow < claims->expires + kClockSkew);
}

void read_keys(std::string_view text) {
  auto set = KeySet::parse(text);
  if (!set) return must(printable(set.error().why) == set.error().why);
  for (auto& key : set->keys()) must(key.handle != nullptr || !key.unusable.empty());
  for (auto name : {"RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"}) {
    auto token = base64url("{\"alg\":\"" + std::string(name) + "\"}") + ".e30.AAAA";
    must(!verify_jws(token, *set, {algorithm_named(name).value()}));
  }
}

void read_description(std::string_view text) {
  auto about = parse_discovery(text, "https://idp.example", {"EdDSA"});
  if (!about) return must(printable(about.error().why) == about.error().why);
  must(about->issuer == "https://idp.example" && is_acceptable_url(about->token_endpoint) &&
       is_acceptable_url(about->jwks_uri) && is_acceptable_url(about->authorization_endpoint));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'K') read_keys(text);
  if (data[0] == 'D') read_description(text);
  if (data[0] == 'T') judge(std::string(text));
  if (data[0] == 'C') {
    auto line = std::min(text.find('\n'), text.size());
    auto claims = text.substr(std::min(line + 1, text.size()));
    judge(base64url(text.substr(0, line)) + "." + base64url(claims) + "." +
          base64url(std::string(64, 's')));
  }
  return 0;
}
