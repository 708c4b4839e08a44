// SPDX-License-Identifier: Apache-2.0
#include "tests/support/failpoints.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <stdexcept>

#include "base/failpoint.h"
#include "tests/support/netns.h"

namespace knock::test {

std::size_t failpoint_index(std::string_view name) {
  auto all = failpoint::all();
  auto at = std::lower_bound(all.begin(), all.end(), name,
                             [](const auto& place, auto text) { return place.name < text; });
  if (at == all.end() || at->name != name)
    throw std::logic_error("no failpoint is called " + std::string(name));
  return std::size_t(at - all.begin());
}

Failpoints::Failpoints() {
  path_ = (std::filesystem::temp_directory_path() / "knock-failpoints-XXXXXX").string();
  int fd = mkstemp(path_.data());
  if (fd < 0 || fchmod(fd, 0666) != 0 || ftruncate(fd, sizeof(FailpointMemory)) != 0)
    throw std::runtime_error("no file for failpoints");
  void* at = mmap(nullptr, sizeof(FailpointMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) throw std::runtime_error("no memory for failpoints");
  memory_ = new (at) FailpointMemory{};
}

Failpoints::~Failpoints() {
  munmap(memory_, sizeof(FailpointMemory));
  unlink(path_.c_str());
}

FailpointOrder& Failpoints::fresh_order() {
  for (auto& order : memory_->orders)
    if (order.mode == FailpointOrder::none) return order;
  throw std::logic_error("more failpoints are armed than there is room for");
}

void Failpoints::crash_at(std::string_view name, int nth) {
  auto& order = fresh_order();
  order.place = std::uint32_t(failpoint_index(name));
  order.repeat = 0;
  order.pid = 0;
  order.left = nth;
  order.mode = FailpointOrder::crash;  // last: from here on it is in force
}

void Failpoints::fail_at(std::string_view name, ErrorKind kind, bool repeat, int nth) {
  auto& order = fresh_order();
  order.place = std::uint32_t(failpoint_index(name));
  order.repeat = repeat ? 1 : 0;
  order.kind = std::uint32_t(kind);
  order.pid = 0;
  order.left = nth;
  order.mode = FailpointOrder::error;
}

pid_t Failpoints::reached(std::string_view name) const {
  auto index = failpoint_index(name);
  for (const auto& order : memory_->orders)
    if (order.mode != FailpointOrder::none && order.place == index) return order.pid;
  return 0;
}

bool Failpoints::reached_within(std::string_view name, Duration patience) const {
  return eventually([&] { return reached(name) != 0; }, patience);
}

std::uint32_t Failpoints::visits(std::string_view name) const {
  return memory_->visits[failpoint_index(name)];
}

void Failpoints::disarm(std::string_view name) {
  auto index = failpoint_index(name);
  for (auto& order : memory_->orders)
    if (order.place == index) order.mode = FailpointOrder::none;
}

void Failpoints::disarm() {
  for (auto& order : memory_->orders) order.mode = FailpointOrder::none;
}

}  // namespace knock::test
