// SPDX-License-Identifier: Apache-2.0
// From what a table is to what it must be, as one transaction; and what a table tells about itself.
#pragma once

#include <vector>

#include "agents/host/table_image.h"
#include "schemas/role/apply.h"

namespace knock::host {

/// Rules are written anew, sets of slots that stay are left alone with their elements, what is
/// nobody's goes. Pure but for the index of the loopback interface, which is passed in.
void add_structure(Batch& batch, const role::Ensure& wanted, const TableImage& have,
                   std::uint32_t lo);

/// The same table with the same elements, for another owner: the old one goes and a new one comes
/// in one transaction. `found` is the whole of it as it stands.
void add_take_over(Batch& batch, const role::TakeOver& message, const role::TableFound& found,
                   std::uint32_t lo);

/// What interval sets that do not stand yet will hold, to be committed before the rules that ask
/// them; gives the changes that are left for later. Empty `batch`: there is nothing of the kind.
///
/// Rules of a transaction count from its generation on, while the elements of an interval set are
/// found only when its lookup table has been exchanged, a moment later (Linux 6.18, measured: a
/// packet in between met the drop and not the accept before it). A set that no rule asks yet opens
/// nothing.
std::vector<role::ElementChange> add_ground(Batch& batch, const role::Ensure& wanted,
                                            const TableImage& have,
                                            const std::vector<role::ElementChange>& changes);

/// Slots (without elements), protect and whether everything is as we made it; from rules' comments.
role::TableFound describe(const TableImage& image);

}  // namespace knock::host
