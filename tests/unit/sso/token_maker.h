// SPDX-License-Identifier: Apache-2.0
// A provider's half of the tests: keys, key sets and signed tokens, of any shape.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct evp_pkey_st;

namespace knock::sso::test {

/// A key pair made for this run.
class SigningKey {
 public:
  /// "RSA" (with bits), "P-256", "P-384", "P-521", "Ed25519".
  static SigningKey make(const std::string& kind, std::string id, int bits = 2048);
  const std::string& id() const { return id_; }
  /// The public half; `more` is further members, such as ,"use":"sig".
  std::string jwk(std::string_view more = {}) const;
  /// A compact token. `algorithm` decides how it is signed; the header says what it says.
  std::string sign(std::string_view header, std::string_view payload,
                   std::string_view algorithm) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
  std::string kind_, id_;
};

std::string key_set(const std::vector<std::string>& jwks);

}  // namespace knock::sso::test
