// SPDX-License-Identifier: Apache-2.0
// One message of every kind between front, core and its verifier, in the order of their variants.
#pragma once

#include <vector>

#include "schemas/role/front.h"
#include "schemas/role/verifier.h"

namespace knock::role::samples {

inline const IpAddress kAddress = *IpAddress::parse("2001:db8::7");

inline std::vector<FromFront> from_front() {
  return {AskSignIns{1},
          StartOidc{2, SignInName("corp"), "browser-token", kAddress},
          FinishOidc{3, "state", "code", "https://idp.example", "", "browser-token", kAddress},
          SignInLocal{4, "ana", "p\xc3\xa4ss\nword", kAddress},
          AskMe{5, "cookie", *IpAddress::parse("192.0.2.1")},
          SignOut{6, "cookie", "form"},
          AskReady{UINT64_MAX},
          Pong{7},
          ApiCall{8, "POST", "/api/v1/plan", "a=b", "knock_x", kAddress, "{}"}};
}

inline std::vector<ToFront> to_front() {
  Me me{5, "Ana", kAddress, Instant{2000}, Instant{1000}, "form", {}};
  me.services.push_back({ServiceName("payroll"),
                         {*PortRange::parse("tcp/443")},
                         true,
                         Instant{1500},
                         3,
                         2,
                         "edge is late",
                         Lasts::disconnect,
                         Instant{1200},
                         true});
  me.services.push_back({ServiceName("ssh"),
                         {*PortRange::parse("tcp/22"), *PortRange::parse("udp/60000-61000")},
                         false,
                         {},
                         0,
                         0,
                         ""});
  return {SignIns{1, {{SignInName("corp"), "Corp", false}, {SignInName("local"), "", true}}},
          GoTo{2, "https://idp.example/authorize?x=y"},
          SignedIn{3, "cookie", Instant{99}},
          Refused{4, "code", "Sentence."},
          me,
          Ok{6, "Recorded later."},
          Ready{7, true, ""},
          Ping{UINT64_MAX},
          ApiAnswer{8, 429, "application/problem+json", 60, "{}"}};
}

inline std::vector<ToVerifier> to_verifier() {
  return {CheckPassword{1, "$argon2id$…", "secret"},
          MakeUrl{2, SignInName("corp"), "https://k.example/auth/callback", "s", "n", "c",
                  Duration::minutes(15)},
          ExchangeCode{3,
                       SignInName("corp"),
                       "https://k.example/auth/callback",
                       "code",
                       "v",
                       "n",
                       "",
                       Instant{-5},
                       {"department", "site"}},
          Ping{4}};
}

inline std::vector<FromVerifier> from_verifier() {
  return {PasswordChecked{1, true}, UrlMade{2, "https://idp.example/"},
          Proven{3,
                 "https://idp.example",
                 "sub",
                 "Ana",
                 {"a", "b"},
                 Instant{7},
                 {{"department", {"eng", "ops"}}, {"site", {}}},
                 "gold",
                 Instant{5}},
          NotProven{4, "token.signature", "no key fits"}, Pong{5}};
}

}  // namespace knock::role::samples
