// SPDX-License-Identifier: Apache-2.0
#include "server/front/pages.h"

#include <algorithm>

#include "server/front/assets.h"
#include "server/front/html.h"

namespace knock::server {
namespace {

/// The mark: a door that stands a little open. The same shapes as assets/knock.svg, in the page's
/// own colours.
Html logo() {
  return html(
      R"(<svg class="logo" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">)"
      R"(<rect class="logo-wall" width="32" height="32" rx="9"/>)"
      R"(<path class="logo-light" d="M9 24.5V8a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v16.5z"/>)"
      R"(<path class="logo-door" d="M9 7.5l8.2 2.3a1.6 1.6 0 0 1 1.2 1.6v14.7a1 1 0 0 1-1.3 1L9 24.5z"/>)"
      R"(<circle class="logo-knob" cx="15.6" cy="18" r="1.2"/></svg>)");
}

/// An address that may break after its colons, where a reader would pause.
Html breakable(const IpAddress& address) {
  Html out;
  auto text = address.to_string();
  std::string_view rest = text;
  for (auto colon = rest.find(':'); colon != std::string_view::npos; colon = rest.find(':')) {
    out += html("{}<wbr>", rest.substr(0, colon + 1));
    rest.remove_prefix(colon + 1);
  }
  out += html("{}", rest);
  return out;
}

Html state_icon(ServiceState state) {
  switch (state) {
    case ServiceState::open:
      return html(
          R"(<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="M3.5 8.4l3 3 6-6.6"/></svg>)");
    case ServiceState::opening:
      return html(
          R"(<svg class="turning" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="M8 2.5A5.5 5.5 0 1 1 2.5 8"/></svg>)");
    case ServiceState::closed:
      return html(
          R"(<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><rect x="3.5" y="7.5" width="9" height="6" rx="1.5"/><path d="M5.5 7.5V5.2a2.5 2.5 0 0 1 5 0v2.3"/></svg>)");
  }
  return {};
}

struct Frame {
  std::string_view title;
  std::string_view body_class;
  Html head;  // more of it
  Html body;
};

std::string whole_page(const Frame& frame) {
  return html(R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="{}" type="image/svg+xml">
<link rel="stylesheet" href="{}">
{}</head>
<body class="{}">
{}</body>
</html>
)",
              frame.title, asset("knock.svg").url, asset("knock.css").url, frame.head,
              frame.body_class, frame.body)
      .text();
}

/// "18:00 UTC", with the date when it is another day. The script says it in the person's own zone.
std::string clock_text(Instant when, Instant now) {
  auto text = to_string(when), today = to_string(now);
  auto clock = text.substr(11, 5) + " UTC";
  return text.substr(0, 10) == today.substr(0, 10) ? clock : text.substr(0, 10) + " " + clock;
}

Html time_left(Instant until, Instant now) {
  return html(R"(<time class="left" datetime="{}" data-until="{}">{}</time>)", to_string(until),
              until.ms, for_people(until - now));
}

Html clock_time(Instant when, Instant now) {
  return html(R"(<time datetime="{}" data-clock="{}">{}</time>)", to_string(when), when.ms,
              clock_text(when, now));
}

// ── signed out

Html alert(std::string_view sentence) {
  if (sentence.empty()) return {};
  return html(R"(<p class="notice bad" role="alert">{}</p>
)",
              sentence);
}

Html provider_links(const SignInView& view) {
  Html links;
  for (const auto& choice : view.choices) {
    if (choice.local) continue;
    const auto& title = choice.title.empty() ? choice.source.value : choice.title;
    links += html(R"(<a class="button" href="/auth/start/{}?form={}">Continue with {}</a>
)",
                  choice.source.value, view.form, title);
  }
  return links;
}

Html local_form(const SignInView& view) {
  return html(R"(<form method="post" action="/auth/local">
<input type="hidden" name="form" value="{}">
<label for="user">Name</label>
<input id="user" name="user" value="{}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="128" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required>
<button class="button" type="submit">Sign in</button>
</form>
)",
              view.form, view.user);
}

Html sign_in_ways(const SignInView& view) {
  auto links = provider_links(view);
  bool local = std::any_of(view.choices.begin(), view.choices.end(),
                           [](const auto& choice) { return choice.local; });
  if (view.choices.empty())
    return html(R"(<p class="notice">No way to sign in has been set up yet.</p>
)");
  if (!local) return links;
  if (links.empty()) return local_form(view);
  links += html(R"(<p class="or"><span>or</span></p>
)");
  links += local_form(view);
  return links;
}

// ── signed in

std::string_view state_name(ServiceState state) {
  switch (state) {
    case ServiceState::open:
      return "Open";
    case ServiceState::opening:
      return "Opening";
    case ServiceState::closed:
      return "Closed";
  }
  return "";
}

std::string_view state_class(ServiceState state) {
  switch (state) {
    case ServiceState::open:
      return "open";
    case ServiceState::opening:
      return "opening";
    case ServiceState::closed:
      return "closed";
  }
  return "";
}

std::string remark(const role::MyService& service, ServiceState state) {
  if (state == ServiceState::closed) return "Not from this address, or not at this time.";
  if (state == ServiceState::open) return "";
  if (!service.problem.empty()) return service.problem;
  if (service.targets == 0) return "No firewall serves it yet.";
  if (service.targets == 1) return "Waiting for its firewall.";
  return std::to_string(service.open) + " of " + std::to_string(service.targets) +
         " firewalls have confirmed.";
}

/// A door may be for one connection, or for those that come in time.
struct Lasting {
  Html figure;  // the time that counts now
  Html remark;  // what for; empty where the figure says it all
};

Lasting lasting_of(const role::MyService& service, Instant now) {
  auto until = clock_time(service.until, now);
  auto figure = [&](Instant when, std::string_view words, const Html& clock) {
    return html(R"(<p class="lasts">{}<span>{} {}</span></p>)", time_left(when, now), words, clock);
  };
  switch (service.lasts) {
    case Lasts::first_connection:
      if (service.used)
        return {{}, html("Its one connection was made; for another, sign in again.")};
      return {figure(service.until, "to connect", {}),
              html("One connection, to be made by {}.", until)};
    case Lasts::disconnect:
      if (service.come_by <= now)
        return {
            figure(service.until, "at the latest", {}),
            html("No new connection; what is open stays until it disconnects, at the latest {}.",
                 until)};
      return {figure(service.come_by, "to connect", {}),
              html("Connect by {}; it is open until it disconnects, at the latest {}.",
                   clock_time(service.come_by, now), until)};
    case Lasts::until_deadline:
      break;
  }
  return {figure(service.until, "until", until), {}};
}

Html remark_row(const Html& words) {
  return words.empty() ? Html() : html(R"(<p class="remark">{}</p>)", words);
}

Html service_row(const role::MyService& service, Instant now) {
  auto state = state_of(service);
  auto note = remark(service, state);
  Lasting lasting;
  if (state != ServiceState::closed) lasting = lasting_of(service, now);
  return html(R"(<li class="service {}">
<div class="what"><h3>{}</h3><p class="ports">{}</p></div>
<p class="state">{}<span>{}</span></p>
{}{}{}</li>
)",
              state_class(state), service.service.value, to_string(service.ports),
              state_icon(state), state_name(state), lasting.figure, remark_row(lasting.remark),
              remark_row(note.empty() ? Html() : html("{}", note)));
}

Html elsewhere(const role::Me& me, const IpAddress& here) {
  if (me.address == here) return {};
  return html(
      R"(<p class="notice warn" role="alert">You are now at <b class="mono">{}</b>. What is open is for the address
above; sign out and in again to open it from here.</p>
)",
      here.to_string());
}

Html service_list(const role::Me& me) {
  if (me.services.empty())
    return html(
        R"(<p class="empty">There is no service that you may reach. Whoever keeps the policy can change that.</p>
)");
  Html rows;
  for (const auto& service : me.services) rows += service_row(service, me.now);
  return html(R"(<ul class="services">
{}</ul>
)",
              rows);
}

struct Count {
  std::size_t open = 0, opening = 0;
};

Count count_states(const role::Me& me) {
  Count out;
  for (const auto& service : me.services) {
    out.open += state_of(service) == ServiceState::open;
    out.opening += state_of(service) == ServiceState::opening;
  }
  return out;
}

Html top_bar(const role::Me& me) {
  return html(R"(<header class="bar">
<a class="brand" href="/">{}<span>knock</span></a>
<form method="post" action="/auth/sign-out">
<input type="hidden" name="form" value="{}">
<span class="who">{}</span>
<button class="button quiet" type="submit">Sign out</button>
</form>
</header>
)",
              logo(), me.form, me.name);
}

/// The two things that matter most, large: for which address, and for how long.
Html hero(const role::Me& me, const Count& count) {
  std::string_view title = count.open > 0      ? "Open for this address"
                           : count.opening > 0 ? "Opening for this address"
                                               : "Signed in from this address";
  bool is_long = me.address.family() == Family::v6;
  return html(R"(<section class="hero">
<div><h1>{}</h1>
<p class="address mono {}">{}</p></div>
<div class="session"><p>Your session ends in</p>
<p class="big">{}</p>
<p>at {}</p></div>
</section>
)",
              title, is_long ? "v6" : "v4", breakable(me.address), time_left(me.expires, me.now),
              clock_time(me.expires, me.now));
}

}  // namespace

ServiceState state_of(const role::MyService& service) {
  if (!service.allowed) return ServiceState::closed;
  return service.targets > 0 && service.open == service.targets ? ServiceState::open
                                                                : ServiceState::opening;
}

std::string sign_in_page(const SignInView& view) {
  Html address;
  if (view.address)
    address = html(R"(<p class="here"><span>Your address</span><b class="mono">{}</b></p>
)",
                   view.address->to_string());
  auto body = html(R"(<main class="card">
{}
<h1>Sign in to open the door</h1>
<p class="lead">What you may use opens for your address only, and closes by itself when your time is up.</p>
{}{}{}</main>
)",
                   logo(), alert(view.problem), sign_in_ways(view), address);
  return whole_page({"Sign in · knock", "narrow", {}, body});
}

std::string me_page(const role::Me& me, const IpAddress& here) {
  Count count = count_states(me);
  auto summary = std::to_string(count.open) + " of " + std::to_string(me.services.size()) + " open";
  auto head = html(R"(<script src="{}" defer></script>
<noscript><meta http-equiv="refresh" content="{}"></noscript>
)",
                   asset("knock.js").url, count.opening > 0 ? 5 : 60);
  auto body = top_bar(me);
  body += html(R"(<p class="unseen" id="summary" role="status"></p>
<main id="live" data-now="{}" data-opening="{}" data-summary="{}">
{}{}<section>
<h2>What you may reach <span class="count">{}</span></h2>
{}</section>
<p class="foot">Every door closes by itself when its time is up, whether this page is open or not.</p>
</main>
)",
               me.now.ms, count.opening, summary, hero(me, count), elsewhere(me, here),
               me.services.empty() ? "" : summary, service_list(me));
  return whole_page({summary + " · knock", "wide", head, body});
}

std::string message_page(std::string_view title, std::string_view sentence, std::string_view code) {
  auto body = html(R"(<main class="card">
{}
<h1>{}</h1>
<p class="lead">{}</p>
<a class="button" href="/">Back to the start</a>
<p class="code mono">{}</p>
</main>
)",
                   logo(), title, sentence, code);
  return whole_page({std::string(title) + " · knock", "narrow", {}, body});
}

}  // namespace knock::server
