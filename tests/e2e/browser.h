// SPDX-License-Identifier: Apache-2.0
// A browser at an address of its own: curl with a cookie jar, one request at a time, no redirects
// followed by itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/netns.h"
#include "tests/support/oidc_provider.h"

namespace knock::test {

struct Page {
  int status = 0;
  std::string location;  // of a redirect
  std::string body;
  std::string all;  // with every header
};

using Fields = std::vector<std::pair<std::string, std::string>>;

class Browser {
 public:
  /// `portal`: its origin. `certificate`: the file to trust; "" for plain HTTP. `jar`: a file.
  Browser(const Namespace& where, std::string address, std::string portal, std::string certificate,
          std::string jar);

  Page get(const std::string& path_or_url);
  Page post(const std::string& path, const Fields& fields);
  /// The token of our forms on the page that "/" gives now.
  std::string form();
  /// As the jar holds it; "" when there is none.
  std::string cookie(const std::string& name) const;

  /// Begins a sign-in; where the portal sends the browser to. Empty when it does not.
  std::string start(const std::string& source);
  /// The whole way through the provider, whose pages are visited where it runs; the address of the
  /// callback, which is not yet asked for.
  std::string callback(OidcProvider& provider, const Namespace& provider_is_in,
                       const std::string& source, const std::string& user);
  Page sign_out();

  const std::string& address() const { return address_; }

 private:
  Page ask(std::vector<std::string> words, const std::string& path_or_url);

  const Namespace& where_;
  std::string address_, portal_, certificate_, jar_;
};

}  // namespace knock::test
