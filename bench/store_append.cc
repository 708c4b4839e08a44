// SPDX-License-Identifier: Apache-2.0
// What the audit record costs before a door opens: append() of the store (a session that opened and
// the change it intends: two records, chained, committed for the person, and projected) beside a
// transaction of two rows with the same texts through SQLite alone. Both write to the same folder
// with a write-ahead log and synchronous=FULL, and take turns, so that the disk is the same for
// both. The number of rounds may be given as argument.
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "store/sqlite/sqlite_store.h"

namespace {

using namespace knock;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr int kWarmUp = 200;
constexpr Instant kStart = Instant::from_seconds(1'795'000'000);

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "store_append: {}\n", why);
  std::exit(1);
}

/// Where the build is, because /tmp is often no disk.
class Folder {
 public:
  Folder() {
    const char* build = std::getenv("KNOCK_BINARY_DIR");
    path_ = fs::path(build != nullptr      ? build
                     : fs::exists("build") ? "build"
                                           : ".") /
            fmt::format("store-append-{}", ::getpid());
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string file(const char* name) const { return (path_ / name).string(); }
  std::uint64_t kind() const {
    struct statfs about{};
    return ::statfs(path_.c_str(), &about) == 0 ? std::uint64_t(about.f_type) : 0;
  }

 private:
  fs::path path_;
};

std::array<Fact, 2> facts_of(int round) {
  Session session;
  session.id = SessionId(fmt::format("{:064x}", round));
  session.principal = {"https://idp.example", fmt::format("user{}", round % 500), "Dora Example"};
  session.source = SignInName("company");
  session.proof = Proof::oidc;
  session.groups = {"dba", "web"};
  session.address = IpAddress::v4(0xCB007100u + unsigned(round % 250));
  session.created = session.authenticated = kStart + Duration::seconds(round);
  session.expires = session.created + Duration::minutes(60);
  Change change;
  change.action = Action::add;
  change.reason = Reason::sign_in;
  change.step = Step::open;
  change.slot = "payroll";
  change.ports = {*PortRange::parse("tcp/443")};
  change.prefix = Prefix::host(session.address);
  change.until = session.expires;
  change.causes = {{Attribution::Kind::session, session.id, session.principal.subject,
                    ServiceName("payroll"), RuleName("contractors"), session.expires}};
  return {SessionOpened{session}, ChangeIntended{std::uint64_t(round) + 1, TargetName("edge"),
                                                 PolicyRevision("8d01b7e"), change}};
}

/// Two rows and a commit; what SQLite itself costs.
class Bare {
 public:
  explicit Bare(const std::string& path) {
    sqlite3* opened = nullptr;
    if (sqlite3_open(path.c_str(), &opened) != SQLITE_OK) give_up("SQLite cannot open " + path);
    database_.reset(opened);
    run("PRAGMA journal_mode = WAL");
    run("PRAGMA synchronous = FULL");
    run("CREATE TABLE log(seq INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT");
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(opened, "INSERT INTO log(text) VALUES(?)", -1, &statement, nullptr) !=
        SQLITE_OK)
      give_up(sqlite3_errmsg(opened));
    insert_.reset(statement);
  }
  void write(const std::array<std::string, 2>& texts) {
    run("BEGIN IMMEDIATE");
    for (const auto& text : texts) {
      sqlite3_bind_text(insert_.get(), 1, text.data(), int(text.size()), SQLITE_STATIC);
      if (sqlite3_step(insert_.get()) != SQLITE_DONE) give_up(sqlite3_errmsg(database_.get()));
      sqlite3_reset(insert_.get());
    }
    run("COMMIT");
  }

 private:
  void run(const char* sql) {
    if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      give_up(std::string(sql) + ": " + sqlite3_errmsg(database_.get()));
  }
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3, Close> database_;
  std::unique_ptr<sqlite3_stmt, Close> insert_;
};

template <class Work>
double micros(const Work& work) {
  auto start = Clock::now();
  work();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double quantile(std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1, std::size_t(double(sorted.size()) * share))];
}

double print_row(const char* name, std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  auto middle = quantile(times, 0.5);
  fmt::print("{:<44} {:>8.0f} {:>8.0f} {:>8.0f}\n", name, middle, quantile(times, 0.9),
             quantile(times, 0.99));
  return middle;
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = argc > 1 ? std::atoi(argv[1]) : 0;
  if (rounds < 1) rounds = 2000;
  Folder folder;
  SystemRandom random;
  auto store = open_sqlite(folder.file("facts.db"), SqliteMode::create_or_open, random);
  if (!store) give_up(store.error().text());
  Bare bare(folder.file("bare.db"));

  std::vector<double> ours, theirs;
  for (int round = 0; round < kWarmUp + rounds; ++round) {
    auto facts = facts_of(round);
    std::array<std::string, 2> texts;
    for (std::size_t i = 0; i < facts.size(); ++i) {
      auto encoded = encode(facts[i]);
      texts[i] = encoded.public_json + encoded.personal_json;
    }
    auto at = kStart + Duration::seconds(round);
    auto append = micros([&] {
      if (auto done = (*store)->append("core", at, facts); !done) give_up(done.error().text());
    });
    auto commit = micros([&] { bare.write(texts); });
    if (round < kWarmUp) continue;
    ours.push_back(append);
    theirs.push_back(commit);
  }

  fmt::print("{} rounds after {} to warm up, file system type {:#x}, SQLite {}; microseconds\n",
             rounds, kWarmUp, folder.kind(), sqlite3_libversion());
  fmt::print("{:<44} {:>8} {:>8} {:>8}\n", "", "p50", "p90", "p99");
  auto ours_middle = print_row("append() of two facts", ours);
  auto theirs_middle = print_row("two rows and a commit with SQLite alone", theirs);
  fmt::print("{:<44} {:>8.2f}\n", "append() is so many times the bare commit",
             ours_middle / theirs_middle);
}
