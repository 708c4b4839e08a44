// SPDX-License-Identifier: Apache-2.0
#include "schemas/session/session.h"

namespace knock {

std::string_view to_string(Proof proof) {
  switch (proof) {
    case Proof::oidc:
      return "oidc";
    case Proof::local:
      return "local";
    case Proof::grant:
      return "grant";
  }
  return "";
}

std::optional<Proof> proof_from(std::string_view text) {
  for (auto proof : {Proof::oidc, Proof::local, Proof::grant})
    if (to_string(proof) == text) return proof;
  return std::nullopt;
}

std::string_view to_string(EndCause cause) {
  switch (cause) {
    case EndCause::expired:
      return "expired";
    case EndCause::signed_out:
      return "signed-out";
    case EndCause::revoked:
      return "revoked";
    case EndCause::replaced:
      return "replaced";
    case EndCause::restored:
      return "restored";
  }
  return "";
}

std::optional<EndCause> end_cause_from(std::string_view text) {
  for (auto cause : {EndCause::expired, EndCause::signed_out, EndCause::revoked, EndCause::replaced,
                     EndCause::restored})
    if (to_string(cause) == text) return cause;
  return std::nullopt;
}

}  // namespace knock
