#include "core/random.h"

#include <cmath>

namespace hesse::rng {

void words(Key key, uint64_t first, std::span<uint64_t> out) {
  // Blocks of independent counters side by side: the compiler turns the inner loops into vector code.
  constexpr size_t kBlock = 16;
  constexpr int kRotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const uint32_t ks[3] = {key.hi, key.lo, key.hi ^ key.lo ^ 0x1BD11BDAu};
  size_t i = 0;
  for (; i + kBlock <= out.size(); i += kBlock) {
    uint32_t x0[kBlock], x1[kBlock];
    for (size_t l = 0; l < kBlock; ++l) {
      const uint64_t counter = first + i + l;
      x0[l] = static_cast<uint32_t>(counter >> 32) + ks[0];
      x1[l] = static_cast<uint32_t>(counter) + ks[1];
    }
    for (uint32_t group = 1; group <= 5; ++group) {
      for (const int r : kRotations[(group + 1) % 2])
        for (size_t l = 0; l < kBlock; ++l) {
          x0[l] += x1[l];
          x1[l] = ((x1[l] << r) | (x1[l] >> (32 - r))) ^ x0[l];
        }
      for (size_t l = 0; l < kBlock; ++l) {
        x0[l] += ks[group % 3];
        x1[l] += ks[(group + 1) % 3] + group;
      }
    }
    for (size_t l = 0; l < kBlock; ++l) out[i + l] = uint64_t{x0[l]} << 32 | x1[l];
  }
  for (; i < out.size(); ++i) out[i] = word(key, first + i);
}

namespace {

/// c[0] + c[1] x + ... + c[7] x^7
double polynomial(const double (&c)[8], double x) {
  double y = c[7];
  for (int k = 6; k >= 0; --k) y = y * x + c[k];
  return y;
}

// The rational approximations of algorithm AS 241 (PPND16): around p = 1/2, in the flanks, in the far tails.
constexpr double kCentreA[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                3.3430575583588128105e4, 2.5090809287301226727e3};
constexpr double kCentreB[8] = {1.0,
                                4.2313330701600911252e1,
                                6.8718700749205790830e2,
                                5.3941960214247511077e3,
                                2.1213794301586595867e4,
                                3.9307895800092710610e4,
                                2.8729085735721942674e4,
                                5.2264952788528545610e3};
constexpr double kFlankA[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                               3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double kFlankB[8] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
constexpr double kTailA[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                              2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                              2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr double kTailB[8] = {1.0,
                              5.99832206555887937690e-1,
                              1.36929880922735805310e-1,
                              1.48753612908506148525e-2,
                              7.86869131145613259100e-4,
                              1.84631831751005468180e-5,
                              1.42151175831644588870e-7,
                              2.04426310338993978564e-15};

}  // namespace

double normal_quantile(double p) {
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * polynomial(kCentreA, r) / polynomial(kCentreB, r);
  }
  const double r = std::sqrt(-std::log(q < 0 ? p : 1.0 - p));
  const double x = r <= 5.0 ? polynomial(kFlankA, r - 1.6) / polynomial(kFlankB, r - 1.6)
                            : polynomial(kTailA, r - 5.0) / polynomial(kTailB, r - 5.0);
  return q < 0 ? -x : x;
}

}  // namespace hesse::rng
