// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/text.h"
#include "cli/suggest.h"

namespace knock::cli {
namespace {

using Words = std::vector<std::string>;

struct Flag {
  Words names;  // "--out", "-o"
  std::string what;
  bool takes_value = false;
  Words values;  // when they are fixed
};

/// One command as a shell sees it.
struct Place {
  std::string path;                                           // "" or "session grant"
  std::vector<std::pair<std::string, std::string>> commands;  // name, what it is for
  std::vector<Flag> flags;
  Words values;  // of its first argument, when they are fixed
};

/// CLI11 shows fixed values as part of the type: TEXT:{text,json}.
Words fixed_values(const CLI::Option& option) {
  auto type = option.get_type_name();
  auto open = type.find('{'), close = type.rfind('}');
  Words out;
  if (open == std::string::npos || close == std::string::npos || close < open) return out;
  for (auto value : split(std::string_view(type).substr(open + 1, close - open - 1), ','))
    out.emplace_back(value);
  return out;
}

Flag flag_of(const CLI::Option& option) {
  Flag out{{}, option.get_description(), takes_value(option), fixed_values(option)};
  for (const auto& name : option.get_lnames()) out.names.push_back("--" + name);
  for (const auto& name : option.get_snames()) out.names.push_back("-" + name);
  return out;
}

/// A command's flags and those of the commands above it, which it takes too; its own first.
std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> out;
  std::set<std::string> taken;
  for (const auto* at = &app; at != nullptr; at = at->get_parent())
    for (const auto* option : visible_flags(*at)) {
      auto flag = flag_of(*option);
      std::erase_if(flag.names, [&](const auto& name) { return !taken.insert(name).second; });
      if (!flag.names.empty()) out.push_back(std::move(flag));
    }
  return out;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Place>& out) {
  Place place{path, {}, flags_of(app), {}};
  auto arguments = visible_positionals(app);
  if (!arguments.empty()) place.values = fixed_values(*arguments.front());
  for (const auto* command : visible_commands(app))
    place.commands.emplace_back(command->get_name(), command->get_description());
  out.push_back(std::move(place));
  for (const auto* command : visible_commands(app))
    collect(*command, path.empty() ? command->get_name() : path + " " + command->get_name(), out);
}

std::vector<Place> places_of(const CLI::App& app) {
  std::vector<Place> out;
  collect(app, "", out);
  return out;
}

Words argument_words(const Place& place) {
  Words out = place.values;
  for (const auto& [name, what] : place.commands) out.push_back(name);
  return out;
}

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// `case` branches that find the command of a line, word by word: bash and zsh write them alike.
std::string path_cases(const std::vector<Place>& places) {
  Words known;
  for (const auto& place : places)
    if (!place.path.empty()) known.push_back(shell_quoted(place.path));
  return join(known, "|");
}

std::string value_flag_cases(const std::vector<Place>& places) {
  Words out;
  for (const auto& place : places)
    for (const auto& flag : place.flags)
      if (flag.takes_value)
        for (const auto& name : flag.names) out.push_back(shell_quoted(place.path + " " + name));
  return join(out, "|");
}

/// fish separates the patterns of a branch by blanks.
std::string with_blanks(std::string cases) {
  std::ranges::replace(cases, '|', ' ');
  return cases;
}

constexpr std::string_view kBash =
    R"(# Completion of knock for bash:  source <(knock completion bash)
_knock() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path= words= i
  if [ "$cur" = "=" ]; then cur=; elif [ "$prev" = "=" ]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${{COMP_WORDS[i]}}" in {value_flags}) ((i++)); continue ;; esac
    case "${{path:+$path }}${{COMP_WORDS[i]}}" in {paths}) path="${{path:+$path }}${{COMP_WORDS[i]}}" ;; esac
  done
  COMPREPLY=()
  case "$path $prev" in
{values}    {value_flags}) return ;;
  esac
  case "$path" in
{places}  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o bashdefault -o default -F _knock knock
)";

constexpr std::string_view kZsh = R"(#compdef knock
# Completion of knock for zsh:  source <(knock completion zsh)
# or write it to a file _knock in a folder of $fpath.
_knock() {{
  local cur=${{words[CURRENT]}} prev=${{words[CURRENT-1]}} at= i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    case "$at ${{words[i]}}" in ({value_flags}) ((i++)); continue ;; esac
    case "${{at:+$at }}${{words[i]}}" in ({paths}) at="${{at:+$at }}${{words[i]}}" ;; esac
  done
  case "$at $prev" in
{values}    ({value_flags}) _files; return ;;
  esac
  if [[ $cur == -* ]]; then
    case "$at" in
{flags}    esac
    _describe 'flag' found
    return
  fi
  case "$at" in
{arguments}  esac
  if (( $#found )); then _describe 'command' found; else _files; fi
}}
if [ "$funcstack[1]" = _knock ]; then _knock "$@"; else compdef _knock knock; fi
)";

/// name:description, as _describe reads it.
std::string described(const std::string& name, std::string_view what) {
  std::string out;
  for (char c : name + ":" + std::string(what)) {
    if (c == ':' && out.size() != name.size()) out += '\\';
    out += c;
  }
  return shell_quoted(out);
}

Words described_flags(const Place& place) {
  Words out;
  for (const auto& flag : place.flags)
    for (const auto& name : flag.names) out.push_back(described(name, flag.what));
  return out;
}

Words described_arguments(const Place& place) {
  Words out;
  for (const auto& value : place.values) out.push_back(shell_quoted(value));
  for (const auto& [name, what] : place.commands) out.push_back(described(name, what));
  return out;
}

/// Branches for flags whose values are fixed. `form` gets the patterns and the words.
template <class Form>
std::string value_branches(const std::vector<Place>& places, const Form& form) {
  std::string out;
  for (const auto& place : places)
    for (const auto& flag : place.flags) {
      if (flag.values.empty()) continue;
      Words patterns;
      for (const auto& name : flag.names) patterns.push_back(shell_quoted(place.path + " " + name));
      out += form(join(patterns, "|"), flag.values);
    }
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  auto places = places_of(app);
  auto values = value_branches(places, [](const std::string& patterns, const Words& words) {
    return fmt::format("    {}) COMPREPLY=($(compgen -W {} -- \"$cur\")); return ;;\n", patterns,
                       shell_quoted(join(words, " ")));
  });
  std::string branches;
  for (const auto& place : places) {
    Words flags;
    for (const auto& flag : place.flags)
      flags.insert(flags.end(), flag.names.begin(), flag.names.end());
    branches += fmt::format("    {}) case \"$cur\" in -*) words={} ;; *) words={} ;; esac ;;\n",
                            shell_quoted(place.path), shell_quoted(join(flags, " ")),
                            shell_quoted(join(argument_words(place), " ")));
  }
  return fmt::format(fmt::runtime(kBash), fmt::arg("value_flags", value_flag_cases(places)),
                     fmt::arg("paths", path_cases(places)), fmt::arg("values", values),
                     fmt::arg("places", branches));
}

std::string zsh_completion(const CLI::App& app) {
  auto places = places_of(app);
  auto values = value_branches(places, [](const std::string& patterns, const Words& words) {
    return fmt::format("    ({}) compadd -- {}; return ;;\n", patterns, join(words, " "));
  });
  std::string flags, arguments;
  for (const auto& place : places) {
    flags += fmt::format("      ({}) found=({}) ;;\n", shell_quoted(place.path),
                         join(described_flags(place), " "));
    auto words = described_arguments(place);
    if (!words.empty())
      arguments +=
          fmt::format("    ({}) found=({}) ;;\n", shell_quoted(place.path), join(words, " "));
  }
  return fmt::format(fmt::runtime(kZsh), fmt::arg("value_flags", value_flag_cases(places)),
                     fmt::arg("paths", path_cases(places)), fmt::arg("values", values),
                     fmt::arg("flags", flags), fmt::arg("arguments", arguments));
}

std::string fish_completion(const CLI::App& app) {
  auto places = places_of(app);
  std::string out = fmt::format(
      "# Completion of knock for fish:  knock completion fish | source\n"
      "function __knock_at\n"
      "  set -l at ''\n"
      "  set -l skip 0\n"
      "  set -l words (commandline -opc)\n"
      "  for word in $words[2..-1]\n"
      "    if test $skip = 1\n"
      "      set skip 0\n"
      "      continue\n"
      "    end\n"
      "    switch \"$at $word\"\n"
      "      case {}\n"
      "        set skip 1\n"
      "        continue\n"
      "    end\n"
      "    switch (string trim -- \"$at $word\")\n"
      "      case {}\n"
      "        set at (string trim -- \"$at $word\")\n"
      "    end\n"
      "  end\n"
      "  test \"$at\" = \"$argv\"\n"
      "end\n",
      with_blanks(value_flag_cases(places)), with_blanks(path_cases(places)));
  for (const auto& place : places) {
    auto here = fmt::format("complete -c knock -n {}", shell_quoted("__knock_at " + place.path));
    for (const auto& [name, what] : place.commands)
      out += fmt::format("{} -f -a {} -d {}\n", here, shell_quoted(name), shell_quoted(what));
    if (!place.values.empty())
      out += fmt::format("{} -f -a {}\n", here, shell_quoted(join(place.values, " ")));
    for (const auto& flag : place.flags) {
      out += here;
      for (const auto& name : flag.names)
        out +=
            (name.starts_with("--") ? " -l " : " -s ") + name.substr(name.find_first_not_of('-'));
      if (flag.takes_value)
        out += flag.values.empty() ? " -r" : " -x -a " + shell_quoted(join(flag.values, " "));
      out += " -d " + shell_quoted(flag.what) + "\n";
    }
  }
  return out;
}

}  // namespace knock::cli
