// SPDX-License-Identifier: Apache-2.0
// Whose a target is: what an act would do, and its yes. On the controller's own machine only.
#include <boost/json.hpp>

#include "base/text.h"
#include "server/admin/call.h"
#include "server/admin/reply.h"

namespace knock {
namespace {

namespace json = boost::json;

json::object as_json(const OwnershipEntry& entry, Instant now) {
  json::array ports;
  for (const PortRange& range : entry.ports) ports.emplace_back(range.to_string());
  json::object out{{"fate", to_string(entry.fate)},
                   {"slot", entry.slot},
                   {"ports", std::move(ports)},
                   {"prefix", entry.prefix.to_string()}};
  if (!entry.comment.empty()) out["comment"] = entry.comment;
  if (entry.left) out["ends"] = to_string((now + *entry.left).floor_to_second());
  if (entry.until) out["until"] = to_string(*entry.until);
  if (!entry.who.empty()) out["who"] = entry.who;
  return out;
}

json::object as_json(const OwnershipPlan& plan, Instant now) {
  json::array entries;
  for (const OwnershipEntry& entry : plan.entries) entries.emplace_back(as_json(entry, now));
  json::object out{{"target", plan.target.value},   {"act", to_string(plan.act)},
                   {"place", plan.place},           {"closes_by_itself", plan.closes_by_itself},
                   {"entries", std::move(entries)}, {"plan", to_hex(plan.id)}};
  if (plan.former != OwnerId{}) out["former"] = plan.former.to_string();
  return out;
}

}  // namespace

Result<OwnershipAct> AdminCall::asked_act() {
  KNOCK_ASSIGN(auto word, args_.text("act"));
  auto act = ownership_act_from(word);
  if (!act)
    return fail(ErrorKind::invalid,
                printable(word) + " is not an act; they are adopt, exclusive, take-over, release");
  return *act;
}

Result<net::HttpResponse> AdminCall::ownership_plan() {
  KNOCK_ASSIGN(auto target, args_.text("target"));
  KNOCK_ASSIGN(auto act, asked_act());
  KNOCK_ASSIGN(auto plan, c_.reconciler().ownership_plan(TargetName(target), act));
  return reply(200, json::serialize(as_json(plan, c_.clock().now())) + "\n");
}

Result<net::HttpResponse> AdminCall::change_ownership() {
  KNOCK_ASSIGN(auto target, args_.text("target"));
  KNOCK_ASSIGN(auto act, asked_act());
  KNOCK_ASSIGN(auto plan, args_.text("plan"));
  TargetName name(target);
  KNOCK_CHECK(c_.reconciler().change_ownership(actor_, name, act, plan));
  auto problem = c_.reconciler().wait_for_ownership(name, Deadline::in(Duration::seconds(15)));
  json::object out{
      {"target", target}, {"act", to_string(act)}, {"done", problem.empty()}, {"problem", problem}};
  return reply(200, json::serialize(out) + "\n");
}

}  // namespace knock
