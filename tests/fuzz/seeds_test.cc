// SPDX-License-Identifier: Apache-2.0
// A seed that its parser refuses at the first byte leads a fuzzer nowhere. Each seed in corpus/ is
// read here as its target reads it: it is accepted, or it is meant to be refused, for one reason.
// Messages of roles and the plan with everything in it are made by the writers of this tree:
// KNOCK_UPDATE_GOLDEN=1 writes them anew; such a run is marked skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.h"
#include "net/forwarded.h"
#include "net/http_server_request.h"
#include "schemas/config/config.h"
#include "schemas/nftables/ruleset.h"
#include "schemas/plan/codec.h"
#include "schemas/policy/format.h"
#include "schemas/policy/load.h"
#include "server/notify/forge_replies.h"
#include "sso/oidc/discovery.h"
#include "sso/oidc/id_token.h"
#include "tests/support/requirement.h"
#include "tests/unit/agents/apply_samples.h"
#include "tests/unit/schemas/plan_samples.h"
#include "tests/unit/schemas/role_samples.h"
#include "tests/unit/schemas/role_start_samples.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

/// The word before the first colon.
std::string id_of(const Error& error) { return error.message.substr(0, error.message.find(':')); }

template <class... Decode>
std::string any_of(std::string_view body, Decode... decode) {
  return (decode(body).has_value() || ...) ? "" : "refused";
}

std::string role_message(std::string_view text) {
  return any_of(text, role::decode_from_front, role::decode_to_front, role::decode_to_verifier,
                role::decode_from_verifier);
}
std::string role_start(std::string_view text) {
  return any_of(text, role::decode_to_parent, role::decode_spawned, role::decode_front_start,
                role::decode_verifier_start);
}
std::string apply_message(std::string_view text) {
  return any_of(text, role::decode_to_apply, role::decode_from_apply);
}

/// As it is, or, where only its digest is wrong, with a right footer: no fuzzer guesses that.
std::string saved_plan(std::string_view text) {
  auto saved = read_saved(text);
  if (saved) return "";
  if (id_of(saved.error()) != "saved-plan.edited") return id_of(saved.error());
  auto end = text.rfind("{\"line\":\"end\"");
  std::string sealed(text.substr(0, end));
  auto lines = std::count(sealed.begin(), sealed.end(), '\n');
  saved = read_saved(sealed + R"({"line":"end","lines":)" + std::to_string(lines) +
                     R"(,"sha256":")" + to_hex(sha256(sealed)) + "\"}\n");
  return saved ? "" : id_of(saved.error());
}

/// As a policy or as a knock.yaml, whichever takes it.
std::string policy(std::string_view text) {
  auto load = load_policy({{"p.yaml", std::string(text), ""}}, PolicyRevision("r"), {});
  if (load.policy || load_config("knock.yaml", std::string(text), "/etc/knock").config) return "";
  return load.diagnostics.at(0).id;
}

std::string format(std::string_view text) {
  auto out = format_policy_file("p.yaml", std::string(text));
  return out.text ? "" : out.diagnostics.at(0).id;
}

std::string ruleset(std::string_view text) {
  auto rules = read_own_rules(text);
  return rules && !rules->let_in.empty() ? "" : "refused";
}

std::string forwarded(std::string_view text) {
  auto client = net::client_address(IpAddress::parse("10.0.0.1"), split(text, '\n'),
                                    {*Prefix::parse("10.0.0.0/8")});
  return client ? "" : std::string(net::reason_code(client.error()));
}

/// A head, or else what stands in a form or a cookie.
std::string http_form(std::string_view text) {
  if (text.ends_with("\r\n\r\n")) {
    auto head = net::read_head(text, false);
    return head ? "" : std::to_string(head.error().status);
  }
  net::HttpRequest request;
  request.headers.set("Cookie", std::string(text));
  return net::parse_form(text) || net::cookie(request, "a") ? "" : "refused";
}

std::string token(std::string_view text) {
  using namespace sso;
  const Instant now = Instant::from_seconds(1'800'000'000);
  const Expectations expected{
      "https://idp.example", "knock", "n", "groups", {algorithm_named("EdDSA").value()}};
  if (text.empty()) return "empty";
  char kind = text[0];
  text.remove_prefix(1);
  if (kind == 'K') {
    auto set = KeySet::parse(text);
    return set ? "" : set.error().code;
  }
  if (kind == 'D') {
    auto about = parse_discovery(text, "https://idp.example", {"EdDSA"});
    return about ? "" : about.error().code;
  }
  std::string payload(text.substr(std::min(text.find('\n') + 1, text.size())));
  if (kind == 'T') {
    auto parts = split(text, '.');
    if (parts.size() != 3 || !base64url_decode(parts[1], payload)) return "token.format";
  }
  auto claims = read_claims(payload, expected, now);
  return claims ? "" : claims.error().code;
}

/// Of the readers that forge_replies.cc names by its first byte.
std::string forge_reply(std::string_view text) {
  using Type = ForgeSettings::Type;
  char kind = text.at(0);
  text.remove_prefix(1);
  auto why = [](const auto& result) { return result ? std::string() : id_of(result.error()); };
  if (kind == 'G') return why(notify::read_pulls(Type::github, text, "main", 20));
  if (kind == 'L') return why(notify::read_pulls(Type::gitlab, text, "main", 20));
  if (kind == 'g') return why(notify::read_comments(Type::github, text, 20));
  if (kind == 'l') return why(notify::read_comments(Type::gitlab, text, 20));
  if (kind == 'i') return why(notify::read_id(text));
  return kind == 'h' ? "" : "refused";
}

struct Corpus {
  const char* folder;
  std::string (*read)(std::string_view);
  std::map<std::string, std::string> refused;  // seed → why
};

const std::vector<Corpus>& corpora() {
  static const std::vector<Corpus> all{
      {"apply_messages", apply_message, {}},
      {"forge_replies",
       forge_reply,
       {{"html", "forge.not-json"},
        {"many", "forge.too-many"},
        {"message", "forge.shape"},
        {"negative", "forge.shape"},
        {"no-commit", "forge.commit"}}},
      {"format", format, {{"nulls.yaml", "yaml.key-not-text"}}},
      {"forwarded",
       forwarded,
       {{"empty", "forwarded.missing"}, {"nonsense", "forwarded.malformed"}}},
      {"http_form", http_form, {{"smuggle", "400"}}},
      {"policy",
       policy,
       {{"bidi.yaml", "yaml.hidden-character"},
        {"bomb_braces.yaml", "yaml.depth"},
        {"bomb_brackets.yaml", "yaml.key-not-text"},
        {"bomb_brackets_closed.yaml", "yaml.depth"},
        {"bomb_colons.yaml", "yaml.syntax"},
        {"bomb_dashes.yaml", "yaml.depth"},
        {"bomb_duplicates.yaml", "yaml.duplicate-key"},
        {"bomb_indent.yaml", "yaml.depth"},
        {"bomb_keys.yaml", "policy.unknown-key"},
        {"bomb_laughs.yaml", "yaml.anchor"},
        {"bomb_question.yaml", "yaml.key-not-text"},
        {"comma.yaml", "yaml.several-documents"},
        {"comma_text.yaml", "yaml.several-documents"},
        {"config_wrong.yaml", "policy.header-missing"},
        {"documents.yaml", "yaml.several-documents"},
        {"empty", "yaml.empty"},
        {"escapes.yaml", "policy.bad-text"},
        {"invalid_utf8.yaml", "yaml.encoding"},
        {"language_wrong.yaml", "policy.missing-key"},
        {"lone_cr.yaml", "yaml.hidden-character"},
        {"merge.yaml", "yaml.anchor"},
        {"nul.yaml", "yaml.hidden-character"},
        {"nulls.yaml", "yaml.key-not-text"},
        {"open_quote.yaml", "yaml.open-quote"},
        {"open_single.yaml", "yaml.open-quote"},
        {"scalars.yaml", "policy.ambiguous-text"},
        {"tabs.yaml", "yaml.syntax"},
        {"tag_directive.yaml", "yaml.tag"},
        {"tags.yaml", "yaml.tag"},
        {"utf16.yaml", "yaml.encoding"},
        {"wrong_types.yaml", "policy.wrong-type"}}},
      {"role_messages", role_message, {}},
      {"role_starts", role_start, {}},
      {"ruleset", ruleset, {}},
      {"saved_plan",
       saved_plan,
       {{"cut", "saved-plan.truncated"},
        {"duplicate", "saved-plan.duplicate"},
        {"edited", "saved-plan.unknown"},
        {"index", "saved-plan.index"},
        {"major-2", "saved-plan.version"},
        {"no-footer", "saved-plan.truncated"},
        {"not-utf8", "saved-plan.syntax"},
        {"nothing-but-newline", "saved-plan.foreign"},
        {"reason", "saved-plan.reason"},
        {"twice", "saved-plan.trailing"}}},
      {"tokens",
       token,
       {{"claims-bidi", "token.subject"},
        {"claims-confused", "token.groups"},
        {"claims-duplicate", "token.payload"},
        {"claims-float", "token.expired"},
        {"claims-overage", "token.groups"},
        {"description-bad", "discovery.endpoint"},
        {"keys-private", "keys.private"},
        {"token-none", "token.issuer"},
        {"token-short", "token.format"}}},
  };
  return all;
}

fs::path corpus_folder() { return fs::path(test::source_dir()) / "tests/fuzz/corpus"; }

struct Made {
  std::string seed, bytes;  // seed: FOLDER/NAME
};

template <class Message>
void add_messages(std::vector<Made>& out, const std::vector<Message>& all,
                  std::initializer_list<const char*> names) {
  ASSERT_EQ(all.size(), names.size());
  auto name = names.begin();
  for (const auto& message : all)
    out.push_back({std::string("role_messages/") + *name++, role::encode(message).substr(4)});
}

/// One of each kind.
std::vector<Made> made_messages() {
  namespace samples = role::samples;
  std::vector<Made> out;
  add_messages(out, samples::from_front(),
               {"ask_sign_ins", "start_oidc", "finish_oidc", "sign_in_local", "ask_me", "sign_out",
                "ask_ready", "pong", "api_call"});
  add_messages(
      out, samples::to_front(),
      {"sign_ins", "go_to", "signed_in", "refused", "me", "ok", "ready", "ping", "api_answer"});
  add_messages(out, samples::to_verifier(),
               {"check_password", "make_url", "exchange_code", "ping_verifier"});
  add_messages(out, samples::from_verifier(),
               {"password_checked", "url_made", "proven", "not_proven", "pong_verifier"});
  auto apply = [&](const char* name, const std::string& frame) {
    out.push_back({std::string("apply_messages/") + name, frame.substr(4)});
  };
  using role::encode, role::FromApply, role::ToApply;
  apply("ensure", encode(ToApply(samples::an_ensure())));
  apply("change", encode(ToApply(samples::a_change())));
  apply("take_over", encode(ToApply(samples::a_take_over())));
  apply("read_back", encode(ToApply(role::ReadBack{1, "t-1"})));
  apply("done", encode(FromApply(role::Done{1, 2})));
  apply("failed", encode(FromApply(role::Failed{1, ErrorKind::conflict, "moved"})));
  apply("table", encode(FromApply(samples::a_table())));
  apply("moved", encode(FromApply(role::TableMoved{"knock"})));
  auto start = [&](const char* name, std::string bytes) {
    out.push_back({std::string("role_starts/") + name, std::move(bytes)});
  };
  start("apply", role::encode(role::ToParent(role::SpawnApply{"shop"})));
  start("verifier", role::encode(role::ToParent(role::SpawnVerifier{})));
  start("front", role::encode(role::ToParent(role::SpawnFront{})));
  start("spawned", role::encode(role::Spawned{false, true, "no such user"}));
  start("front_start", role::encode(samples::front_start()));
  start("verifier_start", role::encode(samples::sources()));
  return out;
}

std::string rich_plan() { return test::saved_text_of(test::rich_saved_plan()); }

TEST(FuzzSeeds, MessagesAreThoseOfThisTree) {
  bool update = std::getenv("KNOCK_UPDATE_GOLDEN") != nullptr;
  for (const auto& [seed, bytes] : made_messages()) {
    auto path = (corpus_folder() / seed).string();
    if (update)
      test::write_file(path, bytes);
    else
      EXPECT_EQ(test::read_file(path), bytes) << seed;
  }
  if (update) test::write_file((corpus_folder() / "saved_plan/rich").string(), rich_plan());
  if (update) GTEST_SKIP() << "seeds written";
}

TEST(FuzzSeeds, TheRichPlanHasALineOfEachKind) {
  auto seed = test::read_file((corpus_folder() / "saved_plan/rich").string());
  auto rich = rich_plan();
  for (auto line : split(rich, '\n')) {
    auto kind = line.substr(0, line.find(',', 1));
    if (kind.starts_with("{\"line\":"))
      EXPECT_NE(seed.find(kind), seed.npos) << kind << " is missing";
  }
}

TEST(FuzzSeeds, EachIsReadAsItsNameSays) {
  for (const auto& corpus : corpora())
    for (const auto& item : fs::directory_iterator(corpus_folder() / corpus.folder)) {
      auto name = item.path().filename().string();
      if (name.starts_with("crash-")) continue;  // found once; whatever it is read as
      SCOPED_TRACE(std::string(corpus.folder) + "/" + name);
      auto expected = corpus.refused.find(name);
      EXPECT_EQ(corpus.read(test::read_file(item.path().string())),
                expected == corpus.refused.end() ? "" : expected->second);
    }
}

TEST(FuzzSeeds, EveryCorpusHasItsReader) {
  std::set<std::string> known, there;
  for (const auto& corpus : corpora()) {
    known.insert(corpus.folder);
    for (const auto& [name, why] : corpus.refused)
      EXPECT_TRUE(fs::exists(corpus_folder() / corpus.folder / name)) << name;
  }
  for (const auto& item : fs::directory_iterator(corpus_folder()))
    there.insert(item.path().filename());
  EXPECT_EQ(known, there);
}

}  // namespace
}  // namespace knock
