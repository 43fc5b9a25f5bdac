// Which constants of a program are one.
#include "core/constant.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse {
namespace {

using Span = std::span<const Array>;

Array row(double last) { return Array::from<double>({1, 2, last}); }

// How many equations are left of exp(x + a) + exp(x + b) for constants a and b that are not merged when they
// are recorded.
size_t exponentials(const Array& a, const Array& b) {
  const Fn f = [&](Span x) { return Arrays{exp(x[0] + a) + exp(x[0] + b)}; };
  const Compiled g = compile(f, {{{4, 3}, kFloat64}});
  const std::string text = g.program()->to_string();
  size_t n = 0;
  for (size_t at = text.find("= exp "); at != std::string::npos; at = text.find("= exp ", at + 1)) ++n;
  return n;
}

TEST(Constants, AreOneWhereTheirBitsAre) {
  EXPECT_EQ(exponentials(row(3), row(3)), 1U);
  EXPECT_EQ(exponentials(row(3), row(4)), 2U);
  EXPECT_EQ(exponentials(broadcast_to(row(3), {4, 3}), broadcast_to(row(3), {4, 3})), 1U);
  EXPECT_EQ(exponentials(broadcast_to(row(3), {4, 3}), broadcast_to(row(4), {4, 3})), 2U);
  EXPECT_EQ(exponentials(broadcast_to(row(NAN), {4, 3}), broadcast_to(row(NAN), {4, 3})), 1U);
  EXPECT_EQ(exponentials(broadcast_to(row(0), {4, 3}), broadcast_to(row(-0.0), {4, 3})), 2U);
}

TEST(Constants, AreKnownByShapeTypeAndWhatIsRepeated) {
  const Array a = broadcast_to(row(3), {1000, 3}), b = broadcast_to(row(3), {1000, 3});
  EXPECT_TRUE(is_same_constant(a, b));
  EXPECT_FALSE(is_same_constant(a, broadcast_to(row(3), {1001, 3})));
  EXPECT_FALSE(is_same_constant(a, astype(b, kFloat32)));
  EXPECT_FALSE(
      is_same_constant(broadcast_to(row(3), {3, 3}), broadcast_to(expand_dims(row(3), {1}), {3, 3})));
  EXPECT_FALSE(constant_key(copy(a)).has_value());  // too many entries of its own
  EXPECT_TRUE(constant_key(Array::uninitialized({0, 3}, kFloat64)).has_value());
}

}  // namespace
}  // namespace hesse
