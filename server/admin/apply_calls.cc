// SPDX-License-Identifier: Apache-2.0
// What puts something in force.
#include <boost/json.hpp>

#include "server/admin/call.h"
#include "server/admin/json.h"
#include "server/admin/reply.h"
#include "server/core/review.h"

namespace knock {

namespace json = boost::json;

std::string AdminCall::as_may_be_seen(std::string text) const {
  return may(KeyScope::audit_read) ? text : without_addresses(text);
}

std::string AdminCall::applied_json(const AppliedPlan& done, bool color) const {
  bool stopped = done.how == AppliedPlan::How::stopped;
  json::array guards, problems;
  for (auto& sentence : sentences(stopped ? done.plan.now.guards : done.result.guards))
    guards.emplace_back(as_may_be_seen(std::move(sentence)));
  for (const auto& [target, why] : done.result.problems)
    problems.emplace_back(CarriedOut::Problem{target, problem_text(why, widest())}.sentence());
  json::object out{{"outcome", to_string(done.how)},
                   {"id", to_hex(done.plan.saved.plan.id)},
                   {"ack", done.plan.ack},
                   {"guards", std::move(guards)},
                   {"problems", std::move(problems)},
                   {"text", to_text(done.plan, color, widest())}};
  return json::serialize(out) + "\n";
}

Result<net::HttpResponse> AdminCall::apply() {
  KNOCK_ASSIGN(auto reviewed, args_.text_or("reviewed", ""));
  if (!reviewed.empty()) return apply_what_was_reviewed(reviewed);
  ApplyAsk ask;
  KNOCK_ASSIGN(ask.file, args_.text("file"));
  KNOCK_ASSIGN(ask.ack, args_.text_or("ack", ""));
  KNOCK_ASSIGN(ask.exact, args_.boolean_or("exact", false));
  KNOCK_ASSIGN(ask.replan, args_.boolean_or("replan", false));
  KNOCK_ASSIGN(auto color, args_.boolean_or("color", false));
  if (key_ && (!ask.ack.empty() || ask.replan))
    return fail(ErrorKind::unauthorized,
                "apply.own-machine: --ack and --replan go beyond what the plan file shows, and a "
                "token does what was reviewed and nothing else; say them on the controller's own "
                "machine");
  ask.view = widest();
  Diagnostics problems;
  auto done = apply_plan(c_, actor_, ask, problems);
  if (!done) return refused(done.error(), problems);
  return reply(200, applied_json(*done, color));
}

Result<net::HttpResponse> AdminCall::apply_what_was_reviewed(const std::string& hash) {
  Diagnostics problems;
  auto done = apply_reviewed(c_, actor_, hash, problems);
  if (!done) return refused(done.error(), problems);
  c_.reconciler().wait_settled(Deadline::in(Duration::seconds(30)));
  auto status = as_seen(c_.status(), c_.policy_keeper().refused(), widest());
  json::array waiting;
  std::size_t held = 0;
  for (const TargetStatus& target : status.targets) {
    held += target.held;
    if (!target.ready) waiting.emplace_back(target.name.value + ": " + target.problem);
  }
  const char* outcome = !waiting.empty() ? "partly" : held > 0 ? "held" : "done";
  json::object out{{"outcome", outcome},
                   {"revision", done->revision.value},
                   {"was_in_force", done->was_in_force},
                   {"held", held},
                   {"problems", std::move(waiting)}};
  return reply(200, json::serialize(out) + "\n");
}

Result<net::HttpResponse> AdminCall::acknowledge() {
  KNOCK_ASSIGN(auto plan, args_.text("plan"));
  KNOCK_CHECK(c_.reconciler().acknowledge(actor_, plan));
  c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
  return reply(200, to_json(c_.status()));
}

Result<net::HttpResponse> AdminCall::confirm() {
  KNOCK_ASSIGN(auto id, args_.text("id"));
  KNOCK_ASSIGN(auto done, c_.reconciler().confirm(actor_, id));
  json::array targets;
  for (const Confirmation& one : done)
    targets.push_back(json::object{{"target", one.target.value}, {"policy", one.policy.value}});
  return reply(200, json::serialize(json::object{{"confirmed", std::move(targets)}}) + "\n");
}

Result<net::HttpResponse> AdminCall::look() {
  auto looked = c_.policy_keeper().look(actor_);
  if (!looked) return problem(looked.error(), c_.policy_keeper().refused());
  KNOCK_CHECK(c_.reconciler().apply_again(actor_));
  c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
  return reply(200, to_json(c_.status()));
}

Result<net::HttpResponse> AdminCall::advance() {
  AdvanceRequest request;
  KNOCK_ASSIGN(request.commit, args_.text_or("commit", ""));
  KNOCK_ASSIGN(request.resume, args_.boolean_or("resume", false));
  KNOCK_ASSIGN(request.history_replaced, args_.boolean_or("history_replaced", false));
  KNOCK_ASSIGN(request.reason, args_.text_or("reason", ""));
  Diagnostics problems;
  auto advanced = c_.policy_keeper().advance(actor_, request, problems);
  if (!advanced) return problem(advanced.error(), problems);
  c_.reconciler().wait_settled(Deadline::in(Duration::seconds(5)));
  return reply(200, advanced_json(*advanced));
}

}  // namespace knock
