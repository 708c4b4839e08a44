// SPDX-License-Identifier: Apache-2.0
#include "tests/support/oidc_provider.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/sha256.h"
#include "base/text.h"
#include "net/child_process.h"
#include "net/http_client.h"
#include "tests/support/requirement.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

std::string scripts() { return source_dir() + "/tests/support/identity"; }

/// One folder per set of pinned packages, so that a changed lock file is installed afresh.
std::string lab() {
  if (auto* named = std::getenv("KNOCK_IDENTITY_LAB"); named != nullptr && *named != '\0')
    return named;
  auto digest = to_hex(sha256(read_file(scripts() + "/package-lock.json")));
  return fs::temp_directory_path().string() + "/knock-identity-" + std::to_string(getuid()) + "-" +
         digest.substr(0, 12);
}

std::string node() { return lab() + "/node_modules/.bin/node"; }
bool installed() { return fs::exists(lab() + "/installed"); }

std::vector<std::pair<std::string, std::string>> environment() {
  std::vector<std::pair<std::string, std::string>> out = {{"IDENTITY_LAB", lab()}};
  // npm finds its registry, proxy and certificates in these.
  for (char** each = environ; *each != nullptr; ++each) {
    std::string_view pair(*each);
    auto name = pair.substr(0, pair.find('='));
    if (name != "IDENTITY_LAB" && name.size() < pair.size())
      out.emplace_back(name, pair.substr(name.size() + 1));
  }
  return out;
}

/// Tests run side by side: one installs, the others wait for it.
std::string install() {
  std::error_code ignored;
  fs::create_directories(lab(), ignored);
  struct stat about;  // the temporary folder is everybody's, and what lies here is run
  if (lstat(lab().c_str(), &about) != 0 || !S_ISDIR(about.st_mode) || about.st_uid != getuid())
    return lab() + " is not a folder of ours: remove it, or name another in KNOCK_IDENTITY_LAB";
  int lock = open((lab() + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) return "cannot write to " + lab();
  std::string why;
  if (!installed()) {
    for (auto name : {"package.json", "package-lock.json"})
      fs::copy_file(scripts() + "/" + name, lab() + "/" + name,
                    fs::copy_options::overwrite_existing, ignored);
    net::Command npm{
        {"npm", "ci", "--no-audit", "--no-fund", "--silent"}, lab(), environment(), "", 1 << 20};
    auto done = net::run(npm, Deadline::in(Duration::minutes(3)));
    if (!done)
      why = "npm ci: " + done.error().text();
    else if (done->exit_code != 0)
      why = "npm ci ended with " + std::to_string(done->exit_code) + ": " +
            printable(done->err.substr(0, 500));
    else
      write_file(lab() + "/installed", "");
  }
  close(lock);
  return why;
}

const std::string& problem() {
  static const std::string why = install();
  return why;
}

int free_port() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof to;
  if (bind(fd, reinterpret_cast<sockaddr*>(&to), length) != 0) std::abort();
  getsockname(fd, reinterpret_cast<sockaddr*>(&to), &length);
  close(fd);
  return ntohs(to.sin_port);
}

struct Started {
  pid_t pid;
  int output;
};

Started start(int port, const OidcProvider::Options& options) {
  std::vector<std::string> arguments = {node(), "--no-warnings", scripts() + "/oidc-idp.mjs",
                                        std::to_string(port)};
  std::vector<std::string> variables = {"IDP_CLIENT_BASE=" + options.client_base};
  for (auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  for (auto& [name, value] : environment()) variables.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (auto& each : arguments) argv.push_back(each.data());
  for (auto& each : variables) envp.push_back(each.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

/// The address after "ready "; empty when the provider ends or says nothing for 30 seconds.
std::string wait_until_ready(int output) {
  std::string line;
  auto deadline = Deadline::in(Duration::seconds(30));
  while (line.find('\n') == line.npos) {
    pollfd wait{output, POLLIN, 0};
    char buffer[256];
    if (poll(&wait, 1, int(deadline.left().ms)) <= 0) return {};
    auto n = read(output, buffer, sizeof buffer);
    if (n <= 0) return {};
    line.append(buffer, std::size_t(n));
  }
  line.resize(line.find('\n'));
  return line.starts_with("ready ") ? line.substr(6) : std::string();
}

void stop(pid_t pid, int output) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  close(output);
}

std::string ask(const std::string& method, const std::string& url) {
  auto http = net::make_http_client({{Prefix::parse("127.0.0.0/8").value()}});
  auto answer = http->send({method, url, {}, "", 4 << 20}, Deadline::in(Duration::seconds(10)));
  if (!answer || answer->status != 200) {
    std::fprintf(stderr, "%s: %s\n", url.c_str(),
                 answer ? answer->body.c_str() : answer.error().text().c_str());
    std::abort();
  }
  return answer->body;
}

}  // namespace

bool OidcProvider::ready() { return problem().empty(); }
std::string OidcProvider::why_not() { return problem(); }

OidcProvider::OidcProvider(const Options& options) {
  for (int attempt = 0; attempt < 5; ++attempt) {  // somebody may take the port in between
    auto [pid, output] = start(free_port(), options);
    issuer_ = wait_until_ready(output);
    if (!issuer_.empty()) {
      pid_ = pid;
      output_ = output;
      return;
    }
    stop(pid, output);
  }
  std::fprintf(stderr, "the OpenID provider in %s does not start\n", lab().c_str());
  std::abort();
}

OidcProvider::~OidcProvider() { stop(pid_, output_); }

std::string OidcProvider::secret_of(const std::string& client) {
  return client + "-secret-0123456789abcdef0123456789abcdef";
}

std::string OidcProvider::control(const std::string& what) {
  return ask("POST", issuer_ + "/_ctl/" + what);
}

std::size_t OidcProvider::times_asked(const std::string& path) {
  auto state = ask("GET", issuer_ + "/_ctl/state");
  auto wanted = "\"p\":\"" + path + "\"";
  std::size_t out = 0;
  for (auto at = state.find(wanted); at != state.npos; at = state.find(wanted, at + 1)) ++out;
  return out;
}

std::string OidcProvider::sign_in(const std::string& url, const std::string& user,
                                  const std::string& stop_at, std::string* why) {
  net::Command drive{
      {node(), "--no-warnings", scripts() + "/flow.mjs", "drive", url, user, stop_at},
      "",
      environment(),
      "",
      1 << 20};
  auto done = net::run(drive, Deadline::in(Duration::seconds(30)));
  auto text = done ? std::string(trim(done->out + done->err)) : done.error().text();
  if (done && done->exit_code == 0) return text;
  if (why != nullptr) *why = text;
  return {};
}

std::string query_parameter(const std::string& url, const std::string& name) {
  auto query = std::string_view(url).substr(std::min(url.find('?'), url.size() - 1) + 1);
  for (auto pair : split(query.substr(0, query.find('#')), '&')) {
    if (!pair.starts_with(name + "=")) continue;
    std::string out;
    pair.remove_prefix(name.size() + 1);
    for (std::size_t i = 0; i < pair.size(); ++i) {
      if (pair[i] != '%' || i + 2 >= pair.size()) {
        out += pair[i] == '+' ? ' ' : pair[i];
        continue;
      }
      out += char(std::stoi(std::string(pair.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    }
    return out;
  }
  return {};
}

}  // namespace knock::test
