// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/spawn.h"

#include <algorithm>

#include "schemas/role/wire.h"

namespace knock::role {
namespace {

enum Kind : std::uint8_t { kSpawnApply = 1, kSpawnVerifier, kSpawnFront, kSpawned, kFrontStart };

tl::unexpected<Error> out_of_shape(std::string_view what) {
  return fail(ErrorKind::invalid, "a message about roles is out of shape: " + std::string(what));
}

/// Names of namespaces become paths: nothing that climbs or hides.
bool good_netns(const std::string& netns) {
  if (netns.size() > 200 || netns.find("..") != std::string::npos) return false;
  return std::all_of(netns.begin(), netns.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  });
}

/// Of one message, the body without its length.
std::string body_of(wire::Writer out) { return std::move(out).finish().substr(4); }

}  // namespace

std::string encode(const ToParent& message) {
  if (const auto* apply = std::get_if<SpawnApply>(&message)) {
    wire::Writer out(kSpawnApply);
    out.text(apply->netns);
    return body_of(std::move(out));
  }
  return body_of(
      wire::Writer(std::holds_alternative<SpawnFront>(message) ? kSpawnFront : kSpawnVerifier));
}

Result<ToParent> decode_to_parent(std::string_view body) {
  wire::Reader in(body);
  if (in.kind() == kSpawnVerifier && in.ok()) return SpawnVerifier{};
  if (in.kind() == kSpawnFront && in.ok()) return SpawnFront{};
  if (in.kind() != kSpawnApply) return out_of_shape("unknown kind");
  SpawnApply out{in.text(200)};
  if (!in.ok() || !good_netns(out.netns)) return out_of_shape("network namespace");
  return out;
}

std::string encode(const Spawned& message) {
  wire::Writer out(kSpawned);
  out.boolean(message.made);
  out.boolean(message.user_kept);
  out.text(message.why);
  return body_of(std::move(out));
}

Result<Spawned> decode_spawned(std::string_view body) {
  wire::Reader in(body);
  Spawned out;
  out.made = in.boolean();
  out.user_kept = in.boolean();
  out.why = in.text(2000);
  if (in.kind() != kSpawned || !in.ok()) return out_of_shape("answer");
  return out;
}

std::string encode(const FrontStart& start) {
  wire::Writer out(kFrontStart);
  out.text(start.public_url);
  out.boolean(start.secure);
  out.u32(std::uint32_t(start.trusted_proxies.size()));
  for (const Prefix& prefix : start.trusted_proxies) out.prefix(prefix);
  out.text(start.certificate_pem);
  out.text(start.key_pem);
  return body_of(std::move(out));
}

Result<FrontStart> decode_front_start(std::string_view body) {
  wire::Reader in(body);
  FrontStart out;
  out.public_url = in.text(2000);
  out.secure = in.boolean();
  for (auto left = in.count(10'000, 6); left > 0 && !in.bad(); --left)
    out.trusted_proxies.push_back(in.prefix());
  out.certificate_pem = in.text(1u << 20);
  out.key_pem = in.text(1u << 20);
  if (in.kind() != kFrontStart || !in.ok()) return out_of_shape("front's start");
  return out;
}

}  // namespace knock::role
