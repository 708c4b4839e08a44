// SPDX-License-Identifier: Apache-2.0
// Text to Policy. Pure: the files are handed in. All problems are reported at once, each with its place; a policy with
// an error is not returned. Limits: 1 MiB a file, 20,000 files, 64 MiB in all, depth 64, 200,000 nodes a file.
// The grammar of scalars is in docs/policy.md; the reasons for a loader of our own over yaml-cpp's events in docs/adr/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "schemas/diagnostic.h"
#include "schemas/policy/policy.h"

namespace knock {

struct PolicyFile {
  std::string path;  // relative to the root, "/" as separator; *.yaml or *.yml
  std::string content;
  std::string blob_id;  // identifies the content for the cache ("" = not cached)
};

/// Where the time zones of schedules come from: store/tzdata has the system's. Any thread.
class ZoneSource {
 public:
  virtual ~ZoneSource() = default;
  /// `not_found`: there is no such zone. Every other error: it may exist and cannot be read now.
  virtual Result<std::shared_ptr<const Zone>> zone(const std::string& name) const = 0;
  /// For suggestions; may be empty.
  virtual std::vector<std::string> names() const = 0;
};

/// What a controller must have so that a policy means what it says. A policy that needs one that is
/// missing is refused by name, never enforced without it.
enum class Surface : std::uint8_t {
  approval,       // others can say yes
  break_glass,    // keys open what the sign-in source cannot
  require_token,  // an L7 target that can tell people apart at one address
  claims,         // sign-in hands on claims and acr
  mfa,            // sign-in hands on when a second factor was shown
  path,           // targets are opened and closed in an order
  connections,    // the kernel takes an entry when a connection begins
  disconnect,     // an entry ends when its connection does
};
inline constexpr std::size_t kSurfaces = 8;
std::string_view to_string(Surface surface);

/// What validation must know of the controller's own configuration.
struct PolicyContext {
  std::vector<SignInName>
      sign_ins;  // sources that exist, "local" included when local accounts are on
  bool sign_ins_known =
      false;  // false (plain `knock validate` without knock.yaml): names are not checked
  std::set<Surface> surfaces;
  bool surfaces_known = false;  // false: not checked either
  /// Absent: no zone but UTC is known, and a schedule in another one is refused.
  std::shared_ptr<const ZoneSource> zones;
  /// Set where a policy is judged before it is adopted: static entries that have ended are errors
  /// then. A controller that starts again with the policy in force leaves it out, because time alone
  /// must not unload a policy.
  std::optional<Instant> now;
};

struct PolicyLoad {
  std::optional<Policy> policy;  // set exactly when there are no errors
  Diagnostics diagnostics;       // errors and warnings, sorted
};

/// Parsed files by blob id, so that one changed file among 10,000 costs one parse. One thread at a time.
class PolicyCache {
 public:
  PolicyCache();
  ~PolicyCache();
  PolicyCache(const PolicyCache&) = delete;
  PolicyCache& operator=(const PolicyCache&) = delete;

 private:
  friend PolicyLoad load_policy(const std::vector<PolicyFile>&, const PolicyRevision&,
                                const PolicyContext&, PolicyCache*);
  struct State;
  std::unique_ptr<State> state_;
};

PolicyLoad load_policy(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                       const PolicyContext& context, PolicyCache* cache = nullptr);

}  // namespace knock
