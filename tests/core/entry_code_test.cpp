// Loops of machine code against the kernels, step by step, bit by bit.
#include "core/cpu/entry_code.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "core/cpu/simd_kernels.h"

namespace hesse::cpu {
namespace {

using Memory = EntryLoop::Memory;

constexpr EntryOp kAll[] = {EntryOp::Negative,
                            EntryOp::Abs,
                            EntryOp::Square,
                            EntryOp::Reciprocal,
                            EntryOp::Sqrt,
                            EntryOp::Rsqrt,
                            EntryOp::Add,
                            EntryOp::Subtract,
                            EntryOp::Multiply,
                            EntryOp::Divide,
                            EntryOp::Maximum,
                            EntryOp::Minimum,
                            EntryOp::Equal,
                            EntryOp::NotEqual,
                            EntryOp::Less,
                            EntryOp::LessEqual,
                            EntryOp::And,
                            EntryOp::Or,
                            EntryOp::Not,
                            EntryOp::Where,
                            EntryOp::MultiplyAdd,
                            EntryOp::MultiplySubtract,
                            EntryOp::SubtractProduct,
                            EntryOp::Copy};
bool is_unary(EntryOp op) { return op <= EntryOp::Rsqrt || op == EntryOp::Copy; }
bool is_binary(EntryOp op) { return op >= EntryOp::Add && op <= EntryOp::Minimum; }
bool is_compare(EntryOp op) { return op >= EntryOp::Equal && op <= EntryOp::LessEqual; }
bool is_logical(EntryOp op) { return op >= EntryOp::And && op <= EntryOp::Not; }
bool makes_bools(EntryOp op) { return is_compare(op) || is_logical(op); }

template <class T>
using Column = std::vector<T>;  // all rows of a value, one after the other

template <class T>
auto kernel_of(EntryOp op) {
  const SimdKernels<T>& k = simd_kernels<T>();
  return [&k, op](const std::vector<const T*>& x, const bool* c, T* out, bool* mask, int64_t n) {
    switch (op) {
      case EntryOp::Negative:
        return k.negative(x[0], out, n);
      case EntryOp::Abs:
        return k.abs(x[0], out, n);
      case EntryOp::Square:
        return k.square(x[0], out, n);
      case EntryOp::Reciprocal:
        return k.reciprocal(x[0], out, n);
      case EntryOp::Sqrt:
        return k.sqrt(x[0], out, n);
      case EntryOp::Rsqrt:
        return k.rsqrt(x[0], out, n);
      case EntryOp::Add:
        return k.add(x[0], 1, x[1], 1, out, n);
      case EntryOp::Subtract:
        return k.subtract(x[0], 1, x[1], 1, out, n);
      case EntryOp::Multiply:
        return k.multiply(x[0], 1, x[1], 1, out, n);
      case EntryOp::Divide:
        return k.divide(x[0], 1, x[1], 1, out, n);
      case EntryOp::Maximum:
        return k.maximum(x[0], 1, x[1], 1, out, n);
      case EntryOp::Minimum:
        return k.minimum(x[0], 1, x[1], 1, out, n);
      case EntryOp::Equal:
        return k.equal(x[0], 1, x[1], 1, mask, n);
      case EntryOp::NotEqual:
        return k.not_equal(x[0], 1, x[1], 1, mask, n);
      case EntryOp::Less:
        return k.less(x[0], 1, x[1], 1, mask, n);
      case EntryOp::LessEqual:
        return k.less_equal(x[0], 1, x[1], 1, mask, n);
      case EntryOp::And:
      case EntryOp::Or:
      case EntryOp::Not:
        return;  // of bools: add_step
      case EntryOp::Where:
        return k.where(c, 1, x[1], 1, x[2], 1, out, n);
      case EntryOp::MultiplyAdd:
        return k.multiply_add(x[0], 1, x[1], 1, x[2], 1, out, n);
      case EntryOp::MultiplySubtract:
        return k.multiply_subtract(x[0], 1, x[1], 1, x[2], 1, out, n);
      case EntryOp::SubtractProduct:
        return k.subtract_product(x[0], 1, x[1], 1, x[2], 1, out, n);
      case EntryOp::AddInt:
      case EntryOp::SubtractInt:
      case EntryOp::EqualInt:
      case EntryOp::NotEqualInt:
      case EntryOp::LessInt:
      case EntryOp::LessEqualInt:
        return;  // of integers: tests/core/lane_loop_test.cpp
      case EntryOp::Copy:
        std::copy_n(x[0], n, out);
        return;
    }
  };
}

/// A loop of random steps over random memory, and what the kernels make of it.
template <class T>
class RandomLoop {
 public:
  RandomLoop(unsigned seed, int steps, int64_t rows, int64_t run) : random_(seed), rows_(rows), run_(run) {
    loop_.dtype = sizeof(T) == 8 ? kFloat64 : kFloat32;
    // Pointer 0: packed rows; 1: rows with gaps; 2: one row for all; 3: bools.
    gap_ = run + 3;
    loop_.row_bytes = {run * item(), gap_ * item(), 0, run};
    const auto n = static_cast<size_t>(rows * run);
    memory_[0].resize(2 * n);
    memory_[1].resize(static_cast<size_t>(rows * gap_));
    memory_[2].resize(static_cast<size_t>(run + 1));
    for (auto& m : memory_)
      for (T& x : m) x = number();
    bools_ = std::vector<unsigned char>(n);
    for (auto& b : bools_) b = static_cast<unsigned char>(random_() % 3);  // all but 0 are true
    add_load({0, 0, false});
    add_load({0, rows * run * item(), false});
    add_load({1, item(), false});  // from its second entry on
    add_load({2, 0, false});
    add_load({2, run * item(), true});
    loop_.loads.push_back({3, 0, false});
    loop_.is_bool.push_back(true);
    std::vector<char> mask(n);
    for (size_t i = 0; i < n; ++i) mask[i] = bools_[i] != 0;
    values_.emplace_back();
    masks_.push_back(mask);
    for (int s = 0; s < steps; ++s) add_step(kAll[random_() % std::size(kAll)], steps);
  }

  void check() {
    EntryCode code;
    const EntryCode::Function* first = code.add(loop_);
    loop_.run = run_;  // code for this length only
    const EntryCode::Function* second = code.add(loop_);
    code.finish();
    for (const EntryCode::Function* f : {first, second}) {
      std::vector<T> results(stored_.size() * stride(), T(-77));
      std::vector<unsigned char> bytes(stored_.size() * stride(), 7);
      char* const pointers[] = {bytes_of(memory_[0]), bytes_of(memory_[1]),
                                bytes_of(memory_[2]), reinterpret_cast<char*>(bools_.data()),
                                bytes_of(results),    reinterpret_cast<char*>(bytes.data())};
      (*f)(pointers, rows_, run_);
      for (size_t k = 0; k < stored_.size(); ++k) {
        const auto v = static_cast<size_t>(stored_[k]);
        for (size_t i = 0; i < stride(); ++i) {
          const bool inside = i < static_cast<size_t>(rows_ * run_);
          const T got = results[k * stride() + i];
          const unsigned char byte = bytes[k * stride() + i];
          if (!values_[v].empty()) {
            const T expected = inside ? values_[v][i] : T(-77);
            ASSERT_TRUE(same(got, expected))
                << "step value " << v << ", entry " << i << ": " << got << ", not " << expected;
            ASSERT_EQ(byte, 7);
          } else {
            ASSERT_EQ(byte, inside ? static_cast<unsigned char>(masks_[v][i]) : 7)
                << "mask " << v << ", " << i;
            ASSERT_EQ(got, T(-77));
          }
        }
      }
    }
  }

 private:
  static int64_t item() { return sizeof(T); }
  size_t stride() const { return static_cast<size_t>(rows_ * run_ + 16); }
  template <class U>
  static char* bytes_of(std::vector<U>& x) {
    return reinterpret_cast<char*>(x.data());
  }
  static bool same(T a, T b) {
    return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof(T)) == 0;
  }
  T number() {
    constexpr T kEdges[] = {T(0),
                            T(-0.0),
                            std::numeric_limits<T>::infinity(),
                            -std::numeric_limits<T>::infinity(),
                            std::numeric_limits<T>::quiet_NaN(),
                            std::numeric_limits<T>::denorm_min(),
                            T(1),
                            T(-1)};
    if (random_() % 12 == 0) return kEdges[random_() % std::size(kEdges)];
    return std::normal_distribution<T>(0, 2)(random_);
  }
  void add_load(const Memory& m) {
    loop_.loads.push_back(m);
    loop_.is_bool.push_back(false);
    Column<T> x;
    const auto& from = memory_[static_cast<size_t>(m.pointer)];
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t i = 0; i < run_; ++i)
        x.push_back(from[static_cast<size_t>(
            (m.offset + r * loop_.row_bytes[static_cast<size_t>(m.pointer)]) / item() +
            (m.uniform ? 0 : i))]);
    values_.push_back(x);
    masks_.emplace_back();
  }
  int pick(bool mask) {
    for (;;) {
      const auto v = random_() % values_.size();
      if (values_[v].empty() == mask) return static_cast<int>(v);
    }
  }
  void add_step(EntryOp op, int steps) {
    EntryLoop::Step s{op, {-1, -1, -1}, std::nullopt};
    const int count = is_unary(op) || op == EntryOp::Not ? 1
                      : is_logical(op)                   ? 2
                      : is_binary(op) || is_compare(op)  ? 2
                                                         : 3;
    std::vector<const T*> x(3, nullptr);
    const bool* c = nullptr;
    for (int i = 0; i < count; ++i) {
      const bool mask = is_logical(op) || (op == EntryOp::Where && i == 0);
      s.in[i] = pick(mask);
      const auto v = static_cast<size_t>(s.in[i]);
      if (mask)
        c = reinterpret_cast<const bool*>(masks_[v].data());
      else
        x[static_cast<size_t>(i)] = values_[v].data();
    }
    const int64_t n = rows_ * run_;
    Column<T> out(makes_bools(op) ? 0 : static_cast<size_t>(n));
    std::vector<char> mask(makes_bools(op) ? static_cast<size_t>(n) : 0);
    kernel_of<T>(op)(x, c, out.data(), reinterpret_cast<bool*>(mask.data()), n);
    for (size_t i = 0; is_logical(op) && i < mask.size(); ++i) {
      const bool a = masks_[static_cast<size_t>(s.in[0])][i] != 0;
      const bool b = op != EntryOp::Not && masks_[static_cast<size_t>(s.in[1])][i] != 0;
      mask[i] = op == EntryOp::And ? a && b : op == EntryOp::Or ? a || b : !a;
    }
    if (random_() % 4 == 0 || static_cast<int>(loop_.steps.size()) + 1 == steps) {
      const auto k = static_cast<int64_t>(stored_.size() * stride());
      if (loop_.row_bytes.size() == 4) {  // the pointers of results: floats, bools
        loop_.row_bytes.push_back(run_ * item());
        loop_.row_bytes.push_back(run_);
      }
      s.out = makes_bools(op) ? Memory{5, k, false} : Memory{4, k * item(), false};
      stored_.push_back(static_cast<int>(values_.size()));
    }
    values_.push_back(out);
    masks_.push_back(mask);
    loop_.steps.push_back(s);
  }

  std::mt19937 random_;
  int64_t rows_, run_, gap_ = 0;
  EntryLoop loop_;
  std::vector<T> memory_[3];
  std::vector<unsigned char> bools_;
  std::vector<Column<T>> values_;         // by operand; empty: bools
  std::vector<std::vector<char>> masks_;  // by operand; empty: numbers
  std::vector<int> stored_;               // operands whose values are written
};

template <class T>
class EntryCodeTest : public testing::Test {};
using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(EntryCodeTest, Floats);

TYPED_TEST(EntryCodeTest, DoesWhatTheKernelsDo) {
  if (!EntryCode::available()) GTEST_SKIP() << "no machine code here";
  for (unsigned seed = 0; seed < 300; ++seed) {
    const int steps = static_cast<int>(1 + seed * 7 % 200);
    const int64_t rows = 1 + seed % 4, run = 1 + seed * 13 % 37;
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << steps << " steps, " << rows << " x "
                                    << run);
    RandomLoop<TypeParam>(seed, steps, rows, run).check();
    if (this->HasFatalFailure()) return;
  }
}

// Of a long frame: rows and numbers for all entries, hundreds of kilobytes from each other.
TYPED_TEST(EntryCodeTest, ReachesPlacesFarFromTheBeginning) {
  using T = TypeParam;
  if (!EntryCode::available()) GTEST_SKIP() << "no machine code here";
  for (const int64_t run : {1, 4, 8, 12, 16, 24, 31}) {
    constexpr int kRows = 2000, kNumbers = 3000, kSteps = 500;
    const int64_t row = (run * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    const int64_t numbers = kRows * row, results = numbers + kNumbers * static_cast<int64_t>(sizeof(T)) + 64;
    std::vector<T> memory(static_cast<size_t>((results + kSteps * row) / static_cast<int64_t>(sizeof(T))));
    std::mt19937 random(static_cast<unsigned>(run));
    for (T& x : memory) x = std::normal_distribution<T>(0, 2)(random);
    const std::vector<T> before = memory;
    const auto at = [&](int64_t bytes) { return static_cast<size_t>(bytes) / sizeof(T); };
    EntryLoop loop;
    loop.run = run;
    loop.dtype = sizeof(T) == 8 ? kFloat64 : kFloat32;
    loop.row_bytes = {0};
    for (int k = 0; k < 2 * kSteps; ++k) {
      const bool uniform = k % 2 == 1;
      const auto i = static_cast<int64_t>(random());
      loop.loads.push_back(
          {0, uniform ? numbers + i % kNumbers * static_cast<int64_t>(sizeof(T)) : i % kRows * row, uniform});
      loop.is_bool.push_back(false);
    }
    for (int k = 0; k < kSteps; ++k)
      loop.steps.push_back({EntryOp::Multiply, {2 * k, 2 * k + 1, -1}, Memory{0, results + k * row, false}});
    EntryCode code;
    const EntryCode::Function* f = code.add(loop);
    code.finish();
    char* const pointer = reinterpret_cast<char*>(memory.data());
    (*f)(&pointer, 1, run);
    for (int64_t k = 0; k < kSteps; ++k)
      for (int64_t i = 0; i < run; ++i) {
        const Memory &x = loop.loads[static_cast<size_t>(2 * k)],
                     &y = loop.loads[static_cast<size_t>(2 * k + 1)];
        ASSERT_EQ(memory[at(results + k * row) + static_cast<size_t>(i)],
                  before[at(x.offset) + static_cast<size_t>(i)] * before[at(y.offset)])
            << "run " << run << ", step " << k << ", entry " << i;
      }
    ASSERT_TRUE(std::equal(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(at(results)),
                           memory.begin()));
  }
}

TYPED_TEST(EntryCodeTest, KnowsKernelsOfAFewInstructions) {
  const auto& k = simd_kernels<TypeParam>();
  const auto op = [](auto f) { return entry_op<TypeParam>(reinterpret_cast<void (*)()>(f)); };
  EXPECT_EQ(op(k.add), EntryOp::Add);
  EXPECT_EQ(op(k.less_equal), EntryOp::LessEqual);
  EXPECT_EQ(op(k.subtract_product), EntryOp::SubtractProduct);
  EXPECT_EQ(op(k.tanh), std::nullopt);
  EXPECT_EQ(op(k.floor), std::nullopt);
}

}  // namespace
}  // namespace hesse::cpu
