// The vector kernels of every instruction set against long double, and against themselves at every position.
#include "core/cpu/simd_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace hesse::cpu {
namespace {

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (const Isa isa : {Isa::Baseline, Isa::Avx2, Isa::Avx512})
    if (isa <= detected_isa()) all.push_back(isa);
  return all;
}
std::string name(Isa isa) { return isa == Isa::Avx512 ? "avx512" : isa == Isa::Avx2 ? "avx2" : "baseline"; }

template <class T>
using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
template <class T>
Bits<T> bits(T x) {
  Bits<T> b;
  std::memcpy(&b, &x, sizeof(x));
  return b;
}
template <class T>
T from_bits(Bits<T> b) {
  T x;
  std::memcpy(&x, &b, sizeof(x));
  return x;
}

/// Every sort of number: random bits, common ranges, neighbours of landmarks, the edges.
template <class T>
std::vector<T> samples(size_t n) {
  using L = std::numeric_limits<T>;
  std::mt19937_64 random(7);
  std::vector<T> x = {T(0),
                      T(-0.0),
                      L::infinity(),
                      -L::infinity(),
                      L::quiet_NaN(),
                      L::denorm_min(),
                      L::min(),
                      -L::min(),
                      L::max(),
                      -L::max(),
                      L::epsilon(),
                      -L::denorm_min(),
                      T(1),
                      T(-1),
                      T(0.5),
                      T(-0.5),
                      T(2),
                      T(1.5),
                      T(2.5),
                      T(-2.5),
                      L::epsilon() / 8,
                      -L::epsilon() / 8,
                      T(1e6),
                      T(1.7e6),
                      T(1e22),
                      T(745.13321),
                      T(-745.13322),
                      T(709.78),
                      T(-708.4),
                      T(88.72),
                      T(-87.3),
                      T(-103.9),
                      T(36.7),
                      T(-37.5),
                      T(0.34657359028),
                      T(-0.34657359028)};
  for (const T landmark :
       {T(0.34657359), T(0.70710678), T(1), T(1.41421356), T(1.57079633), T(3.14159265), T(6.2831853), T(-1),
        T(0.69314718), T(20), T(22), T(709), T(-745), T(88), T(-103)}) {
    for (int i = -20; i <= 20; ++i)
      x.push_back(from_bits<T>(static_cast<Bits<T>>(bits(landmark) + static_cast<Bits<T>>(i))));
  }
  for (int k = 1; k < 2000; ++k) x.push_back(static_cast<T>(k * 1.5707963267948966L));
  for (int i = 0; i < 20000; ++i)
    x.push_back(static_cast<T>(static_cast<long double>(random() % 1018000) * 1.57079632679489661923L));
  std::uniform_real_distribution<double> unit(-1, 1);
  while (x.size() < n) {
    x.push_back(from_bits<T>(static_cast<Bits<T>>(random())));
    for (const double range : {1e-3, 0.4, 1.0, 3.0, 10.0, 40.0, 110.0, 750.0, 1e5, 2e6})
      x.push_back(static_cast<T>(range * unit(random)));
  }
  return x;
}

/// |y - exact| in units of the last place of T at `exact`.
template <class T>
double ulps(T y, long double exact) {
  using L = std::numeric_limits<T>;
  if (std::isnan(exact)) return std::isnan(y) ? 0.0 : 1e30;
  const T rounded = static_cast<T>(exact);
  if (y == rounded) return y == 0 && std::signbit(y) != std::signbit(rounded) ? 1e30 : 0.0;
  if (std::isinf(rounded) || std::isinf(y)) {
    // One step across the largest number is as good as any other step.
    return std::isfinite(y) && std::fabs(y) == L::max() && std::signbit(y) == std::signbit(rounded) ? 1.0
           : std::isinf(y) && std::fabs(rounded) == L::max() && std::signbit(y) == std::signbit(rounded)
               ? 1.0
               : 1e30;
  }
  int exponent = 0;
  std::frexp(static_cast<long double>(std::fabs(exact)), &exponent);
  const long double unit = std::ldexp(1.0L, std::max(exponent - L::digits, L::min_exponent - L::digits));
  return static_cast<double>(std::fabs(static_cast<long double>(y) - exact) / unit);
}

template <class T>
struct Case {
  const char* name;
  typename SimdKernels<T>::Unary SimdKernels<T>::*kernel;
  long double (*exact)(long double);
  double bound;
};
template <class T>
std::vector<Case<T>> cases() {
  using K = SimdKernels<T>;
  return {
      {"negative", &K::negative, [](long double x) { return -x; }, 0},
      {"abs", &K::abs, [](long double x) { return std::fabs(x); }, 0},
      {"sign", &K::sign, [](long double x) { return x > 0    ? 1.0L
                                                    : x < 0  ? -1.0L
                                                    : x == 0 ? 0.0L
                                                             : x; }, 0},
      {"reciprocal", &K::reciprocal, [](long double x) { return 1 / x; }, 0.51},
      {"sqrt", &K::sqrt, [](long double x) { return std::sqrt(x); }, 0.51},
      {"rsqrt", &K::rsqrt, [](long double x) { return 1 / std::sqrt(x); }, 1.5},
      {"floor", &K::floor, [](long double x) { return std::floor(x); }, 0},
      {"ceil", &K::ceil, [](long double x) { return std::ceil(x); }, 0},
      {"trunc", &K::trunc, [](long double x) { return std::trunc(x); }, 0},
      {"round", &K::round, [](long double x) { return std::nearbyint(x); }, 0},
      {"exp", &K::exp, [](long double x) { return std::exp(x); }, 1.1},
      {"expm1", &K::expm1, [](long double x) { return std::expm1(x); }, 2.5},
      {"log", &K::log, [](long double x) { return std::log(x); }, 1.0},
      {"log1p", &K::log1p, [](long double x) { return std::log1p(x); }, 1.0},
      {"sin", &K::sin, [](long double x) { return std::sin(x); }, 1.0},
      {"cos", &K::cos, [](long double x) { return std::cos(x); }, 1.0},
      {"tanh", &K::tanh, [](long double x) { return std::tanh(x); }, 3.0},
      {"sigmoid", &K::sigmoid,
       [](long double x) {
         return x >= 0 ? 1 / (1 + std::exp(-x)) : x < 0 ? std::exp(x) / (1 + std::exp(x)) : x;
       },
       3.0},
      {"softplus", &K::softplus,
       [](long double x) {
         return std::isnan(x) ? x : std::fmax(x, 0.0L) + std::log1p(std::exp(-std::fabs(x)));
       },
       2.0},
  };
}

template <class T>
class Simd : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Simd, Types);

TYPED_TEST(Simd, FunctionsAreAccurateEverywhere) {
  using T = TypeParam;
  const std::vector<T> x = samples<T>(200000);
  std::vector<T> y(x.size());
  for (const Isa isa : isas()) {
    for (const Case<T>& c : cases<T>()) {
      (simd_kernels<T>(isa).*c.kernel)(x.data(), y.data(), static_cast<int64_t>(x.size()));
      double worst = 0;
      T at = 0, got = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double e = ulps(y[i], c.exact(x[i]));
        if (e > worst) {
          worst = e;
          at = x[i];
          got = y[i];
        }
      }
      EXPECT_LE(worst, c.bound) << c.name << ' ' << name(isa) << ": " << worst << " ulp at " << std::hexfloat
                                << at << " = " << std::defaultfloat << at << ", got " << got;
      this->RecordProperty(std::string(c.name) + '_' + name(isa), std::to_string(worst));
      if (std::getenv("HESSE_SHOW_ULPS"))
        std::printf("%-10s %-10s %d %.3f at %a\n", c.name, name(isa).c_str(), int(sizeof(T)), worst,
                    double(at));
    }
  }
}

// An entry's bits do not depend on its position, on the length of the run, or on alignment; nothing else is
// written.
TYPED_TEST(Simd, PositionDoesNotMatter) {
  using T = TypeParam;
  const std::vector<T> x = samples<T>(3000);
  const auto n = static_cast<int64_t>(x.size());
  for (const Isa isa : isas()) {
    for (const Case<T>& c : cases<T>()) {
      const auto f = simd_kernels<T>(isa).*c.kernel;
      std::vector<T> whole(x.size());
      f(x.data(), whole.data(), n);
      for (int64_t length = 1; length <= 37; ++length) {
        const int64_t start = (length * 71) % 2900;
        std::vector<T> out(static_cast<size_t>(length + 2), T(-77));
        f(x.data() + start, out.data() + 1, length);
        ASSERT_EQ(out.front(), T(-77));
        ASSERT_EQ(out.back(), T(-77)) << c.name;
        ASSERT_EQ(std::memcmp(out.data() + 1, whole.data() + start, sizeof(T) * static_cast<size_t>(length)),
                  0)
            << c.name << ' ' << name(isa) << " length " << length;
      }
    }
  }
}

TYPED_TEST(Simd, BinaryKernelsAgreeWithPlainOnes) {
  using T = TypeParam;
  using K = SimdKernels<T>;
  const std::vector<T> x = samples<T>(1500);
  std::vector<T> y(x.rbegin(), x.rend());
  for (size_t i = 0; i < y.size(); i += 3) y[i] = x[i];
  const auto larger = [](T a, T b) { return std::isnan(a) ? a : std::isnan(b) ? b : a < b ? b : a; };
  const auto smaller = [](T a, T b) { return std::isnan(a) ? a : std::isnan(b) ? b : b < a ? b : a; };
  using Plain = T (*)(T, T);
  const std::vector<std::pair<typename K::Binary K::*, Plain>> arithmetic = {
      {&K::add, [](T a, T b) { return a + b; }},
      {&K::subtract, [](T a, T b) { return a - b; }},
      {&K::multiply, [](T a, T b) { return a * b; }},
      {&K::divide, [](T a, T b) { return a / b; }},
      {&K::maximum, larger},
      {&K::minimum, smaller}};
  using Test = bool (*)(T, T);
  const std::vector<std::pair<typename K::Compare K::*, Test>> comparisons = {
      {&K::equal, [](T a, T b) { return a == b; }},
      {&K::not_equal, [](T a, T b) { return a != b; }},
      {&K::less, [](T a, T b) { return a < b; }},
      {&K::less_equal, [](T a, T b) { return a <= b; }}};
  const auto same = [](T a, T b) { return bits(a) == bits(b) || (std::isnan(a) && std::isnan(b)); };
  for (const Isa isa : isas()) {
    const K& k = simd_kernels<T>(isa);
    for (const int64_t n : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 1499}) {
      for (const int steps : {0, 1, 2, 3}) {
        const int64_t sx = steps & 1, sy = steps >> 1;
        for (const auto& [kernel, plain] : arithmetic) {
          std::vector<T> out(static_cast<size_t>(n));
          (k.*kernel)(x.data() + 1, sx, y.data() + 1, sy, out.data(), n);
          for (int64_t i = 0; i < n; ++i)
            ASSERT_TRUE(same(out[static_cast<size_t>(i)],
                             plain(x[static_cast<size_t>(1 + i * sx)], y[static_cast<size_t>(1 + i * sy)])))
                << name(isa) << " n=" << n << " i=" << i;
        }
        for (const auto& [kernel, plain] : comparisons) {
          const auto out = std::make_unique<bool[]>(static_cast<size_t>(n));
          (k.*kernel)(x.data(), sx, y.data(), sy, out.get(), n);
          for (int64_t i = 0; i < n; ++i) {
            ASSERT_EQ(out[static_cast<size_t>(i)],
                      plain(x[static_cast<size_t>(i * sx)], y[static_cast<size_t>(i * sy)]));
            ASSERT_LE(reinterpret_cast<const unsigned char*>(out.get())[i], 1);
          }
          for (const int64_t sc : {0, 1}) {
            std::vector<T> chosen(static_cast<size_t>(n));
            k.where(out.get(), sc, x.data(), sx, y.data(), sy, chosen.data(), n);
            for (int64_t i = 0; i < n; ++i) {
              const T expected = out[static_cast<size_t>(i * sc)] ? x[static_cast<size_t>(i * sx)]
                                                                  : y[static_cast<size_t>(i * sy)];
              ASSERT_EQ(bits(chosen[static_cast<size_t>(i)]), bits(expected));
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace hesse::cpu
