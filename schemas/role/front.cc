// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/front.h"

#include "schemas/role/fields.h"

namespace knock::role {
namespace {

constexpr std::uint8_t kFromFront = 1, kToFront = 33;
constexpr std::size_t kLongestName = 64, kLongestUrl = 8192, kLongestShown = 1024;
constexpr std::size_t kLongestMethod = 8;
constexpr std::uint32_t kMostChoices = 64, kMostServices = 10'000, kMostPorts = 1024;

// ── from front

template <class Io>
void fields(Io& io, Part<Io, AskSignIns>& m) {
  io.number(m.request);
}
template <class Io>
void fields(Io& io, Part<Io, StartOidc>& m) {
  io.number(m.request);
  io.name(m.source, kLongestName);
  io.text(m.browser, kLongestToken);
  io.address(m.address);
}
template <class Io>
void fields(Io& io, Part<Io, FinishOidc>& m) {
  io.number(m.request);
  for (auto* text : {&m.state, &m.code, &m.issuer, &m.error}) io.text(*text, kLongestParameter);
  io.text(m.browser, kLongestToken);
  io.address(m.address);
}
template <class Io>
void fields(Io& io, Part<Io, SignInLocal>& m) {
  io.number(m.request);
  io.text(m.user, kLongestUser);
  io.text(m.password, kLongestPassword);
  io.address(m.address);
}
template <class Io>
void fields(Io& io, Part<Io, AskMe>& m) {
  io.number(m.request);
  io.text(m.cookie, kLongestToken);
  io.address(m.address);
}
template <class Io>
void fields(Io& io, Part<Io, SignOut>& m) {
  io.number(m.request);
  io.text(m.cookie, kLongestToken);
  io.text(m.form, kLongestToken);
}
template <class Io>
void fields(Io& io, Part<Io, AskReady>& m) {
  io.number(m.request);
}

template <class Io>
void fields(Io& io, Part<Io, Pong>& m) {
  io.number(m.request);
}
template <class Io>
void fields(Io& io, Part<Io, ApiCall>& m) {
  io.number(m.request);
  io.text(m.method, kLongestMethod);
  io.text(m.path, kLongestName * 2);
  io.text(m.query, kLongestParameter);
  io.text(m.token, kLongestToken);
  io.address(m.address);
  io.text(m.body, kLongestApiBody);
}

// ── to front

template <class Io>
void fields(Io& io, Part<Io, SignIns>& m) {
  io.number(m.request);
  io.list(m.choices, kMostChoices, 9, [](auto& each, auto& choice) {
    each.name(choice.source, kLongestName);
    each.shown(choice.title, kLongestShown);
    each.flag(choice.local);
  });
}
template <class Io>
void fields(Io& io, Part<Io, GoTo>& m) {
  io.number(m.request);
  io.text(m.url, kLongestUrl);
}
template <class Io>
void fields(Io& io, Part<Io, SignedIn>& m) {
  io.number(m.request);
  io.text(m.cookie, kLongestToken);
  io.instant(m.expires);
}
template <class Io>
void fields(Io& io, Part<Io, Refused>& m) {
  io.number(m.request);
  io.text(m.code, kLongestName);
  io.shown(m.sentence, kLongestShown);
}
template <class Io>
void service(Io& io, Part<Io, MyService>& m) {
  io.name(m.service, kLongestName);
  io.list(m.ports, kMostPorts, 5, [](auto& each, auto& port) { each.port(port); });
  io.flag(m.allowed);
  io.instant(m.until);
  std::uint64_t targets = m.targets, open = m.open;
  io.number(targets);
  io.number(open);
  io.shown(m.problem, kLongestShown);
  std::uint64_t lasts = std::uint64_t(m.lasts);
  io.number(lasts);
  io.instant(m.come_by);
  io.flag(m.used);
  if constexpr (Io::kReads) {
    io.demand(open <= targets && lasts <= std::uint64_t(Lasts::disconnect));
    m.lasts = Lasts(lasts);
    m.targets = targets;
    m.open = open;
  }
}
template <class Io>
void fields(Io& io, Part<Io, Me>& m) {
  io.number(m.request);
  io.shown(m.name, kLongestShown);
  io.address(m.address);
  io.instant(m.expires);
  io.instant(m.now);
  io.text(m.form, kLongestToken);
  io.list(m.services, kMostServices, 55, [](auto& each, auto& item) { service(each, item); });
}
template <class Io>
void fields(Io& io, Part<Io, Ok>& m) {
  io.number(m.request);
  io.shown(m.remark, kLongestShown);
}
template <class Io>
void fields(Io& io, Part<Io, Ready>& m) {
  io.number(m.request);
  io.flag(m.ready);
  io.shown(m.why, kLongestShown);
}

template <class Io>
void fields(Io& io, Part<Io, Ping>& m) {
  io.number(m.request);
}
template <class Io>
void fields(Io& io, Part<Io, ApiAnswer>& m) {
  io.number(m.request);
  io.number(m.status);
  io.text(m.type, kLongestName);
  io.number(m.retry_after);
  io.text(m.body, kLongestApiAnswer);
}

constexpr auto kFields = [](auto& io, auto& message) { fields(io, message); };

}  // namespace

std::string encode(const FromFront& message) {
  return encode_variant(message, kFromFront, kFields);
}
std::string encode(const ToFront& message) { return encode_variant(message, kToFront, kFields); }

Result<FromFront> decode_from_front(std::string_view body) {
  return decode_variant<FromFront>(body, kFromFront, "message from front", kFields);
}
Result<ToFront> decode_to_front(std::string_view body) {
  return decode_variant<ToFront>(body, kToFront, "message to front", kFields);
}

std::uint64_t request_of(const FromFront& message) {
  return std::visit([](const auto& m) { return m.request; }, message);
}
std::uint64_t request_of(const ToFront& message) {
  return std::visit([](const auto& m) { return m.request; }, message);
}

}  // namespace knock::role
