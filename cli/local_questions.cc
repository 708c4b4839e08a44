// SPDX-License-Identifier: Apache-2.0
#include "cli/local_questions.h"

#include <fmt/format.h>

#include "base/text.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {

Result<std::unique_ptr<LocalQuestions>> LocalQuestions::open(const Global& global) {
  std::unique_ptr<LocalQuestions> out(new LocalQuestions);
  out->config_ = read_config(global);
  if (!out->config_)
    return fail(ErrorKind::invalid,
                "no controller answers on this machine, so the configuration must say where the "
                "log is: --config FILE");
  const Config& config = *out->config_;
  KNOCK_ASSIGN(out->store_, open_store(config, false, out->random_));
  KNOCK_ASSIGN(auto last, out->store_->last_time());
  // A log from a machine whose clock is ahead: its newest record is not in the future.
  auto now = std::max(SystemClock().now(), last.value_or(Instant{}));
  KNOCK_ASSIGN(auto live, out->store_->live_sessions(now));
  auto zones = system_zones();
  out->questions_.emplace(QuestionParts{
      *out->store_, config, now, policy_in_force(*out->store_, policy_context(config, zones)),
      std::move(live), zones, [&config] { return policy_source(config.policy, config); }});
  return out;
}

Result<std::optional<Instant>> time_flag(const std::string& name, const std::string& written) {
  if (written.empty()) return std::optional<Instant>();
  auto at = parse_instant(written);
  if (at) return at;
  return fail(ErrorKind::invalid, fmt::format("{} {} is not a time; write 2026-11-21T10:04:11Z",
                                              name, printable(written)));
}

}  // namespace knock::cli
