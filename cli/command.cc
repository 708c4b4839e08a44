// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/text.h"

namespace knock::cli {

bool Global::colored() const {
  if (color == "always") return true;
  if (color == "never" || json) return false;
  const char* off = std::getenv("NO_COLOR");
  return (off == nullptr || *off == '\0') && isatty(STDOUT_FILENO) == 1;
}

CLI::App* Commands::add(CLI::App& parent, const std::string& name, const std::string& what,
                        const std::string& example) {
  auto* command = parent.add_subcommand(name, what);
  command->footer("Example:\n  " + example);
  command->fallthrough();
  return command;
}

void Commands::run(CLI::App* command, Work work) {
  command->callback([this, work = std::move(work)] { chosen = work; });
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void say(const Global& global, std::string_view text) {
  if (!global.quiet) fmt::print(stderr, "{}\n", text);
}

int fail_with(int code, std::string_view message) {
  std::fflush(stdout);
  fmt::print(stderr, "knock: {}\n", message);
  return code;
}

int code_for(const Error& error) { return error.kind == ErrorKind::conflict ? kLocked : kError; }

int fail_with(const Error& error) { return fail_with(code_for(error), error.text()); }

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (width.size() <= i) width.push_back(0);
      width[i] = std::max(width[i], display_width(row[i]));
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(width[i] - display_width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

Result<std::string> read_text_file(const std::string& path) {
  std::error_code problem;
  if (std::filesystem::is_directory(path, problem))
    return fail(ErrorKind::invalid, path + " is a directory");
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorKind::not_found, "cannot read " + path);
  std::string content{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return fail(ErrorKind::unavailable, "cannot read " + path);
  return content;
}

std::optional<Config> read_config(const Global& global) {
  auto content = read_text_file(global.config_file);
  if (!content) {
    fail_with(kError,
              content.error().text() +
                  "; --config names the controller's configuration, `knock init` writes one");
    return std::nullopt;
  }
  auto base = std::filesystem::absolute(global.config_file).parent_path().string();
  auto load = load_config(global.config_file, *content, base);
  if (!load.diagnostics.empty()) fmt::print(stderr, "{}", to_text(load.diagnostics));
  return std::move(load.config);
}

bool interactive() { return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1; }

bool confirmed(std::string_view question) {
  if (!interactive()) return false;
  fmt::print(stderr, "{} [y/N] ", question);
  std::string line;
  return std::getline(std::cin, line) && (line == "y" || line == "yes");
}

}  // namespace knock::cli
