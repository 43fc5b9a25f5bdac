#pragma once
#include "bindings/docs.h"

/// Docstrings: random numbers.
namespace hesse::python::docs {

constexpr Doc kKey{
    .meaning = "A random key made of an integer.",
    .parameters = {"seed : int\n    Its lowest 64 bits count."},
    .returns = "Array of dtype key",
    .notes = "A key is not changed by use: `split` it for different draws.",
    .source =
        "Salmon, Moraes, Dror and Shaw, \"Parallel random numbers: as easy as 1, 2, 3\" "
        "(2011):\nThreefry-2x32-20.",
    .example = R"(
>>> hs.random.key(0).dtype
hesse.key)",
};
constexpr Doc kSplit{
    .meaning = "Independent keys made of one.",
    .parameters = {param::kKey, "num : int"},
    .returns = "Array of dtype key, (num,)",
    .example = R"(
>>> a, b = hs.random.split(hs.random.key(0))
>>> bool(hs.random.normal(a) == hs.random.normal(b))
False)",
};
constexpr Doc kFoldIn{
    .meaning = "A key made of a key and an integer, such as the number of a step.",
    .parameters = {param::kKey, "data : array of integers"},
    .returns = "Array of dtype key",
    .example = R"(
>>> hs.random.integers(hs.random.fold_in(hs.random.key(42), 7), 0, 100, (3,))
Array([59, 12, 36], dtype=int64))",
};
constexpr Doc kBits{
    .meaning = "Random bits, as integers.",
    .parameters = {param::kKey, param::kShapeOrOne,
                   "dtype : dtype, optional\n    An integer dtype; uint32 by default."},
    .returns = "Array",
    .source =
        "Salmon, Moraes, Dror and Shaw, \"Parallel random numbers: as easy as 1, 2, 3\" "
        "(2011):\nThreefry-2x32-20.",
    .example = R"(
>>> hs.random.bits(hs.random.key(42), (2,))
Array([1832780943,  270669613], dtype=uint32))",
};
constexpr Doc kUniform{
    .meaning = "Uniform numbers in [lo, hi).",
    .parameters = {param::kKey, param::kShapeOrOne,
                   "lo, hi : array\n    They broadcast to the shape; derivatives pass through them.",
                   param::kNewDtype},
    .returns = "Array",
    .example = R"(
>>> hs.round(hs.random.uniform(hs.random.key(42), (3,)), 4)
Array([0.4267, 0.015 , 0.5741], dtype=float64))",
};
constexpr Doc kNormal{
    .meaning = "Numbers from the standard normal distribution; complex ones have E abs(x)**2 = 1.",
    .parameters = {param::kKey, param::kShapeOrOne, param::kNewDtype},
    .returns = "Array",
    .notes = "Quantiles of one uniform number each.",
    .source =
        "Wichura, \"Algorithm AS 241: the percentage points of the normal distribution\", Appl. Statist. "
        "37\n(1988).",
    .example = R"(
>>> hs.round(hs.random.normal(hs.random.key(42), (3,)), 4)
Array([-0.1847, -2.1698,  0.1869], dtype=float64))",
};
constexpr Doc kGumbel{
    .meaning = "Numbers from the standard Gumbel distribution, -log(-log(u)) for uniform u.",
    .parameters = {param::kKey, param::kShapeOrOne, param::kNewDtype},
    .returns = "Array",
    .example = R"(
>>> hs.random.gumbel(hs.random.key(0), (2, 3)).shape
(2, 3))",
};
constexpr Doc kIntegers{
    .meaning = "Integers in [lo, hi).",
    .parameters = {param::kKey, "lo, hi : int", param::kShapeOrOne,
                   "dtype : dtype, optional\n    int64 by default."},
    .returns = "Array",
    .raises = "ValueError\n    Unless lo < hi.",
    .example = R"(
>>> hs.random.integers(hs.random.key(42), 0, 100, (4,))
Array([42,  1, 57, 72], dtype=int64))",
};
constexpr Doc kCategorical{
    .meaning = "Indices into the last axis of logits, with probabilities softmax(logits).",
    .parameters = {param::kKey,
                   "logits : array, (..., n)\n    Logarithms of probabilities, up to a constant.",
                   "shape : tuple of int, optional\n    That of the result; by default that of the logits "
                   "without the last axis, which it must\n    end with."},
    .returns = "Array of int64",
    .notes = "By the Gumbel-max trick: the argmax of logits + gumbel.",
    .example = R"(
>>> hs.random.categorical(hs.random.key(0), hs.array([0.0, -hs.inf, -hs.inf]), (3,))
Array([0, 0, 0], dtype=int64))",
};

}  // namespace hesse::python::docs
