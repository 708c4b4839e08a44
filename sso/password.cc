// SPDX-License-Identifier: Apache-2.0
#include "sso/password.h"

#include <fmt/format.h>
#include <sodium.h>

#include <charconv>
#include <cstdlib>
#include <optional>

#include "base/text.h"

namespace knock::sso {
namespace {

constexpr unsigned long long kPasses = crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE;  // 2
constexpr std::size_t kMemory = crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE;         // 64 MiB

/// The hash of 32 random bytes nobody kept, with the parameters above: what an unknown user is
/// checked against.
constexpr char kDummy[] =
    "$argon2id$v=19$m=65536,t=2,p=1$mR5QvtvQDaAGkkBMzBxisw$"
    "pu2mZnzsIzlFTEvCkAzqnmGsoPnmouTVDlnCqh5Gems";

void start_sodium() {
  static const int started = sodium_init();
  if (started < 0) std::abort();  // no randomness: nothing here can be kept
}

std::optional<unsigned> number(std::string_view text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  unsigned out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// Ours, or made by a version with other parameters: Argon2id 1.3, at most 1 GiB and 16 passes.
/// libsodium would obey whatever cost the text names, and the text may come from an edited
/// database.
bool is_ours(std::string_view hash) {
  if (hash.size() >= crypto_pwhash_argon2id_STRBYTES || hash.find('\0') != hash.npos) return false;
  auto parts = split(hash, '$');
  if (parts.size() != 6 || !parts[0].empty() || parts[1] != "argon2id" || parts[2] != "v=19")
    return false;
  auto costs = split(parts[3], ',');
  if (costs.size() != 3 || costs[2] != "p=1") return false;
  auto memory = number(costs[0], "m="), passes = number(costs[1], "t=");
  return memory && passes && *memory >= 8 && *memory <= (1u << 20) && *passes >= 1 && *passes <= 16;
}

bool verify(const std::string& hash, std::string_view password) {
  return crypto_pwhash_argon2id_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

}  // namespace

Result<std::string> hash_password(const Secret& password) {
  start_sodium();
  auto text = password.reveal();
  if (text.empty())
    return fail(ErrorKind::invalid, "the password is empty: choose one of at least 12 characters");
  if (text.size() > kLongestPassword)
    return fail(ErrorKind::invalid, fmt::format("the password is longer than {} bytes: choose a "
                                                "shorter one",
                                                kLongestPassword));
  char out[crypto_pwhash_argon2id_STRBYTES];
  if (crypto_pwhash_argon2id_str(out, text.data(), text.size(), kPasses, kMemory) != 0)
    return fail(ErrorKind::unavailable,
                "hashing a password needs 64 MiB of memory and the system gave none: free some "
                "memory or raise the process's limit, then try again");
  return std::string(out);
}

bool check_password(std::string_view hash, const Secret& password) {
  start_sodium();
  auto text = password.reveal();
  bool checkable = is_ours(hash) && text.size() <= kLongestPassword;
  bool same = verify(checkable ? std::string(hash) : kDummy, text.substr(0, kLongestPassword));
  return checkable && !text.empty() && same;
}

bool needs_rehash(std::string_view hash) {
  start_sodium();
  return !is_ours(hash) ||
         crypto_pwhash_argon2id_str_needs_rehash(std::string(hash).c_str(), kPasses, kMemory) != 0;
}

}  // namespace knock::sso
