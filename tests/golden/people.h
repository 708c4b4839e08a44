// SPDX-License-Identifier: Apache-2.0
// People of a scenario who are not signed in.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "schemas/json/strict_json.h"
#include "schemas/session/codec.h"
#include "tests/support/requirement.h"

namespace knock::test {

/// {"fay": ["admins"]}: local accounts with their groups; none where there is no such file.
inline std::vector<Account> accounts_of(const std::filesystem::path& file) {
  std::vector<Account> out;
  if (!std::filesystem::exists(file)) return out;
  auto parsed = parse_strict(read_file(file.string()));
  EXPECT_TRUE(parsed) << parsed.error().text();
  for (const auto& member : parsed->as_object()) {
    Account account;
    account.user = member.key();
    for (const auto& group : member.value().as_array())
      account.groups.emplace_back(group.as_string());
    out.push_back(std::move(account));
  }
  return out;
}

/// Sessions that ended.
inline std::vector<Session> earlier_of(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  auto out = sessions_from_json(read_file(file.string()));
  EXPECT_TRUE(out) << out.error().text();
  return out ? *std::move(out) : std::vector<Session>();
}

}  // namespace knock::test
