// SPDX-License-Identifier: Apache-2.0
// A small file beside a store for the ends of sessions that the log refused (docs/adr/0013): made
// whole when there is room, so that it can be written when there is none. 64 KiB: a header and
// 1,023 records of 64 bytes, each overwritten in place and synced before keep() returns.
//
//   header   "knock ended ids 1\n" padded to 24 | mark 24 (16 hexadecimal digits) | checksum 16
//   record   SHA-256 of the session's id 32 | milliseconds since 1970, big-endian 8 | cause 1 |
//            zeros 7 | checksum 16; all zeros: free
//
// A checksum is the beginning of the SHA-256 of the 48 bytes before it. Nobody guesses an id from
// its hash, so a file that leaks ends nothing and opens nothing. One thread at a time.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/sha256.h"
#include "schemas/session/session.h"

namespace knock {

struct EndedId {
  Digest id{};  // ended_id_of()
  SessionEnd end;
};
Digest ended_id_of(const SessionId& id);

/// What a file says. Unreadable is not empty: with `damage`, ends may have stood there that are not
/// in `ended`.
struct EndedIdsFound {
  bool exists = false;
  std::string damage;  // what is wrong with it; "" when it is whole
  std::string mark;    // whose file it is; "" when that cannot be read
  std::vector<EndedId> ended;
};

class EndedIds {
 public:
  static constexpr std::size_t kRecord = 64, kSize = 64 << 10, kMost = kSize / kRecord - 1;
  static constexpr std::size_t kMark = 16;

  /// Reads without changing. `owner` must own the file and be the only one who may write it. Errors:
  /// unauthorized = it is not (the message says what to do), unavailable = it cannot be read.
  static Result<EndedIdsFound> read(const std::string& path, uid_t owner);
  /// Replaces whatever is there by an empty file, at once or not at all. Errors: unavailable, most
  /// of all when the disk is full.
  static Result<std::unique_ptr<EndedIds>> make(const std::string& path, const std::string& mark);
  /// Goes on with the whole file that read() found.
  static Result<std::unique_ptr<EndedIds>> open(const std::string& path,
                                                const EndedIdsFound& found);
  ~EndedIds();
  EndedIds(const EndedIds&) = delete;
  EndedIds& operator=(const EndedIds&) = delete;

  /// On stable storage when it returns. Keeping the same id again writes it again. Errors:
  /// unavailable = the file is full, or could not be written; nothing is known of it then.
  Status keep(const SessionId& id, const SessionEnd& end);
  bool holds(const SessionId& id) const { return slots_.contains(ended_id_of(id)); }
  std::vector<Digest> held() const;
  /// Frees the record; fine when there is none.
  Status forget(const Digest& id);

 private:
  EndedIds(std::string path, int fd);
  Status write(std::size_t slot, const std::string& record);
  std::size_t free_slot();

  const std::string path_;
  const int fd_;
  std::map<Digest, std::size_t> slots_;
  std::set<std::size_t> free_;
  std::set<std::size_t> bad_;  // a write there failed: the last ones to be tried again
};

}  // namespace knock
