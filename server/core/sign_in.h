// SPDX-License-Identifier: Apache-2.0
// Core's side of signing in: what front says a browser said becomes a session, or one audit line
// with a reason code.
//
// State, nonce and the PKCE verifier are made here, used once, bound to source, browser and ten
// minutes. Nothing is kept of a sign-in that has begun: all of it is derived from a key of this
// process and a salt in the state, so that strangers who begin millions push out nobody's. Only
// states that came back are remembered, until their time is over; how many one address and one
// network may begin is limited so far below that table's size that no few of them can fill it. A cookie is 256 random bits that only the browser keeps: the
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
#include "server/core/session_ends.h"
#include "server/core/verifier_channel.h"

namespace knock {

/// One host somewhere: not the unspecified address, "this network", multicast, or beyond (class E,
/// broadcast).
bool can_be_a_person(const IpAddress& address);

class SignIn {
 public:
  SignIn(const Config& config, std::string public_url, FactStore& store, Reconciler& reconciler,
         SessionEnds& ends, VerifierChannel& verifier, const Clock& clock, Random& random,
         std::function<std::string()> not_ready);

  using Answer = std::function<void(role::ToFront)>;
  /// Any thread; `answer` is called exactly once, from any thread; for a Pong and an ApiCall never.
  void handle(const role::FromFront& message, Answer answer);

  static SessionId id_of_cookie(std::string_view cookie);
  static std::string form_of_cookie(std::string_view cookie);

 private:
  /// One OpenID sign-in under way.
  struct Begun {
    const OidcSettings* source = nullptr;
    std::string nonce, pkce_verifier;
    bool this_browser = false;
  };

  void handle_one(const role::AskSignIns& ask, Answer answer);
  void handle_one(const role::StartOidc& start, Answer answer);
  void handle_one(const role::FinishOidc& finish, Answer answer);
  void handle_one(const role::SignInLocal& sign_in, Answer answer);
  void handle_one(const role::AskMe& ask, Answer answer);
  void handle_one(const role::SignOut& sign_out, Answer answer);
  void handle_one(const role::AskReady& ask, Answer answer);
  void handle_one(const role::Pong&, const Answer&) {}     // the link's own
  void handle_one(const role::ApiCall&, const Answer&) {}  // the API's

  void open(std::uint64_t request, Session session, const Answer& answer);
  bool password_may_be_tried(const IpAddress& address);
  void refuse(std::uint64_t request, const SignInName& source, std::string code,
              const std::string& claimed, const std::string& address, const Answer& answer,
              const std::string& why = "");
  bool may_record();
  bool too_many(RateLimit& limit, const IpAddress& address);
  std::string derived(std::string_view what, std::string_view from) const;
  std::string make_state(std::size_t source, std::string_view browser) const;
  Begun begun(std::size_t source, std::string_view salt) const;
  /// Nothing: not one of ours, too late, or used already. Counts as used from now on.
  std::optional<Begun> take(std::string_view state, std::string_view browser);
  const OidcSettings* oidc(const SignInName& name) const;

  const Config& config_;
  const std::string public_url_;
  FactStore& store_;
  Reconciler& reconciler_;
  SessionEnds& ends_;
  VerifierChannel& verifier_;
  const Clock& clock_;
  Random& random_;
  std::function<std::string()> not_ready_;

  const std::string key_;  // of states; dies with the process

  std::mutex mutex_;
  std::map<std::string, MonotonicTime, std::less<>> used_;  // salts of states that came back
  MonotonicTime tidied_{};
  RateLimit by_address_, by_network_, proofs_by_address_;
  RateLimit starts_by_address_, starts_by_network_;
  RateLimit passwords_;  // of everybody together
  RateLimit records_;
  std::size_t passwords_under_way_ = 0;
  std::uint64_t unrecorded_ = 0;
};

}  // namespace knock
