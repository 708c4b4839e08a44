// SPDX-License-Identifier: Apache-2.0
// One policy file after reading, before names are resolved. It depends on the file's bytes alone
// (not on its path, the other files or the configuration), so it is what the cache keeps; merging
// copies values and checks references.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/policy/finding.h"
#include "schemas/policy/load.h"
#include "schemas/policy/policy.h"

namespace knock {

/// A name used where something else must have declared it.
struct NameUse {
  enum class Kind : std::uint8_t { group, network, service, target, sign_in, zone };
  Kind kind;
  std::string name;
  Place place;
};

/// A key that means nothing on a controller without a surface.
struct SurfaceUse {
  Surface surface;
  std::string_view key;  // as it is written: a literal
  Place place;
};

/// A named element. The value has no `origin` and no expanded "*" yet; its lists are sorted and
/// unique already. `broken`: something in it was reported; it still declares its name, so that one
/// mistake stays one diagnostic.
template <class T>
struct Declared {
  T value;
  Place place;  // of the name
  std::vector<NameUse> uses;
  std::vector<SurfaceUse> surfaces;
  bool broken = false;
};

/// A section that may stand in one file only.
template <class T>
struct Single {
  T value;
  Place place;  // of its key
  std::vector<NameUse> uses;
  std::vector<SurfaceUse> surfaces;
};

struct DeclaredTest {
  PolicyTest value;
  Place place;
  std::vector<NameUse> uses;
};

enum class Section : std::uint8_t {
  groups,
  networks,
  services,
  targets,
  allow,
  statics,
  deny,
  break_glass
};
inline constexpr std::size_t kSections = 8;
std::string_view to_string(Section section);

struct ParsedFile {
  Findings findings{CheckArea::policy};
  /// What a section declares is not fully known (unreadable file, misspelt section): do not report
  /// names of its kind as unknown.
  std::array<bool, kSections> incomplete{};
  std::vector<Declared<Group>> groups;
  std::vector<Declared<Network>> networks;
  std::vector<Declared<Service>> services;
  std::vector<Declared<Target>> targets;
  std::vector<Declared<AllowRule>> allow;
  std::vector<Declared<StaticRule>> statics;
  std::vector<Declared<DenyRule>> deny;
  std::vector<Declared<BreakGlassRule>> break_glass;
  std::optional<Single<Behaviour>> behaviour;
  std::optional<Single<GuardLimits>> guards;
  std::vector<DeclaredTest> tests;
};

ParsedFile parse_policy_file(std::string_view content);

}  // namespace knock
