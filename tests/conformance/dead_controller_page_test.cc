// SPDX-License-Identifier: Apache-2.0
// docs/dead-controller.md, written from Capabilities: who closes an entry when no controller runs.
// KNOCK_UPDATE_GOLDEN=1 writes it anew.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "agents/nftables/provider.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

using test::read_file;
using test::source_dir;
using test::write_file;

/// packaging/systemd/knock-sweep.timer, and the default of `knock sweep --grace`.
constexpr Duration kSweepEvery = Duration::minutes(5), kGrace = Duration::seconds(60);

struct Kind {
  std::string name;
  Capabilities can;
};

/// Asked for what it can do, and for nothing else.
class NoChannel final : public ApplyChannel {
 public:
  Result<role::FromApply> call(const role::ToApply&, Deadline) override {
    return fail(ErrorKind::internal, "nothing is asked here");
  }
  void on_moved(Moved) override {}
};

std::vector<Kind> kinds() {
  std::vector<Kind> out;
  auto nftables =
      make_nftables_provider(TargetName("edge"), {}, OwnerId{1}, std::make_unique<NoChannel>(), {});
  EXPECT_TRUE(nftables) << nftables.error().text();
  if (nftables) out.push_back({"`nftables`", (*nftables)->capabilities()});
  using Granularity = Capabilities::Granularity;
  for (auto [granularity, word] :
       {std::pair(Granularity::entry, "per entry"), std::pair(Granularity::set, "a set at once"),
        std::pair(Granularity::document, "a document at once")})
    for (bool native : {true, false})
      for (bool comments : {true, false}) {
        if (native && !comments) continue;
        Capabilities can;
        can.granularity = granularity;
        can.native_expiry = native;
        can.comments = comments;
        out.push_back({fmt::format("*{}{}{}*", word, native ? ", expires" : ", does not expire",
                                   native || comments ? "" : ", no room for a mark"),
                       can});
      }
  return out;
}

std::string who_closes(const Capabilities& can) {
  if (can.native_expiry) return "the target itself";
  if (can.comments) return "`knock sweep`, from the marks, on a machine of its own";
  return "nobody, until a controller runs again";
}

std::string overrun(const Capabilities& can) {
  std::string cap =
      can.marker_deadline == Capabilities::MarkerDeadline::cap ? ", from the session's end" : "";
  if (can.native_expiry) return "none" + cap;
  if (can.comments) return to_string(kSweepEvery + kGrace) + cap;
  return "without an end";
}

std::string cuts(const Capabilities& can) {
  switch (can.cuts_established) {
    case Capabilities::CutsEstablished::always:
      return "are cut";
    case Capabilities::CutsEstablished::on_request:
      return "go on: only a controller can ask for the cut";
    case Capabilities::CutsEstablished::never:
      return "go on";
  }
  return "";
}

std::string page() {
  std::string out =
      "# When no controller runs\n\n"
      "Written by `tests/conformance/dead_controller_page_test.cc` from `Capabilities` "
      "(`schemas/capabilities.h`). Nothing opens without a controller; this is who closes\n"
      "what was open, how late at worst, and what becomes of connections at that moment. The rows "
      "in italics are shapes of targets that this build has no\nprovider for: what the table "
      "would say of one.\n\n"
      "| target | closes at its time | overrun at worst | open connections then |\n"
      "|---|---|---|---|\n";
  for (const Kind& kind : kinds())
    out += fmt::format("| {} | {} | {} | {} |\n", kind.name, who_closes(kind.can),
                       overrun(kind.can), cuts(kind.can));
  out +=
      "\nAn entry's time is the deadline in its own mark, which an extension rewrites. Signing out "
      "and revoking need a controller: without one an entry stays\nuntil that deadline. The "
      "overrun of a sweep is its timer (" +
      to_string(kSweepEvery) + ") and its grace (" + to_string(kGrace) +
      "), as they are shipped: [sweeping.md](sweeping.md). A host that is started anew has no "
      "table, so\nnothing is open and nothing is protected until the controller runs.\n";
  return out;
}

TEST(DeadController, ThePageSaysWhatTheCapabilitiesSay) {
  auto file = source_dir() + "/docs/dead-controller.md";
  if (std::getenv("KNOCK_UPDATE_GOLDEN") != nullptr) write_file(file, page());
  EXPECT_EQ(read_file(file), page()) << "KNOCK_UPDATE_GOLDEN=1 writes it anew";
}

TEST(DeadController, TheTimerIsAsOftenAsThePageSays) {
  auto timer = read_file(source_dir() + "/packaging/systemd/knock-sweep.timer");
  EXPECT_NE(timer.find("OnUnitActiveSec=" + to_string(kSweepEvery) + "in\n"), timer.npos) << timer;
}

}  // namespace
}  // namespace knock
