// SPDX-License-Identifier: Apache-2.0
// A store in memory that keeps what every store promises (reconciler/interfaces/fact_store.h) and
// fails on command, for the simulator: a disk that outlives the process that writes it, fills up,
// loses a write, or lies after a failed fsync. No file and no clock of its own, so that a run can be
// repeated to the last record.
//
// Any thread, like every store. Records are encoded when somebody reads them.
#pragma once

#include <memory>

#include "reconciler/interfaces/fact_store.h"

namespace knock {

/// What is on stable storage. Outlives its handles.
class ModelDisk;
std::shared_ptr<ModelDisk> make_model_disk();

/// What happens to the appends to come.
struct DiskFaults {
  bool full = false;  // every write is refused, and nothing of it is there
  /// So many more appends succeed; the next one fails, after which its handle is finished. What the
  /// disk holds of that append is `lands`.
  std::size_t good_appends = SIZE_MAX;
  bool lands = false;
};
void set_faults(ModelDisk& disk, const DiskFaults& faults);

enum class ModelHandle { writer, reader };
/// Errors: conflict = another writer has it.
Result<std::unique_ptr<FactStore>> open_model_store(std::shared_ptr<ModelDisk> disk,
                                                    ModelHandle handle = ModelHandle::writer);

}  // namespace knock
