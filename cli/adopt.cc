// SPDX-License-Identifier: Apache-2.0
// Whose a target's entries are: adopt, release, import. Everything is shown before it is done, and
// the yes names what was shown.
#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

#include "cli/admin_client.h"
#include "cli/imported_policy.h"
#include "cli/json_view.h"
#include "schemas/policy/format.h"

namespace knock::cli {
namespace {

struct AdoptFlags {
  std::string target, ack;
  bool exclusive = false, take_over = false;
};

struct ReleaseFlags {
  std::string target, ack;
  bool yes = false;
};

struct ImportFlags {
  std::string target, out;
};

constexpr std::size_t kMostShown = 200;

std::string short_plan(const boost::json::value& plan) { return text(plan, "plan").substr(0, 16); }

std::string ports_of(const boost::json::value& entry) {
  std::string out;
  for (const auto& port : list(entry, "ports")) {
    if (!out.empty()) out += " ";
    if (port.is_string()) out += printable(std::string_view(port.as_string()));
  }
  return out;
}

std::string end_of(const boost::json::value& entry) {
  auto ends = text(entry, "ends");
  return ends.empty() ? "never ends" : "ends " + ends;
}

std::size_t count(const boost::json::value& plan, std::string_view fate) {
  std::size_t n = 0;
  for (const auto& entry : list(plan, "entries")) n += text(entry, "fate") == fate;
  return n;
}

/// The entries of one fate below their heading; nothing when there are none.
std::string entries(const boost::json::value& plan, std::string_view fate, std::string_view head) {
  auto all = count(plan, fate);
  if (all == 0) return "";
  std::vector<std::vector<std::string>> rows;
  for (const auto& entry : list(plan, "entries")) {
    if (text(entry, "fate") != fate || rows.size() == kMostShown) continue;
    auto note = text(entry, "comment");
    if (note.empty()) note = text(entry, "who");
    rows.push_back(
        {"  " + text(entry, "prefix"), ports_of(entry), text(entry, "slot"), end_of(entry), note});
  }
  auto out = fmt::format("\n{} {}\n", counted(all, "entry", "entries"), head) + table(rows);
  if (all > rows.size()) out += fmt::format("  and {} more\n", all - rows.size());
  return out;
}

std::string title_of(const boost::json::value& plan) {
  return text(plan, "target") + "   " + text(plan, "place") + "\n";
}

std::string adoption(const boost::json::value& plan) {
  auto act = text(plan, "act");
  std::string out = title_of(plan);
  if (act == "take-over")
    out += fmt::format(
        "\nIt belongs to the installation {}. If that one still runs, stop it first: two "
        "controllers on one\nfirewall undo each other's work. The table is made anew with this "
        "installation's owner id; what stands in it\nstays, but for what nobody here wants.\n",
        text(plan, "former"));
  out += entries(plan, "goes",
                 act == "exclusive" ? "not from knock: removed" : "of that installation: removed");
  out += entries(plan, "marked",
                 act == "take-over" ? "of that installation, wanted here too: stay, as ours"
                                    : "not from knock, and wanted by policy: marked as ours, with "
                                      "the deadline of the policy");
  out += entries(plan, "left-alone", "left alone");
  if (act == "exclusive")
    out +=
        "\nFrom then on the whole table is knock's: whatever else is put there is removed as soon "
        "as it is seen.\n";
  if (act == "adopt" && count(plan, "marked") == 0)
    out += "\nNothing foreign stands there that policy wants.\n";
  return out;
}

std::string release_text(const boost::json::value& plan) {
  std::string out = title_of(plan);
  out += entries(plan, "goes", "of sessions, or of nobody known: removed now");
  out += entries(plan, "stays", "of static entries: stay open, without knock's mark");
  if (count(plan, "stays") > 0)
    out += truth(plan, "closes_by_itself")
               ? "\nThe target itself ends each at the time beside it. Until then nobody closes "
                 "them for any other reason:\nno policy, no deny rule, no revocation. Whoever is "
                 "named beside an entry must watch it.\n"
               : "\nNOTHING ENDS THEM: this target counts no deadline. Whoever is named beside an "
                 "entry must close it by hand.\n";
  out += "\nFrom then on knock writes nothing there, until `knock adopt " + text(plan, "target") +
         "`. Ports that are closed stay closed.\n";
  return out;
}

/// True when the person typed the target's name.
bool typed(const std::string& target) {
  if (!interactive()) return false;
  fmt::print(stderr, "Type the target's name to release it: ");
  std::string line;
  return std::getline(std::cin, line) && line == target;
}

int change(const Global& global, const boost::json::value& plan, const std::string& id) {
  boost::json::object body{
      {"target", text(plan, "target")}, {"act", text(plan, "act")}, {"plan", id}};
  auto done = AdminClient::of(global).post("/api/v1/ownership/change", body);
  if (!done) {
    bool other = done.error().kind == ErrorKind::conflict;
    return fail_with(other ? int(kGuarded) : code_for(done.error()), done.error().message);
  }
  print_answer(global, *done, [](const boost::json::value& answer) {
    print(truth(answer, "done")
              ? "Done.\n"
              : "Recorded, and not carried out yet: " + text(answer, "problem") + "\n");
  });
  return truth(*done, "done") ? kDone : kPartly;
}

Result<boost::json::value> ask(const Global& global, const std::string& target,
                               std::string_view act) {
  boost::json::object body{{"target", target}, {"act", act}};
  return AdminClient::of(global).post("/api/v1/ownership/plan", body);
}

int held(const boost::json::value& plan, std::string_view command) {
  return fail_with(kGuarded, fmt::format("nothing was done; to do exactly this, run `{} --ack {}`",
                                         command, short_plan(plan)));
}

int adopt(const Global& global, const AdoptFlags& flags) {
  std::string_view act = flags.exclusive ? "exclusive" : flags.take_over ? "take-over" : "adopt";
  auto plan = ask(global, flags.target, act);
  if (!plan) return fail_with(plan.error());
  if (!flags.ack.empty()) return change(global, *plan, flags.ack);
  if (global.json)
    print(boost::json::serialize(*plan) + "\n");
  else
    print(adoption(*plan) + "\nplan " + short_plan(*plan) + "\n");
  if (confirmed("Adopt it?")) return change(global, *plan, text(*plan, "plan"));
  return held(*plan, fmt::format("knock adopt {}{}", flags.target,
                                 act == "adopt" ? "" : " --" + std::string(act)));
}

int release(const Global& global, const ReleaseFlags& flags) {
  auto plan = ask(global, flags.target, "release");
  if (!plan) return fail_with(plan.error());
  if (!flags.ack.empty()) return change(global, *plan, flags.ack);
  if (global.json)
    print(boost::json::serialize(*plan) + "\n");
  else
    print(release_text(*plan) + "\nplan " + short_plan(*plan) + "\n");
  if (flags.yes || typed(flags.target)) return change(global, *plan, text(*plan, "plan"));
  return held(*plan, "knock release " + flags.target);
}

std::vector<FoundEntry> found_entries(const boost::json::value& plan) {
  std::vector<FoundEntry> out;
  for (const auto& entry : list(plan, "entries"))
    // What another installation or another version marked is not for this policy to take.
    if (auto prefix = Prefix::parse(text(entry, "prefix"));
        prefix && !text(entry, "comment").starts_with("knock:"))
      out.push_back({text(entry, "slot"), *prefix, text(entry, "comment"),
                     parse_instant(text(entry, "ends"))});
  return out;
}

int import(const Global& global, const ImportFlags& flags) {
  auto plan = ask(global, flags.target, "adopt");
  if (!plan) return fail_with(plan.error());
  auto imported = imported_entries(flags.target, found_entries(*plan), SystemClock().now());
  // As `knock fmt` would write it.
  if (auto formatted = format_policy_file("imported.yaml", imported.text); formatted.text)
    imported.text = *formatted.text;
  if (imported.entries + imported.open_to_everybody == 0) {
    say(global, "Nothing foreign stands on " + printable(flags.target) + ".\n");
    return kDone;
  }
  if (flags.out.empty()) {
    print(imported.text);
  } else {
    if (access(flags.out.c_str(), F_OK) == 0)
      return fail_with(kError, flags.out +
                                   " exists; write to another file, and take from there "
                                   "what you want");
    std::ofstream file(flags.out);
    file << imported.text;
    file.close();
    if (!file) return fail_with(kError, "cannot write " + flags.out);
  }
  say(global,
      fmt::format("{}, each for 90 days. Say in each who it is for and why, and review it as any "
                  "change; then `knock adopt {}` puts knock's mark on them.\n",
                  counted(imported.entries, "static entry", "static entries"), flags.target));
  return kDone;
}

}  // namespace

void add_adopt(Commands& commands) {
  auto flags = std::make_shared<AdoptFlags>();
  auto* command = commands.add(commands.app, "adopt", "Take entries that stand on a target as ours",
                               "knock adopt edge --exclusive");
  command->add_option("target", flags->target, "Which target")->required();
  auto* exclusive = command->add_flag(
      "--exclusive", flags->exclusive,
      "The whole container: foreign entries in it are removed, now and whenever one appears");
  auto* take = command->add_flag("--take-over", flags->take_over,
                                 "The container of another installation that is gone for good");
  command->add_option("--ack", flags->ack,
                      "Do not ask: do what this plan says, if it is still the same");
  take->excludes(exclusive);
  commands.run(command, [&commands, flags] { return adopt(commands.global, *flags); });
}

void add_release(Commands& commands) {
  auto flags = std::make_shared<ReleaseFlags>();
  auto* command =
      commands.add(commands.app, "release",
                   "Let go of a target: static entries stay open without a mark, others are closed",
                   "knock release edge");
  command->add_option("target", flags->target, "Which target")->required();
  command->add_flag("--yes", flags->yes, "Do not ask for the target's name to be typed");
  command->add_option("--ack", flags->ack,
                      "Do not ask: do what this plan says, if it is still the same");
  commands.run(command, [&commands, flags] { return release(commands.global, *flags); });
}

void add_import(Commands& commands) {
  auto flags = std::make_shared<ImportFlags>();
  auto* command = commands.add(commands.app, "import",
                               "Write foreign entries of a target as static entries to review",
                               "knock import edge --out policies/imported-edge.yaml");
  command->add_option("target", flags->target, "Which target")->required();
  command->add_option("-o,--out", flags->out, "Write them to this file, which must not exist yet");
  commands.run(command, [&commands, flags] { return import(commands.global, *flags); });
}

}  // namespace knock::cli
