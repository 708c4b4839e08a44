// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/reserve.h"

#include <algorithm>

#include "base/log.h"

namespace knock::sqlite {
namespace {

/// What ends in time ends by itself after a restart too.
const SessionEnded* early_end(const Fact& fact) {
  const auto* ended = std::get_if<SessionEnded>(&fact);
  return ended != nullptr && ended->end.cause != EndCause::expired ? ended : nullptr;
}

constexpr Instant kFarAway{253'402'300'799'000};  // the end of the year 9999
constexpr const char* kLate = "written after a time in which the log could not be";
constexpr const char* kLost =
    "ended with all others: the file of ended sessions was gone or damaged";

}  // namespace

Status Reserve::read(uid_t owner, const std::string& mark, const std::vector<Session>& open,
                     Instant last) {
  KNOCK_ASSIGN(file_, EndedIds::read(path_, owner));
  std::lock_guard lock(mutex_);
  damage_ = file_.damage;
  if (!file_.exists && !mark.empty()) damage_ = "is gone";
  if (damage_.empty() && file_.exists && !mark.empty() && file_.mark != mark)
    damage_ = "is another store's, or of another time";
  std::map<Digest, SessionEnd> ended;
  for (const EndedId& one : file_.ended) ended.emplace(one.id, one.end);
  for (const Session& session : open) {
    auto at = ended.find(ended_id_of(session.id));
    if (at != ended.end())
      ends_[session.id] = {at->second, session.expires, true, ""};
    else if (!damage_.empty() && session.expires > last)
      ends_[session.id] = {{last, EndCause::revoked}, session.expires, true, ""};
  }
  if (!damage_.empty())
    log(LogLevel::error, "sessions.ended-unknown",
        "The file of ended sessions cannot be trusted, so every session is over: people sign in "
        "again.",
        {{"file", path_}, {"problem", damage_}, {"sessions", std::to_string(ends_.size())}});
  return {};
}

std::vector<Fact> Reserve::found() const {
  std::lock_guard lock(mutex_);
  std::vector<Fact> out;
  for (const auto& [id, end] : ends_)
    out.push_back(SessionEnded{id, end.end, damage_.empty() ? kLate : kLost});
  return out;
}

Result<std::string> Reserve::begin(const std::string& mark) {
  std::lock_guard lock(mutex_);
  ends_.clear();
  if (!file_.exists || !damage_.empty()) {
    KNOCK_ASSIGN(ids_, EndedIds::make(path_, mark));
    damage_.clear();
    return mark;
  }
  KNOCK_ASSIGN(ids_, EndedIds::open(path_, file_));
  // One that stays names a session that is over: it does no harm.
  for (const Digest& id : ids_->held())
    if (auto freed = ids_->forget(id); !freed) break;
  return file_.mark;
}

Status Reserve::begin_unwritten() {
  std::lock_guard lock(mutex_);
  // While a damaged file lies there, every start ends everything: nothing more needs to be kept.
  if (!damage_.empty() || !file_.exists) return {};
  KNOCK_ASSIGN(ids_, EndedIds::open(path_, file_));
  return {};
}

void Reserve::keep(const SessionId& id, End& end) {
  Status done;
  if (ids_ != nullptr)
    done = ids_->keep(id, end.end);
  else if (damage_.empty())
    done = fail(ErrorKind::unavailable, "there is no file of ended sessions");
  end.kept = done.has_value();
  end.problem = done ? "" : done.error().text();
}

void Reserve::refused(std::span<const Fact> facts,
                      const std::function<std::optional<Session>(const SessionId&)>& sessions) {
  for (const Fact& fact : facts) {
    const auto* ended = early_end(fact);
    if (ended == nullptr) continue;
    auto session = sessions(ended->session);
    if (session && session->end) continue;
    std::lock_guard lock(mutex_);
    auto [at, fresh] = ends_.try_emplace(ended->session);
    // Unreadable is not empty: who knows when it would end.
    if (fresh) at->second = {ended->end, session ? session->expires : kFarAway, false, ""};
    if (!at->second.kept) keep(at->first, at->second);
  }
}

void Reserve::written(std::span<const Fact> facts) {
  std::lock_guard lock(mutex_);
  if (ends_.empty()) return;
  for (const Fact& fact : facts) {
    const auto* ended = std::get_if<SessionEnded>(&fact);
    if (ended == nullptr || ends_.erase(ended->session) == 0 || ids_ == nullptr) continue;
    (void)ids_->forget(ended_id_of(ended->session));  // does no harm if it stays
  }
}

Status Reserve::try_again() {
  std::lock_guard lock(mutex_);
  for (auto& [id, end] : ends_) {
    if (end.kept) continue;
    keep(id, end);
    if (!end.kept) return fail(ErrorKind::unavailable, end.problem);
  }
  return {};
}

std::vector<UnwrittenEnd> Reserve::unwritten() const {
  std::lock_guard lock(mutex_);
  std::vector<UnwrittenEnd> out;
  for (const auto& [id, end] : ends_)
    out.push_back({id, end.end, end.expires, end.kept, end.problem});
  return out;
}

void Reserve::apply(Session& session) const {
  std::lock_guard lock(mutex_);
  if (session.end) return;
  if (auto at = ends_.find(session.id); at != ends_.end()) session.end = at->second.end;
}

void Reserve::drop_ended(std::vector<Session>& sessions) const {
  std::lock_guard lock(mutex_);
  if (ends_.empty()) return;
  std::erase_if(sessions, [this](const Session& session) { return ends_.contains(session.id); });
}

}  // namespace knock::sqlite
