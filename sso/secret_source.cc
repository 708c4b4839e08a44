// SPDX-License-Identifier: Apache-2.0
#include "sso/secret_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "base/owned_fd.h"
#include "base/text.h"
#include "net/child_process.h"

namespace knock::sso {
namespace {

Result<Secret> checked(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  Secret out(std::move(text));
  auto value = out.reveal();
  if (value.empty()) return fail(ErrorKind::invalid, "it is empty: put the secret there");
  if (value.size() > kLongestSecret)
    return fail(ErrorKind::invalid,
                fmt::format("it is longer than {} bytes: is it the right one?", kLongestSecret));
  if (value.find('\0') != value.npos)
    return fail(ErrorKind::invalid, "it holds a NUL byte: is it the right one?");
  return out;
}

Result<Secret> from_environment(const std::string& name) {
  auto* value = std::getenv(name.c_str());
  if (value == nullptr)
    return fail(ErrorKind::not_found,
                "the variable is not set in the environment knock was started with");
  return checked(value);
}

Result<Secret> from_file(const std::string& path) {
  OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.open())
    return fail(errno == ENOENT   ? ErrorKind::not_found
                : errno == EACCES ? ErrorKind::unauthorized
                                  : ErrorKind::internal,
                std::strerror(errno));
  struct stat about;
  if (fstat(file.get(), &about) != 0) return fail(ErrorKind::internal, std::strerror(errno));
  if (S_ISDIR(about.st_mode))
    return fail(ErrorKind::invalid, "it is a folder: name the file in it");
  if ((about.st_mode & S_IROTH) != 0)
    log(LogLevel::warning, "secret.readable",
        "everybody on this machine may read a secret's file: take that away with chmod o-rwx",
        {{"file", path}});
  std::string text(kLongestSecret + 3,
                   '\0');  // a secret of the longest kind, its line end, and one byte too many
  std::size_t used = 0;
  for (ssize_t n;
       used < text.size() && (n = read(file.get(), text.data() + used, text.size() - used)) != 0;) {
    if (n < 0 && errno != EINTR) return fail(ErrorKind::internal, std::strerror(errno));
    if (n > 0) used += std::size_t(n);
  }
  text.resize(used);
  return checked(std::move(text));
}

Result<Secret> from_command(const std::string& line, Deadline deadline) {
  net::Command command;
  for (auto word : split(line, ' '))
    if (!word.empty()) command.argv.emplace_back(word);
  if (command.argv.empty()) return fail(ErrorKind::invalid, "there is no command to run");
  for (auto name : {"PATH", "HOME"})
    if (auto* value = std::getenv(name)) command.environment.emplace_back(name, value);
  command.output_bytes = kLongestSecret + 3;
  KNOCK_ASSIGN(auto finished, net::run(command, deadline));
  if (finished.exit_code != 0)
    // Its standard error only: what it printed before it failed may be part of the secret.
    return fail(ErrorKind::internal,
                fmt::format("the command ended with {}: {}", finished.exit_code,
                            printable(trim(finished.err).substr(0, 300))));
  return checked(std::move(finished.out));
}

}  // namespace

Result<Secret> resolve(const SecretReference& reference, Deadline deadline) {
  auto shown = printable(reference.value);
  auto within = [&](std::string_view kind, Result<Secret> result) -> Result<Secret> {
    if (!result) return fail_within(fmt::format("secret {}:{}", kind, shown), result);
    return result;
  };
  switch (reference.kind) {
    case SecretReference::Kind::environment:
      return within("env", from_environment(reference.value));
    case SecretReference::Kind::file:
      return within("file", from_file(reference.value));
    case SecretReference::Kind::command:
      return within("exec", from_command(reference.value, deadline));
  }
  return fail(ErrorKind::internal, "a secret of an unknown kind");
}

}  // namespace knock::sso
