// SPDX-License-Identifier: Apache-2.0
#include "store/git/git_child.h"

#include <array>
#include <cstdlib>
#include <utility>

namespace knock::git {
namespace {

/// Whatever else our environment holds is none of git's business; GIT_* in particular can redirect
/// it.
constexpr std::array kPassedOn{"SSH_AUTH_SOCK",  "GIT_ASKPASS", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO",
                               "GIT_SSL_CAPATH", "http_proxy",  "https_proxy",     "HTTPS_PROXY",
                               "all_proxy",      "ALL_PROXY",   "no_proxy",        "NO_PROXY"};

/// Never a question, never an unknown host, nothing a user's ssh configuration could start or keep
/// open. The time limits, for https below too, end a fetch whose controller was killed.
constexpr const char* kSsh =
    "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oClearAllForwardings=yes "
    "-oPermitLocalCommand=no -oControlMaster=no -oControlPath=none -oConnectTimeout=20 "
    "-oServerAliveInterval=10 -oServerAliveCountMax=3";

std::vector<std::pair<std::string, std::string>> environment(const std::string& home) {
  std::vector<std::pair<std::string, std::string>> out{
      {"HOME", home},
      {"XDG_CONFIG_HOME", home},
      {"LC_ALL", "C"},
      {"GIT_CONFIG_NOSYSTEM", "1"},
      {"GIT_CONFIG_GLOBAL", "/dev/null"},
      {"GIT_ATTR_NOSYSTEM", "1"},
      {"GIT_TERMINAL_PROMPT", "0"},
      {"GIT_ALLOW_PROTOCOL", "file:https:ssh"},
      {"GIT_NO_REPLACE_OBJECTS", "1"},
      {"GIT_SSH_VARIANT", "ssh"},
  };
  bool ssh = false;
  for (const char* name : kPassedOn)
    if (const char* value = std::getenv(name)) {
      out.emplace_back(name, value);
      ssh |= name == std::string_view("GIT_SSH_COMMAND");
    }
  if (!ssh) out.emplace_back("GIT_SSH_COMMAND", kSsh);
  return out;
}

}  // namespace

net::Command git_command(const std::string& mirror, const std::string& home,
                         const std::vector<std::string>& arguments) {
  net::Command out;
  out.argv = {"git", "--git-dir=" + mirror};
  for (const char* setting :
       {"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.bigFileThreshold=1m",
        "pack.threads=1", "gc.auto=0", "maintenance.auto=false",
        "credential.helper=", "fetch.writeCommitGraph=false", "submodule.recurse=false",
        "http.lowSpeedLimit=1", "http.lowSpeedTime=30"})
    out.argv.insert(out.argv.end(), {"-c", setting});
  out.argv.insert(out.argv.end(), arguments.begin(), arguments.end());
  out.directory = home;
  out.environment = environment(home);
  out.output_bytes = 64 << 10;
  return out;
}

}  // namespace knock::git
