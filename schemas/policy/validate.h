// SPDX-License-Identifier: Apache-2.0
// Parsed files to one Policy: names merge over all files, every reference resolves, "*" is
// expanded. Linear in what the policy says apart from sorting names, because one changed file among
// 10,000 pays for it in full.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "schemas/policy/load.h"
#include "schemas/policy/parsed_file.h"

namespace knock {

struct SourceFile {
  std::string_view path;
  std::shared_ptr<const ParsedFile> parsed;
};

/// A problem found while merging; the file is an index into the sources.
struct MergeFinding {
  Problem finding;
  std::size_t file = 0;
};

struct Merged {
  Policy policy;  // meaningful only without errors, in the files and here
  std::vector<MergeFinding> findings;
};

/// `sources` sorted by path.
Merged merge_policy(const std::vector<SourceFile>& sources, const PolicyContext& context);

}  // namespace knock
