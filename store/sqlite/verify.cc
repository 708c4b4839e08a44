// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/verify.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "store/sqlite/projection.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"

namespace knock::sqlite {
namespace {

constexpr std::uint64_t kProgressEvery = 1000;

/// The verdict of one check: nothing when all is well.
struct Fault {
  std::uint64_t seq = 0;
  std::string why;
};
using Verdict = Result<std::optional<Fault>>;

Verdict good() { return std::optional<Fault>(); }
Verdict bad(std::uint64_t seq, std::string why) {
  return std::optional(Fault{seq, std::move(why)});
}

/// One row of the log as it is stored, with whatever is left of its personal part.
struct StoredRecord {
  Record record;
  std::string prev, hash, key;
  bool has_text = false, has_key = false;
};

StoredRecord stored_of(const Query& row) {
  StoredRecord s;
  s.record.seq = row.number(0);
  s.record.at = Instant{row.integer(1)};
  s.record.actor = row.text(2);
  s.record.fact = {row.text(3), row.text(4), row.text(8), row.text(9)};
  s.record.commitment = row.text(5);
  s.prev = row.text(6);
  s.hash = row.text(7);
  s.has_text = !row.is_null(9);
  s.has_key = !row.is_null(10);
  s.key = row.text(10);
  return s;
}

class Walk {
 public:
  Walk(Database& database, Database& replay) : database_(database), replay_(replay) {}

  Verdict records(const Progress& progress, ChainCheck& check);
  Verdict projections();
  Verdict definitions();

 private:
  Verdict link(StoredRecord& stored);
  Verdict personal(const StoredRecord& stored);
  Verdict replay(const StoredRecord& stored);
  Verdict strays();
  Verdict compare(const char* table, const char* sql);

  Database& database_;
  Database& replay_;
  Digest head_{};
  std::uint64_t seq_ = 0;
  std::set<std::uint64_t> erased_;  // records whose personal part is gone: not to be replayed
};

Verdict Walk::link(StoredRecord& stored) {
  auto& record = stored.record;
  if (record.seq != seq_ + 1)
    return bad(seq_ + 1,
               fmt::format("record {} is missing; the next one is {}", seq_ + 1, record.seq));
  record.prev = head_;
  if (stored.prev != as_bytes(head_))
    return bad(record.seq, "its link does not name the record before it");
  auto hash = chain_hash(record);
  if (stored.hash != as_bytes(hash))
    return bad(record.seq,
               "its content does not match its hash: it was changed after it was written");
  head_ = hash;
  seq_ = record.seq;
  return good();
}

Verdict Walk::personal(const StoredRecord& stored) {
  const auto& record = stored.record;
  if (!stored.has_text) {
    if (!record.commitment.empty()) erased_.insert(record.seq);
    return good();
  }
  if (record.commitment.empty())
    return bad(record.seq, "it has a personal part, which its hash does not cover");
  if (!stored.has_key)
    return bad(record.seq, "its personal part is there, but the key that commits it is not");
  auto want = commitment_of(stored.key, record.seq, record.fact.holder, record.fact.personal_json);
  if (want != record.commitment)
    return bad(record.seq, "its personal part does not match the commitment in its hash");
  return good();
}

Verdict Walk::replay(const StoredRecord& stored) {
  const auto& record = stored.record;
  auto fact = decode(record.fact);
  if (!fact) return bad(record.seq, "it cannot be read: " + fact.error().text());
  if (erased_.contains(record.seq)) return good();
  auto status = project(replay_, record.seq, record.at, *fact);
  if (status) return good();
  if (status.error().kind == ErrorKind::conflict)
    return bad(record.seq, "it contradicts the records before it: " + status.error().text());
  return fail(std::move(status.error()));
}

/// Personal parts that belong to no record.
Verdict Walk::strays() {
  KNOCK_ASSIGN(auto seq, database_.integer("SELECT min(seq) FROM event_personal WHERE seq NOT IN"
                                           " (SELECT seq FROM events)"));
  if (seq == 0) return good();
  return bad(std::uint64_t(seq), "there is a personal part for it, but no record");
}

Verdict Walk::records(const Progress& progress, ChainCheck& check) {
  KNOCK_ASSIGN(auto all, database_.integer("SELECT count(*) FROM events"));
  auto row = database_.query(
      "SELECT e.seq, e.at, e.actor, e.kind, e.public, e.commitment, e.prev, e.hash, k.holder,"
      " p.text, k.key FROM events e LEFT JOIN event_personal p ON p.seq = e.seq"
      " LEFT JOIN person_keys k ON k.id = p.person ORDER BY e.seq");
  for (;;) {
    KNOCK_ASSIGN(bool more, row.next());
    if (!more) break;
    auto stored = stored_of(row);
    KNOCK_ASSIGN(auto fault, link(stored));
    if (!fault) {
      KNOCK_ASSIGN(fault, personal(stored));
    }
    if (!fault) {
      KNOCK_ASSIGN(fault, replay(stored));
    }
    if (fault) return fault;
    check.records = seq_;
    check.head = head_;
    if (progress && seq_ % kProgressEvery == 0) progress(seq_, std::uint64_t(all));
  }
  if (progress) progress(check.records, check.records);
  return strays();
}

/// One row as comparable text; the first column is always the record that made the row.
std::string text_of(const Query& row) {
  std::string out;
  for (int i = 0; i < row.columns(); ++i) {
    auto value = row.is_null(i) ? std::string("-") : row.text(i);
    out += fmt::format("{}:{};", value.size(), value);
  }
  return out;
}

/// The next row that no erased record made.
Result<bool> next_kept(Query& row, const std::set<std::uint64_t>& erased) {
  for (;;) {
    KNOCK_ASSIGN(bool more, row.next());
    if (!more || !erased.contains(row.number(0))) return more;
  }
}

/// `sql` gives the same rows, in the same order, from the store and from the replay.
Verdict Walk::compare(const char* table, const char* sql) {
  auto ours = database_.query(sql), theirs = replay_.query(sql);
  for (;;) {
    KNOCK_ASSIGN(bool have, next_kept(ours, erased_));
    KNOCK_ASSIGN(bool want, next_kept(theirs, erased_));
    if (!have && !want) return good();
    if (have && want && text_of(ours) == text_of(theirs)) continue;
    auto seq = have && want ? std::min(ours.number(0), theirs.number(0))
                            : (have ? ours : theirs).number(0);
    return bad(seq, fmt::format("the table {} does not say what a replay of the log gives for this "
                                "record; the log itself is whole",
                                table));
  }
}

Verdict Walk::projections() {
  struct Table {
    const char* name;
    const char* rows;
  };
  static constexpr std::array kTables{
      Table{"sessions", "SELECT * FROM sessions ORDER BY seq"},
      Table{"intents", "SELECT * FROM intents ORDER BY seq"},
      Table{"applied", "SELECT * FROM applied ORDER BY seq"},
      Table{"applied_states", "SELECT * FROM applied_states ORDER BY entry, since"},
      Table{"adoptions", "SELECT * FROM adoptions ORDER BY seq"},
      Table{"plans", "SELECT * FROM plans ORDER BY seq"},
      Table{"session_groups", "SELECT * FROM session_groups ORDER BY seq"},
      Table{"confirmations", "SELECT * FROM confirmations ORDER BY seq"},
  };
  for (const auto& table : kTables) {
    KNOCK_ASSIGN(auto fault, compare(table.name, table.rows));
    if (fault) return fault;
  }
  return good();
}

Verdict Walk::definitions() {
  constexpr const char* kSql =
      "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
  auto ours = database_.query(kSql), theirs = replay_.query(kSql);
  for (;;) {
    KNOCK_ASSIGN(bool have, ours.next());
    KNOCK_ASSIGN(bool want, theirs.next());
    if (!have && !want) return good();
    if (have && want && text_of(ours) == text_of(theirs)) continue;
    return bad(0, fmt::format("the store's own definitions were changed (near \"{}\"): what keeps "
                              "the log append-only may be gone",
                              (want ? theirs : ours).text(1)));
  }
}

Verdict examine(Walk& walk, const Progress& progress, ChainCheck& check) {
  KNOCK_ASSIGN(auto fault, walk.records(progress, check));
  if (!fault) {
    KNOCK_ASSIGN(fault, walk.projections());
  }
  if (!fault) {
    KNOCK_ASSIGN(fault, walk.definitions());
  }
  return fault;
}

}  // namespace

Result<ChainCheck> verify_chain(Database& database, const Progress& progress) {
  KNOCK_ASSIGN(auto replay, Database::open("", Database::Access::memory, ""));
  KNOCK_CHECK(migrate(*replay));
  KNOCK_CHECK(replay->execute("BEGIN"));
  KNOCK_CHECK(database.execute("BEGIN"));  // one snapshot, whatever is appended meanwhile
  ChainCheck check;
  Walk walk(database, *replay);
  auto fault = examine(walk, progress, check);
  KNOCK_CHECK(database.execute("ROLLBACK"));
  if (!fault) return fail(std::move(fault.error()));
  if (*fault) {
    check.good = false;
    check.broken_at = (*fault)->seq;
    check.why = std::move((*fault)->why);
  }
  return check;
}

std::string commitment_of(std::string_view key, std::uint64_t seq, std::string_view holder,
                          std::string_view personal_json) {
  return to_hex(hmac_sha256(key, fmt::format("{}\n{}\n{}", seq, holder, personal_json)));
}

}  // namespace knock::sqlite
