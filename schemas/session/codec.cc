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
  if (!session.claims.empty()) {
    out.key("claims").begin_object();
    for (const auto& [claim, values] : session.claims) {
      out.key(claim).begin_list();
      for (const auto& value : values) out.text(value);
      out.end_list();
    }
    out.end_object();
  }
  if (!session.acr.empty()) out.text("acr", session.acr);
  if (session.mfa_at) out.time("mfa_at", *session.mfa_at);
  if (!session.reason.empty()) out.text("reason", session.reason);
  if (session.end) {
    out.key("end").begin_object().time("at", session.end->at);
    out.text("cause", to_string(session.end->cause)).end_object();
  }
  out.end_object();
}

Result<Principal> read_principal(const boost::json::value& value, const std::string& where,
                                 std::string_view key = "principal") {
  ObjectReader in(value, fmt::format("{}, {}", where, key));
  Principal principal{in.text("issuer"), in.text("subject"), in.text_or("name", "")};
  if (in.ok() && principal.issuer.empty()) in.refuse("value", "issuer", "must not be empty");
  if (in.ok() && principal.subject.empty()) in.refuse("value", "subject", "must not be empty");
  KNOCK_CHECK(in.finish());
  if (principal.name.empty()) principal.name = principal.subject;
  return principal;
}

Result<SessionEnd> read_end(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where + ", end");
  SessionEnd end{
      in.time("at"),
      in.parsed("cause", "expired, signed-out, revoked, replaced or restored", end_cause_from)};
  KNOCK_CHECK(in.finish());
  return end;
}

std::vector<std::string> sorted(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

using Claims = std::map<std::string, std::vector<std::string>>;

Result<Claims> read_claims(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where + ", claims");
  Claims claims;
  if (const auto* object = value.if_object())
    for (const auto& member : *object)
      claims.emplace(std::string(member.key()), sorted(in.texts(member.key())));
  KNOCK_CHECK(in.finish());
  return claims;
}

/// A required member that is a person.
Status read_person(ObjectReader& in, std::string_view key, const std::string& where,
                   Principal& out) {
  if (auto* person = in.member(key)) {
    KNOCK_ASSIGN(out, read_principal(*person, where, key));
  } else {
    in.refuse("missing", key, "is missing");
  }
  return {};
}

Result<Session> read(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where);
  Session session;
  session.id = SessionId(in.text("id"));
  if (in.ok() && session.id.empty()) in.refuse("value", "id", "must not be empty");
  KNOCK_CHECK(read_person(in, "principal", where, session.principal));
  session.source = SignInName(in.text("source"));
  session.proof = in.parsed("proof", "oidc, local or grant", proof_from);
  session.groups = sorted(in.texts("groups"));
  session.address = in.parsed("address", "an IP address", IpAddress::parse);
  session.created = in.time("created");
  session.expires = in.time("expires").floor_to_second();
  session.authenticated = in.time("authenticated");
  session.reason = in.text_or("reason", "");
  if (auto* claims = in.member("claims")) {
    KNOCK_ASSIGN(session.claims, read_claims(*claims, where));
  }
  session.acr = in.text_or("acr", "");
  if (in.has("mfa_at")) session.mfa_at = in.time("mfa_at");
  if (auto* end = in.member("end")) {
    KNOCK_ASSIGN(session.end, read_end(*end, where));
  }
  KNOCK_CHECK(in.finish());
  return session;
}

Result<Approval::Yes> read_yes(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where);
  Approval::Yes yes;
  KNOCK_CHECK(read_person(in, "by", where, yes.by));
  yes.source = SignInName(in.text("source"));
  yes.groups = sorted(in.texts("groups"));
  yes.at = in.time("at");
  KNOCK_CHECK(in.finish());
  return yes;
}

Result<Approval> read_approval(const boost::json::value& value, const std::string& where) {
  ObjectReader in(value, where);
  Approval approval;
  approval.rule = RuleName(in.text("rule"));
  if (in.ok() && approval.rule.empty()) in.refuse("value", "rule", "must not be empty");
  KNOCK_CHECK(read_person(in, "who", where, approval.who));
  approval.reason = in.text_or("reason", "");
  for (auto* element : in.list("yes")) {
    auto number = approval.yes.size() + 1;
    KNOCK_ASSIGN(auto yes, read_yes(*element, fmt::format("{}, yes {}", where, number)));
    approval.yes.push_back(std::move(yes));
  }
  KNOCK_CHECK(in.finish());
  return approval;
}

/// Hands an element's error up as it is: it names itself.
Result<std::vector<Session>> read_sessions(ObjectReader& in) {
  std::vector<Session> sessions;
  for (auto* element : in.list("sessions")) {
    KNOCK_ASSIGN(auto session, read(*element, fmt::format("session {}", sessions.size() + 1)));
    sessions.push_back(std::move(session));
  }
  return sessions;
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
  KNOCK_ASSIGN(auto sessions, read_sessions(in));
  KNOCK_CHECK(in.finish());
  return sessions;
}

Result<SessionsDocument> sessions_document_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  ObjectReader in(value, "sessions document");
  (void)in.member("where");  // `session list` says there where each stands open
  SessionsDocument document;
  KNOCK_ASSIGN(document.sessions, read_sessions(in));
  if (in.has("approvals"))
    for (auto* element : in.list("approvals")) {
      auto number = document.approvals.size() + 1;
      KNOCK_ASSIGN(auto approval, read_approval(*element, fmt::format("approval {}", number)));
      document.approvals.push_back(std::move(approval));
    }
  KNOCK_CHECK(in.finish());
  return document;
}

}  // namespace knock
