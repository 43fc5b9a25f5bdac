#include "core/cpu/fft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "tests/core/random_arrays.h"
#include "tests/support/expect_derivatives.h"

namespace hesse {
namespace {

using Args = std::span<const Array>;
using namespace test;

/// Every step-th number of the transform by its definition, in extended precision.
std::vector<complex128> definition(const std::vector<complex128>& x, bool inverse, size_t step) {
  using Wide = std::complex<long double>;
  const size_t n = x.size();
  std::vector<Wide> roots(n);
  for (size_t k = 0; k < n; ++k) {
    const long double angle =
        2 * std::numbers::pi_v<long double> * static_cast<long double>(k) / static_cast<long double>(n);
    roots[k] = {std::cos(angle), (inverse ? 1 : -1) * std::sin(angle)};
  }
  std::vector<complex128> y;
  for (size_t k = 0; k < n; k += step) {
    Wide sum = 0;
    for (size_t j = 0, at = 0; j < n; ++j, at = (at + k) % n) sum += Wide(x[j]) * roots[at];
    y.push_back(complex128(sum));
  }
  return y;
}

std::vector<complex128> every(const std::vector<complex128>& x, size_t step, size_t end) {
  std::vector<complex128> y;
  for (size_t k = 0; k < end; k += step) y.push_back(x[k]);
  return y;
}

double distance(const std::vector<complex128>& a, const std::vector<complex128>& b) {
  double d = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    d += std::norm(a[i] - b[i]);
    size += std::norm(b[i]);
  }
  return std::sqrt(d / std::max(size, 1e-300));
}

TEST(Fourier, AgreesWithTheDefinition) {
  std::mt19937_64 generator(3);
  for (const int64_t n : {1,   2,   3,   4,    5,    6,    7,    8,    9,    10,   11,   12,  13,  16,
                          17,  24,  26,  31,   60,   64,   97,   100,  101,  121,  128,  169, 251, 360,
                          500, 509, 512, 1000, 1009, 1024, 2039, 2048, 3072, 4093, 4095, 4096}) {
    const Array x = random_array({n}, kComplex128, generator), r = random_array({n}, kFloat64, generator);
    const auto values = x.to_vector<complex128>();
    const auto reals = astype(r, kComplex128).to_vector<complex128>();
    // Of long ones some, where extended precision is done in software.
    constexpr bool kSlow = std::numeric_limits<long double>::digits > 64;
    const size_t step = kSlow && n > 512 ? 13 : 1, end = static_cast<size_t>(n);
    const auto differs = [&](const Array& got, const std::vector<complex128>& in, bool inverse,
                             size_t count) {
      const auto y = got.to_vector<complex128>();
      auto expected = definition(in, inverse, step);
      expected.resize((count + step - 1) / step);
      return distance(every(y, step, count), expected);
    };
    EXPECT_LT(differs(fft(x), values, false, end), 1e-14) << n;
    EXPECT_LT(differs(ifft(x, {}, -1, "forward"), values, true, end), 1e-14) << n;
    EXPECT_LT(differs(rfft(r), reals, false, end / 2 + 1), 1e-14) << n;
    EXPECT_LT(largest(irfft(rfft(r), n) - r), 1e-13) << n;
    EXPECT_LT(largest(fft(astype(x, kComplex64)) - astype(fft(x), kComplex64)),
              3e-6 * std::sqrt(n) * std::log2(n + 1))
        << n;
    EXPECT_LT(largest(rfft(astype(r, kFloat32)) - astype(rfft(r), kComplex64)),
              3e-6 * std::sqrt(n) * std::log2(n + 1))
        << n;
    EXPECT_LT(largest(irfft(rfft(astype(r, kFloat32)), n) - astype(r, kFloat32)), 1e-5) << n;
  }
}

TEST(Fourier, InverseOfHalfASpectrumIgnoresWhatMustBeReal) {
  for (const int64_t n : {1, 2, 3, 4, 6, 8, 13, 26}) {
    std::mt19937_64 generator(4);
    const Array x = random_array({n / 2 + 1}, kComplex128, generator);
    auto v = x.to_vector<complex128>();
    v[0] = v[0].real();
    if (n % 2 == 0) v.back() = v.back().real();
    EXPECT_LT(
        largest(irfft(x, n) - irfft(Array::from<complex128>(std::span<const complex128>(v), x.shape()), n)),
        1e-15)
        << n;
  }
}

TEST(Fourier, NormsLengthsAndAxes) {
  std::mt19937_64 generator(5);
  const Array x = random_array({3, 4, 5}, kComplex128, generator);
  for (const std::string norm : {"backward", "ortho", "forward"})
    for (const int64_t axis : {0, 1, -1}) {
      EXPECT_LT(largest(ifft(fft(x, {}, axis, norm), {}, axis, norm) - x), 1e-14);
      EXPECT_LT(
          largest(fft(x, 3, axis, norm) -
                  fft(moveaxis(slice(moveaxis(x, {axis}, {0}), {0, 0, 0},
                                     {3, moveaxis(x, {axis}, {0}).dim(1), moveaxis(x, {axis}, {0}).dim(2)},
                                     {1, 1, 1}),
                               {0}, {axis}),
                      {}, axis, norm)),
          1e-14);
    }
  EXPECT_NEAR(largest(fft(x, {}, 0, "ortho") * std::sqrt(3.0) - fft(x, {}, 0)), 0.0, 1e-14);
  EXPECT_LT(largest(slice(ifft(fft(x, 9)), {0, 0, 0}, {3, 4, 5}, {1, 1, 1}) - x), 1e-14);
  EXPECT_LT(largest(fftn(x) - fft(fft(fft(x, {}, 0), {}, 1), {}, 2)), 1e-13);
  EXPECT_LT(largest(ifftn(fftn(x, {}, Axes{0, 2}), {}, Axes{0, 2}) - x), 1e-14);
  const Array r = random_array({4, 6}, kFloat64, generator);
  EXPECT_LT(largest(irfftn(rfftn(r)) - r), 1e-14);
  EXPECT_EQ(irfftn(rfftn(r, Shape{5, 7}), Shape{5, 7}).shape(), (Shape{5, 7}));
  EXPECT_EQ(fftfreq(5, 0.5).to_vector<double>(), (std::vector<double>{0, 0.4, 0.8, -0.8, -0.4}));
  EXPECT_EQ(fftfreq(4).to_vector<double>(), (std::vector<double>{0, 0.25, -0.5, -0.25}));
  EXPECT_EQ(rfftfreq(4).to_vector<double>(), (std::vector<double>{0, 0.25, 0.5}));
  EXPECT_EQ(fft(ones({2, 0, 3}), {}, 0).shape(), (Shape{2, 0, 3}));
  EXPECT_EQ(fft(Array::from<int64_t>({1, 2})).dtype(), kComplex128);
}

TEST(Fourier, Derivatives) {
  std::mt19937_64 generator(6);
  for (const int64_t n : {1, 2, 5, 6, 8, 13}) {
    const Array x = random_array({2, n, 3}, kComplex128, generator),
                r = random_array({2, n, 3}, kFloat64, generator),
                h = random_array({2, n / 2 + 1, 3}, kComplex128, generator);
    expect_derivatives([](Args v) { return Arrays{fft(v[0], {}, 1, "ortho")}; }, {x}, 1);
    expect_derivatives([](Args v) { return Arrays{ifft(v[0], {}, 1)}; }, {x}, 1);
    expect_derivatives([](Args v) { return Arrays{rfft(v[0], {}, 1, "forward")}; }, {r}, 1);
    expect_derivatives([n](Args v) { return Arrays{irfft(v[0], n, 1)}; }, {h}, 1);
    expect_derivatives([](Args v) { return Arrays{square(abs(rfft(v[0], 7, 1)))}; }, {r});
    expect_derivatives([n](Args v) { return Arrays{square(irfft(v[0] * v[0], n, 1))}; }, {h});
  }
}

TEST(Fourier, Refusals) {
  EXPECT_THROW(rfft(astype(ones({4}), kComplex128)), TypeError);
  EXPECT_THROW(fft(ones({4}), 0), ValueError);
  EXPECT_THROW(fft(ones({0})), ValueError);
  EXPECT_THROW(fft(ones({4}), {}, 1), IndexError);
  EXPECT_THROW(fft(ones({4}), {}, 0, "other"), ValueError);
  EXPECT_THROW(irfft(ones({1})), ValueError);
  EXPECT_THROW(fftn(ones({4, 4}), {}, Axes{0, 0}), ValueError);
}

}  // namespace
}  // namespace hesse
