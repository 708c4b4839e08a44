// SPDX-License-Identifier: Apache-2.0
// Messages between front (HTTP, cookies, no secrets but the TLS key) and core. Front can only say
// what a browser said; core decides. Tokens are opaque to front: core makes them, keeps only their
// SHA-256, and ends them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "base/port_range.h"
#include "base/result.h"
#include "base/time.h"
#include "schemas/lasts.h"
#include "schemas/role/ping.h"

namespace knock::role {

// Longest texts, in bytes. Front checks them before it asks: a longer one makes the message invalid at the other end.
inline constexpr std::size_t kLongestToken = 256;  // cookie, form, browser
inline constexpr std::size_t kLongestUser = 128;
inline constexpr std::size_t kLongestPassword = 1024;
inline constexpr std::size_t kLongestParameter = 4096;  // state, code, issuer, error
// Of the API. A policy of 10,000 rules is below 3 MiB; what a loader takes from a disk (64 MiB) is
// too much to be sent by strangers and held three times over on the way.
inline constexpr std::size_t kLongestApiBody = 8u << 20;
inline constexpr std::size_t kLongestApiAnswer = 15u << 20;

struct AskSignIns {
  std::uint64_t request = 0;
};
/// A browser wants to sign in at an OpenID provider. `browser` is a random token front keeps in a
/// cookie; the callback must bring it again, from whatever address: phones change theirs on the way.
struct StartOidc {
  std::uint64_t request = 0;
  SignInName source;
  std::string browser;
  IpAddress address;
};
struct FinishOidc {
  std::uint64_t request = 0;
  std::string state, code, issuer, error, browser;  // query parameters as they came; may be empty
  IpAddress address;
};
struct SignInLocal {
  std::uint64_t request = 0;
  std::string user;
  std::string password;
  IpAddress address;
};
struct AskMe {
  std::uint64_t request = 0;
  std::string cookie;
  IpAddress address;
};
/// `form` is the token that AskMe gave for this cookie: proof that the page was ours.
struct SignOut {
  std::uint64_t request = 0;
  std::string cookie;
  std::string form;
};
struct AskReady {
  std::uint64_t request = 0;
};
/// A machine's request below /api/v1, with the token as it came: front cannot tell a good one.
struct ApiCall {
  std::uint64_t request = 0;
  std::string method, path, query;
  std::string token;
  IpAddress address;
  std::string body;
};

using FromFront = std::variant<AskSignIns, StartOidc, FinishOidc, SignInLocal, AskMe, SignOut,
                               AskReady, Pong, ApiCall>;

struct SignInChoice {
  SignInName source;
  std::string title;
  bool local = false;
};
struct SignIns {
  std::uint64_t request = 0;
  std::vector<SignInChoice> choices;
};
struct GoTo {
  std::uint64_t request = 0;
  std::string url;
};
struct SignedIn {
  std::uint64_t request = 0;
  std::string cookie;
  Instant expires;
};
/// `code` is a stable reason; `sentence` is for the person and gives nothing away.
struct Refused {
  std::uint64_t request = 0;
  std::string code;
  std::string sentence;
};
struct MyService {
  ServiceName service;
  std::vector<PortRange> ports;
  bool allowed = false;               // policy lets this person in from here, now
  Instant until;                      // when allowed
  std::size_t targets = 0, open = 0;  // targets it stands on; those that confirmed
  std::string problem;                // in plain words, when allowed and not open everywhere
  Lasts lasts = Lasts::until_deadline;
  Instant come_by;    // lasts disconnect: no new connection from then on
  bool used = false;  // lasts first_connection: it was made, wherever there is one
};
struct Me {
  std::uint64_t request = 0;
  std::string name;
  IpAddress address;  // the session's, which is what is open
  Instant expires;
  Instant now;
  std::string form;                 // to put into our forms
  std::vector<MyService> services;  // sorted; only those the person may reach
};
struct Ok {
  std::uint64_t request = 0;
  std::string remark = {};  // of a sign-out that is done but not recorded: what the person is told
};
struct Ready {
  std::uint64_t request = 0;
  bool ready = false;
  std::string why;
};

struct ApiAnswer {
  std::uint64_t request = 0;
  std::uint64_t status = 0;
  std::string type;               // of the body
  std::uint64_t retry_after = 0;  // seconds; 0: not said
  std::string body;
};

/// Ping comes unasked; front answers it through the thread that serves people.
using ToFront = std::variant<SignIns, GoTo, SignedIn, Refused, Me, Ok, Ready, Ping, ApiAnswer>;

std::string encode(const FromFront& message);
std::string encode(const ToFront& message);
Result<FromFront> decode_from_front(std::string_view body);
Result<ToFront> decode_to_front(std::string_view body);
std::uint64_t request_of(const FromFront& message);
std::uint64_t request_of(const ToFront& message);

}  // namespace knock::role
