// SPDX-License-Identifier: Apache-2.0
#include "schemas/config/url.h"

#include <algorithm>
#include <charconv>

#include "base/ip.h"

namespace knock {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

bool one_of(char c, std::string_view others) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         others.find(c) != std::string_view::npos;
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         host.find("..") == std::string_view::npos &&
         std::ranges::all_of(host, [](char c) { return one_of(c, "-."); });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (problem != std::errc() || end != text.data() + text.size() || port == 0 || text[0] == '0')
    return std::nullopt;
  return port;
}

bool split_authority(std::string_view authority, PlainUrl& url) {
  std::string_view rest;
  if (authority.starts_with('[')) {
    auto close = authority.find(']');
    if (close == std::string_view::npos) return false;
    url.host = lower(authority.substr(1, close - 1));
    rest = authority.substr(close + 1);
    if (url.host.find(':') == std::string::npos || !IpAddress::parse(url.host)) return false;
  } else {
    auto colon = authority.find(':');
    url.host = lower(authority.substr(0, colon));
    if (colon != std::string_view::npos) rest = authority.substr(colon);
    if (!is_host_name(url.host)) return false;
  }
  if (rest.empty()) return true;
  if (rest[0] != ':') return false;
  url.port = parse_port(rest.substr(1));
  return url.port.has_value();
}

}  // namespace

bool PlainUrl::on_loopback() const {
  if (host == "localhost") return true;
  auto address = IpAddress::parse(host);
  return address && address->is_loopback();
}

std::optional<PlainUrl> parse_plain_url(std::string_view text) {
  auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) return std::nullopt;
  bool visible =
      std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != '\\'; });
  if (!visible) return std::nullopt;
  PlainUrl url;
  url.scheme = lower(text.substr(0, scheme_end));
  if (!std::ranges::all_of(url.scheme, [](char c) { return one_of(c, "+-."); }))
    return std::nullopt;
  auto rest = text.substr(scheme_end + 3);
  auto path = rest.find_first_of("/?#");
  auto authority = rest.substr(0, path);
  if (path != std::string_view::npos) url.path = rest.substr(path);
  if (auto extra = url.path.find_first_of("?#"); extra != std::string::npos) {
    url.extra = true;
    url.path.resize(extra);
  }
  if (auto at = authority.rfind('@'); at != std::string_view::npos) {
    url.userinfo = true;
    authority.remove_prefix(at + 1);
  }
  if (!split_authority(authority, url)) return std::nullopt;
  return url;
}

}  // namespace knock
