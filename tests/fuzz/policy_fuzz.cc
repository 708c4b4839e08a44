// SPDX-License-Identifier: Apache-2.0
// Bytes as a policy, as a policy of two files, and as knock.yaml. Whatever they are: no crash, no
// hang, a diagnostic whose id is in the list for every refusal, a policy exactly when there is no
// error, and a policy that is printed and loaded again means the same.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "schemas/config/config.h"
#include "schemas/policy/check.h"
#include "schemas/policy/load.h"

namespace {

using namespace knock;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

void check(const Diagnostics& diagnostics, const std::vector<std::string>& ids) {
  for (const auto& diagnostic : diagnostics) {
    require(std::ranges::binary_search(ids, diagnostic.id), "every id is listed");
    auto text = to_text(diagnostic);
    require(text.find('\x1b') == std::string::npos, "no escape reaches a terminal");
    require(std::ranges::count(text, '\n') <= 4, "a message is at most four lines");
  }
}

void check(const PolicyLoad& load) {
  static const auto ids = policy_diagnostic_ids();
  check(load.diagnostics, ids);
  require(load.policy.has_value() != has_errors(load.diagnostics), "a policy xor errors");
  if (!load.policy) return;
  auto text = to_yaml(*load.policy);
  auto again = load_policy({{"again.yaml", text, ""}}, PolicyRevision("r"), {});
  // What was small may print larger than one file may be; everything else must come back.
  if (text.size() > (1u << 20)) return;
  require(again.policy && same_meaning(*load.policy, *again.policy), "printing loses nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  check(load_policy({{"p.yaml", text, ""}}, PolicyRevision("r"), {}));
  check(
      load_policy({{"a.yaml", text.substr(0, size / 2), ""}, {"b.yaml", text.substr(size / 2), ""}},
                  PolicyRevision("r"), {{SignInName("local"), SignInName("sso")}, true}));
  static const auto ids = config_diagnostic_ids();
  auto config = load_config("knock.yaml", text, "/etc/knock");
  check(config.diagnostics, ids);
  require(config.config.has_value() != has_errors(config.diagnostics),
          "a configuration xor errors");
  return 0;
}
