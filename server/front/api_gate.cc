// SPDX-License-Identifier: Apache-2.0
#include "server/front/api_gate.h"

#include "net/forwarded.h"
#include "schemas/key/api_key.h"
#include "schemas/role/front.h"

namespace knock::server {
namespace {

constexpr std::string_view kApi = "/api/v1/", kPlan = "/api/v1/plan", kApply = "/api/v1/apply";
constexpr std::string_view kBearer = "Bearer ";
constexpr Duration kLongBodyTime = Duration::seconds(30);

/// Only our own codes and sentences come here.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::optional<std::string> bearer_token(const net::HttpRequest& request) {
  auto field = request.headers.one("authorization");
  if (!field || !field->starts_with(kBearer)) return std::nullopt;
  auto token = field->substr(kBearer.size());
  if (!hash_of_token(token)) return std::nullopt;
  return std::string(token);
}

bool is_api_path(std::string_view path) { return path.starts_with(kApi); }

net::HttpResponse api_problem(int status, std::string_view code, std::string_view detail) {
  net::HttpResponse out;
  out.status = status;
  out.headers.set("Content-Type", "application/problem+json");
  if (status == 401) out.headers.set("WWW-Authenticate", "Bearer realm=\"knock\"");
  out.body = "{\"type\":\"about:blank\",\"status\":" + std::to_string(status) +
             ",\"code\":" + quoted(code) + ",\"detail\":" + quoted(detail) + "}\n";
  return out;
}

ApiBodies::ApiBodies(std::vector<Prefix> trusted_proxies, net::HttpLimits usual)
    : trusted_proxies_(std::move(trusted_proxies)), usual_(std::move(usual)) {}

net::BodyAllowance ApiBodies::allowance(const net::HttpRequest& head) {
  net::BodyAllowance out{usual_.body_bytes, usual_.body_time, 413, nullptr};
  bool takes_files = head.path == kPlan || head.path == kApply;
  if (!takes_files || head.method != "POST" || !bearer_token(head)) return out;
  auto address =
      net::client_address(head.peer, head.headers.all("x-forwarded-for"), trusted_proxies_);
  if (!address) return out;
  auto who = Prefix::of(*address, address->family() == Family::v4 ? 32 : 64);
  out.otherwise = 503;  // a longer one now; the same may fit later
  std::lock_guard lock(taken_->mutex);
  if (taken_->all >= kMost || taken_->by_address[who] >= kMostOfOneAddress) {
    if (taken_->by_address[who] == 0) taken_->by_address.erase(who);
    return out;
  }
  ++taken_->all;
  ++taken_->by_address[who];
  out.hold = std::shared_ptr<void>(nullptr, [taken = taken_, who](void*) {
    std::lock_guard inner(taken->mutex);
    --taken->all;
    if (--taken->by_address[who] == 0) taken->by_address.erase(who);
  });
  return {role::kLongestApiBody, kLongBodyTime, 413, std::move(out.hold)};
}

}  // namespace knock::server
