// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"

namespace knock::cli {
namespace {

struct Grant {
  std::string user, from, ttl, reason;
  std::vector<std::string> groups;
};

/// How an open door lasts.
std::string lasting(const boost::json::value& row) {
  auto lasts = text(row, "lasts"), until = text(row, "until");
  if (lasts == "first-connection")
    return truth(row, "used") ? "its one connection was made"
                              : "one connection, to be made by " + until;
  if (lasts == "disconnect")
    return fmt::format("until it disconnects, at the latest {}; to be made by {}", until,
                       text(row, "come_by"));
  return until;
}

/// What of a session's doors the end of the session does not tell.
std::string by_connection(const boost::json::value& answer, const std::string& session) {
  std::vector<std::string> out;
  for (const auto& row : list(answer, "where")) {
    auto lasts = text(row, "lasts");
    if (text(row, "session") != session || !truth(row, "open")) continue;
    if (lasts == "first-connection" || lasts == "disconnect")
      out.push_back(text(row, "service") + " on " + text(row, "target") + ": " + lasting(row));
  }
  return join(out, "; ");
}

void print_where(const boost::json::value& answer) {
  std::vector<std::vector<std::string>> rows{{"SERVICE", "TARGET", "STATE", "UNTIL"}};
  for (const auto& row : list(answer, "where"))
    rows.push_back(
        {text(row, "service"), text(row, "target"),
         truth(row, "open")
             ? std::string("open")
             : "not yet" + (text(row, "problem").empty() ? "" : ": " + text(row, "problem")),
         lasting(row)});
  if (rows.size() == 1)
    print("Policy gives this session nothing; `knock why` says what is missing.\n");
  else
    print(table(rows));
}

int grant(const Global& global, const Grant& what) {
  boost::json::object body{
      {"user", what.user}, {"from", what.from}, {"ttl", what.ttl}, {"reason", what.reason}};
  boost::json::array groups;
  for (const auto& group : what.groups) groups.emplace_back(group);
  body["groups"] = std::move(groups);
  auto client = AdminClient::of(global);
  auto answer = client.post("/api/v1/sessions", body);
  if (!answer) return fail_with(answer.error());
  if (global.json) {
    print(boost::json::serialize(*answer) + "\n");
    return kDone;
  }
  const auto& session = member(*answer, "session");
  print(fmt::format("Session {} for {} from {} until {}\n\n", text(session, "id"),
                    printable(what.user), text(session, "address"), text(session, "expires")));
  print_where(*answer);
  bool all_open = true;
  for (const auto& row : list(*answer, "where")) all_open = all_open && truth(row, "open");
  return all_open ? kDone : kPartly;
}

int list_sessions(const Global& global, bool all) {
  auto client = AdminClient::of(global);
  auto answer = client.get(all ? "/api/v1/sessions?all=1" : "/api/v1/sessions");
  if (!answer) return fail_with(answer.error());
  if (global.json) {
    print(boost::json::serialize(*answer) + "\n");
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "WHO", "BY", "FROM", "SINCE", "UNTIL", "ENDED", ""}};
  for (const auto& s : list(*answer, "sessions")) {
    const auto& principal = member(s, "principal");
    const auto& end = member(s, "end");
    rows.push_back({text(s, "id").substr(0, 10), text(principal, "name"), text(s, "source"),
                    text(s, "address"), text(s, "created"), text(s, "expires"),
                    end.is_object() ? text(end, "cause") : "",
                    by_connection(*answer, text(s, "id"))});
    if (!rows.back().back().empty()) rows.front().back() = "BY CONNECTION";
  }
  print(rows.size() == 1 ? std::string("Nobody is signed in.\n") : table(rows));
  return kDone;
}

int revoke(const Global& global, const std::string& id, const std::string& reason) {
  auto client = AdminClient::of(global);
  auto answer = client.post("/api/v1/sessions/revoke", {{"session", id}, {"reason", reason}});
  if (!answer) return fail_with(answer.error());
  print_answer(global, *answer, [](const boost::json::value& said) {
    const auto& gone = member(said, "session");
    auto note = text(said, "note");
    print(fmt::format("Session {} of {} is revoked.\n{}", text(gone, "id").substr(0, 10),
                      text(member(gone, "principal"), "name"),
                      note.empty() ? "" : "note: " + note + "\n"));
  });
  return kDone;
}

}  // namespace

void add_session(Commands& commands) {
  auto* session = commands.add(commands.app, "session", "Live sessions", "knock session list");
  session->require_subcommand(1);

  auto grant_args = std::make_shared<Grant>();
  auto* add =
      commands.add(*session, "grant", "Make a session for somebody; policy decides what it opens",
                   "knock session grant dora --from 203.0.113.7 --ttl 30m --group admins --reason "
                   "\"ticket 4711\"");
  add->add_option("user", grant_args->user, "Who")->required();
  add->add_option("--from", grant_args->from, "Their address")->required();
  add->add_option("--ttl", grant_args->ttl, "How long: 30m, 8h")->required();
  add->add_option("--reason", grant_args->reason, "Why; it stands in the log")->required();
  add->add_option("--group", grant_args->groups,
                  "A group of the policy; repeatable. Without it, those of the local account");
  commands.run(add, [&commands, grant_args] { return grant(commands.global, *grant_args); });

  auto all = std::make_shared<bool>(false);
  auto* show = commands.add(*session, "list", "Who is signed in", "knock session list --json");
  show->add_flag("--all", *all, "Ended ones too");
  commands.run(show, [&commands, all] { return list_sessions(commands.global, *all); });

  auto id = std::make_shared<std::string>(), reason = std::make_shared<std::string>();
  auto* end = commands.add(*session, "revoke", "End a session; what it opened closes now",
                           "knock session revoke 3f9a");
  end->add_option("id", *id, "The session, or the first characters of its id")->required();
  end->add_option("--reason", *reason, "Why; it stands in the log");
  commands.run(end, [&commands, id, reason] { return revoke(commands.global, *id, *reason); });
}

}  // namespace knock::cli
