// SPDX-License-Identifier: Apache-2.0
#include "store/git/mirror.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/failpoint.h"
#include "base/text.h"
#include "store/git/handles.h"
#include "store/git/packs.h"
#include "store/policy_files.h"

namespace knock::git {
namespace {

constexpr std::size_t kLongestText = 400;  // of an author or subject

/// Once per process. No configuration but the mirror's own counts; owners are checked; caches stay
/// small, because what is read is kept elsewhere.
bool library_ready() {
  static const bool ready = [] {
    if (git_libgit2_init() < 0) return false;
    bool good = true;
    for (int level : {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                      GIT_CONFIG_LEVEL_GLOBAL})
      good &= git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "") == 0;
    good &= git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 1) == 0;
    good &= git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1) == 0;
    good &= git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, ssize_t{4 << 20}) == 0;
    good &= git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, std::size_t{64 << 20}) == 0;
    return good;
  }();
  return ready;
}

/// Cut at a whole character.
std::string bounded(const char* text) {
  std::string_view all = text != nullptr ? text : "";
  if (all.size() <= kLongestText) return std::string(all);
  std::size_t end = kLongestText;
  while (end > 0 && (static_cast<unsigned char>(all[end]) & 0xc0) == 0x80) --end;
  return std::string(all.substr(0, end));
}

/// Walks a tree and takes its policy files. Everything that is not a plain file or folder is
/// refused, and not passed over: what it stands for might have been a `deny`.
class TreeReader {
 public:
  TreeReader(git_repository* repository, const std::vector<PolicyFile>& known)
      : repository_(repository), known_(known) {}

  Status open() {
    git_odb* odb = nullptr;
    if (git_repository_odb(&odb, repository_) != 0) return git_error("open the object store");
    odb_.reset(odb);
    return {};
  }

  Status folder(const git_oid& id, const std::string& path, std::size_t depth) {
    if (depth > kMaxPolicyFolders)
      return refuse(Refusal::too_deep, fmt::format("{}: more than {} folders inside each other",
                                                   printable(path), kMaxPolicyFolders));
    git_tree* raw = nullptr;
    if (git_tree_lookup(&raw, repository_, &id) != 0)
      return unreadable(fmt::format("folder '{}'", printable(path)));
    Tree tree(raw);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < git_tree_entrycount(tree.get()); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
      std::string name = git_tree_entry_name(entry);
      auto whole = path.empty() ? name : path + "/" + name;
      KNOCK_CHECK(budget_.entry());
      if (auto good = check_policy_name(name); !good)
        return fail_within(fmt::format("'{}'", printable(path)), good);
      if (!is_hidden(name)) KNOCK_CHECK(item(entry, name, whole, depth));
      names.push_back(std::move(name));
    }
    return no_clash(names, path);
  }

  std::vector<PolicyFile> files;

 private:
  static Status no_clash(std::vector<std::string>& names, const std::string& path) {
    auto clash = [&](Refusal refusal, std::string_view how) -> Status {
      std::sort(names.begin(), names.end());
      auto twice = std::adjacent_find(names.begin(), names.end());
      if (twice == names.end()) return {};
      return refuse(refusal, fmt::format("'{}' is there {} in folder '{}'; rename one",
                                         printable(*twice), how, printable(path)));
    };
    KNOCK_CHECK(clash(Refusal::twice, "twice"));
    for (auto& name : names) name = fold_case(name);  // as some file systems see them
    return clash(Refusal::case_clash, "again with other letters' case");
  }

  Status item(const git_tree_entry* entry, const std::string& name, const std::string& path,
              std::size_t depth) {
    // As it is written: libgit2 would take a device or a pipe for a file.
    switch (unsigned(git_tree_entry_filemode_raw(entry))) {
      case GIT_FILEMODE_TREE:
        return folder(*git_tree_entry_id(entry), path, depth + 1);
      case GIT_FILEMODE_BLOB:
      case 0100664:  // of the first years of Git
      case GIT_FILEMODE_BLOB_EXECUTABLE:
        return is_policy_file(name) ? file(*git_tree_entry_id(entry), path) : Status();
      case GIT_FILEMODE_LINK:
        return refuse(Refusal::link,
                      printable(path) +
                          " is a link; a policy repository holds plain files only, put "
                          "the file itself there");
      case GIT_FILEMODE_COMMIT:
        return refuse(Refusal::submodule,
                      printable(path) +
                          " is a submodule, which knock never fetches; put the files "
                          "themselves there");
      default:
        break;
    }
    return refuse(Refusal::odd_entry, printable(path) + " is neither a file nor a folder");
  }

  Status file(const git_oid& id, const std::string& path) {
    auto name = to_text(id);
    if (const auto* before = known(path, name)) {
      KNOCK_CHECK(budget_.file(path, before->content.size()));
      files.push_back(*before);
      return {};
    }
    std::size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (git_odb_read_header(&size, &type, odb_.get(), &id) != 0) return unreadable(printable(path));
    if (type != GIT_OBJECT_BLOB)
      return refuse(Refusal::not_a_file, printable(path) + " is called a file, but is none");
    KNOCK_CHECK(budget_.file(path, size));
    git_odb_object* raw = nullptr;
    if (git_odb_read(&raw, odb_.get(), &id) != 0) return unreadable(printable(path));
    OdbObject object(raw);
    files.push_back({path,
                     {static_cast<const char*>(git_odb_object_data(object.get())),
                      git_odb_object_size(object.get())},
                     std::move(name)});
    return {};
  }

  const PolicyFile* known(const std::string& path, const std::string& id) const {
    auto found = std::lower_bound(
        known_.begin(), known_.end(), path,
        [](const PolicyFile& file, const std::string& wanted) { return file.path < wanted; });
    bool same = found != known_.end() && found->path == path && found->blob_id == id;
    return same ? &*found : nullptr;
  }

  git_repository* repository_;
  const std::vector<PolicyFile>& known_;
  Odb odb_;
  PolicyBudget budget_;
};

/// The tree at `path` below the commit's root.
Result<git_oid> tree_at(const git_commit* commit, const std::string& path) {
  if (path.empty()) return *git_commit_tree_id(commit);
  git_tree* raw = nullptr;
  if (git_commit_tree(&raw, commit) != 0) return unreadable("the commit's tree");
  Tree root(raw);
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, root.get(), path.c_str()) != 0)
    return refuse(Refusal::no_folder,
                  fmt::format("there is no folder '{}' in this commit", printable(path)),
                  ErrorKind::not_found);
  Handle<git_tree_entry, git_tree_entry_free> entry(found);
  if (git_tree_entry_filemode(entry.get()) != GIT_FILEMODE_TREE)
    return refuse(Refusal::no_folder,
                  fmt::format("'{}' is no folder in this commit", printable(path)));
  return *git_tree_entry_id(entry.get());
}

}  // namespace

void Mirror::Close::operator()(git_repository* repository) const {
  git_repository_free(repository);
}

Result<Mirror> Mirror::open(const std::string& folder) {
  if (!library_ready()) return git_error("start libgit2");
  git_repository* raw = nullptr;
  int code = GIT_ENOTFOUND;
  std::error_code ignored;
  if (std::filesystem::exists(folder, ignored))
    code = git_repository_open_ext(
        &raw, folder.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
  if (code == GIT_EOWNER)
    return fail(
        ErrorKind::unauthorized,
        folder + " belongs to another user; run knock as that user, or name another folder");
  if (code == GIT_ENOTFOUND) {
    git_repository_init_options options;
    git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    options.flags =
        GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
    options.mode = GIT_REPOSITORY_INIT_SHARED_UMASK;
    code = git_repository_init_ext(&raw, folder.c_str(), &options);
  }
  if (code != 0)
    return git_error(
        fmt::format("{}: this is no usable mirror of the policy repository; remove it "
                    "and it is made anew",
                    folder));
  Mirror mirror(raw);
  KNOCK_CHECK(check_loose_objects(folder));
  return mirror;
}

Result<std::optional<std::string>> Mirror::commit_at(const std::string& ref) const {
  git_reference* raw = nullptr;
  int code = git_reference_lookup(&raw, repository_.get(), ref.c_str());
  if (code == GIT_ENOTFOUND) return std::nullopt;
  if (code != 0) return git_error("look up " + printable(ref));
  Reference reference(raw);
  git_object* peeled = nullptr;
  code = git_reference_peel(&peeled, reference.get(), GIT_OBJECT_COMMIT);
  // Two ways of saying that there is an object, and of another kind.
  bool other = code == GIT_EINVALIDSPEC || code == GIT_EPEEL;
  if (code != 0 && !other) return unreadable("the commit that " + printable(ref) + " leads to");
  if (code != 0)
    return refuse(Refusal::not_a_commit,
                  "the ref leads to no commit; name a branch, or a tag of a commit");
  Object object(peeled);
  return to_text(*git_object_id(object.get()));
}

Status Mirror::point(const std::string& ref, const std::string& commit) const {
  auto id = parse_id(commit);
  if (!id) return fail(ErrorKind::invalid, "not a commit id: " + printable(commit));
  // git_reference_create() would sign with the time of day in the machine's zone, and ask for that
  // zone on any thread; nobody reads who moved this ref.
  git_signature nobody{const_cast<char*>("knock"), const_cast<char*>("knock"), {0, 0, '+'}};
  // Left by a process that was killed between the two steps below; nobody else moves this ref,
  // because the caller holds our lock.
  std::error_code ignored;
  std::filesystem::remove(
      std::filesystem::path(git_repository_path(repository_.get())) / (ref + ".lock"), ignored);
  git_transaction* raw = nullptr;
  int code = git_transaction_new(&raw, repository_.get());
  Transaction move(raw);
  if (code == 0) code = git_transaction_lock_ref(raw, ref.c_str());
  if (code == 0) code = git_transaction_set_target(raw, ref.c_str(), &*id, &nobody, nullptr);
  KNOCK_FAILPOINT("git.before-point");
  if (code == 0) code = git_transaction_commit(raw);
  if (code != 0) return git_error("note the accepted commit");
  KNOCK_FAILPOINT("git.after-point");
  return {};
}

Result<bool> Mirror::leads_to(const std::string& older, const std::string& newer) const {
  auto from = find_commit(repository_.get(), older), to = find_commit(repository_.get(), newer);
  if (!from || !to) return false;
  if (older == newer) return true;
  int code = git_graph_descendant_of(repository_.get(), git_commit_id(to.get()),
                                     git_commit_id(from.get()));
  if (code < 0) return git_error("compare commits");
  return code == 1;
}

Result<PolicySnapshot> Mirror::snapshot(const std::string& commit, const std::string& path,
                                        const std::vector<PolicyFile>& known) const {
  auto found = find_commit(repository_.get(), commit);
  if (!found) return fail(ErrorKind::not_found, "there is no such commit: " + printable(commit));
  KNOCK_ASSIGN(git_oid root, tree_at(found.get(), path));
  TreeReader reader(repository_.get(), known);
  KNOCK_CHECK(reader.open());
  KNOCK_CHECK(reader.folder(root, "", 0));
  PolicySnapshot out;
  out.files = std::move(reader.files);
  KNOCK_CHECK(finish_policy_files(out.files));
  KNOCK_ASSIGN(auto origin, this->origin(commit));
  out.revision = origin.revision;
  out.author = fmt::format("{} <{}>", origin.name, origin.mail);
  out.subject = origin.subject;
  out.committed = origin.at;
  return out;
}

Result<LineOrigin> Mirror::origin(const std::string& commit) const {
  auto found = find_commit(repository_.get(), commit);
  if (!found) return fail(ErrorKind::not_found, "there is no such commit: " + printable(commit));
  const git_signature* author = git_commit_author(found.get());
  return LineOrigin{PolicyRevision(commit), bounded(author->name), bounded(author->email),
                    bounded(git_commit_summary(found.get())),
                    Instant::from_seconds(git_commit_time(found.get()))};
}

bool valid_ref(const std::string& name) {
  int valid = 0;
  return library_ready() && git_reference_name_is_valid(&valid, name.c_str()) == 0 && valid == 1 &&
         name.find('\0') == std::string::npos;
}

}  // namespace knock::git
