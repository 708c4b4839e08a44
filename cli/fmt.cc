// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json.hpp>
#include <iostream>
#include <iterator>

#include "base/text.h"
#include "cli/command.h"
#include "cli/policy_paths.h"
#include "cli/unified_diff.h"
#include "schemas/policy/format.h"

namespace knock::cli {
namespace {

struct FmtFlags {
  std::vector<std::string> paths;
  bool check = false, diff = false, from_stdin = false;
};

struct Tally {
  std::size_t files = 0;
  std::vector<std::string> changed;
  std::vector<std::string> refused;
};

int refuse(const FormattedFile& out) {
  std::fflush(stdout);
  fmt::print(stderr, "{}", to_text(out.diagnostics));
  return kPolicyInvalid;
}

int format_stdin(const FmtFlags& flags) {
  std::string content{std::istreambuf_iterator<char>(std::cin), {}};
  auto out = format_policy_file("<stdin>", content);
  if (!out.text) return refuse(out);
  if (flags.diff) print(unified_diff("<stdin>", content, *out.text));
  if (!flags.check && !flags.diff) print(*out.text);
  return flags.check && *out.text != content ? kError : kDone;
}

/// One file; an error is one that has nothing to do with what is written in it.
Status format_one(const FmtFlags& flags, const Global& global, const std::string& path,
                  Tally& tally) {
  KNOCK_ASSIGN(auto content, read_policy_path(path));
  ++tally.files;
  auto out = format_policy_file(path, content);
  if (!out.text) {
    refuse(out);
    tally.refused.push_back(path);
    return {};
  }
  if (*out.text == content) return {};
  if (!flags.check && !flags.diff) KNOCK_CHECK(replace_policy_file(path, content, *out.text));
  tally.changed.push_back(path);
  if (global.json) return {};
  print(flags.diff ? unified_diff(path, content, *out.text) : printable(path) + "\n");
  return {};
}

void print_json(const Tally& tally) {
  namespace json = boost::json;
  auto list = [](const std::vector<std::string>& paths) {
    json::array out;
    for (const auto& path : paths) out.push_back(json::object{{"file", printable(path)}});
    return out;
  };
  json::object out{
      {"files", tally.files}, {"changed", list(tally.changed)}, {"refused", list(tally.refused)}};
  print(json::serialize(out) + "\n");
}

std::string summary(const FmtFlags& flags, const Tally& tally) {
  auto out = counted(tally.files, "file", "files");
  if (!tally.changed.empty())
    out += flags.check || flags.diff
               ? fmt::format(", {} to format; `knock fmt` does it", tally.changed.size())
               : fmt::format(", {} formatted", tally.changed.size());
  else if (tally.refused.empty())
    out += ", nothing to format";
  if (!tally.refused.empty())
    out += fmt::format("; {} left as written, because of the problems above", tally.refused.size());
  return out;
}

int format(const Global& global, FmtFlags flags) {
  if (flags.from_stdin && !flags.paths.empty())
    return fail_with(kUsage,
                     "--stdin formats what is read from standard input; leave the paths out");
  if (flags.from_stdin) return format_stdin(flags);
  if (flags.paths.empty()) flags.paths.emplace_back(".");
  auto files = policy_paths(flags.paths);
  if (!files) return fail_with(files.error());
  Tally tally;
  bool failed = false;
  for (const auto& path : *files)
    if (auto done = format_one(flags, global, path, tally); !done) {
      fail_with(done.error());
      failed = true;
    }
  if (global.json) print_json(tally);
  say(global, summary(flags, tally));
  if (failed) return kError;
  if (!tally.refused.empty()) return kPolicyInvalid;
  return flags.check && !tally.changed.empty() ? kError : kDone;
}

}  // namespace

void add_fmt(Commands& commands) {
  auto flags = std::make_shared<FmtFlags>();
  auto* command =
      commands.add(commands.app, "fmt", "Policy files in their canonical layout; comments stay",
                   "knock fmt policies/\n  knock fmt --check --diff policies/");
  command->add_option("path", flags->paths, "Files, or folders of them (default: this folder)");
  command->add_flag("--check", flags->check,
                    "Write nothing; list what is not formatted and exit with 1");
  command->add_flag("--diff", flags->diff, "Write nothing; show what would change");
  command->add_flag("--stdin", flags->from_stdin, "From standard input to standard output");
  commands.run(command, [&commands, flags] { return format(commands.global, *flags); });
}

}  // namespace knock::cli
