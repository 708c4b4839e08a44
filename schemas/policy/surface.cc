// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/load.h"

namespace knock {

std::string_view to_string(Surface surface) {
  switch (surface) {
    case Surface::approval:
      return "approval";
    case Surface::break_glass:
      return "break_glass";
    case Surface::require_token:
      return "require_token";
    case Surface::claims:
      return "claims";
    case Surface::mfa:
      return "mfa";
    case Surface::path:
      return "path";
    case Surface::connections:
      return "connections";
    case Surface::disconnect:
      return "disconnect";
  }
  return "unknown";
}

}  // namespace knock
