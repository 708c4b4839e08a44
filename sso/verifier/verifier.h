// SPDX-License-Identifier: Apache-2.0
// The part of knock that touches passwords, codes and tokens and speaks to OpenID providers. In
// `knock serve` it is a process of its own (run.h); the same class also works inside core, where
// there are no roles.
//
// Passwords have threads of their own, and so has each provider, so that a slow provider delays
// only its own people. Every queue is bounded: what does not fit is answered at once with NotProven
// "verifier.busy".
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "net/http_client.h"
#include "schemas/config/config.h"
#include "schemas/role/verifier.h"

namespace knock::sso {

/// One sign-in source with its secret in hand.
struct OidcSource {
  OidcSettings settings;
  std::optional<Secret> client_secret;
};

struct VerifierOptions {
  std::size_t password_threads = 2;  // each holds 64 MiB while it hashes
  std::size_t threads_per_provider = 4;
  std::size_t queue = 256;                    // per group of threads
  Duration patience = Duration::seconds(10);  // for a provider, waiting in the queue included
  /// Tests replace it. Called once per thread.
  std::function<std::unique_ptr<net::HttpClient>(const net::ConnectGuard&)> make_http =
      [](const net::ConnectGuard& guard) { return net::make_http_client(guard); };
};

class Verifier {
 public:
  using Answer = std::function<void(role::FromVerifier)>;

  /// Errors: invalid, naming the source whose settings cannot work. `clock` must outlive it.
  static Result<std::unique_ptr<Verifier>> make(std::vector<OidcSource> sources, const Clock& clock,
                                                VerifierOptions options = {});
  virtual ~Verifier() = default;

  /// Never blocks. `answer` is called exactly once, on a thread of ours or before this returns; it
  /// must not throw. CheckPassword is answered with PasswordChecked, MakeUrl with UrlMade,
  /// ExchangeCode with Proven, Ping at once with Pong, and each other with NotProven when it could not be done. Codes beyond
  /// those of OidcClient: verifier.source, verifier.busy, verifier.internal (this verifier must not
  /// be used any more). Any thread.
  virtual void handle(role::ToVerifier message, Answer answer) = 0;
};

}  // namespace knock::sso
