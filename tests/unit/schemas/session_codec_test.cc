// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "schemas/session/codec.h"
#include "tests/conformance/sample_facts.h"

namespace knock {
namespace {

constexpr std::string_view kGood =
    R"({"id":"s-1","principal":{"issuer":"local","subject":"dora"},"source":"local","proof":"local",)"
    R"("groups":["b","a","b"],"address":"203.0.113.7","created":"2026-11-18T11:06:40.042Z",)"
    R"("expires":"2026-11-18T12:06:40.900Z","authenticated":"2026-11-18T11:06:40Z"})";

std::string with(std::string_view from, std::string_view to) {
  std::string text(kGood);
  auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(SessionCodec, RoundTrip) {
  auto session = test::sample_session("s-1", "dora", "2001:db8::7", test::kNoon, test::after(60));
  session.reason = "on call \"tonight\"";
  for (bool ended : {false, true}) {
    if (ended) session.end = SessionEnd{test::after(5), EndCause::revoked};
    auto text = to_json(session);
    auto back = session_from_json(text);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(to_json(*back), text);
    EXPECT_EQ(back->principal, session.principal);
    EXPECT_EQ(back->principal.name, session.principal.name);
    EXPECT_EQ(back->groups, session.groups);
    EXPECT_EQ(back->end, session.end);
    EXPECT_EQ(back->address, session.address);
    EXPECT_EQ(back->expires, session.expires);
  }
}

TEST(SessionCodec, NormalizesWhatPeopleWrite) {
  auto session = session_from_json(kGood);
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(session->groups, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(session->expires.ms % 1000, 0);
  EXPECT_EQ(session->principal.name, "dora");
}

TEST(SessionCodec, WhatTheSourceSaidReadsBack) {
  auto session = session_from_json(
      with(R"("source")", R"("claims":{"department":["ops","eng","ops"],"site":[]},"acr":"gold",)"
                          R"("mfa_at":"2026-11-18T11:05:00Z","source")"));
  ASSERT_TRUE(session) << session.error().text();
  EXPECT_EQ(session->claims, (std::map<std::string, std::vector<std::string>>{
                                 {"department", {"eng", "ops"}}, {"site", {}}}));
  EXPECT_EQ(session->acr, "gold");
  ASSERT_TRUE(session->mfa_at);
  EXPECT_EQ(to_string(*session->mfa_at), "2026-11-18T11:05:00Z");
  auto back = session_from_json(to_json(*session));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(to_json(*back), to_json(*session));
  EXPECT_EQ(back->claims, session->claims);
}

constexpr std::string_view kApproval =
    R"({"rule":"prod","who":{"issuer":"local","subject":"dora"},"reason":"the disk is full",)"
    R"("yes":[{"by":{"issuer":"local","subject":"eve"},"source":"local","groups":["b","a"],)"
    R"("at":"2026-11-18T11:00:00Z"}]})";

std::string document_with(std::string_view from, std::string_view to) {
  std::string text(kApproval);
  auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return "{\"sessions\":[" + std::string(kGood) + "],\"approvals\":[" +
         text.replace(at, from.size(), to) + "]}";
}

TEST(SessionsDocument, ReadsApprovals) {
  auto document = sessions_document_from_json(document_with("prod", "prod"));
  ASSERT_TRUE(document) << document.error().text();
  ASSERT_EQ(document->sessions.size(), 1u);
  ASSERT_EQ(document->approvals.size(), 1u);
  const Approval& approval = document->approvals.front();
  EXPECT_EQ(approval.rule.value, "prod");
  EXPECT_EQ(approval.who.key(), "dora@local");
  EXPECT_EQ(approval.reason, "the disk is full");
  ASSERT_EQ(approval.yes.size(), 1u);
  EXPECT_EQ(approval.yes[0].by.key(), "eve@local");
  EXPECT_EQ(approval.yes[0].source.value, "local");
  EXPECT_EQ(approval.yes[0].groups, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(to_string(approval.yes[0].at), "2026-11-18T11:00:00Z");
  auto none = sessions_document_from_json("{\"sessions\":[]}");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->approvals.empty());
  // As `session list` prints it.
  EXPECT_TRUE(sessions_document_from_json("{\"sessions\":[],\"where\":[{\"session\":\"a\"}]}"));
  EXPECT_FALSE(sessions_document_from_json("{\"sessions\":[],\"elsewhere\":[]}"));
}

TEST(SessionsDocument, RefusesByNameAndPlace) {
  struct Row {
    const char* name;
    std::string text;
    const char* want;
  };
  const Row rows[] = {
      {"no rule", document_with(R"("rule":"prod",)", ""),
       "json.missing: approval 1: \"rule\" is missing"},
      {"empty rule", document_with("prod", ""),
       "json.value: approval 1: \"rule\" must not be empty"},
      {"nobody asks", document_with(R"("who":{"issuer":"local","subject":"dora"},)", ""),
       "json.missing: approval 1: \"who\" is missing"},
      {"no subject", document_with(R"("subject":"dora")", R"("subject":"")"),
       "json.value: approval 1, who: \"subject\" must not be empty"},
      {"nobody says yes", document_with(R"("by":{"issuer":"local","subject":"eve"},)", ""),
       "json.missing: approval 1, yes 1: \"by\" is missing"},
      {"unknown member", document_with(R"("at")", R"("when":1,"at")"),
       "json.unknown: approval 1, yes 1: \"when\" is not a member"},
      {"no time", document_with("2026-11-18T11:00:00Z", "noon"), ""},
  };
  for (const auto& row : rows) {
    auto document = sessions_document_from_json(row.text);
    ASSERT_FALSE(document) << row.name;
    EXPECT_TRUE(document.error().message.starts_with(row.want))
        << row.name << ": " << document.error().message;
  }
  auto ignored = sessions_from_json("{\"sessions\":[],\"approvals\":[]}");
  EXPECT_FALSE(ignored) << "who does not read approvals must not seem to";
}

TEST(SessionCodec, RefusesByReason) {
  struct Row {
    const char* name;
    std::string text;
    const char* want;
  };
  const Row rows[] = {
      {"good", std::string(kGood), ""},
      {"unknown member", with("\"id\"", "\"idd\":1,\"id\""), "json.unknown"},
      {"unknown in principal", with("\"issuer\"", "\"x\":1,\"issuer\""), "json.unknown"},
      {"duplicate", with("\"id\"", "\"id\":\"x\",\"id\""), "json.duplicate"},
      {"no principal", with(R"("principal":{"issuer":"local","subject":"dora"},)", ""),
       "json.missing"},
      {"empty subject", with(R"("dora")", R"("")"), "json.value"},
      {"empty issuer", with(R"("issuer":"local")", R"("issuer":"")"), "json.value"},
      {"empty id", with("s-1", ""), "json.value"},
      {"address with zone", with("203.0.113.7", "fe80::1%eth0"), "json.value"},
      {"prefix as address", with("203.0.113.7", "203.0.113.7/32"), "json.value"},
      {"time without zone", with("11:06:40.042Z", "11:06:40.042"), "json.value"},
      {"unknown proof", with(R"("proof":"local")", R"("proof":"magic")"), "json.value"},
      {"claims not an object", with("\"id\"", "\"claims\":[],\"id\""), "json.type"},
      {"claim not a list", with("\"id\"", "\"claims\":{\"a\":\"b\"},\"id\""), "json.type"},
      {"claim twice", with("\"id\"", "\"claims\":{\"a\":[],\"a\":[]},\"id\""), "json.duplicate"},
      {"mfa_at no time", with("\"id\"", "\"mfa_at\":\"soon\",\"id\""), "json.value"},
      {"groups not a list", with(R"(["b","a","b"])", R"("b")"), "json.type"},
      {"group not text", with(R"(["b","a","b"])", R"([1])"), "json.type"},
      {"a list", "[]", "json.type"},
      {"cut short", std::string(kGood.substr(0, 80)), "json.syntax"},
  };
  for (const auto& row : rows) {
    auto session = session_from_json(row.text);
    auto message = session ? "" : session.error().message;
    EXPECT_EQ(message.substr(0, message.find(':')), row.want) << row.name << ": " << message;
  }
}

TEST(SessionCodec, ReadsManyAndNamesTheBadOne) {
  auto two =
      sessions_from_json("{\"sessions\":[" + std::string(kGood) + "," + std::string(kGood) + "]}");
  ASSERT_TRUE(two) << two.error().text();
  EXPECT_EQ(two->size(), 2u);
  auto bad = sessions_from_json("{\"sessions\":[" + std::string(kGood) + ",{}]}");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "json.missing: session 2: \"id\" is missing");
  EXPECT_FALSE(sessions_from_json("{\"sessions\":[],\"more\":1}"));
  EXPECT_FALSE(sessions_from_json("[]"));
}

TEST(SessionWords, EveryWordReadsBack) {
  for (auto proof : {Proof::oidc, Proof::local, Proof::grant})
    EXPECT_EQ(proof_from(to_string(proof)), proof);
  for (auto cause :
       {EndCause::expired, EndCause::signed_out, EndCause::revoked, EndCause::replaced})
    EXPECT_EQ(end_cause_from(to_string(cause)), cause);
  EXPECT_FALSE(proof_from(""));
  EXPECT_FALSE(end_cause_from("Expired"));
}

}  // namespace
}  // namespace knock
