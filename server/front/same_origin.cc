// SPDX-License-Identifier: Apache-2.0
#include "server/front/same_origin.h"

#include <algorithm>

#include "base/random.h"
#include "base/sha256.h"
#include "schemas/role/front.h"

namespace knock::server {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::optional<std::string> origin_of(std::string_view url) {
  std::string text(url);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  std::string_view own_port = text.starts_with("https://")  ? ":443"
                              : text.starts_with("http://") ? ":80"
                                                            : "";
  if (own_port.empty()) return std::nullopt;
  auto host = text.find("://") + 3;
  text.resize(std::min(text.find_first_of("/?#", host), text.size()));
  if (text.ends_with(own_port)) text.resize(text.size() - own_port.size());
  bool valid = text.size() > host &&
               std::all_of(text.begin() + std::ptrdiff_t(host), text.end(), [](char c) {
                 return is_letter_or_digit(c) ||
                        std::string_view(".-_:[]").find(c) != std::string_view::npos;
               });
  if (!valid) return std::nullopt;
  return text;
}

std::string_view cross_site_problem(const net::HttpRequest& request,
                                    std::string_view public_origin) {
  auto origins = request.headers.all("origin"), sites = request.headers.all("sec-fetch-site");
  if (origins.size() > 1 || sites.size() > 1 || (origins.empty() && sites.empty()))
    return "csrf.no-origin";
  if (!origins.empty() && (public_origin.empty() || origins[0] != public_origin))
    return "csrf.cross-site";
  if (!sites.empty() && sites[0] != "same-origin") return "csrf.cross-site";
  return {};
}

std::string form_token(std::string_view browser_token) {
  auto digest = sha256("knock sign-in form 1\n" + std::string(browser_token));
  return base64url(as_bytes(digest));
}

bool is_cookie_token(std::string_view text) {
  return !text.empty() && text.size() <= role::kLongestToken &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.' || c == '~';
         });
}

}  // namespace knock::server
