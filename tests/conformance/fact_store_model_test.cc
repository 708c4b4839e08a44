// SPDX-License-Identifier: Apache-2.0
// The simulator's store is held to what every store promises, but for outliving a killed process.
#include <map>

#include "simulation/model_store.h"
#include "tests/conformance/fact_store_suite.h"

namespace knock::test {
namespace {

/// One disk for each folder, as if it were in there.
Result<std::unique_ptr<FactStore>> open(const std::string& folder, Opening opening) {
  static std::map<std::string, std::shared_ptr<ModelDisk>> disks;
  auto at = disks.find(folder);
  if (at == disks.end()) {
    if (opening == Opening::reader) return fail(ErrorKind::not_found, "there is no store");
    at = disks.emplace(folder, make_model_disk()).first;
  }
  return open_model_store(at->second,
                          opening == Opening::writer ? ModelHandle::writer : ModelHandle::reader);
}

const FactStoreKind kModel{"model", open};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FactStoreDurability);
INSTANTIATE_TEST_SUITE_P(Model, FactStoreSuite, ::testing::Values(kModel));
INSTANTIATE_TEST_SUITE_P(Model, FactStoreStory, ::testing::Values(kModel));
INSTANTIATE_TEST_SUITE_P(Model, FactStoreHistory, ::testing::Values(kModel));

TEST(ModelStore, AHandleIsFinishedAfterAFailedWrite) {
  for (bool lands : {false, true}) {
    auto disk = make_model_disk();
    const Fact fact = ControllerStarted{"1", ""};
    {
      auto store = *open_model_store(disk);
      ASSERT_TRUE(store->append("core", kNoon, {&fact, 1}));
      DiskFaults faults;
      faults.good_appends = 1;
      faults.lands = lands;
      set_faults(*disk, faults);
      ASSERT_TRUE(store->append("core", kNoon, {&fact, 1}));
      EXPECT_FALSE(store->append("core", kNoon, {&fact, 1}));
      EXPECT_FALSE(store->writable());
      auto again = store->append("core", kNoon, {&fact, 1});
      ASSERT_FALSE(again);
      EXPECT_EQ(again.error().kind, ErrorKind::unavailable);
    }
    auto store = *open_model_store(disk);
    EXPECT_TRUE(store->writable());
    EXPECT_EQ(*store->head(), lands ? 3u : 2u);
    EXPECT_TRUE(store->append("core", kNoon, {&fact, 1}));
  }
}

TEST(ModelStore, AFullDiskTakesNothingAndAnEmptiedOneGoesOn) {
  auto disk = make_model_disk();
  auto store = *open_model_store(disk);
  const Fact fact = ControllerStarted{"1", ""};
  DiskFaults faults;
  faults.full = true;
  set_faults(*disk, faults);
  EXPECT_FALSE(store->append("core", kNoon, {&fact, 1}));
  EXPECT_EQ(*store->head(), 0u);
  set_faults(*disk, {});
  EXPECT_TRUE(store->append("core", kNoon, {&fact, 1}));
}

}  // namespace
}  // namespace knock::test
