// SPDX-License-Identifier: Apache-2.0
#include "base/ed25519.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace knock {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Key private_key(const Secret& seed) {
  auto raw = seed.reveal();
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(raw), raw.size()));
  if (key == nullptr) std::abort();  // not 32 bytes, or a libcrypto without Ed25519
  return key;
}

}  // namespace

Ed25519Key Ed25519Key::make(Random& random) {
  std::string seed(kSeed, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(seed.data()), seed.size()});
  return Ed25519Key(Secret(std::move(seed)));
}

Ed25519Key::Ed25519Key(Secret seed) : seed_(std::move(seed)) {
  auto size = public_.size();
  if (EVP_PKEY_get_raw_public_key(private_key(seed_).get(), public_.data(), &size) != 1 ||
      size != public_.size())
    std::abort();
}

Ed25519Signature Ed25519Key::sign(std::string_view text) const {
  Ed25519Signature out{};
  auto size = out.size();
  auto key = private_key(seed_);
  Context context(EVP_MD_CTX_new());
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), out.data(), &size, bytes(text), text.size()) != 1 ||
      size != out.size())
    std::abort();
  return out;
}

bool verify(const Ed25519Public& key, std::string_view text, const Ed25519Signature& signature) {
  Key with(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  Context context(EVP_MD_CTX_new());
  return with != nullptr && context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, with.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes(text),
                          text.size()) == 1;
}

}  // namespace knock
