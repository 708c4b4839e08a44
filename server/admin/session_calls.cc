// SPDX-License-Identifier: Apache-2.0
// Status and live sessions.
#include "base/text.h"
#include "server/admin/call.h"
#include "server/admin/json.h"
#include "server/admin/reply.h"

namespace knock {
namespace {

constexpr std::size_t kMostWithWhere = 1000;

std::vector<SessionOnTarget> as_seen(std::vector<SessionOnTarget> rows, View view) {
  for (SessionOnTarget& row : rows) row.problem = problem_text(row.problem, view);
  return rows;
}

/// Of those that live.
std::optional<WhereOfSessions> where_of(const Reconciler& reconciler,
                                        const std::vector<Session>& sessions, View view) {
  WhereOfSessions out;
  for (const Session& session : sessions) {
    if (!reconciler.live_session(session.id)) continue;
    if (out.size() == kMostWithWhere) return std::nullopt;
    out.emplace_back(session.id, as_seen(reconciler.where(session), view));
  }
  return out;
}

}  // namespace

Result<net::HttpResponse> AdminCall::status() {
  return reply(200, to_json(as_seen(c_.status(), c_.policy_keeper().refused(), widest())));
}

Result<net::HttpResponse> AdminCall::list_sessions() {
  KNOCK_ASSIGN(auto all, args_.text_or("all", ""));
  auto sessions = c_.reconciler().live_sessions();
  if (!all.empty()) {
    KNOCK_ASSIGN(sessions, c_.store().sessions(1000));
  }
  auto document = sessions_json(sessions, where_of(c_.reconciler(), sessions, widest()));
  return reply(200, may(KeyScope::audit_read) ? document : without_address_members(document));
}

Result<net::HttpResponse> AdminCall::grant() {
  GrantRequest grant;
  KNOCK_ASSIGN(grant.user, args_.text("user"));
  KNOCK_ASSIGN(auto from, args_.text("from"));
  KNOCK_ASSIGN(auto ttl, args_.text("ttl"));
  KNOCK_ASSIGN(grant.reason, args_.text_or("reason", ""));
  KNOCK_ASSIGN(auto groups, args_.texts("groups"));
  KNOCK_ASSIGN(auto wait, args_.boolean_or("wait", true));
  auto address = IpAddress::parse(from);
  auto life = parse_duration(ttl);
  if (!address)
    return fail(ErrorKind::invalid,
                printable(from) + " is not an address; --from takes one host, like 203.0.113.7");
  if (!life)
    return fail(ErrorKind::invalid, printable(ttl) + " is not a length of time; write 30m or 8h");
  grant.from = *address;
  grant.ttl = *life;
  for (auto& group : groups) grant.groups.emplace_back(std::move(group));
  KNOCK_ASSIGN(auto session, c_.grant(actor_, grant));
  auto where = wait ? c_.reconciler().wait_open(session, Deadline::in(Duration::seconds(3)))
                    : c_.reconciler().where(session);
  return reply(201, session_json(session, as_seen(std::move(where), widest())));
}

Result<net::HttpResponse> AdminCall::revoke() {
  KNOCK_ASSIGN(auto id, args_.text("session"));
  KNOCK_ASSIGN(auto reason, args_.text_or("reason", ""));
  KNOCK_ASSIGN(auto revoked, c_.revoke(actor_, id, reason));
  c_.reconciler().wait_settled(Deadline::in(Duration::seconds(3)));
  auto document = session_json(revoked.session, {}, revoked.note);
  return reply(200, may(KeyScope::audit_read) ? document : without_address_members(document));
}

Result<net::HttpResponse> AdminCall::refresh() {
  KNOCK_ASSIGN(auto target, args_.text_or("target", ""));
  c_.reconciler().refresh(TargetName(target));
  c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
  return status();
}

}  // namespace knock
