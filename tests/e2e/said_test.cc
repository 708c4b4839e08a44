// SPDX-License-Identifier: Apache-2.0
// What a provider says about a sign-in reaches the rules that ask for it, and nothing else of it is
// kept; and what was open can be traced back afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRules = R"(knock: 1
groups: {engineers: {idp: eng, from: [corp]}}
services:
  ssh: {ports: [tcp/2222], targets: [edge]}
  app: {ports: [tcp/8443], targets: [edge]}
targets: {edge: {type: nftables}}
allow:
  operations:
    who: [engineers]
    claims: {department: [ops, sre]}
    to: [ssh]
    ttl: 1h
  strong: {who: [engineers], to: [app], ttl: 1h, acr: ["urn:gold"], mfa_max_age: 15m}
)";

class Said : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
    say("{}");
    WorldSettings settings;
    settings.policy = kRules;
    settings.provider = {{"IDP_PLUGIN", source_dir() + "/tests/e2e/more_claims.mjs"},
                         {"MORE_CLAIMS", claims_file()}};
    world_ = std::make_unique<World>(settings);
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
  }
  void TearDown() override {
    if (world_ && HasFailure()) std::fprintf(stderr, "%s\n", world_->knock->log().c_str());
  }

  Installation& knock() { return *world_->knock; }
  std::string claims_file() const { return folder_.path() + "/claims"; }
  void say(const std::string& claims) { write_file(claims_file(), claims); }
  Browser sign_in(const std::string& user, const std::string& address) {
    auto browser = world_->browser(user + std::to_string(++browsers_), address);
    auto page = browser.get(browser.callback(*world_->provider, world_->server, "corp", user));
    EXPECT_EQ(page.status, 303) << page.all;
    return browser;
  }
  std::string why(const std::string& who, const std::string& what, int exit_code) {
    auto done = knock().knock({"why", who, what});
    EXPECT_EQ(done.exit_code, exit_code) << done.out << done.err;
    return done.out;
  }

  TemporaryFolder folder_;
  std::unique_ptr<World> world_;
  int browsers_ = 0;
};

TEST_F(Said, ClaimsAndFactorsOpenWhatAsksForThemAndNothingElseIsKept) {
  auto& w = *world_;
  sign_in("alice", kAlice);
  EXPECT_THAT(why("alice", "ssh", 9), HasSubstr("corp said nothing of it"));
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::timeout);

  say(R"({"department": ["ops"], "birthday": "1990-01-01", "amr": ["pwd"]})");
  sign_in("alice", kAlice);
  EXPECT_TRUE(w.opens(kAlice, kSsh));
  auto chain = why("alice", "ssh", 0);
  EXPECT_THAT(chain, HasSubstr("corp says department: ops"));
  EXPECT_THAT(chain, HasSubstr("last change of these lines"));
  EXPECT_THAT(why("alice", "app", 9), HasSubstr("acr"));
  EXPECT_EQ(w.reach(kAlice, kApp), Reached::timeout);

  say(R"({"acr": "urn:gold", "amr": ["pwd"]})");
  sign_in("bob", kBob);
  EXPECT_THAT(why("bob", "app", 9), HasSubstr("second factor"));
  // When it was shown, the provider says by itself: it was asked with max_age.
  say(R"({"acr": "urn:gold", "amr": ["pwd", "mfa"]})");
  sign_in("bob", kBob);
  EXPECT_TRUE(w.opens(kBob, kApp));
  EXPECT_THAT(why("bob", "app", 0), HasSubstr("a second factor was shown at"));
  EXPECT_EQ(w.reach(kBob, kSsh), Reached::timeout);

  auto records = w.records();
  EXPECT_THAT(records, HasSubstr("department"));
  EXPECT_THAT(records, Not(HasSubstr("birthday")));
  EXPECT_THAT(records, Not(HasSubstr("1990-01-01")));
}

TEST_F(Said, AMarkOnTheFirewallLeadsBackAlsoWhenTheControllerIsGone) {
  auto& w = *world_;
  say(R"({"department": "sre"})");
  auto alice = sign_in("alice", kAlice);
  ASSERT_TRUE(w.opens(kAlice, kSsh));
  auto table = w.table();
  auto at = table.find("knock:1:", std::min(table.find(kAlice), table.size()));
  ASSERT_NE(at, table.npos) << table;
  auto mark = table.substr(at, 52);
  auto stands = knock().knock({"why", mark});
  EXPECT_EQ(stands.exit_code, 0) << stands.err;
  for (const char* part : {"edge holds 198.51.100.10/32 in ssh", "alice", "operations gives ssh",
                           "last change of these lines"})
    EXPECT_THAT(stands.out, HasSubstr(part));
  auto now = knock().knock({"who", "--service", "ssh"});
  EXPECT_THAT(now.out, HasSubstr("198.51.100.10/32"));
  // Times are written in whole seconds: the next one lies between the opening and the sign-out.
  auto opened = wall_now();
  ASSERT_TRUE(eventually([&] { return wall_now().floor_to_second() > opened; }));
  auto then = to_string(wall_now());
  EXPECT_EQ(alice.sign_out().status, 303);
  EXPECT_TRUE(w.closes(kAlice, kSsh));
  EXPECT_EQ(knock().knock({"why", mark}).exit_code, 9) << "known, and gone";

  knock().stop();
  auto gone = knock().knock({"why", mark});
  EXPECT_EQ(gone.exit_code, 9) << gone.err;
  EXPECT_THAT(gone.out, HasSubstr("then it was removed: sign-out"));
  EXPECT_THAT(knock().knock({"who", "--service", "ssh", "--at", then}).out, HasSubstr("alice"));
  EXPECT_THAT(knock().knock({"who", "--service", "ssh"}).out, Not(HasSubstr("198.51.100.10")));
  auto range = knock().knock({"who", "--service", "ssh", "--from", "2020-01-01"});
  EXPECT_THAT(range.out, HasSubstr("sign-out"));
  EXPECT_THAT(range.out, HasSubstr("the log begins at"));
  EXPECT_THAT(why("alice", "ssh", 9), HasSubstr("the session ended"));
  auto foreign = mark;
  foreign[8] = foreign[8] == '0' ? '1' : '0';
  auto other = knock().knock({"why", foreign});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.out, HasSubstr("another installation"));
}

}  // namespace
}  // namespace knock::test
