// SPDX-License-Identifier: Apache-2.0
// The portal's HTTP surface: what browsers say, checked and handed to core; what core answers, as
// pages. Holds no secret and decides nothing but who may not be asked about: cross-site requests,
// malformed ones, unknown addresses.
//
//   GET, POST /api/v1/…    machines with a token: handed to core as it is, answered in JSON
//   GET  /                 signed in: what is open; else: ways to sign in         GET /me        →
//   / POST /auth/local       user, password, form                                   GET /health
//   alive GET  /auth/start/NAME?form=…   to the OpenID provider                         GET /ready
//   core's word POST /auth/start/NAME  form; the same                                         GET
//   /assets/…  CSS, script, logo GET  /auth/callback    from the OpenID provider POST
//   /auth/sign-out    form
//
// Sign-in at a provider starts from a link and not from a form, because browsers apply CSP's
// form-action to what a form redirects to, and front does not know the providers' addresses. The
// link carries the token a form would.
//
// Cookies: __Host-knock (session), __Host-knock-signin (random, binds a sign-in to this browser).
// Both are HttpOnly, Secure and SameSite=Lax; without TLS they are knock and knock-signin, not
// Secure.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/prefix.h"
#include "base/random.h"
#include "net/http_server.h"
#include "server/front/core_channel.h"

namespace knock::server {

struct FrontSettings {
  std::string public_url;  // what people type; POSTs must come from its origin. Malformed: every
                           // POST is refused
  bool secure = true;  // people reach it by TLS: Secure cookies with the __Host- prefix, and HSTS
  std::vector<Prefix> trusted_proxies;
};

/// Any thread. Must outlive every answer that core still owes.
class Front {
 public:
  Front(CoreChannel& core, Random& random, FrontSettings settings);
  void handle(net::HttpRequest request, net::Respond respond);

 private:
  struct Turn;  // one request on its way
  using TurnPtr = std::shared_ptr<Turn>;
  struct Route;

  void home(const TurnPtr& turn);
  void to_home(const TurnPtr& turn);
  void sign_in_local(const TurnPtr& turn);
  void start_oidc(const TurnPtr& turn);
  void finish_oidc(const TurnPtr& turn);
  void sign_out(const TurnPtr& turn);
  void health(const TurnPtr& turn);
  void ready(const TurnPtr& turn);
  void serve_asset(const TurnPtr& turn);
  void api(const TurnPtr& turn);

  void show_sign_in(const TurnPtr& turn, int status, std::string user, std::string problem);
  void signed_in(const TurnPtr& turn, const std::string& cookie, Instant expires);
  /// False when the request was answered with a refusal.
  bool from_our_page(const TurnPtr& turn);
  bool holds_form_token(const TurnPtr& turn, std::string_view form);
  bool address_known(const TurnPtr& turn);

  static const std::vector<Route>& routes();
  std::string session_cookie() const;
  std::string browser_cookie() const;
  void set_cookie(Turn& turn, const std::string& name, std::string_view value,
                  std::string_view more = "") const;
  void clear_cookie(Turn& turn, const std::string& name) const;

  CoreChannel& core_;
  Random& random_;
  FrontSettings settings_;
  std::string origin_;
};

}  // namespace knock::server
