// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "schemas/role/wire.h"
#include "tests/unit/agents/apply_samples.h"

namespace knock::role {
namespace {

using namespace samples;

std::string body(const std::string& frame) { return frame.substr(4); }

// Equal messages have equal frames, so a frame that survives reading and writing says it all.
template <class Variant>
std::string again(const std::string& frame) {
  if constexpr (std::is_same_v<Variant, ToApply>) {
    auto read = decode_to_apply(body(frame));
    return read ? encode(*read) : "refused";
  } else {
    auto read = decode_from_apply(body(frame));
    return read ? encode(*read) : "refused";
  }
}

TEST(ApplyMessages, come_back_as_they_went) {
  for (const ToApply& m : {ToApply(an_ensure()), ToApply(a_change()), ToApply(ReadBack{1, "t-1"}),
                           ToApply(a_take_over())})
    EXPECT_EQ(again<ToApply>(encode(m)), encode(m));
  for (const FromApply& m :
       {FromApply(Done{1, 2}), FromApply(Failed{1, ErrorKind::conflict, "moved"}),
        FromApply(a_table()), FromApply(TableMoved{"knock"})})
    EXPECT_EQ(again<FromApply>(encode(m)), encode(m));
}

TEST(ApplyMessages, keep_every_field) {
  auto ensure = std::get<Ensure>(decode_to_apply(body(encode(ToApply(an_ensure())))).value());
  EXPECT_EQ(ensure.request, 7u);
  EXPECT_EQ(ensure.table, "knock");
  EXPECT_EQ(ensure.fence, 41u);
  EXPECT_EQ(ensure.owner, OwnerId{0xfedcba9876543210});
  EXPECT_TRUE(ensure.input);
  EXPECT_FALSE(ensure.forward);
  ASSERT_EQ(ensure.slots.size(), 2u);
  EXPECT_EQ(ensure.slots[1].name, "shop-admin.v2");
  EXPECT_EQ(ensure.slots[1].ports, an_ensure().slots[1].ports);
  EXPECT_FALSE(ensure.slots[0].tickets);
  EXPECT_TRUE(ensure.slots[1].tickets);
  EXPECT_EQ(ensure.protect, an_ensure().protect);
  EXPECT_EQ(ensure.keep, an_ensure().keep);
  ASSERT_EQ(ensure.changes.size(), 1u);
  EXPECT_EQ(ensure.changes[0].slot, "db");

  auto change =
      std::get<ChangeElements>(decode_to_apply(body(encode(ToApply(a_change())))).value());
  ASSERT_EQ(change.changes.size(), 6u);
  EXPECT_TRUE(change.changes[0].add);
  EXPECT_EQ(change.changes[0].slot, "ssh");
  EXPECT_EQ(change.changes[0].left_ms, 3'600'000u);
  EXPECT_EQ(change.changes[0].marker, "knock:1:00:aa");
  EXPECT_FALSE(change.changes[1].add);
  EXPECT_EQ(change.changes[1].slot, "db");
  EXPECT_EQ(change.changes[1].prefix, prefix("2001:db8::/64"));
  EXPECT_EQ(change.changes[3].part, Part::once);
  EXPECT_EQ(change.changes[3].tag, 77u);
  EXPECT_EQ(change.changes[4].part, Part::stay);
  EXPECT_EQ(change.changes[4].tag, UINT64_MAX);
  EXPECT_FALSE(change.changes[4].foreign);
  EXPECT_TRUE(change.changes[5].foreign);

  auto taking = std::get<TakeOver>(decode_to_apply(body(encode(ToApply(a_take_over())))).value());
  EXPECT_EQ(taking.request, 10u);
  EXPECT_EQ(taking.table, "knock");
  EXPECT_EQ(taking.fence, 44u);
  EXPECT_EQ(taking.owner, OwnerId{6});
  EXPECT_EQ(taking.former, OwnerId{5});

  auto found = std::get<TableFound>(decode_from_apply(body(encode(FromApply(a_table())))).value());
  ASSERT_EQ(found.slots.size(), 1u);
  ASSERT_EQ(found.slots[0].elements.size(), 4u);
  EXPECT_FALSE(found.slots[0].elements[0].timed);
  EXPECT_EQ(found.slots[0].elements[1].left_ms, 1234u);
  EXPECT_TRUE(found.slots[0].tickets);
  EXPECT_EQ(found.slots[0].elements[2].part, Part::once);
  EXPECT_EQ(found.slots[0].elements[2].tag, 77u);
  EXPECT_TRUE(found.slots[0].elements[2].used);
  EXPECT_EQ(found.slots[0].elements[3].part, Part::stay);
  EXPECT_TRUE(found.intact);
  EXPECT_TRUE(found.input);
  EXPECT_FALSE(found.forward);
}

TEST(ApplyMessages, refuse_what_is_out_of_bounds) {
  auto refused = [](const ToApply& message) {
    auto read = decode_to_apply(body(encode(message)));
    return !read && read.error().kind == ErrorKind::invalid;
  };
  auto with_ensure = [](auto change) {
    auto m = an_ensure();
    change(m);
    return ToApply(m);
  };
  auto with_change = [](auto change) {
    auto m = a_change();
    change(m.changes[0]);
    return ToApply(m);
  };
  for (const char* table : {"", "Knock", "9k", "a b", "k;", "a123456789012345678901234567890123"})
    EXPECT_TRUE(refused(ReadBack{1, table})) << table;
  for (const char* slot : {"", "-a", ".a", "Ssh", "a b", "a{", "a\"", "ä"})
    EXPECT_TRUE(refused(with_change([&](auto& c) { c.slot = slot; }))) << slot;
  EXPECT_TRUE(refused(with_change([](auto& c) { c.slot = std::string(64, 'a'); })));
  EXPECT_FALSE(refused(with_change([](auto& c) { c.slot = std::string(63, 'a'); })));
  for (const char* marker : {"", "A", "a b", "a\"", "a;"})
    EXPECT_TRUE(refused(with_change([&](auto& c) { c.marker = marker; }))) << marker;
  EXPECT_TRUE(refused(with_change([](auto& c) { c.marker = std::string(101, 'a'); })));
  EXPECT_TRUE(refused(with_change([](auto& c) { c.left_ms = 0; })));
  EXPECT_TRUE(refused(with_change([](auto& c) { c.prefix = prefix("0.0.0.0/0"); })));
  EXPECT_TRUE(refused(with_change([](auto& c) { c.prefix = prefix("::/0"); })));
  EXPECT_FALSE(refused(with_change([](auto& c) { c.prefix = prefix("128.0.0.0/1"); })));
  auto lasting = [](ElementChange& c) { c.part = Part::come, c.tag = 1; };
  EXPECT_FALSE(refused(with_change(lasting)));
  EXPECT_TRUE(refused(with_change([&](auto& c) { lasting(c), c.tag = 0; })));
  EXPECT_TRUE(
      refused(with_change([&](auto& c) { lasting(c), c.prefix = prefix("192.0.2.0/24"); })));
  EXPECT_TRUE(refused(with_change([&](auto& c) { lasting(c), c.part = Part(4); })));
  auto going = [](ElementChange& c) { c.add = false, c.prefix = prefix("0.0.0.0/0"); };
  EXPECT_FALSE(refused(with_change(going))) << "what lets everybody in may be taken away";
  EXPECT_TRUE(refused(with_change([&](auto& c) {
    going(c), c.prefix = prefix("192.0.2.7/32"), lasting(c), c.foreign = true;
  })));
  auto with_take_over = [](auto change) {
    auto m = a_take_over();
    change(m);
    return ToApply(m);
  };
  EXPECT_TRUE(refused(with_take_over([](auto& m) { m.owner = {}; })));
  EXPECT_TRUE(refused(with_take_over([](auto& m) { m.former = {}; })));
  EXPECT_TRUE(refused(with_take_over([](auto& m) { m.former = m.owner; })));
  EXPECT_TRUE(refused(with_take_over([](auto& m) { m.table = "k;"; })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.keep.push_back(prefix("::/0")); })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { std::swap(m.slots[0], m.slots[1]); })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.slots[1].name = m.slots[0].name; })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.protect[0].first = 0; })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.protect[0].last = 21; })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.protect[0].protocol = Protocol(1); })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.keep.resize(1025, prefix("192.0.2.0/24")); })));
  EXPECT_FALSE(refused(with_ensure([](auto& m) { m.keep.resize(1024, prefix("192.0.2.0/24")); })));
  EXPECT_TRUE(refused(with_ensure([](auto& m) { m.slots[0].ports.resize(257, ports("tcp/1")); })));
}

TEST(ApplyMessages, refuse_every_cut_and_every_extra_byte) {
  for (const auto& frame : {encode(ToApply(an_ensure())), encode(ToApply(a_change())),
                            encode(ToApply(a_take_over()))}) {
    auto whole = body(frame);
    for (std::size_t n = 0; n < whole.size(); ++n)
      ASSERT_FALSE(decode_to_apply(whole.substr(0, n))) << n;
    EXPECT_FALSE(decode_to_apply(whole + '\0'));
  }
  auto whole = body(encode(FromApply(a_table())));
  for (std::size_t n = 0; n < whole.size(); ++n)
    ASSERT_FALSE(decode_from_apply(whole.substr(0, n))) << n;
  EXPECT_FALSE(decode_from_apply(whole + '\0'));
  EXPECT_FALSE(decode_to_apply(whole)) << "a message of the other direction";
  EXPECT_FALSE(decode_to_apply(""));
}

TEST(ApplyMessages, a_count_does_not_reserve_what_the_frame_cannot_hold) {
  wire::Writer out(2);  // ChangeElements
  out.u64(1);
  out.text("knock");
  out.u32(0);
  out.u32(0);  // no names
  out.u32(kMostChanges);
  EXPECT_FALSE(decode_to_apply(body(std::move(out).finish())));
}

TEST(ApplyMessages, a_hundred_thousand_elements_fit_into_a_frame) {
  TableFound table = a_table();
  table.slots[0].elements.clear();
  const std::string marker(52, 'f');
  IpAddress at = IpAddress::parse("2001:db8::").value();
  for (int i = 0; i < 100'000; ++i, at = *at.next())
    table.slots[0].elements.push_back({Prefix::host(at), true, 28'800'000, marker});
  auto frame = encode(FromApply(table));
  EXPECT_LT(frame.size(), wire::kMaxFrame);
  auto read = decode_from_apply(body(frame));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<TableFound>(*read).slots[0].elements.size(), 100'000u);

  ChangeElements change{1, "knock", 0, {}};
  at = IpAddress::parse("2001:db8::").value();
  for (int i = 0; i < 100'000; ++i, at = *at.next())
    change.changes.push_back({true, std::string(63, 's'), Prefix::host(at), 28'800'000, marker});
  frame = encode(ToApply(change));
  EXPECT_LT(frame.size(), wire::kMaxFrame);
  EXPECT_TRUE(decode_to_apply(body(frame)));
}

}  // namespace
}  // namespace knock::role
