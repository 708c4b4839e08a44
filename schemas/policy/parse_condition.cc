// SPDX-License-Identifier: Apache-2.0
// What an allow rule may ask for besides groups, networks and services.
#include <fmt/format.h>

#include "schemas/policy/parse_parts.h"

namespace knock {
namespace {

constexpr unsigned kMostIps = 1000;
constexpr unsigned kMostUsers = 100'000;
constexpr unsigned kMostApprovals = 16;
// Each is looked at for each session.
constexpr std::size_t kMostWindows = 64;
constexpr std::size_t kLongestSubject = 255;
constexpr std::uint64_t kWidestV6 = 48;

/// SUBJECT@SOURCE; a subject may contain "@" itself.
void read_user(Findings& findings, const YamlNode& item, Declared<AllowRule>& rule) {
  auto text = read_text(findings, item, "users");
  if (!text) return;
  auto at = text->rfind('@');
  bool whole = at != std::string::npos && at > 0 && at <= kLongestSubject;
  auto source = whole ? text->substr(at + 1) : "";
  if (!whole || !is_name(source)) {
    findings.error(Check::bad_subject, item.place,
                   fmt::format("{} does not name a person", shown(*text)),
                   "write SUBJECT@SOURCE: the subject as the sign-in source says it (`knock "
                   "session list` shows it), and the source's name in knock.yaml");
    return;
  }
  rule.value.users.push_back({text->substr(0, at), SignInName(source)});
  rule.uses.push_back({NameUse::Kind::sign_in, source, item.place});
}

void read_users(Findings& findings, const YamlNode& node, Declared<AllowRule>& rule) {
  read_list(findings, node, "users", true,
            [&](const YamlNode& item) { read_user(findings, item, rule); });
  sort_unique(rule.value.users);
}

/// Text or a list of texts: "mon-fri", [mon, wed-fri].
std::optional<std::uint8_t> read_days(Findings& findings, const YamlNode& node) {
  std::string days;
  auto add = [&](const YamlNode& item) {
    auto text = read_text(findings, item, "days");
    if (!text) return;
    if (days_from(*text) && (days.empty() || days_from(days + "," + *text))) {
      days += (days.empty() ? "" : ",") + *text;
      return;
    }
    findings.error(Check::bad_days, item.place,
                   fmt::format("{} {}", shown(*text),
                               days_from(*text) ? "names a day once more" : "names no days"),
                   "days are mon tue wed thu fri sat sun; write mon-fri, or [mon, wed-fri]");
  };
  auto before = findings.all().size();
  if (node.is_sequence())
    read_list(findings, node, "days", true, add);
  else
    add(node);
  if (findings.all().size() != before) return std::nullopt;
  return days_from(days);
}

/// "HH:MM" as minutes after midnight.
std::optional<std::uint16_t> read_clock(Findings& findings, const YamlNode& node,
                                        std::string_view key) {
  auto text = read_text(findings, node, key);
  if (!text) return std::nullopt;
  auto digit = [&](std::size_t i) { return (*text)[i] >= '0' && (*text)[i] <= '9'; };
  if (text->size() == 5 && digit(0) && digit(1) && (*text)[2] == ':' && digit(3) && digit(4)) {
    auto number = [&](std::size_t i) { return ((*text)[i] - '0') * 10 + (*text)[i + 1] - '0'; };
    int minutes = number(0) * 60 + number(3);
    bool ends = key == "to";
    if (number(3) < 60 && minutes >= (ends ? 1 : 0) && minutes <= (ends ? 1440 : 1439))
      return std::uint16_t(minutes);
  }
  findings.error(Check::bad_clock, node.place,
                 fmt::format("`{}` is a time of day, not {}", key, shown(*text)),
                 key == "to" ? "write \"00:01\" to \"24:00\", which is midnight at the day's end"
                             : "write \"00:00\" to \"23:59\"");
  return std::nullopt;
}

void read_window(Findings& findings, const YamlNode& node, std::vector<Window>& out,
                 std::vector<NameUse>& uses) {
  Fields fields(findings, node, "a schedule");
  if (!fields.is_map()) return;
  auto before = findings.all().size();
  Window window;
  if (const auto* days = fields.need("days")) window.days = read_days(findings, *days).value_or(0);
  if (const auto* from = fields.need("from"))
    window.from = read_clock(findings, *from, "from").value_or(0);
  if (const auto* to = fields.need("to")) window.to = read_clock(findings, *to, "to").value_or(1);
  if (const auto* tz = fields.need("tz"))
    if (auto name = read_text(findings, *tz, "tz")) {
      window.tz = *name;
      uses.push_back({NameUse::Kind::zone, *name, tz->place});
    }
  fields.finish();
  if (findings.all().size() == before && window.from == window.to)
    findings.error(Check::empty_window, node.place,
                   "the window begins and ends at the same minute: never, or a whole day",
                   "for a whole day write from: \"00:00\", to: \"24:00\"");
  out.push_back(std::move(window));
}

void read_approval(Findings& findings, const YamlNode& node, Declared<AllowRule>& rule) {
  Fields fields(findings, node, "`approval`");
  if (!fields.is_map()) return;
  ApprovalCondition approval;
  read_uses(findings, fields.need("from"), "from", NameUse::Kind::group, approval.from, rule.uses);
  if (const auto* count = fields.take("count"))
    approval.count =
        unsigned(read_number(findings, *count, "count", 1, kMostApprovals).value_or(1));
  if (const auto* ttl = fields.need("ttl"))
    approval.ttl = read_duration(findings, *ttl, "ttl").value_or(Duration{});
  if (const auto* reason = fields.take("reason"))
    approval.reason_required =
        read_choice(findings, *reason, "reason", {"optional", "required"}) == 1u;
  fields.finish();
  rule.value.approval = std::move(approval);
}

/// `connections: 1` or `until: disconnect`.
void read_lasts(Findings& findings, Fields& fields, Declared<AllowRule>& rule) {
  const auto* connections = fields.take("connections");
  const auto* until = fields.take("until");
  if (connections != nullptr && read_number(findings, *connections, "connections", 1, 1)) {
    rule.value.lasts = Lasts::first_connection;
    rule.surfaces.push_back({Surface::connections, "connections", fields.key_place("connections")});
  }
  if (until != nullptr && read_choice(findings, *until, "until", {"disconnect"})) {
    rule.value.lasts = Lasts::disconnect;
    rule.surfaces.push_back({Surface::disconnect, "until", fields.key_place("until")});
  }
  if (connections != nullptr && until != nullptr)
    findings.error(Check::lasts_twice, fields.key_place("until"),
                   "the rule says twice how long the door stays open: `connections` and `until`",
                   "keep one: `connections: 1` closes behind the first connection, `until: "
                   "disconnect` when a connection ends");
  const auto* wide = rule.value.v6_prefix < 128 ? fields.take("v6_prefix") : nullptr;
  if (wide != nullptr && rule.value.lasts != Lasts::until_deadline)
    findings.error(Check::lasts_wide, fields.key_place("v6_prefix"),
                   "the rule opens for a connection and for many addresses: `v6_prefix`",
                   "remove `v6_prefix`: a connection comes from one address");
}

}  // namespace

void read_schedule(Findings& findings, const YamlNode& node, std::string_view key,
                   std::vector<Window>& out, std::vector<NameUse>& uses) {
  if (node.is_sequence())
    read_list(findings, node, key, true,
              [&](const YamlNode& item) { read_window(findings, item, out, uses); });
  else
    read_window(findings, node, out, uses);
  sort_unique(out);
  if (out.size() > kMostWindows)
    findings.error(
        Check::too_many_windows, node.place,
        fmt::format("the {} has {} windows; at most {} are read", key, out.size(), kMostWindows),
        "join windows that differ in their days alone: days: [mon, wed-fri]");
}

void read_conditions(Findings& findings, Fields& fields, Declared<AllowRule>& rule) {
  auto& value = rule.value;
  auto need = [&](Surface surface, std::string_view key) {
    rule.surfaces.push_back({surface, key, fields.key_place(key)});
  };
  auto number = [&](std::string_view key, std::uint64_t least, std::uint64_t most) {
    const auto* node = fields.take(key);
    return node == nullptr ? std::nullopt : read_number(findings, *node, key, least, most);
  };
  if (const auto* users = fields.take("users")) read_users(findings, *users, rule);
  if (const auto* claims = fields.take("claims")) {
    value.claims = read_claims(findings, *claims);
    need(Surface::claims, "claims");
  }
  if (const auto* acr = fields.take("acr")) {
    value.acr = read_texts(findings, *acr, "acr");
    need(Surface::claims, "acr");
  }
  if (const auto* age = fields.take("mfa_max_age")) {
    value.mfa_max_age = read_duration(findings, *age, "mfa_max_age");
    need(Surface::mfa, "mfa_max_age");
  }
  if (const auto* schedule = fields.take("schedule"))
    read_schedule(findings, *schedule, "schedule", rule.value.schedule, rule.uses);
  if (auto most = number("max_ips_per_user", 1, kMostIps)) value.max_ips_per_user = unsigned(*most);
  if (auto most = number("max_users_per_ip", 1, kMostUsers))
    value.max_users_per_ip = unsigned(*most);
  if (const auto* approval = fields.take("approval")) {
    read_approval(findings, *approval, rule);
    need(Surface::approval, "approval");
  }
  value.v6_prefix = std::uint8_t(number("v6_prefix", kWidestV6, 128).value_or(128));
  read_lasts(findings, fields, rule);
}

}  // namespace knock
