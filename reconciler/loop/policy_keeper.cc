// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/policy_keeper.h"

#include "base/log.h"
#include "base/text.h"

namespace knock {
namespace {
constexpr Duration kPollDeadline = Duration::seconds(30);
}

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
  KNOCK_ASSIGN(auto snapshot, source_.read(revision));
  auto load = load_policy(snapshot.files, revision, context_, &cache_);
  if (!load.policy) {
    std::size_t errors = 0;
    for (const auto& d : load.diagnostics) errors += d.severity == Diagnostic::Severity::error;
    std::string why = counted(errors, "problem", "problems") + "; first: " +
                      (load.diagnostics.empty() ? ""
                                                : load.diagnostics.front().where.to_string() +
                                                      ": " + load.diagnostics.front().summary);
    bool news = false;
    {
      std::lock_guard lock(mutex_);
      news = refused_revision_ != revision;
      refused_ = load.diagnostics;
      refused_revision_ = revision;
    }
    std::vector<Fact> facts{PolicyRefused{revision, why}};
    if (news) (void)store_.append(actor, clock_.now(), facts);
    return fail(ErrorKind::invalid, "revision " + revision.value + " is refused: " + why);
  }
  AdoptedPolicy adopted{revision, clock_.now(), snapshot.author, snapshot.subject, snapshot.files};
  KNOCK_CHECK(
      reconciler_.adopt(actor, adopted, std::make_shared<const Policy>(std::move(*load.policy))));
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
