// SPDX-License-Identifier: Apache-2.0
#include "sso/jose/signature.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>

namespace knock::sso {
namespace {

template <auto F>
using Deleter = std::integral_constant<std::decay_t<decltype(F)>, F>;
using Context = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Pair = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// JWS has r and s side by side in a fixed width (RFC 7518 section 3.4); libcrypto wants DER. Empty
/// when it is neither.
std::string to_der(std::string_view signature, std::size_t half) {
  if (signature.size() != 2 * half) return {};
  Pair pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(raw(signature), int(half), nullptr);
  BIGNUM* s = BN_bin2bn(raw(signature.substr(half)), int(half), nullptr);
  if (!pair || r == nullptr || s == nullptr || ECDSA_SIG_set0(pair.get(), r, s) != 1) std::abort();
  unsigned char* der = nullptr;
  int length = i2d_ECDSA_SIG(pair.get(), &der);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<char*>(der), std::size_t(length));
  OPENSSL_free(der);
  return out;
}

bool set_up_rsa(EVP_PKEY_CTX* context, const Algorithm& algorithm) {
  if (!algorithm.pss) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool verify(const Algorithm& algorithm, EVP_PKEY* key, std::string_view text,
            std::string_view signature) {
  std::string der;
  if (algorithm.half != 0) {
    der = to_der(signature, algorithm.half);
    if (der.empty()) return false;
    signature = der;
  } else if (signature.size() != std::size_t(EVP_PKEY_get_size(key))) {
    return false;  // one length per key, so that no second spelling of a signature passes
  }
  Context context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* inner = nullptr;
  if (!context || EVP_DigestVerifyInit_ex(context.get(), &inner, algorithm.digest, nullptr, nullptr,
                                          key, nullptr) != 1)
    return false;
  if (algorithm.key == KeyKind::rsa && !set_up_rsa(inner, algorithm)) return false;
  return EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text),
                          text.size()) == 1;
}

}  // namespace

bool signature_is_good(const Algorithm& algorithm, const PublicKey& key, std::string_view text,
                       std::string_view signature) {
  bool good = key.handle && verify(algorithm, key.handle.get(), text, signature);
  ERR_clear_error();  // or the next TLS call of this thread would find it
  return good;
}

}  // namespace knock::sso
