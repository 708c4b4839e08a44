// SPDX-License-Identifier: Apache-2.0
// Bytes in and out of one accepted socket, plain or TLS, without blocking and without Asio: the
// connection waits for readiness itself. TLS goes through OpenSSL on the descriptor directly,
// because asio::ssl::stream keeps 76 KB for each idle connection where this keeps 16. One thread at
// a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace knock::net {

enum class Io {
  done,        // `bytes` were moved
  want_read,   // try again when the socket is readable
  want_write,  // try again when it is writable
  closed,      // the other side ended it, or it broke
};

struct Moved {
  Io state = Io::closed;
  std::size_t bytes = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;
  virtual Moved read(std::span<char> into) = 0;
  virtual Moved write(std::string_view from) = 0;
  /// Says that nothing more will be written; reading goes on.
  virtual void finish() = 0;
};

/// The descriptor stays the caller's.
std::unique_ptr<Stream> make_plain_stream(int fd);

/// Certificate, key and settings shared by all connections of one listener: TLS 1.2 and 1.3,
/// forward secrecy and AEAD only, no renegotiation, no compression, stateless tickets.
class TlsSettings {
 public:
  /// PEM texts. Errors (invalid) say which of the two is wrong and why; the key is never shown.
  static Result<std::unique_ptr<TlsSettings>> make(std::string_view certificate_pem,
                                                   std::string_view key_pem);
  virtual ~TlsSettings() = default;
  /// The server's side of a connection; the handshake happens inside the first reads. Null when out
  /// of memory.
  virtual std::unique_ptr<Stream> accept(int fd) = 0;
};

}  // namespace knock::net
