// SPDX-License-Identifier: Apache-2.0
// Plan as JSON (schemas/plan/plan.v1.schema.json, written as a stream, never one DOM) and as a saved plan file (NDJSON
// with a SHA-256 footer). Readers refuse what was edited, cut short, foreign or of another major version.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "schemas/plan/plan.h"

namespace knock {

using Write = std::function<void(std::string_view)>;

/// One JSON document with a trailing newline. Deterministic.
void write_json(const Plan& plan, const Write& out);

struct SavedPlan {
  Plan plan;
  OwnerId owner;          // the installation it was made for
  Instant expires;
  std::string nonce;      // single use: 128 random bits, base64url
};

void write_saved(const SavedPlan& saved, const Write& out);
/// Errors name their reason: "saved-plan.edited", "saved-plan.truncated", "saved-plan.version", "saved-plan.syntax", …
Result<SavedPlan> read_saved(std::string_view text);

}  // namespace knock
