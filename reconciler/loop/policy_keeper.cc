// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/policy_keeper.h"

#include <algorithm>

#include "base/failpoint.h"
#include "base/log.h"

namespace knock {
namespace {
constexpr Duration kPollDeadline = Duration::seconds(30);
// Time can make a policy sound, but rarely: so often is the same revision judged anew.
constexpr Duration kJudgeAgain = Duration::minutes(10);

bool same_places(const Diagnostics& a, const Diagnostics& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(),
      [](const Diagnostic& x, const Diagnostic& y) { return x.id == y.id && x.where == y.where; });
}
}  // namespace

void tell_previous(Reconciler& reconciler, const FactStore& store, const PolicyContext& context,
                   PolicyCache* cache) {
  auto confirmations = store.confirmations();
  if (!confirmations) return;  // the loop said so when it was started
  for (const Confirmation& one : *confirmations) {
    auto kept = store.kept_policy(one.previous);
    if (!kept || !*kept) continue;  // the loop says which target it is about
    auto load = load_policy((*kept)->files, one.previous, context, cache);
    if (load.policy)
      reconciler.know_previous(std::make_shared<const Policy>(std::move(*load.policy)));
  }
}

PolicyKeeper::PolicyKeeper(PolicySource& source, PolicyContext context, FactStore& store,
                           Reconciler& reconciler, const Clock& clock, Duration every,
                           Advance advance)
    : source_(source),
      context_(std::move(context)),
      store_(store),
      reconciler_(reconciler),
      clock_(clock),
      every_(every),
      advance_(std::move(advance)) {
  status_.source = source.describe();
  if (advance_.mode == Advance::Mode::automatic) return;
  status_.advance = advance_.mode == Advance::Mode::manual ? "manual" : "window";
  for (const Window& window : advance_.window) {
    status_.advance += " " + to_string(window);
    auto zone = context_.zones
                    ? context_.zones->zone(window.tz)
                    : Result<std::shared_ptr<const Zone>>(fail(ErrorKind::not_found, "no zones"));
    if (zone) zones_[window.tz] = *zone;  // without its zone a window is never open
  }
}

PolicyKeeper::~PolicyKeeper() {
  thread_.request_stop();
  wake_.notify_all();
}

Status PolicyKeeper::restore() {
  KNOCK_ASSIGN(auto hold, store_.policy_hold());
  KNOCK_ASSIGN(auto adopted, store_.adopted_policy());
  if (adopted) source_.in_force(adopted->revision);
  {
    std::lock_guard lock(mutex_);
    status_.hold = std::move(hold);
  }
  if (!adopted) return {};
  auto load = load_policy(adopted->files, adopted->revision, context_, &cache_);
  if (!load.policy)
    return fail(ErrorKind::invalid, "the policy in force, kept in the store, no longer loads:\n" +
                                        to_text(load.diagnostics));
  auto revision = adopted->revision;
  tell_previous(reconciler_, store_, context_, &cache_);
  reconciler_.resume(std::make_shared<const Policy>(std::move(*load.policy)));
  std::lock_guard lock(mutex_);
  status_.revision = revision;
  status_.author = adopted->author;
  status_.subject = adopted->subject;
  status_.adopted = adopted->at;
  return {};
}

Status PolicyKeeper::look(const Actor& actor) {
  std::lock_guard one_at_a_time(looking_);
  auto done = look_locked(actor);
  if (!done) note_problem(done.error());
  return done;
}

/// An unreachable source is a nuisance; a history that was rewritten, a branch that is gone and a
/// commit that nobody signed are alarms.
void PolicyKeeper::note_problem(const Error& error) {
  auto text = error.text();
  std::lock_guard lock(mutex_);
  if (status_.problem.empty()) status_.problem_since = clock_.now();
  bool alarm = error.kind == ErrorKind::conflict || error.kind == ErrorKind::unauthorized ||
               error.kind == ErrorKind::not_found;
  if (text != status_.problem)
    log(alarm ? LogLevel::error : LogLevel::warning, "policy.not-adopted",
        "The newest policy is not in force.", {{"problem", text}});
  status_.problem = text;
}

Status PolicyKeeper::look_locked(const Actor& actor) {
  KNOCK_ASSIGN(auto revision, source_.poll(Deadline::in(kPollDeadline)));
  {
    std::lock_guard lock(mutex_);
    status_.last_contact = clock_.now();
    if (revision == status_.revision) {
      status_.problem.clear();
      status_.problem_since.reset();
      status_.waiting.reset();
      refused_.clear();
      return {};
    }
  }
  if (auto known = refused_lately(revision)) return refuse(actor, std::move(*known));
  auto snapshot = source_.read(revision);
  if (!snapshot) return refuse_reading(actor, revision, std::move(snapshot.error()));
  Diagnostics problems;
  auto now = clock_.now();
  auto policy = sound_policy(snapshot->files, revision, context_, now, problems, &cache_);
  if (!policy) return refuse(actor, {revision, now, first_of(problems), std::move(problems)});
  if (auto needs = waits_for(); !needs.empty()) return wait(*snapshot, std::move(needs));
  return adopt(actor, {std::move(*snapshot), std::make_shared<const Policy>(std::move(*policy))});
}

Status PolicyKeeper::refuse_reading(const Actor& actor, const PolicyRevision& revision,
                                    Error error) {
  bool about_it = error.kind == ErrorKind::invalid || error.kind == ErrorKind::unauthorized ||
                  error.kind == ErrorKind::not_found;
  // The message alone: what stands around it may name people, and the log shows this part.
  if (about_it) (void)refuse(actor, {revision, clock_.now(), error.message, {}, true});
  return fail(std::move(error));
}

std::string PolicyKeeper::waits_for() const {
  auto now = clock_.now();
  std::lock_guard lock(mutex_);
  if (status_.hold)
    return "held at " + status_.hold->revision.value.substr(0, 12) + " since " +
           to_string(status_.hold->since) + " by " + status_.hold->by +
           ": `knock advance` takes the newest, `knock advance --resume` follows the source again";
  switch (advance_.mode) {
    case Advance::Mode::automatic:
      return "";
    case Advance::Mode::manual:
      return "somebody's word: knock advance";
    case Advance::Mode::window:
      break;
  }
  if (open_until(advance_.window, zones_, now)) return "";
  auto next = next_opening(advance_.window, zones_, now);
  return "the " + status_.advance + (next ? ", open again at " + to_string(*next) : "") +
         "; `knock advance` does not wait for it";
}

Status PolicyKeeper::wait(const PolicySnapshot& snapshot, std::string needs) {
  std::lock_guard lock(mutex_);
  bool news = !status_.waiting || status_.waiting->revision != snapshot.revision;
  auto since = news ? clock_.now() : status_.waiting->since;
  if (news)
    log(LogLevel::warning, "policy.waiting", "A sound policy waits and is not in force.",
        {{"revision", snapshot.revision.value}, {"needs", needs}});
  status_.waiting =
      WaitingPolicy{snapshot.revision, snapshot.author, snapshot.subject, since, std::move(needs)};
  status_.problem.clear();
  status_.problem_since.reset();
  refused_.clear();
  return {};
}

Result<SoundSnapshot> PolicyKeeper::newest(Diagnostics& problems) {
  std::lock_guard one_at_a_time(looking_);
  return newest_locked(problems);
}

Result<SoundSnapshot> PolicyKeeper::newest_locked(Diagnostics& problems) {
  KNOCK_ASSIGN(auto revision, source_.poll(Deadline::in(kPollDeadline)));
  KNOCK_ASSIGN(auto snapshot, source_.read(revision));
  KNOCK_ASSIGN(auto policy,
               sound_policy(snapshot.files, revision, context_, clock_.now(), problems, &cache_));
  return SoundSnapshot{std::move(snapshot), std::make_shared<const Policy>(std::move(policy))};
}

Status PolicyKeeper::with_newest(Diagnostics& problems,
                                 const std::function<Status(const SoundSnapshot&)>& use) {
  std::lock_guard one_at_a_time(looking_);
  KNOCK_ASSIGN(auto found, newest_locked(problems));
  return use(found);
}

Status PolicyKeeper::not_held() const {
  if (!status().hold) return {};
  return fail(ErrorKind::conflict, "the policy is " + waits_for() + "; nothing was done");
}

Status PolicyKeeper::put_in_force(const Actor& actor, const SoundSnapshot& chosen,
                                  std::vector<Fact> together) {
  KNOCK_CHECK(not_held());
  return adopt(actor, chosen, std::move(together));
}

Status PolicyKeeper::adopt(const Actor& actor, const SoundSnapshot& chosen,
                           std::vector<Fact> together) {
  const PolicySnapshot& snapshot = chosen.snapshot;
  const auto& revision = snapshot.revision;
  AdoptedPolicy adopted{revision, clock_.now(), snapshot.author, snapshot.subject, snapshot.files};
  KNOCK_CHECK(reconciler_.adopt(actor, adopted, chosen.policy, std::move(together)));
  source_.in_force(revision);
  std::lock_guard lock(mutex_);
  status_.revision = revision;
  status_.author = snapshot.author;
  status_.subject = snapshot.subject;
  status_.adopted = adopted.at;
  status_.problem.clear();
  status_.problem_since.reset();
  status_.waiting.reset();
  refused_.clear();
  log(LogLevel::info, "policy.adopted", "A policy is in force.",
      {{"revision", revision.value}, {"subject", snapshot.subject}});
  return {};
}

std::optional<PolicyKeeper::Refusal> PolicyKeeper::refused_lately(
    const PolicyRevision& revision) const {
  std::lock_guard lock(mutex_);
  bool known = last_refusal_ && !last_refusal_->unread && last_refusal_->revision == revision &&
               clock_.now() < last_refusal_->at + kJudgeAgain;
  return known ? last_refusal_ : std::nullopt;
}

Status PolicyKeeper::refuse(const Actor& actor, Refusal refusal) {
  bool news = false;
  {
    std::lock_guard lock(mutex_);
    news = !last_refusal_ || last_refusal_->revision != refusal.revision;
    // The words of a failed test hold the time at which it was judged: no news by themselves.
    if (!news && same_places(refusal.problems, last_refusal_->problems)) {
      refusal.why = last_refusal_->why;
      refusal.problems = last_refusal_->problems;
    }
    last_refusal_ = refusal;
    refused_ = refusal.problems;
  }
  // Everybody may read this part of a record, and a failed test says who must not reach what.
  auto place = place_of_first(refusal.problems);
  std::vector<Fact> facts{PolicyRefused{refusal.revision, place.empty() ? refusal.why : place}};
  if (news) {
    KNOCK_FAILPOINT("policy.before-refuse");
    (void)store_.append(actor, clock_.now(), facts);
    KNOCK_FAILPOINT("policy.after-refuse");
  }
  return fail(ErrorKind::invalid,
              "revision " + refusal.revision.value + " is refused: " + refusal.why);
}

Result<Advanced> PolicyKeeper::advance(const Actor& actor, const AdvanceRequest& request,
                                       Diagnostics& problems) {
  std::lock_guard one_at_a_time(looking_);
  auto now = status().revision;
  KNOCK_ASSIGN(auto step, step_for(request, now));
  Advanced out{step.revision, now, step.how, step.held, {}};
  std::optional<SoundSnapshot> chosen;
  if (step.revision != now) {
    KNOCK_ASSIGN(chosen, sound_at(step, problems, out.remarks));
  }
  KNOCK_CHECK(record_step(actor, step, now, request.reason));
  if (chosen) KNOCK_CHECK(adopt(actor, *chosen));
  if (request.resume) {
    KNOCK_CHECK(look_locked(actor));
    out.revision = status().revision;
  } else if (step.held) {
    (void)look_locked(actor);  // what waits now
  }
  return out;
}

Result<PolicyKeeper::Step> PolicyKeeper::step_for(const AdvanceRequest& request,
                                                  const PolicyRevision& now) {
  if (request.resume) return Step{now, "resume", false};
  auto newest = source_.poll(Deadline::in(kPollDeadline));
  if (request.history_replaced) {
    if (newest)
      return fail(ErrorKind::invalid,
                  "the history follows from the policy in force, so nothing was replaced; say "
                  "knock advance without --history-replaced");
    if (newest.error().kind != ErrorKind::conflict) return fail(std::move(newest.error()));
    KNOCK_ASSIGN(auto revision, source_.start_anew());
    return Step{revision, "history-replaced", false};
  }
  if (request.commit.empty()) {
    if (!newest) return fail(std::move(newest.error()));
    return Step{*newest, "newest", false};
  }
  KNOCK_ASSIGN(auto named, source_.find(request.commit));
  bool is_newest = newest && *newest == named;
  if (named == now) return Step{named, is_newest ? "newest" : "hold", !is_newest};
  KNOCK_ASSIGN(bool back, source_.precedes(named, now));
  return Step{named,
              back        ? "back"
              : is_newest ? "newest"
                          : "forward",
              back || (!is_newest && advance_.mode != Advance::Mode::manual)};
}

/// What was in force before is put back even when time has made its own tests fail: whoever goes
/// back at night needs it now, and is told.
Result<SoundSnapshot> PolicyKeeper::sound_at(const Step& step, Diagnostics& problems,
                                             Diagnostics& remarks) {
  KNOCK_ASSIGN(auto snapshot, source_.read(step.revision));
  bool before = false;
  if (step.how == "back") {
    KNOCK_ASSIGN(auto adoption, store_.adoption_of(step.revision));
    before = adoption.has_value();
  }
  if (before) {
    auto load = load_policy(snapshot.files, step.revision, context_, &cache_);
    problems = std::move(load.diagnostics);
    if (!load.policy) return fail(ErrorKind::invalid, "the policy has errors");
    (void)tests_hold(*load.policy, clock_.now(), remarks);
    return SoundSnapshot{std::move(snapshot),
                         std::make_shared<const Policy>(std::move(*load.policy))};
  }
  KNOCK_ASSIGN(auto policy, sound_policy(snapshot.files, step.revision, context_, clock_.now(),
                                         problems, &cache_));
  return SoundSnapshot{std::move(snapshot), std::make_shared<const Policy>(std::move(policy))};
}

Status PolicyKeeper::record_step(const Actor& actor, const Step& step, const PolicyRevision& now,
                                 const std::string& reason) {
  std::vector<Fact> facts{PolicyAdvanced{step.revision, now, step.held, step.how, reason}};
  auto at = clock_.now();
  KNOCK_FAILPOINT("policy.before-advance");
  KNOCK_CHECK(store_.append(actor, at, facts));
  KNOCK_FAILPOINT("policy.after-advance");
  log(LogLevel::warning, "policy.advanced", "Somebody said which policy is to be in force.",
      {{"actor", actor}, {"revision", step.revision.value}, {"how", step.how}});
  std::lock_guard lock(mutex_);
  status_.hold.reset();
  if (step.held) status_.hold = PolicyHold{step.revision, at, actor, reason};
  return {};
}

void PolicyKeeper::start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    std::mutex own;
    std::unique_lock lock(own);
    while (!stop.stop_requested()) {
      (void)look("core");
      wake_.wait_for(lock, stop, every_.chrono(), [] { return false; });
    }
  });
}

PolicyStatus PolicyKeeper::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

Diagnostics PolicyKeeper::refused() const {
  std::lock_guard lock(mutex_);
  return refused_;
}

}  // namespace knock
