// SPDX-License-Identifier: Apache-2.0
#include "schemas/config/front_user.h"

#include <fmt/format.h>

#include "base/text.h"
#include "schemas/policy/check.h"

namespace knock {

std::optional<Diagnostic> front_user_problem(const Config& config, const UsersHere& here) {
  if (here.self != 0 && config.front_user_origin.line == 0) return std::nullopt;
  auto name = printable(config.front_user);
  std::string summary;
  if (!here.front) {
    if (here.self != 0) return std::nullopt;
    summary = fmt::format("there is no user {} on this machine", name);
  } else if (*here.front == 0) {
    summary = fmt::format(
        "{} is another name of root, and the process that faces the network must not be root",
        name);
  } else if (here.store_owner && *here.front == *here.store_owner) {
    summary = fmt::format(
        "{} owns {}: whoever took over the process that faces the network could change the log",
        name, printable(config.store_path()));
  } else if (*here.front == here.self) {
    summary = fmt::format(
        "{} runs the controller itself: whoever took over the process that faces the network would "
        "have its files",
        name);
  } else {
    return std::nullopt;
  }
  Diagnostic out;
  out.id = id_of(Check::bad_user, CheckArea::config);
  out.where = config.front_user_origin;
  out.summary = std::move(summary);
  out.suggestion = "name a user that owns nothing, such as `nobody` or `knock-front`";
  return out;
}

}  // namespace knock
