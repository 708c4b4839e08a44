// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sso/token_maker.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstdlib>

#include "base/random.h"
#include "base/text.h"
#include "sso/jose/algorithm.h"

namespace knock::sso::test {
namespace {

void must(bool good) {
  if (!good) std::abort();
}

std::string number(EVP_PKEY* key, const char* name, int width = 0) {
  BIGNUM* value = nullptr;
  must(EVP_PKEY_get_bn_param(key, name, &value) == 1);
  std::string out(std::size_t(width != 0 ? width : BN_num_bytes(value)), '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), int(out.size()));
  BN_free(value);
  return base64url(out);
}

int width_of(const std::string& curve) {
  return curve == "P-256" ? 32 : curve == "P-384" ? 48 : 66;
}

std::string to_raw(const std::string& der, std::size_t half) {
  auto* at = reinterpret_cast<const unsigned char*>(der.data());
  auto* pair = d2i_ECDSA_SIG(nullptr, &at, long(der.size()));
  must(pair != nullptr);
  std::string out(2 * half, '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, int(half));
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + half, int(half));
  ECDSA_SIG_free(pair);
  return out;
}

}  // namespace

SigningKey SigningKey::make(const std::string& kind, std::string id, int bits) {
  EVP_PKEY* key = kind == "RSA"       ? EVP_RSA_gen(unsigned(bits))
                  : kind == "Ed25519" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                      : EVP_EC_gen(kind.c_str());
  must(key != nullptr);
  SigningKey out;
  out.key_ = {key, EVP_PKEY_free};
  out.kind_ = kind;
  out.id_ = std::move(id);
  return out;
}

std::string SigningKey::jwk(std::string_view more) const {
  std::string out = "{\"kid\":\"" + id_ + "\"" + std::string(more);
  if (kind_ == "RSA") {
    out += ",\"kty\":\"RSA\",\"n\":\"" + number(key_.get(), OSSL_PKEY_PARAM_RSA_N) + "\",\"e\":\"" +
           number(key_.get(), OSSL_PKEY_PARAM_RSA_E) + "\"}";
  } else if (kind_ == "Ed25519") {
    unsigned char bytes[32];
    std::size_t length = sizeof bytes;
    must(EVP_PKEY_get_raw_public_key(key_.get(), bytes, &length) == 1);
    out += ",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" +
           base64url({reinterpret_cast<char*>(bytes), length}) + "\"}";
  } else {
    int width = width_of(kind_);
    out += ",\"kty\":\"EC\",\"crv\":\"" + kind_ + "\",\"x\":\"" +
           number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, width) + "\",\"y\":\"" +
           number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, width) + "\"}";
  }
  return out;
}

std::string SigningKey::sign(std::string_view header, std::string_view payload,
                             std::string_view algorithm) const {
  auto how = algorithm_named(algorithm).value();
  auto text = base64url(header) + "." + base64url(payload);
  auto* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* inner = nullptr;
  must(EVP_DigestSignInit_ex(context, &inner, how.digest, nullptr, nullptr, key_.get(), nullptr) ==
       1);
  if (how.pss) {
    must(EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1);
    must(EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t length = 0;
  must(EVP_DigestSign(context, nullptr, &length, bytes, text.size()) == 1);
  std::string signature(length, '\0');
  must(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &length, bytes,
                      text.size()) == 1);
  signature.resize(length);
  EVP_MD_CTX_free(context);
  if (how.half != 0) signature = to_raw(signature, how.half);
  return text + "." + base64url(signature);
}

std::string key_set(const std::vector<std::string>& jwks) {
  return "{\"keys\":[" + join(jwks, ",") + "]}";
}

}  // namespace knock::sso::test
