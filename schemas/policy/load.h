// SPDX-License-Identifier: Apache-2.0
// Text to Policy. Pure: the files are handed in. All problems are reported at once, each with its place; a policy with
// an error is not returned. Limits: 1 MiB a file, 20,000 files, 64 MiB in all, depth 64, 200,000 nodes a file.
// The grammar of scalars is in docs/policy.md; the reasons for a loader of our own over yaml-cpp's events in docs/adr/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "schemas/diagnostic.h"
#include "schemas/policy/policy.h"

namespace knock {

struct PolicyFile {
  std::string path;  // relative to the root, "/" as separator; *.yaml or *.yml
  std::string content;
  std::string blob_id;  // identifies the content for the cache ("" = not cached)
};

/// What validation must know of the controller's own configuration.
struct PolicyContext {
  std::vector<SignInName>
      sign_ins;  // sources that exist, "local" included when local accounts are on
  bool sign_ins_known =
      false;  // false (plain `knock validate` without knock.yaml): names are not checked
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
