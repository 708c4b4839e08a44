// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/policy_keeper.h"

#include <algorithm>

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

PolicyKeeper::PolicyKeeper(PolicySource& source, PolicyContext context, FactStore& store,
                           Reconciler& reconciler, const Clock& clock, Duration every)
    : source_(source),
      context_(std::move(context)),
      store_(store),
      reconciler_(reconciler),
      clock_(clock),
      every_(every) {
  status_.source = source.describe();
}

PolicyKeeper::~PolicyKeeper() {
  thread_.request_stop();
  wake_.notify_all();
}

Status PolicyKeeper::restore() {
  KNOCK_ASSIGN(auto adopted, store_.adopted_policy());
  if (!adopted) return {};
  auto load = load_policy(adopted->files, adopted->revision, context_, &cache_);
  if (!load.policy)
    return fail(ErrorKind::invalid, "the policy in force, kept in the store, no longer loads:\n" +
                                        to_text(load.diagnostics));
  auto revision = adopted->revision;
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
  std::lock_guard lock(mutex_);
  if (done) return done;
  auto text = done.error().text();
  if (text != status_.problem)
    log(LogLevel::warning, "policy.not-adopted", "The newest policy is not in force.",
        {{"problem", text}});
  status_.problem = text;
  return done;
}

Status PolicyKeeper::look_locked(const Actor& actor) {
  KNOCK_ASSIGN(auto revision, source_.poll(Deadline::in(kPollDeadline)));
  {
    std::lock_guard lock(mutex_);
    status_.last_contact = clock_.now();
    if (revision == status_.revision) {
      status_.problem.clear();
      refused_.clear();
      return {};
    }
  }
  if (auto known = refused_lately(revision)) return refuse(actor, std::move(*known));
  KNOCK_ASSIGN(auto snapshot, source_.read(revision));
  Diagnostics problems;
  auto now = clock_.now();
  auto policy = sound_policy(snapshot.files, revision, context_, now, problems, &cache_);
  if (!policy) return refuse(actor, {revision, now, first_of(problems), std::move(problems)});
  return put_in_force(actor,
                      {std::move(snapshot), std::make_shared<const Policy>(std::move(*policy))});
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

Status PolicyKeeper::put_in_force(const Actor& actor, const SoundSnapshot& chosen) {
  const PolicySnapshot& snapshot = chosen.snapshot;
  const auto& revision = snapshot.revision;
  AdoptedPolicy adopted{revision, clock_.now(), snapshot.author, snapshot.subject, snapshot.files};
  KNOCK_CHECK(reconciler_.adopt(actor, adopted, chosen.policy));
  std::lock_guard lock(mutex_);
  status_.revision = revision;
  status_.author = snapshot.author;
  status_.subject = snapshot.subject;
  status_.adopted = adopted.at;
  status_.problem.clear();
  refused_.clear();
  log(LogLevel::info, "policy.adopted", "A policy is in force.",
      {{"revision", revision.value}, {"subject", snapshot.subject}});
  return {};
}

std::optional<PolicyKeeper::Refusal> PolicyKeeper::refused_lately(
    const PolicyRevision& revision) const {
  std::lock_guard lock(mutex_);
  bool known = last_refusal_ && last_refusal_->revision == revision &&
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
  std::vector<Fact> facts{PolicyRefused{refusal.revision, refusal.why}};
  if (news) (void)store_.append(actor, clock_.now(), facts);
  return fail(ErrorKind::invalid,
              "revision " + refusal.revision.value + " is refused: " + refusal.why);
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
