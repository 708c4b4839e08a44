// SPDX-License-Identifier: Apache-2.0
// Local accounts. The password is hashed here: neither the socket nor the controller sees it.
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "reconciler/core/source_suspect.h"
#include "server/admin/json.h"
#include "sso/password.h"

namespace knock::cli {
namespace {

constexpr std::size_t kShortestPassword = 12;

struct UserFlags {
  std::string user, name;
  std::vector<std::string> groups;
  bool password_stdin = false;
};

/// Without echo on a terminal.
Result<Secret> ask_password(std::string_view prompt) {
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0)
    return fail(ErrorKind::invalid, "no terminal to ask for a password; use --password-stdin");
  termios silent = before;
  silent.c_lflag &= ~tcflag_t(ECHO);
  fmt::print(stderr, "{}", prompt);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::string line;
  bool read = bool(std::getline(std::cin, line));
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  fmt::print(stderr, "\n");
  if (!read) return fail(ErrorKind::invalid, "no password was given");
  return Secret(std::move(line));
}

Result<std::string> new_hash(const UserFlags& flags) {
  Secret password;
  if (flags.password_stdin) {
    std::string line;
    if (!std::getline(std::cin, line))
      return fail(ErrorKind::invalid, "standard input holds no password");
    password = Secret(std::move(line));
  } else {
    KNOCK_ASSIGN(password,
                 ask_password(fmt::format("New password for {}: ", printable(flags.user))));
    KNOCK_ASSIGN(auto again, ask_password("Once more: "));
    if (!again.equals(password.reveal()))
      return fail(ErrorKind::invalid, "the two differ; nothing was changed");
  }
  if (password.reveal().size() < kShortestPassword)
    return fail(ErrorKind::invalid,
                fmt::format("a password has at least {} characters; a few random words do",
                            kShortestPassword));
  return sso::hash_password(password);
}

/// Where accounts are: at a running controller, or else in the store itself.
struct Place {
  AdminClient client;
  bool remote;
  SystemRandom random;
  std::optional<Config> config;
  std::unique_ptr<FactStore> store;
};

Result<std::unique_ptr<Place>> open_place(const Global& global, bool writing) {
  auto client = AdminClient::of(global);
  bool remote = client.reachable();
  auto place = std::unique_ptr<Place>(new Place{std::move(client), remote, {}, {}, {}});
  if (remote) return place;
  place->config = read_config(global);
  if (!place->config)
    return fail(ErrorKind::invalid, "without a running controller, its configuration is needed");
  KNOCK_ASSIGN(place->store, open_store(*place->config, writing, place->random));
  return place;
}

/// Without a controller: whoever is signed in by the account has its groups from the next start on.
Status regroup(FactStore& store, const Account& account) {
  auto now = SystemClock().now();
  KNOCK_ASSIGN(auto live, store.live_sessions(now));
  std::vector<Session> local;
  std::vector<GroupsSaid> said;
  for (Session& session : live)
    if (session.proof == Proof::local &&
        session.principal == Principal{"local", account.user, ""}) {
      said.push_back({session.id, account.groups});
      local.push_back(std::move(session));
    }
  auto outcome = SourceSuspect().refreshed(SignInName("local"), local, said, now, true);
  std::vector<Fact> facts(outcome.sessions.begin(), outcome.sessions.end());
  if (facts.empty()) return {};
  auto written = store.append(fmt::format("cli uid={}", getuid()), now, facts);
  if (!written) return fail(std::move(written.error()));
  return {};
}

int save(const Global& global, const UserFlags& flags, const std::string& what,
         bool with_password) {
  std::string hash;
  if (with_password) {
    auto made = new_hash(flags);
    if (!made) return fail_with(made.error());
    hash = *made;
  }
  auto place = open_place(global, true);
  if (!place) return fail_with(place.error());
  if ((*place)->remote) {
    boost::json::object body{{"user", flags.user}, {"what", what}};
    if (!flags.name.empty()) body["name"] = flags.name;
    if (!hash.empty()) body["password_hash"] = hash;
    if (what != "password") {
      boost::json::array groups;
      for (const auto& group : flags.groups) groups.emplace_back(group);
      body["groups"] = std::move(groups);
    }
    if (auto saved = (*place)->client.post("/api/v1/users", body); !saved)
      return fail_with(kError, saved.error().text());
  } else {
    FactStore& store = *(*place)->store;
    auto before = store.account(flags.user);
    if (!before) return fail_with(before.error());
    if (what == "add" && *before)
      return fail_with(
          kError,
          fmt::format(
              "there is already a local account {}; to change its password: knock user passwd {}",
              printable(flags.user), printable(flags.user)));
    if (what != "add" && !*before)
      return fail_with(kError, "there is no local account " + printable(flags.user));
    Account account = *before ? **before : Account{};
    account.user = flags.user;
    if (!flags.name.empty()) account.name = flags.name;
    if (what != "password") account.groups = flags.groups;
    std::sort(account.groups.begin(), account.groups.end());
    if (!hash.empty()) account.password_hash = Secret(hash);
    auto saved =
        store.save_account(fmt::format("cli uid={}", getuid()), SystemClock().now(), account, what);
    if (!saved) return fail_with(saved.error());
    if (what == "groups")
      if (auto followed = regroup(store, account); !followed) return fail_with(followed.error());
  }
  print(what == "add" ? fmt::format("Account {} is ready.\n", printable(flags.user))
        : what == "groups"
            ? fmt::format("{} is in {}, and so are the sessions of that account.\n",
                          printable(flags.user),
                          flags.groups.empty() ? "no group" : printable(join(flags.groups, ", ")))
            : fmt::format("The password of {} is changed.\n", printable(flags.user)));
  return kDone;
}

int list_users(const Global& global) {
  auto place = open_place(global, false);
  if (!place) return fail_with(place.error());
  std::string text_body;
  if ((*place)->remote) {
    auto body = (*place)->client.get_text("/api/v1/users");
    if (!body) return fail_with(body.error());
    text_body = *body;
  } else {
    auto accounts = (*place)->store->accounts();
    if (!accounts) return fail_with(accounts.error());
    text_body = accounts_json(*accounts);
  }
  if (global.json) {
    print(text_body);
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{{"USER", "NAME", "GROUPS", "STATE"}};
  auto answer = boost::json::parse(text_body);
  for (const auto& user : list(answer, "users")) {
    std::vector<std::string> groups;
    for (const auto& group : list(user, "groups"))
      groups.push_back(printable(std::string_view(group.as_string())));
    rows.push_back({text(user, "user"), text(user, "name"), join(groups, ", "),
                    truth(user, "disabled") ? "disabled" : "active"});
  }
  print(rows.size() == 1
            ? std::string("There are no local accounts; `knock user add NAME` makes one.\n")
            : table(rows));
  return kDone;
}

int remove(const Global& global, const std::string& user) {
  auto place = open_place(global, true);
  if (!place) return fail_with(place.error());
  if ((*place)->remote) {
    if (auto done = (*place)->client.post("/api/v1/users/remove", {{"user", user}}); !done)
      return fail_with(kError, done.error().text());
  } else if (auto done = (*place)->store->remove_account(fmt::format("cli uid={}", getuid()),
                                                         SystemClock().now(), user);
             !done) {
    return fail_with(done.error());
  }
  print(fmt::format("Account {} is removed, and its sessions are ended.\n", printable(user)));
  return kDone;
}

}  // namespace

void add_user(Commands& commands) {
  auto* user = commands.add(commands.app, "user", "Local accounts", "knock user list");
  user->require_subcommand(1);
  auto flags = std::make_shared<UserFlags>();

  auto* add = commands.add(*user, "add", "A new account",
                           "knock user add ana --name \"Ana Prado\" --group admins");
  add->add_option("user", flags->user, "The name to sign in with")->required();
  add->add_option("--name", flags->name, "The person's name, for screens and logs");
  add->add_option("--group,--groups", flags->groups, "A group; repeatable, or comma-separated")
      ->delimiter(',');
  add->add_flag("--password-stdin", flags->password_stdin, "Read the password from standard input");
  commands.run(add, [&commands, flags] { return save(commands.global, *flags, "add", true); });

  auto* passwd = commands.add(*user, "passwd", "Another password", "knock user passwd ana");
  passwd->add_option("user", flags->user, "Whose")->required();
  passwd->add_flag("--password-stdin", flags->password_stdin,
                   "Read the password from standard input");
  commands.run(passwd,
               [&commands, flags] { return save(commands.global, *flags, "password", true); });

  auto* groups = commands.add(*user, "groups",
                              "The groups of an account; what they gave to its sessions follows at "
                              "once",
                              "knock user groups ana --group admins,dba");
  groups->add_option("user", flags->user, "Whose")->required();
  groups
      ->add_option("--group,--groups", flags->groups,
                   "All groups from now on; repeatable, or comma-separated; none: no group")
      ->delimiter(',');
  commands.run(groups,
               [&commands, flags] { return save(commands.global, *flags, "groups", false); });

  auto* show = commands.add(*user, "list", "Accounts", "knock user list --json");
  commands.run(show, [&commands] { return list_users(commands.global); });

  auto* gone = commands.add(*user, "remove", "Removes an account and ends its sessions",
                            "knock user remove ana");
  gone->add_option("user", flags->user, "Whose")->required();
  commands.run(gone, [&commands, flags] { return remove(commands.global, flags->user); });
}

}  // namespace knock::cli
