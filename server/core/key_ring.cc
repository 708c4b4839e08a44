// SPDX-License-Identifier: Apache-2.0
#include "server/core/key_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace knock {
namespace {

// A CI system asks a few times a minute; whoever guesses 256 bits is not slowed by more than this.
constexpr double kAddressBurst = 60, kAddressPerSecond = 2;
constexpr double kKeyBurst = 60, kKeyPerSecond = 1;
constexpr double kRecordBurst = 1000, kRecordsPerSecond = 2;
constexpr std::size_t kMostAddresses = 100'000;
constexpr std::string_view kUnknown = "This token is not known here; ask for one: knock key add.";

KeyRefusal refusal(std::string code, std::string sentence, std::string key = {}) {
  return {std::move(code), std::move(sentence), std::move(key)};
}

Status check_life(Duration life) {
  if (life > Duration{0} && life <= kLongestKeyLife) return {};
  return fail(ErrorKind::invalid, fmt::format("a key lives longer than nothing and at most {}; "
                                              "rotate it instead: knock key rotate NAME",
                                              to_string(kLongestKeyLife)));
}

tl::unexpected<Error> no_key(const std::string& name, const std::vector<ApiKey>& keys) {
  std::vector<std::string> known;
  for (const ApiKey& key : keys) known.push_back(key.name);
  auto meant = did_you_mean(name, known);
  return fail(ErrorKind::not_found,
              fmt::format("there is no API key {}{}", printable(name),
                          meant ? "; did you mean " + *meant + "?" : "; see knock key list"));
}

}  // namespace

bool KeyHolder::has(KeyScope scope) const {
  return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

KeyRing::KeyRing(FactStore& store, const Clock& clock, Random& random)
    : store_(store),
      clock_(clock),
      random_(random),
      by_address_(kAddressBurst, kAddressPerSecond, kMostAddresses),
      records_(kRecordBurst, kRecordsPerSecond, 1) {}

Status KeyRing::load() {
  KNOCK_ASSIGN(auto keys, store_.keys());
  std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  return {};
}

ApiKey* KeyRing::find(std::string_view name) {
  auto at =
      std::find_if(keys_.begin(), keys_.end(), [&](const ApiKey& key) { return key.name == name; });
  return at == keys_.end() ? nullptr : &*at;
}

/// The store first: what is not written is not in force.
Result<MadeKey> KeyRing::put(const Actor& actor, ApiKey key, const std::string& what) {
  auto made = make_token(random_);
  key.hash = made.hash;
  KNOCK_CHECK(store_.save_key(actor, clock_.now(), key, what));
  if (ApiKey* before = find(key.name)) {
    *before = key;
  } else {
    auto place = std::lower_bound(keys_.begin(), keys_.end(), key,
                                  [](const auto& a, const auto& b) { return a.name < b.name; });
    keys_.insert(place, key);
  }
  return MadeKey{std::move(key), std::move(made.token)};
}

Result<MadeKey> KeyRing::add(const Actor& actor, const KeyRequest& request) {
  ApiKey key;
  key.name = request.name;
  if (!is_key_name(key.name))
    return fail(
        ErrorKind::invalid,
        fmt::format("{} cannot name a key: 1 to {} of a-z, 0-9, '.', '_' and '-', the first "
                    "a letter or a digit",
                    printable(key.name), kLongestKeyName));
  KNOCK_ASSIGN(key.scopes, key_scopes_from(request.scopes));
  KNOCK_ASSIGN(key.from, key_networks_from(request.from));
  KNOCK_CHECK(check_life(request.life));
  key.created = clock_.now();
  key.expires = (key.created + request.life).floor_to_second();
  std::lock_guard lock(mutex_);
  if (find(key.name) != nullptr)
    return fail(ErrorKind::conflict,
                fmt::format("there is already an API key {0}; for another secret: knock key rotate "
                            "{0}",
                            key.name));
  if (keys_.size() >= kMostKeys)
    return fail(ErrorKind::invalid,
                fmt::format("there are {} API keys, which is the most there can be; revoke some",
                            kMostKeys));
  return put(actor, std::move(key), "added");
}

Result<MadeKey> KeyRing::rotate(const Actor& actor, const std::string& name,
                                std::optional<Duration> life) {
  std::lock_guard lock(mutex_);
  ApiKey* known = find(name);
  if (known == nullptr) return no_key(name, keys_);
  ApiKey key = *known;
  // Rounded up, for its end was cut to whole seconds.
  Duration before = Duration::seconds((key.expires - key.created + Duration{999}).ms / 1000);
  Duration length = life.value_or(before);
  KNOCK_CHECK(check_life(length));
  key.created = clock_.now();
  key.expires = (key.created + length).floor_to_second();
  key.last_used.reset();
  return put(actor, std::move(key), "rotated");
}

Status KeyRing::revoke(const Actor& actor, const std::string& name) {
  std::lock_guard lock(mutex_);
  // Out of use at once, whatever becomes of the record. Whoever asks again after a failure may not
  // find it here, and the store still has it.
  bool was_here = find(name) != nullptr;
  auto others = keys_;
  std::erase_if(others, [&](const ApiKey& key) { return key.name == name; });
  auto written = store_.remove_key(actor, clock_.now(), name);
  if (!was_here && !written && written.error().kind == ErrorKind::not_found)
    return no_key(name, keys_);
  keys_ = std::move(others);
  by_key_.erase(name);
  if (written) return {};
  return fail(Error{written.error().kind,
                    "the key is out of use until the controller is started again, and revoked in "
                    "no record: " +
                        written.error().text() + "; revoke it again when the log can be written",
                    {},
                    std::nullopt});
}

std::vector<ApiKey> KeyRing::list() const {
  std::lock_guard lock(mutex_);
  return keys_;
}

std::variant<KeyHolder, KeyRefusal> KeyRing::judge(std::string_view token, const IpAddress& address,
                                                   std::span<const KeyScope> needed, bool& note) {
  auto now = clock_.now();
  if (!by_address_.take(address, clock_.monotonic()))
    return refusal("too-many", "Too many requests from this address; wait a minute.");
  auto hash = hash_of_token(token);
  if (!hash) return refusal("key.unknown", std::string(kUnknown));
  ApiKey* key = nullptr;
  for (ApiKey& one : keys_)  // all of them, whichever it is
    if (same_hash(one.hash, *hash)) key = &one;
  if (key == nullptr) return refusal("key.unknown", std::string(kUnknown));
  if (key->expires <= now)
    return refusal("key.expired",
                   fmt::format("The key {0} expired at {1}; a new secret for it: knock key rotate "
                               "{0}",
                               key->name, to_string(key->expires)),
                   key->name);
  if (!key->allows_from(address))
    return refusal(
        "key.network",
        fmt::format("The key {} may not be used from {}.", key->name, address.to_string()),
        key->name);
  KeyHolder holder{key->name, key->scopes};
  if (std::none_of(needed.begin(), needed.end(), [&](KeyScope s) { return holder.has(s); }))
    return refusal("key.scope",
                   fmt::format("The key {} has {}, and this needs {}.", key->name,
                               join(to_words(key->scopes), ", "),
                               join(to_words({needed.begin(), needed.end()}), " or ")),
                   key->name);
  auto limit = by_key_.try_emplace(key->name, kKeyBurst, kKeyPerSecond, 1).first;
  if (!limit->second.take(IpAddress::v4(0), clock_.monotonic()))
    return refusal("too-many", "Too many requests with this token; wait a minute.", key->name);
  note = !key->last_used || now - *key->last_used >= kLastUsedLag;
  if (note) key->last_used = now;
  return holder;
}

std::variant<KeyHolder, KeyRefusal> KeyRing::check(std::string_view token, const IpAddress& address,
                                                   std::span<const KeyScope> needed) {
  bool note = false;
  auto judged = [&] {
    std::lock_guard lock(mutex_);
    return judge(token, address, needed, note);
  }();
  if (auto* no = std::get_if<KeyRefusal>(&judged)) record(*no, address);
  // A log that cannot be written is told elsewhere; a use that is not noted is no reason to refuse.
  if (note) (void)store_.note_key_used(std::get<KeyHolder>(judged).key, clock_.now());
  return judged;
}

void KeyRing::record(const KeyRefusal& refused, const IpAddress& address) {
  std::uint64_t skipped = 0;
  {
    std::lock_guard lock(mutex_);
    if (!records_.take(IpAddress::v4(0), clock_.monotonic())) {
      ++unrecorded_;
      return;
    }
    skipped = std::exchange(unrecorded_, 0);
  }
  if (skipped > 0)
    log(LogLevel::warning, "key.unrecorded", "Tokens were refused faster than they are recorded.",
        {{"count", std::to_string(skipped)}});
  std::vector<Fact> facts{KeyRefused{refused.key, refused.code, address.to_string()}};
  (void)store_.append("front", clock_.now(), facts);
}

}  // namespace knock
