// SPDX-License-Identifier: Apache-2.0
#include "tests/golden/unified_patch.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/text.h"

namespace knock::test {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text.empty() ? std::vector<std::string_view>() : split(text, '\n');
}

/// The first line that a hunk takes away: "@@ -21,4 +21,5 @@". Zero where there was no file.
std::size_t first_line(std::string_view header) {
  std::size_t line = 0;
  auto at = header.find('-');
  if (at != header.npos)
    std::from_chars(header.data() + at + 1, header.data() + header.size(), line);
  return line;
}

class Patch {
 public:
  Patch(Files files, std::string_view text) : files_(std::move(files)), lines_(lines_of(text)) {}

  Result<Files> apply() {
    while (next_ < lines_.size()) {
      if (!lines_[next_].starts_with("--- ")) {
        ++next_;
        continue;
      }
      KNOCK_CHECK(file());
    }
    return std::move(files_);
  }

 private:
  static std::string name_in(std::string_view line) {
    auto name = line.substr(4);
    return name == "/dev/null" ? "" : std::string(name.substr(2));
  }

  Status file() {
    auto from = name_in(lines_[next_++]);
    if (next_ == lines_.size() || !lines_[next_].starts_with("+++ "))
      return fail(ErrorKind::invalid, "no +++ behind ---");
    auto to = name_in(lines_[next_++]);
    std::string before = from.empty() ? "" : files_[from];
    auto have = lines_of(before);
    std::string after;
    std::size_t at = 0;
    while (next_ < lines_.size() && lines_[next_].starts_with("@@")) {
      auto first = first_line(lines_[next_++]);
      while (at + 1 < first && at < have.size()) after += std::string(have[at++]) + "\n";
      KNOCK_CHECK(hunk(to.empty() ? from : to, have, at, after));
    }
    while (at < have.size()) after += std::string(have[at++]) + "\n";
    if (!from.empty()) files_.erase(from);
    if (!to.empty()) files_[to] = after;
    return {};
  }

  Status hunk(const std::string& name, const std::vector<std::string_view>& have, std::size_t& at,
              std::string& after) {
    for (; next_ < lines_.size(); ++next_) {
      auto line = lines_[next_];
      char sign = line.empty() ? ' ' : line[0];
      if (line.starts_with("diff ") || line.starts_with("@@") || line.starts_with("--- ")) break;
      auto text = line.empty() ? line : line.substr(1);
      if (sign == '+') {
        after += std::string(text) + "\n";
        continue;
      }
      if (at == have.size() || have[at] != text)
        return fail(ErrorKind::invalid,
                    fmt::format("{}:{} is not what the patch says: {}", name, at + 1, text));
      if (sign == ' ') after += std::string(text) + "\n";
      ++at;
    }
    return {};
  }

  Files files_;
  std::vector<std::string_view> lines_;
  std::size_t next_ = 0;
};

}  // namespace

Result<Files> apply_patch(Files files, std::string_view patch) {
  return Patch(std::move(files), patch).apply();
}

}  // namespace knock::test
