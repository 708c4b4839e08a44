// SPDX-License-Identifier: Apache-2.0
// What `knock-with-failpoints` has and `knock` has not: before main() it maps the file of
// failpoints.h and does at each place what a test wrote there.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/failpoint.h"
#include "tests/support/failpoints.h"

namespace knock::test {
namespace {

std::size_t index_of(std::string_view name) {
  std::size_t index = 0;
  for (const auto& place : failpoint::all()) {
    if (place.name == name) break;
    ++index;
  }
  return index;
}

/// As the kernel does it for kill -9. A role behind a filter of system calls may signal itself, and
/// in this way only.
[[noreturn]] void die() {
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
  _exit(137);
}

std::optional<Error> visit(FailpointMemory& memory, std::string_view name) {
  auto index = index_of(name);
  ++memory.visits[index];
  for (auto& order : memory.orders) {
    auto mode = order.mode.load();
    if (mode == FailpointOrder::none || order.place != index) continue;
    auto left = order.left.fetch_sub(1) - 1;
    if (left > 0 || (left < 0 && order.repeat == 0)) continue;
    if (order.pid == 0) order.pid = getpid();
    if (mode == FailpointOrder::crash) die();
    return Error{ErrorKind(order.kind.load()), "failpoint " + std::string(name), {}, std::nullopt};
  }
  return std::nullopt;
}

[[maybe_unused]] const bool kArmed = [] {
  const char* path = getenv(kFailpointsVariable);
  if (path == nullptr) return false;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  void* at =
      fd < 0 ? MAP_FAILED
             : mmap(nullptr, sizeof(FailpointMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) _exit(120);
  close(fd);
  auto* memory = static_cast<FailpointMemory*>(at);
  failpoint::set_hook([memory](std::string_view name) { return visit(*memory, name); });
  return true;
}();

}  // namespace
}  // namespace knock::test
