// SPDX-License-Identifier: Apache-2.0
// Messages of the apply role with something in every field.
#pragma once

#include <algorithm>

#include "schemas/role/apply.h"

namespace knock::role::samples {

inline Prefix prefix(const char* text) { return Prefix::parse_exact(text).value(); }
inline PortRange ports(const char* text) { return PortRange::parse(text).value(); }

inline Ensure an_ensure() {
  Ensure m;
  m.request = 7;
  m.table = "knock";
  m.fence = 41;
  m.owner = OwnerId{0xfedcba9876543210};
  m.forward = false;
  m.slots = {{"db", {}}, {"shop-admin.v2", {ports("tcp/443"), ports("udp/60000-61000")}, true}};
  m.protect = {ports("tcp/22"), ports("tcp/443")};
  m.keep = {prefix("192.0.2.0/24"), prefix("2001:db8::/48")};
  m.changes = {{true, "db", prefix("192.0.2.7/32"), 1, "x"}};
  return m;
}

inline ChangeElements a_change() {
  ChangeElements m;
  m.request = 8;
  m.table = "knock";
  m.fence = 42;
  m.changes = {{true, "ssh", prefix("192.0.2.7/32"), 3'600'000, "knock:1:00:aa"},
               {false, "db", prefix("2001:db8::/64"), 0, ""},
               {true, "db", prefix("198.51.100.0/24"), 1, "x"},
               {true, "ssh", prefix("192.0.2.8/32"), 60'000, "knock:1:00:ab", Part::once, 77},
               {false, "ssh", prefix("192.0.2.9/32"), 0, "", Part::stay, UINT64_MAX},
               {false, "ssh", prefix("192.0.2.64/26"), 0, "", Part::open, 0, true}};
  return m;
}

inline TakeOver a_take_over() { return {10, "knock", 44, OwnerId{6}, OwnerId{5}}; }

inline TableFound a_table() {
  TableFound m;
  m.request = 9;
  m.exists = m.intact = m.input = true;
  m.fence = 43;
  m.owner = OwnerId{5};
  m.slots = {{"ssh",
              {ports("tcp/22")},
              {{prefix("192.0.2.7/32"), true, 1234, "knock:1:…"},
               {prefix("0.0.0.0/0"), false, 0, "by \x01 hand"},
               {prefix("192.0.2.8/32"), true, 900, "knock:1:…", Part::once, 77, true},
               {prefix("192.0.2.9/32"), false, 0, "", Part::stay, 0}},
              true}};
  std::sort(m.slots[0].elements.begin(), m.slots[0].elements.end(),
            [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
  m.protect = {ports("tcp/22")};
  m.keep = {prefix("192.0.2.0/24")};
  return m;
}

}  // namespace knock::role::samples
