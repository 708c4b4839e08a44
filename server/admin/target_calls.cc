// SPDX-License-Identifier: Apache-2.0
// One target: what it does and when, and hands off it for a time.
#include <boost/json.hpp>

#include "base/text.h"
#include "reconciler/core/explain_target.h"
#include "server/admin/call.h"
#include "server/admin/json.h"
#include "server/admin/reply.h"

namespace knock {

Result<net::HttpResponse> AdminCall::explain_target() {
  KNOCK_ASSIGN(auto name, args_.text("target"));
  KNOCK_ASSIGN(auto facts, c_.reconciler().target_facts(TargetName(name)));
  boost::json::array told;
  for (const Told& one : knock::explain_target(facts.target, facts.capabilities, facts.keep))
    told.push_back({{"when", one.when}, {"what", one.what}});
  boost::json::object out{{"target", name},
                          {"type", facts.target.type},
                          {"ownership", std::string(to_string(facts.target.ownership))},
                          {"heal", std::string(to_string(facts.target.heal))},
                          {"told", std::move(told)}};
  return reply(200, boost::json::serialize(out));
}

Result<net::HttpResponse> AdminCall::pause_target() {
  KNOCK_ASSIGN(auto name, args_.text("target"));
  KNOCK_ASSIGN(auto length, args_.text("for"));
  KNOCK_ASSIGN(auto reason, args_.text_or("reason", ""));
  auto time = parse_duration(length);
  if (!time)
    return fail(ErrorKind::invalid,
                printable(length) + " is not a length of time; write 30m or 8h");
  Instant until = c_.clock().now() + *time;
  KNOCK_CHECK(c_.reconciler().pause(actor_, TargetName(name), until, reason));
  boost::json::object out{{"target", name}, {"until", to_string(until)}};
  return reply(200, boost::json::serialize(out));
}

Result<net::HttpResponse> AdminCall::resume_target() {
  KNOCK_ASSIGN(auto name, args_.text("target"));
  KNOCK_ASSIGN(auto reason, args_.text_or("reason", ""));
  KNOCK_CHECK(c_.reconciler().resume_target(actor_, TargetName(name), reason));
  boost::json::object out{{"target", name}};
  return reply(200, boost::json::serialize(out));
}

}  // namespace knock
