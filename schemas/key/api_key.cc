// SPDX-License-Identifier: Apache-2.0
#include "schemas/key/api_key.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::string_view kBegin = "knock_", kCheckLabel = "knock token";
constexpr std::size_t kSecretBytes = 32, kCheckBytes = 4;

constexpr std::array kScopes{KeyScope::plan_read, KeyScope::plan_people, KeyScope::apply,
                             KeyScope::session_write, KeyScope::audit_read};

std::string check_of(std::string_view secret) {
  auto digest = sha256(std::string(kCheckLabel) + std::string(secret));
  return std::string(as_bytes(digest).substr(0, kCheckBytes));
}

std::vector<std::string> scope_words() {
  return to_words(std::vector<KeyScope>(kScopes.begin(), kScopes.end()));
}

}  // namespace

std::string_view to_string(KeyScope scope) {
  switch (scope) {
    case KeyScope::plan_read:
      return "plan:read";
    case KeyScope::plan_people:
      return "plan:people";
    case KeyScope::apply:
      return "apply";
    case KeyScope::session_write:
      return "session:write";
    case KeyScope::audit_read:
      return "audit:read";
  }
  return "";
}

std::optional<KeyScope> key_scope_from(std::string_view text) {
  for (KeyScope scope : kScopes)
    if (to_string(scope) == text) return scope;
  return std::nullopt;
}

std::string every_key_scope() { return join(scope_words(), ", "); }

bool ApiKey::allows(KeyScope scope) const {
  return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

bool ApiKey::allows_from(const IpAddress& address) const {
  return from.empty() || std::any_of(from.begin(), from.end(), [&](const Prefix& prefix) {
           return prefix.contains(address);
         });
}

bool is_key_name(std::string_view text) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kLongestKeyName && plain(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

NewToken make_token(Random& random) {
  std::array<std::uint8_t, kSecretBytes> bytes;
  random.fill(bytes);
  std::string secret(bytes.begin(), bytes.end());
  NewToken out{Secret(std::string(kBegin) + base64url(secret + check_of(secret))), sha256(secret)};
  std::fill(secret.begin(), secret.end(), '\0');
  return out;
}

std::optional<Digest> hash_of_token(std::string_view token) {
  std::string bytes;
  if (token.size() != kTokenLength || !token.starts_with(kBegin) ||
      !base64url_decode(token.substr(kBegin.size()), bytes) ||
      bytes.size() != kSecretBytes + kCheckBytes)
    return std::nullopt;
  std::string_view secret = std::string_view(bytes).substr(0, kSecretBytes);
  if (check_of(secret) != std::string_view(bytes).substr(kSecretBytes)) return std::nullopt;
  return sha256(secret);
}

bool same_hash(const Digest& a, const Digest& b) {
  std::uint8_t different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different |= std::uint8_t(a[i] ^ b[i]);
  return different == 0;
}

Result<std::vector<KeyScope>> key_scopes_from(const std::vector<std::string>& words) {
  std::vector<KeyScope> out;
  for (const std::string& word : words) {
    auto scope = key_scope_from(word);
    if (!scope) {
      auto meant = did_you_mean(word, scope_words());
      return fail(ErrorKind::invalid, "there is no scope " + printable(word) +
                                          (meant ? "; did you mean " + *meant + "?"
                                                 : "; there are " + every_key_scope()));
    }
    out.push_back(*scope);
  }
  if (out.empty())
    return fail(ErrorKind::invalid, "a key needs at least one scope, of " + every_key_scope());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::vector<Prefix>> key_networks_from(const std::vector<std::string>& words) {
  std::vector<Prefix> out;
  for (const std::string& word : words) {
    auto exact = Prefix::parse_exact(word);
    if (!exact) {
      auto meant = Prefix::parse(word);
      return fail(ErrorKind::invalid,
                  printable(word) + (meant ? " has bits beyond its length; did you mean " +
                                                 meant->to_string() + "?"
                                           : " is not a network; write 203.0.113.0/24"));
    }
    out.push_back(*exact);
  }
  if (out.size() > kMostKeyNetworks)
    return fail(ErrorKind::invalid,
                "a key names at most " + std::to_string(kMostKeyNetworks) + " networks");
  return without_nested(std::move(out));
}

std::vector<std::string> to_words(const std::vector<KeyScope>& scopes) {
  std::vector<std::string> out;
  for (KeyScope scope : scopes) out.emplace_back(to_string(scope));
  return out;
}

}  // namespace knock
