// SPDX-License-Identifier: Apache-2.0
#include "store/tzdata/system_zones.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/owned_fd.h"
#include "base/text.h"
#include "store/tzdata/tzif.h"

namespace knock {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

Result<std::string> read_file(const std::string& path) {
  OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.open())
    return fail(errno == ENOENT || errno == ENOTDIR ? ErrorKind::not_found : ErrorKind::unavailable,
                fmt::format("{}: {}", path, std::strerror(errno)));
  struct stat about{};
  if (fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode) ||
      std::size_t(about.st_size) > kLargestFile)
    return fail(ErrorKind::not_found, fmt::format("{} is no time zone", path));
  std::string out(std::size_t(about.st_size), '\0');
  std::size_t length = 0;
  while (length < out.size()) {
    auto count = read(file.get(), out.data() + length, out.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(ErrorKind::unavailable, fmt::format("{}: cannot be read", path));
    length += std::size_t(count);
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<const Zone>> SystemZones::zone(const std::string& name) const {
  if (!is_zone_name(name))
    return fail(ErrorKind::not_found,
                fmt::format("`{}` is no name of a time zone", printable(name)));
  KNOCK_ASSIGN(auto bytes, read_file(folder_ + "/" + name));
  auto zone = zone_from_tzif(name, bytes);
  if (!zone) return fail_within(fmt::format("{}/{}", folder_, name), zone);
  return std::make_shared<const Zone>(std::move(*zone));
}

std::vector<std::string> SystemZones::names() const {
  std::vector<std::string> out;
  // One line a name and its country; only for suggestions, so its absence is no error.
  std::ifstream table(folder_ + "/tzdata.zi");
  std::string line;
  while (std::getline(table, line)) {
    auto words = split(line, ' ');
    if (words[0] == "Z" && words.size() > 1) out.emplace_back(words[1]);
    if (words[0] == "L" && words.size() > 2) out.emplace_back(words[2]);
  }
  std::ranges::sort(out);
  return out;
}

std::shared_ptr<const ZoneSource> system_zones() { return std::make_shared<const SystemZones>(); }

}  // namespace knock
