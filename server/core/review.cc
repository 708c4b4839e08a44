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

namespace {

/// Another for each adoption: to be the same, two must be at one millisecond and with two more in
/// between, each of them on stable storage before the next.
std::string mark_of(const std::optional<Adoption>& adoption) {
  if (!adoption) return "";
  return fmt::format("{} {} {}", adoption->at.ms, adoption->revision.value,
                     adoption->previous.value);
}

Result<std::optional<Adoption>> last_adoption(const FactStore& store) {
  return store.adoption_at(Instant::max());
}

std::string hash_of_change(const std::string& adoption, const PolicyRevision& planned) {
  return to_hex(sha256("knock review 2\n" + adoption + "\n" + planned.value));
}

}  // namespace

Result<Standing> standing(const FactStore& store) {
  KNOCK_ASSIGN(auto adoption, last_adoption(store));
  KNOCK_ASSIGN(auto adopted, store.adopted_policy());
  if (!adoption || !adopted) return Standing{};
  return Standing{mark_of(adoption), content_revision(adopted->files)};
}

Result<std::string> adoption_in_force(const FactStore& store) {
  KNOCK_ASSIGN(auto adoption, last_adoption(store));
  return mark_of(adoption);
}

std::string review_hash(const Standing& in_force, std::span<const PolicyFile> planned) {
  auto content = content_revision(planned);
  if (content == in_force.content)
    return to_hex(sha256("knock review 2, nothing\n" + content.value));
  return hash_of_change(in_force.adoption, content);
}

std::string review_footer(const std::string& review) {
  return fmt::format(
      "\nReview hash `{0}`: `knock apply --reviewed {0}` does exactly this policy change, and "
      "nothing else.\n<!-- knock-review: {0} -->\n",
      review);
}

namespace {

std::string nonce_of(const std::string& hash) { return "review:" + hash; }

/// "3f2a9c1b04d7 is in force since 2026-11-21T10:04:11Z"
Result<std::string> who_is_in_force(const FactStore& store) {
  KNOCK_ASSIGN(auto adoption, last_adoption(store));
  if (!adoption) return std::string("nothing is in force yet");
  return fmt::format("{} is in force since {}", printable(adoption->revision.value).substr(0, 15),
                     to_string(adoption->at));
}

/// Whether what is in force came by exactly the change that has the hash, whoever put it there.
Result<bool> came_by(const FactStore& store, const std::string& hash,
                     const PolicyRevision& content) {
  KNOCK_ASSIGN(auto adoption, last_adoption(store));
  if (!adoption) return false;
  std::optional<Adoption> before;
  if (!adoption->previous.empty()) {
    KNOCK_ASSIGN(before, store.adoption_of(adoption->previous));
  }
  return hash_of_change(mark_of(before), content) == hash;
}

/// Why a review is not to be applied that is not of what would be done.
Error refusal(const std::string& in_force, const PolicyRevision& newest, const std::string& hash,
              bool used, bool done) {
  std::string why;
  if (used && done)
    why = fmt::format(
        "review.used: what was reviewed was applied before, and {}: there is nothing "
        "left to do. A review counts once",
        in_force);
  else if (used)
    why = fmt::format(
        "review.used: what was reviewed was applied before, and counts once; by now {}, "
        "and `knock audit tail` says what came between. Nothing was done. Plan what is "
        "to change now, and review that",
        in_force);
  else
    why = fmt::format(
        "review.other: what was reviewed ({}) is not what would be done: {}, the newest "
        "is {}, and one of them is another than at the review. Nothing was done. Was "
        "the change merged, and nothing else with it? Plan it once more, and review "
        "that",
        hash.substr(0, 12), in_force, printable(newest.value).substr(0, 15));
  return {ErrorKind::conflict, std::move(why), {}, std::nullopt};
}

bool is_hash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Status apply_if_reviewed(Controller& controller, const Actor& actor, const std::string& hash,
                         const SoundSnapshot& newest, ReviewedApply& out) {
  const FactStore& store = controller.store();
  PolicyKeeper& keeper = controller.policy_keeper();
  KNOCK_ASSIGN(auto now, standing(store));
  auto content = content_revision(newest.snapshot.files);
  bool nothing_changes = content == now.content;
  if (review_hash(now, newest.snapshot.files) == hash && !nothing_changes)
    return keeper.put_in_force(actor, newest, {PlanUsed{nonce_of(hash), hash}});
  KNOCK_ASSIGN(bool used, store.plan_used(nonce_of(hash)));
  KNOCK_ASSIGN(bool came, came_by(store, hash, now.content));
  bool agreed = review_hash(now, newest.snapshot.files) == hash || (came && !used);
  if (!nothing_changes || !agreed) {
    KNOCK_ASSIGN(auto in_force, who_is_in_force(store));
    return fail(refusal(in_force, out.revision, hash, used, came));
  }
  auto policy = controller.reconciler().policy();
  out.was_in_force = policy != nullptr && policy->revision == out.revision;
  return out.was_in_force ? Status() : keeper.put_in_force(actor, newest);
}

}  // namespace

Result<ReviewedApply> apply_reviewed(Controller& controller, const Actor& actor,
                                     const std::string& hash, Diagnostics& problems) {
  if (!is_hash(hash))
    return fail(ErrorKind::invalid,
                "a review hash has 64 lower-case hexadecimal digits; it stands at the end of the "
                "plan that was reviewed");
  ReviewedApply out;
  KNOCK_CHECK(
      controller.policy_keeper().with_newest(problems, [&](const SoundSnapshot& newest) -> Status {
        out.revision = newest.snapshot.revision;
        return apply_if_reviewed(controller, actor, hash, newest, out);
      }));
  return out;
}

}  // namespace knock
