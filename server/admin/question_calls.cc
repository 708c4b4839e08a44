// SPDX-License-Identifier: Apache-2.0
// Why, who, and the records of the log.
#include <algorithm>

#include "base/text.h"
#include "server/admin/call.h"
#include "server/admin/json.h"
#include "server/admin/questions_json.h"
#include "server/admin/reply.h"

namespace knock {

Result<std::optional<Instant>> AdminCall::time_or_none(std::string_view name) {
  KNOCK_ASSIGN(auto text, args_.text_or(name, ""));
  if (text.empty()) return std::optional<Instant>();
  auto at = parse_instant(text);
  if (!at)
    return fail(ErrorKind::invalid, printable(text) + " is not a time; write 2026-11-21T10:04:11Z");
  return at;
}

Result<net::HttpResponse> AdminCall::why() {
  KNOCK_ASSIGN(auto who, args_.text("who"));
  KNOCK_ASSIGN(auto what, args_.text_or("what", ""));
  KNOCK_ASSIGN(auto at, time_or_none("at"));
  if (what.empty()) {
    if (!Questions::is_mark(who))
      return fail(ErrorKind::invalid, "`what` is missing: a service or a target");
    KNOCK_ASSIGN(auto mark, c_.questions().mark(who));
    return reply(200, mark_json(mark));
  }
  KNOCK_ASSIGN(auto answer, c_.questions().why(who, what, at));
  return reply(200, why_json(answer));
}

Result<net::HttpResponse> AdminCall::who() {
  KNOCK_ASSIGN(auto service, args_.text("service"));
  KNOCK_ASSIGN(auto at, time_or_none("at"));
  KNOCK_ASSIGN(auto from, time_or_none("from"));
  KNOCK_ASSIGN(auto to, time_or_none("to"));
  if (at && (from || to)) return fail(ErrorKind::invalid, "`at`, or `from` and `to`, not both");
  auto questions = c_.questions();
  if (!from && !to) {
    KNOCK_ASSIGN(auto answer, questions.who(ServiceName(service), at));
    return reply(200, who_json(answer));
  }
  if (!from) return fail(ErrorKind::invalid, "a range has both ends: `from` is missing");
  KNOCK_ASSIGN(auto answer,
               questions.who_between(ServiceName(service), *from, to.value_or(c_.clock().now())));
  return reply(200, who_json(answer));
}

Result<net::HttpResponse> AdminCall::records() {
  KNOCK_ASSIGN(auto after, args_.number_or("after", 0));
  KNOCK_ASSIGN(auto limit, args_.number_or("limit", 100));
  KNOCK_ASSIGN(auto rows, c_.store().records(after, std::min<std::uint64_t>(limit, 1000)));
  return reply(200, records_json(rows));
}

}  // namespace knock
