// SPDX-License-Identifier: Apache-2.0
#include "server/admin/admin_api.h"

#include <fmt/format.h>

#include <exception>

#include "base/text.h"
#include "server/admin/call.h"
#include "server/admin/reply.h"

namespace knock {
namespace {

using net::HttpRequest;
using net::HttpResponse;

struct Route {
  std::string_view method, path;
  Result<HttpResponse> (AdminCall::*call)();
  unsigned scopes = 0;  // bits of KeyScope, one of which a token needs; none: not for tokens
};

constexpr unsigned any_of(std::initializer_list<KeyScope> scopes) {
  unsigned out = 0;
  for (KeyScope scope : scopes) out |= 1u << unsigned(scope);
  return out;
}
constexpr unsigned kPlans =
    any_of({KeyScope::plan_read, KeyScope::plan_people, KeyScope::audit_read});
constexpr unsigned kApply = any_of({KeyScope::apply}), kWrite = any_of({KeyScope::session_write});
constexpr unsigned kAudit = any_of({KeyScope::audit_read});

constexpr Route kRoutes[] = {
    {"GET", "/api/v1/status", &AdminCall::status, kPlans | kApply},
    {"GET", "/api/v1/sessions", &AdminCall::list_sessions, kWrite | kAudit},
    {"POST", "/api/v1/sessions", &AdminCall::grant, kWrite},
    {"POST", "/api/v1/sessions/revoke", &AdminCall::revoke, kWrite},
    {"POST", "/api/v1/plan", &AdminCall::plan, kPlans},
    {"POST", "/api/v1/apply", &AdminCall::apply, kApply},
    {"POST", "/api/v1/acknowledge", &AdminCall::acknowledge},
    {"POST", "/api/v1/confirm", &AdminCall::confirm},
    {"POST", "/api/v1/policy/look", &AdminCall::look},
    {"POST", "/api/v1/policy/advance", &AdminCall::advance},
    {"POST", "/api/v1/ownership/plan", &AdminCall::ownership_plan},
    {"POST", "/api/v1/ownership/change", &AdminCall::change_ownership},
    {"POST", "/api/v1/refresh", &AdminCall::refresh},
    {"GET", "/api/v1/targets/explain", &AdminCall::explain_target},
    {"POST", "/api/v1/targets/pause", &AdminCall::pause_target},
    {"POST", "/api/v1/targets/resume", &AdminCall::resume_target},
    {"GET", "/api/v1/why", &AdminCall::why, kAudit},
    {"GET", "/api/v1/who", &AdminCall::who, kAudit},
    {"GET", "/api/v1/records", &AdminCall::records, kAudit},
    {"GET", "/api/v1/keys", &AdminCall::keys},
    {"POST", "/api/v1/keys", &AdminCall::add_key},
    {"POST", "/api/v1/keys/rotate", &AdminCall::rotate_key},
    {"POST", "/api/v1/keys/revoke", &AdminCall::revoke_key},
    {"GET", "/api/v1/users", &AdminCall::users},
    {"POST", "/api/v1/users", &AdminCall::save_user},
    {"POST", "/api/v1/users/remove", &AdminCall::remove_user},
};

}  // namespace

AdminApi::AdminApi(Controller& controller, Metrics& metrics, std::size_t threads)
    : controller_(controller), metrics_(metrics), workers_(threads) {}

AdminApi::~AdminApi() = default;

void AdminApi::handle(HttpRequest request, net::Respond respond) {
  // Without a limit: who may open the socket may do everything.
  (void)workers_.take([this, request = std::move(request), respond = std::move(respond)] {
    respond(answer(request));
  });
}

std::vector<KeyScope> AdminApi::remote_scopes(std::string_view method, std::string_view path) {
  std::vector<KeyScope> out;
  for (const Route& route : kRoutes)
    if (route.path == path && route.method == method)
      for (unsigned bit = 0; bit < 32; ++bit)
        if ((route.scopes >> bit & 1u) != 0) out.push_back(KeyScope(bit));
  return out;
}

HttpResponse AdminApi::answer(const HttpRequest& request) {
  auto actor = request.peer_uid ? fmt::format("cli uid={}", *request.peer_uid) : "api";
  return answer(request, Caller{std::move(actor), std::nullopt});
}

HttpResponse AdminApi::answer(const HttpRequest& request, const Caller& caller) {
  if (request.path == "/metrics" && request.method == "GET")
    return reply(200, metrics_.text(controller_.status()), "text/plain; version=0.0.4");
  bool path_known = false;
  for (const Route& route : kRoutes) {
    if (route.path != request.path) continue;
    path_known = true;
    if (route.method != request.method) continue;
    auto arguments = Arguments::of(request);
    if (!arguments) return problem(arguments.error());
    AdminCall call(controller_, caller, std::move(*arguments));
    try {
      auto done = (call.*route.call)();
      return done ? std::move(*done) : problem(done.error());
    } catch (const std::exception& problem_within) {
      // Boost.JSON throws at stored text that is no JSON (an edited database), and memory may end:
      // neither may end core.
      return problem(ErrorKind::internal,
                     "this cannot be answered: " + printable(problem_within.what()));
    }
  }
  if (path_known) return problem(ErrorKind::unsupported, request.method + " is not possible here");
  return problem(ErrorKind::not_found, "there is nothing at " + printable(request.path));
}

}  // namespace knock
