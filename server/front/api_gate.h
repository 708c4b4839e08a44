// SPDX-License-Identifier: Apache-2.0
// What front may say about a machine's request before core is asked: whether it is shaped like one,
// came where nobody listens, and is small enough. Whether its token is any good core alone knows.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/prefix.h"
#include "net/http_server.h"

namespace knock::server {

/// The token of `Authorization: Bearer …`, when there is exactly one and it is shaped like ours.
std::optional<std::string> bearer_token(const net::HttpRequest& request);

/// Below /api/v1/. Every answer there is JSON.
bool is_api_path(std::string_view path);

/// RFC 9457; the code is in `code`.
net::HttpResponse api_problem(int status, std::string_view code, std::string_view detail);

/// How large a body may be. Everybody may send a form; a candidate policy only comes with something
/// like a token, to the one path that takes it, and from few at once, because strangers can make up
/// things like tokens and memory is not theirs.
class ApiBodies {
 public:
  static constexpr std::size_t kMost = 8, kMostOfOneAddress = 2;

  ApiBodies(std::vector<Prefix> trusted_proxies, net::HttpLimits usual);
  /// On the server's thread. What it gives may die on any thread, and later than this.
  net::BodyAllowance allowance(const net::HttpRequest& head);

 private:
  struct Taken {
    std::mutex mutex;
    std::size_t all = 0;
    std::map<Prefix, std::size_t> by_address;
  };
  std::vector<Prefix> trusted_proxies_;
  net::HttpLimits usual_;
  std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
};

}  // namespace knock::server
