// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace knock {

/// Where a secret is read from when it is needed.
struct SecretReference {
  enum class Kind { environment, file, command };
  Kind kind = Kind::file;
  std::string value;  // variable, path, or a command line split at spaces (no shell)
};

}  // namespace knock
