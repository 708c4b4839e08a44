// SPDX-License-Identifier: Apache-2.0
// Writing a plan in each form. Prints what it took beyond the plan itself: time, bytes written, and
// how much the process grew, at three sizes.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "reconciler/core/render.h"

namespace knock {
namespace {

constexpr Instant kNow = Instant::from_seconds(1'795'255'200);

Plan plan_of(std::uint32_t changes) {
  Plan plan;
  plan.from = PolicyRevision("3f2c1aa09b77");
  plan.to = PolicyRevision("8d01b7e2c4a9");
  plan.as_of = kNow;
  plan.targets.resize(1);
  TargetPlan& target = plan.targets[0];
  target.target = TargetName("edge-fw");
  target.type = "nftables";
  target.changes.reserve(changes);
  for (std::uint32_t n = 0; n < changes; ++n) {
    Change change;
    change.action = n % 10 == 0 ? Action::remove : Action::add;
    change.reason = n % 10 == 0 ? Reason::policy : Reason::sign_in;
    change.slot = "payroll";
    change.ports = {*PortRange::parse("tcp/443")};
    change.prefix = Prefix::host(IpAddress::v4(0x0a000000U + n));
    change.until = kNow + Duration::hours(1);
    change.causes = {{Attribution::Kind::session, SessionId(fmt::format("{:026}", n)),
                      fmt::format("person {}", n), ServiceName("payroll"), RuleName("staff"),
                      kNow + Duration::hours(1)}};
    target.changes.push_back(std::move(change));
  }
  return plan;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

double seconds(auto work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure(const Plan& plan, std::string_view form, View view) {
  std::size_t written = 0;
  Write count = [&](std::string_view piece) { written += piece.size(); };
  RenderOptions options;
  options.view = view;
  auto before = peak_mib();
  auto took = seconds([&] {
    if (form == "text") write_text(plan, options, count);
    if (form == "markdown") write_markdown(plan, options, count);
    if (form == "html") write_html(plan, options, count);
    if (form == "json") write_json(plan, count, view);
  });
  fmt::print("{:>9}  {:<8}  {:<6}  {:>8.1f} ms  {:>8.1f} MB written  {:>6.1f} MiB more\n",
             plan.targets[0].changes.size(), form, to_string(view), took * 1000,
             double(written) / 1e6, peak_mib() - before);
}

}  // namespace
}  // namespace knock

int main() {
  using namespace knock;
  for (std::uint32_t changes : {10'000U, 100'000U, 1'000'000U}) {
    Plan plan = plan_of(changes);
    for (auto form : {"text", "markdown", "html", "json"})
      for (View view : {View::full, View::shape}) measure(plan, form, view);
  }
  return EXIT_SUCCESS;
}
