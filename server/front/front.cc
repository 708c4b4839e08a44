// SPDX-License-Identifier: Apache-2.0
#include "server/front/front.h"

#include <algorithm>
#include <array>

#include "base/secret.h"
#include "base/text.h"
#include "net/forwarded.h"
#include "net/http_server_request.h"
#include "server/front/api_gate.h"
#include "server/front/assets.h"
#include "server/front/pages.h"
#include "server/front/same_origin.h"

namespace knock::server {
namespace {

using net::HttpResponse;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kStart = "/auth/start/", kAssets = "/assets/";
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
constexpr std::string_view kTryAgain =
    "Something on our side did not answer. Please try again in a moment.";

/// Exactly one value of a field; nothing when it is absent or came twice.
std::optional<std::string> only(const Pairs& pairs, std::string_view name) {
  std::optional<std::string> found;
  for (const auto& [key, value] : pairs)
    if (key == name) {
      if (found) return std::nullopt;
      found = value;
    }
  return found;
}

std::size_t count_of(const Pairs& pairs, std::string_view name) {
  return std::size_t(std::count_if(pairs.begin(), pairs.end(),
                                   [&](const auto& pair) { return pair.first == name; }));
}

bool is_form(const net::HttpRequest& request) {
  auto type = request.headers.one("content-type").value_or("");
  return trim(type.substr(0, type.find(';'))) == "application/x-www-form-urlencoded";
}

bool is_source_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

bool is_loopback(const IpAddress& address) {
  static const std::array kLoopback{Prefix::of(*IpAddress::parse("127.0.0.0"), 8),
                                    Prefix::host(*IpAddress::parse("::1"))};
  return std::any_of(kLoopback.begin(), kLoopback.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

/// A redirect leaves our pages: only to the web, and only where the whole of it is plain.
bool is_web_url(std::string_view url) {
  return origin_of(url).has_value() &&
         std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

struct Front::Turn {
  net::HttpRequest request;
  net::Respond respond;
  std::optional<IpAddress> address;
  Error address_problem;
  std::string session, browser;  // cookies; "" = absent or not one of ours
  net::Headers cookies;          // to be set, whatever the answer
  bool secure = true;

  void send(HttpResponse response) {
    auto& headers = response.headers;
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Referrer-Policy",
                "same-origin");  // "no-referrer" would make browsers send Origin: null with forms
    headers.set("Content-Security-Policy", std::string(kPolicy));
    headers.set("X-Frame-Options", "DENY");
    headers.set("Cross-Origin-Opener-Policy", "same-origin");
    headers.set("Cross-Origin-Resource-Policy", "same-origin");
    headers.set("X-Robots-Tag", "noindex");
    if (!headers.one("cache-control")) headers.set("Cache-Control", "no-store");
    if (secure) headers.set("Strict-Transport-Security", "max-age=31536000");
    for (auto& cookie : cookies.fields) headers.fields.push_back(std::move(cookie));
    respond(std::move(response));
  }

  void page(int status, std::string body) {
    HttpResponse response{status, {}, std::move(body)};
    response.headers.set("Content-Type", "text/html; charset=utf-8");
    send(std::move(response));
  }

  void text(int status, std::string body) {
    HttpResponse response{status, {}, std::move(body)};
    response.headers.set("Content-Type", "text/plain; charset=utf-8");
    send(std::move(response));
  }

  void go(std::string url) {
    HttpResponse response{303, {}, ""};
    response.headers.set("Location", std::move(url));
    send(std::move(response));
  }

  void problem(int status, std::string_view title, std::string_view sentence,
               std::string_view code) {
    page(status, message_page(title, sentence, code));
  }

  /// Core did not answer, or with something else than was asked for.
  void core_failed(const Result<role::ToFront>& answer) {
    bool late = !answer && answer.error().kind == ErrorKind::timeout;
    problem(503, "Not available just now", kTryAgain, late ? "core.timeout" : "core.unavailable");
  }
};

struct Front::Route {
  std::string_view path;  // ends with '/': everything below it too
  std::string_view methods;
  void (Front::*handler)(const TurnPtr&);
};

const std::vector<Front::Route>& Front::routes() {
  static const std::vector<Route> all{
      {"/", "GET, HEAD", &Front::home},
      {"/me", "GET, HEAD", &Front::to_home},
      {"/auth/local", "POST", &Front::sign_in_local},
      {kStart, "GET, POST", &Front::start_oidc},
      {"/auth/callback", "GET", &Front::finish_oidc},
      {"/auth/sign-out", "POST", &Front::sign_out},
      {"/health", "GET, HEAD", &Front::health},
      {"/ready", "GET, HEAD", &Front::ready},
      {kAssets, "GET, HEAD", &Front::serve_asset},
      {"/api/v1/", "GET, POST", &Front::api},
  };
  return all;
}

Front::Front(CoreChannel& core, Random& random, FrontSettings settings)
    : core_(core),
      random_(random),
      settings_(std::move(settings)),
      origin_(origin_of(settings_.public_url).value_or("")) {}

void Front::handle(net::HttpRequest request, net::Respond respond) {
  auto turn = std::make_shared<Turn>();
  turn->request = std::move(request);
  turn->respond = std::move(respond);
  turn->secure = settings_.secure;
  const auto& path = turn->request.path;
  auto route = std::find_if(routes().begin(), routes().end(), [&](const Route& candidate) {
    bool below = candidate.path.size() > 1 && candidate.path.ends_with('/');
    return below ? path.starts_with(candidate.path) : path == candidate.path;
  });
  if (route == routes().end())
    return turn->problem(404, "There is nothing here", "The address may have been mistyped.",
                         "http.not-found");
  auto methods = split(route->methods, ',');
  if (std::none_of(methods.begin(), methods.end(),
                   [&](auto method) { return trim(method) == turn->request.method; })) {
    HttpResponse response{405,
                          {},
                          message_page("That does not work here",
                                       "This address is used in another way.", "http.method")};
    response.headers.set("Content-Type", "text/html; charset=utf-8");
    response.headers.set("Allow", std::string(route->methods));
    return turn->send(std::move(response));
  }
  auto token = [&](const std::string& name) {
    auto value = net::cookie(turn->request, name);
    return value && is_cookie_token(*value) ? *value : std::string();
  };
  turn->session = token(session_cookie());
  turn->browser = token(browser_cookie());
  auto address = net::client_address(
      turn->request.peer, turn->request.headers.all("x-forwarded-for"), settings_.trusted_proxies);
  if (address)
    turn->address = *address;
  else
    turn->address_problem = address.error();
  (this->*route->handler)(turn);
}

// ── cookies

std::string Front::session_cookie() const { return settings_.secure ? "__Host-knock" : "knock"; }
std::string Front::browser_cookie() const { return session_cookie() + "-signin"; }

void Front::set_cookie(Turn& turn, const std::string& name, std::string_view value,
                       std::string_view more) const {
  turn.cookies.fields.emplace_back(
      "Set-Cookie", name + "=" + std::string(value) + "; Path=/; HttpOnly; SameSite=Lax" +
                        (settings_.secure ? "; Secure" : "") + std::string(more));
}

void Front::clear_cookie(Turn& turn, const std::string& name) const {
  set_cookie(turn, name, "", "; Max-Age=0");
}

// ── what must hold before core is asked

bool Front::from_our_page(const TurnPtr& turn) {
  auto problem = cross_site_problem(turn->request, origin_);
  if (problem.empty()) return true;
  turn->problem(403, "This did not come from our page",
                "Open this site directly and try again from there. If it is reached through a "
                "proxy, its public_url "
                "must be the address you typed.",
                problem);
  return false;
}

bool Front::holds_form_token(const TurnPtr& turn, std::string_view form) {
  if (!turn->browser.empty() && Secret(form_token(turn->browser)).equals(form)) return true;
  turn->problem(403, "This page was too old",
                "Go back to the start and try again. Cookies must be allowed.", "csrf.form");
  return false;
}

bool Front::address_known(const TurnPtr& turn) {
  if (turn->address) return true;
  turn->problem(400, "Your address cannot be seen",
                "A proxy in front of this site does not say from where you come, so nothing can be "
                "opened for you. "
                "Tell whoever runs it.",
                net::reason_code(turn->address_problem));
  return false;
}

// ── pages

void Front::home(const TurnPtr& turn) {
  if (turn->session.empty()) return show_sign_in(turn, 200, "", "");
  if (!address_known(turn)) return;
  core_.ask(role::AskMe{0, turn->session, *turn->address},
            [this, turn](Result<role::ToFront> answer) {
              if (answer && std::holds_alternative<role::Me>(*answer))
                return turn->page(200, me_page(std::get<role::Me>(*answer), *turn->address));
              if (!answer || !std::holds_alternative<role::Refused>(*answer))
                return turn->core_failed(answer);
              clear_cookie(*turn, session_cookie());
              show_sign_in(turn, 200, "", "");
            });
}

void Front::to_home(const TurnPtr& turn) { turn->go("/"); }

void Front::show_sign_in(const TurnPtr& turn, int status, std::string user, std::string problem) {
  if (turn->browser.empty()) {
    turn->browser = random_.token(32);
    set_cookie(*turn, browser_cookie(), turn->browser);
  }
  if (!turn->address && problem.empty())
    problem =
        "A proxy in front of this site does not say from where you come, so nothing can be opened "
        "for you (" +
        std::string(net::reason_code(turn->address_problem)) + "). Tell whoever runs it.";
  core_.ask(role::AskSignIns{}, [turn, status, user = std::move(user),
                                 problem = std::move(problem)](Result<role::ToFront> answer) {
    if (!answer || !std::holds_alternative<role::SignIns>(*answer))
      return turn->core_failed(answer);
    SignInView view{std::get<role::SignIns>(*answer).choices, form_token(turn->browser),
                    turn->address, user, problem};
    turn->page(status, sign_in_page(view));
  });
}

// ── signing in and out

void Front::signed_in(const TurnPtr& turn, const std::string& cookie, Instant expires) {
  if (!is_cookie_token(cookie))
    return turn->problem(503, "Not available just now", kTryAgain, "core.unavailable");
  set_cookie(*turn, session_cookie(), cookie, "; Expires=" + net::http_date(expires));
  clear_cookie(*turn, browser_cookie());
  turn->go("/");
}

void Front::sign_in_local(const TurnPtr& turn) {
  if (!from_our_page(turn)) return;
  auto pairs = is_form(turn->request) ? net::parse_form(turn->request.body) : std::nullopt;
  std::optional<std::string> user, password, form;
  if (pairs) {
    user = only(*pairs, "user");
    password = only(*pairs, "password");
    form = only(*pairs, "form");
  }
  if (!user || !password || !form)
    return turn->problem(400, "This form cannot be read", "Go back to the start and try again.",
                         "form.malformed");
  if (!holds_form_token(turn, *form) || !address_known(turn)) return;
  if (user->empty() || password->empty())
    return show_sign_in(turn, 400, std::move(*user), "Please give your name and your password.");
  if (user->size() > role::kLongestUser || password->size() > role::kLongestPassword)
    return show_sign_in(turn, 400, "", "That name or password is too long.");
  role::SignInLocal question{0, *user, std::move(*password), *turn->address};
  core_.ask(std::move(question),
            [this, turn, user = std::move(*user)](Result<role::ToFront> answer) {
              if (!answer) return turn->core_failed(answer);
              if (auto* in = std::get_if<role::SignedIn>(&*answer))
                return signed_in(turn, in->cookie, in->expires);
              if (auto* no = std::get_if<role::Refused>(&*answer))
                return show_sign_in(turn, 403, user, no->sentence);
              turn->core_failed(answer);
            });
}

void Front::start_oidc(const TurnPtr& turn) {
  auto name = turn->request.path.substr(kStart.size());
  if (!is_source_name(name))
    return turn->problem(404, "There is nothing here", "The address may have been mistyped.",
                         "http.not-found");
  bool post = turn->request.method == "POST";
  if (post && !from_our_page(turn)) return;
  std::optional<Pairs> pairs;
  if (!post)
    pairs = net::parse_form(turn->request.query);
  else if (is_form(turn->request))
    pairs = net::parse_form(turn->request.body);
  if (!holds_form_token(turn, pairs ? only(*pairs, "form").value_or("") : "") ||
      !address_known(turn))
    return;
  core_.ask(role::StartOidc{0, SignInName(name), turn->browser, *turn->address},
            [turn](Result<role::ToFront> answer) {
              if (!answer) return turn->core_failed(answer);
              if (auto* no = std::get_if<role::Refused>(&*answer))
                return turn->problem(403, "Sign-in could not begin", no->sentence, no->code);
              auto* to = std::get_if<role::GoTo>(&*answer);
              if (to == nullptr || !is_web_url(to->url)) return turn->core_failed(answer);
              turn->go(to->url);
            });
}

void Front::finish_oidc(const TurnPtr& turn) {
  auto pairs = net::parse_form(turn->request.query);
  role::FinishOidc question;
  bool readable = pairs.has_value();
  auto take = [&](std::string_view name, std::string& into) {
    if (!readable) return;
    into = only(*pairs, name).value_or("");
    readable = count_of(*pairs, name) <= 1 && into.size() <= role::kLongestParameter;
  };
  take("state", question.state);
  take("code", question.code);
  take("iss", question.issuer);
  take("error", question.error);
  if (!readable || question.state.empty() || (question.code.empty() && question.error.empty()))
    return turn->problem(
        400, "The sign-in answer cannot be read",
        "Your provider sent something unexpected. Go back to the start and try again.",
        "callback.malformed");
  if (!address_known(turn)) return;
  question.browser = turn->browser;
  question.address = *turn->address;
  core_.ask(std::move(question), [this, turn](Result<role::ToFront> answer) {
    if (!answer) return turn->core_failed(answer);
    if (auto* in = std::get_if<role::SignedIn>(&*answer))
      return signed_in(turn, in->cookie, in->expires);
    if (auto* no = std::get_if<role::Refused>(&*answer))
      return turn->problem(403, "You are not signed in", no->sentence, no->code);
    turn->core_failed(answer);
  });
}

void Front::sign_out(const TurnPtr& turn) {
  if (!from_our_page(turn)) return;
  if (turn->session.empty()) return turn->go("/");
  auto pairs = is_form(turn->request) ? net::parse_form(turn->request.body) : std::nullopt;
  auto form = pairs ? only(*pairs, "form") : std::nullopt;
  if (!form || form->empty() || form->size() > role::kLongestToken)
    return turn->problem(403, "This page was too old", "Go back to the start and try again.",
                         "csrf.form");
  core_.ask(role::SignOut{0, turn->session, *form}, [this, turn](Result<role::ToFront> answer) {
    if (!answer) return turn->core_failed(answer);
    if (auto* no = std::get_if<role::Refused>(&*answer))
      return turn->problem(403, "You are still signed in", no->sentence, no->code);
    auto* done = std::get_if<role::Ok>(&*answer);
    if (done == nullptr) return turn->core_failed(answer);
    clear_cookie(*turn, session_cookie());
    if (done->remark.empty()) return turn->go("/");
    turn->problem(200, "You are signed out", done->remark, "sign-out.unrecorded");
  });
}

// ── for machines

void Front::health(const TurnPtr& turn) { turn->text(200, "ok\n"); }

void Front::ready(const TurnPtr& turn) {
  core_.ask(role::AskReady{}, [turn](Result<role::ToFront> answer) {
    auto* ready = answer ? std::get_if<role::Ready>(&*answer) : nullptr;
    if (ready == nullptr) return turn->text(503, "not ready: core does not answer\n");
    if (ready->ready) return turn->text(200, "ready\n");
    turn->text(503, "not ready: " + printable(ready->why) + "\n");
  });
}

/// A token is worth what it may do: not sent in clear where others can listen, and never by a browser,
/// whose cookies mean nothing here.
void Front::api(const TurnPtr& turn) {
  auto& request = turn->request;
  auto refuse = [&](int status, std::string_view code, std::string_view detail) {
    turn->send(api_problem(status, code, detail));
  };
  if (!turn->address)
    return refuse(400, net::reason_code(turn->address_problem),
                  "A proxy in front of this controller does not say from where you come.");
  if (!settings_.secure && !is_loopback(*turn->address))
    return refuse(
        403, "tls.required",
        "This controller is reached without TLS, so tokens are taken from its own machine "
        "only. Give it a certificate (tls: in knock.yaml), and make a new token: this one "
        "went over the network in clear.");
  auto token = bearer_token(request);
  if (!token)
    return refuse(401, "key.missing",
                  "A token is needed: Authorization: Bearer knock_… (knock key add makes one).");
  auto type = request.headers.one("content-type").value_or("");
  if (request.method == "POST" && trim(type.substr(0, type.find(';'))) != "application/json")
    return refuse(415, "body.type", "The body must be application/json.");
  if (request.path.size() > 128 || request.query.size() > role::kLongestParameter)
    return refuse(414, "request.too-long", "This address is too long.");
  role::ApiCall call{0,      request.method, request.path,           request.query,
                     *token, *turn->address, std::move(request.body)};
  core_.ask(std::move(call), [turn](Result<role::ToFront> answer) {
    auto* said = answer ? std::get_if<role::ApiAnswer>(&*answer) : nullptr;
    // Nothing that a browser would take for a page.
    bool inert = said != nullptr &&
                 (said->type == "application/json" || said->type == "application/problem+json" ||
                  said->type == "application/x-ndjson");
    bool known = inert && said->status >= 200 && said->status < 600;
    if (!known)
      return turn->send(api_problem(503, "core.unavailable",
                                    "The controller did not answer; try again in a moment."));
    HttpResponse response{int(said->status), {}, std::move(said->body)};
    response.headers.set("Content-Type", said->type);
    if (said->status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"knock\"");
    if (said->retry_after > 0)
      response.headers.set("Retry-After", std::to_string(said->retry_after));
    turn->send(std::move(response));
  });
}

void Front::serve_asset(const TurnPtr& turn) {
  const Asset* found = asset_at(turn->request.path);
  if (found == nullptr)
    return turn->problem(404, "There is nothing here", "The address may have been mistyped.",
                         "http.not-found");
  HttpResponse response{200, {}, std::string(found->content)};
  response.headers.set("Content-Type", std::string(found->content_type));
  response.headers.set("Cache-Control", "public, max-age=31536000, immutable");
  turn->send(std::move(response));
}

}  // namespace knock::server
