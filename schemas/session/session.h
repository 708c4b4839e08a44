// SPDX-License-Identifier: Apache-2.0
// A proven principal at a source address, with an end. Every way in (OIDC, local account, an operator's grant, later
// SAML, LDAP, API keys, single packets, port sequences) becomes this one value; nothing behind it asks how.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"

namespace knock {

/// Who, as the identity provider says: (issuer, subject) is the identity; the name is for people's eyes only.
struct Principal {
  std::string issuer;  // "https://idp.example", "local", "grant"
  std::string subject;
  std::string name;  // shown; never compared
  /// "subject@issuer", the key under which a person is known in the log and in `why`.
  std::string key() const { return subject + "@" + issuer; }
  friend auto operator<=>(const Principal& a, const Principal& b) {
    if (auto by_issuer = a.issuer <=> b.issuer; by_issuer != 0) return by_issuer;
    return a.subject <=> b.subject;
  }
  friend bool operator==(const Principal& a, const Principal& b) {
    return a.issuer == b.issuer && a.subject == b.subject;
  }
};

/// How a session came to be.
enum class Proof { oidc, local, grant };
std::string_view to_string(Proof proof);
std::optional<Proof> proof_from(std::string_view text);

/// `restored`: the store came from an old backup, and nobody knows whether it had ended since.
enum class EndCause { expired, signed_out, revoked, replaced, restored };
std::string_view to_string(EndCause cause);
std::optional<EndCause> end_cause_from(std::string_view text);

struct SessionEnd {
  Instant at;
  EndCause cause = EndCause::expired;
  friend auto operator<=>(const SessionEnd&, const SessionEnd&) = default;
};

struct Session {
  SessionId id;
  Principal principal;
  SignInName source;  // the sign-in source of knock.yaml; "local"; "grant"
  Proof proof = Proof::local;
  std::vector<std::string>
      groups;  // sorted; as the source names them; for "grant": policy's group names
  IpAddress address;
  Instant created;
  Instant expires;        // hard cap, whole seconds
  Instant authenticated;  // when the proof was given
  /// What else the source said: claims with their values (sorted), how strong the sign-in was, and
  /// when a second factor was shown. Empty where a source says nothing.
  std::map<std::string, std::vector<std::string>> claims;
  std::string acr;
  std::optional<Instant> mfa_at;
  std::string reason;  // grants: why
  /// Its source, which is suspect, says no groups of it any more: those of before hold until then.
  std::optional<Instant> groups_until;
  /// Groups were taken from it since it began: what they gave closes at once.
  bool groups_lost = false;
  std::optional<SessionEnd> end;

  bool live_at(Instant now) const { return !end && now < expires; }
};

/// Others said yes to one person under one rule.
struct Approval {
  RuleName rule;
  Principal who;
  struct Yes {
    Principal by;
    std::vector<std::string> groups;  // of the one who said yes, sorted, as `source` names them
    SignInName source;
    Instant at;
  };
  std::vector<Yes> yes;
  std::string reason;  // the person's own
};

}  // namespace knock
