// SPDX-License-Identifier: Apache-2.0
#include "schemas/session/codec.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/json/json_writer.h"
#include "schemas/json/object_reader.h"
#include "schemas/json/strict_json.h"

namespace knock {
namespace {

void write(JsonWriter& out, const Session& session) {
  out.begin_object().text("id", session.id.value);
  out.key("principal").begin_object().text("issuer", session.principal.issuer);
  out.text("subject", session.principal.subject).text("name", session.principal.name).end_object();
  out.text("source", session.source.value).text("proof", to_string(session.proof));
  out.key("groups").begin_list();
  for (const auto& group : session.groups) out.text(group);
  out.end_list().text("address", session.address.to_string());
  out.time("created", session.created).time("expires", session.expires);
  out.time("authenticated", session.authenticated);
  if (!session.reason.empty()) out.text("reason", session.reason);
  if (session.end) {
    out.key("end").begin_object().time("at", session.end->at);
    out.text("cause", to_string(session.end->cause)).end_object();
  }
  out.end_object();
}

Result<Principal> read_principal(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where + ", principal");
  Principal principal{in.text("issuer"), in.text("subject"), in.text_or("name", "")};
  if (in.ok() && principal.issuer.empty()) in.refuse("value", "issuer", "must not be empty");
  if (in.ok() && principal.subject.empty()) in.refuse("value", "subject", "must not be empty");
  KNOCK_CHECK(in.finish());
  if (principal.name.empty()) principal.name = principal.subject;
  return principal;
}

Result<SessionEnd> read_end(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where + ", end");
  SessionEnd end{in.time("at"),
                 in.parsed("cause", "expired, signed-out, revoked or replaced", end_cause_from)};
  KNOCK_CHECK(in.finish());
  return end;
}

void sort_groups(std::vector<std::string>& groups) {
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
}

Result<Session> read(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where);
  Session session;
  session.id = SessionId(in.text("id"));
  if (in.ok() && session.id.empty()) in.refuse("value", "id", "must not be empty");
  if (auto* principal = in.member("principal")) {
    KNOCK_ASSIGN(session.principal, read_principal(*principal, where));
  } else {
    in.refuse("missing", "principal", "is missing");
  }
  session.source = SignInName(in.text("source"));
  session.proof = in.parsed("proof", "oidc, local or grant", proof_from);
  session.groups = in.texts("groups");
  session.address = in.parsed("address", "an IP address", IpAddress::parse);
  session.created = in.time("created");
  session.expires = in.time("expires").floor_to_second();
  session.authenticated = in.time("authenticated");
  session.reason = in.text_or("reason", "");
  if (auto* end = in.member("end")) {
    KNOCK_ASSIGN(session.end, read_end(*end, where));
  }
  KNOCK_CHECK(in.finish());
  sort_groups(session.groups);
  return session;
}

}  // namespace

std::string to_json(const Session& session) {
  std::string text;
  JsonWriter out([&](std::string_view piece) { text += piece; });
  write(out, session);
  out.flush();
  return text;
}

Result<Session> session_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  return read(value, "session");
}

Result<std::vector<Session>> sessions_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  ObjectReader in(value, "sessions document");
  std::vector<Session> sessions;
  for (auto* element : in.list("sessions")) {
    auto session = read(*element, fmt::format("session {}", sessions.size() + 1));
    if (!session) return fail(std::move(session.error()));
    sessions.push_back(*std::move(session));
  }
  KNOCK_CHECK(in.finish());
  return sessions;
}

}  // namespace knock
