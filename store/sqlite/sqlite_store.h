// SPDX-License-Identifier: Apache-2.0
// Durable facts in one SQLite file: the store of a single controller. WAL with synchronous=FULL, so
// that append() returns after an fsync; a lock file beside it (PATH.lock) makes this process the
// only writer; readers of other processes need no lock. The file is created with mode 0600: it
// holds names, addresses and password hashes.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "reconciler/interfaces/fact_store.h"

namespace knock {

enum class SqliteMode {
  create_or_open,  // takes the lock; creates the file when absent
  read_only,       // no lock; works beside a writer; every write is refused with `unsupported`
};

struct SqliteOptions {
  std::string vfs;  // SQLite's name of a virtual file system; "" = the machine's. Tests inject
                    // failures through it
};

/// `random` makes persons' keys and must outlive the store. Errors: conflict = another process
/// holds the lock (the message names its pid), not_found = nothing to read there, unsupported =
/// written by a newer version, or not a store.
Result<std::unique_ptr<FactStore>> open_sqlite(const std::string& path, SqliteMode mode,
                                               Random& random, const SqliteOptions& options = {});

}  // namespace knock
