// SPDX-License-Identifier: Apache-2.0
// Closes what has run out, from the markers alone: without store, policy or controller, on whatever
// machine reaches the firewall. docs/sweeping.md is for whoever runs it at night.
#include "agents/nftables/sweep.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "agents/host/local_channel.h"
#include "base/failpoint.h"
#include "base/owned_fd.h"
#include "base/text.h"
#include "cli/command.h"
#include "schemas/json/json_writer.h"

namespace knock::cli {
namespace {

struct SweepTarget {
  std::string table, netns;
  std::string name() const { return "inet " + table + (netns.empty() ? "" : " in " + netns); }
};

struct SweepFlags {
  std::vector<std::string> targets;
  std::string owner, grace = "60s", stamp;
  bool any_owner = false, dry_run = false, trust_clock = false;
};

/// No version that could be running was there before.
constexpr Instant kNotBefore{1'793'491'200'000};  // 2026-11-01
constexpr Duration kPatience = Duration::seconds(60);

/// "nftables:TABLE", "nftables:TABLE@NETNS".
Result<SweepTarget> target_from(const std::string& text) {
  constexpr std::string_view kType = "nftables:";
  if (!text.starts_with(kType))
    return fail(
        ErrorKind::invalid,
        fmt::format("--target {}: write nftables:TABLE, or nftables:TABLE@NETNS", printable(text)));
  auto rest = text.substr(kType.size());
  auto at = rest.find('@');
  SweepTarget out{rest.substr(0, at), at == rest.npos ? "" : rest.substr(at + 1)};
  if (!role::valid_table(out.table) || (at != rest.npos && out.netns.empty()))
    return fail(ErrorKind::invalid,
                fmt::format("--target {}: a table is [a-z][a-z0-9_-]{{0,31}}, and a namespace a "
                            "name below /run/netns or a path",
                            printable(text)));
  return out;
}

Result<SweepOrder> order_from(const SweepFlags& flags) {
  SweepOrder order;
  if (flags.owner.empty() == !flags.any_owner)
    return fail(ErrorKind::invalid,
                "say whose entries: --owner HEX (the `owner` of knock.yaml), or --any-owner for "
                "those of every installation");
  if (!flags.owner.empty()) {
    order.owner = OwnerId::parse(flags.owner);
    if (!order.owner)
      return fail(ErrorKind::invalid, "--owner " + printable(flags.owner) +
                                          " is not 16 hexadecimal digits, as in knock.yaml");
  }
  auto grace = parse_duration(flags.grace);
  if (!grace) return fail(ErrorKind::invalid, "--grace: write a time such as 60s or 5m");
  order.grace = *grace;
  order.now = SystemClock().now();
  order.dry_run = flags.dry_run;
  order.trust_clock = flags.trust_clock;
  if (order.now < kNotBefore)
    return fail(ErrorKind::unavailable,
                fmt::format("this machine's clock says {}, which is before this version of knock "
                            "was made: nothing was closed. Set the clock (timedatectl)",
                            to_string(order.now)));
  return order;
}

std::string sentence(const SweepTarget& target, const Swept& swept, bool dry_run) {
  auto name = target.name();
  if (!swept.exists) return name + ": no such table, so nothing of ours stands there\n";
  std::string out;
  for (const auto& entry : swept.closed)
    out += fmt::format("{}: {} {} of {} (ended {}, owner {})\n", name,
                       dry_run ? "would close" : "closed", entry.prefix.to_string(),
                       printable(entry.slot), to_string(entry.until), entry.owner.to_string());
  out += fmt::format("{}: {} {}, {} with time left, {} foreign, {} of other owners\n", name,
                     swept.closed.size(), dry_run ? "to close" : "closed", swept.standing,
                     swept.foreign, swept.others);
  if (swept.unknown_version > 0)
    out += fmt::format(
        "{}: {} left alone: marked by a version of knock that this one does not "
        "know. Sweep with that version\n",
        name, counted(swept.unknown_version, "entry", "entries"));
  return out;
}

void write_json(JsonWriter& out, const SweepTarget& target, const Swept& swept) {
  out.begin_object();
  out.text("table", target.table);
  out.text("netns", target.netns);
  out.flag("exists", swept.exists);
  out.key("closed");
  out.begin_list();
  for (const auto& entry : swept.closed) {
    out.begin_object();
    out.text("slot", entry.slot);
    out.text("prefix", entry.prefix.to_string());
    out.text("ended", to_string(entry.until));
    out.text("owner", entry.owner.to_string());
    out.end_object();
  }
  out.end_list();
  out.number("standing", std::uint64_t(swept.standing));
  out.number("foreign", std::uint64_t(swept.foreign));
  out.number("other_owners", std::uint64_t(swept.others));
  out.number("unknown_version", std::uint64_t(swept.unknown_version));
  out.end_object();
}

/// Under another name first: whoever looks at its age finds a whole one or the former.
Status write_stamp(const std::string& path, Instant now) {
  auto fresh = path + ".new";
  auto cannot = [&] {
    return fail(ErrorKind::unavailable,
                fmt::format("the stamp {} cannot be written: {}", path, std::strerror(errno)));
  };
  OwnedFd file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  auto text = "knock sweep 1 " + to_string(now) + "\n";
  if (!file.open() || write(file.get(), text.data(), text.size()) != ssize_t(text.size()))
    return cannot();
  KNOCK_FAILPOINT("sweep.before-stamp");
  if (rename(fresh.c_str(), path.c_str()) != 0) return cannot();
  return {};
}

Result<Swept> sweep_one(const SweepTarget& target, SweepOrder order) {
  order.table = target.table;
  auto channel = host::open_local_channel(target.netns);
  if (!channel) return fail_within(target.name(), channel);
  auto done = sweep(**channel, order, Deadline::in(kPatience));
  if (!done) return fail_within(target.name(), done);
  return done;
}

int run(const Global& global, const SweepFlags& flags) {
  auto order = order_from(flags);
  if (!order)
    return fail_with(order.error().kind == ErrorKind::invalid ? kUsage : kError,
                     order.error().text());
  std::vector<SweepTarget> targets;
  for (const auto& text : flags.targets) {
    auto target = target_from(text);
    if (!target) return fail_with(kUsage, target.error().text());
    targets.push_back(std::move(*target));
  }
  std::size_t failed = 0, closed = 0;
  std::string answer;
  std::string document;
  JsonWriter json([&](std::string_view piece) { document += piece; });
  json.begin_object();
  json.flag("dry_run", flags.dry_run);
  json.key("targets");
  json.begin_list();
  for (const auto& target : targets) {
    auto swept = sweep_one(target, *order);
    if (!swept) {
      ++failed;
      fail_with(kError, swept.error().text());
      continue;
    }
    closed += swept->closed.size();
    if (global.json)
      write_json(json, target, *swept);
    else
      answer += sentence(target, *swept, flags.dry_run);
  }
  json.end_list();
  json.end_object();
  json.newline().flush();
  print(global.json ? document : answer);
  if (failed > 0) return failed == targets.size() ? kError : kPartly;
  if (flags.dry_run) return closed > 0 ? kChanges : kDone;
  if (flags.stamp.empty()) return kDone;
  auto stamped = write_stamp(flags.stamp, order->now);
  return stamped ? int(kDone) : fail_with(stamped.error());
}

}  // namespace

void add_sweep(Commands& commands) {
  auto flags = std::make_shared<SweepFlags>();
  auto* command = commands.add(
      commands.app, "sweep", "Closes what has run out, from the marks in the firewall alone",
      "knock sweep --owner 00c0ffee00c0ffee --target nftables:knock --dry-run");
  command->add_option("--target", flags->targets, "nftables:TABLE or nftables:TABLE@NETNS")
      ->required();
  command->add_option("--owner", flags->owner, "Whose entries: `owner` of knock.yaml");
  command->add_flag("--any-owner", flags->any_owner, "Those of every installation");
  command->add_option("--grace", flags->grace, "How long after its end an entry is left alone")
      ->capture_default_str();
  command->add_option("--stamp", flags->stamp,
                      "A file whose age tells when everything was swept last");
  command->add_flag("--trust-clock", flags->trust_clock,
                    "Do not compare the clock with what the kernel counts");
  command->add_flag("--dry-run", flags->dry_run, "Only say what would be closed; 2 when anything");
  commands.run(command, [&commands, flags] { return run(commands.global, *flags); });
}

}  // namespace knock::cli
