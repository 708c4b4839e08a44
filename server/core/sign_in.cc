// SPDX-License-Identifier: Apache-2.0
#include "server/core/sign_in.h"

#include <algorithm>

#include "base/log.h"
#include "base/secret.h"

namespace knock {
namespace {

constexpr std::size_t kMostPending = 10'000;
constexpr Duration kPendingLife = Duration::minutes(10);
const SignInName kLocal{"local"};

/// What a person is told. The code is for the log and for whoever helps.
std::string sentence_for(std::string_view code) {
  if (code == "local.wrong") return "That name and password do not match.";
  if (code == "too-many") return "Too many attempts from this address. Please wait a minute.";
  if (code == "state.unknown" || code == "state.other-browser")
    return "This sign-in was not started here, or took too long. Please start again.";
  if (code == "store") return "Signing in is not possible at the moment; nothing was opened.";
  if (code == "source.unknown") return "There is no such way to sign in.";
  if (code.starts_with("provider."))
    return "The sign-in provider refused, or could not be reached.";
  return "The proof of identity was not accepted.";
}

}  // namespace

SignIn::SignIn(const Config& config, std::string public_url, FactStore& store,
               Reconciler& reconciler, VerifierChannel& verifier, const Clock& clock,
               Random& random, std::function<std::string()> not_ready)
    : config_(config),
      public_url_(std::move(public_url)),
      store_(store),
      reconciler_(reconciler),
      verifier_(verifier),
      clock_(clock),
      random_(random),
      not_ready_(std::move(not_ready)),
      by_address_(10, 0.2, 100'000),
      records_(1000, 20, 1) {}

SessionId SignIn::id_of_cookie(std::string_view cookie) {
  auto digest = sha256("knock session\n" + std::string(cookie));
  return SessionId(base64url(as_bytes(digest).substr(0, 16)));
}

std::string SignIn::form_of_cookie(std::string_view cookie) {
  return base64url(as_bytes(hmac_sha256(cookie, "knock form")));
}

void SignIn::handle(const role::FromFront& message, Answer answer) {
  std::visit([&](const auto& one) { handle_one(one, std::move(answer)); }, message);
}

const OidcSettings* SignIn::oidc(const SignInName& name) const {
  for (const OidcSettings& settings : config_.oidc)
    if (settings.name == name) return &settings;
  return nullptr;
}

bool SignIn::too_many(const IpAddress& address) {
  std::lock_guard lock(mutex_);
  return !by_address_.take(address, clock_.monotonic());
}

/// A flood of refusals must not fill the disk: beyond a budget they are counted, and the count is
/// logged.
bool SignIn::may_record() {
  std::uint64_t skipped = 0;
  {
    std::lock_guard lock(mutex_);
    if (!records_.take(IpAddress(), clock_.monotonic())) {
      ++unrecorded_;
      return false;
    }
    skipped = std::exchange(unrecorded_, 0);
  }
  if (skipped > 0)
    log(LogLevel::warning, "sign-in.unrecorded",
        "Sign-ins were refused faster than they are recorded.",
        {{"count", std::to_string(skipped)}});
  return true;
}

void SignIn::refuse(std::uint64_t request, const SignInName& source, std::string code,
                    const std::string& claimed, const std::string& address, const Answer& answer,
                    const std::string& why) {
  if (may_record()) {
    std::vector<Fact> facts{SignInRefused{source, code, claimed, address}};
    (void)store_.append("front", clock_.now(), facts);
    log(LogLevel::info, "sign-in.refused", "A sign-in was refused.",
        {{"source", source.value}, {"code", code}, {"why", why}});
  }
  auto sentence = sentence_for(code);
  answer(role::Refused{request, std::move(code), std::move(sentence)});
}

void SignIn::open(std::uint64_t request, Session session, const Answer& answer) {
  std::string cookie = random_.token(32);
  session.id = id_of_cookie(cookie);
  auto address = session.address.to_string();
  auto who = session.principal.key();
  auto source = session.source;
  auto opened = reconciler_.open_session("front", std::move(session));
  if (!opened) return refuse(request, source, "store", who, address, answer);
  answer(role::SignedIn{request, std::move(cookie), opened->expires});
}

// ---- messages ----

void SignIn::handle_one(const role::AskSignIns& ask, Answer answer) {
  role::SignIns out{ask.request, {}};
  for (const OidcSettings& settings : config_.oidc)
    out.choices.push_back(
        {settings.name, settings.title.empty() ? settings.name.value : settings.title, false});
  if (config_.local.enabled) out.choices.push_back({kLocal, "Local account", true});
  answer(std::move(out));
}

void SignIn::handle_one(const role::SignInLocal& sign_in, Answer answer) {
  auto address = sign_in.address.to_string();
  if (!config_.local.enabled)
    return refuse(sign_in.request, kLocal, "source.unknown", sign_in.user, address, answer);
  if (too_many(sign_in.address))
    return refuse(sign_in.request, kLocal, "too-many", sign_in.user, address, answer);
  auto account = store_.account(sign_in.user);
  if (!account) return refuse(sign_in.request, kLocal, "store", sign_in.user, address, answer);
  bool usable = account->has_value() && !(*account)->disabled;
  role::CheckPassword check;
  check.hash = usable ? std::string((*account)->password_hash.reveal()) : "";
  check.password = sign_in.password;
  Account known = usable ? **account : Account{};
  verifier_.ask(std::move(check), [=, this, request = sign_in.request, from = sign_in.address,
                                   user = sign_in.user](Result<role::FromVerifier> result) {
    if (!result) return refuse(request, kLocal, "provider.verifier", user, address, answer);
    auto* checked = std::get_if<role::PasswordChecked>(&*result);
    if (checked == nullptr || !checked->good || !usable)
      return refuse(request, kLocal, "local.wrong", user, address, answer);
    Session session;
    session.principal = {"local", known.user, known.name.empty() ? known.user : known.name};
    session.source = kLocal;
    session.proof = knock::Proof::local;
    session.groups = known.groups;
    session.address = from;
    session.authenticated = clock_.now();
    session.expires = session.authenticated + config_.local.max_session;
    open(request, std::move(session), answer);
  });
}

void SignIn::handle_one(const role::StartOidc& start, Answer answer) {
  if (oidc(start.source) == nullptr || start.browser.size() < 32)
    return refuse(start.request, start.source, "source.unknown", "", "", answer);
  Pending pending{start.source, random_.token(32), random_.token(32), sha256(start.browser),
                  clock_.monotonic() + kPendingLife.chrono()};
  role::MakeUrl ask;
  ask.source = start.source;
  ask.redirect_uri = public_url_ + "/auth/callback";
  ask.state = random_.token(32);
  ask.nonce = pending.nonce;
  ask.challenge = base64url(as_bytes(sha256(pending.pkce_verifier)));
  {
    std::lock_guard lock(mutex_);
    auto now = clock_.monotonic();
    if (pending_.size() >= kMostPending)
      std::erase_if(pending_, [&](const auto& pair) { return pair.second.until <= now; });
    if (pending_.size() >= kMostPending) pending_.erase(pending_.begin());
    pending_.emplace(ask.state, std::move(pending));
  }
  verifier_.ask(std::move(ask), [=, this, request = start.request,
                                 source = start.source](Result<role::FromVerifier> result) {
    if (!result) return refuse(request, source, "provider.verifier", "", "", answer);
    if (auto* url = std::get_if<role::UrlMade>(&*result))
      return answer(role::GoTo{request, std::move(url->url)});
    auto* refused = std::get_if<role::NotProven>(&*result);
    refuse(request, source, refused != nullptr ? refused->code : "provider.verifier", "", "",
           answer, refused != nullptr ? refused->why : "");
  });
}

std::optional<SignIn::Pending> SignIn::take(const std::string& state) {
  std::lock_guard lock(mutex_);
  auto at = pending_.find(state);
  if (at == pending_.end()) return std::nullopt;
  Pending pending = std::move(at->second);
  pending_.erase(at);  // single use, whatever comes of it
  if (pending.until <= clock_.monotonic()) return std::nullopt;
  return pending;
}

void SignIn::handle_one(const role::FinishOidc& finish, Answer answer) {
  auto address = finish.address.to_string();
  auto pending = take(finish.state);
  if (!pending) return refuse(finish.request, SignInName(""), "state.unknown", "", address, answer);
  auto browser = sha256(finish.browser);
  if (!Secret(std::string(as_bytes(pending->browser))).equals(as_bytes(browser)))
    return refuse(finish.request, pending->source, "state.other-browser", "", address, answer);
  if (!finish.error.empty() || finish.code.empty())
    return refuse(finish.request, pending->source, "provider.error", "", address, answer);
  role::ExchangeCode ask;
  ask.source = pending->source;
  ask.redirect_uri = public_url_ + "/auth/callback";
  ask.code = finish.code;
  ask.pkce_verifier = pending->pkce_verifier;
  ask.nonce = pending->nonce;
  ask.issuer = finish.issuer;
  ask.now = clock_.now();
  verifier_.ask(std::move(ask), [=, this, request = finish.request, from = finish.address,
                                 source = pending->source](Result<role::FromVerifier> result) {
    if (!result) return refuse(request, source, "provider.verifier", "", address, answer);
    auto* proven = std::get_if<role::Proven>(&*result);
    if (proven == nullptr) {
      auto* refused = std::get_if<role::NotProven>(&*result);
      return refuse(request, source, refused != nullptr ? refused->code : "provider.verifier", "",
                    address, answer, refused != nullptr ? refused->why : "");
    }
    Session session;
    session.principal = {proven->issuer, proven->subject,
                         proven->name.empty() ? proven->subject : proven->name};
    session.source = source;
    session.proof = knock::Proof::oidc;
    session.groups = proven->groups;
    session.address = from;
    session.authenticated = proven->authenticated;
    session.expires = clock_.now() + oidc(source)->max_session;
    open(request, std::move(session), answer);
  });
}

void SignIn::handle_one(const role::AskMe& ask, Answer answer) {
  auto session = reconciler_.live_session(id_of_cookie(ask.cookie));
  if (!session) return answer(role::Refused{ask.request, "session.none", "You are not signed in."});
  role::Me me;
  me.request = ask.request;
  me.name = session->principal.name;
  me.address = session->address;
  me.expires = session->expires;
  me.now = clock_.now();
  me.form = form_of_cookie(ask.cookie);
  auto policy = reconciler_.policy();
  for (const SessionOnTarget& row : reconciler_.where(*session)) {
    if (me.services.empty() || me.services.back().service != row.service) {
      role::MyService service;
      service.service = row.service;
      if (const Service* known = policy ? policy->service(row.service) : nullptr)
        service.ports = known->ports;
      service.allowed = true;
      service.until = row.until;
      me.services.push_back(std::move(service));
    }
    role::MyService& service = me.services.back();
    ++service.targets;
    service.until = std::max(service.until, row.until);
    if (row.open)
      ++service.open;
    else if (!row.problem.empty())
      service.problem = row.target.value + " cannot be reached at the moment";
  }
  answer(std::move(me));
}

void SignIn::handle_one(const role::SignOut& sign_out, Answer answer) {
  if (!Secret(form_of_cookie(sign_out.cookie)).equals(sign_out.form))
    return answer(role::Refused{sign_out.request, "form", "That form was not ours."});
  auto ended =
      reconciler_.end_session("front", id_of_cookie(sign_out.cookie), EndCause::signed_out, "");
  if (!ended && ended.error().kind != ErrorKind::not_found)
    log(LogLevel::error, "sign-out.unrecorded",
        "A sign-out closed its entries but could not be recorded.",
        {{"problem", ended.error().text()}});
  answer(role::Ok{sign_out.request});
}

void SignIn::handle_one(const role::AskReady& ask, Answer answer) {
  auto why = not_ready_();
  answer(role::Ready{ask.request, why.empty(), std::move(why)});
}

}  // namespace knock
