// SPDX-License-Identifier: Apache-2.0
// Writing a plan takes no more memory when the plan is larger. Counts what is allocated, so it is a
// program of its own.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "reconciler/core/render.h"
#include "tests/unit/core/samples.h"

namespace {

std::atomic<std::int64_t> live_bytes{0}, most_bytes{0};

void* counted_new(std::size_t size) {
  // The size stands before the block, so that a delete knows it.
  constexpr std::size_t kHead = 16;
  auto* block = static_cast<char*>(std::malloc(size + kHead));
  if (block == nullptr) throw std::bad_alloc();
  *reinterpret_cast<std::size_t*>(block) = size;
  auto now = live_bytes += std::int64_t(size);
  if (now > most_bytes) most_bytes = now;
  return block + kHead;
}

void counted_delete(void* pointer) noexcept {
  if (pointer == nullptr) return;
  auto* block = static_cast<char*>(pointer) - 16;
  live_bytes -= std::int64_t(*reinterpret_cast<std::size_t*>(block));
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return counted_new(size); }
void* operator new[](std::size_t size) { return counted_new(size); }
void operator delete(void* pointer) noexcept { counted_delete(pointer); }
void operator delete[](void* pointer) noexcept { counted_delete(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { counted_delete(pointer); }
void operator delete[](void* pointer, std::size_t) noexcept { counted_delete(pointer); }

namespace knock::test {
namespace {

Plan plan_of(std::uint32_t changes) {
  Plan plan;
  plan.as_of = kNow;
  plan.targets.resize(1);
  plan.targets[0].target = kTarget;
  for (std::uint32_t n = 0; n < changes; ++n) {
    Change change;
    change.action = n % 3 == 0 ? Action::remove : Action::add;
    change.reason = Reason::sign_in;
    change.slot = "ssh";
    change.ports = ports("tcp/22");
    change.prefix = prefix(fmt::format("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255));
    change.until = kNow + Duration::hours(1);
    change.causes = {by_session(fmt::format("person {}", n % 1000))};
    plan.targets[0].changes.push_back(std::move(change));
  }
  return plan;
}

/// Bytes beyond what stood before, at the worst moment of writing; and how much was written.
std::int64_t cost(const Plan& plan, std::string_view form, View view, std::size_t& written) {
  RenderOptions options;
  options.view = view;
  written = 0;
  Write count = [&](std::string_view piece) { written += piece.size(); };
  auto before = live_bytes.load();
  most_bytes = before;
  if (form == "text") write_text(plan, options, count);
  if (form == "markdown") write_markdown(plan, options, count);
  if (form == "html") write_html(plan, options, count);
  if (form == "json") write_json(plan, count, view);
  EXPECT_EQ(live_bytes.load(), before) << "nothing is left behind";
  return most_bytes.load() - before;
}

TEST(RenderMemory, DoesNotGrowWithThePlan) {
  Plan small = plan_of(1'000), large = plan_of(50'000);
  for (const char* form : {"text", "markdown", "html", "json"})
    for (View view : {View::full, View::people, View::shape}) {
      std::size_t little = 0, much = 0;
      auto few = cost(small, form, view, little), many = cost(large, form, view, much);
      EXPECT_LT(many, 512 * 1024) << form << " " << to_string(view) << " wrote " << much;
      EXPECT_LT(many, few + 256 * 1024) << form << " " << to_string(view);
      if (view == View::full && std::string_view(form) != "markdown") {
        EXPECT_GT(much, 2'000'000u) << form;
      }
    }
}

}  // namespace
}  // namespace knock::test
