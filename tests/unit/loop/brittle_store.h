// SPDX-License-Identifier: Apache-2.0
// A real store whose writing fails on order. Any thread.
#pragma once

#include <atomic>
#include <memory>

#include "reconciler/interfaces/fact_store.h"

namespace knock::test {

class BrittleStore final : public FactStore {
 public:
  enum class Mode { good, finished, locked };  // locked: this time only, as a busy file

  explicit BrittleStore(std::unique_ptr<FactStore> real) : real_(std::move(real)) {}
  std::atomic<Mode> mode{Mode::good};
  /// Fails from the n-th append on that is still to come; negative: never.
  std::atomic<int> finish_after{-1};
  std::atomic<bool> tickets_unreadable{false};

  Result<std::uint64_t> append(const Actor& actor, Instant at,
                               std::span<const Fact> facts) override {
    KNOCK_CHECK(may_write());
    return real_->append(actor, at, facts);
  }
  bool writable() const override { return mode != Mode::finished; }
  Result<std::uint64_t> head() const override { return real_->head(); }
  Result<std::optional<Instant>> last_time() const override { return real_->last_time(); }
  Result<std::optional<Instant>> first_time() const override { return real_->first_time(); }
  Result<std::vector<Session>> sessions_at(Instant at) const override {
    return real_->sessions_at(at);
  }
  Result<std::vector<AppliedInterval>> applied_between(const ServiceName& service, Instant from,
                                                       Instant to) const override {
    return real_->applied_between(service, from, to);
  }
  Result<std::vector<AppliedInterval>> entry_history(const EntryId& entry) const override {
    return real_->entry_history(entry);
  }
  Result<std::optional<Adoption>> adoption_at(Instant at) const override {
    return real_->adoption_at(at);
  }
  Result<std::optional<PolicyHold>> policy_hold() const override { return real_->policy_hold(); }
  Result<std::optional<RestoredStore>> restored() const override { return real_->restored(); }
  Result<std::vector<Confirmation>> confirmations() const override {
    return real_->confirmations();
  }
  Result<std::optional<AdoptedPolicy>> kept_policy(const PolicyRevision& revision) const override {
    return real_->kept_policy(revision);
  }
  Result<std::optional<Adoption>> adoption_of(const PolicyRevision& revision) const override {
    return real_->adoption_of(revision);
  }
  Result<std::vector<Record>> records(std::uint64_t after, std::size_t limit) const override {
    return real_->records(after, limit);
  }
  Result<ChainCheck> verify(
      const std::function<void(std::uint64_t, std::uint64_t)>& progress) const override {
    return real_->verify(progress);
  }
  Result<std::vector<Session>> live_sessions(Instant now) const override {
    return real_->live_sessions(now);
  }
  Result<std::vector<Session>> sessions(std::size_t limit) const override {
    return real_->sessions(limit);
  }
  Result<std::optional<Session>> session(const SessionId& id) const override {
    return real_->session(id);
  }
  Result<std::vector<AppliedEntry>> applied(const TargetName& target) const override {
    return real_->applied(target);
  }
  Result<std::vector<ChangeIntended>> open_intents() const override {
    return real_->open_intents();
  }
  Result<std::vector<AppliedInterval>> applied_at(const ServiceName& service,
                                                  Instant at) const override {
    return real_->applied_at(service, at);
  }
  Result<std::vector<AppliedInterval>> applied_with_tickets(const TargetName& target,
                                                            Instant since) const override {
    if (tickets_unreadable) return fail(ErrorKind::unavailable, "the disk is broken");
    return real_->applied_with_tickets(target, since);
  }
  Result<std::optional<AdoptedPolicy>> adopted_policy() const override {
    return real_->adopted_policy();
  }
  Status save_policy(const AdoptedPolicy& policy) override {
    KNOCK_CHECK(may_write());
    return real_->save_policy(policy);
  }
  Result<std::vector<Account>> accounts() const override { return real_->accounts(); }
  Result<std::optional<Account>> account(const std::string& user) const override {
    return real_->account(user);
  }
  Status save_account(const Actor& actor, Instant at, const Account& account,
                      const std::string& what) override {
    return real_->save_account(actor, at, account, what);
  }
  Status remove_account(const Actor& actor, Instant at, const std::string& user) override {
    return real_->remove_account(actor, at, user);
  }
  Result<std::vector<ApiKey>> keys() const override { return real_->keys(); }
  Status save_key(const Actor& actor, Instant at, const ApiKey& key,
                  const std::string& what) override {
    KNOCK_CHECK(may_write());
    return real_->save_key(actor, at, key, what);
  }
  Status remove_key(const Actor& actor, Instant at, const std::string& name) override {
    KNOCK_CHECK(may_write());
    return real_->remove_key(actor, at, name);
  }
  Status note_key_used(const std::string& name, Instant at) override {
    KNOCK_CHECK(may_write());
    return real_->note_key_used(name, at);
  }
  Result<bool> plan_used(const std::string& nonce) const override {
    return real_->plan_used(nonce);
  }

 private:
  Status may_write() {
    if (finish_after >= 0 && finish_after.fetch_sub(1) <= 0) mode = Mode::finished;
    switch (mode.load()) {
      case Mode::good:
        return {};
      case Mode::finished:
        return fail(ErrorKind::unavailable, "the disk is full");
      case Mode::locked:
        return fail(ErrorKind::conflict, "another process holds the file's lock");
    }
    return {};
  }

  std::unique_ptr<FactStore> real_;
};

}  // namespace knock::test
