// SPDX-License-Identifier: Apache-2.0
// What strangers send to the HTTP server before anybody knows them: heads, forms and cookies. A
// head that is read has no control character in anything a handler sees.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "net/http_server_request.h"

namespace {

bool clean(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c < 0 || c >= 0x20 || c == '\t') && c != 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace knock::net;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)may_become_head(text);
  (void)parse_form(text);
  HttpRequest request;
  request.headers.set("Cookie", std::string(text));
  if (auto value = cookie(request, "a"); value && !clean(*value)) std::abort();
  auto head = read_head(text, size % 2 == 1);
  if (!head) return head.error().status >= 400 ? 0 : (std::abort(), 0);
  if (!text.ends_with("\r\n\r\n") || !may_become_head(text)) std::abort();
  if (!clean(head->method) || !clean(head->path) || !clean(head->target)) std::abort();
  if (head->path.find("/../") != std::string::npos) std::abort();
  for (const auto& [name, value] : head->headers.fields)
    if (!valid_field(name, value)) std::abort();
  if (head->chunked && head->headers.one("content-length")) std::abort();
  return 0;
}
