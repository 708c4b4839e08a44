// SPDX-License-Identifier: Apache-2.0
#include "server/core/session_ends.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace knock {
namespace {

EndedSession as_ended(const UnwrittenEnd& end, std::string log_problem) {
  EndedSession out;
  out.written = end.kept ? EndedSession::Written::beside : EndedSession::Written::nowhere;
  out.expires = end.expires;
  out.problem = std::move(log_problem);
  if (!end.kept && !end.problem.empty())
    out.problem += (out.problem.empty() ? "" : "; ") + end.problem;
  return out;
}

}  // namespace

SessionEnds::~SessionEnds() {
  thread_.request_stop();
  wake_.notify_all();
}

/// Without those whose session would be over by now anyway.
std::vector<UnwrittenEnd> SessionEnds::still_of_interest() const {
  auto out = store_.unwritten_ends();
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, end] : lost_) out.push_back(end);
  }
  std::erase_if(out, [now = clock_.now()](const UnwrittenEnd& end) { return end.expires <= now; });
  return out;
}

Result<EndedSession> SessionEnds::end(const Actor& actor, const Session& session, EndCause cause,
                                      const std::string& reason) {
  auto done = reconciler_.end_session(actor, session.id, cause, reason);
  if (done) return EndedSession{};
  auto ends = store_.unwritten_ends();
  auto at = std::find_if(ends.begin(), ends.end(),
                         [&](const UnwrittenEnd& end) { return end.session == session.id; });
  if (done.error().kind == ErrorKind::not_found && at == ends.end()) {
    std::lock_guard lock(mutex_);
    auto lost = lost_.find(session.id);
    if (lost == lost_.end()) return fail(std::move(done.error()));
    return as_ended(lost->second, "");
  }
  auto problem = done.error().kind == ErrorKind::not_found ? "" : done.error().text();
  if (at == ends.end()) {
    UnwrittenEnd end{session.id, {clock_.now(), cause}, session.expires, false, ""};
    std::lock_guard lock(mutex_);
    return as_ended(lost_.emplace(session.id, std::move(end)).first->second, problem);
  }
  auto ended = as_ended(*at, std::move(problem));
  if (at->kept)
    log(LogLevel::warning, "session.end-kept",
        "A session was ended; the log could not take that, so it is kept beside the log.",
        {{"session", session.id.value}, {"problem", ended.problem}});
  else
    log(LogLevel::error, "session.end-unrecorded",
        "A session was ended and closed, but that could be written nowhere: a restart before its "
        "deadline would bring it back.",
        {{"session", session.id.value},
         {"until", to_string(ended.expires)},
         {"problem", ended.problem}});
  return ended;
}

std::optional<EndedSession> SessionEnds::unwritten(const SessionId& id) const {
  for (const UnwrittenEnd& end : still_of_interest())
    if (end.session == id) return as_ended(end, "");
  return std::nullopt;
}

std::optional<SessionId> SessionEnds::find_unwritten(const std::string& beginning) const {
  std::optional<SessionId> found;
  if (beginning.empty()) return found;
  for (const UnwrittenEnd& end : still_of_interest()) {
    if (!end.session.value.starts_with(beginning)) continue;
    if (found) return std::nullopt;
    found = end.session;
  }
  return found;
}

void SessionEnds::start(Duration every) {
  thread_ = std::jthread([this, every](std::stop_token stop) {
    std::mutex own;
    std::unique_lock lock(own);
    while (!stop.stop_requested()) {
      try_again();
      wake_.wait_for(lock, stop, every.chrono(), [] { return false; });
    }
  });
}

void SessionEnds::try_again() {
  {
    // Of a store that keeps nothing: once the log has it, or its time is over, it is of no concern.
    std::lock_guard lock(mutex_);
    std::erase_if(lost_, [this](const auto& pair) {
      auto known = store_.session(pair.first);
      return pair.second.expires <= clock_.now() || (known && *known && (*known)->end);
    });
  }
  auto ends = still_of_interest();
  bool any = std::any_of(ends.begin(), ends.end(), [](const auto& end) { return !end.kept; });
  if (!any) {
    complained_ = false;
    return;
  }
  (void)store_.keep_ends();  // what came of it, the store tells
  auto left = still_of_interest();
  if (std::all_of(left.begin(), left.end(), [](const auto& end) { return end.kept; })) {
    log(LogLevel::warning, "session.end-kept",
        "Ends of sessions that could be written nowhere are on the disk now.",
        {{"sessions", std::to_string(ends.size())}});
    return;
  }
  if (!complained_.exchange(true))
    log(LogLevel::error, "session.end-unrecorded", not_ready(), {{"tried", "again, and goes on"}});
}

std::string SessionEnds::not_ready() const {
  std::size_t nowhere = 0;
  Instant until;
  std::string problem;
  for (const UnwrittenEnd& end : still_of_interest()) {
    if (end.kept) continue;
    ++nowhere;
    until = std::max(until, end.expires);
    problem = end.problem;
  }
  if (nowhere == 0) return "";
  return fmt::format(
      "ends of sessions are written nowhere: a restart before {} would bring {} back; free or mend "
      "the disk first{}",
      to_string(until), counted(nowhere, "session", "sessions"),
      problem.empty() ? "" : " (" + problem + ")");
}

std::vector<std::string> SessionEnds::remarks() const {
  std::vector<std::string> out;
  auto ends = still_of_interest();
  auto kept = std::size_t(
      std::count_if(ends.begin(), ends.end(), [](const UnwrittenEnd& end) { return end.kept; }));
  if (kept > 0)
    out.push_back(
        fmt::format("{} ended while the log could not be written: kept beside the log, recorded by "
                    "the next start that can",
                    counted(kept, "session was", "sessions were")));
  if (auto problem = not_ready(); !problem.empty()) out.push_back(problem);
  return out;
}

std::string to_sentence(const EndedSession& ended, const SessionId& id) {
  switch (ended.written) {
    case EndedSession::Written::log:
      return "";
    case EndedSession::Written::beside:
      return fmt::format(
          "session {} is over and stays over; the log could not take its end, which is kept beside "
          "the log and recorded by the next start that can write it{}",
          id.value, ended.problem.empty() ? "" : " (" + ended.problem + ")");
    case EndedSession::Written::nowhere:
      break;
  }
  return fmt::format(
      "session {} is closed now, but not recorded: after a restart it would be open until {}. Free "
      "or mend the disk before anything restarts; knock tries again every few seconds, and `knock "
      "status` says when it is done. If a restart came first, revoke it once more{}",
      id.value, to_string(ended.expires), ended.problem.empty() ? "" : " (" + ended.problem + ")");
}

}  // namespace knock
