// SPDX-License-Identifier: Apache-2.0
// Sessions as JSON: for `session list --json`, `plan --sessions FILE` and the log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/session/session.h"

namespace knock {

std::string to_json(const Session& session);
/// Strict: unknown and duplicate members are refused, each with its name.
Result<Session> session_from_json(std::string_view text);
/// {"sessions":[…]}
Result<std::vector<Session>> sessions_from_json(std::string_view text);

/// What `--sessions FILE` may say: who is signed in, and who said yes to whom.
struct SessionsDocument {
  std::vector<Session> sessions;
  std::vector<Approval> approvals;
};
/// {"sessions":[…],"approvals":[…]}; `approvals` may be absent, and `where` is passed over.
Result<SessionsDocument> sessions_document_from_json(std::string_view text);

}  // namespace knock
