// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "reconciler/core/render_edits.h"
#include "reconciler/core/render_words.h"
#include "schemas/plan/policy_part.h"

namespace knock {
namespace {

class Text {
 public:
  Text(const Plan& plan, const RenderOptions& options, const Write& out)
      : plan_(plan), options_(options), words_(plan, options.view), out_(out) {}

  void write() {
    heading();
    people();
    edits();
    if (!words_.shape()) cuts();
    for (const TargetPlan& one : plan_.targets)
      if (!one.changes.empty() || !one.held.empty() || !one.readable) target(one);
    findings();
    guards();
    if (words_.shape())
      out_ += fmt::format("\n{}\n{}\n", shape_summary(plan_), kLeftOut);
    else
      out_ += "\n" + summary(plan_) + "\n";
  }

 private:
  void heading() {
    std::string line = "Policy ";
    if (plan_.from != plan_.to) line += short_revision(plan_.from) + " → ";
    line += short_revision(plan_.to);
    if (!options_.headline.empty() && !words_.shape())
      line += fmt::format("  \"{}\"", words_.shown(options_.headline));
    if (!options_.author.empty() && !words_.shape())
      line += fmt::format("  (by {})", words_.shown(options_.author));
    out_ += line + fmt::format("   as of {}\n", to_string(plan_.as_of));
    if (auto scope = scope_text(plan_); !scope.empty()) out_ += "  " + scope + "\n";
  }

  Columns<4>::Cells cells(const FigureWords& figure) const {
    return {figure.gains ? "who gains" : "who loses",
            fmt::format("{} {} {}", figure.count, figure.gains ? "→" : "from", figure.service),
            figure.names.empty() ? "" : some_of(figure.names, kMostNames, figure.known),
            fmt::format("(rule {}{}{}{}{})", figure.rule, figure.place.empty() ? "" : ", ",
                        figure.place, figure.basis.empty() ? "" : "; ", figure.basis)};
  }
  void people() {
    auto figures = words_.figures(kMostNames);
    Columns<4> columns;
    for (const auto& figure : figures) columns.measure(cells(figure));
    auto counts = counts_of(plan_);
    bool changes = counts.changed > 0 && !words_.shape();
    if (!figures.empty() || changes) out_ += "\n";
    std::size_t widest = 0;
    for (const auto& figure : figures)
      widest = std::max(widest, display_width(columns.line(cells(figure), kGap)));
    // Where the rules would stand behind the edge of a terminal, each has a line of its own.
    for (const auto& figure : figures) {
      auto row = cells(figure);
      if (widest <= kWidth)
        out_ += "  " + columns.line(row, kGap) + "\n";
      else
        out_ += wrapped(figure, std::move(row));
    }
    if (counts.cut_sessions > 0) out_ += "  cut now     " + cut_text(counts.cut_sessions) + "\n";
    if (changes) out_ += fmt::format("  targets     {}\n", targets_text(counts));
    attention(counts);
  }
  /// The names below, as many as one line has room for, and the rule below them.
  static std::string wrapped(const FigureWords& figure, Columns<4>::Cells row) {
    auto out = fmt::format("  {}   {}", row[0], row[1]);
    auto most = figure.names.size() + 1;
    while (most > 2 && display_width(row[2]) > kWidth - kIndent)
      row[2] = some_of(figure.names, --most, figure.known);
    bool beside = display_width(out) + kGap.size() + display_width(row[2]) <= kWidth;
    if (!row[2].empty())
      out += beside ? std::string(kGap) + row[2] : fmt::format("\n{:{}}{}", "", kIndent, row[2]);
    return out + fmt::format("\n{:{}}{}\n", "", kIndent, row[3]);
  }
  std::string cut_text(std::size_t sessions) const {
    auto out = counted(sessions, "live session", "live sessions");
    auto names = words_.cut_names();
    auto all = names.size();
    return names.empty() ? out : out + ": " + some_of(std::move(names), kMostNames, all);
  }
  /// What is told at length further down, so that the first screen says that it is there.
  void attention(const PlanCounts& counts) {
    auto findings = words_.findings();
    auto warnings = std::count_if(findings.begin(), findings.end(),
                                  [](const FindingWords& finding) { return finding.warning; });
    std::vector<std::string> parts;
    if (!plan_.guards.empty())
      parts.push_back(fmt::format("{} {} {} back", counted(plan_.guards.size(), "guard", "guards"),
                                  plan_.guards.size() == 1 ? "holds" : "hold",
                                  counted(counts.held, "change", "changes")));
    if (warnings > 0)
      parts.push_back(counted(std::size_t(warnings), "warning", "warnings") + " in the findings");
    if (!parts.empty()) out_ += "  attention   " + join(parts, "; ") + "\n";
  }

  void edits() {
    if (plan_.edits.empty()) return;
    out_ += "\nPolicy changes\n";
    for (const PolicyEdit& edit : plan_.edits) {
      char sign = edit.kind == PolicyEdit::Kind::added     ? '+'
                  : edit.kind == PolicyEdit::Kind::removed ? '-'
                                                           : '~';
      auto place = words_.place(edit.origin);
      out_ += fmt::format("  {} {}{}\n", sign, words_.edit_name(edit),
                          place.empty() ? "" : "   " + place);
      if (words_.shape()) continue;
      for (const EditLine& line : lines_of(edit))
        out_ += fmt::format("      {} {}\n", line.added ? '+' : '-', words_.shown(line.text));
    }
  }

  void cuts() {
    if (plan_.cuts.empty()) return;
    out_ += "\nLive sessions that are cut\n";
    Columns<5> columns;
    auto cuts = words_.cuts();
    for (const auto& cut : cuts) columns.measure(cut);
    for (const auto& cut : cuts) out_ += painted("  - " + columns.line(cut), "31") + "\n";
  }

  std::string painted(std::string text, std::string_view color) const {
    return options_.color ? fmt::format("\x1b[{}m{}\x1b[0m", color, text) : text;
  }
  void row(Action action, std::string_view text) {
    auto look = look_of(action);
    auto line = fmt::format("  {} {}", look.sign, text);
    line.erase(line.find_last_not_of(' ') + 1);
    out_ += painted(std::move(line), look.color) + "\n";
  }
  void held_heading(std::size_t changes) {
    out_ += fmt::format("  held back until somebody acknowledges it ({}):\n",
                        counted(changes, "change", "changes"));
  }
  void target(const TargetPlan& target) {
    out_ += fmt::format("\n{}   {}\n", printable(target.target.value), words_.target_state(target));
    if (!target.readable) out_ += "  nothing is changed there but closing what must close\n";
    if (words_.shape()) return target_counts(target);
    ChangeLines lines(words_, target);
    for (const Change& change : target.changes) row(change.action, lines.line(change));
    if (target.held.empty()) return;
    held_heading(target.held.size());
    for (const Change& change : target.held) row(change.action, lines.line(change));
  }
  void target_counts(const TargetPlan& target) {
    bool held = false;
    CountLines lines(words_, target);
    for (const auto& line : lines.lines()) {
      if (line.held && !held) held_heading(target.held.size());
      held = line.held;
      row(line.action, line.text);
    }
  }

  void findings() {
    auto findings = words_.findings();
    if (findings.empty()) return;
    out_ += "\nFindings\n";
    for (const FindingWords& finding : findings)
      out_ += fmt::format("  {} {}{}\n", finding.warning ? "!" : "-",
                          finding.target.empty() ? "" : finding.target + ": ", finding.sentence);
  }

  void guards() {
    if (plan_.guards.empty()) return;
    out_ += "\nGuards\n";
    for (const GuardTrip& trip : plan_.guards)
      out_ += fmt::format("  ! {} on {} holds {}: {}; {}\n", printable(trip.guard),
                          printable(trip.target.value), counted(trip.held, "change", "changes"),
                          words_.our_own(trip.figure), words_.our_own(trip.limit));
    out_ += fmt::format("  To let them go on: --ack {}\n", short_id(plan_));
  }

  static constexpr std::size_t kMostNames = 8;
  static constexpr std::size_t kWidth = 110, kIndent = 14;
  static constexpr std::string_view kGap = "   ";
  const Plan& plan_;
  const RenderOptions& options_;
  Words words_;
  Buffered out_;
};

}  // namespace

void write_text(const Plan& plan, const RenderOptions& options, const Write& out) {
  if (options.view == View::shape)
    Text(policy_part(plan), options, out).write();
  else
    Text(plan, options, out).write();
}

}  // namespace knock
