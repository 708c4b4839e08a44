// SPDX-License-Identifier: Apache-2.0
// Datagrams with a descriptor, over a Unix SOCK_SEQPACKET pair.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace knock::net {

struct Received {
  std::string body;  // "" = the other end is closed
  int descriptor = -1;
};

/// `descriptor` -1: none. It stays the caller's.
Status send_with_descriptor(int socket, std::string_view body, int descriptor);
/// Blocks. Bodies beyond 4 KiB are an error.
Result<Received> receive_with_descriptor(int socket);
/// A memory file with this content, sealed against change; readable through the descriptor from its
/// start.
Result<int> sealed_memory(const char* name, std::string_view content);
Result<std::string> read_descriptor(int descriptor);

}  // namespace knock::net
