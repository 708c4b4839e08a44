// SPDX-License-Identifier: Apache-2.0
#include "store/git/packs.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/text.h"
#include "store/git/fetch.h"
#include "store/git/git_child.h"
#include "store/policy_refusal.h"

namespace knock::git {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostPacks = 50;

bool is_hex(std::string_view name, std::size_t length) {
  return name.size() == length && name.find_first_not_of("0123456789abcdef") == name.npos;
}

/// Calls `found` for every loose object until it says no.
template <class Found>
void each_loose(const std::string& mirror, Found found) {
  std::error_code ignored;
  for (fs::directory_iterator folder(fs::path(mirror) / "objects", ignored), end; folder != end;
       folder.increment(ignored)) {
    if (!is_hex(folder->path().filename().string(), 2)) continue;
    std::error_code unread;
    for (fs::directory_iterator item(folder->path(), unread); item != end; item.increment(unread))
      if (is_hex(item->path().filename().string(), 38) && !found(item->path())) return;
  }
}

/// Whether the compressed stream goes on where the file ends. A damaged one is not cut short.
bool cut_short(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::array<char, 16 << 10> packed;
  std::array<char, 64 << 10> out;
  z_stream stream{};
  if (::inflateInit(&stream) != Z_OK) return false;
  int code = Z_OK;
  bool any = false;
  while (code == Z_OK && (in.read(packed.data(), packed.size()), in.gcount() > 0)) {
    any = true;
    stream.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_in = uInt(in.gcount());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = uInt(out.size());
      code = ::inflate(&stream, Z_NO_FLUSH);
    } while (code == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
    if (code == Z_BUF_ERROR) code = Z_OK;  // wants more input
  }
  ::inflateEnd(&stream);
  return any && code == Z_OK;
}

}  // namespace

ObjectFiles object_files(const std::string& mirror) {
  ObjectFiles out;
  each_loose(mirror, [&](const fs::path&) { return ++out.loose, true; });
  std::error_code ignored;
  for (fs::directory_iterator item(fs::path(mirror) / "objects" / "pack", ignored), end;
       item != end; item.increment(ignored))
    out.packs += item->path().extension() == ".pack" ? 1 : 0;
  return out;
}

bool worth_packing(const ObjectFiles& files) { return files.loose > 0 || files.packs > kMostPacks; }

Status pack(const Packing& packing, Deadline deadline) {
  auto command = git_command(packing.mirror, packing.home,
                             {"-c", "repack.writeBitmaps=false", "-c", "pack.windowMemory=32m",
                              "repack", "-a", "-d", "--keep-unreachable", "-n", "--quiet"});
  command.file_bytes = packing.largest_file;
  command.data_bytes = kLargestMemory;
  KNOCK_ASSIGN(auto finished, net::run(command, deadline));
  if (finished.exit_code == 0) return {};
  return fail(ErrorKind::unavailable,
              fmt::format("git repack ended with {}: {}", finished.exit_code,
                          printable(std::string(trim(finished.err)).substr(0, 300))));
}

Status check_loose_objects(const std::string& mirror) {
  std::string torn;
  each_loose(mirror, [&](const fs::path& file) {
    if (cut_short(file)) torn = file.parent_path().filename().string() + file.filename().string();
    return torn.empty();
  });
  if (torn.empty()) return {};
  return refuse(Refusal::unreadable,
                fmt::format("object {} is cut short on the disk; remove {} and it is made anew at "
                            "the next look",
                            torn, printable(mirror)));
}

}  // namespace knock::git
