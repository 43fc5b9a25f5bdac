#pragma once
#include <string_view>

#include "core/array.h"

/// Points in the unit cube [0, 1)^d, float64 [n, d], made from a key. All have uniform margins in
/// expectation. Each throws ValueError for n < 0 or d < 1. Outside tracing.
namespace hesse::physics {

/// Independent points: mean-square error of averages 1/n.
Array uniform(const Array& key, int64_t n, int64_t d);
/// One point in every one of n slices of each axis (McKay, Beckman and Conover 1979).
Array latin_hypercube(const Array& key, int64_t n, int64_t d);
/// The first n points of the Sobol sequence with the direction numbers of Joe and Kuo (2008), after Owen's
/// nested uniform scrambling (1995): every aligned power of two of points stays a digital net. At most
/// kSobolDimensions dimensions and 2^32 points.
Array sobol(const Array& key, int64_t n, int64_t d);
/// The same without scrambling: the sequence itself, whose first point is the origin.
Array sobol_unscrambled(int64_t n, int64_t d);
inline constexpr int64_t kSobolDimensions = 16;

/// "uniform", "latin_hypercube" or "sobol".
Array sample(std::string_view method, const Array& key, int64_t n, int64_t d);

}  // namespace hesse::physics
