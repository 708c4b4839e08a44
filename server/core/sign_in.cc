// SPDX-License-Identifier: Apache-2.0
#include "server/core/sign_in.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

namespace knock {
namespace {

constexpr Duration kStateLife = Duration::minutes(10);
constexpr std::size_t kMostUsed = 200'000;  // states that came back in that time: some 30 MB
// Two hash at a time, each for some 60 ms and in 64 MiB: this many wait at most a few seconds.
constexpr std::size_t kMostPasswords = 48;
constexpr std::string_view kBusy = "busy";
const SignInName kLocal{"local"};

/// What a person is told. The code is for the log and for whoever helps.
std::string sentence_for(std::string_view code) {
  if (code == "local.wrong") return "That name and password do not match.";
  if (code == "too-many" || code == "start.too-many")
    return "Too many attempts from this address. Please wait a minute.";
  if (code == kBusy) return "Too many people sign in at this moment. Please try again in a minute.";
  if (code == "address.unusable") return "Nothing can be opened for the address you come from.";
  if (code == "state.unknown" || code == "state.other-browser")
    return "This sign-in was not started here, or took too long. Please start again.";
  if (code == "store") return "Signing in is not possible at the moment; nothing was opened.";
  if (code == "source.unknown") return "There is no such way to sign in.";
  if (code.starts_with("provider."))
    return "The sign-in provider refused, or could not be reached.";
  return "The proof of identity was not accepted.";
}

/// What a person is told whose sign-out is not in the log; "" when it is.
std::string sign_out_remark(const EndedSession& ended) {
  switch (ended.written) {
    case EndedSession::Written::log:
      return "";
    case EndedSession::Written::beside:
      return "What you had open is closed now and stays closed. The log cannot be written at the "
             "moment, so that you signed out is recorded later. The operators are told.";
    case EndedSession::Written::nowhere:
      break;
  }
  return "What you had open is closed now. But that you signed out could not be recorded: if knock "
         "is restarted before " +
         to_string(ended.expires) +
         ", it would open again until then. The operators are told, and it is tried again every "
         "few seconds. If it matters to you, ask them.";
}

/// The claims that some rule asks for, sorted: others are never asked of a token, nor kept.
std::vector<std::string> claims_named(const Policy* policy) {
  std::vector<std::string> out;
  if (policy == nullptr) return out;
  for (const AllowRule& rule : policy->allow)
    for (const ClaimCondition& claim : rule.claims)
      if (claim.claim.size() <= role::kLongestClaim) out.push_back(claim.claim);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  // Beyond what a message holds nobody could sign in at all; rules that ask for more are not met.
  if (out.size() > role::kMostClaims) out.resize(role::kMostClaims);
  return out;
}

/// The freshest sign-in that some rule asks for: the provider asks for the factors again when its
/// own sign-in is older, or its word would never meet that rule.
std::optional<Duration> freshest_factor(const Policy* policy) {
  std::optional<Duration> out;
  if (policy == nullptr) return out;
  for (const AllowRule& rule : policy->allow)
    if (rule.mfa_max_age && (!out || *rule.mfa_max_age < *out)) out = rule.mfa_max_age;
  return out;
}

std::string_view salt_of(std::string_view state) { return state.substr(0, state.find('.')); }

}  // namespace

bool can_be_a_person(const IpAddress& address) {
  auto bytes = address.bytes();
  bool multicast = address.family() == Family::v4 ? bytes[0] >= 224 : bytes[0] == 0xff;
  bool none = address.family() == Family::v4
                  ? bytes[0] == 0
                  : std::all_of(bytes.begin(), bytes.end(), [](auto b) { return b == 0; });
  return !multicast && !none;
}

SignIn::SignIn(const Config& config, std::string public_url, FactStore& store,
               Reconciler& reconciler, SessionEnds& ends, VerifierChannel& verifier,
               const Clock& clock, Random& random, std::function<std::string()> not_ready)
    : config_(config),
      public_url_(std::move(public_url)),
      store_(store),
      reconciler_(reconciler),
      ends_(ends),
      verifier_(verifier),
      clock_(clock),
      random_(random),
      not_ready_(std::move(not_ready)),
      key_(random_.token(32)),
      by_address_(10, 0.2, 100'000),
      by_network_(60, 2, 100'000, {24, 48}),
      // Many people behind one address come back from their provider; guessing codes is hopeless.
      proofs_by_address_(200, 5, 100'000),
      starts_by_address_(200, 1, 100'000),
      starts_by_network_(600, 4, 100'000, {24, 48}),  // 3,000 in a state's life; kMostUsed holds 66
      passwords_(200, 20, 1, {0, 0}),
      records_(1000, 2, 1, {0, 0}) {}

SessionId SignIn::id_of_cookie(std::string_view cookie) {
  return SessionId(to_hex(sha256("knock session\n" + std::string(cookie))).substr(0, 32));
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

bool SignIn::too_many(RateLimit& limit, const IpAddress& address) {
  std::lock_guard lock(mutex_);
  return !limit.take(address, clock_.monotonic());
}

/// A place in the queue of hashes. Everybody together is limited too: front could say any address.
bool SignIn::password_may_be_tried(const IpAddress& address) {
  std::lock_guard lock(mutex_);
  if (passwords_under_way_ >= kMostPasswords || !passwords_.take(address, clock_.monotonic()))
    return false;
  ++passwords_under_way_;
  return true;
}

/// A flood of refusals must not fill the disk: beyond a budget they are counted, and the count is
/// logged.
bool SignIn::may_record() {
  std::uint64_t skipped = 0;
  {
    std::lock_guard lock(mutex_);
    if (!records_.take(IpAddress::v4(0), clock_.monotonic())) {
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
  if (!can_be_a_person(session.address))
    return refuse(request, session.source, "address.unusable", session.principal.key(),
                  session.address.to_string(), answer);
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
  if (too_many(by_address_, sign_in.address) || too_many(by_network_, sign_in.address))
    return refuse(sign_in.request, kLocal, "too-many", sign_in.user, address, answer);
  if (!password_may_be_tried(sign_in.address))
    return refuse(sign_in.request, kLocal, std::string(kBusy), sign_in.user, address, answer);
  auto account = store_.account(sign_in.user);
  if (!account) {
    std::lock_guard lock(mutex_);
    --passwords_under_way_;
  }
  if (!account) return refuse(sign_in.request, kLocal, "store", sign_in.user, address, answer);
  bool usable = account->has_value() && !(*account)->disabled;
  role::CheckPassword check;
  check.hash = usable ? std::string((*account)->password_hash.reveal()) : "";
  check.password = sign_in.password;
  Account known = usable ? **account : Account{};
  verifier_.ask(std::move(check), [=, this, request = sign_in.request, from = sign_in.address,
                                   user = sign_in.user](Result<role::FromVerifier> result) {
    {
      std::lock_guard lock(mutex_);
      --passwords_under_way_;
    }
    if (!result) return refuse(request, kLocal, "provider.verifier", user, address, answer);
    auto* checked = std::get_if<role::PasswordChecked>(&*result);
    if (checked == nullptr || !checked->good || !usable)
      return refuse(request, kLocal, "local.wrong", user, address, answer);
    // The hash took its time: the account must still be what was checked.
    auto still = store_.account(user);
    if (!still || !*still || (*still)->disabled ||
        !(*still)->password_hash.equals(known.password_hash.reveal()))
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
  auto address = start.address.to_string();
  if (too_many(starts_by_address_, start.address) || too_many(starts_by_network_, start.address))
    return refuse(start.request, start.source, "start.too-many", "", address, answer);
  if (oidc(start.source) == nullptr || start.browser.size() < 32)
    return refuse(start.request, start.source, "source.unknown", "", address, answer);
  role::MakeUrl ask;
  ask.source = start.source;
  ask.redirect_uri = public_url_ + "/auth/callback";
  ask.state = make_state(std::size_t(oidc(start.source) - config_.oidc.data()), start.browser);
  auto about = begun(0, salt_of(ask.state));
  ask.nonce = about.nonce;
  ask.challenge = base64url(as_bytes(sha256(about.pkce_verifier)));
  ask.max_age = freshest_factor(reconciler_.policy().get());
  verifier_.ask(std::move(ask), [=, this, request = start.request,
                                 source = start.source](Result<role::FromVerifier> result) {
    if (!result) return refuse(request, source, "provider.verifier", "", address, answer);
    if (auto* url = std::get_if<role::UrlMade>(&*result))
      return answer(role::GoTo{request, std::move(url->url)});
    auto* refused = std::get_if<role::NotProven>(&*result);
    refuse(request, source, refused != nullptr ? refused->code : "provider.verifier", "", address,
           answer, refused != nullptr ? refused->why : "");
  });
}

// ---- states: SALT.SOURCE.UNTIL.BROWSER.MAC, of letters, digits, - and _ but for the dots ----

std::string SignIn::derived(std::string_view what, std::string_view from) const {
  return base64url(
      as_bytes(hmac_sha256(key_, "knock " + std::string(what) + "\n" + std::string(from))));
}

std::string SignIn::make_state(std::size_t source, std::string_view browser) const {
  auto salt = random_.token(16);
  auto until = (clock_.monotonic() + kStateLife.chrono()).time_since_epoch();
  auto head = salt + "." + std::to_string(source) + "." +
              std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(until).count());
  head += "." + derived("browser", head + "\n" + std::string(browser));
  return head + "." + derived("state", head);
}

SignIn::Begun SignIn::begun(std::size_t source, std::string_view salt) const {
  return {&config_.oidc.at(source), derived("nonce", salt), derived("pkce", salt), false};
}

std::optional<SignIn::Begun> SignIn::take(std::string_view state, std::string_view browser) {
  auto dot = state.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  auto head = state.substr(0, dot);
  // Nobody but us can have made what passes here, so its parts are as they should be.
  if (!Secret(derived("state", head)).equals(state.substr(dot + 1))) return std::nullopt;
  auto parts = split(head, '.');
  std::int64_t ms = 0;
  std::from_chars(parts.at(2).data(), parts[2].data() + parts[2].size(), ms);
  auto until = MonotonicTime(std::chrono::milliseconds(ms));
  {
    std::lock_guard lock(mutex_);
    auto now = clock_.monotonic();
    if (until <= now) return std::nullopt;
    if (used_.size() >= kMostUsed && now - tidied_ >= std::chrono::seconds(1)) {
      tidied_ = now;
      std::erase_if(used_, [&](const auto& one) { return one.second <= now; });
    }
    // Full of states that could come back: better nobody signs in than somebody twice.
    if (used_.size() >= kMostUsed) return std::nullopt;
    if (!used_.emplace(parts[0], until).second) return std::nullopt;  // whatever came of it
  }
  std::size_t source = 0;
  std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), source);
  auto out = begun(source, parts[0]);
  auto bound = std::string(parts[0]) + "." + std::string(parts[1]) + "." + std::string(parts[2]);
  out.this_browser =
      Secret(derived("browser", bound + "\n" + std::string(browser))).equals(parts.at(3));
  return out;
}

void SignIn::handle_one(const role::FinishOidc& finish, Answer answer) {
  auto address = finish.address.to_string();
  if (too_many(proofs_by_address_, finish.address))
    return refuse(finish.request, SignInName(""), "too-many", "", address, answer);
  auto pending = take(finish.state, finish.browser);
  if (!pending) return refuse(finish.request, SignInName(""), "state.unknown", "", address, answer);
  const SignInName& source_name = pending->source->name;
  if (!pending->this_browser)
    return refuse(finish.request, source_name, "state.other-browser", "", address, answer);
  if (!finish.error.empty() || finish.code.empty())
    return refuse(finish.request, source_name, "provider.error", "", address, answer);
  role::ExchangeCode ask;
  ask.source = source_name;
  ask.redirect_uri = public_url_ + "/auth/callback";
  ask.code = finish.code;
  ask.pkce_verifier = pending->pkce_verifier;
  ask.nonce = pending->nonce;
  ask.issuer = finish.issuer;
  ask.now = clock_.now();
  auto claims = claims_named(reconciler_.policy().get());
  ask.claims = claims;
  verifier_.ask(std::move(ask), [=, this, request = finish.request, from = finish.address,
                                 settings = pending->source](Result<role::FromVerifier> result) {
    const SignInName& source = settings->name;
    if (!result) return refuse(request, source, "provider.verifier", "", address, answer);
    auto* proven = std::get_if<role::Proven>(&*result);
    if (proven == nullptr) {
      auto* refused = std::get_if<role::NotProven>(&*result);
      return refuse(request, source, refused != nullptr ? refused->code : "provider.verifier", "",
                    address, answer, refused != nullptr ? refused->why : "");
    }
    // A verifier that was taken over must not speak for other issuers, nor for local accounts.
    if (proven->issuer != settings->issuer)
      return refuse(request, source, "provider.verifier", "", address, answer,
                    "the proof is of another issuer than this sign-in's");
    Session session;
    session.principal = {proven->issuer, proven->subject,
                         proven->name.empty() ? proven->subject : proven->name};
    session.source = source;
    session.proof = knock::Proof::oidc;
    session.groups = proven->groups;
    session.address = from;
    session.authenticated = std::min(proven->authenticated, clock_.now());
    for (const auto& claim : claims)
      if (auto said = proven->claims.find(claim); said != proven->claims.end())
        session.claims.emplace(claim, said->second);
    session.acr = proven->acr;
    if (proven->mfa_at) session.mfa_at = std::min(*proven->mfa_at, clock_.now());
    session.expires = clock_.now() + settings->max_session;
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
      service.lasts = row.lasts;
      service.come_by = row.come_by;
      service.used = true;
      me.services.push_back(std::move(service));
    }
    role::MyService& service = me.services.back();
    ++service.targets;
    service.until = std::max(service.until, row.until);
    service.used = service.used && row.used;
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
  Session session;
  session.id = id_of_cookie(sign_out.cookie);
  session = reconciler_.live_session(session.id).value_or(session);
  auto ended = ends_.end("front", session, EndCause::signed_out, "");
  answer(role::Ok{sign_out.request, ended ? sign_out_remark(*ended) : std::string()});
}

void SignIn::handle_one(const role::AskReady& ask, Answer answer) {
  // Strangers read this: that something is wrong, not the repository or file that it is about.
  auto why = not_ready_();
  bool ready = why.empty();
  answer(role::Ready{ask.request, ready, why.substr(0, why.find(": "))});
}

}  // namespace knock
