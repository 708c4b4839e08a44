// SPDX-License-Identifier: Apache-2.0
// Commands that ask a controller elsewhere (--server): where it is, and by which token. The token
// comes from the environment only: arguments are seen by every user of a machine, and kept by shells.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "cli/command.h"
#include "cli/local.h"
#include "cli/plan_view.h"

namespace knock::cli {

/// https, or http to this very machine; no user, query or fragment. Without a slash at its end.
Result<std::string> server_address(const std::string& written);
/// KNOCK_TOKEN; an error says how to get one.
Result<Secret> token_from_environment();

/// " --server URL" behind a command that is to be typed next; "" for this machine.
std::string server_words(const Global& global);

/// Commands that --server is for; the others would silently do something else.
bool asks_a_server(std::string_view command);

/// A candidate that the controller fetches itself, from the policy's own remote.
struct FetchedFlags {
  std::uint64_t pull = 0;
  std::string branch, commit;
  bool post = false;  // the controller tells the forge
  bool given() const { return pull > 0 || !branch.empty(); }
};

struct ServerPlanFlags {
  PolicyFlags policy;  // the candidate; nothing given: what the controller's own source holds
  std::vector<std::string> targets;
  ViewFlags view;
  bool detailed = false;
  FetchedFlags fetched = {};
  std::string sessions, at;  // made up: the text of a sessions file, and a time; "" = as it is
};
/// `files` and `revision` of the candidate that --policy or --repo names; none when neither does.
Status add_candidate(const PolicyFlags& flags, boost::json::object& body);
int server_plan(const Global& global, const ServerPlanFlags& flags);
/// Puts in force what has this review hash, through whatever controller the flags name.
int apply_reviewed(const Global& global, const std::string& hash);

}  // namespace knock::cli
