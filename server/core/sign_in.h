// SPDX-License-Identifier: Apache-2.0
// Core's side of signing in: what front says a browser said becomes a session, or one audit line
// with a reason code.
//
// State, nonce and the PKCE verifier are made here, used once, bound to the browser's token and
// forgotten after ten minutes. A cookie is 256 random bits that only the browser keeps: the
// session's id is a hash of it, so a store that leaks opens no portal, and a cookie works across
// restarts without being stored.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "base/random.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/loop/reconciler.h"
#include "schemas/config/config.h"
#include "schemas/role/front.h"
#include "server/core/rate_limit.h"
#include "server/core/verifier_channel.h"

namespace knock {

class SignIn {
 public:
  SignIn(const Config& config, std::string public_url, FactStore& store, Reconciler& reconciler,
         VerifierChannel& verifier, const Clock& clock, Random& random,
         std::function<std::string()> not_ready);

  using Answer = std::function<void(role::ToFront)>;
  /// Any thread; `answer` is called exactly once, from any thread.
  void handle(const role::FromFront& message, Answer answer);

  static SessionId id_of_cookie(std::string_view cookie);
  static std::string form_of_cookie(std::string_view cookie);

 private:
  struct Pending {
    SignInName source;
    std::string nonce, pkce_verifier;
    Digest browser;
    MonotonicTime until;
  };
  struct Proof {
    Session session;
    std::uint64_t request;
  };

  void handle_one(const role::AskSignIns& ask, Answer answer);
  void handle_one(const role::StartOidc& start, Answer answer);
  void handle_one(const role::FinishOidc& finish, Answer answer);
  void handle_one(const role::SignInLocal& sign_in, Answer answer);
  void handle_one(const role::AskMe& ask, Answer answer);
  void handle_one(const role::SignOut& sign_out, Answer answer);
  void handle_one(const role::AskReady& ask, Answer answer);

  void open(std::uint64_t request, Session session, const Answer& answer);
  void refuse(std::uint64_t request, const SignInName& source, std::string code,
              const std::string& claimed, const std::string& address, const Answer& answer,
              const std::string& why = "");
  bool may_record();
  bool too_many(const IpAddress& address);
  std::optional<Pending> take(const std::string& state);
  const OidcSettings* oidc(const SignInName& name) const;

  const Config& config_;
  const std::string public_url_;
  FactStore& store_;
  Reconciler& reconciler_;
  VerifierChannel& verifier_;
  const Clock& clock_;
  Random& random_;
  std::function<std::string()> not_ready_;

  std::mutex mutex_;
  std::map<std::string, Pending> pending_;
  RateLimit by_address_;
  RateLimit records_;
  std::uint64_t unrecorded_ = 0;
};

}  // namespace knock
