// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/merge_parts.h"

#include <fmt/format.h>

namespace knock {
namespace {

constexpr std::size_t kMostFindings = 1000;  // of one merge and severity

}  // namespace

std::string_view kind_name(NameUse::Kind kind) {
  switch (kind) {
    case NameUse::Kind::group:
      return "group";
    case NameUse::Kind::network:
      return "network";
    case NameUse::Kind::service:
      return "service";
    case NameUse::Kind::target:
      return "target";
    case NameUse::Kind::sign_in:
      return "sign-in source";
    case NameUse::Kind::zone:
      return "time zone";
  }
  return "name";
}

Check unknown_check(NameUse::Kind kind) {
  switch (kind) {
    case NameUse::Kind::group:
      return Check::unknown_group;
    case NameUse::Kind::network:
      return Check::unknown_network;
    case NameUse::Kind::service:
      return Check::unknown_service;
    case NameUse::Kind::target:
      return Check::unknown_target;
    case NameUse::Kind::sign_in:  // these two are told by whoever looks for them
    case NameUse::Kind::zone:
      break;
  }
  return Check::unknown_group;
}

Section section_of(NameUse::Kind kind) {
  switch (kind) {
    case NameUse::Kind::group:
      return Section::groups;
    case NameUse::Kind::network:
      return Section::networks;
    case NameUse::Kind::service:
      return Section::services;
    case NameUse::Kind::target:
      return Section::targets;
    case NameUse::Kind::sign_in:
    case NameUse::Kind::zone:
      break;
  }
  return Section::groups;
}

void MergeReport::add(std::size_t& count, Problem problem, std::size_t file) {
  if (count > kMostFindings) return;
  if (count == kMostFindings) {
    problem.check = Check::too_many_problems;
    problem.summary =
        fmt::format("more than {} problems between files; the rest is not listed", kMostFindings);
    problem.suggestion = "repair the ones above first";
  }
  ++count;
  findings_.push_back({std::move(problem), file});
}

std::string MergeReport::place_text(std::size_t file, Place place) const {
  return range_of(std::string(sources_[file].path), place).to_string();
}

}  // namespace knock
