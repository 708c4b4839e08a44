// SPDX-License-Identifier: Apache-2.0
// Rows to values: every question the store answers, as a function of a connection. One thread at a
// time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "store/sqlite/database.h"

namespace knock::sqlite {

std::string texts_to_json(const std::vector<std::string>& texts);
Result<std::vector<std::string>> texts_from_json(std::string_view text);

/// Session::claims; "{}" when there are none.
std::string claims_to_json(const std::map<std::string, std::vector<std::string>>& claims);

/// Records with seq > after, in order.
Result<std::vector<Record>> read_records(Database& database, std::uint64_t after,
                                         std::size_t limit);

Result<std::vector<Session>> read_live_sessions(Database& database, Instant now);
Result<std::vector<Session>> read_newest_sessions(Database& database, std::size_t limit);
Result<std::optional<Session>> read_session(Database& database, const SessionId& id);

Result<std::vector<AppliedEntry>> read_applied(Database& database, const TargetName& target);
Result<std::vector<ChangeIntended>> read_open_intents(Database& database);
Result<std::vector<AppliedInterval>> read_applied_at(Database& database, const ServiceName& service,
                                                     Instant at);

Result<std::vector<AppliedInterval>> read_applied_with_tickets(Database& database,
                                                               const TargetName& target,
                                                               Instant since);
Result<std::vector<AppliedInterval>> read_applied_between(Database& database,
                                                          const ServiceName& service, Instant from,
                                                          Instant to);
Result<std::vector<AppliedInterval>> read_entry_history(Database& database, const EntryId& entry);
Result<std::vector<Session>> read_sessions_at(Database& database, Instant at);
Result<std::optional<Adoption>> read_adoption_at(Database& database, Instant at);
Result<std::optional<Adoption>> read_adoption_of(Database& database,
                                                 const PolicyRevision& revision);

Result<std::optional<PolicyHold>> read_policy_hold(Database& database);
Result<std::optional<RestoredStore>> read_restored(Database& database);
Result<std::vector<Confirmation>> read_confirmations(Database& database);
Result<std::optional<AdoptedPolicy>> read_kept_policy(Database& database,
                                                      const PolicyRevision& revision);
Result<std::optional<AdoptedPolicy>> read_adopted_policy(Database& database);
Status write_policy(Database& database, const AdoptedPolicy& policy);

Result<std::vector<Account>> read_accounts(Database& database);
Result<std::optional<Account>> read_account(Database& database, const std::string& user);
Status write_account(Database& database, const Account& account);

Result<std::vector<ApiKey>> read_keys(Database& database);
Status write_key(Database& database, const ApiKey& key);

}  // namespace knock::sqlite
