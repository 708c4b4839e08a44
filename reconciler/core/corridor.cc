// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/corridor.h"

#include <algorithm>

namespace knock {
namespace {

const Service* service_with_path(const Policy& policy, const Change& change) {
  const Service* service = policy.service(ServiceName(change.slot.get()));
  return service == nullptr || service->path.empty() ? nullptr : service;
}

}  // namespace

bool has_paths(const Policy& policy) {
  return std::any_of(policy.services.begin(), policy.services.end(),
                     [](const Service& service) { return !service.path.empty(); });
}

std::optional<TargetName> next_inwards(const Service& service, const TargetName& target) {
  auto at = std::find(service.path.begin(), service.path.end(), target);
  if (at == service.path.end() || ++at == service.path.end()) return std::nullopt;
  return *at;
}

std::optional<TargetName> next_outwards(const Service& service, const TargetName& target) {
  auto at = std::find(service.path.begin(), service.path.end(), target);
  if (at == service.path.end() || at == service.path.begin()) return std::nullopt;
  return *--at;
}

std::optional<TargetName> opens_after(const Policy& policy, const TargetName& target,
                                      const Change& change) {
  if (change.action != Action::add) return std::nullopt;
  const Service* service = service_with_path(policy, change);
  return service == nullptr ? std::nullopt : next_inwards(*service, target);
}

std::optional<TargetName> closes_after(const Policy& policy, const TargetName& target,
                                       const Change& change) {
  if (change.action != Action::remove || change.reason == Reason::expiry) return std::nullopt;
  const Service* service = service_with_path(policy, change);
  return service == nullptr ? std::nullopt : next_outwards(*service, target);
}

}  // namespace knock
