// SPDX-License-Identifier: Apache-2.0
#include "cli/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace knock::cli {
namespace {

/// "knock session grant". The outermost name is the path the program was started by.
std::string name_of(const CLI::App& app) {
  if (app.get_parent() == nullptr) return "knock";
  return name_of(*app.get_parent()) + " " + app.get_name();
}

std::string problem(std::string_view what, const std::string& written,
                    const std::optional<std::string>& meant, const CLI::App& app) {
  return fmt::format("there is no {} `{}`{} `{} --help` lists them", what, printable(written),
                     meant ? "; did you mean `" + *meant + "`?" : ";", name_of(app));
}

/// The option `name` ("--out", "-o") of a command or of those above it, whose flags it takes too.
const CLI::Option* find(const CLI::App& app, const std::string& name) {
  for (const auto* at = &app; at != nullptr; at = at->get_parent())
    for (const auto* option : at->get_options())
      if (option->check_name(name)) return option;
  return nullptr;
}

std::optional<std::string> flag_meant(const CLI::App& app, const std::string& name) {
  std::vector<std::string> known;
  for (const auto* at = &app; at != nullptr; at = at->get_parent())
    for (const auto* flag : visible_flags(*at))
      for (const auto& long_name : flag->get_lnames()) known.push_back(long_name);
  auto meant = did_you_mean(name.substr(std::min(name.find_first_not_of('-'), name.size())), known);
  return meant ? std::optional("--" + *meant) : std::nullopt;
}

/// Follows the words as CLI11 does.
class Walk {
 public:
  explicit Walk(const CLI::App& app) : at_(&app) {}

  /// What is wrong with the first wrong word; "" when none is.
  std::string over(const std::vector<std::string>& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const auto& word = arguments[i];
      if (word == "--") break;
      if (word.starts_with("--") && word.size() > 2) {
        auto name = word.substr(0, word.find('='));
        const auto* flag = find(*at_, name);
        if (flag == nullptr) return problem("flag", name, flag_meant(*at_, name), *at_);
        if (takes_value(*flag) && name == word) ++i;
      } else if (word.starts_with('-') && word.size() > 1) {
        auto name = word.substr(0, 2);
        const auto* flag = find(*at_, name);
        if (flag == nullptr) return problem("flag", name, std::nullopt, *at_);
        if (takes_value(*flag) && name == word) ++i;
      } else if (auto wrong = command(word); !wrong.empty()) {
        return wrong;
      }
    }
    return "";
  }

 private:
  std::string command(const std::string& word) {
    auto all = at_->get_subcommands([](const CLI::App*) { return true; });
    for (const auto* inner : all) {
      if (inner->get_name() != word) continue;
      at_ = inner;
      return "";
    }
    if (all.empty() || !visible_positionals(*at_).empty()) return "";
    std::vector<std::string> known;
    for (const auto* inner : visible_commands(*at_)) known.push_back(inner->get_name());
    return problem("command", word, did_you_mean(word, known), *at_);
  }

  const CLI::App* at_;
};

}  // namespace

std::vector<const CLI::App*> visible_commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::vector<const CLI::Option*> visible_flags(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) {
    return !option->get_group().empty() &&
           (!option->get_lnames().empty() || !option->get_snames().empty());
  });
}

std::vector<const CLI::Option*> visible_positionals(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) {
    return !option->get_group().empty() && option->get_positional();
  });
}

bool takes_value(const CLI::Option& flag) { return flag.get_items_expected_max() > 0; }

std::string usage_problem(const CLI::App& app, const CLI::ParseError& error,
                          const std::vector<std::string>& arguments) {
  auto wrong = Walk(app).over(arguments);
  if (!wrong.empty()) return wrong;
  return std::string(error.what()) + "; --help shows what is possible";
}

}  // namespace knock::cli
