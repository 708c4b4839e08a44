// SPDX-License-Identifier: Apache-2.0
// API keys: tokens by which machines (CI jobs, scripts) ask a controller over the public listener.
//
//   knock_<48 characters> = "knock_" ‖ base64url( secret (32 random bytes) ‖ check (4 bytes) )
//   check = first bytes of SHA-256( "knock token" ‖ secret )
//
// The fixed beginning and the check let secret scanners find a token that leaked, without false
// alarms; the check proves nothing, for everybody can compute it. What is kept of a token is the
// SHA-256 of its secret: 256 random bits need no slow hash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefix.h"
#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/sha256.h"
#include "base/time.h"

namespace knock {

/// What a token may be used for. None includes another.
enum class KeyScope : std::uint8_t {
  plan_read,      // plans as counts, services and rules; status
  plan_people,    // plans with names and remaining times
  apply,          // put the reviewed policy in force
  session_write,  // grant and revoke sessions
  audit_read,     // addresses, why, who
};
std::string_view to_string(KeyScope scope);  // "plan:read"
std::optional<KeyScope> key_scope_from(std::string_view text);
/// "plan:read, plan:people, …"
std::string every_key_scope();

struct ApiKey {
  std::string name;              // what people call it; unique
  std::vector<KeyScope> scopes;  // sorted, at least one
  std::vector<Prefix> from;      // sorted; empty: from anywhere
  Instant created;               // of this secret: a rotation makes another
  Instant expires;
  Digest hash{};                     // of the secret
  std::optional<Instant> last_used;  // may lag by kLastUsedLag
  bool allows(KeyScope scope) const;
  bool allows_from(const IpAddress& address) const;
};

inline constexpr Duration kUsualKeyLife = Duration::hours(24 * 90);
inline constexpr Duration kLongestKeyLife = Duration::hours(24 * 366);
/// A use is noted once in so long, so that a busy key costs no write for each.
inline constexpr Duration kLastUsedLag = Duration::minutes(10);
inline constexpr std::size_t kTokenLength = 54;
inline constexpr std::size_t kMostKeys = 1000, kMostKeyNetworks = 64, kLongestKeyName = 64;

/// 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit: it stands in logs as it is.
bool is_key_name(std::string_view text);

struct NewToken {
  Secret token;
  Digest hash;
};
NewToken make_token(Random& random);
/// The hash of a token's secret; nothing when it is not shaped as ours are.
std::optional<Digest> hash_of_token(std::string_view token);
/// Takes the same time wherever the first difference is.
bool same_hash(const Digest& a, const Digest& b);

/// "plan:read" words as scopes, sorted, each once. Errors name the word and what was meant.
Result<std::vector<KeyScope>> key_scopes_from(const std::vector<std::string>& words);
/// Networks and addresses; host bits are an error, because nobody knows what was meant.
Result<std::vector<Prefix>> key_networks_from(const std::vector<std::string>& words);
std::vector<std::string> to_words(const std::vector<KeyScope>& scopes);

}  // namespace knock
