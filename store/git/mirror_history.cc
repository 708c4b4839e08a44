// SPDX-License-Identifier: Apache-2.0
// What commits say about themselves: their signatures, and what each of them changes.
#include <algorithm>
#include <map>

#include "store/git/handles.h"
#include "store/git/mirror.h"
#include "store/policy_files.h"

namespace knock::git {
namespace {

/// Compares two trees name by name and tells of every file that differs. Bounded, because commits
/// on the way to a sound one may hold anything.
class TreeComparison {
 public:
  TreeComparison(git_repository* repository,
                 const std::function<void(const std::string& path)>& changed)
      : repository_(repository), changed_(changed) {}

  /// Null: there is no such folder on that side.
  Status compare(const git_oid* before, const git_oid* after, const std::string& path,
                 std::size_t depth) {
    if (depth > kMaxPolicyFolders) return too_much(path);
    KNOCK_ASSIGN(auto old_items, items(before, path));
    KNOCK_ASSIGN(auto new_items, items(after, path));
    auto old_item = old_items.begin();
    auto new_item = new_items.begin();
    while (old_item != old_items.end() || new_item != new_items.end()) {
      if (new_item == new_items.end() ||
          (old_item != old_items.end() && old_item->name < new_item->name)) {
        KNOCK_CHECK(differs(&*old_item++, nullptr, path, depth));
      } else if (old_item == old_items.end() || new_item->name < old_item->name) {
        KNOCK_CHECK(differs(nullptr, &*new_item++, path, depth));
      } else {
        KNOCK_CHECK(differs(&*old_item++, &*new_item++, path, depth));
      }
    }
    return {};
  }

 private:
  struct Item {
    std::string name;
    git_filemode_t mode;
    git_oid id;
    bool is_folder() const { return mode == GIT_FILEMODE_TREE; }
  };

  static Status too_much(const std::string& path) {
    return refuse(
        Refusal::change_too_large,
        fmt::format("the commit changes more than {} files and folders, or {} inside each "
                    "other, at '{}'",
                    kMaxPolicyEntries, kMaxPolicyFolders, printable(path)));
  }

  Result<std::vector<Item>> items(const git_oid* id, const std::string& path) {
    std::vector<Item> out;
    if (id == nullptr) return out;
    git_tree* raw = nullptr;
    if (git_tree_lookup(&raw, repository_, id) != 0)
      return unreadable(fmt::format("folder '{}'", printable(path)));
    Tree tree(raw);
    std::size_t count = git_tree_entrycount(tree.get());
    seen_ += count;
    if (seen_ > kMaxPolicyEntries) return fail(std::move(too_much(path).error()));
    for (std::size_t i = 0; i < count; ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
      out.push_back({git_tree_entry_name(entry), git_tree_entry_filemode_raw(entry),
                     *git_tree_entry_id(entry)});
    }
    std::sort(out.begin(), out.end(), [](const Item& a, const Item& b) {
      int by_name = a.name.compare(b.name);
      return by_name != 0 ? by_name < 0 : git_oid_cmp(&a.id, &b.id) < 0;
    });
    return out;
  }

  Status differs(const Item* before, const Item* after, const std::string& path,
                 std::size_t depth) {
    if (before != nullptr && after != nullptr && before->mode == after->mode &&
        git_oid_equal(&before->id, &after->id) != 0)
      return {};
    const auto& name = before != nullptr ? before->name : after->name;
    auto whole = path.empty() ? name : path + "/" + name;
    bool old_folder = before != nullptr && before->is_folder();
    bool new_folder = after != nullptr && after->is_folder();
    if ((before != nullptr && !old_folder) || (after != nullptr && !new_folder)) changed_(whole);
    if (!old_folder && !new_folder) return {};
    return compare(old_folder ? &before->id : nullptr, new_folder ? &after->id : nullptr, whole,
                   depth + 1);
  }

  git_repository* repository_;
  const std::function<void(const std::string& path)>& changed_;
  std::size_t seen_ = 0;
};

Result<Commit> commit_or_refuse(git_repository* repository, const std::string& id) {
  auto found = find_commit(repository, id);
  if (found) return found;
  return unreadable("commit " + printable(id).substr(0, 12));
}

std::size_t lines_beginning(std::string_view header, std::string_view with) {
  auto lines = split(header, '\n');
  return std::size_t(
      std::count_if(lines.begin(), lines.end(), [&](auto line) { return line.starts_with(with); }));
}

}  // namespace

std::optional<std::string> Mirror::commit_named(const std::string& beginning) const {
  git_oid id;
  git_commit* raw = nullptr;
  bool hex = beginning.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex || beginning.size() < 4 || beginning.size() > GIT_OID_HEXSZ ||
      git_oid_fromstrn(&id, beginning.data(), beginning.size()) != 0 ||
      git_commit_lookup_prefix(&raw, repository_.get(), &id, beginning.size()) != 0)
    return std::nullopt;
  Commit commit(raw);
  return to_text(*git_commit_id(commit.get()));
}

Result<std::vector<std::string>> Mirror::commits_between(const std::string& older,
                                                         const std::string& newer,
                                                         std::size_t most) const {
  auto from = parse_id(older), to = parse_id(newer);
  git_revwalk* raw = nullptr;
  if (!from || !to || git_revwalk_new(&raw, repository_.get()) != 0)
    return git_error("walk the history");
  Revwalk walk(raw);
  git_revwalk_sorting(walk.get(), GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE);
  if (git_revwalk_push(walk.get(), &*to) != 0 || git_revwalk_hide(walk.get(), &*from) != 0)
    return unreadable("the history");
  std::vector<std::string> out;
  git_oid id;
  int code = 0;
  while ((code = git_revwalk_next(&id, walk.get())) == 0) {
    if (out.size() == most)
      return refuse(Refusal::too_many_commits,
                    fmt::format("more than {} commits at once; go there in steps: knock advance "
                                "COMMIT",
                                most));
    out.push_back(to_text(id));
  }
  if (code != GIT_ITEROVER) return unreadable("the history");
  return out;
}

Result<CommitSignature> Mirror::signature(const std::string& commit) const {
  KNOCK_ASSIGN(auto found, commit_or_refuse(repository_.get(), commit));
  // Which of two would count is a matter of taste, and tastes differ between programs.
  std::string_view header = git_commit_raw_header(found.get());
  if (lines_beginning(header, "gpgsig") > 1)
    return refuse(Refusal::two_signatures,
                  fmt::format("commit {} carries more than one signature", commit.substr(0, 12)));
  CommitSignature out;
  if (lines_beginning(header, "gpgsig ") == 0) return out;
  git_buf text{}, payload{};
  int code =
      git_commit_extract_signature(&text, &payload, repository_.get(),
                                   const_cast<git_oid*>(git_commit_id(found.get())), nullptr);
  if (code == 0) {
    out.text.assign(text.ptr, text.size);
    out.payload.assign(payload.ptr, payload.size);
  }
  git_buf_dispose(&text);
  git_buf_dispose(&payload);
  if (code != 0) return unreadable("the signature of commit " + commit.substr(0, 12));
  return out;
}

Status Mirror::changes(const std::string& commit, bool whole,
                       const std::function<void(const std::string& path)>& changed) const {
  KNOCK_ASSIGN(auto found, commit_or_refuse(repository_.get(), commit));
  TreeComparison comparison(repository_.get(), changed);
  const git_oid* now = git_commit_tree_id(found.get());
  unsigned parents = whole ? 0 : git_commit_parentcount(found.get());
  if (parents == 0) return comparison.compare(nullptr, now, "", 0);
  for (unsigned i = 0; i < parents; ++i) {
    KNOCK_ASSIGN(auto parent, commit_or_refuse(repository_.get(),
                                               to_text(*git_commit_parent_id(found.get(), i))));
    KNOCK_CHECK(comparison.compare(git_commit_tree_id(parent.get()), now, "", 0));
  }
  return {};
}

}  // namespace knock::git
