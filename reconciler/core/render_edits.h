// SPDX-License-Identifier: Apache-2.0
// What differs between two canonical forms of one element of a policy: the keys that differ and, of
// a list, the elements that came and went. Of a rule with ten keys a reviewer wants to see the one
// that changed. Only for reconciler/core/render*.cc.
#pragma once

#include <string>
#include <vector>

#include "schemas/plan/plan.h"

namespace knock {

struct EditLine {
  bool added = false;
  std::string text;  // "approval.count: 2", "who: [contractors]"; as it stands in the policy
};

/// An element that came or went is one line. A form that cannot be read is shown whole.
std::vector<EditLine> lines_of(const PolicyEdit& edit);

}  // namespace knock
