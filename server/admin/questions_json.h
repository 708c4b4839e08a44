// SPDX-License-Identifier: Apache-2.0
// Answers to `knock why` and `knock who` as JSON: the admin API's and `--json`'s.
#pragma once

#include <string>

#include "server/core/questions.h"

namespace knock {

std::string why_json(const WhyAnswer& answer);
std::string mark_json(const MarkAnswer& answer);
std::string who_json(const WhoAnswer& answer);

}  // namespace knock
