// SPDX-License-Identifier: Apache-2.0
// The words that the renderers share: what a change, a figure or a cut session is called in a view.
// All of it is printable(); escaping for a format is the renderer's. Only for
// reconciler/core/render*.cc.
#pragma once

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/core/render.h"

namespace knock {

/// Collects pieces, so that a sink is called once for many.
class Buffered {
 public:
  explicit Buffered(const Write& out) : out_(out) {}
  Buffered(const Buffered&) = delete;
  Buffered& operator=(const Buffered&) = delete;
  ~Buffered() { flush(); }
  Buffered& operator+=(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() >= kPiece) flush();
    return *this;
  }
  void flush() {
    if (!buffer_.empty()) out_(buffer_);
    buffer_.clear();
  }

 private:
  static constexpr std::size_t kPiece = 64 * 1024;
  const Write& out_;
  std::string buffer_;
};

struct Look {
  char sign;
  std::string_view color;  // of a terminal
  std::string_view name;   // for a style sheet: "add", "later", "earlier", "remove", …
};
Look look_of(Action action);

std::string short_revision(const PolicyRevision& revision);
std::string short_id(const Plan& plan);
/// At most `most` by name: "a, b and 3 more".
std::string some_of(std::vector<std::string> names, std::size_t most, std::size_t all);

struct PlanCounts {
  std::size_t add = 0, extend = 0, shorten = 0, remove = 0, protect = 0, unprotect = 0,
              structure = 0, held = 0;
  std::size_t targets = 0, changed = 0, unreadable = 0, calls = 0;
  bool calls_known = true;         // of every target that changes; else writes are counted
  std::size_t gain = 0, lose = 0;  // people
  bool gain_complete = true, lose_complete = true;
  std::size_t cut_sessions = 0;
};
PlanCounts counts_of(const Plan& plan);
/// For the end of a shape, which is told of a policy_part(): "Plan: 3 policy changes."
std::string shape_summary(const Plan& part);
/// "2 of 7 change, 9 calls"
std::string targets_text(const PlanCounts& counts);
/// What a plan with a scope of its own leaves out; "" otherwise.
std::string scope_text(const Plan& plan);

inline constexpr std::size_t kMostServices = 8;  // by name, of those that one line speaks of

struct FigureWords {
  bool gains = false;
  std::string count;  // "3 people", "3 known, others unknown"
  std::size_t known = 0;
  bool complete = true;
  std::vector<std::string> services;  // several where the same people have them by the same rule
  std::string service;                // their names
  std::string rule;   // "payments-work", or with what takes it: "staff, denied by listed"
  std::string place;  // "policies/payroll.yaml:14"; may be empty
  std::string basis;  // "directory; 1 seen within 30 d"
  std::vector<std::string> names;  // sorted; at most as many as were asked for
  std::size_t sessions = 0;
};

/// What is told of findings, in their order: of the plan, then of its targets.
struct FindingWords {
  bool warning = false;
  std::string target, sentence, id;
};

class Words {
 public:
  Words(const Plan& plan, View view) : plan_(plan), view_(view) {}
  View view() const { return view_; }
  bool shape() const { return view_ == View::shape; }

  /// Text from elsewhere that this view may show.
  std::string shown(std::string_view text) const;
  /// Text that knock made of counts, ports and prefixes.
  std::string our_own(std::string_view text) const;
  std::string prefix(const Prefix& prefix) const;
  std::string time(Instant at) const;

  /// Gains first.
  std::vector<FigureWords> figures(std::size_t most_names) const;
  /// The names of those who are cut, sorted and each once; none in a shape.
  std::vector<std::string> cut_names() const;
  std::vector<FindingWords> findings() const;
  std::string edit_name(const PolicyEdit& edit) const;
  std::string place(const SourceRange& origin) const;

  /// who, address, services, what is left, why
  using Cut = std::array<std::string, 5>;
  /// One for each session and reason, in the order of their people.
  std::vector<Cut> cuts() const;

  /// What is no entry is said as a sentence; "" for an entry.
  std::string sentence(const Change& change) const;
  std::string who(const Change& change) const;
  std::string deadline(const Change& change) const;
  std::string why(const Change& change) const;

  /// For a shape: "3 entries", or the sentence of what is no entry; and why.
  std::string what(const ChangeKind& kind, const ChangeCount& count) const;
  std::string why(const ChangeKind& kind, const ChangeCount& count) const;

  std::string target_state(const TargetPlan& target) const;  // "nftables, 41 owned, 2 foreign"

 private:
  std::vector<PeopleFigure> known_figures() const;
  std::string keep(const Change& change) const;
  std::string basis(const PeopleFigure& figure) const;
  FigureWords words_of(const PeopleFigure& figure) const;

  const Plan& plan_;
  View view_;
};

/// Rows of cells in columns that are as wide as they must be, and as there are; the last cell is
/// free. Columns that are empty everywhere are left out.
template <std::size_t N>
class Columns {
 public:
  using Cells = std::array<std::string, N>;
  void measure(const Cells& cells);
  std::string line(const Cells& cells, std::string_view gap = "  ") const;

 private:
  std::array<std::size_t, N> width_{};
};

/// The changes of one target as lines of text without their signs, in a view other than `shape`.
class ChangeLines {
 public:
  ChangeLines(const Words& words, const TargetPlan& target);
  std::string line(const Change& change) const;

 private:
  Columns<6>::Cells cells(const Change& change) const;
  const Words& words_;
  Columns<6> columns_;
};

/// The same for a shape.
class CountLines {
 public:
  CountLines(const Words& words, const TargetPlan& target);
  struct Line {
    Action action;
    bool held;
    std::string text;
  };
  const std::vector<Line>& lines() const { return lines_; }

 private:
  std::vector<Line> lines_;
};

}  // namespace knock
