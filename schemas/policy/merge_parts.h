// SPDX-License-Identifier: Apache-2.0
// What merging a policy's files is made of: declared elements, names and who uses them, and findings
// that know their file.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "schemas/policy/parsed_file.h"
#include "schemas/policy/validate.h"

namespace knock {

template <class T>
struct Listed {
  std::string_view name;
  const Declared<T>* declared;
  std::size_t file;
};

/// Declared names of one kind, in order, and which of them something refers to.
class Names {
 public:
  template <class T>
  void fill(const std::vector<Listed<T>>& slots) {
    index_.reserve(slots.size());
    for (const auto& slot : slots) index_.emplace(slot.name, index_.size());
    used_.assign(slots.size(), false);
  }
  bool has(std::string_view name) const { return index_.contains(name); }
  bool use(std::string_view name) {
    auto at = index_.find(name);
    if (at == index_.end()) return false;
    used_[at->second] = true;
    return true;
  }
  bool used(std::size_t index) const { return used_[index]; }
  std::vector<std::string> all() const {
    std::vector<std::string> out;
    for (const auto& [name, index] : index_) out.emplace_back(name);
    std::ranges::sort(out);
    return out;
  }

 private:
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<bool> used_;
};

std::string_view kind_name(NameUse::Kind kind);
Check unknown_check(NameUse::Kind kind);
/// The section whose names a kind refers to; sign-in sources come from the configuration, time zones
/// from the system.
Section section_of(NameUse::Kind kind);

/// Findings between files. Bounded, errors and warnings each for themselves: a flood of warnings must
/// not hide the one error that keeps the policy out.
class MergeReport {
 public:
  explicit MergeReport(const std::vector<SourceFile>& sources) : sources_(sources) {}

  void error(Check check, std::size_t file, Place place, std::string summary,
             std::string suggestion) {
    add(errors_,
        {check, Diagnostic::Severity::error, place, std::move(summary), std::move(suggestion)},
        file);
  }
  void warn(Check check, std::size_t file, Place place, std::string summary,
            std::string suggestion) {
    add(warnings_,
        {check, Diagnostic::Severity::warning, place, std::move(summary), std::move(suggestion)},
        file);
  }
  bool has_errors() const { return errors_ > 0; }
  /// "a/b.yaml:3:7"
  std::string place_text(std::size_t file, Place place) const;
  std::vector<MergeFinding> take() { return std::move(findings_); }

 private:
  void add(std::size_t& count, Problem problem, std::size_t file);

  const std::vector<SourceFile>& sources_;
  std::vector<MergeFinding> findings_;
  std::size_t errors_ = 0, warnings_ = 0;
};

}  // namespace knock
