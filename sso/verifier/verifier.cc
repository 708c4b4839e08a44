// SPDX-License-Identifier: Apache-2.0
#include "sso/verifier/verifier.h"

#include <map>
#include <string>
#include <type_traits>

#include "base/text.h"
#include "sso/oidc/client.h"
#include "sso/password.h"
#include "sso/verifier/pool.h"

namespace knock::sso {
namespace {

constexpr std::size_t kLongestUrl = 8192;  // what core's decoder takes

struct Provider {
  std::unique_ptr<OidcClient> client;
  std::unique_ptr<Pool> pool;
};

role::NotProven not_proven(std::uint64_t request, Refusal refusal) {
  return {request, std::move(refusal.code), std::move(refusal.why)};
}

role::FromVerifier check(const role::CheckPassword& ask) {
  return role::PasswordChecked{ask.request, check_password(ask.hash, Secret(ask.password))};
}

role::FromVerifier make_url(OidcClient& client, net::HttpClient& http, const role::MakeUrl& ask,
                            Deadline deadline) {
  auto url = client.authorization_url(http, ask.redirect_uri, ask.state, ask.nonce, ask.challenge,
                                      ask.max_age, deadline);
  if (!url) return not_proven(ask.request, std::move(url.error()));
  if (url->size() > kLongestUrl)
    return not_proven(ask.request,
                      {"discovery.endpoint", "the provider's address for signing in is too long"});
  return role::UrlMade{ask.request, std::move(*url)};
}

role::FromVerifier exchange(OidcClient& client, net::HttpClient& http,
                            const role::ExchangeCode& ask, Deadline deadline) {
  CodeExchange code{ask.redirect_uri, ask.code,   ask.pkce_verifier,
                    ask.nonce,        ask.issuer, ask.claims};
  auto who = client.exchange(http, code, ask.now, deadline);
  if (!who) return not_proven(ask.request, std::move(who.error()));
  return role::Proven{ask.request,
                      std::move(who->issuer),
                      std::move(who->subject),
                      std::move(who->name),
                      std::move(who->groups),
                      who->authenticated,
                      std::move(who->claims),
                      std::move(who->acr),
                      who->mfa_at};
}

/// `work` with its answer, whatever it throws: an exception here is out of memory or a fault of
/// ours.
void answer_with(std::uint64_t request, const Verifier::Answer& answer,
                 const std::function<role::FromVerifier()>& work) {
  role::FromVerifier out;
  try {
    out = work();
  } catch (...) {
    out = role::NotProven{request, "verifier.internal",
                          "the verifier failed within itself; it is being replaced"};
  }
  answer(std::move(out));
}

class Threads final : public Verifier {
 public:
  explicit Threads(VerifierOptions options)
      : options_(std::move(options)),
        passwords_(options_.password_threads, options_.queue, [] { return nullptr; }) {}

  Status add(OidcSource source, const Clock& clock) {
    net::ConnectGuard guard{source.settings.allow_networks};
    auto name = source.settings.name;
    auto client =
        OidcClient::make(std::move(source.settings), std::move(source.client_secret), clock);
    if (!client) return fail(ErrorKind::invalid, client.error().why);
    auto pool = std::make_unique<Pool>(options_.threads_per_provider, options_.queue,
                                       [&] { return options_.make_http(guard); });
    if (!providers_.emplace(name, Provider{std::move(*client), std::move(pool)}).second)
      return fail(ErrorKind::invalid,
                  "two sign-ins are named " + printable(name.value) + ": rename one");
    return {};
  }

  void handle(role::ToVerifier message, Answer answer) override {
    std::visit([&](auto&& ask) { start(std::forward<decltype(ask)>(ask), answer); },
               std::move(message));
  }

 private:
  void start(role::CheckPassword ask, const Answer& answer) {
    queue(passwords_, ask.request, answer,
          [ask = std::move(ask)](net::HttpClient*) { return check(ask); });
  }
  void start(role::Ping ask, const Answer& answer) { answer(role::Pong{ask.request}); }
  void start(role::MakeUrl ask, const Answer& answer) {
    at_provider(std::move(ask), answer, &make_url);
  }
  void start(role::ExchangeCode ask, const Answer& answer) {
    at_provider(std::move(ask), answer, &exchange);
  }

  template <class Ask, class Work>
  void at_provider(Ask ask, const Answer& answer, Work work) {
    auto at = providers_.find(ask.source);
    if (at == providers_.end())
      return answer(
          role::NotProven{ask.request, "verifier.source", "there is no sign-in of that name"});
    auto* client = at->second.client.get();
    auto deadline = Deadline::in(options_.patience);
    queue(*at->second.pool, ask.request, answer, [=, ask = std::move(ask)](net::HttpClient* http) {
      if (deadline.passed())
        return role::FromVerifier(role::NotProven{
            ask.request, "provider.unreachable", "too many sign-ins at this provider are waiting"});
      return work(*client, *http, ask, deadline);
    });
  }

  void queue(Pool& pool, std::uint64_t request, const Answer& answer,
             std::function<role::FromVerifier(net::HttpClient*)> work) {
    bool taken = pool.add(
        [=](net::HttpClient* http) { answer_with(request, answer, [&] { return work(http); }); });
    if (!taken)
      answer(role::NotProven{request, "verifier.busy",
                             "too many sign-ins are waiting: try again in a moment"});
  }

  const VerifierOptions options_;
  Pool passwords_;
  std::map<SignInName, Provider> providers_;
};

}  // namespace

Result<std::unique_ptr<Verifier>> Verifier::make(std::vector<OidcSource> sources,
                                                 const Clock& clock, VerifierOptions options) {
  auto out = std::make_unique<Threads>(std::move(options));
  for (auto& source : sources) KNOCK_CHECK(out->add(std::move(source), clock));
  return out;
}

}  // namespace knock::sso
