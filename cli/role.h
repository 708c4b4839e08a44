// SPDX-License-Identifier: Apache-2.0
// The roles of `knock serve`: one executable, started again for each by the parent, with its
// descriptors in fixed places. What each may do and what it cannot: docs/threat-model.md.
//
// clang-format off
//   parent    reads knock.yaml and its secrets, listens, makes the others; answers core's wish for a fresh one
//   front     HTTP and cookies                     3 = core  4 = the listening socket  5 = FrontStart
//   core      policy, store, loop, admin socket    3 = parent
//   verifier  passwords, codes, tokens             3 = core  4 = its sources with their secrets
//   apply     one network namespace's firewall     3 = core
// clang-format on
//
// Standard streams apart they inherit no other descriptor, and of the environment only core gets
// what names no secret; the rest get a short list (supervisor.cc).
#pragma once

#include "cli/command.h"

namespace knock::cli {

inline constexpr int kFirstDescriptor = 3;

/// The parent: returns when the controller has ended.
int supervise(const Global& global, const Config& config);

int run_front_role();
int run_core_role(const Global& global);
int run_verifier_role();
int run_apply_role();

/// `knock role NAME`, which only the parent calls.
void add_role(Commands& commands);

}  // namespace knock::cli
