// SPDX-License-Identifier: Apache-2.0
// The saved plan reader. What it accepts must survive writing and reading again, byte for byte from
// then on. A fuzzer cannot guess SHA-256, so the input is also tried with a right footer put in
// place of its last line.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "schemas/plan/codec.h"

namespace {

std::string written(const knock::SavedPlan& saved) {
  std::string text;
  knock::write_saved(saved, [&](std::string_view piece) { text += piece; });
  return text;
}

void check(std::string_view text) {
  auto saved = knock::read_saved(text);
  if (!saved) {
    if (!saved.error().message.starts_with("saved-plan.")) std::abort();  // a reason is missing
    return;
  }
  auto once = written(*saved);
  auto again = knock::read_saved(once);
  if (!again || written(*again) != once) std::abort();
}

std::string with_right_footer(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::string sealed(text.substr(0, text.rfind('\n') + 1));
  auto lines = std::count(sealed.begin(), sealed.end(), '\n');
  return sealed + R"({"line":"end","lines":)" + std::to_string(lines) + R"(,"sha256":")" +
         knock::to_hex(knock::sha256(sealed)) + "\"}\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(with_right_footer(text));
  return 0;
}
