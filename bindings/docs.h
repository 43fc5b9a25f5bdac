#pragma once
#include <array>

/// Docstrings in NumPy's style. A Doc holds what is particular to a function; `text` adds the headings, and
/// `import hesse as hs` to the example, which the tests run (tests/python/test_docs.py).
namespace hesse::python {

struct Doc {
  const char* meaning;                         ///< a sentence, with the formula
  std::array<const char*, 8> parameters = {};  ///< "name : type\n    what it is", without null ones
  const char* returns = nullptr;               ///< "type\n    what it is"
  const char* raises = nullptr;                ///< "error\n    when"
  const char* notes = nullptr;                 ///< derivatives at non-smooth points, the method
  const char* source = nullptr;                ///< who published the method
  const char* example = nullptr;               ///< ">>> ..." lines and what they print
};

/// The docstring, which lives as long as the program; `signature` goes before it.
const char* text(const Doc& doc, const char* signature = "");

/// Parameters that many functions share.
namespace docs::param {
constexpr const char* kX = "x : array\n    Any shape.";
constexpr const char* kAxes =
    "axis : int or tuple of int, optional\n    The axes to reduce over; all of them by default.";
constexpr const char* kFlatAxis =
    "axis : int, optional\n    The axis; by default the array is taken as flat, in row-major order.";
constexpr const char* kLastAxis = "axis : int\n    The last one by default.";
constexpr const char* kKeepdims = "keepdims : bool\n    Whether reduced axes stay, with length one.";
constexpr const char* kDtype =
    "dtype : dtype, optional\n    That of the result; by default it follows from the input.";
constexpr const char* kNewDtype =
    "dtype : dtype, optional\n    That of the result; `hs.default_dtype()` by default.";
constexpr const char* kLikeDtype = "dtype : dtype, optional\n    That of the result; that of x by default.";
constexpr const char* kDevice = "device : {'cpu'}, optional\n    There is one device.";
constexpr const char* kShape = "shape : int or tuple of int\n    That of the result.";
constexpr const char* kIndices = "indices : array of integers\n    Negative ones count from the end.";
constexpr const char* kKey = "key : Array\n    A random key; the same key gives the same numbers.";
constexpr const char* kShapeOrOne =
    "shape : int or tuple of int\n    That of the result; one number by default.";
constexpr const char* kSquare = "x : array, (..., n, n)\n    Square matrices, real or complex.";
constexpr const char* kMatrix = "x : array, (..., m, n)\n    Matrices, real or complex.";
constexpr const char* kX1X2 = "x1, x2 : array\n    They broadcast against each other.";
constexpr const char* kDescending = "descending : bool\n    Whether the largest comes first.";
constexpr const char* kStable = "stable : bool\n    Equal entries keep their order in either case.";
constexpr const char* kOffset =
    "offset : int\n    Which diagonal: 0 is the main one, positive ones lie above it.";
constexpr const char* kK = "k : int\n    Which diagonal: 0 is the main one, positive ones lie above it.";
constexpr const char* kStride = "stride : int or tuple of int\n    The step of the window; one by default.";
constexpr const char* kPadding =
    "padding : int or sequence, optional\n    Zeros at the ends of the spatial axes: a number, or a number "
    "or (before, after) for each\n    axis; none by default.";
constexpr const char* kNorm =
    "norm : {'backward', 'ortho', 'forward'}\n    Which direction is scaled: the inverse by 1 / n, both by 1 "
    "/ sqrt(n), or the forward one\n    by 1 / n.";
constexpr const char* kFftLength =
    "n : int, optional\n    The length to which the axis is cut or padded with zeros; its own by default.";
constexpr const char* kFftLengths =
    "s : tuple of int, optional\n    The lengths to which the axes are cut or padded with zeros.";
constexpr const char* kFftAxes =
    "axes : tuple of int, optional\n    All axes by default (with `s`, the last ones).";
constexpr const char* kCount = "n : int\n    How many points.";
constexpr const char* kDimensions = "d : int\n    The number of dimensions.";
constexpr const char* kReal = "x : array\n    Real, any shape.";
}  // namespace docs::param

}  // namespace hesse::python
