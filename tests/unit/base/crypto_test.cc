// SPDX-License-Identifier: Apache-2.0
// Known answers: RFC 6234 section 8.5 and FIPS 180-4 for SHA-256, RFC 4231 for HMAC, RFC 4648
// section 10 for base64url.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <type_traits>

#include "base/ed25519.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/sha256.h"
#include "base/text.h"

namespace knock {
namespace {

std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2)
    out += char(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  return out;
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct HashRow {
  std::string data;
  const char* want;
};

const HashRow kHashes[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {std::string(1'000'000, 'a'),
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {repeated("0123456701234567012345670123456701234567012345670123456701234567", 10),
     "594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5"},
    {"\x19", "68aa2e2ee5dff96e3355e6c7ee373e3d6a4e17f75f9518d843709c0c9bc3e3d4"},
    {unhex("e3d72570dcdd787ce3887ab2cd684652"),
     "175ee69b02ba9b58e2b0a5fd13819cea573f3940a94f825128cf4209beabb4e8"},
};

TEST(Sha256, KnownAnswersWholeAndInPieces) {
  for (const auto& row : kHashes) {
    EXPECT_EQ(to_hex(sha256(row.data)), row.want);
    for (std::size_t piece : {1u, 63u, 64u, 65u, 1000u}) {
      if (row.data.size() / piece > 20'000) continue;
      Sha256 pieces;
      for (std::size_t at = 0; at < row.data.size(); at += piece)
        pieces.add(std::string_view(row.data).substr(at, piece));
      EXPECT_EQ(to_hex(pieces.finish()), row.want) << piece;
    }
  }
}

TEST(Sha256, LeadingBits) {
  EXPECT_EQ(leading_64_bits(sha256("abc")), 0xba7816bf8f01cfeau);
  EXPECT_EQ(as_bytes(sha256("abc")), unhex(kHashes[1].want));
}

TEST(Hmac, KnownAnswers) {
  struct {
    std::string key, data;
    const char* want;
  } rows[] = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {unhex("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The "
       "key needs to be "
       "hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
      {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
  };
  for (const auto& row : rows) EXPECT_EQ(to_hex(hmac_sha256(row.key, row.data)), row.want);
}

TEST(Base64url, KnownAnswers) {
  struct {
    std::string bytes;
    const char* text;
  } rows[] = {{"", ""},
              {"f", "Zg"},
              {"fo", "Zm8"},
              {"foo", "Zm9v"},
              {"foob", "Zm9vYg"},
              {"fooba", "Zm9vYmE"},
              {"foobar", "Zm9vYmFy"},
              {"\xfb\xff\xbf", "-_-_"},
              {std::string(1, '\0'), "AA"}};
  for (const auto& row : rows) {
    EXPECT_EQ(base64url(row.bytes), row.text);
    std::string out = "leftover";
    EXPECT_TRUE(base64url_decode(row.text, out)) << row.text;
    EXPECT_EQ(out, row.bytes);
  }
}

TEST(Base64url, IsStrict) {
  std::string out;
  for (std::string_view text : {"Z", "Zg=", "Zg==", "Zm9vY", "Zh", "Zm9", "Zm-", "+/+/", "Zg\n",
                                " Zg", "Zm9v Zm9v", "Zm9v=", "Z\xc3\xb6", "===="})
    EXPECT_FALSE(base64url_decode(text, out)) << text;
  EXPECT_FALSE(base64url_decode(std::string_view("Zm\0v", 4), out));
}

TEST(Random, TokensAreLongAndDifferent) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    auto token = random.token(32);
    EXPECT_EQ(token.size(), 43u);
    std::string bytes;
    EXPECT_TRUE(base64url_decode(token, bytes));
    EXPECT_EQ(bytes.size(), 32u);
    EXPECT_TRUE(seen.insert(token).second);
  }
  EXPECT_EQ(random.token(0), "");
}

class Counting final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = ++next_;
  }

 private:
  std::uint8_t next_ = 0;
};

TEST(Random, NumbersAreBigEndian) {
  Counting counting;
  EXPECT_EQ(counting.next_u64(), 0x0102030405060708u);
  EXPECT_EQ(counting.token(3), "CQoL");
}

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!Streamable<Secret>, "a secret must not print");
static_assert(!fmt::is_formattable<Secret>::value, "a secret must not format");
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);

TEST(Secret, Compares) {
  Secret secret("hunter2");
  EXPECT_TRUE(secret.equals("hunter2"));
  for (auto other : {"", "hunter", "hunter22", "hunter3", "Hunter2"})
    EXPECT_FALSE(secret.equals(other)) << other;
  EXPECT_TRUE(Secret().equals(""));
  EXPECT_TRUE(Secret().empty());
  EXPECT_FALSE(secret.empty());
}

TEST(Secret, MovesLeaveNothingBehind) {
  for (const std::string& value : {std::string("short"), std::string(100, 'x')}) {
    Secret first(value);
    Secret second(std::move(first));
    EXPECT_EQ(second.reveal(), value);
    EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that is the point
    Secret third("old");
    third = std::move(second);
    EXPECT_EQ(third.reveal(), value);
    EXPECT_TRUE(second.empty());  // NOLINT(bugprone-use-after-move)
    Secret copy = third;
    EXPECT_EQ(copy.reveal(), third.reveal());
    copy = Secret("other");
    EXPECT_EQ(third.reveal(), value);
    auto& self = third;
    third = self;
    EXPECT_EQ(third.reveal(), value);
    third = std::move(self);
    EXPECT_EQ(third.reveal(), value);
  }
}

TEST(Secret, IsWipedInPlace) {
  alignas(Secret) unsigned char room[sizeof(Secret)];
  auto* secret = new (room) Secret("hunter2");  // short: lies inside the value itself
  std::string_view seen(reinterpret_cast<const char*>(room), sizeof room);
  ASSERT_NE(seen.find("hunter2"), std::string_view::npos);
  secret->~Secret();
  EXPECT_EQ(seen.find("hunter2"), std::string_view::npos);
  EXPECT_EQ(seen.find("unter2"), std::string_view::npos);
}

// RFC 8032 section 7.1, tests 1 to 3.
struct SignatureRow {
  const char *seed, *public_key, *text, *signature;
};
const SignatureRow kSignatures[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
};

template <std::size_t N>
std::string hex_of(const std::array<std::uint8_t, N>& bytes) {
  return hex({reinterpret_cast<const char*>(bytes.data()), N});
}

TEST(Ed25519, SignsAsThePublishedVectorsDo) {
  for (const auto& row : kSignatures) {
    Ed25519Key key(Secret(unhex(row.seed)));
    EXPECT_EQ(hex_of(key.public_key()), row.public_key);
    auto signature = key.sign(unhex(row.text));
    EXPECT_EQ(hex_of(signature), row.signature);
    EXPECT_TRUE(verify(key.public_key(), unhex(row.text), signature));
  }
}

TEST(Ed25519, NothingElseIsASignature) {
  SystemRandom random;
  auto key = Ed25519Key::make(random), other = Ed25519Key::make(random);
  auto signature = key.sign("a plan");
  EXPECT_TRUE(verify(key.public_key(), "a plan", signature));
  EXPECT_FALSE(verify(key.public_key(), "a plan ", signature));
  EXPECT_FALSE(verify(other.public_key(), "a plan", signature));
  EXPECT_FALSE(verify({}, "a plan", signature));
  EXPECT_FALSE(verify(key.public_key(), "a plan", {}));
  for (std::size_t i = 0; i < signature.size(); ++i) {
    auto copy = signature;
    copy[i] ^= 1;
    EXPECT_FALSE(verify(key.public_key(), "a plan", copy)) << "byte " << i;
  }
}

}  // namespace
}  // namespace knock
