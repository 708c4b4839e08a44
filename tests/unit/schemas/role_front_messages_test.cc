// SPDX-License-Identifier: Apache-2.0
// Messages between front and core, and core and its verifier: every kind survives the journey, and
// nothing that was cut, lengthened or bent at any byte is taken for something else than what its
// bytes say.
#include <gtest/gtest.h>

#include "tests/unit/schemas/role_samples.h"

using namespace knock;
using namespace knock::role;
using namespace knock::role::samples;

namespace {

template <class Message, class Decode>
void expect_faithful(const std::vector<Message>& all, Decode decode) {
  for (const auto& message : all) {
    auto frame = encode(message);
    auto body = frame.substr(4);
    auto back = decode(body);
    ASSERT_TRUE(back.has_value()) << message.index();
    EXPECT_EQ(back->index(), message.index());
    EXPECT_EQ(encode(*back), frame) << message.index();
    EXPECT_EQ(request_of(*back), request_of(message));
    EXPECT_FALSE(decode(body + '\0').has_value()) << "left-over byte, kind " << message.index();
    for (std::size_t n = 0; n < body.size(); ++n) {
      EXPECT_FALSE(decode(body.substr(0, n)).has_value()) << "cut at " << n;
      auto bent = body;
      bent[n] = char(bent[n] ^ 0x81);
      if (auto got = decode(bent)) {
        EXPECT_EQ(encode(*got).substr(4), bent) << "bent at " << n;
      }
    }
  }
}

TEST(RoleMessages, SurviveTheJourney) {
  EXPECT_EQ(from_front().size(), std::variant_size_v<FromFront>);
  EXPECT_EQ(to_front().size(), std::variant_size_v<ToFront>);
  EXPECT_EQ(to_verifier().size(), std::variant_size_v<ToVerifier>);
  EXPECT_EQ(from_verifier().size(), std::variant_size_v<FromVerifier>);
  expect_faithful(from_front(), decode_from_front);
  expect_faithful(to_front(), decode_to_front);
  expect_faithful(to_verifier(), decode_to_verifier);
  expect_faithful(from_verifier(), decode_from_verifier);
}

TEST(RoleMessages, CarryTheirValues) {
  auto me = std::get<Me>(*decode_to_front(encode(to_front()[4]).substr(4)));
  EXPECT_EQ(me.name, "Ana");
  EXPECT_EQ(me.address, kAddress);
  EXPECT_EQ(me.services[0].until, Instant{1500});
  EXPECT_EQ(me.services[0].open, 2u);
  EXPECT_EQ(me.services[0].lasts, Lasts::disconnect);
  EXPECT_EQ(me.services[0].come_by, Instant{1200});
  EXPECT_TRUE(me.services[0].used);
  EXPECT_EQ(me.services[1].ports[1].to_string(), "udp/60000-61000");
  auto finish = std::get<FinishOidc>(*decode_from_front(encode(from_front()[2]).substr(4)));
  EXPECT_EQ(finish.state, "state");
  EXPECT_EQ(finish.code, "code");
  EXPECT_EQ(finish.issuer, "https://idp.example");
  EXPECT_EQ(finish.browser, "browser-token");
}

TEST(RoleMessages, AreRefusedBeyondTheirBounds) {
  auto refused_from_front = [](const FromFront& message) {
    return !decode_from_front(encode(message).substr(4)).has_value();
  };
  EXPECT_TRUE(refused_from_front(SignInLocal{1, std::string(129, 'u'), "p", kAddress}));
  EXPECT_FALSE(
      refused_from_front(SignInLocal{1, std::string(128, 'u'), std::string(1024, 'p'), kAddress}));
  EXPECT_TRUE(refused_from_front(SignInLocal{1, "u", std::string(1025, 'p'), kAddress}));
  EXPECT_TRUE(refused_from_front(AskMe{1, std::string(257, 'c'), kAddress}));
  EXPECT_TRUE(refused_from_front(SignOut{1, "c", std::string(257, 'f')}));
  EXPECT_TRUE(refused_from_front(StartOidc{1, SignInName(""), "b"})) << "a name is never empty";
  EXPECT_TRUE(refused_from_front(StartOidc{1, SignInName(std::string(65, 'n')), "b"}));
  EXPECT_TRUE(refused_from_front(StartOidc{1, SignInName("n"), std::string(257, 'b')}));
  EXPECT_TRUE(refused_from_front(FinishOidc{1, std::string(4097, 's'), "", "", "", "", kAddress}));
  EXPECT_TRUE(refused_from_front(FinishOidc{1, "", std::string(4097, 's'), "", "", "", kAddress}));

  auto refused_to_front = [](const ToFront& message) {
    return !decode_to_front(encode(message).substr(4)).has_value();
  };
  auto me = std::get<Me>(to_front()[4]);
  EXPECT_FALSE(refused_to_front(me));
  me.services[0].open = 4;
  EXPECT_TRUE(refused_to_front(me)) << "more confirmed than there are";
  me = std::get<Me>(to_front()[4]);
  me.services[0].ports[0].last = 1;
  EXPECT_TRUE(refused_to_front(me)) << "a range that ends before it begins";
  me.services[0].ports[0] = {Protocol(1), 1, 1};
  EXPECT_TRUE(refused_to_front(me)) << "ICMP has no ports";
  me = std::get<Me>(to_front()[4]);
  me.services[0].lasts = Lasts(3);
  EXPECT_TRUE(refused_to_front(me)) << "no way to last";
  EXPECT_TRUE(refused_to_front(GoTo{1, std::string(8193, 'u')}));

  auto refused_from_verifier = [](const FromVerifier& message) {
    return !decode_from_verifier(encode(message).substr(4)).has_value();
  };
  EXPECT_TRUE(refused_from_verifier(Proven{1, "", "sub", "n", {}, {}}));
  using Values = std::vector<std::string>;
  auto with_claims = [](std::map<std::string, Values> claims) {
    return Proven{1, "iss", "sub", "n", {}, {}, std::move(claims), "", {}};
  };
  EXPECT_FALSE(refused_from_verifier(with_claims({{"a", {"b"}}})));
  EXPECT_TRUE(refused_from_verifier(with_claims({{"a", Values(101, "v")}})));
  EXPECT_TRUE(refused_from_verifier(with_claims({{"a", {std::string(513, 'v')}}})));
  EXPECT_TRUE(refused_from_verifier(with_claims({{std::string(513, 'c'), {}}})));
  std::map<std::string, Values> many;
  for (int i = 0; i < 257; ++i) many[std::to_string(i)] = {};
  EXPECT_TRUE(refused_from_verifier(with_claims(many)));
  EXPECT_TRUE(
      refused_from_verifier(Proven{1, "iss", "sub", "n", {}, {}, {}, std::string(513, 'a'), {}}));
  EXPECT_TRUE(refused_from_verifier(Proven{1, "iss", "", "n", {}, {}}));
  EXPECT_TRUE(refused_from_verifier(Proven{1, "iss", "sub", "n", {std::string(513, 'g')}, {}}));
}

TEST(RoleMessages, CutWhatIsOnlyShown) {
  auto refused =
      decode_to_front(encode(ToFront(Refused{1, "c", std::string(5000, 's')})).substr(4));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(std::get<Refused>(*refused).sentence.size(), 1024u);
}

TEST(RoleMessages, OneSideDoesNotReadTheOthersKinds) {
  for (const auto& message : to_front()) {
    EXPECT_FALSE(decode_from_front(encode(message).substr(4)).has_value());
  }
  for (const auto& message : from_front()) {
    EXPECT_FALSE(decode_to_front(encode(message).substr(4)).has_value());
    EXPECT_FALSE(decode_to_verifier(encode(message).substr(4)).has_value());
  }
  EXPECT_FALSE(decode_from_front("").has_value());
}

}  // namespace
