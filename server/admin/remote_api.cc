// SPDX-License-Identifier: Apache-2.0
#include "server/admin/remote_api.h"

#include <boost/json.hpp>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::uint64_t kRetryBusy = 5, kRetryLimited = 60;

role::ApiAnswer problem(std::uint64_t request, int status, std::string_view code,
                        std::string_view detail, std::uint64_t retry_after = 0) {
  boost::json::object out{
      {"type", "about:blank"}, {"status", status}, {"code", code}, {"detail", detail}};
  if (status == 401 || status == 403) out["kind"] = "unauthorized";
  if (status == 404) out["kind"] = "not_found";
  if (status == 413) out["kind"] = "invalid";
  if (status == 429) out["kind"] = "rate_limited";
  if (status == 503) out["kind"] = "unavailable";
  return {request, std::uint64_t(status), "application/problem+json", retry_after,
          boost::json::serialize(out) + "\n"};
}

role::ApiAnswer refused(std::uint64_t request, const KeyRefusal& no) {
  if (no.code == "too-many") return problem(request, 429, no.code, no.sentence, kRetryLimited);
  bool known_but_not_here = no.code == "key.network" || no.code == "key.scope";
  return problem(request, known_but_not_here ? 403 : 401, no.code, no.sentence);
}

}  // namespace

RemoteApi::RemoteApi(AdminApi& api, KeyRing& keys, std::size_t threads)
    : api_(api), keys_(keys), workers_(threads, kMostWaiting) {}

RemoteApi::~RemoteApi() = default;

void RemoteApi::handle(role::ApiCall call, Answer answer) {
  auto request = call.request;
  auto needed = AdminApi::remote_scopes(call.method, call.path);
  static const std::vector<KeyScope> kAny{KeyScope::plan_read, KeyScope::plan_people,
                                          KeyScope::apply, KeyScope::session_write,
                                          KeyScope::audit_read};
  auto checked = keys_.check(call.token, call.address, needed.empty() ? kAny : needed);
  if (auto* no = std::get_if<KeyRefusal>(&checked)) return answer(refused(request, *no));
  if (needed.empty())
    return answer(problem(request, 404, "http.not-found",
                          "There is nothing here for a token; docs/api.md lists what there is. "
                          "Keys and accounts are changed on the controller's own machine."));
  call.token.clear();
  bool taken = workers_.take([this, call = std::move(call), answer,
                              holder = std::get<KeyHolder>(std::move(checked))]() mutable {
    answer(compute(std::move(call), std::move(holder)));
  });
  if (!taken)
    answer(problem(request, 503, "busy", "The controller is busy; try again.", kRetryBusy));
}

role::ApiAnswer RemoteApi::compute(role::ApiCall call, KeyHolder holder) {
  net::HttpRequest request;
  request.method = std::move(call.method);
  request.path = std::move(call.path);
  request.query = std::move(call.query);
  request.body = std::move(call.body);
  auto actor = "key " + holder.key;
  auto done = api_.answer(request, Caller{std::move(actor), std::move(holder)});
  if (done.body.size() > role::kLongestApiAnswer)
    return problem(call.request, 413, "answer.too-large",
                   "The answer is larger than 15 MiB; ask for fewer targets (--target), or for "
                   "another form (--format markdown).");
  auto type = done.headers.one("content-type").value_or("application/json");
  return {call.request, std::uint64_t(done.status), std::string(type), 0, std::move(done.body)};
}

}  // namespace knock
