// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <tuple>
#include <unordered_map>

#include "base/text.h"
#include "schemas/json/json_writer.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/change_codec.h"

namespace knock::sqlite {
namespace {

#define KNOCK_SESSION_COLUMNS                                                                   \
  "id, issuer, subject, name, source, proof, groups, address, created, expires, authenticated," \
  " reason, end_at, end_cause, claims, acr, mfa_at"

/// A value that should be well-formed because we wrote it.
template <class T>
Result<T> kept(std::optional<T> value, std::string_view table, std::string_view text) {
  if (value) return *std::move(value);
  return fail(ErrorKind::internal,
              fmt::format("the table {} holds \"{}\", which knock never wrote; run `knock audit "
                          "verify`",
                          table, printable(text)));
}

Result<std::vector<std::string>> texts_of(const boost::json::value& value) {
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

using Claims = std::map<std::string, std::vector<std::string>>;

Result<Claims> claims_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  auto* object = value.if_object();
  if (object == nullptr) return fail(ErrorKind::invalid, "json.type: must be an object");
  Claims out;
  for (const auto& member : *object) {
    KNOCK_ASSIGN(auto values, texts_of(member.value()));
    out.emplace(std::string(member.key()), std::move(values));
  }
  return out;
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
  KNOCK_ASSIGN(s.claims, claims_from_json(row.text(14)));
  s.acr = row.text(15);
  if (!row.is_null(16)) s.mfa_at = Instant{row.integer(16)};
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

/// Unreadable is not empty: a row that somebody edited into nonsense is an error, and no key.
Result<ApiKey> key_of(const Query& row) {
  ApiKey key;
  key.name = row.text(0);
  KNOCK_ASSIGN(auto scopes, texts_from_json(row.text(1)));
  KNOCK_ASSIGN(key.scopes, key_scopes_from(scopes));
  KNOCK_ASSIGN(auto networks, texts_from_json(row.text(2)));
  KNOCK_ASSIGN(key.from, key_networks_from(networks));
  key.created = Instant{row.integer(3)};
  key.expires = Instant{row.integer(4)};
  auto hash = row.text(5);
  if (hash.size() != key.hash.size() || !is_key_name(key.name))
    return fail(ErrorKind::internal,
                "an API key's row is out of shape: the store was edited by another program");
  std::copy(hash.begin(), hash.end(), key.hash.begin());
  if (!row.is_null(6)) key.last_used = Instant{row.integer(6)};
  return key;
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

std::string claims_to_json(const Claims& claims) {
  std::string out = "{";
  for (const auto& [claim, values] : claims) {
    if (out.size() > 1) out += ',';
    append_json_string(out, claim);
    out += ':' + texts_to_json(values);
  }
  return out += '}';
}

Result<std::vector<std::string>> texts_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  return texts_of(value);
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

namespace {

/// What became of their groups by `at`.
Status follow_groups(Database& database, Instant at, std::vector<Session>& sessions) {
  auto row = database.query(
      "SELECT session, lost, kept_until, groups FROM session_groups WHERE at <= ? ORDER BY seq",
      at.ms);
  std::unordered_map<std::string, Session*> by_id;
  for (;;) {
    KNOCK_ASSIGN(bool more, row.next());
    if (!more) return {};
    if (by_id.empty())
      for (Session& session : sessions) by_id.emplace(session.id.value, &session);
    auto found = by_id.find(row.text(0));
    if (found == by_id.end()) continue;
    Session& session = *found->second;
    session.groups_until.reset();
    if (!row.is_null(2)) {
      session.groups_until = Instant{row.integer(2)};
      continue;
    }
    KNOCK_ASSIGN(session.groups, texts_from_json(row.text(3)));
    session.groups_lost = session.groups_lost || row.integer(1) != 0;
  }
}

Result<std::vector<Session>> with_groups(Database& database, Instant at,
                                         Result<std::vector<Session>> sessions) {
  if (sessions && !sessions->empty()) KNOCK_CHECK(follow_groups(database, at, *sessions));
  return sessions;
}

}  // namespace

Result<std::vector<Session>> read_live_sessions(Database& database, Instant now) {
  return with_groups(
      database, Instant::max(),
      all<Session>(database.query("SELECT " KNOCK_SESSION_COLUMNS " FROM sessions"
                                  " WHERE end_at IS NULL AND expires > ? ORDER BY seq",
                                  now.ms),
                   session_of));
}

Result<std::vector<Session>> read_newest_sessions(Database& database, std::size_t limit) {
  return with_groups(database, Instant::max(),
                     all<Session>(database.query("SELECT " KNOCK_SESSION_COLUMNS
                                                 " FROM sessions ORDER BY seq DESC LIMIT ?",
                                                 limit_of(limit)),
                                  session_of));
}

Result<std::optional<Session>> read_session(Database& database, const SessionId& id) {
  KNOCK_ASSIGN(auto found, with_groups(database, Instant::max(),
                                       all<Session>(database.query("SELECT " KNOCK_SESSION_COLUMNS
                                                                   " FROM sessions WHERE id = ?",
                                                                   id.value),
                                                    session_of)));
  return found.empty() ? std::nullopt : std::optional(std::move(found.front()));
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

namespace {

/// The stretches of one row of `applied`, in order: what caused it before, and what caused it last.
Result<std::vector<AppliedInterval>> stretches_of(Database& database, const Query& row) {
  AppliedInterval last;
  KNOCK_ASSIGN(last.entry, applied_of(row));
  if (!row.is_null(8)) last.removed = Instant{row.integer(8)};
  if (!row.is_null(9)) {
    last.because = end_of(row.text(9));
    last.reason = reason_from(row.text(9));
  }
  last.from = Instant{row.integer(11)};
  last.till = last.removed.value_or(last.entry.until);
  std::vector<AppliedInterval> out;
  if (last.from > last.entry.since) {
    auto before = database.query(
        "SELECT since, till, policy, causes FROM applied_states WHERE entry = ? ORDER BY since",
        row.number(10));
    for (;;) {
      KNOCK_ASSIGN(bool more, before.next());
      if (!more) break;
      AppliedInterval& was = out.emplace_back(last);
      was.from = Instant{before.integer(0)};
      was.till = std::min(Instant{before.integer(1)}, last.till);
      was.entry.policy = PolicyRevision(before.text(2));
      KNOCK_ASSIGN(was.entry.causes, causes_from_json(before.text(3)));
    }
  }
  out.push_back(std::move(last));
  return out;
}

/// The stretches of every row that `wanted` says yes to; some are empty.
template <class Wanted>
Result<std::vector<AppliedInterval>> stretches(Database& database, Query row, Wanted wanted) {
  std::vector<AppliedInterval> out;
  for (;;) {
    KNOCK_ASSIGN(bool more, row.next());
    if (!more) return out;
    KNOCK_ASSIGN(auto all, stretches_of(database, row));
    for (AppliedInterval& one : all)
      if (wanted(one)) out.push_back(std::move(one));
  }
}

Result<std::optional<Adoption>> adoption_of(Database& database, Query row) {
  KNOCK_ASSIGN(bool any, row.next());
  if (!any) return std::optional<Adoption>();
  Adoption out{PolicyRevision(row.text(2)), PolicyRevision(row.text(3)), Instant{row.integer(1)},
               "", ""};
  KNOCK_ASSIGN(auto records, read_records(database, row.number(0) - 1, 1));
  if (records.empty())
    return fail(ErrorKind::internal,
                fmt::format("record {} is missing from the log", row.number(0)));
  KNOCK_ASSIGN(auto fact, decode(records.front().fact));
  if (auto* adopted = std::get_if<PolicyAdopted>(&fact)) {
    out.author = std::move(adopted->author);
    out.subject = std::move(adopted->subject);
  }
  return std::optional(std::move(out));
}

}  // namespace

Result<std::vector<AppliedInterval>> read_applied_with_tickets(Database& database,
                                                               const TargetName& target,
                                                               Instant since) {
  // As the indexes are written, or they are not used.
  auto row = database.query("SELECT " KNOCK_APPLIED_COLUMNS
                            " FROM applied WHERE target = ?1 AND until > ?2"
                            " AND instr(causes, '\"lasts\":\"first-connection\"') > 0"
                            " UNION SELECT " KNOCK_APPLIED_COLUMNS
                            " FROM applied WHERE target = ?1 AND until > ?2"
                            " AND seq IN (SELECT entry FROM applied_states"
                            "   WHERE instr(causes, '\"lasts\":\"first-connection\"') > 0)",
                            target.value, since.ms);
  // Also one that ended in the moment in which it began: its ticket was given.
  return stretches(database, std::move(row), [](const AppliedInterval& one) {
    return std::any_of(one.entry.causes.begin(), one.entry.causes.end(),
                       [](const auto& cause) { return cause.lasts == Lasts::first_connection; });
  });
}

Result<std::vector<AppliedInterval>> read_applied_between(Database& database,
                                                          const ServiceName& service, Instant from,
                                                          Instant to) {
  return stretches(
      database,
      database.query("SELECT " KNOCK_APPLIED_COLUMNS " FROM applied WHERE since < ?2 AND until > ?1"
                     " AND (removed IS NULL OR removed > ?1) ORDER BY target, slot, seq",
                     from.ms, to.ms),
      [&](const AppliedInterval& one) {
        return one.from < one.till && one.from < to && one.till > from &&
               serves(one.entry, service);
      });
}

Result<std::vector<AppliedInterval>> read_applied_at(Database& database, const ServiceName& service,
                                                     Instant at) {
  return read_applied_between(database, service, at, {at.ms + 1});
}

Result<std::vector<AppliedInterval>> read_entry_history(Database& database, const EntryId& entry) {
  // Quotes within a text are escaped, so that nothing but the member itself reads like this.
  auto member = "\"entry\":\"" + entry.to_string() + "\"";
  auto found = database.query(
      "SELECT e.seq FROM event_personal p JOIN events e ON e.seq = p.seq"
      " WHERE instr(p.text, ?) > 0 AND e.kind = 'change.applied' ORDER BY e.seq DESC LIMIT 1",
      member);
  KNOCK_ASSIGN(bool any, found.next());
  if (!any) return std::vector<AppliedInterval>();
  KNOCK_ASSIGN(auto records, read_records(database, found.number(0) - 1, 1));
  if (records.empty())
    return fail(ErrorKind::internal,
                fmt::format("record {} is missing from the log", found.number(0)));
  KNOCK_ASSIGN(auto fact, decode(records.front().fact));
  auto* applied = std::get_if<ChangeApplied>(&fact);
  if (applied == nullptr) return std::vector<AppliedInterval>();
  return stretches(database,
                   database.query("SELECT " KNOCK_APPLIED_COLUMNS
                                  " FROM applied WHERE target = ? AND slot = ? AND prefix = ?"
                                  " ORDER BY seq",
                                  applied->target.value, applied->change.slot,
                                  applied->change.prefix.to_string()),
                   [](const AppliedInterval& one) { return one.from < one.till; });
}

Result<std::vector<Session>> read_sessions_at(Database& database, Instant at) {
  return with_groups(
      database, at,
      all<Session>(database.query("SELECT " KNOCK_SESSION_COLUMNS " FROM sessions"
                                  " WHERE created <= ?1 AND expires > ?1"
                                  " AND (end_at IS NULL OR end_at > ?1) ORDER BY seq",
                                  at.ms),
                   session_of));
}

Result<std::optional<Adoption>> read_adoption_at(Database& database, Instant at) {
  return adoption_of(database, database.query("SELECT seq, at, revision, previous FROM adoptions"
                                              " WHERE at <= ? ORDER BY seq DESC LIMIT 1",
                                              at.ms));
}

Result<std::optional<Adoption>> read_adoption_of(Database& database,
                                                 const PolicyRevision& revision) {
  return adoption_of(database, database.query("SELECT seq, at, revision, previous FROM adoptions"
                                              " WHERE revision = ? ORDER BY seq DESC LIMIT 1",
                                              revision.value));
}

Result<std::optional<PolicyHold>> read_policy_hold(Database& database) {
  auto row = database.query("SELECT seq, held FROM advances ORDER BY seq DESC LIMIT 1");
  KNOCK_ASSIGN(bool any, row.next());
  if (!any || row.integer(1) == 0) return std::optional<PolicyHold>();
  KNOCK_ASSIGN(auto records, read_records(database, row.number(0) - 1, 1));
  if (records.empty())
    return fail(ErrorKind::internal,
                fmt::format("record {} is missing from the log", row.number(0)));
  const Record& record = records.front();
  KNOCK_ASSIGN(auto fact, decode(record.fact));
  const auto* advanced = std::get_if<PolicyAdvanced>(&fact);
  if (advanced == nullptr)
    return fail(ErrorKind::internal,
                fmt::format("record {} is not what the store says it is", row.number(0)));
  return std::optional(PolicyHold{advanced->revision, record.at, record.actor, advanced->reason});
}

Result<std::optional<RestoredStore>> read_restored(Database& database) {
  auto row = database.query(
      "SELECT seq FROM events WHERE kind IN ('store.restored', 'store.recovered')"
      " ORDER BY seq DESC LIMIT 1");
  KNOCK_ASSIGN(bool any, row.next());
  if (!any) return std::optional<RestoredStore>();
  KNOCK_ASSIGN(auto records, read_records(database, row.number(0) - 1, 1));
  if (records.empty())
    return fail(ErrorKind::internal,
                fmt::format("record {} is missing from the log", row.number(0)));
  KNOCK_ASSIGN(auto fact, decode(records.front().fact));
  const auto* restored = std::get_if<StoreRestored>(&fact);
  if (restored == nullptr) return std::optional<RestoredStore>();
  return std::optional(
      RestoredStore{records.front().at, restored->taken, restored->how, restored->evidence});
}

Result<std::vector<Confirmation>> read_confirmations(Database& database) {
  return all<Confirmation>(
      database.query("SELECT target, policy, previous, due, plan, returned FROM confirmations"
                     " ORDER BY target"),
      [](const Query& row) {
        return Result<Confirmation>(Confirmation{
            TargetName(row.text(0)), PolicyRevision(row.text(1)), PolicyRevision(row.text(2)),
            Instant{row.integer(3)}, row.text(4),
            row.integer(5) != 0 ? Confirmation::State::returned : Confirmation::State::due});
      });
}

Result<std::optional<AdoptedPolicy>> read_kept_policy(Database& database,
                                                      const PolicyRevision& revision) {
  AdoptedPolicy policy;
  policy.revision = revision;
  auto row = database.query("SELECT at, author, subject FROM policies WHERE revision = ?",
                            policy.revision.value);
  KNOCK_ASSIGN(bool saved, row.next());
  if (!saved) return std::optional<AdoptedPolicy>();
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

Result<std::optional<AdoptedPolicy>> read_adopted_policy(Database& database) {
  auto adopted = database.query("SELECT revision FROM adoptions ORDER BY seq DESC LIMIT 1");
  KNOCK_ASSIGN(bool any, adopted.next());
  if (!any) return std::optional<AdoptedPolicy>();
  PolicyRevision revision(adopted.text(0));
  KNOCK_ASSIGN(auto policy, read_kept_policy(database, revision));
  if (!policy)
    return fail(ErrorKind::not_found,
                fmt::format("the log says that policy {} is in force, but its files were never "
                            "saved in this store; read them from the policy's source",
                            revision.value));
  return policy;
}

/// Adoptions whose files are kept, the newest of them being in force.
constexpr std::int64_t kPoliciesKept = 4;

Status write_policy(Database& database, const AdoptedPolicy& policy) {
  // The one in force stays until the next is adopted, a few before it because something of theirs
  // may still stand, and what a target may return to. Others live in the policy's source and in the
  // log's ids.
  KNOCK_CHECK(database
                  .query("DELETE FROM policies WHERE revision = ? OR (revision NOT IN"
                         " (SELECT revision FROM adoptions ORDER BY seq DESC LIMIT ?)"
                         " AND revision NOT IN (SELECT previous FROM confirmations))",
                         policy.revision.value, kPoliciesKept)
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

Result<std::vector<ApiKey>> read_keys(Database& database) {
  return all<ApiKey>(
      database.query("SELECT name, scopes, networks, created, expires, hash, last_used"
                     " FROM api_keys ORDER BY name"),
      key_of);
}

Status write_key(Database& database, const ApiKey& key) {
  std::vector<std::string> networks;
  for (const Prefix& prefix : key.from) networks.push_back(prefix.to_string());
  std::optional<std::int64_t> last_used;
  if (key.last_used) last_used = key.last_used->ms;
  return database
      .query("INSERT OR REPLACE INTO api_keys VALUES(?,?,?,?,?,?,?)", key.name,
             texts_to_json(to_words(key.scopes)), texts_to_json(networks), key.created.ms,
             key.expires.ms, Blob{as_bytes(key.hash)}, last_used)
      .run();
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
