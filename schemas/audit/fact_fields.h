// SPDX-License-Identifier: Apache-2.0
// The members of every kind of fact, once, for encoding and decoding both: what is written is what
// is read. A codec has
//   shown(key, value)     a member of the public part: ids, services, rules, targets, times,
//   counts, words of our own personal(key, value)  a member of the personal part: whatever names a
//   person, is an address, gives one away (an
//                         entry's id is a hash of an address, which 2^32 tries undo), or is free
//                         text
//   causes(value)         attributions: who goes to the personal part, the rest to the public one
// and kReading. Only schemas/audit/fact.cc includes this.
#pragma once

#include <type_traits>

#include "schemas/audit/fact.h"

namespace knock::fact_fields {

template <class Codec, class T>
using For = std::conditional_t<Codec::kReading, T, const T>;

template <class C>
void members(C& c, For<C, ControllerStarted>& f) {
  c.shown("version", f.version);
  c.shown("roles", f.roles);
}

template <class C>
void members(C& c, For<C, PolicyAdopted>& f) {
  c.shown("revision", f.revision);
  c.shown("previous", f.previous);
  c.shown("acknowledged_plan", f.acknowledged_plan);
  c.personal("author", f.author);
  c.personal("subject", f.subject);
}

template <class C>
void members(C& c, For<C, PolicyRefused>& f) {
  c.shown("revision", f.revision);
  c.shown("why", f.why);
}

template <class C>
void members(C& c, For<C, PolicyAdvanced>& f) {
  c.shown("revision", f.revision);
  c.shown("previous", f.previous);
  c.shown("held", f.held);
  c.shown("how", f.how);
  c.personal("reason", f.reason);
}

template <class C>
void members(C& c, For<C, SessionEnd>& f) {
  c.shown("ended", f.at);
  c.shown("cause", f.cause);
}

template <class C>
void members(C& c, For<C, SessionOpened>& f) {
  auto& session = f.session;
  c.shown("session", session.id);
  c.shown("source", session.source);
  c.shown("proof", session.proof);
  c.shown("created", session.created);
  c.shown("expires", session.expires);
  c.shown("authenticated", session.authenticated);
  c.shown("mfa_at", session.mfa_at);
  c.shown("end", session.end);
  c.personal("issuer", session.principal.issuer);
  c.personal("subject", session.principal.subject);
  c.personal("name", session.principal.name);
  c.personal("groups", session.groups);
  c.personal("claims", session.claims);
  c.personal("acr", session.acr);
  c.personal("address", session.address);
  c.personal("reason", session.reason);
}

template <class C>
void members(C& c, For<C, SessionExtended>& f) {
  c.shown("session", f.session);
  c.shown("expires", f.expires);
  c.personal("reason", f.reason);
}

template <class C>
void members(C& c, For<C, SessionEnded>& f) {
  c.shown("session", f.session);
  members(c, f.end);
  c.personal("reason", f.reason);
}

template <class C>
void members(C& c, For<C, SignInRefused>& f) {
  c.shown("source", f.source);
  c.shown("code", f.code);
  c.personal("claimed", f.claimed);
  c.personal("address", f.address);
}

template <class C>
void members(C& c, For<C, Change>& f) {
  c.shown("action", f.action);
  c.shown("reason", f.reason);
  c.shown("step", f.step);
  c.shown("slot", f.slot);
  c.shown("ports", f.ports);
  c.shown("until", f.until);
  c.shown("was_until", f.was_until);
  c.shown_unless_default("lasts", f.lasts);
  c.shown_unless_default("come_by", f.come_by);
  c.shown_unless_default("ticket", f.ticket);
  c.shown_unless_default("released", f.released);
  c.causes(f.causes);
  c.personal("prefix", f.prefix);
  c.personal("keep", f.keep);
  c.personal("entry", f.entry);
  c.personal("handle", f.handle);
  c.personal("detail", f.detail);
}

template <class C>
void members(C& c, For<C, ChangeIntended>& f) {
  c.shown("batch", f.batch);
  c.shown("target", f.target);
  c.shown("policy", f.policy);
  members(c, f.change);
}

template <class C>
void members(C& c, For<C, ChangeApplied>& f) {
  c.shown("batch", f.batch);
  c.shown("target", f.target);
  c.shown("policy", f.policy);
  members(c, f.change);
}

template <class C>
void members(C& c, For<C, ChangeRejected>& f) {
  c.shown("batch", f.batch);
  c.shown("target", f.target);
  c.shown("unknown", f.unknown);
  c.personal("why", f.why);
  members(c, f.change);
}

template <class C>
void members(C& c, For<C, EntryExpired>& f) {
  c.shown("target", f.target);
  c.shown("slot", f.slot);
  c.shown("expired", f.at);
  c.personal("prefix", f.prefix);
}

template <class C>
void members(C& c, For<C, DriftFound>& f) {
  c.shown("target", f.target);
  c.shown("slot", f.slot);
  c.personal("prefix", f.prefix);
  c.personal("what", f.what);
}

template <class C>
void members(C& c, For<C, AccountChanged>& f) {
  c.shown("what", f.what);
  c.personal("user", f.user);
}

template <class C>
void members(C& c, For<C, PlanUsed>& f) {
  c.shown("nonce", f.nonce);
  c.shown("plan", f.id);
}

template <class C>
void members(C& c, For<C, GuardAcknowledged>& f) {
  c.shown("plan", f.plan);
  c.shown("target", f.target);
}

template <class C>
void members(C& c, For<C, OwnershipChanged>& f) {
  c.shown("target", f.target);
  c.shown("what", f.what);
  c.shown("place", f.place);
  c.shown_unless_default("former", f.former);
  c.shown("plan", f.plan);
  c.shown("entries", f.entries);
}

template <class C>
void members(C& c, For<C, TargetPaused>& f) {
  c.shown("target", f.target);
  c.shown("until", f.until);
  c.personal("reason", f.reason);
}

template <class C>
void members(C& c, For<C, TargetResumed>& f) {
  c.shown("target", f.target);
  c.personal("reason", f.reason);
}

template <class C>
void members(C& c, For<C, KeyChanged>& f) {
  c.shown("key", f.key);
  c.shown("what", f.what);
  c.shown("scopes", f.scopes);
  c.shown("expires", f.expires);
  c.personal("from", f.from);
}

template <class C>
void members(C& c, For<C, KeyRefused>& f) {
  c.shown("key", f.key);
  c.shown("code", f.code);
  c.personal("address", f.address);
}

template <class C>
void members(C& c, For<C, StoreRestored>& f) {
  c.shown("taken", f.taken);
  c.shown("head", f.head);
  c.shown("how", f.how);
  c.shown("evidence", f.evidence);
}

template <class C>
void members(C& c, For<C, StoreRecovered>& f) {
  c.shown("sessions", f.sessions);
  c.personal("reason", f.reason);
}

template <class C>
void members(C& c, For<C, SessionGroups>& f) {
  c.shown("session", f.session);
  c.shown("lost", f.lost);
  c.shown("kept_until", f.kept_until);
  c.personal("groups", f.groups);
}

template <class C>
void members(C& c, For<C, SourceSuspected>& f) {
  c.shown("source", f.source);
  c.shown("lost", f.lost);
  c.shown("of", f.of);
  c.shown("until", f.until);
}

template <class C>
void members(C& c, For<C, SourceCleared>& f) {
  c.shown("source", f.source);
  c.shown("how", f.how);
}

template <class C>
void members(C& c, For<C, ConfirmationDue>& f) {
  c.shown("target", f.target);
  c.shown("policy", f.policy);
  c.shown("previous", f.previous);
  c.shown("due", f.due);
  c.shown("plan", f.plan);
}

template <class C>
void members(C& c, For<C, PolicyConfirmed>& f) {
  c.shown("target", f.target);
  c.shown("policy", f.policy);
  c.shown("how", f.how);
}

template <class C>
void members(C& c, For<C, PolicyReturned>& f) {
  c.shown("target", f.target);
  c.shown("policy", f.policy);
  c.shown("previous", f.previous);
}

}  // namespace knock::fact_fields
