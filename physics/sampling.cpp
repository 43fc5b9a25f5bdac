#include "physics/sampling.h"

#include <array>
#include <bit>

#include "core/ops.h"

namespace hesse::physics {
namespace {

void check(const char* function, int64_t n, int64_t d) {
  require(n >= 0, function, ": the number of points must not be negative, got ", n);
  require(d >= 1, function, ": the number of dimensions must be positive, got ", d);
}

// Primitive polynomials (degree s, inner coefficients a) and initial direction numbers m of dimensions 2 to
// 16, from the file new-joe-kuo-6.21201 of S. Joe and F. Y. Kuo, Constructing Sobol sequences with better
// two-dimensional projections, SIAM J. Sci. Comput. 30 (2008) 2635.
struct Direction {
  unsigned s, a;
  std::array<uint32_t, 6> m;
};
constexpr std::array<Direction, kSobolDimensions - 1> kDirections{{{1, 0, {1}},
                                                                   {2, 1, {1, 3}},
                                                                   {3, 1, {1, 3, 1}},
                                                                   {3, 2, {1, 1, 1}},
                                                                   {4, 1, {1, 1, 3, 3}},
                                                                   {4, 4, {1, 3, 5, 13}},
                                                                   {5, 2, {1, 1, 5, 5, 17}},
                                                                   {5, 4, {1, 1, 5, 5, 5}},
                                                                   {5, 7, {1, 1, 7, 11, 19}},
                                                                   {5, 11, {1, 1, 5, 1, 1}},
                                                                   {5, 13, {1, 1, 1, 3, 11}},
                                                                   {5, 14, {1, 3, 5, 5, 31}},
                                                                   {6, 1, {1, 3, 3, 9, 7, 49}},
                                                                   {6, 13, {1, 1, 1, 15, 21, 21}},
                                                                   {6, 16, {1, 3, 1, 13, 27, 49}}}};
constexpr unsigned kBits = 32;
using Columns = std::array<uint32_t, kBits>;

// v_k = m_k 2^(32 - k): digit k of the index flips these digits of the point.
// m_k = 2 a_1 m_{k-1} xor 2^2 a_2 m_{k-2} xor ... xor 2^s m_{k-s} xor m_{k-s}.
Columns columns(int64_t dimension) {
  Columns v{};
  if (dimension == 0) {
    for (unsigned k = 0; k < kBits; ++k) v[k] = 1u << (kBits - 1 - k);
    return v;
  }
  const Direction& d = kDirections[static_cast<size_t>(dimension - 1)];
  for (unsigned k = 0; k < kBits; ++k) {
    if (k < d.s) {
      v[k] = d.m[k] << (kBits - 1 - k);
      continue;
    }
    v[k] = v[k - d.s] ^ (v[k - d.s] >> d.s);
    for (unsigned i = 1; i < d.s; ++i)
      if ((d.a >> (d.s - 1 - i)) & 1u) v[k] ^= v[k - i];
  }
  return v;
}

uint32_t sobol_digits(const Columns& v, uint32_t index) {
  const uint32_t gray =
      index ^ (index >> 1);  // the same points, in an order where neighbours differ in one digit
  uint32_t x = 0;
  for (uint32_t rest = gray; rest != 0; rest &= rest - 1) x ^= v[static_cast<size_t>(std::countr_zero(rest))];
  return x;
}

// A bijection of 64-bit words whose every output bit depends on all input bits: the finaliser of SplitMix64
// (Steele, Lea and Flood 2014).
uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Nested uniform scrambling: digit k is flipped by a fair coin that belongs to the k digits before it. Beyond
// the 32 digits of the sequence, which are zero, the coins alone fill the 53 digits of a double.
double scrambled(uint32_t digits, uint64_t seed) {
  constexpr unsigned kDigits = 53;
  const uint64_t x = static_cast<uint64_t>(digits) << (kDigits - kBits);
  uint64_t result = 0;
  for (unsigned k = 0; k < kBits; ++k) {
    const unsigned position = kDigits - 1 - k;
    const uint64_t prefix =
        x >> (position + 1) | uint64_t{1} << k;  // the leading one tells prefixes of equal digits apart
    const uint64_t coin = mixed(seed ^ mixed(prefix)) >> 63;
    result |= ((x >> position & 1u) ^ coin) << position;
  }
  result |= mixed(~seed ^ mixed(digits)) >> (64 - (kDigits - kBits));
  return static_cast<double>(result) * 0x1p-53;
}

void check_sobol(int64_t n, int64_t d) {
  check("sobol", n, d);
  require(d <= kSobolDimensions, "sobol: ", kSobolDimensions, " dimensions at most, got ", d,
          "; use latin_hypercube");
  require(n <= int64_t{1} << kBits, "sobol: 2^32 points at most, got ", n);
}

}  // namespace

Array uniform(const Array& key, int64_t n, int64_t d) {
  check("uniform", n, d);
  return random::uniform(key, {n, d}, 0.0, 1.0, kFloat64);
}

Array latin_hypercube(const Array& key, int64_t n, int64_t d) {
  check("latin_hypercube", n, d);
  const Arrays keys = unstack(random::split(key, d + 1));
  Arrays slices;
  for (int64_t j = 0; j < d; ++j)
    slices.push_back(astype(random::permutation(keys[static_cast<size_t>(j) + 1], n), kFloat64));
  if (n == 0) return zeros({0, d}, kFloat64);
  return (stack(slices, 1) + uniform(keys[0], n, d)) / static_cast<double>(n);
}

Array sobol_unscrambled(int64_t n, int64_t d) {
  check_sobol(n, d);
  Array result = Array::uninitialized({n, d}, kFloat64);
  auto* x = result.view().as<double>();
  for (int64_t j = 0; j < d; ++j) {
    const Columns v = columns(j);
    for (int64_t i = 0; i < n; ++i)
      x[i * d + j] = static_cast<double>(sobol_digits(v, static_cast<uint32_t>(i))) * 0x1p-32;
  }
  return result;
}

Array sobol(const Array& key, int64_t n, int64_t d) {
  check_sobol(n, d);
  const std::vector<uint64_t> seeds = random::bits(key, {d}, kUInt64).to_vector<uint64_t>();
  Array result = Array::uninitialized({n, d}, kFloat64);
  auto* x = result.view().as<double>();
  for (int64_t j = 0; j < d; ++j) {
    const Columns v = columns(j);
    for (int64_t i = 0; i < n; ++i)
      x[i * d + j] = scrambled(sobol_digits(v, static_cast<uint32_t>(i)), seeds[static_cast<size_t>(j)]);
  }
  return result;
}

Array sample(std::string_view method, const Array& key, int64_t n, int64_t d) {
  if (method == "uniform") return uniform(key, n, d);
  if (method == "latin_hypercube") return latin_hypercube(key, n, d);
  if (method == "sobol") return sobol(key, n, d);
  throw ValueError(
      concat("sample: there is no method \"", method, "\"; known: uniform, latin_hypercube, sobol"));
}

}  // namespace hesse::physics
