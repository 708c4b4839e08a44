// SPDX-License-Identifier: Apache-2.0
// One installation of knock for tests: a folder with knock.yaml, policy, store and log, and the
// program itself run in a network namespace. What it starts it stops, by process id.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "net/child_process.h"
#include "tests/support/netns.h"
#include "tests/support/requirement.h"

namespace knock::test {

struct InstallationSettings {
  bool git = false;        // policy in a repository, looked at every second; else a directory
  std::string knock_yaml;  // what follows owner, policy, store and socket
  std::string state;       // folder of the store and the log; "" = inside the installation's own
  std::string failpoints;  // Failpoints::path(): then `knock-with-failpoints` is what runs
};

/// Runs a program in a namespace, with PATH, HOME and no proxy. Throws when it cannot be started or
/// does not end in time.
net::Finished run_in(const Namespace& where, const std::vector<std::string>& argv,
                     const std::string& input = {}, Duration patience = Duration::seconds(20),
                     const std::vector<std::pair<std::string, std::string>>& environment = {});

/// One process and never a group of them: kill(2) takes 0 and -1 for everybody in reach, and "no such
/// process" is written -1 in many places. Throws for anything that is not a process of its own. False
/// when it is gone.
bool send_signal(pid_t pid, int signal);
/// Runs, or could: one that only waits to be reaped by whoever inherited it does not count.
bool process_exists(pid_t pid);

class Installation {
 public:
  Installation(const Namespace& where, const InstallationSettings& settings,
               std::string_view policy);
  ~Installation();
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;

  const std::string& folder() const { return folder_.path(); }
  std::string policy_folder() const { return folder() + "/policy"; }
  std::string state_folder() const { return state_; }

  /// Replaces main.yaml; in a repository the change is committed and the new commit returned.
  std::string change_policy(std::string_view policy, const std::string& subject = "change");
  /// `git` in the policy's repository; its output. Throws when it fails.
  std::string git(std::vector<std::string> words) const;

  /// `knock WORDS…`.
  net::Finished knock(std::vector<std::string> words, const std::string& input = {}) const;
  /// A member of the answer of `knock --json WORDS…`, by JSON pointer; "" when it is not there.
  std::string ask(std::vector<std::string> words, const std::string& pointer) const;

  /// `knock serve`, until its admin socket answers. Throws with the log when it ends before.
  void start();
  /// SIGTERM; the exit code.
  int stop();
  /// SIGKILL for every process at once: none of them can notice the end of another.
  void kill_all();
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  /// Waits for the parent process to end by itself; its exit code, or -1 when it does not.
  int wait_for_end(Duration patience);
  /// Processes of the controller by role: "parent", "core", "front", "verifier", "apply".
  std::multimap<std::string, pid_t> roles() const;
  /// The one process of a role, or -1.
  pid_t role(const std::string& name) const;
  /// Everything that serve has written so far.
  std::string log() const;

 private:
  const Namespace& where_;
  TemporaryFolder folder_;
  std::string state_;
  std::string failpoints_;
  bool git_;
  pid_t pid_ = -1;
};

/// A member by JSON pointer, text without its quotes; "" when it is not there.
std::string json_at(std::string_view json, const std::string& pointer);

}  // namespace knock::test
