// SPDX-License-Identifier: Apache-2.0
// Markdown as GitHub, GitLab, Gitea and Forgejo read it. A forge notifies whom a comment mentions,
// and links what looks like an address, an issue or a commit; it does neither in code. So whatever
// is not a plain word stands in a code span, where nothing but a backtick, a line end and (in a
// table) a bar mean anything; printable() leaves no line ends, and the other two are replaced.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "reconciler/core/render_edits.h"
#include "reconciler/core/render_words.h"
#include "schemas/plan/policy_part.h"

namespace knock {
namespace {

/// Without what means something inside of code.
std::string for_code(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '`')
      out += "\xCB\x8B";  // U+02CB, which looks like it
    else if (c == '|')
      out += "\xC2\xA6";  // U+00A6
    else
      out += c;
  }
  return out.empty() ? " " : out;
}

std::string code(std::string_view text) { return "`" + for_code(text) + "`"; }

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Letters, with a hyphen or an apostrophe inside: "sign-in".
bool is_word(std::string_view word) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    bool inside = i > 0 && i + 1 < word.size() && is_letter(word[i - 1]) && is_letter(word[i + 1]);
    if (!is_letter(word[i]) && !(inside && (word[i] == '-' || word[i] == '\''))) return false;
  }
  return true;
}

/// A word, a number, or either with marks of a sentence around it. Not what a forge takes for a
/// commit: seven or more hexadecimal digits.
bool is_plain(std::string_view word) {
  if (word.starts_with('(')) word.remove_prefix(1);
  for (std::string_view marks : {".,;:", ")"})
    if (!word.empty() && marks.find(word.back()) != std::string_view::npos) word.remove_suffix(1);
  bool letters = is_word(word);
  bool digits = std::all_of(word.begin(), word.end(), is_digit);
  bool hex = std::all_of(word.begin(), word.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
  return !word.empty() && (letters || digits) && !(hex && word.size() >= 7);
}

/// `word`, as our own sentences write a key of the policy.
bool is_code(std::string_view word) {
  return word.size() > 2 && word.front() == '`' && word.back() == '`' &&
         word.substr(1, word.size() - 2).find('`') == word.npos;
}

/// A sentence, safe as inline text that does not begin a line.
std::string prose(std::string_view text) {
  std::string out;
  for (auto word : split(text, ' ')) {
    if (word.empty()) continue;
    if (!out.empty()) out += ' ';
    bool key = is_code(word);
    if (key) word = word.substr(1, word.size() - 2);
    out += !key && is_plain(word) ? std::string(word) : code(word);
  }
  return out;
}

std::string names_text(const std::vector<std::string>& names, std::size_t all) {
  std::vector<std::string> parts;
  for (const std::string& name : names) parts.push_back(code(name));
  auto out = join(parts, ", ");
  if (all > names.size()) out += fmt::format(" and {} more", all - names.size());
  return out;
}

class Markdown {
 public:
  Markdown(const Plan& plan, const RenderOptions& options, const Write& out)
      : plan_(plan), options_(options), words_(plan, options.view), out_(out) {}

  void write() {
    counts_ = counts_of(plan_);
    heading();
    guards();
    figures();
    findings();
    cuts();
    edits();
    targets();
    if (left_out_ > 0)
      must(
          fmt::format("\n**{} not shown**, because a comment has no room for more; the text, HTML "
                      "and JSON forms of this plan have everything.\n",
                      counted(left_out_, "line is", "lines are")));
    if (words_.shape())
      must(fmt::format("\n{}\n\n{}\n", prose(shape_summary(plan_)), prose(kLeftOut)));
    else
      must(fmt::format("\n{}\n", prose(summary(plan_))));
  }

 private:
  /// For what always fits, and what stands at the very end.
  void must(std::string_view text) {
    used_ += text.size();
    out_ += text;
  }
  bool fits(std::size_t size, std::size_t limit = kMarkdownLimit - kReserve) const {
    return used_ + size <= limit;
  }
  /// Nothing when it does not fit, which is counted.
  bool line(std::string_view text) {
    if (fits(text.size())) {
      must(text);
      return true;
    }
    ++left_out_;
    return false;
  }
  /// A heading is worth nothing without the first line below it.
  template <class Rows>
  void section(std::string_view heading, const Rows& rows) {
    if (rows.empty()) return;
    std::size_t shown = 0;
    for (const std::string& row : rows) {
      bool room = shown < kMostRows && fits(row.size() + (shown == 0 ? heading.size() : 0));
      if (!room) break;
      if (shown == 0) must(heading);
      must(row);
      ++shown;
    }
    if (shown < rows.size()) {
      left_out_ += rows.size() - shown;
      auto more = fmt::format("\n… and {} more\n", rows.size() - shown);
      if (shown > 0) line(more);
    }
  }

  void heading() {
    auto line = std::string("### Policy ");
    if (plan_.from != plan_.to) line += code(short_revision(plan_.from)) + " → ";
    must(line + code(short_revision(plan_.to)) + "\n");
    if (!words_.shape() && !options_.headline.empty()) {
      auto by =
          options_.author.empty() ? "" : " by " + code(cut_short(words_.shown(options_.author)));
      must(fmt::format("\n{}{}\n", code(cut_short(words_.shown(options_.headline))), by));
    }
    if (auto scope = scope_text(plan_); !scope.empty())
      must(fmt::format("\n> **Not the whole plan:** {}\n", prose(cut_short(scope))));
    summary_table();
  }

  void summary_table() {
    must("\n| | |\n|---|---|\n");
    auto row = [&](std::string_view what, const std::string& text) {
      must(fmt::format("| {} | {} |\n", what, text));
    };
    auto people = [](std::size_t n, bool complete) {
      return complete ? fmt::format("**{}**", n) : fmt::format("**{} known**, others unknown", n);
    };
    if (words_.shape()) {
      row("policy changes", fmt::format("**{}**", plan_.edits.size()));
      row("as of", code(to_string(plan_.as_of)));
      return;
    }
    if (!plan_.scope.refresh_only) {
      row("who gains", people(counts_.gain, counts_.gain_complete));
      row("who loses", people(counts_.lose, counts_.lose_complete));
      auto cut = words_.cut_names();
      auto all = cut.size();
      if (cut.size() > kMostCutNames) cut.resize(kMostCutNames);
      // This table always fits, whatever people call themselves.
      for (std::string& name : cut) name = cut_short(std::move(name));
      row("live sessions cut", fmt::format("**{}**{}{}", counts_.cut_sessions, all > 0 ? ": " : "",
                                           names_text(cut, all)));
    }
    row("entries", fmt::format("**+{}** added, **~{}** with another deadline, **−{}** removed",
                               counts_.add, counts_.extend + counts_.shorten, counts_.remove));
    row("targets", targets_text(counts_));
    if (counts_.unreadable > 0) row("not read", fmt::format("**{}**", counts_.unreadable));
    row("guards", plan_.guards.empty()
                      ? std::string("none tripped")
                      : fmt::format("**{} tripped**, {} held back", plan_.guards.size(),
                                    counted(counts_.held, "change", "changes")));
    row("as of", code(to_string(plan_.as_of)));
  }

  void guards() {
    std::vector<std::string> rows;
    for (const GuardTrip& trip : plan_.guards)
      rows.push_back(
          fmt::format("> - {} on {} holds {}: {}; {}\n", code(printable(trip.guard)),
                      code(printable(trip.target.value)), counted(trip.held, "change", "changes"),
                      prose(words_.our_own(trip.figure)), prose(words_.our_own(trip.limit))));
    auto head = fmt::format(
        "\n> **Guards hold changes back** until somebody acknowledges this plan: {}\n>\n",
        code("knock apply --ack " + short_id(plan_)));
    section(head, rows);
  }

  void figures() {
    constexpr std::size_t kNames = 12;
    std::vector<std::string> gains, losses;
    for (const FigureWords& figure : words_.figures(kNames)) {
      auto who = figure.names.empty() ? "" : ": " + names_text(figure.names, figure.known);
      auto place = figure.place.empty() ? "" : " " + code(figure.place);
      (figure.gains ? gains : losses)
          .push_back(fmt::format("| {} | {}{} | {}{} | {} |\n", services_text(figure), figure.count,
                                 who, code(figure.rule), place, prose(figure.basis)));
    }
    auto head = [](std::string_view title) {
      return fmt::format(
          "\n#### {}\n\n| service | people | rule | known from |\n|---|---|---|---|\n", title);
    };
    section(head("Who gains"), gains);
    section(head("Who loses"), losses);
  }

  static std::string services_text(const FigureWords& figure) {
    auto names = figure.services;
    if (names.size() > kMostServices) names.resize(kMostServices);
    return names_text(names, figure.services.size());
  }

  void findings() {
    std::vector<std::string> rows;
    for (const FindingWords& finding : words_.findings())
      rows.push_back(fmt::format("- {}{}{}\n", finding.warning ? "⚠ " : "",
                                 finding.target.empty() ? "" : code(finding.target) + ": ",
                                 prose(finding.sentence)));
    section("\n#### Findings\n\n", rows);
  }

  void cuts() {
    std::vector<std::string> rows;
    for (const auto& [who, address, services, left, why] : words_.cuts())
      rows.push_back(fmt::format("- {} from {}{}: {}; {}\n", code(who), code(services),
                                 address.empty() ? "" : " at " + code(address), left, prose(why)));
    section("\n#### Live sessions that are cut\n\n", rows);
  }

  /// A folded part that ends well even when it has no room for all of its lines.
  void begin_fold(std::string_view summary, bool open) {
    must(fmt::format("\n<details{}><summary>{}</summary>\n\n```diff\n", open ? " open" : "",
                     summary));
  }
  void end_fold(std::size_t missing) {
    if (missing > 0) {
      left_out_ += missing;
      must(fmt::format("# … and {} more\n", missing));
    }
    must("```\n\n</details>\n");
  }

  void edits() {
    if (plan_.edits.empty()) return;
    auto head = fmt::format("Policy: {}", counted(plan_.edits.size(), "change", "changes"));
    if (!fits(head.size() + kFold)) {
      left_out_ += plan_.edits.size();
      return;
    }
    begin_fold(head, true);
    // Half of what is left, so that the targets have a chance.
    auto limit = used_ + (kMarkdownLimit - kReserve - used_) / 2;
    std::size_t shown = 0;
    for (const PolicyEdit& edit : plan_.edits) {
      auto text = edit_lines(edit);
      if (!fits(text.size() + kFold, limit)) break;
      must(text);
      ++shown;
    }
    end_fold(plan_.edits.size() - shown);
  }
  /// No line begins with what could end the block.
  std::string edit_lines(const PolicyEdit& edit) const {
    auto place = words_.place(edit.origin);
    auto name = words_.edit_name(edit) + (place.empty() ? "" : "   # " + place);
    if (words_.shape())
      return fmt::format("{} {}\n",
                         edit.kind == PolicyEdit::Kind::added     ? "+"
                         : edit.kind == PolicyEdit::Kind::removed ? "-"
                                                                  : "!",
                         name);
    auto out = fmt::format("# {}\n", name);
    for (const EditLine& line : lines_of(edit))
      out += (line.added ? "+ " : "- ") + words_.shown(line.text) + "\n";
    return out;
  }

  static bool shows(const TargetPlan& target) {
    return !target.changes.empty() || !target.held.empty() || !target.readable;
  }
  void targets() {
    auto left = std::size_t(std::count_if(plan_.targets.begin(), plan_.targets.end(), shows));
    for (const TargetPlan& one : plan_.targets) {
      if (!shows(one)) continue;
      // Each gets its share of the room; what one does not need is for those behind it.
      auto room = used_ < kMarkdownLimit - kReserve ? kMarkdownLimit - kReserve - used_ : 0;
      target(one, used_ + std::min(room, std::max(room / left, kLeastRoom)));
      --left;
    }
  }
  void target(const TargetPlan& target, std::size_t limit) {
    auto size = target.changes.size() + target.held.size();
    auto head =
        fmt::format("<code>{}</code> {}", html_escape(for_code(printable(target.target.value))),
                    words_.shape() ? "" : html_escape(tally(target)));
    if (!fits(head.size() + kFold + 200, limit)) {
      left_out_ += 1 + size;
      return;
    }
    begin_fold(head, size <= kOpen);
    must(fmt::format("# {}\n", cut_short(words_.target_state(target))));
    if (words_.shape()) return end_fold(count_lines(target, limit));
    ChangeLines lines(words_, target);
    std::size_t shown = 0;
    auto some = [&](const std::vector<Change>& changes, std::string_view before) {
      for (const Change& change : changes) {
        auto text = fmt::format("{}{} {}\n", before, sign(change.action), lines.line(change));
        if (!fits(text.size() + kFold, limit)) return false;
        must(text);
        before = "";
        ++shown;
      }
      return true;
    };
    if (some(target.changes, "")) some(target.held, "# held back until somebody acknowledges it\n");
    end_fold(size - shown);
  }
  /// How many are missing.
  std::size_t count_lines(const TargetPlan& target, std::size_t limit) {
    CountLines lines(words_, target);
    std::size_t shown = 0;
    bool held = false;
    for (const auto& line : lines.lines()) {
      auto text = fmt::format("{}{} {}\n", line.held && !held ? "# held back\n" : "",
                              sign(line.action), line.text);
      if (!fits(text.size() + kFold, limit)) break;
      held = line.held;
      must(text);
      ++shown;
    }
    return lines.lines().size() - shown;
  }
  /// Of the signs of a plan, what a diff colours: added, removed, and "look here".
  static char sign(Action action) {
    auto sign = look_of(action).sign;
    return sign == '~' || sign == '*' ? '!' : sign == '?' ? '#' : sign;
  }
  /// A reason that a target gave can be long.
  static std::string cut_short(std::string text) {
    constexpr std::size_t kMost = 150;
    if (text.size() <= kMost) return text;
    text.resize(kMost);
    while (invalid_utf8_at(text)) text.pop_back();
    return text + "…";
  }
  static std::string tally(const TargetPlan& target) {
    std::size_t add = 0, later = 0, remove = 0, rest = 0;
    for (const Change& change : target.changes) {
      char sign = look_of(change.action).sign;
      ++(sign == '+' ? add : sign == '-' ? remove : sign == '~' ? later : rest);
    }
    std::string out = fmt::format("+{} ~{} −{}", add, later, remove);
    if (rest > 0) out += fmt::format(", {} more", rest);
    if (!target.held.empty()) out += fmt::format(", {} held back", target.held.size());
    if (!target.readable) out += ", cannot be read";
    return out;
  }

  static constexpr std::size_t kReserve = 1'000;    // for the last lines
  static constexpr std::size_t kFold = 100;         // what ends a folded part
  static constexpr std::size_t kLeastRoom = 1'000;  // for a target, while there is any
  static constexpr std::size_t kMostRows = 100;
  static constexpr std::size_t kMostCutNames = 8;
  static constexpr std::size_t kOpen = 10;  // so few changes are not folded away
  const Plan& plan_;
  const RenderOptions& options_;
  Words words_;
  Buffered out_;
  PlanCounts counts_;
  std::size_t used_ = 0, left_out_ = 0;
};

}  // namespace

void write_markdown(const Plan& plan, const RenderOptions& options, const Write& out) {
  if (options.view == View::shape)
    Markdown(policy_part(plan), options, out).write();
  else
    Markdown(plan, options, out).write();
}

}  // namespace knock
