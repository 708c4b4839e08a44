// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local_questions.h"
#include "net/http_client.h"
#include "server/admin/questions_json.h"

namespace knock::cli {
namespace {

struct WhoFlags {
  std::string service, at, from, to;
};

std::string yes_no(const boost::json::value& row, std::string_view name) {
  const auto& value = member(row, name);
  return value.is_null() ? "?" : value.as_bool() ? "yes" : "no";
}

std::string rule_of(const boost::json::value& row) {
  const auto& place = member(row, "place");
  auto commit = text(row, "policy").substr(0, 15);
  if (place.is_null()) return fmt::format("{} @{}", text(row, "rule"), commit);
  return fmt::format("{} {}:{}@{}", text(row, "rule"), text(place, "file"), text(place, "line"),
                     commit);
}

/// How it ended, where that is known.
std::string end_of(const boost::json::value& row) {
  if (text(row, "ended").empty()) return "";
  auto reason = text(row, "reason");
  return reason == "expiry" ? "ran out" : reason;
}

std::string heading(const boost::json::value& answer) {
  auto when = text(answer, "to").empty()
                  ? fmt::format("{} {}", truth(answer, "past") ? "at" : "now,", text(answer, "at"))
                  : fmt::format("from {} until {}", text(answer, "from"), text(answer, "to"));
  auto out = fmt::format("Who {} reach {} {}\n", truth(answer, "past") ? "could" : "can",
                         text(answer, "service"), when);
  const auto& policy = member(answer, "policy");
  if (policy.is_null()) return out + "\n";
  auto subject = text(policy, "subject"), author = text(policy, "author");
  return out + fmt::format("policy {}{}{}, in force since {}\n\n",
                           text(policy, "revision").substr(0, 15),
                           subject.empty() ? "" : " \"" + subject + "\"",
                           author.empty() ? "" : " by " + author, text(policy, "adopted"));
}

void print_who(const boost::json::value& answer) {
  print(heading(answer));
  bool range = !text(answer, "to").empty();
  std::vector<std::vector<std::string>> rows{{"WHO", "FROM", "TARGET"}};
  // A range is answered with what stood: what was intended at each of its instants is no list.
  if (!range) rows[0].insert(rows[0].end(), {"INTENDED", "APPLIED", "SEEN"});
  rows[0].insert(rows[0].end(), {"SINCE", "UNTIL", "ENDED BY", "RULE"});
  for (const auto& row : list(answer, "rows")) {
    auto who = text(row, "who");
    std::vector<std::string> cells{text(row, "kind") == "static" ? who + " (static)" : who,
                                   text(row, "prefix"), text(row, "target")};
    if (!range) cells.insert(cells.end(), {yes_no(row, "intended"), yes_no(row, "applied"), "?"});
    cells.insert(cells.end(), {text(row, "from"), text(row, "till"), end_of(row), rule_of(row)});
    rows.push_back(std::move(cells));
  }
  print(rows.size() == 1 ? std::string("nobody\n") : table(rows));
  for (const auto& note : list(answer, "notes"))
    print(fmt::format("\nnote: {}\n", printable(std::string_view(note.as_string()))));
}

Result<boost::json::value> asked(const Global& global, const WhoFlags& flags) {
  KNOCK_ASSIGN(auto at, time_flag("--at", flags.at));
  KNOCK_ASSIGN(auto from, time_flag("--from", flags.from));
  KNOCK_ASSIGN(auto to, time_flag("--to", flags.to));
  auto client = AdminClient::of(global);
  if (client.reachable()) {
    std::vector<std::pair<std::string, std::string>> query{{"service", flags.service}};
    if (at) query.emplace_back("at", flags.at);
    if (from) query.emplace_back("from", flags.from);
    if (to) query.emplace_back("to", flags.to);
    return client.get("/api/v1/who?" + net::encode_form(query));
  }
  KNOCK_ASSIGN(auto local, LocalQuestions::open(global));
  ServiceName service(flags.service);
  if (from) {
    KNOCK_ASSIGN(auto answer,
                 local->ask().who_between(service, *from, to.value_or(SystemClock().now())));
    return boost::json::parse(who_json(answer));
  }
  KNOCK_ASSIGN(auto answer, local->ask().who(service, at));
  return boost::json::parse(who_json(answer));
}

int who(const Global& global, const WhoFlags& flags) {
  auto answer = asked(global, flags);
  if (!answer) return fail_with(answer.error());
  print_answer(global, *answer, print_who);
  return kDone;
}

}  // namespace

void add_who(Commands& commands) {
  auto flags = std::make_shared<WhoFlags>();
  auto* command = commands.add(
      commands.app, "who", "Who can reach a service, or could at a time or between two",
      "knock who --service ssh --at 2026-11-21T10:04:00Z; knock who --service ssh "
      "--from 2026-11-01 --to 2026-12-01");
  command->add_option("--service", flags->service, "The service")->required();
  auto* at = command->add_option("--at", flags->at, "A time in RFC 3339; now without it");
  auto* from = command->add_option("--from", flags->from,
                                   "Everybody for whom it stood open at some time from here on");
  auto* to = command->add_option("--to", flags->to, "… until before this time; now without it");
  from->excludes(at);
  to->excludes(at);
  to->needs(from);
  commands.run(command, [&commands, flags] { return who(commands.global, *flags); });
}

}  // namespace knock::cli
