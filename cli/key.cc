// SPDX-License-Identifier: Apache-2.0
// API keys. The token is on standard output once, alone, so that it can be piped into a secret
// store; everything that is said about it is on standard error.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "server/admin/json.h"
#include "server/core/key_ring.h"

namespace knock::cli {
namespace {

struct KeyFlags {
  std::string name, expires;
  std::vector<std::string> scopes, from;
};

/// Where keys are: at a running controller, or else in the store itself. Answers are the same JSON.
class KeyPlace {
 public:
  static Result<std::unique_ptr<KeyPlace>> open(const Global& global, bool writing) {
    auto place = std::unique_ptr<KeyPlace>(new KeyPlace(AdminClient::of(global)));
    if (place->client_.reachable()) return place;
    auto config = read_config(global);
    if (!config)
      return fail(ErrorKind::invalid, "without a running controller, its configuration is needed");
    KNOCK_ASSIGN(place->store_, open_store(*config, writing, place->random_));
    place->ring_.emplace(*place->store_, place->clock_, place->random_);
    KNOCK_CHECK(place->ring_->load());
    return place;
  }

  Result<std::string> list() {
    if (!ring_) return client_.get_text("/api/v1/keys");
    return keys_json(ring_->list());
  }
  Result<std::string> add(const KeyFlags& flags) {
    if (!ring_)
      return client_.post_text("/api/v1/keys", {{"name", flags.name},
                                                {"scopes", array(flags.scopes)},
                                                {"from", array(flags.from)},
                                                {"expires", flags.expires}});
    KNOCK_ASSIGN(auto life, life_of(flags));
    KeyRequest request{flags.name, flags.scopes, flags.from, life.value_or(kUsualKeyLife)};
    KNOCK_ASSIGN(auto made, ring_->add(actor(), request));
    return made_key_json(made);
  }
  Result<std::string> rotate(const KeyFlags& flags) {
    if (!ring_)
      return client_.post_text("/api/v1/keys/rotate",
                               {{"name", flags.name}, {"expires", flags.expires}});
    KNOCK_ASSIGN(auto life, life_of(flags));
    KNOCK_ASSIGN(auto made, ring_->rotate(actor(), flags.name, life));
    return made_key_json(made);
  }
  Status revoke(const KeyFlags& flags) {
    if (ring_) return ring_->revoke(actor(), flags.name);
    KNOCK_ASSIGN(auto done, client_.post_text("/api/v1/keys/revoke", {{"name", flags.name}}));
    return {};
  }

 private:
  explicit KeyPlace(AdminClient client) : client_(std::move(client)) {}
  static Actor actor() { return fmt::format("cli uid={}", getuid()); }
  static boost::json::array array(const std::vector<std::string>& texts) {
    boost::json::array out;
    for (const auto& text : texts) out.emplace_back(text);
    return out;
  }
  static Result<std::optional<Duration>> life_of(const KeyFlags& flags) {
    if (flags.expires.empty()) return std::optional<Duration>();
    auto life = parse_duration(flags.expires);
    if (!life)
      return fail(ErrorKind::invalid,
                  printable(flags.expires) + " is not a length of time; write 90d or 12h");
    return life;
  }

  AdminClient client_;
  SystemRandom random_;
  SystemClock clock_;
  std::unique_ptr<FactStore> store_;
  std::optional<KeyRing> ring_;
};

std::string words(const boost::json::value& key, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& item : list(key, name))
    out.push_back(printable(std::string_view(item.as_string())));
  return join(out, ",");
}

/// A token that nobody can see again: where it stands and what it may do.
int show_made(const Global& global, const Result<std::string>& answer, std::string_view what) {
  if (!answer) return fail_with(answer.error());
  if (global.json) {
    print(*answer);
    return kDone;
  }
  auto value = boost::json::parse(*answer);
  const auto& key = member(value, "key");
  auto from = words(key, "from");
  say(global,
      fmt::format("API key {} {}: {}, from {}, until {}. Its token is shown only now; give it "
                  "to the job as KNOCK_TOKEN:\n",
                  text(key, "name"), what, words(key, "scopes"), from.empty() ? "anywhere" : from,
                  text(key, "expires")));
  print(text(value, "token") + "\n");
  return kDone;
}

int list_keys(const Global& global) {
  auto place = KeyPlace::open(global, false);
  if (!place) return fail_with(place.error());
  auto answer = (*place)->list();
  if (!answer) return fail_with(answer.error());
  if (global.json) {
    print(*answer);
    return kDone;
  }
  auto value = boost::json::parse(*answer);
  auto now = SystemClock().now();
  std::vector<std::vector<std::string>> rows{{"KEY", "SCOPES", "FROM", "EXPIRES", "LAST USED"}};
  for (const auto& key : list(value, "keys")) {
    auto from = words(key, "from"), used = text(key, "last_used"), expires = text(key, "expires");
    auto end = parse_instant(expires);
    rows.push_back({text(key, "name"), words(key, "scopes"), from.empty() ? "anywhere" : from,
                    expires + (end && *end <= now ? " (expired)" : ""),
                    used.empty() ? "never" : used});
  }
  print(rows.size() == 1 ? std::string("There are no API keys; `knock key add NAME --scope "
                                       "plan:read` makes one.\n")
                         : table(rows));
  return kDone;
}

int change(const Global& global, const std::function<int(KeyPlace&)>& work) {
  auto place = KeyPlace::open(global, true);
  return place ? work(**place) : fail_with(place.error());
}

}  // namespace

void add_key(Commands& commands) {
  auto* key = commands.add(commands.app, "key", "API keys: tokens for CI jobs and scripts",
                           "knock key list");
  key->require_subcommand(1);
  auto flags = std::make_shared<KeyFlags>();
  auto& global = commands.global;

  auto* add = commands.add(*key, "add", "A new key; shows its token, once",
                           "knock key add ci-plan --scope plan:read --from 203.0.113.0/24");
  add->add_option("name", flags->name, "What to call it: a-z, 0-9, '.', '_' and '-'")->required();
  add->add_option("--scope,--scopes", flags->scopes,
                  "What it may do: " + every_key_scope() + "; repeatable, or comma-separated")
      ->delimiter(',')
      ->required();
  add->add_option("--from", flags->from, "A network it may be used from; repeatable")
      ->delimiter(',');
  add->add_option("--expires", flags->expires, "Its life: 90d unless told, at most 366d");
  commands.run(add, [&global, flags] {
    return change(global,
                  [&](KeyPlace& place) { return show_made(global, place.add(*flags), "is made"); });
  });

  auto* show =
      commands.add(*key, "list", "Keys, and when each was last used", "knock key list --json");
  commands.run(show, [&global] { return list_keys(global); });

  auto* rotate = commands.add(*key, "rotate", "Another token; the old one ends at once",
                              "knock key rotate ci-plan");
  rotate->add_option("name", flags->name, "Which")->required();
  rotate->add_option("--expires", flags->expires,
                     "Its life from now; as long as before unless told");
  commands.run(rotate, [&global, flags] {
    return change(global, [&](KeyPlace& place) {
      return show_made(global, place.rotate(*flags), "has another token");
    });
  });

  auto* revoke = commands.add(*key, "revoke", "Ends a key at once", "knock key revoke ci-plan");
  revoke->add_option("name", flags->name, "Which")->required();
  commands.run(revoke, [&global, flags] {
    return change(global, [&](KeyPlace& place) {
      if (auto done = place.revoke(*flags); !done) return fail_with(done.error());
      print(fmt::format("API key {} is revoked.\n", printable(flags->name)));
      return int(kDone);
    });
  });
}

}  // namespace knock::cli
