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

Result<ReviewedApply> apply_reviewed(Controller& controller, const Actor& actor,
                                     const std::string& hash, Diagnostics& problems) {
  ReviewedApply out;
  KNOCK_CHECK(
      controller.policy_keeper().with_newest(problems, [&](const SoundSnapshot& newest) -> Status {
        out.revision = newest.snapshot.revision;
        auto in_force = controller.reconciler().policy();
        if (in_force != nullptr && in_force->revision == out.revision) {
          out.was_in_force = true;
          return {};
        }
        KNOCK_ASSIGN(auto now, review_hash(controller.store(), newest.snapshot.files));
        if (now != hash)
          return fail(
              ErrorKind::conflict,
              fmt::format("what was reviewed is not what would be done: the review hash of "
                          "{} is {} by now, and {} was reviewed. Plan it once more, and "
                          "review that",
                          printable(out.revision.value).substr(0, 15), now, printable(hash)));
        return controller.policy_keeper().put_in_force(actor, newest);
      }));
  return out;
}

}  // namespace knock
