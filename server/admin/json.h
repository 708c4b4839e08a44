// SPDX-License-Identifier: Apache-2.0
// What the admin API and `--json` print. Top level is always an object, lists hold objects, so
// members can be added.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/loop/status.h"
#include "schemas/diagnostic.h"
#include "server/core/controller.h"

namespace knock {

std::string to_json(const ControllerStatus& status);
/// `where`: what each stands open for, by its id; nothing: not said, because they are too many.
using WhereOfSessions = std::vector<std::pair<SessionId, std::vector<SessionOnTarget>>>;
std::string sessions_json(const std::vector<Session>& sessions,
                          const std::optional<WhereOfSessions>& where);
/// `note`, when there is one: what the caller should know about how it was done.
std::string session_json(const Session& session, const std::vector<SessionOnTarget>& where,
                         const std::string& note = {});
std::string records_json(const std::vector<Record>& records);
std::string keys_json(const std::vector<ApiKey>& keys);
/// With the token: the only answer that ever holds one.
std::string made_key_json(const MadeKey& made);
std::string advanced_json(const Advanced& advanced);
std::string accounts_json(const std::vector<Account>& accounts);
std::string diagnostics_json(const Diagnostics& diagnostics);
inline constexpr std::string_view kUnsoundCode = "policy.unsound";
/// RFC 9457: type, title, status, detail, kind; `problems` when there are diagnostics. `code` is the
/// id that the message begins with, or kUnsoundCode when errors among the problems are the cause.
std::string problem_json(int status, const Error& error, const Diagnostics& problems = {});
int http_status(ErrorKind kind);

}  // namespace knock
