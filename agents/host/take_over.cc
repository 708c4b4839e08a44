// SPDX-License-Identifier: Apache-2.0
// A table changes its owner. The kernel keeps a table's comment for the table's life, so it is made
// anew; nobody who may pass before and after is left out for longer than one transaction takes.
#include "agents/host/privileged.h"
#include "agents/host/structure.h"

namespace knock::host {

Result<std::uint32_t> Privileged::take_over_once(const role::TakeOver& message) {
  KNOCK_ASSIGN(auto found, read_once(message.table));
  if (found.owner == message.owner) return found.fence;  // done before, and the answer was lost
  if (!found.exists || found.owner != message.former)
    return fail(ErrorKind::unauthorized,
                "table inet " + message.table + " is not the one that was shown: it belongs to " +
                    (found.owner == OwnerId{} ? "nobody" : found.owner.to_string()));
  Batch batch;
  add_take_over(batch, message, found, loopback_);
  KNOCK_ASSIGN(auto committed, commit(batch, message.table, found.fence));
  if (committed.unknown)
    return fail(ErrorKind::timeout, "taking over table inet " + message.table +
                                        ": the kernel's replies were lost; read it again");
  if (!committed.done())
    return fail(netlink_error(committed.error, "taking over table inet " + message.table));
  return put_mark(message.table, message.owner);
}

Result<role::FromApply> Privileged::run(const role::TakeOver& message) {
  KNOCK_CHECK(check_fence(message.table, message.fence));
  Result<std::uint32_t> done;
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    done = take_over_once(message);
    if (done) return role::Done{message.request, *done};
    if (done.error().kind != ErrorKind::conflict) break;
  }
  return fail(std::move(done.error()));
}

}  // namespace knock::host
