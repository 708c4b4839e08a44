// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <tuple>

#include "base/text.h"
#include "schemas/json/json_writer.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/change_codec.h"

namespace knock::sqlite {
namespace {

#define KNOCK_SESSION_COLUMNS                                                                   \
  "id, issuer, subject, name, source, proof, groups, address, created, expires, authenticated," \
  " reason, end_at, end_cause"

/// A value that should be well-formed because we wrote it.
template <class T>
Result<T> kept(std::optional<T> value, std::string_view table, std::string_view text) {
  if (value) return *std::move(value);
  return fail(ErrorKind::internal,
              fmt::format("the table {} holds \"{}\", which knock never wrote; run `knock audit "
                          "verify`",
                          table, printable(text)));
}

Result<Session> session_of(const Query& row) {
  Session s;
  s.id = SessionId(row.text(0));
  s.principal = {row.text(1), row.text(2), row.text(3)};
  s.source = SignInName(row.text(4));
  KNOCK_ASSIGN(s.proof, kept(proof_from(row.text(5)), "sessions", row.text(5)));
  KNOCK_ASSIGN(s.groups, texts_from_json(row.text(6)));
  KNOCK_ASSIGN(s.address, kept(IpAddress::parse(row.text(7)), "sessions", row.text(7)));
  s.created = Instant{row.integer(8)};
  s.expires = Instant{row.integer(9)};
  s.authenticated = Instant{row.integer(10)};
  s.reason = row.text(11);
  if (!row.is_null(12)) {
    KNOCK_ASSIGN(auto cause, kept(end_cause_from(row.text(13)), "sessions", row.text(13)));
    s.end = SessionEnd{Instant{row.integer(12)}, cause};
  }
  return s;
}

/// Every row of `query` through `make`.
template <class T, class Make>
Result<std::vector<T>> all(Query query, Make make) {
  std::vector<T> out;
  for (;;) {
    KNOCK_ASSIGN(bool more, query.next());
    if (!more) return out;
    Result<T> value = make(query);
    if (!value) return fail(std::move(value.error()));
    out.push_back(*std::move(value));
  }
}

template <class T, class Make>
Result<std::optional<T>> first(Query query, Make make) {
  KNOCK_ASSIGN(bool found, query.next());
  if (!found) return std::optional<T>();
  Result<T> value = make(query);
  if (!value) return fail(std::move(value.error()));
  return std::optional<T>(*std::move(value));
}

std::int64_t limit_of(std::size_t limit) {
  return std::int64_t(std::min<std::size_t>(limit, INT64_MAX));
}

Digest digest_of(std::string_view bytes) {
  Digest out{};
  if (bytes.size() == out.size()) std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Result<Record> record_of(const Query& row) {
  Record record;
  record.seq = row.number(0);
  record.at = Instant{row.integer(1)};
  record.actor = row.text(2);
  record.fact = {row.text(3), row.text(4), row.text(8), row.text(9)};
  record.commitment = row.text(5);
  record.prev = digest_of(row.text(6));
  record.hash = digest_of(row.text(7));
  return record;
}

#define KNOCK_APPLIED_COLUMNS                                                            \
  "target, slot, prefix, until, since, policy, causes, readded, removed, because, seq, " \
  "state_since"

Result<AppliedEntry> applied_of(const Query& row) {
  AppliedEntry entry;
  entry.target = TargetName(row.text(0));
  entry.slot = row.text(1);
  KNOCK_ASSIGN(entry.prefix, kept(Prefix::parse_exact(row.text(2)), "applied", row.text(2)));
  entry.until = Instant{row.integer(3)};
  entry.since = Instant{row.integer(4)};
  entry.policy = PolicyRevision(row.text(5));
  KNOCK_ASSIGN(entry.causes, causes_from_json(row.text(6)));
  entry.readded = int(row.integer(7));
  return entry;
}

void sort_entries(std::vector<AppliedEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const AppliedEntry& a, const AppliedEntry& b) {
    return std::tie(a.slot, a.prefix) < std::tie(b.slot, b.prefix);
  });
}

/// What ended the interval, in the words of sessions; nothing for the causes that have none there.
std::optional<EndCause> end_of(std::string_view reason) {
  if (reason == to_string(Reason::expiry)) return EndCause::expired;
  if (reason == to_string(Reason::sign_out)) return EndCause::signed_out;
  if (reason == to_string(Reason::revoked)) return EndCause::revoked;
  return std::nullopt;
}

/// Policy and causes as they were at `at`, where they changed since.
Status set_back(Database& database, std::uint64_t seq, Instant at, AppliedEntry& entry) {
  auto row = database.query(
      "SELECT policy, causes FROM applied_states WHERE entry = ? AND since <= ? AND till > ?", seq,
      at.ms, at.ms);
  KNOCK_ASSIGN(bool found, row.next());
  if (!found) return {};
  entry.policy = PolicyRevision(row.text(0));
  KNOCK_ASSIGN(entry.causes, causes_from_json(row.text(1)));
  return {};
}

bool serves(const AppliedEntry& entry, const ServiceName& service) {
  return entry.slot == service.value ||
         std::any_of(entry.causes.begin(), entry.causes.end(),
                     [&](const Attribution& cause) { return cause.service == service; });
}

Result<Account> account_of(const Query& row) {
  Account account;
  account.user = row.text(0);
  account.name = row.text(1);
  account.password_hash = Secret(row.text(2));
  KNOCK_ASSIGN(account.groups, texts_from_json(row.text(3)));
  account.disabled = row.integer(4) != 0;
  return account;
}

}  // namespace

std::string texts_to_json(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) {
    if (out.size() > 1) out += ',';
    append_json_string(out, text);
  }
  return out += ']';
}

Result<std::vector<std::string>> texts_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  std::vector<std::string> out;
  auto* list = value.if_array();
  if (list == nullptr) return fail(ErrorKind::invalid, "json.type: must be a list");
  for (const auto& element : *list) {
    auto* string = element.if_string();
    if (string == nullptr) return fail(ErrorKind::invalid, "json.type: must hold strings");
    out.emplace_back(string->data(), string->size());
  }
  return out;
}

Result<std::vector<Record>> read_records(Database& database, std::uint64_t after,
                                         std::size_t limit) {
  return all<Record>(
      database.query("SELECT e.seq, e.at, e.actor, e.kind, e.public, e.commitment, e.prev, e.hash,"
                     " k.holder, p.text FROM events e LEFT JOIN event_personal p ON p.seq = e.seq"
                     " LEFT JOIN person_keys k ON k.id = p.person"
                     " WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
                     after, limit_of(limit)),
      record_of);
}

Result<std::vector<Session>> read_live_sessions(Database& database, Instant now) {
  return all<Session>(database.query("SELECT " KNOCK_SESSION_COLUMNS " FROM sessions"
                                     " WHERE end_at IS NULL AND expires > ? ORDER BY seq",
                                     now.ms),
                      session_of);
}

Result<std::vector<Session>> read_newest_sessions(Database& database, std::size_t limit) {
  return all<Session>(
      database.query("SELECT " KNOCK_SESSION_COLUMNS " FROM sessions ORDER BY seq DESC LIMIT ?",
                     limit_of(limit)),
      session_of);
}

Result<std::optional<Session>> read_session(Database& database, const SessionId& id) {
  return first<Session>(
      database.query("SELECT " KNOCK_SESSION_COLUMNS " FROM sessions WHERE id = ?", id.value),
      session_of);
}

Result<std::vector<AppliedEntry>> read_applied(Database& database, const TargetName& target) {
  KNOCK_ASSIGN(auto entries,
               all<AppliedEntry>(database.query("SELECT " KNOCK_APPLIED_COLUMNS " FROM applied"
                                                " WHERE target = ? AND removed IS NULL",
                                                target.value),
                                 applied_of));
  sort_entries(entries);
  return entries;
}

Result<std::vector<ChangeIntended>> read_open_intents(Database& database) {
  KNOCK_ASSIGN(auto seqs, all<std::uint64_t>(database.query("SELECT seq FROM intents ORDER BY seq"),
                                             [](const Query& row) {
                                               return Result<std::uint64_t>(row.number(0));
                                             }));
  std::vector<ChangeIntended> out;
  for (auto seq : seqs) {
    KNOCK_ASSIGN(auto records, read_records(database, seq - 1, 1));
    if (records.empty())
      return fail(ErrorKind::internal, fmt::format("record {} is missing from the log", seq));
    KNOCK_ASSIGN(auto fact, decode(records.front().fact));
    if (auto* intended = std::get_if<ChangeIntended>(&fact)) out.push_back(std::move(*intended));
  }
  return out;
}

Result<std::vector<AppliedInterval>> read_applied_at(Database& database, const ServiceName& service,
                                                     Instant at) {
  auto row = database.query("SELECT " KNOCK_APPLIED_COLUMNS
                            " FROM applied WHERE since <= ?1 AND until > ?1"
                            " AND (removed IS NULL OR removed > ?1) ORDER BY target, slot, seq",
                            at.ms);
  std::vector<AppliedInterval> out;
  for (;;) {
    KNOCK_ASSIGN(bool more, row.next());
    if (!more) return out;
    AppliedInterval interval;
    KNOCK_ASSIGN(interval.entry, applied_of(row));
    if (at.ms < row.integer(11))
      KNOCK_CHECK(set_back(database, row.number(10), at, interval.entry));
    if (!serves(interval.entry, service)) continue;
    if (!row.is_null(8)) interval.removed = Instant{row.integer(8)};
    if (!row.is_null(9)) interval.because = end_of(row.text(9));
    out.push_back(std::move(interval));
  }
}

Result<std::optional<AdoptedPolicy>> read_adopted_policy(Database& database) {
  auto adopted = database.query("SELECT revision FROM adoptions ORDER BY seq DESC LIMIT 1");
  KNOCK_ASSIGN(bool any, adopted.next());
  if (!any) return std::optional<AdoptedPolicy>();
  AdoptedPolicy policy;
  policy.revision = PolicyRevision(adopted.text(0));
  auto row = database.query("SELECT at, author, subject FROM policies WHERE revision = ?",
                            policy.revision.value);
  KNOCK_ASSIGN(bool saved, row.next());
  if (!saved)
    return fail(ErrorKind::not_found,
                fmt::format("the log says that policy {} is in force, but its files were never "
                            "saved in this store; read them from the policy's source",
                            policy.revision.value));
  policy.at = Instant{row.integer(0)};
  policy.author = row.text(1);
  policy.subject = row.text(2);
  KNOCK_ASSIGN(policy.files,
               all<PolicyFile>(database.query("SELECT path, content, blob_id FROM policy_files"
                                              " WHERE revision = ? ORDER BY path",
                                              policy.revision.value),
                               [](const Query& file) {
                                 return Result<PolicyFile>(
                                     PolicyFile{file.text(0), file.text(1), file.text(2)});
                               }));
  return std::optional(std::move(policy));
}

Status write_policy(Database& database, const AdoptedPolicy& policy) {
  // The one in force stays until the next is adopted; older ones live in the policy's source and in
  // the log's ids.
  KNOCK_CHECK(database
                  .query("DELETE FROM policies WHERE revision IS NOT"
                         " (SELECT revision FROM adoptions ORDER BY seq DESC LIMIT 1)"
                         " OR revision = ?",
                         policy.revision.value)
                  .run());
  KNOCK_CHECK(database
                  .query("INSERT INTO policies VALUES(?,?,?,?)", policy.revision.value,
                         policy.at.ms, policy.author, policy.subject)
                  .run());
  for (const auto& file : policy.files)
    KNOCK_CHECK(database
                    .query("INSERT INTO policy_files VALUES(?,?,?,?)", policy.revision.value,
                           file.path, Blob{file.content}, file.blob_id)
                    .run());
  return {};
}

Result<std::vector<Account>> read_accounts(Database& database) {
  return all<Account>(
      database.query("SELECT user, name, password_hash, groups, disabled FROM accounts"
                     " ORDER BY user"),
      account_of);
}

Result<std::optional<Account>> read_account(Database& database, const std::string& user) {
  return first<Account>(
      database.query("SELECT user, name, password_hash, groups, disabled FROM accounts"
                     " WHERE user = ?",
                     user),
      account_of);
}

Status write_account(Database& database, const Account& account) {
  auto groups = account.groups;
  std::sort(groups.begin(), groups.end());
  return database
      .query("INSERT OR REPLACE INTO accounts VALUES(?,?,?,?,?)", account.user, account.name,
             account.password_hash.reveal(), texts_to_json(groups), account.disabled)
      .run();
}

}  // namespace knock::sqlite
