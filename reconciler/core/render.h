// SPDX-License-Identifier: Apache-2.0
// A plan as text for people (the layout of docs/cli.md). Pure, sorted, stable; what comes from
// outside is escaped.
#pragma once

#include <string>

#include "schemas/plan/plan.h"

namespace knock {

struct RenderOptions {
  bool color = false;    // colours repeat what the sign in front of a line says
  std::string headline;  // of the commit: "payroll: add contractors"; may be empty
  std::string author;
};

std::string to_text(const Plan& plan, const RenderOptions& options = {});

/// "Plan: 1 to add, 1 to extend, 1 to remove on 2 targets; …"
std::string summary(const Plan& plan);

}  // namespace knock
