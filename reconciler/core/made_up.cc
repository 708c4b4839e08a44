// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/made_up.h"

#include <algorithm>
#include <set>

namespace knock {
namespace {

/// Longer than any rule's ttl.
constexpr Duration kSession = Duration::hours(24 * 366 * 20);

bool contains(const std::vector<SignInName>& list, const SignInName& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool says(const SignInName& source, const Group& group) {
  return group.from.empty() || contains(group.from, source);
}

Proof proof_of(const SignInName& source) {
  if (source == Sources::grant()) return Proof::grant;
  return source.value == "local" ? Proof::local : Proof::oidc;
}

}  // namespace

void MadeUp::move_to(const IpAddress& address) {
  session.address = address;
  shown.address = address;
}

const SignInName& Sources::grant() {
  static const SignInName name("grant");
  return name;
}

Sources::Sources(const Policy& policy) : policy_(policy) {
  std::set<SignInName> named;
  std::set<std::string> subjects;
  for (const Group& group : policy.groups) {
    named.insert(group.from.begin(), group.from.end());
    ++words_[group.idp];
  }
  for (const AllowRule& rule : policy.allow)
    for (const UserRef& user : rule.users) {
      named.insert(user.source);
      subjects.insert(user.subject);
    }
  named.erase(grant());
  all_.assign(named.begin(), named.end());
  SignInName unnamed("some-source");
  while (named.contains(unnamed)) unnamed.value += "-";
  all_.push_back(unnamed);
  while (subjects.contains(nobody_)) nobody_ += "-";
  std::map<SignInName, std::size_t> says_how_many;
  std::size_t restricted = 0;
  for (const Group& group : policy.groups) {
    restricted += group.from.empty() ? 0 : 1;
    for (const SignInName& name : std::set(group.from.begin(), group.from.end()))
      ++says_how_many[name];
  }
  says_how_many.erase(grant());
  one_says_all_ =
      words_.size() == policy.groups.size() &&
      (restricted == 0 || std::any_of(says_how_many.begin(), says_how_many.end(),
                                      [&](const auto& one) { return one.second == restricted; }));
}

bool Sources::hears(const SignInName& source, const std::vector<GroupName>& groups) const {
  if (source == grant()) return true;
  return std::all_of(groups.begin(), groups.end(),
                     [&](const GroupName& name) { return hears(source, name); });
}

bool Sources::hears(const SignInName& source, const GroupName& name) const {
  if (source == grant()) return true;
  const Group* group = policy_.group(name);
  return group != nullptr && says(source, *group);
}

bool Sources::shares_word(const GroupName& name) const {
  const Group* group = policy_.group(name);
  auto at = group == nullptr ? words_.end() : words_.find(group->idp);
  return at != words_.end() && at->second > 1;
}

std::vector<SignInName> Sources::naming(const std::string& subject) const {
  std::set<SignInName> out;
  for (const AllowRule& rule : policy_.allow)
    for (const UserRef& user : rule.users)
      if (user.subject == subject) out.insert(user.source);
  return {out.begin(), out.end()};
}

std::pair<std::string, std::optional<SignInName>> Sources::split_user(
    const std::string& user) const {
  auto at = user.rfind('@');
  if (at != std::string::npos) {
    SignInName source(user.substr(at + 1));
    // A subject may be an address at some domain.
    if (contains(all_, source) || source.value.find('.') == std::string::npos)
      return {user.substr(0, at), source};
  }
  return {user, std::nullopt};
}

MadeUp Sources::person(const Traits& traits, const IpAddress& address, Instant at) const {
  bool granted = traits.source == grant();
  MadeUp out;
  Session& session = out.session;
  session.id = SessionId("made-up");
  session.principal = {traits.source.value, traits.subject, traits.subject};
  session.source = traits.source;
  session.proof = proof_of(traits.source);
  for (const GroupName& name : traits.groups)
    if (const Group* group = policy_.group(name))
      session.groups.push_back(granted ? name.value : group->idp);
  std::sort(session.groups.begin(), session.groups.end());
  session.groups.erase(std::unique(session.groups.begin(), session.groups.end()),
                       session.groups.end());
  session.created = session.authenticated = at;
  session.expires = at + kSession;
  session.claims = traits.claims;
  session.acr = traits.acr;
  if (traits.mfa_age) session.mfa_at = at - *traits.mfa_age;
  out.shown.user = traits.subject;
  if (!is_unnamed(traits.source)) out.shown.source = traits.source.value;
  out.shown.groups = traits.groups;
  out.shown.claims = traits.claims;
  out.shown.acr = traits.acr;
  out.shown.mfa_age = traits.mfa_age;
  out.shown.at = at;
  out.move_to(address);
  return out;
}

void Sources::approve(MadeUp& person, const AllowRule& rule) const {
  if (!rule.approval || rule.approval->from.empty()) return;
  const Group* group = policy_.group(rule.approval->from.front());
  if (group == nullptr) return;
  Approval approval{rule.name, person.session.principal, {}, "asked for"};
  SignInName source = group->from.empty() ? all_.back() : group->from.front();
  for (unsigned i = 0; i < rule.approval->count; ++i) {
    std::string subject = nobody_ + " who said yes " + std::to_string(i + 1);
    approval.yes.push_back(
        {{source.value, subject, subject}, {group->idp}, source, person.session.created});
  }
  person.approvals.push_back(std::move(approval));
  person.shown.approved = true;
}

}  // namespace knock
