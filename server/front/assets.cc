// SPDX-License-Identifier: Apache-2.0
#include "server/front/assets.h"

#include <cstdlib>

#include "base/sha256.h"

// The assembler copies the file in; KNOCK_ASSETS is the folder, and the build knows that this
// object depends on it.
#define KNOCK_EMBED(symbol, file)        \
  asm(".pushsection .rodata\n"           \
      ".global knock_asset_" #symbol     \
      "\n"                               \
      "knock_asset_" #symbol             \
      ":\n"                              \
      ".incbin \"" KNOCK_ASSETS "/" file \
      "\"\n"                             \
      ".global knock_asset_" #symbol     \
      "_end\n"                           \
      "knock_asset_" #symbol             \
      "_end:\n"                          \
      ".byte 0\n"                        \
      ".popsection\n");                  \
  extern "C" const char knock_asset_##symbol[], knock_asset_##symbol##_end[]

KNOCK_EMBED(css, "knock.css");
KNOCK_EMBED(js, "knock.js");
KNOCK_EMBED(svg, "knock.svg");

namespace knock::server {
namespace {

Asset make(std::string_view stem, std::string_view extension, std::string_view type,
           const char* begin, const char* end) {
  std::string_view content(begin, std::size_t(end - begin));
  auto hash = to_hex(sha256(content)).substr(0, 16);
  return {"/assets/" + std::string(stem) + "-" + hash + std::string(extension), type, content};
}

}  // namespace

const std::vector<Asset>& assets() {
  static const std::vector<Asset> all{
      make("knock", ".css", "text/css; charset=utf-8", knock_asset_css, knock_asset_css_end),
      make("knock", ".js", "text/javascript; charset=utf-8", knock_asset_js, knock_asset_js_end),
      make("knock", ".svg", "image/svg+xml", knock_asset_svg, knock_asset_svg_end)};
  return all;
}

const Asset& asset(std::string_view name) {
  auto dot = name.find('.');
  for (const auto& one : assets())
    if (one.url.starts_with("/assets/" + std::string(name.substr(0, dot)) + "-") &&
        one.url.ends_with(name.substr(dot)))
      return one;
  std::abort();  // a page names a file that is not in the build
}

const Asset* asset_at(std::string_view url) {
  for (const auto& one : assets())
    if (one.url == url) return &one;
  return nullptr;
}

}  // namespace knock::server
