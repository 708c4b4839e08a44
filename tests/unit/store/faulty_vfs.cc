// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/store/faulty_vfs.h"

#include <sqlite3.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace knock::test {
namespace {

sqlite3_vfs* below() {
  static sqlite3_vfs* machine = sqlite3_vfs_find("unix");
  return machine;
}

enum class Kind { log, database, other };

/// Followed in memory by the machine's own file.
struct File {
  sqlite3_file base;
  Kind kind;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
static_assert(sizeof(File) % 8 == 0);  // so that the file behind it is aligned

File* own(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real(sqlite3_file* file) { return own(file)->real(); }

bool strikes(std::atomic<int>& countdown) {
  int left = countdown.load();
  if (left == Faults::kNever) return false;
  if (left > 0) left = --countdown;
  return left == 0;
}

int do_close(sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); }
int do_read(sqlite3_file* f, void* data, int size, sqlite3_int64 at) {
  if (strikes(faults().read)) return SQLITE_IOERR_READ;
  return real(f)->pMethods->xRead(real(f), data, size, at);
}
int do_write(sqlite3_file* f, const void* data, int size, sqlite3_int64 at) {
  if (own(f)->kind == Kind::log) {
    ++faults().log_writes;
    if (strikes(faults().log_write)) return SQLITE_FULL;
  }
  if (own(f)->kind == Kind::database) {
    ++faults().file_writes;
    if (strikes(faults().file_write)) return SQLITE_IOERR_WRITE;
  }
  return real(f)->pMethods->xWrite(real(f), data, size, at);
}
int do_truncate(sqlite3_file* f, sqlite3_int64 size) {
  return real(f)->pMethods->xTruncate(real(f), size);
}
int do_sync(sqlite3_file* f, int flags) {
  if (own(f)->kind == Kind::log) {
    ++faults().log_syncs;
    if (strikes(faults().log_sync)) return SQLITE_IOERR_FSYNC;
  }
  if (own(f)->kind == Kind::database) {
    ++faults().file_syncs;
    if (strikes(faults().file_sync)) return SQLITE_IOERR_FSYNC;
  }
  return real(f)->pMethods->xSync(real(f), flags);
}
int do_size(sqlite3_file* f, sqlite3_int64* size) {
  return real(f)->pMethods->xFileSize(real(f), size);
}
int do_lock(sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); }
int do_unlock(sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
int do_reserved(sqlite3_file* f, int* out) {
  return real(f)->pMethods->xCheckReservedLock(real(f), out);
}
int do_control(sqlite3_file* f, int op, void* arg) {
  return real(f)->pMethods->xFileControl(real(f), op, arg);
}
int do_sector(sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); }
int do_traits(sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
int do_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}
int do_shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}
void do_shm_barrier(sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); }
int do_shm_unmap(sqlite3_file* f, int remove) {
  return real(f)->pMethods->xShmUnmap(real(f), remove);
}

const sqlite3_io_methods kMethods{
    2,           do_close,       do_read,      do_write,   do_truncate, do_sync,   do_size,
    do_lock,     do_unlock,      do_reserved,  do_control, do_sector,   do_traits, do_shm_map,
    do_shm_lock, do_shm_barrier, do_shm_unmap, nullptr,    nullptr};

int do_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* f = new (file) File{};
  f->kind = (flags & SQLITE_OPEN_WAL) != 0       ? Kind::log
            : (flags & SQLITE_OPEN_MAIN_DB) != 0 ? Kind::database
                                                 : Kind::other;
  int code = below()->xOpen(below(), name, f->real(), flags, out_flags);
  f->base.pMethods = f->real()->pMethods != nullptr ? &kMethods : nullptr;
  return code;
}

int do_delete(sqlite3_vfs*, const char* name, int sync) {
  return below()->xDelete(below(), name, sync);
}
int do_access(sqlite3_vfs*, const char* name, int flags, int* out) {
  return below()->xAccess(below(), name, flags, out);
}
int do_full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  return below()->xFullPathname(below(), name, size, out);
}

sqlite3_vfs make_vfs() {
  sqlite3_vfs vfs = *below();  // clock, randomness, sleep and system calls stay the machine's
  vfs.pNext = nullptr;
  vfs.zName = kFaultyVfs;
  vfs.szOsFile = int(sizeof(File)) + below()->szOsFile;
  vfs.xOpen = do_open;
  vfs.xDelete = do_delete;
  vfs.xAccess = do_access;
  vfs.xFullPathname = do_full_path;
  return vfs;
}

}  // namespace

void Faults::heal() {
  for (auto* countdown : {&log_sync, &log_write, &file_sync, &file_write, &read})
    *countdown = kNever;
  for (auto* count : {&log_syncs, &log_writes, &file_syncs, &file_writes}) *count = 0;
}

Faults& faults() {
  static Faults one;
  return one;
}

void register_faulty_vfs() {
  static sqlite3_vfs vfs = make_vfs();
  if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) std::abort();
}

}  // namespace knock::test
