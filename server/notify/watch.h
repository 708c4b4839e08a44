// SPDX-License-Identifier: Apache-2.0
// What has happened since the last look. Pure: it is given what the controller says of itself and the
// log's new records. After a restart, what waits, is held back or is unreachable still is told again.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "reconciler/loop/status.h"
#include "server/notify/notice.h"

namespace knock::notify {

class Watch {
 public:
  std::vector<Notice> look(const ControllerStatus& status, std::span<const Record> records);

 private:
  struct Target {
    std::string held;  // by which guards; "": nothing is
    bool unreachable = false;
  };
  void look_at(const TargetStatus& target, Instant now, std::vector<Notice>& out);

  PolicyRevision waiting_;
  std::map<TargetName, Target> targets_;
};

}  // namespace knock::notify
