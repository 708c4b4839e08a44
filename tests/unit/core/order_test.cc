// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/order.h"

#include <fmt/format.h>

#include "reconciler/core/needs.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

Change add(std::string where, std::string slot = "ssh") {
  return entry(Action::add, Reason::policy, std::move(where), std::move(slot));
}
Change taken(std::string where, std::string slot = "ssh", Reason reason = Reason::policy) {
  return entry(Action::remove, reason, std::move(where), std::move(slot));
}
Change shape(const char* slot, const char* text) {
  Change change;
  change.action = Action::reshape;
  change.slot = slot;
  change.ports = ports(text);
  return change;
}
Change about_ports(Action action, const char* text, std::vector<Prefix> keep = {}) {
  Change change;
  change.action = action;
  change.ports = ports(text);
  change.keep = std::move(keep);
  return change;
}

Structure having(std::map<std::string, const char*> slots, const char* protect) {
  Structure out;
  for (const auto& [name, text] : slots) out.slots[name] = ports(text);
  out.protect = ports(protect);
  return out;
}

/// "5 remove 192.0.2.1/32", "2 reshape web [tcp/80]", one line each.
std::string text_of(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes) {
    out += fmt::format("{} {}", int(change.step), to_string(change.action));
    if (!change.slot.empty()) out += " " + change.slot.get();
    if (change.prefix != Prefix()) out += " " + change.prefix.network().to_string();
    if (change.action == Action::reshape || change.action == Action::protect ||
        change.action == Action::unprotect)
      out += " [" + to_string(change.ports) + "]";
    for (const Prefix& keep : change.keep) out += " " + keep.to_string();
    out += "\n";
  }
  return out;
}

std::string ordered(std::vector<Change> changes, const Structure& have) {
  auto text = std::string();
  // Whatever order they come in.
  for (int turn = 0; turn < 3; ++turn) {
    auto these = changes;
    order(these, have);
    if (turn > 0) {
      EXPECT_EQ(text_of(these), text);
    }
    text = text_of(these);
    if (turn == 0)
      std::reverse(changes.begin(), changes.end());
    else
      std::rotate(changes.begin(), changes.begin() + 1, changes.end());
  }
  return text;
}

TEST(Order, FiveSteps) {
  Structure have = having({{"old", "tcp/9"}, {"ssh", "tcp/22"}}, "tcp/22 tcp/9");
  have.keep = prefixes({"198.51.100.0/28"});
  Change more, less;
  more.action = less.action = Action::keep;
  more.keep = prefixes({"198.51.100.0/28", "203.0.113.0/28"});
  less.keep = prefixes({"203.0.113.0/28"});
  std::vector<Change> changes{entry(Action::report, Reason::foreign, "192.0.2.99"),
                              about_ports(Action::protect, "tcp/80", less.keep),
                              less,
                              shape("old", ""),
                              taken("192.0.2.5", "old"),
                              entry(Action::shorten, Reason::policy, "192.0.2.4"),
                              entry(Action::shorten, Reason::revoked, "192.0.2.10"),
                              entry(Action::extend, Reason::sign_in, "192.0.2.3"),
                              about_ports(Action::unprotect, "tcp/9"),
                              add("192.0.2.2"),
                              shape("web", "tcp/80"),
                              more,
                              taken("192.0.2.6", "ssh", Reason::orphan),
                              taken("192.0.2.7", "ssh", Reason::denied),
                              taken("192.0.2.8", "ssh", Reason::sign_out),
                              taken("192.0.2.9", "ssh", Reason::expiry)};
  EXPECT_EQ(ordered(changes, have),
            "1 remove ssh 192.0.2.6\n"
            "1 remove ssh 192.0.2.7\n"
            "1 remove ssh 192.0.2.8\n"
            "1 remove ssh 192.0.2.9\n"
            "1 shorten ssh 192.0.2.10\n"
            "2 keep 198.51.100.0/28 203.0.113.0/28\n"
            "2 reshape web [tcp/80]\n"
            "3 add ssh 192.0.2.2\n"
            "3 unprotect [tcp/9]\n"
            "4 extend ssh 192.0.2.3\n"
            "5 remove old 192.0.2.5\n"
            "5 shorten ssh 192.0.2.4\n"
            "5 reshape old []\n"
            "5 keep 203.0.113.0/28\n"
            "5 protect [tcp/80] 203.0.113.0/28\n"
            "5 report ssh 192.0.2.99\n");
}

TEST(Order, StaticEntriesFirstWithinAStep) {
  auto one = add("192.0.2.2"), two = add("192.0.2.1");
  one.causes = {by_rule("probes")};
  two.causes = {by_session("ana")};
  EXPECT_EQ(ordered({two, one}, {}), "3 add ssh 192.0.2.2\n3 add ssh 192.0.2.1\n");
}

TEST(Order, WhatLeavesASlotGoesBeforeItGetsPorts) {
  Structure have = having({{"ssh", "tcp/22"}}, "tcp/22 tcp/80");
  EXPECT_EQ(ordered({shape("ssh", "tcp/22 tcp/80"), taken("192.0.2.1"), add("192.0.2.2")}, have),
            "1 remove ssh 192.0.2.1\n"
            "2 reshape ssh [tcp/22,80]\n"
            "3 add ssh 192.0.2.2\n");
  // A port that anybody passes until `protect` makes no difference.
  have.protect = ports("tcp/22");
  EXPECT_EQ(ordered({shape("ssh", "tcp/22 tcp/80"), taken("192.0.2.1")}, have),
            "2 reshape ssh [tcp/22,80]\n"
            "5 remove ssh 192.0.2.1\n");
}

TEST(Order, WhatComesIntoASlotWaitsForThePortsThatGo) {
  Structure have = having({{"ssh", "tcp/22 tcp/80"}}, "tcp/22 tcp/80");
  EXPECT_EQ(ordered({shape("ssh", "tcp/22"), add("192.0.2.2"), taken("192.0.2.1")}, have),
            "5 remove ssh 192.0.2.1\n"
            "5 reshape ssh [tcp/22]\n"
            "3 add ssh 192.0.2.2\n");
}

TEST(Order, ARenamedService) {
  Structure have = having({{"ssh", "tcp/22"}}, "tcp/22");
  EXPECT_EQ(ordered({shape("ssh", ""), shape("shell", "tcp/22"), taken("192.0.2.1"),
                     add("192.0.2.1", "shell")},
                    have),
            "2 reshape shell [tcp/22]\n"
            "3 add shell 192.0.2.1\n"
            "5 remove ssh 192.0.2.1\n"
            "5 reshape ssh []\n");
}

TEST(Order, APortMovesToAnotherService) {
  Structure have = having({{"a", "tcp/22 tcp/80"}, {"b", "tcp/443"}}, "tcp/22 tcp/80 tcp/443");
  EXPECT_EQ(ordered({shape("a", "tcp/22"), shape("b", "tcp/80 tcp/443"), add("192.0.2.1", "b"),
                     add("192.0.2.2", "a"), taken("192.0.2.3", "b")},
                    have),
            "1 remove b 192.0.2.3\n"
            "2 reshape b [tcp/80,443]\n"
            "3 add b 192.0.2.1\n"
            "5 reshape a [tcp/22]\n"
            "3 add a 192.0.2.2\n");
}

TEST(Order, ARenamedServiceBesideOneThatGetsItsPort) {
  // ana moves from a to c, which is new; a is to let bob into another port.
  Structure have = having({{"a", "tcp/22"}}, "tcp/22 tcp/80");
  EXPECT_EQ(ordered({shape("a", "tcp/22 tcp/80"), shape("c", "tcp/22"), taken("192.0.2.1", "a"),
                     add("192.0.2.1", "c")},
                    have),
            "2 reshape c [tcp/22]\n"
            "3 add c 192.0.2.1\n"
            "5 remove a 192.0.2.1\n"
            "2 reshape a [tcp/22,80]\n");
}

TEST(Order, SaysWhenServicesExchangePorts) {
  Structure have = having({{"a", "tcp/22"}, {"b", "tcp/80"}}, "tcp/22 tcp/80");
  std::vector<Change> changes{shape("a", "tcp/22 tcp/80"), shape("a", "tcp/80"),
                              shape("b", "tcp/22 tcp/80"), shape("b", "tcp/22"),
                              taken("192.0.2.1", "a"),     add("192.0.2.1", "b"),
                              taken("192.0.2.2", "b"),     add("192.0.2.2", "a")};
  std::vector<ObservedSlot> standing(2);
  for (std::size_t i = 0; i < 2; ++i) {
    standing[i].name = i == 0 ? "a" : "b";
    standing[i].items.resize(1);
    standing[i].items[0].prefix = prefix(i == 0 ? "192.0.2.1" : "192.0.2.2");
  }
  EXPECT_GT(order(changes, have, &standing), 0u);
  // Nobody gets in: both leave before the ports change, and enter when they have.
  EXPECT_EQ(text_of(changes),
            "5 remove a 192.0.2.1\n"
            "2 reshape a [tcp/22,80]\n"
            "5 remove b 192.0.2.2\n"
            "2 reshape b [tcp/22,80]\n"
            "5 reshape a [tcp/80]\n"
            "3 add a 192.0.2.2\n"
            "5 reshape b [tcp/22]\n"
            "3 add b 192.0.2.1\n");
}

TEST(Order, OfOneServiceEveryNeedIsMet) {
  std::vector<Change> changes{shape("ssh", "tcp/22 tcp/80"), taken("192.0.2.1")};
  EXPECT_EQ(order(changes, having({{"ssh", "tcp/22"}}, "tcp/22 tcp/80")), 0u);
}

TEST(Needs, FirmOnesNeverFormACircle) {
  Structure have = having({{"a", "tcp/22"}, {"b", "tcp/80"}}, "tcp/22 tcp/80");
  std::vector<Change> changes{taken("192.0.2.1", "a"), shape("a", "tcp/22 tcp/80"),
                              shape("a", "tcp/80"), add("192.0.2.2", "a"),
                              about_ports(Action::protect, "tcp/9")};
  EXPECT_EQ(needs_of(changes, have, nullptr),
            (std::vector<Need>{{0, 1, true}, {1, 2, true}, {2, 3, true}}));
}

TEST(Needs, WhatMustCloseNeedsNothing) {
  Structure have = having({{"a", "tcp/22"}}, "tcp/22");
  std::vector<Change> changes{taken("192.0.2.1", "a", Reason::revoked), shape("b", "tcp/22"),
                              add("192.0.2.1", "b"), about_ports(Action::unprotect, "tcp/22")};
  for (const Need& need : needs_of(changes, have, nullptr)) EXPECT_NE(need.then, 0u);
}

}  // namespace
}  // namespace knock::test
