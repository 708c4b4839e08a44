// SPDX-License-Identifier: Apache-2.0
// Starts the OpenID provider of tests/support/identity on a free loopback port, and stops it.
//
//   KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
//   OidcProvider provider({.client_base = "http://127.0.0.1:8400"});
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace knock::test {

class OidcProvider {
 public:
  struct Options {
    std::string client_base =
        "http://127.0.0.1:8400";  // redirects go to client_base + "/auth/callback"
    std::vector<std::pair<std::string, std::string>>
        environment;  // further variables of oidc-idp.mjs
  };

  /// Installs the packages when they are missing (once per machine; needs npm and its registry
  /// then). False when that fails; why_not() says why.
  static bool ready();
  static std::string why_not();

  /// Aborts the test process when the provider does not start: nothing useful can follow.
  explicit OidcProvider(const Options& options);
  OidcProvider() : OidcProvider(Options{}) {}
  ~OidcProvider();
  OidcProvider(const OidcProvider&) = delete;
  OidcProvider& operator=(const OidcProvider&) = delete;

  const std::string& issuer() const { return issuer_; }
  static std::string secret_of(const std::string& client);

  /// POST /_ctl/`what`: "rotate?keep=0", "user?sub=alice&groups=eng",
  /// "fault?path=/token&status=503"; the answer's body.
  std::string control(const std::string& what);
  /// How often a path was asked for, as the provider saw it.
  std::size_t times_asked(const std::string& path);

  /// Signs `user` in from `url` on, through redirects and forms; the first address that begins with
  /// `stop`. Empty with the reason in `why` when it is not reached.
  std::string sign_in(const std::string& url, const std::string& user, const std::string& stop,
                      std::string* why = nullptr);

 private:
  std::string issuer_;
  pid_t pid_ = -1;
  int output_ = -1;
};

/// One parameter of a URL's query, percent-decoded; empty when absent.
std::string query_parameter(const std::string& url, const std::string& name);

}  // namespace knock::test
