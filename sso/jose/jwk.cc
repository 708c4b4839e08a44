// SPDX-License-Identifier: Apache-2.0
#include "sso/jose/jwk.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdlib>
#include <type_traits>

#include "base/random.h"
#include "base/text.h"
#include "schemas/json/strict_json.h"
#include "sso/jose/roca.h"

namespace knock::sso {
namespace {

namespace json = boost::json;

template <auto F>
using Deleter = std::integral_constant<std::decay_t<decltype(F)>, F>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using Handle = std::shared_ptr<EVP_PKEY>;

constexpr std::size_t kLongestId = 512;

tl::unexpected<Refusal> malformed(std::string why) {
  return refuse("keys.format", "the provider's key set: " + std::move(why));
}

/// A member that must be text when it is there.
Verdict<std::optional<std::string>> text(const json::object& key, std::string_view name) {
  auto* value = key.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return malformed(fmt::format("\"{}\" is not text", name));
  return std::string(value->as_string());
}

/// A member that must be there, as base64url.
Verdict<std::string> bytes(const json::object& key, std::string_view name) {
  auto written = text(key, name);
  if (!written) return tl::unexpected(written.error());
  std::string out;
  if (!*written || !base64url_decode(**written, out) || out.empty())
    return malformed(fmt::format("a key's \"{}\" is missing or is not base64url", name));
  return out;
}

Number to_number(const std::string& big_endian) {
  Number out(BN_bin2bn(reinterpret_cast<const unsigned char*>(big_endian.data()),
                       int(big_endian.size()), nullptr));
  if (!out) std::abort();  // out of memory
  return out;
}

/// Null when libcrypto does not take them for a key: a point that is not on its curve, say.
Handle from_params(const char* type, OSSL_PARAM_BLD* builder) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    key = nullptr;
  ERR_clear_error();  // or the next TLS call of this thread would find it
  return key == nullptr ? Handle() : Handle(key, EVP_PKEY_free);
}

Verdict<void> read_rsa(const json::object& from, PublicKey& out) {
  out.kind = KeyKind::rsa;
  auto n = bytes(from, "n"), e = bytes(from, "e");
  if (!n) return tl::unexpected(n.error());
  if (!e) return tl::unexpected(e.error());
  if ((*n)[0] == '\0' || (*e)[0] == '\0')
    return malformed("an RSA key's number begins with a zero");
  auto modulus = to_number(*n), exponent = to_number(*e);
  int bits = BN_num_bits(modulus.get());
  if (!BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()))
    out.unusable = "its RSA numbers are not those of a key";
  else if (bits < 2048 || bits > 8192)
    out.unusable = fmt::format("it is RSA of {} bits, and 2048 to 8192 are accepted", bits);
  else if (BN_num_bits(exponent.get()) > 64)
    out.unusable = "its RSA exponent is longer than 64 bits";
  else if (has_roca_fingerprint(modulus.get()))
    out.unusable = "it was made by a chip whose keys can be broken (CVE-2017-15361)";
  if (!out.unusable.empty()) return {};
  Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    std::abort();
  out.handle = from_params("RSA", builder.get());
  if (!out.handle) return malformed("an RSA key is not one");
  return {};
}

struct Curve {
  std::string_view name;
  KeyKind kind;
  const char* group;
  std::size_t width;  // of a coordinate
};
constexpr Curve kCurves[] = {{"P-256", KeyKind::p256, "prime256v1", 32},
                             {"P-384", KeyKind::p384, "secp384r1", 48},
                             {"P-521", KeyKind::p521, "secp521r1", 66}};

Verdict<void> read_ec(const json::object& from, PublicKey& out) {
  auto crv = text(from, "crv");
  if (!crv) return tl::unexpected(crv.error());
  if (!*crv) return malformed("an EC key has no \"crv\"");
  auto curve = std::find_if(std::begin(kCurves), std::end(kCurves),
                            [&](auto& c) { return c.name == **crv; });
  if (curve == std::end(kCurves)) {
    out.unusable = fmt::format("its curve {} is not one of P-256, P-384, P-521", printable(**crv));
    return {};
  }
  out.kind = curve->kind;
  auto x = bytes(from, "x"), y = bytes(from, "y");
  if (!x) return tl::unexpected(x.error());
  if (!y) return tl::unexpected(y.error());
  if (x->size() != curve->width || y->size() != curve->width)
    return malformed(
        fmt::format("a coordinate on {} is not {} bytes long", curve->name, curve->width));
  auto point = "\x04" + *x + *y;
  Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1)
    std::abort();
  out.handle = from_params("EC", builder.get());
  if (!out.handle) return malformed(fmt::format("a key's point is not on {}", curve->name));
  return {};
}

Verdict<void> read_okp(const json::object& from, PublicKey& out) {
  out.kind = KeyKind::ed25519;
  auto crv = text(from, "crv");
  if (!crv) return tl::unexpected(crv.error());
  if (!*crv) return malformed("an OKP key has no \"crv\"");
  if (**crv != "Ed25519") {
    out.unusable = fmt::format("its curve {} is not Ed25519", printable(**crv));
    return {};
  }
  auto x = bytes(from, "x");
  if (!x) return tl::unexpected(x.error());
  if (x->size() != 32) return malformed("an Ed25519 key is not 32 bytes long");
  out.handle =
      Handle(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                         reinterpret_cast<const unsigned char*>(x->data()), 32),
             EVP_PKEY_free);
  if (!out.handle) std::abort();
  return {};
}

/// "use" and "key_ops" (RFC 7517 sections 4.2, 4.3): when they are there, they must speak of
/// signatures.
Verdict<void> read_purpose(const json::object& from, PublicKey& out) {
  auto use = text(from, "use");
  if (!use) return tl::unexpected(use.error());
  if (*use && **use != "sig")
    out.unusable = fmt::format("its use is {}, not sig", printable(**use));
  auto* operations = from.if_contains("key_ops");
  if (operations == nullptr) return {};
  if (!operations->is_array()) return malformed("\"key_ops\" is not a list");
  bool verify = false;
  for (auto& operation : operations->as_array()) {
    if (!operation.is_string()) return malformed("\"key_ops\" holds something that is not text");
    verify = verify || operation.as_string() == "verify";
  }
  if (!verify) out.unusable = "its key_ops do not include verify";
  return {};
}

Verdict<PublicKey> read_key(const json::object& from) {
  for (auto name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
    if (from.contains(name))
      return refuse(
          "keys.private",
          fmt::format(
              "the provider publishes a private key (the member \"{}\"): nothing it signs can be "
              "trusted; its operator must replace that key",
              name));
  PublicKey out;
  auto type = text(from, "kty"), id = text(from, "kid"), algorithm = text(from, "alg");
  for (auto* member : {&type, &id, &algorithm})
    if (!*member) return tl::unexpected(member->error());
  if (!*type) return malformed("a key has no \"kty\"");
  out.id = id->value_or("");
  if (out.id.size() > kLongestId) return malformed("a \"kid\" is too long");
  out.algorithm = algorithm->value_or("");
  Verdict<void> read;
  if (**type == "RSA")
    read = read_rsa(from, out);
  else if (**type == "EC")
    read = read_ec(from, out);
  else if (**type == "OKP")
    read = read_okp(from, out);
  else
    out.unusable = fmt::format("its type {} is not one of RSA, EC, OKP", printable(**type));
  if (read) read = read_purpose(from, out);
  if (!read) return tl::unexpected(read.error());
  return out;
}

}  // namespace

std::optional<std::string> PublicKey::unfit_for(const Algorithm& wanted) const {
  if (!unusable.empty()) return unusable;
  if (kind != wanted.key) return fmt::format("it is of another kind than {} needs", wanted.name);
  if (!algorithm.empty() && algorithm != wanted.name)
    return fmt::format("it is published for {} only", printable(algorithm));
  return std::nullopt;
}

Verdict<KeySet> KeySet::parse(std::string_view text) {
  auto document = parse_strict(text);
  if (!document)
    return document.error().message.starts_with("json.duplicate")
               ? refuse("keys.duplicate", "the provider's key set: " + document.error().message)
               : malformed(document.error().message);
  auto* object = document->if_object();
  auto* list = object == nullptr ? nullptr : object->if_contains("keys");
  if (list == nullptr || !list->is_array()) return malformed("it has no list \"keys\"");
  if (list->as_array().size() > kMostKeys)
    return refuse("keys.many", fmt::format("the provider publishes more than {} keys", kMostKeys));
  KeySet out;
  for (auto& each : list->as_array()) {
    if (!each.is_object()) return malformed("it holds something that is not a key");
    auto key = read_key(each.as_object());
    if (!key) return tl::unexpected(key.error());
    for (auto& other : out.keys_)
      if (!key->id.empty() && other.id == key->id)
        return refuse(
            "keys.duplicate",
            fmt::format("the provider publishes two keys with the id {}", printable(key->id)));
    out.keys_.push_back(std::move(*key));
  }
  return out;
}

}  // namespace knock::sso
