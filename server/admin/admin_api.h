// SPDX-License-Identifier: Apache-2.0
// The controller's own API, as the command line uses it over the admin socket: HTTP/1.1 and JSON
// below /api/v1. Every answer is an object; errors are RFC 9457 problem documents whose `kind` is
// an ErrorKind. Paths: docs/api.md.
//
// Who may call is the listener's matter (socket mode and SO_PEERCRED); the actor of a record is
// "cli uid=N", or "key NAME" of a token (remote_api.h).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "net/http_server.h"
#include "server/admin/metrics.h"
#include "server/admin/workers.h"
#include "server/core/controller.h"

namespace knock {

/// Who asks, and what they may.
struct Caller {
  Actor actor;
  std::optional<KeyHolder> key;  // absent: the admin socket, which may do everything
};

class AdminApi {
 public:
  /// Answers on threads of its own: store and targets may block.
  AdminApi(Controller& controller, Metrics& metrics, std::size_t threads = 4);
  ~AdminApi();
  void handle(net::HttpRequest request, net::Respond respond);

  /// The answer, computed on the calling thread.
  net::HttpResponse answer(const net::HttpRequest& request);
  /// A token's scopes were held against remote_scopes() before.
  net::HttpResponse answer(const net::HttpRequest& request, const Caller& caller);
  /// One of these is needed to ask for this with a token; none: it is not offered to tokens.
  static std::vector<KeyScope> remote_scopes(std::string_view method, std::string_view path);

 private:
  Controller& controller_;
  Metrics& metrics_;
  Workers workers_;  // last
};

}  // namespace knock
