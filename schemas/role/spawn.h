// SPDX-License-Identifier: Apache-2.0
// What core may ask of the parent process, which alone can make other roles: an `apply` for a
// network namespace, or a fresh verifier. One datagram each way over a SOCK_SEQPACKET pair; the
// answer carries the new role's socket.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/prefix.h"
#include "base/result.h"

namespace knock::role {

struct SpawnApply {
  std::string netns;
};  // "", a name, or an absolute path
struct SpawnVerifier {};
struct SpawnFront {};
using ToParent = std::variant<SpawnApply, SpawnVerifier, SpawnFront>;

struct Spawned {
  bool made = false;       // then a descriptor comes with it
  bool user_kept = false;  // could not become another user
  std::string why;         // not made
};

std::string encode(const ToParent& message);
std::string encode(const Spawned& message);
Result<ToParent> decode_to_parent(std::string_view body);
Result<Spawned> decode_spawned(std::string_view body);

/// What front needs to know, and its one secret. Given by the parent through a sealed memory file,
/// never by argv.
struct FrontStart {
  std::string public_url;
  bool secure = true;
  std::vector<Prefix> trusted_proxies;
  std::string certificate_pem, key_pem;
};
std::string encode(const FrontStart& start);
Result<FrontStart> decode_front_start(std::string_view body);

}  // namespace knock::role
