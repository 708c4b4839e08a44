// SPDX-License-Identifier: Apache-2.0
// Bytes as what `nft -j list ruleset` prints. Whatever is read from it makes a policy file that
// loads beside the starter's targets, and that opens nothing to everybody.
#include "schemas/nftables/ruleset.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "cli/imported_policy.h"
#include "schemas/policy/load.h"

namespace {

void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace knock;
  auto rules = read_own_rules({reinterpret_cast<const char*>(data), size});
  if (!rules) return 0;
  for (const LetIn& rule : rules->let_in)
    require(!rule.ports.empty() && rule.everybody == rule.from.empty(), "a rule is whole");
  auto imported = cli::imported_policy(*rules, Instant::from_seconds(1'800'000'000));
  if (imported.entries > 200) return 0;
  auto loaded = load_policy(
      {{"imported.yaml", imported.text, ""},
       {"main.yaml",
        "knock: 1\nservices: {ssh: {ports: [tcp/22], targets: [this-host]}}\ntargets:\n"
        "  this-host: {type: nftables, table: knock, hooks: [input]}\n"
        "  behind-this-host: {type: nftables, table: knock_forward, hooks: [forward]}\n",
        ""}},
      PolicyRevision("r"), {});
  require(loaded.policy.has_value(), to_text(loaded.diagnostics) + imported.text);
  return 0;
}
