// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <openssl/rand.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace knock {
namespace {
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}
}  // namespace

std::uint64_t Random::next_u64() {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  std::uint64_t out = 0;
  for (auto b : bytes) out = out << 8 | b;
  return out;
}

std::string Random::token(std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  fill(raw);
  return base64url({reinterpret_cast<const char*>(raw.data()), raw.size()});
}

void SystemRandom::fill(std::span<std::uint8_t> out) {
  if (RAND_bytes(out.data(), int(out.size())) != 1) std::abort();
}

std::string base64url(std::string_view bytes) {
  std::string out;
  std::uint32_t buffer = 0;
  int bits = 0;
  for (unsigned char c : bytes) {
    buffer = buffer << 8 | c;
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[buffer >> (bits - 6) & 63];
  }
  if (bits > 0) out += kAlphabet[buffer << (6 - bits) & 63];
  return out;
}

bool base64url_decode(std::string_view text, std::string& out) {
  out.clear();
  if (text.size() % 4 == 1) return false;
  std::uint32_t buffer = 0;
  int bits = 0;
  for (char c : text) {
    int value = value_of(c);
    if (value < 0) return false;
    buffer = buffer << 6 | std::uint32_t(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += char(buffer >> bits & 255);
    }
  }
  return (buffer & ((1u << bits) - 1)) == 0;  // leftover bits must be zero
}

}  // namespace knock
