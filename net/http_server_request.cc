// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace knock::net {
namespace {

constexpr std::size_t kMostFields = 100;
constexpr std::size_t kMostPairs = 200;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }

bool is_token_char(char c) {
  return is_digit(c) || is_alpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}
/// RFC 9110 field-vchar, space and tab; bytes beyond ASCII are opaque.
bool is_value_char(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}
bool is_target_char(char c) { return c > 0x20 && c < 0x7f && c != '#'; }

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim_blanks(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Percent-decoding, once. Nothing when an escape is cut short or not hexadecimal.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += char(high << 4 | low);
      i += 2;
    }
  }
  return out;
}

bool climbs(std::string_view path) {
  for (std::string_view bad : {"/../", "/./"})
    if (path.find(bad) != std::string_view::npos) return true;
  return path.ends_with("/..") || path.ends_with("/.");
}

bool valid_host(std::string_view host) {
  return !host.empty() && host.size() <= 300 && std::all_of(host.begin(), host.end(), [](char c) {
    return is_digit(c) || is_alpha(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
           c == ']';
  });
}

tl::unexpected<HeadProblem> refuse(int status, std::string_view code) {
  return tl::unexpected(HeadProblem{status, code});
}
using Read = tl::expected<void, HeadProblem>;

/// One line without its CRLF, taken off the front; every CR and LF must belong to a CRLF.
tl::expected<std::string_view, HeadProblem> take_line(std::string_view& rest) {
  auto end = rest.find_first_of("\r\n");
  if (end == std::string_view::npos || rest[end] != '\r' || end + 1 >= rest.size() ||
      rest[end + 1] != '\n')
    return refuse(400, "http.line-ending");
  auto line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

Read read_target(std::string_view target, bool tls, RequestHead& head,
                 std::string_view& authority) {
  if (!std::all_of(target.begin(), target.end(), is_target_char))
    return refuse(400, "http.target-character");
  if (target == "*" && head.method == "OPTIONS") {
    head.target = head.path = "*";
    return {};
  }
  if (!target.starts_with('/')) {
    std::string_view scheme = tls ? "https://" : "http://";
    if (target.size() < scheme.size() || !same_word(target.substr(0, scheme.size()), scheme))
      return refuse(400, "http.target-form");
    target.remove_prefix(scheme.size());
    auto slash = std::min(target.find('/'), target.size());
    authority = target.substr(0, slash);
    target.remove_prefix(slash);
    if (!valid_host(authority) || target.empty()) return refuse(400, "http.target-form");
  }
  head.target = target;
  auto question = target.find('?');
  if (question != std::string_view::npos) head.query = target.substr(question + 1);
  auto path = percent_decode(target.substr(0, question), false);
  if (!path) return refuse(400, "http.target-escape");
  if (std::any_of(path->begin(), path->end(),
                  [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }))
    return refuse(400, "http.target-control");
  if (climbs(*path)) return refuse(400, "http.target-climbs");
  head.path = std::move(*path);
  return {};
}

Read read_request_line(std::string_view line, bool tls, RequestHead& head,
                       std::string_view& authority) {
  auto first = line.find(' '), second = line.rfind(' ');
  if (first == std::string_view::npos || first == second) return refuse(400, "http.request-line");
  head.method = line.substr(0, first);
  if (!is_token(head.method) || head.method.size() > 32) return refuse(400, "http.method");
  auto version = line.substr(second + 1);
  if (version == "HTTP/1.0")
    head.keep_alive = false;
  else if (version.starts_with("HTTP/") && version != "HTTP/1.1")
    return refuse(505, "http.version");
  else if (version != "HTTP/1.1")
    return refuse(400, "http.request-line");
  return read_target(line.substr(first + 1, second - first - 1), tls, head, authority);
}

Read read_field(std::string_view line, RequestHead& head) {
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "http.folded");
  auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return refuse(400, "http.field-name");
  auto value = trim_blanks(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_char))
    return refuse(400, "http.field-value");
  if (head.headers.fields.size() >= kMostFields) return refuse(431, "http.too-many-fields");
  head.headers.fields.emplace_back(line.substr(0, colon), value);
  return {};
}

Read check_host(const RequestHead& head, bool is_11, std::string_view authority) {
  auto hosts = head.headers.all("host");
  if (hosts.size() > 1) return refuse(400, "http.host-repeated");
  if (hosts.empty()) {
    if (is_11) return refuse(400, "http.host-missing");
    return {};
  }
  if (!valid_host(hosts[0])) return refuse(400, "http.host-malformed");
  if (!authority.empty() && !same_word(hosts[0], authority))
    return refuse(400, "http.host-differs");
  return {};
}

Read check_length(RequestHead& head) {
  auto lengths = head.headers.all("content-length");
  if (lengths.empty()) return {};
  if (head.chunked) return refuse(400, "http.length-and-coding");
  if (lengths.size() > 1) return refuse(400, "http.length-repeated");
  auto text = lengths[0];
  if (text.empty() || text.size() > 18 || !std::all_of(text.begin(), text.end(), is_digit))
    return refuse(400, "http.length-malformed");
  std::from_chars(text.data(), text.data() + text.size(), head.content_length);
  return {};
}

Read check_framing(RequestHead& head, bool is_11) {
  auto codings = head.headers.all("transfer-encoding");
  if (!codings.empty()) {
    if (codings.size() > 1) return refuse(400, "http.coding-repeated");
    if (!is_11) return refuse(400, "http.coding-in-1.0");
    if (!same_word(codings[0], "chunked")) return refuse(501, "http.coding-unknown");
    head.chunked = true;
  }
  if (auto read = check_length(head); !read) return read;
  auto expect = head.headers.all("expect");
  if (!expect.empty()) {
    if (expect.size() > 1 || !same_word(expect[0], "100-continue"))
      return refuse(417, "http.expect-unknown");
    head.expects_continue = is_11;
  }
  return {};
}

/// Connection options: close wins; keep-alive is what HTTP/1.0 must say.
void read_connection(RequestHead& head) {
  bool close = false;
  for (auto value : head.headers.all("connection"))
    for (;;) {
      auto comma = value.find(',');
      auto option = trim_blanks(value.substr(0, comma));
      if (same_word(option, "close")) close = true;
      if (same_word(option, "keep-alive")) head.keep_alive = true;
      if (comma == std::string_view::npos) break;
      value.remove_prefix(comma + 1);
    }
  if (close) head.keep_alive = false;
}

}  // namespace

tl::expected<RequestHead, HeadProblem> read_head(std::string_view raw, bool tls) {
  RequestHead head;
  std::string_view authority, rest = raw;
  if (raw.find('\0') != std::string_view::npos) return refuse(400, "http.nul");
  auto line = take_line(rest);
  if (!line) return tl::unexpected(line.error());
  if (auto read = read_request_line(*line, tls, head, authority); !read)
    return tl::unexpected(read.error());
  bool is_11 = head.keep_alive;
  for (;;) {
    line = take_line(rest);
    if (!line) return tl::unexpected(line.error());
    if (line->empty()) break;
    if (auto read = read_field(*line, head); !read) return tl::unexpected(read.error());
  }
  if (!rest.empty()) return refuse(400, "http.line-ending");
  if (auto read = check_host(head, is_11, authority); !read) return tl::unexpected(read.error());
  if (auto read = check_framing(head, is_11); !read) return tl::unexpected(read.error());
  read_connection(head);
  return head;
}

bool may_become_head(std::string_view raw) {
  if (raw.empty()) return true;
  if (!is_token_char(raw[0])) return false;
  auto first_line = raw.substr(0, raw.find('\n'));
  return std::all_of(first_line.begin(), first_line.end(),
                     [](char c) { return c == '\r' || (c >= 0x20 && c < 0x7f); });
}

std::string http_date(Instant instant) {
  using namespace std::chrono;
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  sys_seconds time{seconds(instant.seconds())};
  auto day = floor<days>(time);
  year_month_day date{day};
  auto rest = (time - day).count();
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[weekday(day).c_encoding()],
                     unsigned(date.day()), kMonths[unsigned(date.month()) - 1], int(date.year()),
                     rest / 3600, rest / 60 % 60, rest % 60);
}

bool valid_field(std::string_view name, std::string_view value) {
  return is_token(name) && std::all_of(value.begin(), value.end(), is_value_char);
}

std::optional<std::string_view> Headers::one(std::string_view name) const {
  auto values = all(name);
  if (values.size() != 1) return std::nullopt;
  return values[0];
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [field, value] : fields)
    if (same_word(field, name)) out.emplace_back(value);
  return out;
}

void Headers::set(std::string name, std::string value) {
  std::erase_if(fields, [&](const auto& field) { return same_word(field.first, name); });
  fields.emplace_back(std::move(name), std::move(value));
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_form(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  if (text.empty()) return out;
  for (;;) {
    auto end = std::min(text.find('&'), text.size());
    auto pair = text.substr(0, end);
    auto equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0 || out.size() >= kMostPairs)
      return std::nullopt;
    if (!std::all_of(pair.begin(), pair.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
      return std::nullopt;
    auto name = percent_decode(pair.substr(0, equals), true);
    auto value = percent_decode(pair.substr(equals + 1), true);
    if (!name || !value) return std::nullopt;
    out.emplace_back(std::move(*name), std::move(*value));
    if (end == text.size()) return out;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string> cookie(const HttpRequest& request, std::string_view name) {
  std::optional<std::string> found;
  for (auto line : request.headers.all("cookie"))
    for (;;) {
      auto end = std::min(line.find(';'), line.size());
      auto pair = trim_blanks(line.substr(0, end));
      auto equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
        auto value = pair.substr(equals + 1);
        bool clean = std::all_of(value.begin(), value.end(), [](char c) {
          return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
        });
        if (found || !clean) return std::nullopt;
        found = std::string(value);
      }
      if (end == line.size()) break;
      line.remove_prefix(end + 1);
    }
  return found;
}

}  // namespace knock::net
