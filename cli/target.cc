// SPDX-License-Identifier: Apache-2.0
// One target: what it does when things happen, and hands off it for a time.
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "net/http_client.h"

namespace knock::cli {
namespace {

struct TargetFlags {
  std::string name, length, reason;
};

/// Broken between words, so that no line is longer than `width`.
std::string folded(const std::string& text, std::size_t width, const std::string& indent) {
  std::string out, line;
  for (const auto& word : split(text, ' ')) {
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      out += indent + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + std::string(word);
  }
  return out + indent + line + "\n";
}

int explain(const Global& global, const TargetFlags& flags) {
  auto answer = AdminClient::of(global).get("/api/v1/targets/explain?" +
                                            net::encode_form({{"target", flags.name}}));
  if (!answer) return fail_with(answer.error());
  print_answer(global, *answer, [](const boost::json::value& told) {
    print(fmt::format("{}: {}, ownership {}, heal {}\n", text(told, "target"), text(told, "type"),
                      text(told, "ownership"), text(told, "heal")));
    for (const auto& row : list(told, "told"))
      print(fmt::format("\nWhen {}:\n", text(row, "when")) + folded(text(row, "what"), 76, "  "));
  });
  return kDone;
}

int pause(const Global& global, const TargetFlags& flags) {
  auto answer = AdminClient::of(global).post(
      "/api/v1/targets/pause",
      {{"target", flags.name}, {"for", flags.length}, {"reason", flags.reason}});
  if (!answer) return fail_with(answer.error());
  print_answer(global, *answer, [](const boost::json::value& done) {
    print(fmt::format(
        "{} is paused until {}: nothing opens and nothing is healed there. What must close "
        "is closed all the same. `knock target resume {}` ends it earlier.\n",
        text(done, "target"), text(done, "until"), text(done, "target")));
  });
  return kDone;
}

int resume(const Global& global, const TargetFlags& flags) {
  auto answer = AdminClient::of(global).post("/api/v1/targets/resume",
                                             {{"target", flags.name}, {"reason", flags.reason}});
  if (!answer) return fail_with(answer.error());
  print_answer(global, *answer, [](const boost::json::value& done) {
    print(fmt::format("{} is worked on again; what waited is done now.\n", text(done, "target")));
  });
  return kDone;
}

}  // namespace

void add_target(Commands& commands) {
  auto* group = commands.add(commands.app, "target", "One target: explain it, pause it",
                             "knock target explain edge-fw");
  group->require_subcommand(1);
  auto add = [&](const char* name, const char* about, const char* example,
                 int (*run)(const Global&, const TargetFlags&)) {
    auto flags = std::make_shared<TargetFlags>();
    auto* command = commands.add(*group, name, about, example);
    command->add_option("name", flags->name, "The target, as policy names it")->required();
    commands.run(command, [&commands, flags, run] { return run(commands.global, *flags); });
    return std::pair(command, flags);
  };
  (void)add("explain",
            "What it does when entries end, knock is gone, somebody edits it, it is full",
            "knock target explain edge-fw", explain);
  auto [pausing, how_long] =
      add("pause", "Open and heal nothing there for a time",
          "knock target pause edge-fw --for 2h --reason \"new uplink\"", pause);
  pausing->add_option("--for", how_long->length, "How long: 30m, 2h, 7d; at most 30d")->required();
  pausing->add_option("--reason", how_long->reason, "Why; kept in the log");
  auto [resuming, why] =
      add("resume", "End a pause before its time", "knock target resume edge-fw", resume);
  resuming->add_option("--reason", why->reason, "Why; kept in the log");
}

}  // namespace knock::cli
