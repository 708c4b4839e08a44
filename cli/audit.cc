// SPDX-License-Identifier: Apache-2.0
// Reads the store itself, beside a running controller or without one: an auditor needs no service
// to be up.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <thread>

#include "base/text.h"
#include "cli/local.h"
#include "server/admin/json.h"

namespace knock::cli {
namespace {

Result<std::unique_ptr<FactStore>> open_for_reading(const Global& global,
                                                    std::optional<Config>& config, Random& random) {
  config = read_config(global);
  if (!config) return fail(ErrorKind::invalid, "the configuration says where the log is");
  return open_store(*config, false, random);
}

int verify(const Global& global) {
  SystemRandom random;
  std::optional<Config> config;
  auto store = open_for_reading(global, config, random);
  if (!store) return fail_with(store.error());
  bool show = isatty(STDERR_FILENO) == 1 && !global.quiet;
  auto check = (*store)->verify([&](std::uint64_t done, std::uint64_t all) {
    if (show && all > 0)
      fmt::print(stderr, "\r{} of {} records ({} %)", done, all, done * 100 / all);
  });
  if (show) fmt::print(stderr, "\r\x1b[K");
  if (!check) return fail_with(check.error());
  if (global.json)
    print(boost::json::serialize(boost::json::object{{"good", check->good},
                                                     {"records", check->records},
                                                     {"broken_at", check->broken_at},
                                                     {"why", check->why},
                                                     {"head", to_hex(check->head)}}) +
          "\n");
  else if (check->good)
    print(fmt::format("The chain is whole: {}, head {}\n",
                      counted(check->records, "record", "records"), to_hex(check->head)));
  else
    print(fmt::format("THE CHAIN IS BROKEN at record {}: {}\n", check->broken_at, check->why));
  return check->good ? kDone : kChainBroken;
}

void print_record(const Global& global, const Record& record) {
  if (global.json) {
    auto all = boost::json::parse(records_json({record})).as_object();
    print(boost::json::serialize(all["records"].as_array()[0]) + "\n");
    return;
  }
  print(fmt::format("{:>6} {} {:<18} {:<12} {} {}\n", record.seq, to_string_ms(record.at),
                    record.fact.kind, printable(record.actor), printable(record.fact.public_json),
                    printable(record.fact.personal_json)));
}

int tail(const Global& global, std::uint64_t count, bool follow) {
  SystemRandom random;
  std::optional<Config> config;
  auto store = open_for_reading(global, config, random);
  if (!store) return fail_with(store.error());
  auto head = (*store)->head();
  if (!head) return fail_with(head.error());
  std::uint64_t after = *head > count ? *head - count : 0;
  for (;;) {
    auto records = (*store)->records(after, 500);
    if (!records) return fail_with(records.error());
    for (const Record& record : *records) {
      print_record(global, record);
      after = record.seq;
    }
    std::fflush(stdout);
    if (records->empty()) {
      if (!follow) return kDone;
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  }
}

}  // namespace

void add_audit(Commands& commands) {
  auto* audit = commands.add(commands.app, "audit", "The log", "knock audit verify");
  audit->require_subcommand(1);
  auto* check =
      commands.add(*audit, "verify", "Checks the whole chain; exit 10 when a record was changed",
                   "knock audit verify --json");
  commands.run(check, [&commands] { return verify(commands.global); });
  auto count = std::make_shared<std::uint64_t>(20);
  auto follow = std::make_shared<bool>(false);
  auto* last = commands.add(*audit, "tail", "The newest records", "knock audit tail -f");
  last->add_option("-n", *count, "How many")->capture_default_str();
  last->add_flag("-f,--follow", *follow, "Go on as records are written");
  commands.run(last, [&commands, count, follow] { return tail(commands.global, *count, *follow); });
}

}  // namespace knock::cli
