// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local_questions.h"
#include "net/http_client.h"
#include "server/admin/questions_json.h"

namespace knock::cli {
namespace {

struct WhyFlags {
  std::string who, what, at;
};

void print_link(std::string_view kind, std::string_view sentence) {
  print(fmt::format("  {:<9} {}\n", kind, sentence));
}

std::string commit_of(const boost::json::value& value, std::string_view name) {
  return text(value, name).substr(0, 15);
}

void print_entry(const boost::json::value& entry) {
  auto removed = text(entry, "removed"), reason = text(entry, "reason");
  auto end = removed.empty()
                 ? "until " + text(entry, "until")
                 : fmt::format("to {}{}", removed, reason.empty() ? "" : " (" + reason + ")");
  print_link("entry", fmt::format("{} {} {} in {} since {} {}, policy {}", text(entry, "target"),
                                  removed.empty() ? "holds" : "held", text(entry, "prefix"),
                                  text(entry, "slot"), text(entry, "since"), end,
                                  commit_of(entry, "policy")));
}

void print_author(const boost::json::value& row) {
  const auto& author = member(row, "author");
  if (author.is_null()) return;
  auto known = text(author, "known_by"), subject = text(author, "subject");
  auto about = fmt::format("commit {}{}{}", commit_of(author, "commit"),
                           subject.empty() ? "" : " \"" + subject + "\"",
                           text(author, "at").empty() ? "" : " of " + text(author, "at"));
  if (known == "lines")
    print_link("author",
               fmt::format("{}: last change of these lines, {}", text(author, "author"), about));
  else if (known == "commit")
    print_link("author",
               fmt::format("{}, who made the policy in force: {} (not of these lines: {})",
                           text(author, "author"), about, text(author, "problem")));
  else
    print_link("author", fmt::format("not known: {}", text(author, "problem")));
}

void print_allowed(const boost::json::value& row, const std::string& who, bool past) {
  print(fmt::format(
      "{} {} reach {}{} until {}\n", who, past ? "could" : "can", text(row, "service"),
      member(row, "session").is_null() ? "" : " from " + text(member(row, "session"), "address"),
      text(row, "until")));
  for (const auto& entry : list(row, "entries")) print_entry(entry);
  if (list(row, "entries").empty())
    print_link("entry", past ? "none stood on a target then" : "no target has confirmed it yet");
  for (const auto& link : list(row, "links"))
    if (text(link, "kind") != "end") print_link(text(link, "kind"), text(link, "sentence"));
  print_author(row);
  for (const auto& link : list(row, "links"))
    if (text(link, "kind") == "end") print_link("end", text(link, "sentence"));
}

void print_refused(const boost::json::value& row, const std::string& who, bool past) {
  print(fmt::format("{} {} reach {} from {}\n", who, past ? "could not" : "cannot",
                    text(row, "service"), text(member(row, "session"), "address")));
  print_link("missing", text(row, "missing"));
  for (const auto& entry : list(row, "entries")) print_entry(entry);
  if (!text(row, "smallest_change").empty()) print_link("change", text(row, "smallest_change"));
  print_author(row);
}

void print_why(const boost::json::value& answer) {
  bool past = truth(answer, "past");
  if (past) print(fmt::format("At {}:\n\n", text(answer, "at")));
  bool first = true;
  for (const auto& row : list(answer, "answers")) {
    if (!std::exchange(first, false)) print("\n");
    const auto& session = member(row, "session");
    auto who = session.is_null() ? text(answer, "who") : text(member(session, "principal"), "name");
    if (truth(row, "allowed"))
      print_allowed(row, who, past);
    else
      print_refused(row, who, past);
  }
  if (first) {
    print(fmt::format("{} {} reach {}\n", text(answer, "who"), past ? "could not" : "cannot",
                      text(answer, "what")));
    print_link("missing", text(answer, "missing"));
    if (!text(answer, "smallest_change").empty())
      print_link("change", text(answer, "smallest_change"));
  }
  for (const auto& note : list(answer, "notes"))
    print(fmt::format("\nnote: {}\n", printable(std::string_view(note.as_string()))));
}

Result<boost::json::value> asked(const Global& global, const WhyFlags& flags) {
  KNOCK_ASSIGN(auto at, time_flag("--at", flags.at));
  auto client = AdminClient::of(global);
  if (client.reachable()) {
    std::vector<std::pair<std::string, std::string>> query{{"who", flags.who}};
    if (!flags.what.empty()) query.emplace_back("what", flags.what);
    if (at) query.emplace_back("at", flags.at);
    return client.get("/api/v1/why?" + net::encode_form(query));
  }
  KNOCK_ASSIGN(auto local, LocalQuestions::open(global));
  if (flags.what.empty()) {
    KNOCK_ASSIGN(auto mark, local->ask().mark(flags.who));
    return boost::json::parse(mark_json(mark));
  }
  KNOCK_ASSIGN(auto answer, local->ask().why(flags.who, flags.what, at));
  return boost::json::parse(why_json(answer));
}

// ---- a mark read off a firewall ----

void print_cause(const boost::json::value& cause) {
  const auto& session = member(cause, "signed_in");
  if (text(cause, "kind") == "static") {
    for (const auto& link : list(cause, "links")) print_link("static", text(link, "sentence"));
    if (list(cause, "links").empty())
      print_link("static", fmt::format("static entry {} of {}, until {}", text(cause, "rule"),
                                       text(cause, "who"), text(cause, "until")));
  } else if (session.is_null()) {
    print_link("session", fmt::format("{} of {}: the log does not know it any more",
                                      text(cause, "session"), text(cause, "who")));
  } else {
    const auto& person = member(session, "principal");
    print_link(
        "session",
        fmt::format("{} ({}@{}) came in at {} from {} at {}, session {}", text(person, "name"),
                    text(person, "subject"), text(person, "issuer"), text(session, "source"),
                    text(session, "address"), text(session, "created"), text(cause, "session")));
  }
  const auto& place = member(cause, "place");
  print_link("rule",
             fmt::format("{} gives {}{}", text(cause, "rule"), text(cause, "service"),
                         place.is_null() ? std::string(" (its policy is not at hand)")
                                         : fmt::format(" ({}:{}:{}@{})", text(place, "file"),
                                                       text(place, "line"), text(place, "column"),
                                                       commit_of(place, "commit"))));
  print_author(cause);
}

void print_mark(const boost::json::value& answer) {
  print(text(answer, "sentence") + "\n");
  const auto& times = list(answer, "times");
  if (times.empty()) return;
  print_link("policy", text(times.back(), "policy"));
  for (const auto& cause : list(answer, "causes")) print_cause(cause);
  if (times.size() == 1) return;
  print(fmt::format("\nThe log knows of {} stretches of this entry:\n", times.size()));
  for (const auto& one : times)
    print(fmt::format("  {} – {}  policy {}{}\n", text(one, "from"), text(one, "till"),
                      commit_of(one, "policy"),
                      text(one, "reason").empty() ? "" : "  ended: " + text(one, "reason")));
}

int why(const Global& global, const WhyFlags& flags) {
  bool mark = flags.what.empty();
  if (mark && !Questions::is_mark(flags.who))
    return fail_with(kUsage,
                     "name a service or a target too (knock why ana ssh), or give a mark as a "
                     "firewall shows it (knock why 'knock:1:…')");
  if (mark && !flags.at.empty())
    return fail_with(kUsage, "a mark is looked up in the whole log; leave --at out");
  auto answer = asked(global, flags);
  if (!answer) return fail_with(answer.error());
  auto kind = text(*answer, "kind");
  print_answer(global, *answer, mark ? print_mark : print_why);
  if (!mark) return truth(*answer, "allowed") ? kDone : kDenied;
  return kind == "stands" ? kDone : kind == "gone" ? kDenied : kError;
}

}  // namespace

void add_why(Commands& commands) {
  auto flags = std::make_shared<WhyFlags>();
  auto* command = commands.add(commands.app, "why",
                               "Why somebody can reach something, or what is missing; or whose a "
                               "mark on a firewall is",
                               "knock why ana ssh; knock why 203.0.113.7 edge-fw --at "
                               "2026-11-21T10:04:00Z; knock why 'knock:1:…'");
  command->add_option("who", flags->who, "A user, an address, or a mark (knock:1:…)")->required();
  command->add_option("what", flags->what, "A service or a target; not with a mark");
  command->add_option("--at", flags->at, "A time in RFC 3339; now without it");
  commands.run(command, [&commands, flags] { return why(commands.global, *flags); });
}

}  // namespace knock::cli
