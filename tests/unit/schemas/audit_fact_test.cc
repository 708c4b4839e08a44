// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "schemas/audit/fact.h"
#include "tests/conformance/sample_facts.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Encoding is injective on members, so equal texts are equal facts.
void expect_same(const Fact& a, const Fact& b) {
  auto x = encode(a), y = encode(b);
  EXPECT_EQ(x.kind, y.kind);
  EXPECT_EQ(x.public_json, y.public_json);
  EXPECT_EQ(x.personal_json, y.personal_json);
  EXPECT_EQ(x.holder, y.holder);
}

TEST(Fact, SamplesCoverEveryKindOnce) {
  std::set<std::string_view> kinds;
  for (const auto& fact : test::every_fact()) kinds.insert(kind_of(fact));
  EXPECT_EQ(kinds.size(), std::variant_size_v<Fact>);
}

TEST(Fact, EveryKindSurvivesARoundTrip) {
  for (const auto& fact : test::every_fact()) {
    auto encoded = encode(fact);
    auto decoded = decode(encoded);
    ASSERT_TRUE(decoded) << encoded.kind << ": " << decoded.error().text();
    EXPECT_EQ(decoded->index(), fact.index());
    expect_same(*decoded, fact);
  }
}

TEST(Fact, MembersComeBackExactly) {
  auto decoded = decode(encode(test::every_fact()[3]));
  ASSERT_TRUE(decoded);
  const auto& session = std::get<SessionOpened>(*decoded).session;
  EXPECT_EQ(session.principal.name, "dora Example");
  EXPECT_EQ(session.groups, (std::vector<std::string>{"dba", "web \"admins\""}));
  EXPECT_EQ(session.created.ms, test::kNoon.ms + 42);
  EXPECT_EQ(session.reason, "pager");
  decoded = decode(encode(test::every_fact()[7]));
  ASSERT_TRUE(decoded);
  const auto& intended = std::get<ChangeIntended>(*decoded);
  auto want = test::full_change();
  EXPECT_EQ(intended.batch, UINT64_MAX);
  EXPECT_EQ(intended.change.causes, want.causes);
  EXPECT_EQ(intended.change.keep, want.keep);
  EXPECT_EQ(intended.change.ports, want.ports);
  EXPECT_EQ(intended.change.prefix, want.prefix);
  EXPECT_EQ(intended.change.until, want.until);
  EXPECT_EQ(intended.change.was_until, want.was_until);
  EXPECT_EQ(intended.change.lasts, want.lasts);
  EXPECT_EQ(intended.change.come_by, want.come_by);
  EXPECT_EQ(intended.change.ticket, want.ticket);
  EXPECT_EQ(intended.change.released, want.released);
  EXPECT_EQ(intended.change.entry, want.entry);
  EXPECT_EQ(intended.change.handle, want.handle);
  EXPECT_EQ(intended.change.detail, want.detail);
  EXPECT_EQ(intended.change.step, want.step);
  EXPECT_EQ(intended.change.action, want.action);
  EXPECT_EQ(intended.change.reason, want.reason);
}

TEST(Fact, NoNameOrAddressIsInThePublicPart) {
  for (const auto& fact : test::every_fact()) {
    auto encoded = encode(fact);
    for (const char* secret : {"dora", "203.0.113", "2001:db8", "198.51.100", "ana",
                               "0123456789abcdef", "pager", "went home", "handle"})
      EXPECT_THAT(encoded.public_json, Not(HasSubstr(secret))) << encoded.kind;
    EXPECT_EQ(encoded.holder.empty(), encoded.personal_json.empty()) << encoded.kind;
  }
}

TEST(Fact, AnErasedPersonLeavesEmptyMembers) {
  for (const auto& fact : test::every_fact()) {
    auto encoded = encode(fact);
    auto public_json = encoded.public_json;
    encoded.personal_json.clear();
    auto decoded = decode(encoded);
    ASSERT_TRUE(decoded) << encoded.kind << ": " << decoded.error().text();
    auto again = encode(*decoded);
    EXPECT_EQ(again.public_json, public_json);
    EXPECT_EQ(again.personal_json, "") << encoded.kind;
    EXPECT_EQ(again.holder, "");
  }
}

TEST(Fact, TheTextIsCanonical) {
  auto encoded = encode(SessionEnded{SessionId("s-1"), {test::kNoon, EndCause::revoked}, "x"});
  EXPECT_EQ(encoded.kind, "session.ended");
  EXPECT_EQ(encoded.public_json,
            R"({"cause":"revoked","ended":"2026-11-18T11:06:40Z","session":"s-1"})");
  EXPECT_EQ(encoded.personal_json, R"({"reason":"x"})");
  EXPECT_EQ(encoded.holder, "session s-1");
}

TEST(Fact, BytesThatAreNotUtf8AreMadePrintable) {
  auto encoded = encode(SignInRefused{SignInName("company"), "token.syntax", "a\xff", "::1"});
  EXPECT_EQ(encoded.personal_json, R"({"address":"::1","claimed":"a\\xff"})");
  EXPECT_EQ(encoded.holder, "address ::1/128");
  EXPECT_TRUE(decode(encoded));
}

TEST(Fact, DecodingIsStrict) {
  struct Row {
    const char* name;
    EncodedFact encoded;
    const char* want;
  };
  const std::string good = R"({"plan":"5be1","target":"edge-fw"})";
  const Row rows[] = {
      {"good", {"guard.acknowledged", good, "", ""}, ""},
      {"unknown kind", {"guard.forgotten", good, "", ""}, "fact.kind"},
      {"missing", {"guard.acknowledged", R"({"plan":"5be1"})", "", ""}, "json.missing"},
      {"unknown member",
       {"guard.acknowledged", R"({"plan":"5be1","target":"edge-fw","x":1})", "", ""},
       "json.unknown"},
      {"duplicate",
       {"guard.acknowledged", R"({"plan":"5be1","plan":"5be2","target":"edge-fw"})", "", ""},
       "json.duplicate"},
      {"wrong type",
       {"guard.acknowledged", R"({"plan":1,"target":"edge-fw"})", "", ""},
       "json.type"},
      {"not JSON", {"guard.acknowledged", "", "", ""}, "json.syntax"},
      {"personal member where there is none",
       {"guard.acknowledged", good, "x", R"({"who":"dora"})"},
       "json.unknown"},
      {"bad prefix",
       {"entry.expired", R"({"expired":"2026-11-18T11:06:40Z","slot":"a","target":"t"})", "x",
        R"({"prefix":"203.0.113.7/24"})"},
       "json.value"},
  };
  for (const auto& row : rows) {
    auto fact = decode(row.encoded);
    auto message = fact ? "" : fact.error().message;
    EXPECT_EQ(message.substr(0, message.find(':')), row.want) << row.name << ": " << message;
  }
}

TEST(Fact, WhoMustMatchTheCauses) {
  auto encoded = encode(test::every_fact()[7]);
  auto at = encoded.personal_json.find(R"("who":["dora","sre"])");
  ASSERT_NE(at, std::string::npos);
  encoded.personal_json.replace(at, 20, R"("who":["dora"])");
  EXPECT_FALSE(decode(encoded));
}

TEST(Chain, HashCoversEveryPart) {
  Record record{7, test::kNoon, "core", encode(test::every_fact()[3]), "ab", {}, {}};
  EXPECT_EQ(chain_text(record).substr(0, 64),
            R"({"actor":"core","at":"2026-11-18T11:06:40Z","commitment":"ab","k)");
  EXPECT_EQ(chain_hash(record), sha256(std::string(32, '\0') + chain_text(record)));
  const auto original = chain_hash(record);
  auto differs = [&](auto change) {
    Record copy = record;
    change(copy);
    return chain_hash(copy) != original;
  };
  EXPECT_TRUE(differs([](Record& r) { r.seq = 8; }));
  EXPECT_TRUE(differs([](Record& r) { r.at.ms += 1; }));
  EXPECT_TRUE(differs([](Record& r) { r.actor = "cor"; }));
  EXPECT_TRUE(differs([](Record& r) { r.fact.kind = "session.ended"; }));
  EXPECT_TRUE(differs([](Record& r) { r.fact.public_json[3] ^= 1; }));
  EXPECT_TRUE(differs([](Record& r) { r.commitment = "ac"; }));
  EXPECT_TRUE(differs([](Record& r) { r.prev[31] = 1; }));
}

}  // namespace
}  // namespace knock
