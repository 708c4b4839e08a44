// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/admin_client.h"
#include "cli/json_view.h"

namespace knock::cli {
namespace {

std::string conditions(const boost::json::value& target) {
  std::vector<std::string> words;
  for (const auto& word : list(target, "conditions")) words.emplace_back(word.as_string());
  return words.empty() ? "waiting" : join(words, " ");
}

/// Why a target is not as it should be; a guard says it better below.
void print_because(const boost::json::value& target) {
  const auto& because = member(target, "because");
  for (const auto& word : list(target, "conditions")) {
    auto why = text(because, std::string_view(word.as_string()));
    if (why.empty() || word.as_string() == "Blocked") continue;
    print(fmt::format("\n{}: {}: {}\n", text(target, "name"),
                      printable(std::string_view(word.as_string())), why));
  }
  if (!text(target, "next_try").empty())
    print(fmt::format("    tried again at {}\n", text(target, "next_try")));
}

/// What is not in force, why, since when, and what it would need.
void print_advance(const boost::json::value& policy) {
  if (!text(policy, "problem").empty())
    print(fmt::format("         NOT IN FORCE since {}: {}\n", text(policy, "problem_since"),
                      text(policy, "problem")));
  const auto& hold = member(policy, "hold");
  if (!hold.is_null())
    print(fmt::format("         HELD at {} since {} by {}{}\n",
                      text(hold, "revision").substr(0, 12), text(hold, "since"), text(hold, "by"),
                      text(hold, "reason").empty() ? "" : ": " + text(hold, "reason")));
  const auto& waiting = member(policy, "waiting");
  if (!waiting.is_null())
    print(fmt::format("         waiting {} {} by {}, since {}\n         it waits for: {}\n",
                      text(waiting, "revision").substr(0, 12), text(waiting, "subject"),
                      text(waiting, "author"), text(waiting, "since"), text(waiting, "needs")));
  if (text(policy, "advance") != "auto" && !text(policy, "advance").empty())
    print("         advance: " + text(policy, "advance") + "\n");
}

/// "changes  5 open pull requests: 3 planned, 1 refused, 1 waits   last seen …"
void print_changes(const boost::json::value& changes) {
  if (changes.is_null()) return;
  auto count = [&](const char* name) { return number(changes, name); };
  auto open = count("open"), planned = count("planned"), refused = count("refused");
  auto seen = text(changes, "last_look");
  print(fmt::format("changes  {}: {} planned, {} refused, {} to be planned; last seen {}\n",
                    counted(open, "open pull request", "open pull requests"), planned, refused,
                    open - planned - refused, seen.empty() ? "never" : seen));
  if (truth(changes, "more")) print("         and more, which are not looked at\n");
  if (!text(changes, "problem").empty())
    print(fmt::format("         since {}: {}\n", text(changes, "problem_since"),
                      text(changes, "problem")));
}

void print_confirmation(const boost::json::value& target) {
  const auto& is = member(target, "confirmation");
  if (is.is_null()) return;
  auto name = text(target, "name"), policy = text(is, "policy").substr(0, 12),
       previous = text(is, "previous").substr(0, 12);
  if (text(is, "state") == "returned")
    return print(
        fmt::format("\n{}: policy {} was not confirmed in time and was taken back: {} "
                    "holds there. It is not tried again until another revision is adopted "
                    "or you say knock apply.\n",
                    name, policy, previous));
  auto id = text(is, "id").substr(0, 16);
  print(fmt::format(
      "\n{}: what policy {} changed must be confirmed by {}, or {} holds there "
      "again{}\n",
      name, policy, text(is, "due"), previous, id.empty() ? "" : ": knock confirm " + id));
  if (!text(is, "problem").empty()) print(fmt::format("    {}\n", text(is, "problem")));
}

void print_text(const boost::json::value& s) {
  const auto& policy = member(s, "policy");
  print(fmt::format("knock {}   owner {}   {}\n", text(s, "version"), text(s, "owner"),
                    truth(s, "ready") ? "ready" : "NOT READY: " + text(s, "not_ready_because")));
  print(fmt::format(
      "policy   {} {}\n         from {}, last seen {}\n",
      text(policy, "revision").empty() ? "none" : text(policy, "revision").substr(0, 15),
      text(policy, "subject"), text(policy, "source"), text(policy, "last_contact")));
  print_advance(policy);
  print_changes(member(s, "changes"));
  print(fmt::format("sessions {} live   log {} records\n\n", number(s, "live_sessions"),
                    number(s, "log_head")));
  std::vector<std::vector<std::string>> rows{
      {"TARGET", "TYPE", "CONDITIONS", "OWNED", "FOREIGN", "GENERATION", "LAST FULL READ"}};
  for (const auto& t : list(s, "targets"))
    rows.push_back(
        {text(t, "name"), text(t, "type"), conditions(t), text(t, "owned"), text(t, "foreign"),
         text(t, "observed_generation") + "/" + text(t, "generation"), text(t, "last_full_read")});
  print(table(rows));
  for (const auto& suspect : list(s, "suspects"))
    print(
        fmt::format("\nsign-in source {}: says of many at once that they have no groups; {} "
                    "sessions keep theirs until {}. See to the source, or revoke whom you do not "
                    "want to wait for.\n",
                    text(suspect, "source"), text(suspect, "sessions"), text(suspect, "until")));
  for (const auto& t : list(s, "targets")) {
    print_because(t);
    print_confirmation(t);
    for (const auto& finding : list(t, "findings"))
      print(fmt::format("\n{}: {}\n", text(t, "name"), text(finding, "sentence")));
    for (const auto& guard : list(t, "guards"))
      print(
          fmt::format("\n{}: guard {} holds {} changes: {} ({}). See `knock plan`; `knock apply "
                      "--ack HASH` lets them go.\n",
                      text(t, "name"), text(guard, "guard"), text(guard, "held"),
                      text(guard, "figure"), text(guard, "limit")));
  }
  for (const auto& remark : list(s, "remarks"))
    print("note: " + printable(std::string_view(remark.as_string())) + "\n");
}

/// "edge-fw Ready Synced" for each target, and whether knock is ready: what is worth a line when it
/// changes.
std::vector<std::string> in_short(const boost::json::value& status) {
  std::vector<std::string> out{truth(status, "ready")
                                   ? "knock: ready"
                                   : "knock: NOT READY: " + text(status, "not_ready_because")};
  out.push_back("policy: " + text(member(status, "policy"), "revision").substr(0, 12));
  for (const auto& target : list(status, "targets")) {
    auto line = fmt::format("{}: {}, {} owned", text(target, "name"), conditions(target),
                            text(target, "owned"));
    const auto& because = member(target, "because");
    for (const auto& word : list(target, "conditions"))
      if (auto why = text(because, std::string_view(word.as_string())); !why.empty())
        line += "; " + why;
    out.push_back(std::move(line));
  }
  return out;
}

/// A screen that is drawn again, or, where there is none, a line for each change.
class Watch {
 public:
  explicit Watch(const Global& global) : global_(global), screen_(isatty(STDOUT_FILENO) == 1) {}

  void show(const Result<boost::json::value>& answer) {
    if (!answer) return say({"controller: " + printable(answer.error().message)}, {});
    if (global_.json) return say({boost::json::serialize(*answer)}, {});
    auto lines = in_short(*answer);
    if (!screen_) return say(lines, text(*answer, "now"));
    if (lines == last_) return;
    last_ = std::move(lines);
    print("\033[H\033[2J");
    print_text(*answer);
    std::fflush(stdout);
  }

 private:
  void say(std::vector<std::string> lines, const std::string& at) {
    for (const auto& line : lines)
      if (std::find(last_.begin(), last_.end(), line) == last_.end())
        print((at.empty() ? "" : at + "  ") + line + "\n");
    last_ = std::move(lines);
    std::fflush(stdout);
  }

  const Global& global_;
  bool screen_;
  std::vector<std::string> last_;
};

/// Until it is interrupted.
[[noreturn]] void watch(const Global& global) {
  auto client = AdminClient::of(global);
  Watch watch(global);
  for (;; std::this_thread::sleep_for(std::chrono::seconds(1)))
    watch.show(client.get("/api/v1/status"));
}

}  // namespace

void add_status(Commands& commands) {
  auto* command = commands.add(commands.app, "status", "How the controller and its targets are",
                               "knock status --watch");
  auto watching = std::make_shared<bool>(false);
  command->add_flag("--watch", *watching,
                    "Go on, and say what changes, until it is interrupted with Ctrl-C");
  commands.run(command, [&commands, watching] {
    if (*watching) watch(commands.global);
    auto answer = AdminClient::of(commands.global).get("/api/v1/status");
    if (!answer) return fail_with(answer.error());
    print_answer(commands.global, *answer, print_text);
    return int(kDone);
  });
}

}  // namespace knock::cli
