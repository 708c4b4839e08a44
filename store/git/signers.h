// SPDX-License-Identifier: Apache-2.0
// Files of signers, and the programs that ask them. Internal to store/git.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "store/git/mirror.h"

namespace knock::git {

enum class SignatureFormat : std::uint8_t { ssh, openpgp };

/// One judgement of one signature by one file of signers.
struct Verdict {
  bool allowed = false;
  std::string why;  // the program's words when it is not
};

class Signers {
 public:
  /// `folder` is ours alone; files in it are overwritten.
  Signers(std::string folder, Deadline deadline)
      : folder_(std::move(folder)), deadline_(deadline) {}

  /// What the armour says; refused when it is neither.
  static Result<SignatureFormat> format_of(const std::string& signature);
  /// "ED25519 key SHA256:…" of an SSH signature that fits its payload; refused when it does not.
  Result<std::string> ssh_key(const CommitSignature& signature);
  /// Whether this file allows the signature. `revoked`: a list of revoked SSH keys, or "".
  Result<Verdict> allows(const std::string& file, const std::string& revoked,
                         const CommitSignature& signature, SignatureFormat format);

 private:
  struct File {
    std::string copy;  // path
    SignatureFormat format = SignatureFormat::ssh;
  };

  Result<File> take(const std::string& file);
  Result<std::string> write(const std::string& name, const std::string& content) const;
  Result<Verdict> ssh(const File& file, const std::string& revoked,
                      const CommitSignature& signature);
  Result<Verdict> openpgp(const File& file, const CommitSignature& signature);

  std::string folder_;
  Deadline deadline_;
  std::map<std::string, File> taken_;
};

}  // namespace knock::git
