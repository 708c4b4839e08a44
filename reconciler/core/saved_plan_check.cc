// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/saved_plan_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/core/order.h"
#include "reconciler/core/plan.h"
#include "reconciler/core/render_words.h"

namespace knock {
namespace {

constexpr std::string_view kNewOne = "make a new one with knock plan --out";
constexpr std::string_view kNewOrReplan =
    "make a new plan with knock plan --out, or let apply compute it again with --replan";
constexpr std::size_t kMostShown = 3, kMostLines = 20, kMostNames = 5;

std::string name_of(const std::optional<Ed25519Public>& key) {
  if (!key) return "none";
  return base64url({reinterpret_cast<const char*>(key->data()), key->size()}).substr(0, 12);
}

std::string name_of(const PolicyRevision& revision) {
  return revision.empty() ? "none" : printable(short_revision(revision));
}

std::string digest_name(const std::optional<Digest>& digest) {
  return digest ? to_hex(*digest).substr(0, 12) : "unknown";
}

// ---- what sessions and time did ----

/// Prefixes whose entries under a policy are others now than they were when the plan was made,
/// with the same policy: sessions and time did that.
class MovedBySessions {
 public:
  MovedBySessions(std::span<const Session> today, Instant now, std::span<const Prefix> keep)
      : today_(today), keep_(keep), now_(now) {}

  void under(const Policy& policy, std::span<const Session> then, Instant was) {
    auto before = evaluate({policy, then, was, keep_});
    auto after = evaluate({policy, today_, now_, keep_});
    // The same policy gives the same targets and services in the same order.
    for (std::size_t t = 0; t < before.size(); ++t)
      for (std::size_t s = 0; s < before[t].services.size(); ++s)
        compare(moved_[{before[t].target, before[t].services[s].service.value}],
                before[t].services[s].entries, after[t].services[s].entries);
  }
  void finish() {
    for (auto& [place, prefixes] : moved_) prefixes = without_nested(std::move(prefixes));
  }

  bool at(const TargetName& target, const Change& change) const {
    auto found = moved_.find({target, change.slot});
    if (found == moved_.end() || !about_entry(change)) return false;
    const auto& prefixes = found->second;
    auto next = std::upper_bound(prefixes.begin(), prefixes.end(), change.prefix);
    return next != prefixes.begin() && std::prev(next)->contains(change.prefix);
  }

  static bool about_entry(const Change& change) {
    return change.action == Action::add || change.action == Action::extend ||
           change.action == Action::shorten || change.action == Action::remove;
  }

 private:
  /// Who signs in anew is given one connection more, which no deadline tells.
  static bool same_end(const Entry& a, const Entry& b) {
    return a.until == b.until && a.lasts == b.lasts && a.come_by == b.come_by &&
           (a.lasts != Lasts::first_connection || a.causes == b.causes);
  }

  static void compare(std::vector<Prefix>& out, const std::vector<Entry>& before,
                      const std::vector<Entry>& after) {
    auto a = before.begin();
    auto b = after.begin();
    while (a != before.end() || b != after.end()) {
      if (b == after.end() || (a != before.end() && a->prefix < b->prefix))
        out.push_back((a++)->prefix);
      else if (a == before.end() || b->prefix < a->prefix)
        out.push_back((b++)->prefix);
      else {
        if (!same_end(*a, *b)) out.push_back(a->prefix);
        ++a, ++b;
      }
    }
  }

  std::span<const Session> today_;
  std::span<const Prefix> keep_;
  Instant now_;
  std::map<std::pair<TargetName, std::string>, std::vector<Prefix>> moved_;
};

/// Those that lived at `then`, as they were: whoever ended later had not ended. Of one that began in
/// the very millisecond nobody knows.
std::vector<Session> sessions_as_of(std::span<const Session> known, Instant then, bool very_then) {
  std::vector<Session> out;
  for (const Session& session : known) {
    if (session.created > then || session.expires <= then) continue;
    if (session.created == then && !very_then) continue;
    if (session.end && session.end->at <= then) continue;
    out.push_back(session);
    out.back().end.reset();
  }
  return out;
}

std::vector<Session> live_ones(std::span<const Session> known, Instant now) {
  std::vector<Session> out;
  for (const Session& session : known)
    if (session.live_at(now)) out.push_back(session);
  return out;
}

SessionsSince since(std::span<const Session> known, Instant then, Instant now) {
  SessionsSince out;
  out.since = then;
  for (const Session& session : known) {
    bool lived = session.created <= then && then < session.expires &&
                 !(session.end && session.end->at <= then);
    bool lives = session.live_at(now);
    if (lived == lives) continue;
    auto& list = lives                                     ? out.signed_in
                 : !session.end                            ? out.ran_out
                 : session.end->cause == EndCause::revoked ? out.revoked
                 : session.end->cause == EndCause::expired ? out.ran_out
                                                           : out.signed_out;
    if (lives || lived) list.push_back(session.principal.name);
  }
  for (auto* list : {&out.signed_in, &out.signed_out, &out.revoked, &out.ran_out})
    std::sort(list->begin(), list->end());
  return out;
}

// ---- changes, compared ----

/// What is done; not why. A reason may change while the deed is the same.
auto deed(const Change& change) {
  return std::tie(change.action, change.slot, change.prefix, change.ports, change.keep,
                  change.until, change.lasts, change.come_by, change.ticket);
}

class Deeds {
 public:
  explicit Deeds(const std::vector<Change>& changes) {
    for (const Change& change : changes)
      if (change.action != Action::report) sorted_.push_back(&change);
    std::sort(sorted_.begin(), sorted_.end(), before);
  }
  bool have(const Change& change) const {
    return std::binary_search(sorted_.begin(), sorted_.end(), &change, before);
  }

 private:
  static bool before(const Change* a, const Change* b) { return deed(*a) < deed(*b); }
  std::vector<const Change*> sorted_;
};

std::string to_line(const Change& change) {
  std::string out(1, look_of(change.action).sign);
  out += fmt::format(" {}", to_string(change.action));
  if (MovedBySessions::about_entry(change)) out += " " + change.prefix.to_string();
  if (!change.ports.empty()) out += " " + to_string(change.ports);
  if (!change.slot.empty()) out += " " + printable(change.slot);
  for (const Prefix& keep : change.keep) out += " " + keep.to_string();
  if (change.until) out += " until " + to_string(*change.until);
  if (change.ticket) out += ", for one connection";
  if (change.lasts == Lasts::disconnect)
    out += ", for connections until " + to_string(change.come_by);
  return out;
}

/// Canonical YAML on one line, or its beginning.
std::string shortened(const std::string& yaml) {
  constexpr std::size_t kMost = 100;
  if (yaml.empty()) return "nothing";
  auto text = printable(yaml);
  if (text.size() <= kMost) return text;
  auto end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

/// Where in its files it stands is no matter.
bool same_edit(const PolicyEdit& a, const PolicyEdit& b) {
  return std::tie(a.kind, a.section, a.name, a.before, a.after) ==
         std::tie(b.kind, b.section, b.name, b.before, b.after);
}

bool policys_own(const Change& change) {
  return change.reason == Reason::policy || change.reason == Reason::configuration;
}

/// Something that no session moves: what a reviewer looked at.
bool touched(const TargetPlan& target) {
  return !target.held.empty() ||
         std::any_of(target.changes.begin(), target.changes.end(), [](const Change& change) {
           return change.action != Action::report && group_of(change.reason) != "session";
         });
}

/// The loop puts structure right at once, so that its state is another soon after.
bool heals_structure(const TargetPlan& target) {
  return std::any_of(target.changes.begin(), target.changes.end(), [](const Change& change) {
    return change.reason == Reason::drift && change.action != Action::report &&
           !MovedBySessions::about_entry(change);
  });
}

/// Many differences as one sentence for each fact.
class Differences {
 public:
  void add(const std::string& id, const TargetName& target, std::string sentence) {
    auto& list = found_[{id, target}];
    ++list.count;
    if (list.first.size() < kMostShown) list.first.push_back(std::move(sentence));
  }
  std::vector<PlanRefusal> refusals() const {
    std::vector<PlanRefusal> out;
    for (const auto& [what, list] : found_) {
      auto rest = list.count - list.first.size();
      out.push_back(
          {what.first,
           fmt::format("{}{}{}{}", printable(what.second.value), what.second.empty() ? "" : ": ",
                       join(list.first, "; "), rest > 0 ? fmt::format("; and {} more", rest) : ""),
           std::string(kNewOrReplan)});
    }
    return out;
  }

 private:
  struct List {
    std::size_t count = 0;
    std::vector<std::string> first;
  };
  std::map<std::pair<std::string, TargetName>, List> found_;
};

class Comparer {
 public:
  Comparer(const CompareInput& input, const MovedBySessions& moved, PlanComparison& out)
      : in_(input), moved_(moved), out_(out) {}

  void run() {
    bool same = std::equal(in_.shown.edits.begin(), in_.shown.edits.end(), in_.now.edits.begin(),
                           in_.now.edits.end(), same_edit);
    if (!same) edits();
    static const TargetPlan nothing;
    std::map<TargetName, std::pair<const TargetPlan*, const TargetPlan*>> pairs;
    for (const TargetPlan& target : in_.shown.targets) pairs[target.target] = {&target, &nothing};
    for (const TargetPlan& target : in_.now.targets) {
      auto& pair = pairs.try_emplace(target.target, &nothing, nullptr).first->second;
      pair.second = &target;
    }
    for (const auto& [name, pair] : pairs) targets(name, *pair.first, *pair.second);
    out_.refusals = differences_.refusals();
  }

 private:
  /// Elements of the policy that one plan has and the other has not, or says otherwise.
  void edits() {
    auto only_in = [](const Plan& one, const Plan& other) {
      std::vector<std::string> out;
      for (const PolicyEdit& edit : one.edits)
        if (std::none_of(other.edits.begin(), other.edits.end(),
                         [&](const PolicyEdit& same) { return same_edit(edit, same); }))
          out.push_back(fmt::format("{} {} {}: {} → {}", to_string(edit.kind),
                                    printable(edit.section), printable(edit.name),
                                    shortened(edit.before), shortened(edit.after)));
      return out.empty() ? "nothing more" : some_of(out, kMostShown, out.size());
    };
    differences_.add("saved-plan.policy", TargetName(),
                     fmt::format("of the policy's elements the plan shows {}; now it would be {}",
                                 only_in(in_.shown, in_.now), only_in(in_.now, in_.shown)));
  }

  void targets(const TargetName& name, const TargetPlan& shown, const TargetPlan& now) {
    bool concerned = touched(shown) || touched(now);
    if (shown.readable != now.readable && concerned) {
      differences_.add("saved-plan.target", name,
                       shown.readable
                           ? "could be read when the plan was made, and cannot be now: " +
                                 printable(now.unreadable_because)
                           : "could not be read when the plan was made (" +
                                 printable(shown.unreadable_because) + "), and can be now");
      return;
    }
    if (concerned && shown.readable && shown.state != now.state && !heals_structure(shown) &&
        now.target == shown.target)
      differences_.add(
          "saved-plan.target", name,
          fmt::format("its structure or what is not ours in it was changed: state {}, {} foreign "
                      "when the plan was made; {}, {} foreign now",
                      digest_name(shown.state), shown.foreign, digest_name(now.state),
                      now.foreign));
    Deeds shown_done(shown.changes), shown_held(shown.held), done(now.changes), held(now.held);
    for (const Change& change : now.changes)
      if (change.action != Action::report && !shown_done.have(change))
        unshown(name, change, shown_held.have(change));
    for (const Change& change : shown.changes)
      if (change.action != Action::report && !done.have(change) && !held.have(change))
        gone(name, change);
    for (const Change& change : shown.held)
      if (!held.have(change) && !done.have(change)) gone(name, change);
    for (const Change& change : now.held) out_.held_beyond += !shown_held.have(change);
  }

  void unshown(const TargetName& name, const Change& change, bool was_held) {
    if (was_held) {
      if (!in_.acknowledged)
        differences_.add("saved-plan.guard", name,
                         fmt::format("a guard held \"{}\" back when the plan was made, and nothing "
                                     "holds it now; say yes to it with --ack {}",
                                     to_line(change), to_hex(in_.shown.id).substr(0, 16)));
      return;
    }
    bool theirs = change.reason == Reason::drift || change.reason == Reason::orphan;
    if (!theirs && (must_not_wait(change.reason) || moved_.at(name, change))) {
      out_.changes.push_back({true, name, change});
      return;
    }
    differences_.add(policys_own(change) ? "saved-plan.policy" : "saved-plan.target", name,
                     fmt::format("\"{}\" ({}) would be done now, and the plan does not show it",
                                 to_line(change), to_string(change.reason)));
  }

  void gone(const TargetName& name, const Change& change) {
    if (!policys_own(change) || moved_.at(name, change)) {
      out_.changes.push_back({false, name, change});
      return;
    }
    differences_.add("saved-plan.policy", name,
                     fmt::format("the plan shows \"{}\" ({}), and it would not be done now",
                                 to_line(change), to_string(change.reason)));
  }

  const CompareInput& in_;
  const MovedBySessions& moved_;
  PlanComparison& out_;
  Differences differences_;
};

/// Only these compare plans; the others are about the file, the time and revisions.
bool tells_of_people(const PlanRefusal& refusal) {
  return refusal.id == "saved-plan.policy" || refusal.id == "saved-plan.target" ||
         refusal.id == "saved-plan.guard" || refusal.id == "saved-plan.exact";
}

std::string as_seen(const PlanRefusal& refusal, View view) {
  if (view == View::full || !tells_of_people(refusal)) return refusal.sentence;
  if (view == View::people) return without_addresses(refusal.sentence);
  return "it differs in what names people, and this token shows none (plan:people)";
}

}  // namespace

std::string to_text(const std::vector<PlanRefusal>& refusals, View view) {
  std::vector<std::string> lines;
  for (const PlanRefusal& refusal : refusals)
    lines.push_back(fmt::format("{}: {}; {}", refusal.id, as_seen(refusal, view), refusal.next));
  return join(lines, "\n");
}

std::string facts(const std::vector<PlanRefusal>& refusals) {
  std::vector<std::string> lines;
  for (const PlanRefusal& refusal : refusals)
    lines.push_back(fmt::format("{}: {}", refusal.id, refusal.sentence));
  return join(lines, "\n");
}

std::vector<PlanRefusal> check_file(const SavedPlan& saved, const PlanPlace& place) {
  std::vector<PlanRefusal> out;
  auto refuse = [&](const char* id, std::string sentence, std::string_view next = kNewOne) {
    out.push_back({std::string("saved-plan.") + id, std::move(sentence), std::string(next)});
  };
  if (saved.owner != place.owner)
    refuse("owner", fmt::format("it was made for installation {}, and this is {}",
                                saved.owner.to_string(), place.owner.to_string()));
  if (!saved.key && place.signed_only)
    refuse("unsigned",
           "it was made without the controller, and one runs now: it takes what it signed itself");
  if (saved.key && saved.key != place.key)
    refuse("key", fmt::format("it was signed with key {}, and this installation's key is {}",
                              name_of(saved.key), name_of(place.key)));
  if (saved.expires <= place.now)
    refuse("expired", fmt::format("it was good until {}, and it is {}", to_string(saved.expires),
                                  to_string(place.now)));
  if (place.used)
    refuse("used", fmt::format("it was applied before (nonce {}, in the log as plan.used), and a "
                               "plan is good for one time",
                               saved.nonce));
  if (place.log_head < saved.plan.sequence)
    refuse("log", fmt::format("it was made at record {} of the log, and this log ends at {}: it is "
                              "another one, or restored from a backup",
                              saved.plan.sequence, place.log_head));
  if (!saved.plan.scope.whole())
    refuse("scope",
           fmt::format("it is not the whole plan ({}), and apply does all of it",
                       scope_text(saved.plan)),
           "make one without --target, --refresh-only, --sessions and --at");
  if (auto id = plan_id(saved.plan.to, saved.plan.targets); id != saved.plan.id)
    refuse("id", fmt::format("its id is {}, and that of its changes is {}",
                             to_hex(saved.plan.id).substr(0, 16), to_hex(id).substr(0, 16)));
  return out;
}

std::vector<PlanRefusal> check_revisions(const SavedPlan& saved, const PolicyRevision& in_force,
                                         const Policy& newest) {
  const Plan& shown = saved.plan;
  std::vector<PlanRefusal> out;
  const auto& from = in_force.empty() ? shown.to : in_force;
  if (shown.from != from)
    out.push_back(
        {"saved-plan.in-force",
         fmt::format("it starts from policy {}, and {} is in force now{}", name_of(shown.from),
                     name_of(in_force),
                     in_force == shown.to ? ", the very policy that it would put in force" : ""),
         std::string(kNewOrReplan)});
  if (newest.revision != shown.to)
    out.push_back({"saved-plan.commit",
                   fmt::format("it is of policy {}, and the source holds {} now", name_of(shown.to),
                               name_of(newest.revision)),
                   std::string(kNewOrReplan)});
  else if (auto content = content_of(newest); saved.policy != content)
    out.push_back(
        {"saved-plan.policy",
         fmt::format("what was called policy {} had content {} when the plan was made, and "
                     "has {} now",
                     name_of(shown.to), digest_name(saved.policy), digest_name(content)),
         std::string(kNewOrReplan)});
  return out;
}

Digest content_of(const Policy& policy) { return sha256(to_yaml(policy)); }

PlanComparison compare(const CompareInput& input) {
  PlanComparison out;
  auto today = live_ones(input.known, input.now.as_of);
  out.sessions = since(input.known, input.shown.as_of, input.now.as_of);
  MovedBySessions moved(today, input.now.as_of, input.keep);
  bool begun = false;
  for (const Session& session : input.known) begun |= session.created == input.shown.as_of;
  for (bool very_then : {true, false}) {
    if (!very_then && !begun) continue;  // the same once more
    auto then = sessions_as_of(input.known, input.shown.as_of, very_then);
    moved.under(input.planned, then, input.shown.as_of);
    if (input.in_force != nullptr && input.in_force->revision != input.planned.revision)
      moved.under(*input.in_force, then, input.shown.as_of);
  }
  moved.finish();
  Comparer(input, moved, out).run();
  return out;
}

std::vector<PlanRefusal> check_exact(const CompareInput& input, const PlanComparison& comparison) {
  auto refuse = [](std::string what) {
    return std::vector<PlanRefusal>{{"saved-plan.exact", what + ", and --exact was given",
                                     "make a new plan, or apply it without --exact"}};
  };
  if (!comparison.changes.empty()) {
    const auto& first = comparison.changes.front();
    return refuse(fmt::format(
        "{} from the plan, the first on {}: \"{}\" {}",
        counted(comparison.changes.size(), "change differs", "changes differ"),
        printable(first.target.value), to_line(first.change),
        first.more ? "would be done now, and is not in it" : "is in it, and not to do any more"));
  }
  auto held = [](const Plan& plan) {
    std::size_t n = 0;
    for (const TargetPlan& target : plan.targets) n += target.held.size();
    return n;
  };
  if (comparison.held_beyond > 0 || held(input.shown) != held(input.now))
    return refuse(fmt::format("guards held {} when the plan was made, and hold {} now",
                              counted(held(input.shown), "change", "changes"), held(input.now)));
  for (const TargetPlan& now : input.now.targets)
    for (const TargetPlan& shown : input.shown.targets)
      if (shown.target == now.target && shown.state != now.state)
        return refuse(fmt::format("{} was in state {} when the plan was made, and is in {} now",
                                  printable(now.target.value), digest_name(shown.state),
                                  digest_name(now.state)));
  return {};
}

std::string to_text(const PlanComparison& comparison, View view) {
  std::vector<std::string> parts;
  auto part = [&](const std::vector<std::string>& names, std::string_view what) {
    if (names.empty()) return;
    std::vector<std::string> shown;
    for (const auto& name : names) shown.push_back(printable(name));
    parts.push_back(fmt::format(
        "{} {}{}", names.size(), what,
        view == View::shape ? "" : " (" + some_of(shown, kMostNames, shown.size()) + ")"));
  };
  const SessionsSince& sessions = comparison.sessions;
  part(sessions.signed_in, "signed in");
  part(sessions.signed_out, "signed out");
  part(sessions.revoked, "revoked");
  part(sessions.ran_out, "ran out");
  std::string out = fmt::format("Since the plan was made ({}): {}\n", to_string(sessions.since),
                                parts.empty() ? "nobody signed in or out" : join(parts, ", "));
  if (view != View::full) return out;
  std::size_t shown = 0;
  for (const ChangeSince& one : comparison.changes) {
    if (++shown > kMostLines) break;
    out +=
        fmt::format("  {}  {} on {} ({})\n", one.more ? "also now " : "no longer",
                    to_line(one.change), printable(one.target.value), to_string(one.change.reason));
  }
  if (comparison.changes.size() > kMostLines)
    out += fmt::format("  and {} more\n", comparison.changes.size() - kMostLines);
  return out;
}

}  // namespace knock
