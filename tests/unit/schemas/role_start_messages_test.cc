// SPDX-License-Identifier: Apache-2.0
// What the parent and the roles say about starting: nothing is lost on the way, and nothing else is
// taken.
#include <gtest/gtest.h>

#include "tests/unit/schemas/role_start_samples.h"

namespace knock::role {
namespace {

using samples::front_start;
using samples::sources;

TEST(SpawnMessages, wishes_come_back_as_they_went) {
  auto apply = decode_to_parent(encode(ToParent(SpawnApply{"shop"})));
  ASSERT_TRUE(apply);
  EXPECT_EQ(std::get<SpawnApply>(*apply).netns, "shop");
  EXPECT_TRUE(std::holds_alternative<SpawnVerifier>(*decode_to_parent(encode(SpawnVerifier{}))));
  EXPECT_TRUE(std::holds_alternative<SpawnFront>(*decode_to_parent(encode(SpawnFront{}))));
  auto spawned = decode_spawned(encode(Spawned{false, true, "no such user"}));
  ASSERT_TRUE(spawned);
  EXPECT_FALSE(spawned->made);
  EXPECT_TRUE(spawned->user_kept);
  EXPECT_EQ(spawned->why, "no such user");
}

TEST(SpawnMessages, the_parent_takes_no_path_that_climbs_or_hides) {
  for (const char* good : {"", "shop", "a-b_c.d", "/run/netns/shop", "/proc/17/ns/net"})
    EXPECT_TRUE(decode_to_parent(encode(ToParent(SpawnApply{good})))) << good;
  const std::string bad[] = {"..",
                             "../../etc/shadow",
                             "/run/netns/../../etc/x",
                             "a b",
                             "a\nb",
                             "a\\b",
                             std::string("a\0b", 3),
                             "\xc3\xa4",
                             "$(reboot)",
                             std::string(201, 'a')};
  for (const auto& name : bad)
    EXPECT_FALSE(decode_to_parent(encode(ToParent(SpawnApply{name})))) << name;
}

/// Whatever is cut off or put behind, and whatever kind is claimed, is refused.
template <class Decode>
void refuses_damage(const std::string& body, Decode decode) {
  ASSERT_TRUE(decode(body));
  for (std::size_t length = 0; length < body.size(); ++length)
    EXPECT_FALSE(decode(std::string_view(body).substr(0, length))) << "cut to " << length;
  EXPECT_FALSE(decode(body + std::string(1, '\0'))) << "one byte more";
  auto other = body;
  other[0] = char(200);
  EXPECT_FALSE(decode(other)) << "of another kind";
}

TEST(SpawnMessages, damage_is_refused) {
  refuses_damage(encode(ToParent(SpawnApply{"shop"})), decode_to_parent);
  refuses_damage(encode(ToParent(SpawnVerifier{})), decode_to_parent);
  refuses_damage(encode(Spawned{true, false, "x"}), decode_spawned);
  refuses_damage(encode(front_start()), decode_front_start);
  refuses_damage(encode(sources()), decode_verifier_start);
}

TEST(StartMessages, front_learns_all_it_needs) {
  auto start = decode_front_start(encode(front_start()));
  ASSERT_TRUE(start);
  EXPECT_EQ(start->public_url, "https://knock.example");
  EXPECT_TRUE(start->secure);
  EXPECT_EQ(start->trusted_proxies, front_start().trusted_proxies);
  EXPECT_EQ(start->certificate_pem, "CERT");
  EXPECT_EQ(start->key_pem, "KEY");
}

TEST(StartMessages, a_verifier_learns_all_it_needs) {
  auto start = decode_verifier_start(encode(sources()));
  ASSERT_TRUE(start);
  ASSERT_EQ(start->size(), 2u);
  auto want = sources()[0].settings;
  const auto& got = (*start)[0].settings;
  EXPECT_EQ(got.name, want.name);
  EXPECT_EQ(got.title, want.title);
  EXPECT_EQ(got.issuer, want.issuer);
  EXPECT_EQ(got.client_id, want.client_id);
  EXPECT_EQ(got.groups_claim, want.groups_claim);
  EXPECT_EQ(got.token_auth, want.token_auth);
  EXPECT_EQ((*start)[1].settings.token_auth, TokenAuth::discovered);
  EXPECT_EQ(got.algorithms, want.algorithms);
  EXPECT_EQ(got.scopes, want.scopes);
  EXPECT_EQ(got.allow_networks, want.allow_networks);
  EXPECT_EQ(got.max_session, want.max_session);
  EXPECT_TRUE((*start)[0].client_secret.equals("s3cret"));
  EXPECT_TRUE((*start)[1].client_secret.empty());
}

}  // namespace
}  // namespace knock::role
