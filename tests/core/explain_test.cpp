#include "core/program/explain.h"

#include <gtest/gtest.h>

#include "core/allocator.h"
#include "core/ops.h"
#include "core/ops/control.h"

/// What programs are said to do: counts that a person can check.
namespace hesse {
namespace {

using Span = std::span<const Array>;

Aval f64(const Shape& shape) { return {shape, kFloat64}; }

TEST(Flops, OfProductsSumsViewsAndLoops) {
  const auto flops = [](const Fn& f, const Avals& x) { return trace_closed(f, x)->flops(); };
  EXPECT_EQ(flops([](Span x) { return Arrays{matmul(x[0], x[1])}; }, {f64({3, 4}), f64({4, 5})}), 2 * 60);
  EXPECT_EQ(flops([](Span x) { return Arrays{sum(tanh(x[0]))}; }, {f64({3, 4})}), 24);
  EXPECT_EQ(flops([](Span x) { return Arrays{reshape(x[0], {12})}; }, {f64({3, 4})}), 0);
  EXPECT_EQ(
      flops([](Span x) { return scan([](Span c) { return Arrays{multiply(c[0], c[1])}; }, {x[0]}, {x[1]}); },
            {f64({}), f64({7})}),
      7);
}

TEST(Report, OfAMapAndWhatItStores) {
  const Compiled f = compile(
      [](Span x) {
        const Arrays y = vmap([](Span row) { return Arrays{sum(sin(row[0]))}; }, {x[0]}, {0}, {0});
        return Arrays{sort(y[0])};
      },
      {f64({100, 3})});
  const Report r = report(*f.program());
  ASSERT_EQ(r.maps.size(), 1U);
  EXPECT_EQ(r.maps[0].tiling.examples, 100);
  EXPECT_EQ(r.maps[0].flops_per_example(), 6);
  EXPECT_EQ(r.maps[0].read, 2400);
  EXPECT_EQ(r.maps[0].written, 800);
  ASSERT_EQ(r.maps[0].stored.size(), 1U);
  EXPECT_EQ(r.maps[0].stored[0].bytes(), 800);
  EXPECT_EQ(r.maps[0].stored[0].why, "sort reads it, outside maps");
  EXPECT_NE(explain(*f.program()).find("stored for all examples: float64[100], 800 bytes"),
            std::string::npos);
}

TEST(OutOfMemory, SaysForWhatAndHowMuch) {
  EXPECT_EQ(describe_bytes(800), "800 bytes");
  EXPECT_EQ(describe_bytes(1536), "1.5 KiB");
  EXPECT_EQ(describe_bytes(8e9), "7.45 GiB");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  try {
    Array::uninitialized({int64_t{1} << 56}, kFloat64);
    FAIL();
  } catch (const OutOfMemory& e) {
    EXPECT_NE(std::string(e.what()).find("not enough memory for an array float64["), std::string::npos);
  }
#endif
}

}  // namespace
}  // namespace hesse
