// SPDX-License-Identifier: Apache-2.0
// From what a table is to what it must be, as one transaction; and what a table tells about itself.
#pragma once

#include "agents/host/table_image.h"
#include "schemas/role/apply.h"

namespace knock::host {

/// Rules are written anew, sets of slots that stay are left alone with their elements, what is
/// nobody's goes. Pure but for the index of the loopback interface, which is passed in.
void add_structure(Batch& batch, const role::Ensure& wanted, const TableImage& have,
                   std::uint32_t lo);

/// Slots (without elements), protect and whether everything is as we made it; from rules' comments.
role::TableFound describe(const TableImage& image);

}  // namespace knock::host
