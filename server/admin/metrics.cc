// SPDX-License-Identifier: Apache-2.0
#include "server/admin/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "reconciler/loop/target_conditions.h"

namespace knock {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds{
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

template <class Make>
auto& family(prometheus::Registry& registry, Make make, const char* name, const char* help) {
  return make().Name(name).Help(help).Register(registry);
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Histogram>& grant =
      family(registry, prometheus::BuildHistogram, "knock_grant_seconds",
             "From a sign-in to the target's confirmation");
  prometheus::Family<prometheus::Histogram>& revoke =
      family(registry, prometheus::BuildHistogram, "knock_revoke_seconds",
             "From a sign-out or revocation to the target's confirmation");
  prometheus::Histogram& expiry =
      family(registry, prometheus::BuildHistogram, "knock_expiry_lag_seconds",
             "From a deadline to the loop's noticing it")
          .Add({}, kSeconds);
  prometheus::Family<prometheus::Gauge>& condition =
      family(registry, prometheus::BuildGauge, "knock_target_condition",
             "1 where a target's condition holds");
  prometheus::Family<prometheus::Gauge>& entries =
      family(registry, prometheus::BuildGauge, "knock_target_entries",
             "Entries on a target, ours and foreign");
  prometheus::Family<prometheus::Gauge>& age =
      family(registry, prometheus::BuildGauge, "knock_last_full_read_age_seconds",
             "Since a target was last read in full");
  prometheus::Gauge& sessions =
      family(registry, prometheus::BuildGauge, "knock_sessions", "Live sessions").Add({});
  prometheus::Gauge& ready =
      family(registry, prometheus::BuildGauge, "knock_ready", "1 when new grants can be made")
          .Add({});
  prometheus::Gauge& head =
      family(registry, prometheus::BuildGauge, "knock_log_records", "Records in the log").Add({});
  prometheus::Gauge& clock_behind =
      family(registry, prometheus::BuildGauge, "knock_clock_behind_seconds",
             "The machine's clock behind the newest record")
          .Add({});
  prometheus::Family<prometheus::Counter>& notifications =
      family(registry, prometheus::BuildCounter, "knock_notifications_total",
             "Messages to webhooks and the forge that arrived, or were given up");
  prometheus::Family<prometheus::Gauge>& newer =
      family(registry, prometheus::BuildGauge, "knock_policy_newer_seconds",
             "Since something newer is refused or waits, or the policy is held; 0: not so");
  prometheus::Family<prometheus::Gauge>& changes =
      family(registry, prometheus::BuildGauge, "knock_pull_requests",
             "Open pull requests that are looked at: planned against what is in force, refused as "
             "they are, or waiting");
  prometheus::Family<prometheus::Counter>& surges =
      family(registry, prometheus::BuildCounter, "knock_sign_in_surges_total",
             "Runs in which more opened by sign-ins than guards.additions lets a policy");
  prometheus::Family<prometheus::Gauge>& suspects =
      family(registry, prometheus::BuildGauge, "knock_suspect_sessions",
             "Sessions that keep groups which their suspect sign-in source does not say any more");
  prometheus::Family<prometheus::Gauge>& confirmations =
      family(registry, prometheus::BuildGauge, "knock_confirmation",
             "1 where a policy's changes wait for a confirmation, or were taken back");
  std::map<SignInName, prometheus::Gauge*> suspect_sources;  // that ever were
  std::mutex writing;  // gauges and their text belong together

  void set_policy(const PolicyStatus& policy, Instant now) {
    auto since = [&](std::optional<Instant> at) {
      return at ? double((now - *at).ms) / 1000 : 0.0;
    };
    newer.Add({{"state", "refused"}}).Set(since(policy.problem_since));
    newer.Add({{"state", "waiting"}})
        .Set(since(policy.waiting ? std::optional(policy.waiting->since) : std::nullopt));
    newer.Add({{"state", "held"}})
        .Set(since(policy.hold ? std::optional(policy.hold->since) : std::nullopt));
  }

  void set_suspects(const std::vector<SuspectStatus>& now) {
    for (auto& [source, gauge] : suspect_sources) gauge->Set(0);
    for (const SuspectStatus& one : now) {
      auto& gauge = suspects.Add({{"source", one.source.value}});
      gauge.Set(double(one.sessions));
      suspect_sources[one.source] = &gauge;
    }
  }

  void set_changes(const ProposedChanges& c) {
    changes.Add({{"state", "planned"}}).Set(double(c.planned));
    changes.Add({{"state", "refused"}}).Set(double(c.refused));
    changes.Add({{"state", "waiting"}}).Set(double(c.open - c.planned - c.refused));
  }

  void set_confirmation(const TargetStatus& t) {
    bool due = t.confirmation && t.confirmation->what.state == Confirmation::State::due;
    for (auto [state, is] : {std::pair("due", due), std::pair("returned", t.confirmation && !due)})
      confirmations.Add({{"target", t.name.value}, {"state", state}}).Set(is ? 1 : 0);
  }

  void set_target(const TargetStatus& t, Instant now) {
    set_confirmation(t);
    auto flag = [&](std::string_view name, bool holds) {
      condition.Add({{"target", t.name.value}, {"condition", std::string(name)}})
          .Set(holds ? 1 : 0);
    };
    auto now_so = conditions_of(t);
    for (std::string_view word : kConditions)
      flag(word, std::any_of(now_so.begin(), now_so.end(),
                             [&](const TargetCondition& one) { return one.word == word; }));
    entries.Add({{"target", t.name.value}, {"owner", "knock"}}).Set(double(t.owned));
    entries.Add({{"target", t.name.value}, {"owner", "foreign"}}).Set(double(t.foreign));
    if (t.last_full_read)
      age.Add({{"target", t.name.value}}).Set(double((now - *t.last_full_read).ms) / 1000);
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::granted(const TargetName& target, double seconds) {
  state_->grant.Add({{"target", target.value}}, kSeconds).Observe(seconds);
}
void Metrics::revoked(const TargetName& target, double seconds) {
  state_->revoke.Add({{"target", target.value}}, kSeconds).Observe(seconds);
}
void Metrics::expired(double seconds) { state_->expiry.Observe(seconds); }

void Metrics::surged(const TargetName& target) {
  state_->surges.Add({{"target", target.value}}).Increment();
}

void Metrics::notified(const std::string& destination, bool arrived) {
  state_->notifications
      .Add({{"destination", destination}, {"outcome", arrived ? "arrived" : "failed"}})
      .Increment();
}

std::string Metrics::text(const ControllerStatus& status) {
  std::lock_guard lock(state_->writing);
  if (status.changes) state_->set_changes(*status.changes);
  state_->sessions.Set(double(status.live_sessions));
  state_->ready.Set(status.ready ? 1 : 0);
  state_->head.Set(double(status.log_head));
  state_->clock_behind.Set(double(status.clock_behind.ms) / 1000);
  state_->set_policy(status.policy, status.now);
  state_->set_suspects(status.suspects);
  for (const TargetStatus& target : status.targets) state_->set_target(target, status.now);
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace knock
