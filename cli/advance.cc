// SPDX-License-Identifier: Apache-2.0
// Says which revision of the policy is to be in force: the newest, a named one, or again whatever
// the source says. Recorded with who said it.
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"

namespace knock::cli {
namespace {

struct AdvanceFlags {
  std::string commit, reason;
  bool resume = false, history_replaced = false;
};

std::string short_id(const boost::json::value& answer, std::string_view name) {
  return text(answer, name).substr(0, 12);
}

void print_state(const boost::json::value& answer) {
  auto now = short_id(answer, "revision"), before = short_id(answer, "previous");
  if (now == before)
    print(fmt::format("Policy {} stays in force.\n", now));
  else
    print(fmt::format("Policy {} is in force{}.\n", now,
                      before.empty() ? "" : ", instead of " + before));
  for (const auto& remark : list(answer, "remarks"))
    print(fmt::format("note: {}: {}\n", text(remark, "where"), text(remark, "summary")));
  if (text(answer, "how") == "back")
    print(
        "It is evaluated with today's sessions and the time of now: what has expired stays "
        "closed.\n");
  if (truth(answer, "held"))
    print(
        "It is held: nothing newer comes into force until `knock advance` (the newest) or `knock "
        "advance --resume` (as configured).\n");
}

int advance(const Global& global, const AdvanceFlags& flags) {
  boost::json::object body;
  if (!flags.commit.empty()) body["commit"] = flags.commit;
  if (!flags.reason.empty()) body["reason"] = flags.reason;
  if (flags.resume) body["resume"] = true;
  if (flags.history_replaced) body["history_replaced"] = true;
  auto answer = AdminClient::of(global).post("/api/v1/policy/advance", body);
  if (!answer)
    return fail_with(
        answer.error().kind == ErrorKind::invalid ? int(kPolicyInvalid) : code_for(answer.error()),
        answer.error().message);
  print_answer(global, *answer, print_state);
  return kDone;
}

}  // namespace

void add_advance(Commands& commands) {
  auto flags = std::make_shared<AdvanceFlags>();
  auto* command =
      commands.add(commands.app, "advance", "Put the newest policy in force, or a named commit",
                   "knock advance 3f2a9c1 --reason \"the last change locked out the plant\"");
  auto* commit = command->add_option("commit", flags->commit,
                                     "A commit by its id or the beginning of it: newer, or older "
                                     "to go back; without it the newest");
  auto* resume = command->add_flag("--resume", flags->resume,
                                   "Stop holding the policy, and follow its source as configured");
  auto* replaced = command->add_flag(
      "--history-replaced", flags->history_replaced,
      "The branch was rewritten on purpose: take what is there, although it does not follow");
  command->add_option("--reason", flags->reason, "Why; kept in the log");
  resume->excludes(commit);
  replaced->excludes(commit);
  replaced->excludes(resume);
  commands.run(command, [&commands, flags] { return advance(commands.global, *flags); });
}

}  // namespace knock::cli
