// SPDX-License-Identifier: Apache-2.0
// What a kind of target can hold, as plain data. Validation, the core, the documentation table and
// the selection of conformance cases all read this one struct.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/time.h"

namespace knock {

struct Capabilities {
  enum class Granularity { entry, set, document };  // what one write changes
  enum class CutsEstablished {
    always,
    on_request,
    never
  };  // does removing an entry end open connections?
  enum class MarkerDeadline {
    entry,
    cap
  };  // is the marker's deadline rewritten with an extension?

  Granularity granularity = Granularity::entry;
  std::size_t max_entries = 0;  // 0: no limit worth planning for
  bool ipv6 = true;
  bool prefixes = true;        // more than single hosts
  bool comments = true;        // room for the marker beside an entry
  Duration longest_life{0};    // native expiry counts no further; 0: no limit
  bool native_expiry = false;  // the target closes by itself, controller or not
  bool atomic = false;         // one apply is one transaction
  bool needs_commit = false;
  bool delete_by_handle = false;
  bool by_connection = false;     // entries that last for one connection, or until it disconnects
  bool compare_and_swap = false;  // apply fails when the fence moved
  bool closes_by_default =
      false;  // `protect`: the target can default-drop a port, and keep prefixes are its exception
  std::size_t batch = 1;      // entries in one call
  int calls_per_second = 0;   // 0: no limit
  int burst = 0;              // calls at once after a pause; 0: one second's
  std::size_t read_page = 0;  // entries that one call reads; 0: all of them
  Duration gather{0};         // what opens waits so long for more of it; closing never does
  CutsEstablished cuts_established = CutsEstablished::never;
  MarkerDeadline marker_deadline = MarkerDeadline::entry;
};

}  // namespace knock
