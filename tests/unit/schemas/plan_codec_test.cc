// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <functional>
#include <set>

#include "base/text.h"
#include "schemas/json/strict_json.h"
#include "schemas/plan/change_codec.h"
#include "schemas/plan/codec.h"
#include "tests/support/source_ids.h"
#include "tests/unit/schemas/plan_samples.h"

namespace knock {
namespace {

using test::json_of;
using test::rich_plan;
using test::rich_saved_plan;
using test::saved_text_of;

TEST(PlanWords, EveryWordReadsBack) {
  for (auto action :
       {Action::protect, Action::unprotect, Action::keep, Action::reshape, Action::add,
        Action::extend, Action::shorten, Action::remove, Action::report}) {
    EXPECT_NE(to_string(action), "");
    EXPECT_EQ(action_from(to_string(action)), action);
  }
  for (auto reason : {Reason::sign_in, Reason::fixed, Reason::policy, Reason::expiry,
                      Reason::sign_out, Reason::revoked, Reason::denied, Reason::limited,
                      Reason::drift, Reason::orphan, Reason::configuration, Reason::foreign}) {
    EXPECT_NE(to_string(reason), "");
    EXPECT_EQ(reason_from(to_string(reason)), reason);
  }
  EXPECT_FALSE(action_from("explode"));
  EXPECT_FALSE(reason_from(""));
}

TEST(Plan, EmptyMeansNothingToDoAndNothingHeld) {
  Plan plan;
  EXPECT_TRUE(plan.empty());
  plan.targets.resize(1);
  plan.targets[0].changes = {Change{}};  // a report
  EXPECT_TRUE(plan.empty());
  plan.targets[0].held = {Change{}};
  EXPECT_FALSE(plan.empty());
  plan.targets[0].held.clear();
  plan.targets[0].changes[0].action = Action::add;
  EXPECT_FALSE(plan.empty());
}

TEST(PlanJson, IsDeterministicAndStrictJson) {
  auto text = json_of(rich_plan());
  EXPECT_EQ(text, json_of(rich_plan()));
  EXPECT_EQ(text.back(), '\n');
  auto value = parse_strict(std::string_view(text).substr(0, text.size() - 1));
  ASSERT_TRUE(value) << value.error().text();
  EXPECT_EQ(value->at("knock_plan"), "1.1");
  EXPECT_EQ(value->at("view"), "full");
  EXPECT_EQ(value->at("empty"), false);
  EXPECT_EQ(value->at("as_of"), "2026-11-18T11:06:40.007Z");
  const auto& change = value->at("targets").at(0).at("changes").at(0);
  EXPECT_EQ(change.at("action_reason"), "sign-in");
  EXPECT_EQ(change.at("group"), "session");
  EXPECT_EQ(change.at("causes").at(0).at("who"), "dora");
}

TEST(PlanJson, IsWrittenAsAStream) {
  auto plan = rich_plan();
  plan.targets[0].changes.assign(20'000, test::full_change());
  std::size_t largest = 0, total = 0;
  write_json(plan, [&](std::string_view piece) {
    largest = std::max(largest, piece.size());
    total += piece.size();
  });
  EXPECT_GT(total, 10'000'000u);
  EXPECT_LT(largest, 100'000u);
}

TEST(SavedPlan, RoundTrip) {
  auto saved = rich_saved_plan();
  auto text = saved_text_of(saved);
  auto back = read_saved(text);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->owner, saved.owner);
  EXPECT_EQ(back->nonce, saved.nonce);
  EXPECT_EQ(back->expires, saved.expires);
  EXPECT_EQ(json_of(back->plan), json_of(saved.plan));
  EXPECT_EQ(saved_text_of(*back), text);
  EXPECT_EQ(back->plan.people[0].origin, saved.plan.people[0].origin);
  EXPECT_EQ(back->plan.targets[0].held[1].causes, saved.plan.targets[0].held[1].causes);
  EXPECT_EQ(back->plan.targets[0].changes[12].keep, test::full_change().keep);
  EXPECT_EQ(back->plan.id, saved.plan.id);
}

TEST(SavedPlan, AnEmptyPlanRoundTrips) {
  SavedPlan saved{Plan(), OwnerId{1}, test::kNoon, "AAECAwQFBgcICQoLDA0ODw"};
  auto back = read_saved(saved_text_of(saved));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_TRUE(back->plan.empty());
}

/// A key that the test knows.
Ed25519Key signer() { return Ed25519Key(Secret(std::string(Ed25519Key::kSeed, 's'))); }

std::string signed_text_of(const SavedPlan& saved) {
  std::string text;
  auto key = signer();
  write_saved(saved, [&](std::string_view piece) { text += piece; }, &key);
  return text;
}

TEST(SavedPlan, ASignedPlanSaysByWhom) {
  auto saved = rich_saved_plan();
  auto text = signed_text_of(saved);
  auto back = read_saved(text);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->key, signer().public_key());
  EXPECT_EQ(json_of(back->plan), json_of(saved.plan));
  EXPECT_EQ(signed_text_of(*back), text);
  EXPECT_FALSE(read_saved(saved_text_of(saved))->key);
}

TEST(SavedPlan, AnyChangedByteOfASignedPlanIsNoticed) {
  auto text = signed_text_of(rich_saved_plan());
  for (std::size_t i = 0; i < text.size(); i += 1) {
    auto copy = text;
    copy[i] = char(copy[i] ^ 1);
    EXPECT_FALSE(read_saved(copy)) << "byte " << i;
  }
}

TEST(SavedPlan, AnyChangedByteIsNoticed) {
  auto text = saved_text_of(rich_saved_plan());
  for (std::size_t i = 0; i < text.size(); i += 1) {
    auto copy = text;
    copy[i] = char(copy[i] ^ 1);
    EXPECT_FALSE(read_saved(copy)) << "byte " << i;
  }
}

TEST(SavedPlan, AnyCutIsNoticed) {
  auto text = saved_text_of(rich_saved_plan());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(read_saved(std::string_view(text).substr(0, size))) << size << " bytes";
}

// ---- one hostile row for each check of the reader ----

constexpr std::string_view kHeader =
    R"({"knock_plan":"1.0","owner":"feedbeef01234567","nonce":"AAECAwQFBgcICQoLDA0ODw",)"
    R"("expires":"2026-11-18T12:06:40Z",)"
    R"("id":"00000000000000000000000000000000000000000000000000000000000000ff",)"
    R"("from":"a","to":"b","sequence":7,"as_of":"2026-11-18T11:06:40Z"})";
constexpr std::string_view kTarget =
    R"({"line":"target","target":{"name":"edge-fw","type":"nftables","readable":true,"fence":"",)"
    R"("owned":1,"foreign":0}})";
constexpr std::string_view kChange =
    R"({"line":"change","in":0,"held":false,"change":{"action":"add","action_reason":"sign-in",)"
    R"("group":"session","step":"open","slot":"payroll","prefix":"203.0.113.7/32",)"
    R"("until":"2026-11-18T12:06:40Z"}})";

constexpr std::string_view kEdit =
    R"({"line":"edit","edit":{"kind":"changed","section":"allow","name":"staff","origin":)"
    R"({"file":"a","line":1,"column":0,"length":0},"before":"{}","after":"{x}"}})";
constexpr std::string_view kFigure =
    R"({"line":"figure","figure":{"gains":true,"service":"a","rule":"b","origin":)"
    R"({"file":"a","line":1,"column":0,"length":0},"known":3,"complete":false,"directory":1,)"
    R"("seen":1,"named":1,"sessions":0,"unlisted":["staff"]}})";
constexpr std::string_view kCut =
    R"({"line":"cut","cut":{"session":"s","who":"d","address":"192.0.2.9","service":"a",)"
    R"("rule":"b","until":"2026-11-18T12:06:40Z"}})";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  auto at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? out : out.replace(at, from.size(), to);
}

std::string footer_of(std::string_view sealed, int more_lines = 0) {
  auto lines = std::count(sealed.begin(), sealed.end(), '\n') + more_lines;
  return R"({"line":"end","lines":)" + std::to_string(lines) + R"(,"sha256":")" +
         to_hex(sha256(sealed)) + "\"}\n";
}

/// Lines with a right footer, as somebody would make who knows the format.
std::string forged(std::vector<std::string> lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text + footer_of(text);
}

std::string with_header(std::string_view from, std::string_view to) {
  return forged({replaced(kHeader, from, to), std::string(kTarget), std::string(kChange)});
}
std::string with_target(std::string_view from, std::string_view to) {
  return forged({std::string(kHeader), replaced(kTarget, from, to), std::string(kChange)});
}
std::string with_change(std::string_view from, std::string_view to) {
  return forged({std::string(kHeader), std::string(kTarget), replaced(kChange, from, to)});
}
std::string with_line(std::string_view line) {
  return forged({std::string(kHeader), std::string(kTarget), std::string(line)});
}
/// The same lines under another version.
std::string replaced_header(std::string_view text, std::string_view version) {
  auto lines = split(text, '\n');
  std::vector<std::string> kept(lines.begin(), lines.end() - 2);
  kept[0] = replaced(kept[0], "\"1.0\"", version);
  return forged(kept);
}

std::string key_of(const Ed25519Key& key) {
  return base64url({reinterpret_cast<const char*>(key.public_key().data()), 32});
}

/// A signed plan, changed by somebody who makes the digest anew but has no key.
std::string resealed(std::string_view from, std::string_view to) {
  auto text = signed_text_of(rich_saved_plan());
  auto sealed = text.substr(0, text.rfind("{\"line\":\"end\""));
  auto signature = text.substr(text.rfind(",\"ed25519\""));
  auto changed = replaced(sealed, from, to);
  auto footer = footer_of(changed);
  return changed + footer.substr(0, footer.size() - 2) + signature;
}

/// A signed plan with another footer or header.
std::string signed_with(std::string_view from, std::string_view to) {
  return replaced(signed_text_of(rich_saved_plan()), from, to);
}
std::string without_signature() {
  auto text = signed_text_of(rich_saved_plan());
  return text.substr(0, text.rfind(",\"ed25519\"")) + "}\n";
}

/// The same under a later minor version.
std::string later(std::string_view text) { return replaced_header(text, "\"1.7\""); }

struct Row {
  const char* name;
  std::string text;
  const char* want;
};

std::vector<Row> all_rows() {
  const auto good = forged({std::string(kHeader), std::string(kTarget), std::string(kChange)});
  const auto sealed = good.substr(0, good.rfind("{\"line\":\"end\""));
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  return {
      {"good", good, ""},
      {"nothing", "", "saved-plan.foreign"},
      {"another file", "knock: 1\n", "saved-plan.foreign"},
      {"a JSON document", json_of(Plan()), "saved-plan.missing"},
      {"major 2", with_header("1.0", "2.0"), "saved-plan.version"},
      {"major 11", with_header("1.0", "11.0"), "saved-plan.version"},
      {"no minor", with_header("\"1.0\"", "\"1.\""), "saved-plan.version"},
      {"minor in words", with_header("\"1.0\"", "\"1.x\""), "saved-plan.version"},
      {"version as number", with_header("\"1.0\"", "1"), "saved-plan.version"},
      {"header cut", std::string(kHeader.substr(0, 60)), "saved-plan.syntax"},
      {"header only", std::string(kHeader) + "\n", "saved-plan.truncated"},
      {"no newline at the end", good.substr(0, good.size() - 1), "saved-plan.truncated"},
      {"another byte for the last newline", good.substr(0, good.size() - 1) + "x",
       "saved-plan.truncated"},
      {"no footer", sealed, "saved-plan.truncated"},
      {"text behind the end", good + "x\n", "saved-plan.trailing"},
      {"a second plan behind the end", good + good, "saved-plan.edited"},
      {"an end inside", forged({std::string(kHeader), R"({"line":"end"})"}), "saved-plan.trailing"},
      {"edited", replaced(good, "203.0.113.7", "203.0.113.8"), "saved-plan.edited"},
      {"Windows line ends", replaced(good, "\n", "\r\n"), "saved-plan.edited"},
      {"wrong count", sealed + footer_of(sealed, 1), "saved-plan.count"},
      {"footer with more", replaced(good, "\"lines\"", "\"x\":1,\"lines\""), "saved-plan.unknown"},
      {"footer without digest", sealed + "{\"line\":\"end\",\"lines\":3}\n", "saved-plan.missing"},
      {"footer with a short digest", sealed + "{\"line\":\"end\",\"lines\":3,\"sha256\":\"ab\"}\n",
       "saved-plan.value"},
      {"signed", signed_text_of(rich_saved_plan()), ""},
      {"signed, edited and sealed again", resealed("payroll", "payrool"), "saved-plan.signature"},
      {"signed, its end moved and sealed again",
       resealed("\"expires\":\"2026", "\"expires\":\"2036"), "saved-plan.signature"},
      {"signed, its key too long", resealed("\"key\":\"", "\"key\":\"A"), "saved-plan.value"},
      {"signed, under another key",
       resealed(key_of(signer()), key_of(Ed25519Key(Secret(std::string(32, 'x'))))),
       "saved-plan.signature"},
      {"signature taken away", without_signature(), "saved-plan.signature"},
      {"signature without a key", resealed("\"key\":\"" + key_of(signer()) + "\",", ""),
       "saved-plan.signature"},
      {"signature cut", signed_with("\"ed25519\":\"", "\"ed25519\":\"A"), "saved-plan.value"},
      {"key is a number", with_header("\"expires\"", "\"key\":1,\"expires\""), "saved-plan.type"},
      {"policy digest", with_header("\"expires\"", "\"policy\":\"ab\",\"expires\""),
       "saved-plan.value"},
      {"target state", with_target("\"owned\":1", "\"owned\":1,\"state\":\"ab\""),
       "saved-plan.value"},
      {"owner", with_header("feedbeef01234567", "FEEDBEEF01234567"), "saved-plan.value"},
      {"nonce too short", with_header("AAECAwQFBgcICQoLDA0ODw", "AAECAw"), "saved-plan.value"},
      {"nonce no base64url", with_header("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0+Dw"),
       "saved-plan.value"},
      {"expires", with_header("12:06:40Z", "12:06:61Z"), "saved-plan.value"},
      {"id", with_header("00ff", "00fg"), "saved-plan.value"},
      {"negative sequence", with_header("\"sequence\":7", "\"sequence\":-7"), "saved-plan.type"},
      {"fraction", with_header("\"sequence\":7", "\"sequence\":7.0"), "saved-plan.type"},
      {"sequence beyond 64 bits",
       with_header("\"sequence\":7", "\"sequence\":18446744073709551616"), "saved-plan.type"},
      {"header member missing", with_header("\"from\":\"a\",", ""), "saved-plan.missing"},
      {"header member unknown", with_header("\"from\"", "\"form\":1,\"from\""),
       "saved-plan.unknown"},
      {"header member twice", with_header("\"from\"", "\"from\":\"x\",\"from\""),
       "saved-plan.duplicate"},
      {"line is no JSON", with_line("{"), "saved-plan.syntax"},
      {"empty line", with_line(""), "saved-plan.syntax"},
      {"two values on a line", with_line("{} {}"), "saved-plan.syntax"},
      {"line is a list", with_line("[]"), "saved-plan.type"},
      {"line too deep", with_line(deep), "saved-plan.depth"},
      {"line without a kind", with_line("{}"), "saved-plan.missing"},
      {"unknown kind of line", with_line(R"({"line":"surprise"})"), "saved-plan.line"},
      {"target without object", with_line(R"({"line":"target"})"), "saved-plan.missing"},
      {"target with more on its line", with_target("\"target\":{", "\"x\":1,\"target\":{"),
       "saved-plan.unknown"},
      {"target unknown member", with_target("\"name\"", "\"x\":1,\"name\""), "saved-plan.unknown"},
      {"target negative count", with_target("\"owned\":1", "\"owned\":-1"), "saved-plan.type"},
      {"target twice", with_line(kTarget), "saved-plan.order"},
      {"targets not sorted", with_line(replaced(kTarget, "edge-fw", "app-fw")), "saved-plan.order"},
      {"change of target 1 of 1", with_change("\"in\":0", "\"in\":1"), "saved-plan.index"},
      {"change of target -1", with_change("\"in\":0", "\"in\":-1"), "saved-plan.type"},
      {"change of a huge target", with_change("\"in\":0", "\"in\":18446744073709551615"),
       "saved-plan.index"},
      {"change before its target",
       forged({std::string(kHeader), std::string(kChange), std::string(kTarget)}),
       "saved-plan.index"},
      {"change without target", with_change("\"in\":0,", ""), "saved-plan.missing"},
      {"change without held", with_change("\"held\":false,", ""), "saved-plan.missing"},
      {"held no boolean", with_change("\"held\":false", "\"held\":0"), "saved-plan.type"},
      {"action", with_change("\"add\"", "\"explode\""), "saved-plan.value"},
      {"reason", with_change("\"sign-in\"", "\"full-moon\""), "saved-plan.reason"},
      {"group", with_change("\"session\"", "\"drift\""), "saved-plan.value"},
      {"step", with_change("\"open\"", "\"ajar\""), "saved-plan.value"},
      {"a way to last", with_change("\"until\":", "\"lasts\":\"for-ever\",\"until\":"),
       "saved-plan.value"},
      {"released no boolean", with_change("\"until\":", "\"released\":1,\"until\":"),
       "saved-plan.type"},
      {"ticket no boolean", with_change("\"until\":", "\"ticket\":1,\"until\":"),
       "saved-plan.type"},
      {"come_by no time", with_change("\"until\":", "\"come_by\":\"soon\",\"until\":"),
       "saved-plan.value"},
      {"prefix with host bits", with_change("7/32", "7/24"), "saved-plan.value"},
      {"prefix with zone", with_change("203.0.113.7/32", "fe80::1%eth0/128"), "saved-plan.value"},
      {"ports", with_change("\"slot\"", "\"ports\":[\"tcp/0\"],\"slot\""), "saved-plan.value"},
      {"ports no list", with_change("\"slot\"", "\"ports\":\"tcp/1\",\"slot\""), "saved-plan.type"},
      {"ports in numbers", with_change("\"slot\"", "\"ports\":[443],\"slot\""), "saved-plan.type"},
      {"keep", with_change("\"slot\"", "\"keep\":[\"::1/64\"],\"slot\""), "saved-plan.value"},
      {"entry", with_change("\"slot\"", "\"entry\":\"xyz\",\"slot\""), "saved-plan.value"},
      {"until", with_change("2026-11-18T12:06:40Z", "soon"), "saved-plan.value"},
      {"change unknown member", with_change("\"slot\"", "\"x\":1,\"slot\""), "saved-plan.unknown"},
      {"change member twice", with_change("\"slot\"", "\"slot\":\"a\",\"slot\""),
       "saved-plan.duplicate"},
      {"cause unknown member",
       with_change("\"slot\"", R"("causes":[{"kind":"static","service":"a","rule":"b",)"
                               R"("until":"2026-11-18T12:06:40Z","x":1}],"slot")"),
       "saved-plan.unknown"},
      {"cause kind",
       with_change("\"slot\"", R"("causes":[{"kind":"magic","service":"a","rule":"b",)"
                               R"("until":"2026-11-18T12:06:40Z"}],"slot")"),
       "saved-plan.value"},
      {"finding of no target",
       with_line(R"({"line":"finding","in":1,"finding":{"level":"note","id":"a","sentence":""}})"),
       "saved-plan.index"},
      {"finding level",
       with_line(R"({"line":"finding","finding":{"level":"loud","id":"a","sentence":""}})"),
       "saved-plan.value"},
      {"guard member missing", with_line(R"({"line":"guard","guard":{"guard":"any"}})"),
       "saved-plan.missing"},
      {"person without origin",
       with_line(R"({"line":"person","person":{"gains":true,"who":"d","service":"a","rule":"b"}})"),
       "saved-plan.missing"},
      {"edit origin line in words", with_line(replaced(kEdit, "\"line\":1", "\"line\":\"1\"")),
       "saved-plan.type"},
      {"person origin line",
       with_line(R"({"line":"person","person":{"gains":true,"who":"d","service":"a","rule":"b",)"
                 R"("origin":{"file":"a","line":-1,"column":0,"length":0}}})"),
       "saved-plan.value"},
      {"scope unknown member", with_header("\"from\"", "\"scope\":{\"x\":1},\"from\""),
       "saved-plan.unknown"},
      {"scope no boolean", with_header("\"from\"", "\"scope\":{\"what_if\":1},\"from\""),
       "saved-plan.type"},
      {"seen_within", with_header("\"from\"", "\"seen_within\":\"soon\",\"from\""),
       "saved-plan.value"},
      {"person known how",
       with_line(R"({"line":"person","person":{"gains":true,"who":"d","service":"a","rule":"b",)"
                 R"("origin":{"file":"a","line":1,"column":0,"length":0},"known":"guessed"}})"),
       "saved-plan.value"},
      {"edit kind", with_line(replaced(kEdit, "changed", "moved")), "saved-plan.value"},
      {"edit without origin", with_line(replaced(kEdit, "\"origin\"", "\"x\"")),
       "saved-plan.missing"},
      {"edit unknown member", with_line(replaced(kEdit, "\"name\"", "\"x\":1,\"name\"")),
       "saved-plan.unknown"},
      {"edit without object", with_line(R"({"line":"edit"})"), "saved-plan.missing"},
      {"figure", with_line(kFigure), ""},
      {"figure that does not add up", with_line(replaced(kFigure, "\"seen\":1", "\"seen\":2")),
       "saved-plan.value"},
      {"figure complete with unlisted groups",
       with_line(replaced(kFigure, "\"complete\":false", "\"complete\":true")), "saved-plan.value"},
      {"figure unknown member",
       with_line(replaced(kFigure, "\"sessions\"", "\"x\":1,\"sessions\"")), "saved-plan.unknown"},
      {"figure without a count", with_line(replaced(kFigure, "\"named\":1,", "")),
       "saved-plan.missing"},
      {"cut", with_line(kCut), ""},
      {"cut at no address", with_line(replaced(kCut, "192.0.2.9", "192.0.2.0/24")),
       "saved-plan.value"},
      {"cut without a time", with_line(replaced(kCut, "\"until\"", "\"til\"")),
       "saved-plan.missing"},
      {"cut unknown member", with_line(replaced(kCut, "\"who\"", "\"x\":1,\"who\"")),
       "saved-plan.unknown"},
      {"target writes", with_target("\"owned\":1", "\"owned\":1,\"writes\":-1"), "saved-plan.type"},
      {"target calls", with_target("\"owned\":1", "\"owned\":1,\"calls\":\"2\""),
       "saved-plan.type"},
      {"our minor: unknown members are refused still",
       replaced_header(with_change("\"slot\"", "\"x\":1,\"slot\""), "\"1.1\""),
       "saved-plan.unknown"},
      {"later minor: unknown member", later(with_change("\"slot\"", "\"x\":1,\"slot\"")), ""},
      {"later minor: unknown header member", later(with_header("\"from\"", "\"x\":1,\"from\"")),
       ""},
      {"later minor: unknown line", later(with_line(R"({"line":"surprise","in":9})")), ""},
      {"later minor: duplicates still", later(with_change("\"slot\"", "\"slot\":\"a\",\"slot\"")),
       "saved-plan.duplicate"},
      {"later minor: reasons still", later(with_change("\"sign-in\"", "\"full-moon\"")),
       "saved-plan.reason"},
  };
}

TEST(SavedPlan, EachCheckHasItsReason) {
  for (const auto& row : all_rows()) {
    SCOPED_TRACE(row.name);
    auto plan = read_saved(row.text);
    auto message = plan ? "" : plan.error().message;
    EXPECT_EQ(message.substr(0, message.find(':')), row.want) << message;
    if (!plan) {
      EXPECT_EQ(plan.error().kind, ErrorKind::invalid);
    }
  }
}

/// As the log holds them.
TEST(Causes, EachCheckHasItsReason) {
  const Row rows[] = {
      {"causes: none", "[]", ""},
      {"causes: no JSON", "[", "json.syntax"},
      {"causes: no list", "{}", "json.type"},
      {"causes: an unknown member",
       R"([{"kind":"static","service":"a","rule":"b","until":"2026-11-18T12:06:40Z","x":1}])",
       "json.unknown"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    auto causes = causes_from_json(row.text);
    auto message = causes ? "" : causes.error().message;
    EXPECT_EQ(message.substr(0, message.find(':')), row.want) << message;
  }
}

/// The reader's own reasons, and those of what it reads lines and members with.
TEST(SavedPlan, EveryReasonHasARow) {
  const std::string prefix = "saved-plan.";
  auto reasons = test::ids_in(
      {"schemas/plan/saved_plan.cc", "schemas/plan/change_codec.cc", "schemas/plan/plan_parts.cc",
       "schemas/json/object_reader.cc", "schemas/json/object_reader.h"},
      R"re(\brefuse\(\s*"([a-z-]+)")re", prefix);
  for (auto& more : test::ids_in({"schemas/json/strict_json.cc", "schemas/plan/change_codec.cc"},
                                 R"re("json\.([a-z-]+):)re", prefix))
    reasons.insert(more);
  EXPECT_GT(reasons.size(), 15u) << "the reasons are written in another way";
  std::set<std::string> seen{"saved-plan.size"};  // below
  for (const auto& row : all_rows())
    if (*row.want != '\0') seen.insert(row.want);
  for (const auto& reason : reasons) EXPECT_TRUE(seen.contains(reason)) << reason << " has no row";
}

TEST(SavedPlan, WhatIsTooLargeIsNotEvenRead) {
  auto size = kMaxSavedPlan + 1;
  void* nothing =
      mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(nothing, MAP_FAILED);
  auto plan = read_saved({static_cast<const char*>(nothing), size});
  munmap(nothing, size);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().message.substr(0, 16), "saved-plan.size:");
}

}  // namespace
}  // namespace knock
