// SPDX-License-Identifier: Apache-2.0
#include "store/git/blame.h"

#include <fmt/format.h>

#include "base/text.h"
#include "store/git/git_child.h"

namespace knock::git {

Result<std::string> commit_of(const Line& line, Deadline deadline) {
  if (line.number == 0) return fail(ErrorKind::not_found, "lines are counted from 1");
  auto command =
      git_command(line.mirror, line.home,
                  {"blame", "--porcelain", "-L", fmt::format("{},{}", line.number, line.number),
                   line.commit, "--", line.path});
  KNOCK_ASSIGN(auto finished, net::run(command, deadline));
  if (finished.exit_code != 0)
    return fail(ErrorKind::not_found,
                fmt::format("git blame {}:{}: {}", printable(line.path), line.number,
                            printable(std::string(trim(finished.err)).substr(0, 300))));
  auto id = finished.out.substr(0, finished.out.find(' '));
  if (id.size() == 40 && id.find_first_not_of("0123456789abcdef") == std::string::npos) return id;
  return fail(ErrorKind::internal, "git blame answered in a way that is not understood");
}

}  // namespace knock::git
