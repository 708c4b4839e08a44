// SPDX-License-Identifier: Apache-2.0
// API keys as core uses them: made, rotated, revoked, and asked at each request over the public
// listener. All rows are kept in memory, because the store has one writer and that is us: a request
// with a wrong token costs no look into the database. Each change and each refusal is one fact; a
// flood of refusals is recorded within a budget only, and the rest counted. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/random.h"
#include "reconciler/interfaces/fact_store.h"
#include "server/core/rate_limit.h"

namespace knock {

struct KeyRequest {
  std::string name;
  std::vector<std::string> scopes;  // words
  std::vector<std::string> from;    // networks; empty: from anywhere
  Duration life = kUsualKeyLife;
};

/// The one moment in which the token exists here.
struct MadeKey {
  ApiKey key;
  Secret token;
};

/// Who asks, once the token was found good.
struct KeyHolder {
  std::string key;
  std::vector<KeyScope> scopes;
  bool has(KeyScope scope) const;
};
/// `code` is stable (docs/api.md); the sentence tells what is wrong only to who holds the secret.
struct KeyRefusal {
  std::string code;
  std::string sentence;
  std::string key;  // "" when the token is nobody's
};

class KeyRing {
 public:
  KeyRing(FactStore& store, const Clock& clock, Random& random);

  /// Reads the rows; before it was called, and when they cannot be read, no token is good.
  Status load();

  Result<MadeKey> add(const Actor& actor, const KeyRequest& request);
  /// Another secret for the same scopes and networks; the old token ends at once. Without `life`, as
  /// long as before.
  Result<MadeKey> rotate(const Actor& actor, const std::string& name, std::optional<Duration> life);
  Status revoke(const Actor& actor, const std::string& name);
  std::vector<ApiKey> list() const;  // by name

  /// One of `needed` is enough. Counts as a use.
  std::variant<KeyHolder, KeyRefusal> check(std::string_view token, const IpAddress& address,
                                            std::span<const KeyScope> needed);

 private:
  std::variant<KeyHolder, KeyRefusal> judge(std::string_view token, const IpAddress& address,
                                            std::span<const KeyScope> needed, bool& note);
  ApiKey* find(std::string_view name);
  Result<MadeKey> put(const Actor& actor, ApiKey key, const std::string& what);
  void record(const KeyRefusal& refusal, const IpAddress& address);

  FactStore& store_;
  const Clock& clock_;
  Random& random_;
  mutable std::mutex mutex_;
  std::vector<ApiKey> keys_;  // by name
  RateLimit by_address_, records_;
  std::map<std::string, RateLimit> by_key_;
  std::uint64_t unrecorded_ = 0;
};

}  // namespace knock
