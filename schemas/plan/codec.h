// SPDX-License-Identifier: Apache-2.0
// Plan as JSON (schemas/plan/plan.v1.schema.json, written as a stream, never one DOM) and as a saved plan file (NDJSON
// with a SHA-256 footer). Readers refuse what was edited, cut short, foreign or of another major version.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/ed25519.h"
#include "base/result.h"
#include "schemas/plan/plan.h"
#include "schemas/plan/view.h"

namespace knock {

using Write = std::function<void(std::string_view)>;

/// One JSON document with a trailing newline. Deterministic.
void write_json(const Plan& plan, const Write& out, View view = View::full);

struct SavedPlan {
  Plan plan;
  OwnerId owner;  // the installation it was made for
  Instant expires;
  std::string nonce;  // single use: 128 random bits, base64url
  /// Of what the planned policy says, whatever its revision is called: whoever sends a candidate
  /// names it as they like. Nothing: not known.
  std::optional<Digest> policy = {};
  /// Of the controller that signed it, when one did: the signature is this key's. Whether it is the
  /// key of this installation is for the caller.
  std::optional<Ed25519Public> key = {};
};

/// Signed when there is a `signer`; `saved.key` is not looked at.
void write_saved(const SavedPlan& saved, const Write& out, const Ed25519Key* signer = nullptr);

/// A plan of a million changes fits; a reader holds the text and the plan.
inline constexpr std::size_t kMaxSavedPlan = 512 * 1024 * 1024;

/// Errors are `invalid` and name their reason first: saved-plan.size foreign version truncated trailing edited count
/// signature syntax duplicate depth type missing value unknown line index order reason. A later minor version of the file
/// may hold members and lines unknown here: they are skipped. Whether the plan is stale, used, expired or somebody else's is
/// for the caller (reconciler/core/saved_plan_check.h).
Result<SavedPlan> read_saved(std::string_view text);

}  // namespace knock
