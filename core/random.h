#pragma once
#include <cstdint>
#include <span>

#include "core/dtype.h"

/// The random number generator, specified. Every number is a function of a key and of its index in the
/// result: it does not depend on threads, on the machine, or on what was drawn before. Test vectors:
/// docs/random.md.
///
/// - Words: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy
/// as 1, 2, 3"). Its
///   key words are (key.hi, key.lo); word i of a key has the counter (i >> 32, i mod 2^32) and is x0 * 2^32 +
///   x1.
/// - Bits: entry i of 64-bit integers is word i; entry i of narrower ones is the low bits of x0 (i even) or
/// x1 (i odd) of
///   word floor(i / 2).
/// - Uniform in [0, 1): float64: (word i >> 11) * 2^-53; float32: (32-bit entry i >> 8) * 2^-24.
/// - Normal: the quantile of p, where p = ((word i >> 12) + 1/2) * 2^-52 for float64 and (32-bit entry i +
/// 1/2) * 2^-32,
///   rounded at the end, for float32. Gumbel: -log(-log(p)) with the same p.
/// - Integers in [lo, hi): lo + floor(word i * (hi - lo) / 2^64).
/// - Permutations: for i = n-1 ... 1, entry i of 0, 1, ..., n-1 is swapped with entry floor(word i * (i + 1)
/// / 2^64).
/// - Keys: a seed s gives (s >> 32, s mod 2^32). Key j of a split is Threefry of counter (2^31 + (j >> 32), j
/// mod 2^32). Folding
///   in d (64 bits) is Threefry of counter (d >> 32, d mod 2^32) under the key Threefry of counter (2^30, 0).
namespace hesse::rng {

struct Words {
  uint32_t x0, x1;
};

/// Threefry-2x32-20.
constexpr Words threefry(Key key, uint32_t c0, uint32_t c1) {
  constexpr int kRotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const uint32_t ks[3] = {key.hi, key.lo, key.hi ^ key.lo ^ 0x1BD11BDAu};
  uint32_t x0 = c0 + ks[0], x1 = c1 + ks[1];
  for (uint32_t group = 1; group <= 5; ++group) {
    for (const int r : kRotations[(group + 1) % 2]) {
      x0 += x1;
      x1 = (x1 << r) | (x1 >> (32 - r));
      x1 ^= x0;
    }
    x0 += ks[group % 3];
    x1 += ks[(group + 1) % 3] + group;
  }
  return {x0, x1};
}

constexpr uint64_t word(Key key, uint64_t i) {
  const Words w = threefry(key, static_cast<uint32_t>(i >> 32), static_cast<uint32_t>(i));
  return uint64_t{w.x0} << 32 | w.x1;
}

constexpr Key from_seed(uint64_t seed) {
  return {static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(seed)};
}
constexpr Key split(Key key, uint64_t j) {
  const Words w = threefry(key, 0x80000000u + static_cast<uint32_t>(j >> 32), static_cast<uint32_t>(j));
  return {w.x0, w.x1};
}
constexpr Key fold_in(Key key, uint64_t data) {
  const Words inner = threefry(key, 0x40000000u, 0);
  const Words w =
      threefry({inner.x0, inner.x1}, static_cast<uint32_t>(data >> 32), static_cast<uint32_t>(data));
  return {w.x0, w.x1};
}

/// Words first, first + 1, ...: as `word`, several at a time.
void words(Key key, uint64_t first, std::span<uint64_t> out);

__extension__ using Wide = unsigned __int128;
/// floor(word * range / 2^64)
constexpr uint64_t below(uint64_t word, uint64_t range) {
  return static_cast<uint64_t>((Wide{word} * range) >> 64);
}

/// The x with probability p below it under the standard normal distribution, to about 1e-16 relative (Wichura
/// 1988, algorithm AS 241). p in (0, 1).
double normal_quantile(double p);

}  // namespace hesse::rng
