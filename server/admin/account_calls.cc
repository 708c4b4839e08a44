// SPDX-License-Identifier: Apache-2.0
// Local accounts.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/role/front.h"
#include "server/admin/call.h"
#include "server/admin/json.h"
#include "server/admin/reply.h"

namespace knock {
namespace {

constexpr std::size_t kLongestShownName = 200, kLongestHash = 127;  // crypto_pwhash_STRBYTES - 1

/// The limits of the messages to front and verifier: beyond them nobody could sign in, and the
/// verifier would take a longer hash for a fault of core's and end.
Status check_account(const std::string& user, const Account& account, const std::string& hash) {
  if (user.empty() || user.size() > role::kLongestUser || printable(user) != user)
    return fail(ErrorKind::invalid,
                fmt::format("a user's name is 1 to {} bytes of characters that can be shown",
                            role::kLongestUser));
  if (account.name.size() > kLongestShownName)
    return fail(ErrorKind::invalid,
                fmt::format("`name` is longer than {} bytes", kLongestShownName));
  if (!hash.empty() && (!hash.starts_with("$argon2id$") || hash.size() > kLongestHash))
    return fail(ErrorKind::invalid, "`password_hash` is not an Argon2id hash");
  return {};
}

}  // namespace

std::vector<std::string> AdminCall::end_all(const Principal& principal, const std::string& reason) {
  std::vector<std::string> out;
  for (const Session& session : c_.reconciler().live_sessions()) {
    if (session.principal != principal) continue;
    auto ended = c_.ends().end(actor_, session, EndCause::revoked, reason);
    if (ended && ended->written == EndedSession::Written::nowhere)
      out.push_back(to_sentence(*ended, session.id));
  }
  return out;
}

/// What the account's groups gave to those who are signed in by it follows at once. An
/// administrator's word is never doubted.
Status AdminCall::regroup(const Account& account) {
  Principal principal{"local", account.user, ""};
  std::vector<GroupsSaid> said;
  for (const Session& session : c_.reconciler().live_sessions())
    if (session.principal == principal) said.push_back({session.id, account.groups});
  auto done = c_.reconciler().groups_changed(actor_, SignInName("local"), said, true);
  if (done) return {};
  return fail(ErrorKind::unavailable,
              "the account is changed and so is what its sessions open, but the log could not "
              "take that (" +
                  done.error().text() +
                  "): until it can, a restart brings their former groups back");
}

Result<net::HttpResponse> AdminCall::users() {
  KNOCK_ASSIGN(auto rows, c_.store().accounts());
  return reply(200, accounts_json(rows));
}

Result<net::HttpResponse> AdminCall::save_user() {
  KNOCK_ASSIGN(auto user, args_.text("user"));
  KNOCK_ASSIGN(auto before, c_.store().account(user));
  Account account = before ? *before : Account{};
  account.user = user;
  KNOCK_ASSIGN(account.name, args_.text_or("name", account.name));
  KNOCK_ASSIGN(auto hash, args_.text_or("password_hash", ""));
  KNOCK_ASSIGN(auto what, args_.text("what"));
  if (args_.has("groups")) {
    KNOCK_ASSIGN(account.groups, args_.texts("groups"));
  }
  KNOCK_CHECK(check_account(user, account, hash));
  std::sort(account.groups.begin(), account.groups.end());
  if (!hash.empty()) account.password_hash = Secret(std::move(hash));
  if (account.password_hash.empty())
    return fail(ErrorKind::not_found, "there is no local account " + printable(user));
  if (what == "add" && before)
    return fail(ErrorKind::conflict, "there is already a local account " + printable(user) +
                                         "; to change its password: knock user passwd " +
                                         printable(user));
  KNOCK_CHECK(c_.store().save_account(actor_, c_.clock().now(), account, what));
  if (before && before->groups != account.groups) KNOCK_CHECK(regroup(account));
  return reply(200, accounts_json({account}));
}

Result<net::HttpResponse> AdminCall::remove_user() {
  KNOCK_ASSIGN(auto user, args_.text("user"));
  auto removed = c_.store().remove_account(actor_, c_.clock().now(), user);
  if (!removed && removed.error().kind == ErrorKind::not_found)
    return fail(std::move(removed.error()));
  // Whatever became of the account: what its sessions opened closes, every one of them.
  auto nowhere = end_all(Principal{"local", user, ""}, "account removed");
  if (removed && nowhere.empty()) return reply(200, "{}\n");
  std::vector<std::string> problems;
  if (!removed)
    problems.push_back(
        "the account is not removed, so remove it again when the log can be "
        "written; its sessions were ended (" +
        removed.error().text() + ")");
  problems.insert(problems.end(), nowhere.begin(), nowhere.end());
  return fail(removed ? ErrorKind::unavailable : removed.error().kind, join(problems, "; "));
}

}  // namespace knock
