// SPDX-License-Identifier: Apache-2.0
// Kill -9 at every place of base/failpoint_table.cc, in every story that comes there: a controller
// and a firewall, both real. After a restart one pass has to put right whatever was half done:
// nothing is open without a grant, everything that was granted is open, what others put into the
// firewall is as they left it, and the log verifies. Writes docs/failpoints.md
// (KNOCK_UPDATE_GOLDEN=1), and otherwise compares it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/failpoint.h"
#include "base/text.h"
#include "tests/e2e/world.h"
#include "tests/support/failpoints.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

std::string policy(std::string_view to, std::string_view table = "knock") {
  return fmt::format(R"(knock: 1
groups:
  admins: {{idp: admins, from: [local]}}
services:
  ssh: {{ports: [tcp/2222], targets: [server]}}
  app: {{ports: [tcp/8443], targets: [server]}}
targets:
  server: {{type: nftables, table: {}, protect: true}}
allow:
  admins-in: {{who: [admins], to: [{}], ttl: 8h}}
)",
                     table, to);
}
const std::string kBoth = policy("ssh, app"), kOne = policy("ssh"),
                  kElsewhere = policy("ssh, app", "other"), kWrong = policy("no-such-service");

/// Nobody may pass, which a guard asks about.
std::string closing_policy() {
  auto text = kBoth;
  return text.substr(0, text.find("allow:"));
}

constexpr const char* kTheirs = "192.0.2.200";  // put into our table by somebody else

using Doors = std::set<std::pair<std::string, int>>;  // address, port

struct Story {
  const char* name;
  const char* what;                 // for docs/failpoints.md
  std::vector<const char*> places;  // that it comes to
  int nth = 1;                      // at which visit the process dies
  bool may_stay_closed = false;     // what was granted need not be open: somebody said no
  bool may_stay_open = false;       // what is not granted any more waits for somebody's yes
};

// Which places a story comes to is a claim: a place that is not reached fails.
const std::vector<Story>& stories() {
  static const std::vector<Story> all{
      {"first start",
       "the first start: a new store, no table",
       {"apply.after-commit",     "apply.after-ground",    "apply.before-commit",
        "apply.before-mark",      "apply.before-reply",    "ended-ids.after-place",
        "ended-ids.before-place", "ended-ids.before-sync", "git.after-fetch",
        "git.after-point",        "git.before-fetch",      "git.before-point",
        "loop.after-call",        "loop.after-intent",     "loop.after-observe",
        "loop.after-record",      "loop.before-call",      "loop.before-intent",
        "loop.before-observe",    "loop.before-record",    "policy.after-adopt",
        "policy.after-save",      "policy.before-save",    "store.after-commit",
        "store.after-create",     "store.after-migrate",   "store.before-begin",
        "store.before-commit",    "store.before-migrate"}},
      {"sign-in",
       "somebody is let in",
       {"apply.after-commit", "apply.before-commit", "apply.before-reply", "loop.after-call",
        "loop.after-intent", "loop.after-record", "loop.before-call", "loop.before-intent",
        "loop.before-record", "session.after-open", "session.before-open", "store.after-commit",
        "store.before-begin", "store.before-commit"}},
      {"sign-out",
       "a session is ended",
       {"apply.after-commit", "apply.before-commit", "apply.before-reply", "loop.after-call",
        "loop.after-intent", "loop.after-record", "loop.before-call", "loop.before-intent",
        "loop.before-record", "session.after-end", "session.before-end", "store.after-commit",
        "store.before-begin", "store.before-commit"}},
      {"policy",
       "a commit takes a door away from somebody who is in",
       {"apply.after-commit", "apply.before-commit", "apply.before-reply", "git.after-fetch",
        "git.after-point",    "git.before-fetch",    "git.before-point",   "loop.after-call",
        "loop.after-intent",  "loop.after-observe",  "loop.after-record",  "loop.before-call",
        "loop.before-intent", "loop.before-observe", "loop.before-record", "policy.after-adopt",
        "policy.after-save",  "policy.before-save",  "store.after-commit", "store.before-begin",
        "store.before-commit"}},
      {"expiry",
       "a session runs out",
       {"store.after-commit", "store.before-begin", "store.before-commit", "timer.after-expiry",
        "timer.before-expiry"}},
      {"shared",
       "a reading shows that an entry serves one session more",
       {"loop.after-settle", "loop.before-settle"}},
      {"lost answer",
       "after a call whose answer was lost",
       {"loop.after-answered", "loop.before-answered"}},
      {"failed call", "a call fails", {"loop.after-rejected", "loop.before-rejected"}},
      {"other table",
       "a commit moves the target to another table",
       {"loop.after-moved", "loop.before-moved"}},
      {"no by hand",
       "somebody removes an entry for the second time",
       {"loop.after-drift", "loop.before-drift"},
       1,
       true},
      {"guard",
       "somebody says yes to what a guard holds back",
       {"guard.after-acknowledge", "guard.before-acknowledge"},
       1,
       false,
       true},
      {"saved plan",
       "a plan is saved, and applied",
       {"plan-key.after-place", "plan-key.before-place", "plan.after-use", "plan.before-use"}},
      {"bad commit", "a commit is refused", {"policy.after-refuse", "policy.before-refuse"}},
      {"advance", "somebody says which commit", {"policy.after-advance", "policy.before-advance"}},
      {"full disk",
       "a session is ended, and the log takes nothing",
       {"ended-ids.after-keep", "ended-ids.before-keep"}},
      {"room again",
       "the first start at which the log takes that end",
       {"ended-ids.after-forget", "ended-ids.before-forget"}},
      {"busy log",
       "a session is ended, and the log takes it at the second try",
       {"timer.after-late-end", "timer.before-late-end"}},
      {"sweep",
       "`knock sweep` closes what ran out, without a controller",
       {"sweep.after-remove", "sweep.before-remove", "sweep.before-stamp"}},
      {"large write",
       "the write-ahead log is full",
       {"store.after-checkpoint", "store.before-checkpoint"}},
  };
  return all;
}

struct Row {
  std::string place, story, died, end;
  Duration back;     // from the restart until everything was as it must be
  Duration exposed;  // at most: from the story's beginning until what had to close was seen closed
};

int failures_so_far() {
  return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

/// One installation in a world of its own, used again for one cell after the other.
class Cells {
 public:
  Cells() {
    WorldSettings settings;
    settings.oidc = false;
    settings.policy = kBoth;
    settings.failpoints = failpoints_.path();
    world_ = std::make_unique<World>(settings);
    auto file = knock().folder() + "/knock.yaml";
    auto text = read_file(file);
    text.replace(text.find("poll: 1s"), 8, "poll: 1h");  // a commit is looked at when we say so
    write_file(file, text);
    world_->server.nft(
        "table inet canary {\n set s {\n  type ipv4_addr\n  elements = { 192.0.2.1 comment "
        "\"knock:1:00c0ffee00c0ff00:0000000001:0000000000000001\" }\n }\n}\n");
    canary_ = world_->server.command({"nft", "list", "table", "inet", "canary"});
  }

  Row run(const Story& story, const char* place) {
    SCOPED_TRACE(fmt::format("{} in the story {}", place, story.name));
    auto failures = failures_so_far();
    prepare(story.name, place);
    failpoints_.crash_at(place, story.nth);
    auto acted = wall_now();
    act(story.name);
    bool died = failpoints_.reached_within(place, Duration::seconds(8));
    EXPECT_TRUE(died) << "nobody came there";
    if (!died) report();
    // A role that core makes anew is not core itself: then the rest is killed here.
    if (knock().running() && knock().wait_for_end(Duration{300}) < 0) knock().kill_all();
    auto part = std::string_view(place).substr(0, std::string_view(place).find('.'));
    auto who = part == "apply" || part == "sweep" ? std::string(part) : "core";
    failpoints_.disarm();
    if (part == "sweep") {
      auto swept = sweep();
      EXPECT_EQ(swept.exit_code, 0) << swept.err;
      EXPECT_FALSE(doors().contains({kBob, kSsh})) << world_->table();
    }
    expect_no_half_open(story);
    auto begun = wall_now();
    knock().start();
    settle();
    auto end = expect_good(story);
    if (failures_so_far() != failures) report();
    Row row{place, story.name, who, end, wall_now() - begun, wall_now() - acted};
    tidy(story.name);
    return row;
  }

 private:
  Installation& knock() { return *world_->knock; }

  void report() {
    std::fprintf(stderr, "%s\n", knock().log().c_str());
    if (knock().running()) std::fprintf(stderr, "%s\n", knock().knock({"status"}).out.c_str());
  }

  // ---------------------------------------------------------------- before

  void prepare(std::string_view story, std::string_view place) {
    failpoints_.disarm();
    if (story == "first start") {
      knock().kill_all();
      fs::remove_all(knock().state_folder());
      fs::create_directories(knock().state_folder());
      remove_table("knock");
      theirs_ = false;
      return;
    }
    ready();
    if (story == "sign-in" || story == "bad commit" || story == "advance" ||
        story == "large write" || story == "failed call" || story == "saved plan") {
      if (story == "failed call")
        failpoints_.fail_at("loop.after-call", ErrorKind::unavailable, false);
      if (place.starts_with("plan-key.")) fs::remove(knock().state_folder() + "/plan-key");
      if (story == "saved plan") knock().change_policy(kOne, "one door less");
      saved_ = place.starts_with("plan.") && save_plan();
      return;
    }
    alice_ = grant("alice", kAlice, story == "expiry" ? "2s" : "1h");
    ASSERT_FALSE(alice_.empty());
    ASSERT_TRUE(eventually([&] { return doors().contains({kAlice, kSsh}); })) << world_->table();
    if (story == "sweep") {
      knock().kill_all();
      world_->server.nft(
          fmt::format("add element inet knock {} {{ {} comment "
                      "\"knock:1:00c0ffee00c0ffee:0000000001:0000000000000001\" }}\n",
                      set_of("ssh"), kBob));
    } else if (story == "lost answer") {
      failpoints_.crash_at("loop.after-call");
      (void)grant("bob", kBob, "1h");
      ASSERT_TRUE(failpoints_.reached_within("loop.after-call", Duration::seconds(5)));
      knock().wait_for_end(Duration::seconds(3));
      failpoints_.disarm();
    } else if (story == "no by hand") {
      take_away(kAlice);
      ASSERT_TRUE(eventually([&] { return doors().contains({kAlice, kSsh}); })) << "not put back";
      settle();
    } else if (story == "guard") {
      knock().change_policy(closing_policy(), "nobody passes");
      look();
      ASSERT_TRUE(eventually([&] { return ask("/targets/0/held") != "0"; })) << ask("");
    } else if (story == "full disk" || story == "room again") {
      failpoints_.fail_at("store.before-commit");
      if (story == "full disk") return;
      end();
      knock().kill_all();
      failpoints_.disarm();
    } else if (story == "busy log") {
      failpoints_.fail_at("store.before-begin", ErrorKind::conflict);
    }
  }

  /// Runs, follows kBoth, nobody is in, and somebody else has an element in our set.
  void ready() {
    if (!knock().running()) knock().start();
    if (current_ != kBoth) change(kBoth);
    settle();
    for (const auto& [id, address] : sessions()) knock().knock({"session", "revoke", id});
    EXPECT_TRUE(eventually([&] { return doors().empty(); })) << world_->table();
    if (!theirs_) {
      world_->server.nft(
          fmt::format("add element inet knock {} {{ {} }}\n", set_of("ssh"), kTheirs));
      theirs_ = true;
    }
    settle();
  }

  static std::string set_of(const std::string& service) { return "svc_" + service + "_h4"; }

  void change(const std::string& text) {
    knock().change_policy(text);
    current_ = text;
    look();
    auto head = knock().git({"rev-parse", "HEAD"});
    EXPECT_TRUE(eventually([&] { return ask("/policy/revision") == head; })) << ask("/policy");
  }
  void look() { send_signal(knock().pid(), SIGHUP); }

  std::string grant(const std::string& user, const std::string& from, const std::string& ttl) {
    auto done = knock().knock({"--json", "session", "grant", user, "--from", from, "--ttl", ttl,
                               "--group", "admins", "--reason", "a test"});
    return json_at(done.out, "/session/id");
  }
  void end() { (void)knock().knock({"session", "revoke", alice_}); }
  std::string plan_file() { return knock().folder() + "/saved.plan"; }
  bool save_plan() {
    fs::remove(plan_file());
    return knock().knock({"plan", "--out", plan_file()}).exit_code == 0;
  }
  net::Finished sweep() {
    return knock().knock({"sweep", "--owner", "00c0ffee00c0ffee", "--target", "nftables:knock",
                          "--stamp", knock().folder() + "/stamp"});
  }
  void take_away(const std::string& address) {
    world_->server.nft(
        fmt::format("delete element inet knock {} {{ {} }}\n", set_of("ssh"), address));
  }
  void remove_table(const std::string& name) {
    world_->server.nft(fmt::format("add table inet {0}\ndelete table inet {0}\n", name));
  }

  // ---------------------------------------------------------------- what is cut short

  void act(std::string_view story) {
    if (story == "first start" || story == "lost answer" || story == "room again") {
      try {
        knock().start();
      } catch (const std::exception&) {  // it died before it listened
      }
    } else if (story == "sign-in" || story == "failed call") {
      alice_ = grant("alice", kAlice, "1h");
    } else if (story == "sign-out" || story == "full disk" || story == "busy log") {
      end();
      // Something that runs out wakes the timer.
      if (story == "busy log") {
        failpoints_.disarm("store.before-begin");
        (void)grant("bob", kBob, "1s");
      }
    } else if (story == "shared") {
      (void)grant("bob", kAlice, "30m");
      world_->server.nft(
          fmt::format("add element inet knock {0} {{ 192.0.2.201 }}\n"
                      "delete element inet knock {0} {{ 192.0.2.201 }}\n",
                      set_of("ssh")));
    } else if (story == "policy" || story == "other table" || story == "bad commit") {
      current_ = story == "policy" ? kOne : story == "bad commit" ? kWrong : kElsewhere;
      knock().change_policy(current_);
      look();
    } else if (story == "large write") {
      current_ = kBoth + "\n# large\n";
      for (int i = 0; i < 5; ++i)
        write_file(knock().policy_folder() + fmt::format("/note{}.yaml", i),
                   "knock: 1\n" + std::string(900'000, '#') + "\n");
      knock().change_policy(current_);
      look();
    } else if (story == "no by hand") {
      take_away(kAlice);
    } else if (story == "guard") {
      auto id = json_at(knock().knock({"--json", "plan"}).out, "/id");
      (void)knock().knock({"apply", "--auto-approve", "--ack", id});
    } else if (story == "saved plan") {
      if (!saved_) saved_ = save_plan();
      if (saved_) (void)knock().knock({"apply", plan_file()});
    } else if (story == "sweep") {
      (void)sweep();
    } else if (story == "advance") {
      (void)knock().knock({"advance", "--reason", "a test"});
    }
  }

  // ---------------------------------------------------------------- after

  std::string ask(const std::string& pointer) { return knock().ask({"status"}, pointer); }

  void settle() {
    EXPECT_TRUE(eventually(
        [&] {
          auto status = knock().knock({"--json", "status"}).out;
          return json_at(status, "/targets/0/conditions").find("Synced") != std::string::npos &&
                 json_at(status, "/targets/0/last_full_read") != "null" &&
                 !json_at(status, "/policy/revision").empty();
        },
        Duration::seconds(10)))
        << ask("") << knock().log();
  }

  /// id → address, by the log.
  std::map<std::string, std::string> sessions() {
    std::map<std::string, std::string> out;
    auto text = knock().knock({"--json", "session", "list"}).out;
    for (int i = 0; !json_at(text, fmt::format("/sessions/{}/id", i)).empty(); ++i)
      out[json_at(text, fmt::format("/sessions/{}/id", i))] =
          json_at(text, fmt::format("/sessions/{}/address", i));
    return out;
  }

  /// Our own elements, by the kernel; and whether theirs is there.
  Doors doors(bool* theirs = nullptr) {
    Doors out;
    for (const char* table : {"knock", "other"}) {
      auto done = run_in(world_->server, {"nft", "-j", "list", "table", "inet", table});
      if (done.exit_code != 0) continue;
      auto json = boost::json::parse(done.out);
      for (const auto& item : json.at("nftables").as_array()) {
        const auto* set = item.as_object().if_contains("set");
        if (set == nullptr || !set->as_object().contains("elem")) continue;
        auto name = std::string(set->at("name").as_string());
        for (const auto& element : set->at("elem").as_array()) {
          if (!element.is_object() || !element.as_object().contains("elem")) {
            if (theirs != nullptr && element.is_string() && element.as_string() == kTheirs)
              *theirs = true;
            continue;
          }
          const auto& one = element.at("elem").as_object();
          if (!one.contains("comment") || !one.at("val").is_string()) continue;
          out.emplace(std::string(one.at("val").as_string()),
                      name.find("ssh") != name.npos ? kSsh : kApp);
        }
      }
    }
    return out;
  }

  /// While nobody is there: no entry without an end of its own, and none longer than the grant.
  void expect_no_half_open(const Story& story) {
    for (const auto& [address, port] : doors())
      EXPECT_TRUE(address == kAlice || address == kBob) << address << " in " << story.name;
  }

  /// What must be open by the log and the policy in force.
  Doors granted() {
    Doors out;
    auto revision = ask("/policy/revision");
    auto text = knock().git({"show", revision + ":main.yaml"});
    for (const auto& [id, address] : sessions()) {
      if (text.find("to: [ssh") != text.npos) out.emplace(address, kSsh);
      if (text.find(", app]") != text.npos) out.emplace(address, kApp);
    }
    return out;
  }

  std::string expect_good(const Story& story) {
    if (std::string_view(story.name) == "busy log")
      EXPECT_TRUE(eventually([&] { return sessions().empty() && doors().empty(); }));
    Doors want, have;
    bool theirs = false;
    // A start goes on with the policy of before, and looks for a newer one a moment later.
    (void)eventually(
        [&] {
          want = granted();
          have = doors(&theirs);
          return want == have || story.may_stay_closed || story.may_stay_open;
        },
        Duration::seconds(3));
    for (const auto& [address, port] : have)
      EXPECT_TRUE(want.contains({address, port}) || story.may_stay_open)
          << address << " has " << port << " without a grant\n"
          << world_->table();
    if (!story.may_stay_closed && !story.may_stay_open)
      EXPECT_EQ(have, want) << world_->table() << ask("");
    if (theirs_ && std::string_view(story.name) != "other table")
      EXPECT_TRUE(theirs) << "somebody else's element is gone\n" << world_->table();
    EXPECT_EQ(world_->server.command({"nft", "list", "table", "inet", "canary"}), canary_);
    // What the stranger outside sees agrees; at once, because a closed door takes its time.
    std::vector<std::future<void>> looks;
    for (const char* address : {kAlice, kBob, kStranger}) {
      if (address == kAlice && story.may_stay_open) continue;  // closes at any moment
      looks.push_back(std::async(std::launch::async, [this, address, &have, &story] {
        // A machine with all its processors busy answers late now and then.
        bool good = have.contains({address, kSsh}) ? world_->opens(address, kSsh)
                                                   : world_->closes(address, kSsh);
        EXPECT_TRUE(good) << address << " finds it otherwise than the kernel's list says, in "
                          << story.name << "\n"
                          << world_->table() << world_->records();
      }));
    }
    for (auto& look : looks) look.get();
    auto checked = knock().knock({"audit", "verify"});
    EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
    if (!story.may_stay_closed && !story.may_stay_open) {
      auto plan = knock().knock({"plan", "--detailed-exitcode"});
      // The former table is known again after the crash, and emptying it waits for somebody's yes.
      bool former = std::string_view(story.name) == "other table" &&
                    plan.out.find("(former place)") != std::string::npos &&
                    plan.out.find("held back until somebody acknowledges it") != std::string::npos;
      EXPECT_TRUE(plan.exit_code == 0 || former || current_ == kWrong ||
                  ask("/policy/waiting") != "null")
          << plan.out << plan.err;
    }
    std::string out;
    for (const auto& [address, port] : have)
      out += fmt::format("{}{} on {}", out.empty() ? "" : ", ", address == kAlice ? "alice" : "bob",
                         port == kSsh ? "ssh" : "app");
    return out.empty() ? "closed" : out;
  }

  void tidy(std::string_view story) {
    if (story == "guard" || story == "bad commit" || story == "saved plan" ||
        story == "other table" || story == "large write")
      current_.clear();  // ready() goes back to kBoth
    if (story == "large write")
      for (int i = 0; i < 5; ++i)
        fs::remove(knock().policy_folder() + fmt::format("/note{}.yaml", i));
    if (story == "other table") {
      change(kBoth);
      settle();
      // A place that a target has left keeps what it has, its drops among it: somebody has to remove
      // the table. This one would keep shut what later stories open.
      remove_table("other");
      theirs_ = doors_theirs();
    }
  }
  bool doors_theirs() {
    bool theirs = false;
    (void)doors(&theirs);
    return theirs;
  }

  Failpoints failpoints_;
  std::unique_ptr<World> world_;
  std::string alice_, canary_, current_ = kBoth;
  bool theirs_ = false, saved_ = false;
};

std::string stories_of(std::string_view place) {
  std::string out;
  for (const Story& story : stories())
    if (std::find(story.places.begin(), story.places.end(), place) != story.places.end())
      out += (out.empty() ? "" : ", ") + std::string(story.name);
  return out;
}

std::string seconds(Duration time) { return fmt::format("{:.1f} s", double(time.ms) / 1000); }

/// docs/failpoints.md: what stays the same from run to run, and two columns that were measured.
std::string page(const std::vector<Row>& rows) {
  std::string out =
      "# Kill -9 at every place\n\n"
      "Written by `tests/e2e/kill_matrix_test.cc` (`KNOCK_UPDATE_GOLDEN=1`); the test compares "
      "everything but the measured columns.\n\n"
      "A place is a point around an effect: an append to the log, a call to a target, a write to a "
      "disk (`base/failpoint_table.cc` has them all, and a\ntest that none is missing). In each "
      "story that comes there the process is killed at that point, and started again. After one "
      "pass, in every cell:\nnothing is open without a grant, everything that is granted is open, "
      "other people's tables and their elements in ours are as they were, a plan is\nempty, and "
      "`knock audit verify` finds nothing.\n\n"
      "`back`: from the new start until all of that was seen. `exposed`: from the beginning of the "
      "story until what had to close was seen closed, the time\nin which nothing ran and the "
      "test's own looks included. Without a new start an entry stays until its own deadline, which "
      "the kernel keeps: see\n[dead-controller.md](dead-controller.md).\n\n"
      "## Stories\n\n| story | is |\n|---|---|\n";
  for (const Story& story : stories()) out += fmt::format("| {} | {} |\n", story.name, story.what);
  out +=
      "\n## Places\n\n| place | what has happened by then | dies | stories | back, at most | "
      "exposed, at most |\n|---|---|---|---|---|---|\n";
  for (const auto& place : failpoint::all()) {
    Duration back{0}, exposed{0};
    std::string died;
    for (const Row& row : rows) {
      if (row.place != place.name) continue;
      back = std::max(back, row.back);
      died = row.died;
      // Where nothing had to close, nothing was exposed.
      for (const char* closing : {"sign-out", "policy", "expiry", "full disk", "busy log"})
        if (row.story == closing) exposed = std::max(exposed, row.exposed);
    }
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", place.name, place.before, died,
                       stories_of(place.name), seconds(back),
                       exposed == Duration{0} ? "nothing" : seconds(exposed));
  }
  return out;
}

/// Without the last two columns of each row.
std::string stable(const std::string& page) {
  std::string out;
  for (auto line : split(page, '\n')) {
    std::string text(line);
    if (text.starts_with("| `"))
      for (int cut = 0; cut < 3; ++cut) text.erase(text.rfind('|'));
    out += text + "\n";
  }
  return out;
}

TEST(KillMatrix, EveryPlaceIsInAStory) {
  std::set<std::string_view> in_stories;
  for (const Story& story : stories())
    for (const char* place : story.places) in_stories.insert(place);
  for (const auto& place : failpoint::all())
    EXPECT_TRUE(in_stories.contains(place.name)) << place.name << " is never crashed at";
}

TEST(KillMatrix, OnePassPutsRightWhatWasCutShortAnywhere) {
  KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
  std::vector<std::pair<const Story*, const char*>> cells;
  const char* only = std::getenv("KNOCK_KILL_MATRIX_ONLY");  // a story, or a place
  for (const Story& story : stories())
    for (const char* place : story.places)
      if (only == nullptr || std::string_view(only) == story.name ||
          std::string_view(only) == place)
        cells.emplace_back(&story, place);
  constexpr int kWorlds = 3;
  std::mutex mutex;
  std::size_t next = 0;
  std::vector<Row> rows;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWorlds; ++i)
    threads.emplace_back([&] {
      std::unique_ptr<Cells> world;
      for (;;) {
        std::pair<const Story*, const char*> cell;
        {
          std::lock_guard lock(mutex);
          if (next == cells.size()) return;
          cell = cells[next++];
        }
        if (!world) world = std::make_unique<Cells>();
        auto failures = failures_so_far();
        auto row = world->run(*cell.first, cell.second);
        // What one cell leaves broken must not be blamed on the next.
        if (failures_so_far() != failures) world.reset();
        std::lock_guard lock(mutex);
        rows.push_back(std::move(row));
      }
    });
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(rows.size(), cells.size());
  for (const Row& row : rows)
    std::printf("%-24s %-14s %-6s %-28s %5lld ms\n", row.place.c_str(), row.story.c_str(),
                row.died.c_str(), row.end.c_str(), static_cast<long long>(row.back.ms));
  if (only != nullptr) return;
  auto file = source_dir() + "/docs/failpoints.md";
  if (std::getenv("KNOCK_UPDATE_GOLDEN") != nullptr) write_file(file, page(rows));
  EXPECT_EQ(stable(read_file(file)), stable(page(rows)))
      << "KNOCK_UPDATE_GOLDEN=1 writes it anew; look at what changed";
}

}  // namespace
}  // namespace knock::test
