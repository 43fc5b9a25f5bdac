#include "core/allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <thread>
#include <vector>

namespace hesse {
namespace {

TEST(Allocator, BlocksAreAlignedForVectors) {
  for (const size_t bytes : {1, 63, 64, 65, 1000, 4097, 1 << 20}) {
    void* const p = allocate_bytes(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0u) << bytes;
    free_bytes(p, bytes);
  }
}

// As tiles do: a worker makes partial sums, the thread that adds them up lets go of them.
TEST(Allocator, MemoryThatAnotherThreadFreesIsUsedAgain) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers see every block: none is kept";
#endif
  constexpr size_t kRounds = 1000, kAtOnce = 8;
  for (const size_t bytes : {512, 100'000, 3'000'000}) {
    std::set<void*> seen;
    std::vector<void*> blocks(kAtOnce);
    for (size_t round = 0; round < kRounds; ++round) {
      // A new thread each time would begin with nothing kept: the worst case.
      std::thread([&] {
        for (void*& p : blocks) p = allocate_bytes(bytes);
      }).join();
      for (void* p : blocks) {
        seen.insert(p);
        free_bytes(p, bytes);
      }
    }
    EXPECT_LT(seen.size(), kRounds) << bytes << " bytes";
  }
}

}  // namespace
}  // namespace hesse
