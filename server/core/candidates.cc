// SPDX-License-Identifier: Apache-2.0
#include "server/core/candidates.h"

#include <utility>

namespace knock {

Candidates::Candidates(const FactStore& store, const Clock& clock, OpenSource open)
    : store_(store), clock_(clock), open_(std::move(open)) {}

Result<Candidate> Candidates::fetch(const CandidateName& name) {
  if (!open_) return fail(ErrorKind::unsupported, "this controller fetches no candidates");
  std::unique_lock one(fetching_, std::try_to_lock);
  if (!one.owns_lock())
    return fail(ErrorKind::rate_limited,
                "another change is being fetched at this moment; try again in some seconds");
  // Everybody's: it is the policy's remote and this machine that are to be spared.
  if (!limit_.take(IpAddress(), clock_.monotonic()))
    return fail(ErrorKind::rate_limited,
                "more changes were fetched than one in five seconds; try again in a minute");
  KNOCK_ASSIGN(auto source, open_());
  KNOCK_ASSIGN(auto adopted, store_.adopted_policy());
  if (adopted) source->in_force(adopted->revision);
  return source->candidate(name, Deadline::in(kFetchTime));
}

}  // namespace knock
