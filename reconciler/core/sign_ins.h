// SPDX-License-Identifier: Apache-2.0
// The sessions that live at an instant, found by person and by address: what rules that count ask
// of the sessions of others. Sorted once, without comparing a name twice. Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/prefix.h"
#include "schemas/session/session.h"

namespace knock {

class SignIns {
 public:
  /// The sessions outlive it; some may have ended.
  SignIns(std::span<const Session> sessions, Instant now);

  /// A person by number, and their live sessions.
  struct Person {
    std::uint32_t number = kNobody;  // kNobody: no live session is theirs
    std::span<const Session* const> sessions;
    bool known = false;  // the session asked about is one of them; else somebody asks what would be
  };
  Person person_of(const Session& session) const;

  /// People with a live session in the prefix, and the one whose session this is.
  std::size_t people_in(const Prefix& prefix, const Session& session);

  static constexpr std::uint32_t kNobody = ~std::uint32_t{0};

 private:
  using Numbers = std::span<const std::uint32_t>;  // of people; sorted, unique
  struct PrincipalHash {
    std::size_t operator()(const Principal* who) const;
  };
  struct SamePrincipal {
    bool operator()(const Principal* a, const Principal* b) const { return *a == *b; }
  };
  struct Place {
    IpAddress address;
    std::uint32_t first = 0, last = 0;  // in `people_`
  };

  void number_people(Instant now);
  void sort_by_person();
  void sort_by_address();
  std::uint32_t number_of(const Session& session) const;
  /// Its place among `sessions_`; nothing for a session from elsewhere, a copy for instance.
  std::optional<std::size_t> index_of(const Session& session) const;
  std::vector<Place>::const_iterator first_place(const IpAddress& address) const;
  Numbers people_at(const IpAddress& address) const;
  Numbers people_around(const Prefix& prefix);

  std::span<const Session> sessions_;
  std::vector<std::uint32_t> number_;  // of whom each session is; kNobody: it has ended
  std::unordered_map<const Principal*, std::uint32_t, PrincipalHash, SamePrincipal> numbers_;
  std::vector<const Session*> by_person_;
  std::vector<std::uint32_t> starts_;  // by person: where theirs begin in `by_person_`; one more
  std::vector<Place> places_;          // sorted by address
  std::vector<std::uint32_t> people_;
  std::map<Prefix, std::vector<std::uint32_t>> around_;  // of prefixes wider than an address
};

}  // namespace knock
