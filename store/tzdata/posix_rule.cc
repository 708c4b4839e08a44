// SPDX-License-Identifier: Apache-2.0
#include "store/tzdata/posix_rule.h"

#include <algorithm>

namespace knock {
namespace {

using Change = PosixRule::Change;

/// Reads from the front; after a mistake everything that follows fails too.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  bool done() const { return ok_ && rest_.empty(); }
  bool next_is(char c) const { return rest_.starts_with(c); }

  bool skip(char c) {
    if (!ok_ || !rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { ok_ = skip(c) && ok_; }

  int number(int least, int most) {
    int value = 0;
    std::size_t digits = 0;
    while (digits < rest_.size() && digits < 4 && rest_[digits] >= '0' && rest_[digits] <= '9')
      value = value * 10 + (rest_[digits++] - '0');
    if (digits == 0 || value < least || value > most) ok_ = false;
    rest_.remove_prefix(digits);
    return value;
  }

  /// A name of at least three letters, or anything between < and >.
  void name() {
    bool quoted = skip('<');
    std::size_t length = 0;
    auto belongs = [&](char c) {
      bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      return letter || (quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'));
    };
    while (length < rest_.size() && belongs(rest_[length])) ++length;
    if (length < 3) ok_ = false;
    rest_.remove_prefix(length);
    if (quoted) expect('>');
  }

  /// [+-]hh[:mm[:ss]], up to a week (RFC 8536, 3.3.1).
  std::int32_t time() {
    int sign = skip('-') ? -1 : 1;
    if (sign == 1) skip('+');
    std::int32_t seconds = number(0, 167) * 3600;
    if (skip(':')) seconds += number(0, 59) * 60;
    if (skip(':')) seconds += number(0, 59);
    return sign * seconds;
  }

  Change change() {
    Change out;
    expect(',');
    if (skip('M')) {
      out.month = number(1, 12);
      expect('.');
      out.week = number(1, 5);
      expect('.');
      out.day = number(0, 6);
    } else if (skip('J')) {
      out.kind = Change::Kind::day_without_leap;
      out.day = number(1, 365);
    } else {
      out.kind = Change::Kind::day_with_leap;
      out.day = number(0, 365);
    }
    if (skip('/')) out.seconds = time();
    return out;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

/// Days from 1970-01-01 to the first of a month (Howard Hinnant, chrono-compatible low-level date
/// algorithms).
std::int64_t first_of(int year, int month) {
  std::int64_t y = month <= 2 ? year - 1 : year;
  auto era = (y >= 0 ? y : y - 399) / 400;
  auto of_era = y - era * 400;
  auto of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

std::int64_t day_of(const Change& change, int year) {
  if (change.kind == Change::Kind::day_with_leap) return first_of(year, 1) + change.day;
  if (change.kind == Change::Kind::day_without_leap)
    return first_of(year, 1) + change.day - 1 + (is_leap(year) && change.day >= 60 ? 1 : 0);
  auto first = first_of(year, change.month);
  auto next = change.month == 12 ? first_of(year + 1, 1) : first_of(year, change.month + 1);
  auto weekday = ((first + 4) % 7 + 7) % 7;  // of the first; 1970-01-01 was a Thursday
  auto day = first + (change.day - weekday + 7) % 7 + (change.week - 1) * 7;
  while (day >= next) day -= 7;
  return day;
}

Zone::Offset begins(const Change& change, int year, std::int32_t until_then, std::int32_t after) {
  return {Instant::from_seconds(day_of(change, year) * 86'400 + change.seconds - until_then),
          after};
}

}  // namespace

std::optional<PosixRule> parse_posix_rule(std::string_view text) {
  Reader reader(text);
  PosixRule rule;
  reader.name();
  rule.standard = -reader.time();  // POSIX counts westwards
  if (reader.done()) return rule;
  reader.name();
  PosixRule::Summer summer;
  summer.offset = reader.next_is(',') ? rule.standard + 3600 : -reader.time();
  summer.begin = reader.change();
  summer.end = reader.change();
  if (!reader.done()) return std::nullopt;
  rule.summer = summer;
  return rule;
}

std::vector<Zone::Offset> offsets_in(const PosixRule& rule, int year) {
  if (!rule.summer) return {};
  std::vector<Zone::Offset> out{
      begins(rule.summer->begin, year, rule.standard, rule.summer->offset),
      begins(rule.summer->end, year, rule.summer->offset, rule.standard)};
  std::ranges::sort(out);
  return out;
}

}  // namespace knock
