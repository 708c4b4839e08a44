// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/sign_ins.h"

#include <algorithm>
#include <functional>
#include <string>

namespace knock {

SignIns::SignIns(std::span<const Session> sessions, Instant now) : sessions_(sessions) {
  number_people(now);
  sort_by_person();
  sort_by_address();
}

std::size_t SignIns::PrincipalHash::operator()(const Principal* who) const {
  // Issuers are few; subjects alone tell people apart nearly always.
  return std::hash<std::string>()(who->subject);
}

void SignIns::number_people(Instant now) {
  number_.assign(sessions_.size(), kNobody);
  numbers_.reserve(sessions_.size());
  for (std::size_t i = 0; i < sessions_.size(); ++i) {
    if (!sessions_[i].live_at(now)) continue;
    auto next = std::uint32_t(numbers_.size());
    number_[i] = numbers_.try_emplace(&sessions_[i].principal, next).first->second;
  }
}

void SignIns::sort_by_person() {
  starts_.assign(numbers_.size() + 1, 0);
  for (std::uint32_t number : number_)
    if (number != kNobody) ++starts_[number + 1];
  for (std::size_t p = 1; p < starts_.size(); ++p) starts_[p] += starts_[p - 1];
  by_person_.resize(starts_.back());
  auto next = starts_;
  for (std::size_t i = 0; i < sessions_.size(); ++i)
    if (number_[i] != kNobody) by_person_[next[number_[i]]++] = &sessions_[i];
}

void SignIns::sort_by_address() {
  std::vector<std::pair<IpAddress, std::uint32_t>> live;
  live.reserve(by_person_.size());
  for (std::size_t i = 0; i < sessions_.size(); ++i)
    if (number_[i] != kNobody) live.emplace_back(sessions_[i].address, number_[i]);
  std::sort(live.begin(), live.end());
  live.erase(std::unique(live.begin(), live.end()), live.end());
  people_.reserve(live.size());
  for (const auto& [address, number] : live) {
    auto at = std::uint32_t(people_.size());
    if (places_.empty() || places_.back().address != address) places_.push_back({address, at, at});
    people_.push_back(number);
    ++places_.back().last;
  }
}

std::optional<std::size_t> SignIns::index_of(const Session& session) const {
  const Session* begin = sessions_.data();
  bool inside =
      std::less_equal<>()(begin, &session) && std::less<>()(&session, begin + sessions_.size());
  if (!inside) return std::nullopt;
  return std::size_t(&session - begin);
}

std::uint32_t SignIns::number_of(const Session& session) const {
  if (auto index = index_of(session); index && number_[*index] != kNobody) return number_[*index];
  auto found = numbers_.find(&session.principal);
  return found == numbers_.end() ? kNobody : found->second;
}

SignIns::Person SignIns::person_of(const Session& session) const {
  Person out;
  out.number = number_of(session);
  if (out.number == kNobody) return out;
  std::size_t first = starts_[out.number], last = starts_[out.number + 1];
  out.sessions = std::span(by_person_).subspan(first, last - first);
  out.known = std::any_of(out.sessions.begin(), out.sessions.end(), [&](const Session* one) {
    return one == &session || one->id == session.id;
  });
  return out;
}

std::vector<SignIns::Place>::const_iterator SignIns::first_place(const IpAddress& address) const {
  return std::lower_bound(places_.begin(), places_.end(), address,
                          [](const Place& a, const IpAddress& b) { return a.address < b; });
}

SignIns::Numbers SignIns::people_at(const IpAddress& address) const {
  auto place = first_place(address);
  if (place == places_.end() || place->address != address) return {};
  return Numbers(people_).subspan(place->first, place->last - place->first);
}

SignIns::Numbers SignIns::people_around(const Prefix& prefix) {
  auto [at, fresh] = around_.try_emplace(prefix);
  auto& people = at->second;
  if (fresh) {
    for (auto p = first_place(prefix.first()); p != places_.end() && prefix.contains(p->address);
         ++p)
      people.insert(people.end(), people_.begin() + p->first, people_.begin() + p->last);
    std::sort(people.begin(), people.end());
    people.erase(std::unique(people.begin(), people.end()), people.end());
  }
  return people;
}

std::size_t SignIns::people_in(const Prefix& prefix, const Session& session) {
  Numbers people = prefix.is_host() ? people_at(prefix.first()) : people_around(prefix);
  auto number = number_of(session);
  bool counted = number != kNobody && std::binary_search(people.begin(), people.end(), number);
  return people.size() + (counted ? 0 : 1);
}

}  // namespace knock
