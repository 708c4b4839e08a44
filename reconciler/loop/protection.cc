// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/protection.h"

#include <string_view>
#include <variant>

namespace knock {
namespace {

constexpr std::size_t kAtOnce = 4096;

/// Cheap: of a long log only few records are decoded.
bool may_be_about_ports(const Record& record) {
  static const std::string applied(kind_of(ChangeApplied{}));
  return record.fact.kind == applied &&
         record.fact.public_json.find("protect\"") != std::string::npos;
}

}  // namespace

void note_protection(std::vector<PortRange>& ports, const Change& change) {
  if (change.action == Action::protect) {
    ports.insert(ports.end(), change.ports.begin(), change.ports.end());
    ports = canonical_ports(std::move(ports));
  } else if (change.action == Action::unprotect) {
    ports = subtract(ports, change.ports);
  }
}

ChangeApplied no_longer_known(const TargetName& target, const PolicyRevision& policy,
                              const std::vector<PortRange>& ports) {
  Change change;
  change.action = Action::unprotect;
  change.reason = Reason::policy;
  change.ports = ports;
  change.detail = "nothing was opened: the target of this name stands elsewhere from now on";
  return {0, target, policy, change};
}

Result<Protection> protection_by_log(const FactStore& store,
                                     const std::function<Status(const Record&)>& each) {
  Protection out;
  std::uint64_t after = 0;
  for (bool more = true; more;) {
    KNOCK_ASSIGN(auto records, store.records(after, kAtOnce));
    more = records.size() == kAtOnce;
    if (!records.empty()) after = records.back().seq;
    for (const Record& record : records) {
      if (each) KNOCK_CHECK(each(record));
      if (!may_be_about_ports(record)) continue;
      KNOCK_ASSIGN(auto fact, decode(record.fact));
      if (const auto* done = std::get_if<ChangeApplied>(&fact))
        note_protection(out[done->target], done->change);
    }
  }
  std::erase_if(out, [](const auto& pair) { return pair.second.empty(); });
  return out;
}

}  // namespace knock
