// SPDX-License-Identifier: Apache-2.0
// Why a proof of identity was not accepted. `code` is stable, for the log, for tests and for
// docs/sign-in.md; `why` is one sentence for the operator. Neither holds a secret, and text from
// outside in `why` has gone through printable().
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace knock::sso {

struct Refusal {
  std::string code;
  std::string why;
};

template <class T>
using Verdict = tl::expected<T, Refusal>;

inline tl::unexpected<Refusal> refuse(std::string_view code, std::string why) {
  return tl::unexpected(Refusal{std::string(code), std::move(why)});
}

}  // namespace knock::sso
