// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/fact_store_suite.h"

namespace knock::test {
namespace {

Result<std::unique_ptr<FactStore>> open(const std::string& folder, Opening opening) {
  static SystemRandom random;
  return open_sqlite(
      folder + "/knock.db",
      opening == Opening::writer ? SqliteMode::create_or_open : SqliteMode::read_only, random);
}

const FactStoreKind kSqlite{"sqlite", open};
INSTANTIATE_TEST_SUITE_P(Sqlite, FactStoreSuite, ::testing::Values(kSqlite));
INSTANTIATE_TEST_SUITE_P(Sqlite, FactStoreDurability, ::testing::Values(kSqlite));
INSTANTIATE_TEST_SUITE_P(Sqlite, FactStoreStory, ::testing::Values(kSqlite));
INSTANTIATE_TEST_SUITE_P(Sqlite, FactStoreHistory, ::testing::Values(kSqlite));

}  // namespace
}  // namespace knock::test
