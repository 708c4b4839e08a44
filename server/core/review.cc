// SPDX-License-Identifier: Apache-2.0
#include "server/core/review.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {

PolicyRevision content_revision(std::span<const PolicyFile> files) {
  std::vector<const PolicyFile*> sorted;
  for (const PolicyFile& file : files) sorted.push_back(&file);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->path < b->path; });
  Sha256 digest;
  for (const PolicyFile* file : sorted) {
    digest.add(fmt::format("{}:", file->path.size()));
    digest.add(file->path);
    digest.add(to_hex(sha256(file->content)));
  }
  return PolicyRevision("sha256:" + to_hex(digest.finish()));
}

std::string review_hash(std::span<const PolicyFile> in_force, std::span<const PolicyFile> planned) {
  auto before = in_force.empty() ? std::string() : content_revision(in_force).value;
  return to_hex(sha256("knock review 1\n" + before + "\n" + content_revision(planned).value));
}

Result<std::string> review_hash(const FactStore& store, std::span<const PolicyFile> planned) {
  KNOCK_ASSIGN(auto adopted, store.adopted_policy());
  return review_hash(
      adopted ? std::span<const PolicyFile>(adopted->files) : std::span<const PolicyFile>(),
      planned);
}

std::string review_footer(const std::string& review) {
  return fmt::format(
      "\nReview hash `{0}`: `knock apply --reviewed {0}` does exactly this policy change, and "
      "nothing else.\n<!-- knock-review: {0} -->\n",
      review);
}

namespace {

/// Once, over restarts too: the same change made again, after it was taken back, is reviewed again.
std::string nonce_of(const std::string& hash) { return "review:" + hash; }

Status not_used(const FactStore& store, const std::string& hash) {
  KNOCK_ASSIGN(bool used, store.plan_used(nonce_of(hash)));
  if (!used) return {};
  return fail(ErrorKind::conflict,
              fmt::format("review.used: the review {} was applied before, and counts once; `knock "
                          "audit tail` says when (plan.used). Nothing was done. Plan what is to "
                          "change now, and review that",
                          printable(hash.substr(0, 12))));
}

Status use(Controller& controller, const Actor& actor, const std::string& hash) {
  std::vector<Fact> used{PlanUsed{nonce_of(hash), hash}};
  auto written = controller.store().append(actor, controller.clock().now(), used);
  return written ? Status() : Status(fail_within("log", written));
}

/// What is in force by somebody else's word: the change that brought it has the hash, or nobody
/// knows that it is what was reviewed.
Status came_as_reviewed(Controller& controller, const PolicySnapshot& newest,
                        const std::string& hash) {
  KNOCK_ASSIGN(auto adoption, controller.store().adoption_of(newest.revision));
  std::vector<PolicyFile> before;
  bool known = adoption.has_value();
  if (known && !adoption->previous.empty()) {
    auto read = controller.policy_keeper().read(adoption->previous);
    known = read.has_value();
    if (known) before = std::move(read->files);
  }
  if (known && review_hash(before, newest.files) == hash) return {};
  return fail(
      ErrorKind::conflict,
      fmt::format("review.other: {} is the newest and in force already, and it did not come "
                  "by the change that was reviewed ({}). Nothing was done. Was it merged? "
                  "If it was, plan it once more, and review that",
                  printable(newest.revision.value).substr(0, 15), hash.substr(0, 12)));
}

bool is_hash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Result<ReviewedApply> apply_reviewed(Controller& controller, const Actor& actor,
                                     const std::string& hash, Diagnostics& problems) {
  if (!is_hash(hash))
    return fail(ErrorKind::invalid,
                "a review hash has 64 lower-case hexadecimal digits; it stands at the end of the "
                "plan that was reviewed");
  ReviewedApply out;
  PolicyKeeper& keeper = controller.policy_keeper();
  KNOCK_CHECK(keeper.with_newest(problems, [&](const SoundSnapshot& newest) -> Status {
    out.revision = newest.snapshot.revision;
    KNOCK_CHECK(not_used(controller.store(), hash));
    auto in_force = controller.reconciler().policy();
    if (in_force != nullptr && in_force->revision == out.revision) {
      out.was_in_force = true;
      return came_as_reviewed(controller, newest.snapshot, hash);
    }
    KNOCK_ASSIGN(auto now, review_hash(controller.store(), newest.snapshot.files));
    if (now != hash)
      return fail(ErrorKind::conflict,
                  fmt::format("review.other: what was reviewed is not what would be done: the "
                              "review hash of {} is {} by now, and {} was reviewed. Plan it once "
                              "more, and review that",
                              printable(out.revision.value).substr(0, 15), now, hash));
    KNOCK_CHECK(keeper.not_held());
    KNOCK_CHECK(use(controller, actor, hash));
    return keeper.put_in_force(actor, newest);
  }));
  return out;
}

}  // namespace knock
