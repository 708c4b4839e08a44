// SPDX-License-Identifier: Apache-2.0
#include "store/git/signers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/owned_fd.h"
#include "base/random.h"
#include "base/text.h"
#include "net/child_process.h"
#include "store/policy_refusal.h"

namespace knock::git {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;
constexpr std::string_view kSshArmour = "-----BEGIN SSH SIGNATURE-----";
constexpr std::string_view kPgpArmour = "-----BEGIN PGP SIGNATURE-----";
constexpr std::string_view kKeysBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
constexpr std::string_view kKeysEnd = "-----END PGP PUBLIC KEY BLOCK-----";

tl::unexpected<Error> no_file(const std::string& file, std::string_view why) {
  return refuse(Refusal::signers_unreadable,
                fmt::format("{}: {}; without it nobody is allowed to sign", printable(file), why),
                ErrorKind::unavailable);
}

/// Whoever can write to the file says whose signature counts.
Status check_owner(const std::string& file, const struct stat& info) {
  bool ours = info.st_uid == 0 || info.st_uid == ::geteuid();
  if (ours && (info.st_mode & 022) == 0) return {};
  return refuse(
      Refusal::signers_exposed,
      fmt::format("{}: others than its owner can write to it, or its owner is neither root "
                  "nor the user that knock runs as; chmod go-w it",
                  printable(file)),
      ErrorKind::unauthorized);
}

Result<std::string> contents(const std::string& file) {
  OwnedFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info{};
  if (fd.get() < 0 || ::fstat(fd.get(), &info) != 0) return no_file(file, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return no_file(file, "it is no file");
  KNOCK_CHECK(check_owner(file, info));
  std::string out;
  std::array<char, 65536> buffer;
  for (ssize_t n = 0; (n = ::read(fd.get(), buffer.data(), buffer.size())) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return no_file(file, std::strerror(errno));
    out.append(buffer.data(), std::size_t(n));
    if (out.size() > kLargestFile) return no_file(file, "it is larger than 1 MiB");
  }
  if (trim(out).empty()) return no_file(file, "it is empty");
  return out;
}

/// One block of armoured keys, without its checksum: packets that are damaged verify nothing.
bool add_block(std::string_view block, std::string& out) {
  std::string base64;
  bool body = false;
  for (auto line : split(block, '\n')) {
    line = trim(line);
    if (!body) {
      body = line.empty();
      continue;
    }
    if (line.starts_with('=')) break;
    base64 += line;
  }
  while (base64.ends_with('=')) base64.pop_back();
  std::replace(base64.begin(), base64.end(), '+', '-');
  std::replace(base64.begin(), base64.end(), '/', '_');
  std::string bytes;
  if (base64.empty() || !base64url_decode(base64, bytes)) return false;
  out += bytes;
  return true;
}

/// gpgv reads binary keys only, people keep armoured ones.
Result<std::string> binary_keys(const std::string& file, std::string_view text) {
  std::string out;
  for (auto at = text.find(kKeysBegin); at != std::string_view::npos;
       at = text.find(kKeysBegin, at + 1)) {
    auto begin = text.find('\n', at);
    auto end = text.find(kKeysEnd, at);
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin ||
        !add_block(text.substr(begin + 1, end - begin - 1), out))
      return no_file(file, "its armoured keys are damaged");
  }
  return out;
}

/// A binary key begins with the tag of a public key's packet, a keybox with its header.
bool is_binary_keys(std::string_view content) {
  auto first = static_cast<unsigned char>(content[0]);
  return first == 0x98 || first == 0x99 || first == 0xc6 ||
         (content.size() > 12 && content.substr(8, 4) == "KBXf");
}

std::string last_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (auto line : split(text, '\n'))
    if (line = trim(line); !line.empty()) lines.push_back(printable(line.substr(0, 200)));
  if (lines.size() > 2) lines.erase(lines.begin(), lines.end() - 2);
  return lines.empty() ? "it said nothing" : join(lines, "; ");
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

net::Command command(const std::string& folder, std::vector<std::string> argv, std::string input) {
  net::Command out;
  out.argv = std::move(argv);
  out.directory = folder;
  out.environment = {{"HOME", folder}, {"GNUPGHOME", folder}, {"LC_ALL", "C"}, {"TZ", "UTC"}};
  out.input = std::move(input);
  out.output_bytes = 64 << 10;
  return out;
}

}  // namespace

Result<SignatureFormat> Signers::format_of(const std::string& signature) {
  if (signature.starts_with(kSshArmour)) return SignatureFormat::ssh;
  if (signature.starts_with(kPgpArmour)) return SignatureFormat::openpgp;
  return refuse(Refusal::unknown_signature,
                "its signature is neither of SSH nor of OpenPGP (X.509 is not verified); sign with "
                "git config gpg.format ssh",
                ErrorKind::unauthorized);
}

Result<std::string> Signers::write(const std::string& name, const std::string& content) const {
  auto path = folder_ + "/" + name;
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(ErrorKind::unavailable, fmt::format("{}: {}", folder_, std::strerror(errno)));
  OwnedFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0 || ::write(fd.get(), content.data(), content.size()) != ssize_t(content.size()))
    return fail(ErrorKind::unavailable, fmt::format("{}: {}", path, std::strerror(errno)));
  return path;
}

Result<Signers::File> Signers::take(const std::string& file) {
  if (auto known = taken_.find(file); known != taken_.end()) return known->second;
  KNOCK_ASSIGN(auto content, contents(file));
  File out;
  bool armoured = content.find(kKeysBegin) != std::string::npos;
  if (armoured) {
    KNOCK_ASSIGN(content, binary_keys(file, content));
  }
  if (armoured || is_binary_keys(content)) out.format = SignatureFormat::openpgp;
  KNOCK_ASSIGN(out.copy, write(fmt::format("signers-{}", taken_.size()), content));
  return taken_.emplace(file, out).first->second;
}

Result<std::string> Signers::ssh_key(const CommitSignature& signature) {
  KNOCK_ASSIGN(auto path, write("signature", signature.text));
  KNOCK_ASSIGN(
      auto done,
      net::run(command(folder_, {"ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", path},
                       signature.payload),
               deadline_));
  if (done.exit_code != 0)
    return refuse(Refusal::bad_signature,
                  "its signature is not of this commit, or was made for something else than git: " +
                      last_lines(done.err + done.out),
                  ErrorKind::unauthorized);
  auto with = done.out.find(" with ");
  return printable(
      trim(std::string_view(done.out).substr(with == std::string::npos ? 0 : with + 6)));
}

Result<Verdict> Signers::ssh(const File& file, const std::string& revoked,
                             const CommitSignature& signature) {
  KNOCK_ASSIGN(auto path, write("signature", signature.text));
  KNOCK_ASSIGN(
      auto found,
      net::run(command(folder_,
                       {"ssh-keygen", "-Y", "find-principals", "-s", path, "-f", file.copy}, ""),
               deadline_));
  Verdict out{false, last_lines(found.err)};
  if (found.exit_code != 0) return out;
  for (auto principal : split(found.out, '\n')) {
    if (principal.empty()) continue;
    std::vector<std::string> argv{"ssh-keygen",           "-Y", "verify", "-n", "git",    "-I",
                                  std::string(principal), "-s", path,     "-f", file.copy};
    if (!revoked.empty()) argv.insert(argv.end(), {"-r", revoked});
    KNOCK_ASSIGN(auto done,
                 net::run(command(folder_, std::move(argv), signature.payload), deadline_));
    if (done.exit_code == 0) return Verdict{true, ""};
    out.why = last_lines(done.err + done.out);
  }
  return out;
}

Result<Verdict> Signers::openpgp(const File& file, const CommitSignature& signature) {
  KNOCK_ASSIGN(auto path, write("signature", signature.text));
  KNOCK_ASSIGN(auto done,
               net::run(command(folder_,
                                {"gpgv", "--homedir", folder_, "--status-fd", "1", "--weak-digest",
                                 "SHA1", "--keyring", file.copy, path, "-"},
                                signature.payload),
                        deadline_));
  // GOODSIG is said of a good signature by a key that is good now, and of no other: neither of an
  // expired nor of a revoked one. Two signatures in one armour would be a matter of taste.
  int good = 0, all = 0;
  for (auto line : split(done.out, '\n')) {
    good += line.starts_with("[GNUPG:] GOODSIG ");
    all += line.starts_with("[GNUPG:] NEWSIG");
  }
  if (done.exit_code == 0 && good == 1 && all == 1) return Verdict{true, ""};
  return Verdict{false, last_lines(done.err)};
}

Result<Verdict> Signers::allows(const std::string& file, const std::string& revoked,
                                const CommitSignature& signature, SignatureFormat format) {
  KNOCK_ASSIGN(auto taken, take(file));
  if (taken.format != format)
    return Verdict{false, format == SignatureFormat::ssh
                              ? "these are OpenPGP keys, and the signature is of SSH"
                              : "these are SSH keys, and the signature is of OpenPGP"};
  std::string revoked_copy;
  if (!revoked.empty() && format == SignatureFormat::ssh) {
    KNOCK_ASSIGN(auto list, contents(revoked));
    KNOCK_ASSIGN(revoked_copy, write("revoked", list));
  }
  auto verdict = format == SignatureFormat::ssh ? ssh(taken, revoked_copy, signature)
                                                : openpgp(taken, signature);
  if (!verdict) return verdict;
  replace_all(verdict->why, taken.copy, printable(file));
  if (!revoked_copy.empty()) replace_all(verdict->why, revoked_copy, printable(revoked));
  return verdict;
}

}  // namespace knock::git
