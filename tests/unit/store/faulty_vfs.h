// SPDX-License-Identifier: Apache-2.0
// A disk that fails on order: an SQLite VFS named kFaultyVfs that passes everything to the
// machine's own, and counts. One test at a time.
#pragma once

#include <atomic>

namespace knock::test {

inline constexpr const char* kFaultyVfs = "knock-faulty";

/// Countdowns: the call that brings one to zero fails, and every later one of its kind too (a disk
/// stays broken) until the value is set to kNever again.
struct Faults {
  static constexpr int kNever = -1;
  std::atomic<int> log_sync{kNever};    // fsync of the write-ahead log: I/O error
  std::atomic<int> log_write{kNever};   // write to the write-ahead log: disk full
  std::atomic<int> file_sync{kNever};   // fsync of the database file (at checkpoints): I/O error
  std::atomic<int> file_write{kNever};  // write to the database file: I/O error
  std::atomic<int> read{kNever};        // any read: I/O error
  // What reached the disk, successful or not.
  std::atomic<int> log_syncs{0}, log_writes{0}, file_syncs{0}, file_writes{0};
  void heal();
};

Faults& faults();
/// Once per process, before the first store.
void register_faulty_vfs();

}  // namespace knock::test
