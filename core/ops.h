#pragma once
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "core/array.h"

/// The whole vocabulary, a line of meaning each. Names and meanings are NumPy's and the Python array API
/// standard's; operands broadcast and promote (core/dtype.h). An axis may be negative. Every function works
/// on data, under a derivative and on symbols alike, unless it says "outside tracing". Bad arguments throw
/// ValueError, TypeError or IndexError naming the function, what was given and the remedy.
namespace hesse {
// clang-format off: a page, one line each

using OptAxes = std::optional<Axes>;     // nullopt: all axes
using OptAxis = std::optional<int64_t>;  // nullopt: over the flattened array
using OptDType = std::optional<DType>;

// Creation ----------------------------------------------------------------------------------
// ops/creation.cpp
Array full(const Shape& shape, const Array& value, OptDType dtype = {});  ///< value (a scalar) everywhere
Array zeros(const Shape& shape, OptDType dtype = {});
Array ones(const Shape& shape, OptDType dtype = {});
Array empty(const Shape& shape, OptDType dtype = {});  ///< unspecified (zero) contents
Array zeros_like(const Array& x, OptDType dtype = {});
Array ones_like(const Array& x, OptDType dtype = {});
Array full_like(const Array& x, const Array& value, OptDType dtype = {});
Array arange(double start, double stop, double step, DType dtype);  ///< [start, stop) in steps
Array linspace(const Array& start, const Array& stop, int64_t num, bool endpoint = true, OptDType dtype = {});
Array logspace(const Array& start, const Array& stop, int64_t num, bool endpoint = true, double base = 10.0,
               OptDType dtype = {});
Array eye(int64_t rows, std::optional<int64_t> cols = {}, int64_t k = 0, OptDType dtype = {});
Arrays meshgrid(const Arrays& axes, const std::string& indexing = "xy");
Array tril(const Array& x, int64_t k = 0);           ///< zero above the k-th diagonal
Array triu(const Array& x, int64_t k = 0);           ///< zero below the k-th diagonal
Array diag(const Array& x, int64_t k = 0);           ///< vector to matrix, matrix to diagonal
Array diagonal(const Array& x, int64_t offset = 0);  ///< of the last two axes

// Elementwise --------------------------------------------------------------------------------
// ops/elementwise.cpp
Array astype(const Array& x, DType dtype);
Array add(const Array& x, const Array& y);
Array subtract(const Array& x, const Array& y);
Array multiply(const Array& x, const Array& y);
Array divide(const Array& x, const Array& y);  ///< true division; integers give floats
Array floor_divide(const Array& x, const Array& y);
Array remainder(const Array& x, const Array& y);  ///< sign of y, as Python's %
Array fmod(const Array& x, const Array& y);       ///< sign of x, as C
Array pow(const Array& x, const Array& y);
Array negative(const Array& x);
Array positive(const Array& x);
Array abs(const Array& x);  ///< derivative 0 at 0
Array sign(const Array& x);
Array square(const Array& x);
Array sqrt(const Array& x);
Array rsqrt(const Array& x);
Array reciprocal(const Array& x);
Array cbrt(const Array& x);
Array exp(const Array& x);
Array exp2(const Array& x);
Array expm1(const Array& x);
Array log(const Array& x);
Array log1p(const Array& x);
Array log2(const Array& x);
Array log10(const Array& x);
Array logaddexp(const Array& x, const Array& y);  ///< log(e^x + e^y) without overflow
Array sin(const Array& x);
Array cos(const Array& x);
Array tan(const Array& x);
Array asin(const Array& x);
Array acos(const Array& x);
Array atan(const Array& x);
Array atan2(const Array& y, const Array& x);
Array sinh(const Array& x);
Array cosh(const Array& x);
Array tanh(const Array& x);
Array asinh(const Array& x);
Array acosh(const Array& x);
Array atanh(const Array& x);
Array hypot(const Array& x, const Array& y);
Array sigmoid(const Array& x);
Array softplus(const Array& x);  ///< log(1 + e^x)
Array erf(const Array& x);
Array erfc(const Array& x);
Array lgamma(const Array& x);  ///< log |Gamma(x)|
Array digamma(const Array& x);
Array polygamma(int64_t n, const Array& x);     ///< n-th derivative of digamma
Array maximum(const Array& x, const Array& y);  ///< ties split the derivative
Array minimum(const Array& x, const Array& y);
Array clip(const Array& x, const std::optional<Array>& lo, const std::optional<Array>& hi);
Array where(const Array& condition, const Array& x, const Array& y);  ///< selected, never multiplied
Array floor(const Array& x);
Array ceil(const Array& x);
Array trunc(const Array& x);
Array round(const Array& x);  ///< halves to even
Array equal(const Array& x, const Array& y);
Array not_equal(const Array& x, const Array& y);
Array less(const Array& x, const Array& y);
Array less_equal(const Array& x, const Array& y);
Array greater(const Array& x, const Array& y);
Array greater_equal(const Array& x, const Array& y);
Array logical_and(const Array& x, const Array& y);
Array logical_or(const Array& x, const Array& y);
Array logical_xor(const Array& x, const Array& y);
Array logical_not(const Array& x);
Array bitwise_and(const Array& x, const Array& y);
Array bitwise_or(const Array& x, const Array& y);
Array bitwise_xor(const Array& x, const Array& y);
Array bitwise_invert(const Array& x);
Array bitwise_left_shift(const Array& x, const Array& y);
Array bitwise_right_shift(const Array& x, const Array& y);
Array isnan(const Array& x);
Array isinf(const Array& x);
Array isfinite(const Array& x);
Array signbit(const Array& x);
Array copysign(const Array& x, const Array& y);
Array nextafter(const Array& x, const Array& y);
Array real(const Array& x);
Array imag(const Array& x);
Array conj(const Array& x);
Array angle(const Array& x);
Array make_complex(const Array& re, const Array& im);  ///< re + i im
Array stop_gradient(const Array& x);                   ///< x, with derivative zero

// Reductions --------------------------------------------------------------------------------- ops/reduce.cpp
Array sum(const Array& x, const OptAxes& axes = {},
          bool keepdims = false);  ///< pairwise; integers widen to 64 bits
Array prod(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array max(const Array& x, const OptAxes& axes = {},
          bool keepdims = false);  ///< ties split the derivative equally
Array min(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array mean(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array var(const Array& x, const OptAxes& axes = {}, double correction = 0.0,
          bool keepdims = false);  ///< real
Array std(const Array& x, const OptAxes& axes = {}, double correction = 0.0,
          bool keepdims = false);  ///< derivative at 0: sqrt's
Array logsumexp(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array softmax(const Array& x, int64_t axis = -1);
Array log_softmax(const Array& x, int64_t axis = -1);
Array all(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array any(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array argmax(const Array& x, OptAxis axis = {}, bool keepdims = false);  ///< the first of equals; NaN wins
Array argmin(const Array& x, OptAxis axis = {}, bool keepdims = false);
Array count_nonzero(const Array& x, const OptAxes& axes = {}, bool keepdims = false);
Array cumsum(const Array& x, OptAxis axis = {}, bool reverse = false);
Array cumprod(const Array& x, OptAxis axis = {});
Array diff(const Array& x, int64_t n = 1, int64_t axis = -1);
Array trace(const Array& x, int64_t offset = 0);                 ///< of the last two axes
Array interp(const Array& x, const Array& xp, const Array& fp);  ///< piecewise linear, constant outside

// Views and movement ------------------------------------------------------------------------- ops/view.cpp
Array reshape(const Array& x, const Shape& shape);  ///< one entry may be -1
Array flatten(const Array& x);
Array transpose(const Array& x, const std::optional<Axes>& axes = {});  ///< nullopt: reversed
Array matrix_transpose(const Array& x);                                 ///< last two axes swapped
Array swapaxes(const Array& x, int64_t a, int64_t b);
Array moveaxis(const Array& x, const Axes& source, const Axes& destination);
Array expand_dims(const Array& x, const Axes& axes);
Array squeeze(const Array& x, const OptAxes& axes = {});
Array broadcast_to(const Array& x, const Shape& shape);
Arrays broadcast_arrays(const Arrays& xs);
Array flip(const Array& x, const OptAxes& axes = {});
Array roll(const Array& x, const Axes& shift, const OptAxes& axes = {});
Array tile(const Array& x, const Dims& repetitions);
Array repeat(const Array& x, int64_t repeats, OptAxis axis = {});
Array pad(const Array& x, const std::vector<std::pair<int64_t, int64_t>>& widths, const Array& value = 0.0,
          const std::string& mode = "constant");  ///< constant, edge, reflect, wrap
Array concatenate(const Arrays& xs, OptAxis axis = 0);
Array stack(const Arrays& xs, int64_t axis = 0);
Arrays unstack(const Array& x, int64_t axis = 0);
Arrays split(const Array& x, const std::vector<int64_t>& indices, int64_t axis = 0);  ///< at these positions
Arrays split(const Array& x, int64_t sections, int64_t axis = 0);                     ///< into equal parts
Array slice(const Array& x, const Dims& start, const Dims& stop, const Dims& step);  ///< per axis, normalised
Array copy(const Array& x);                                                          ///< row-major copy

// Indexing ------------------------------------------------------------------------------------ ops/index.cpp
struct Slice {  ///< a:b:c, as in Python
  std::optional<int64_t> start, stop, step;
};
struct Ellipsis {};
struct NewAxis {};
using Index = std::variant<int64_t, Slice, Ellipsis, NewAxis, Array>;  ///< Array: integers or a boolean mask
Array getitem(const Array& x, const std::vector<Index>& index);  ///< NumPy's basic and advanced indexing
enum class Update { Set, Add, Multiply, Min, Max };
Array at_update(const Array& x, const std::vector<Index>& index, const Array& y,
                Update how);  ///< x.at[index].set(y)
Array take(const Array& x, const Array& indices, OptAxis axis = {});
Array take_along_axis(const Array& x, const Array& indices, int64_t axis = -1);
Array gather(const Array& x, const Array& indices);  ///< rows x[indices], axis 0; linear
Array scatter_add(const Array& x, const Array& indices,
                  int64_t num_rows);  ///< rows summed, in index order; gather's transpose
Array segment_sum(const Array& x, const Array& segment_ids, int64_t num_segments);
Array segment_max(const Array& x, const Array& segment_ids,
                  int64_t num_segments);  ///< empty segments: -inf or the least integer
Array sort(const Array& x, int64_t axis = -1, bool descending = false, bool stable = true);
Array argsort(const Array& x, int64_t axis = -1, bool descending = false, bool stable = true);
std::pair<Array, Array> topk(const Array& x, int64_t k, int64_t axis = -1,
                             bool largest = true);  ///< values, indices
Array searchsorted(const Array& sorted, const Array& values, const std::string& side = "left");
Arrays unique(const Array& x);   ///< outside tracing: values, first indices, inverse, counts
Arrays nonzero(const Array& x);  ///< outside tracing: an index array per axis

// Products ------------------------------------------------------------------------------------
// ops/matmul.cpp
Array matmul(const Array& x, const Array& y);  ///< NumPy's rules for 1-d and batches
Array dot(const Array& x, const Array& y);
Array vecdot(const Array& x, const Array& y, int64_t axis = -1);  ///< conjugates x
Array outer(const Array& x, const Array& y);
Array tensordot(const Array& x, const Array& y, const Axes& x_axes, const Axes& y_axes);
Array einsum(const std::string& subscripts, const Arrays& operands);
Array kron(const Array& x, const Array& y);
Array cross(const Array& x, const Array& y, int64_t axis = -1);

// Convolution and pooling: x [N, C, spatial...], w [O, C/groups, spatial...] --------------------
// ops/conv.cpp
struct ConvOptions {
  Dims stride = {}, dilation = {};                        ///< empty: ones
  std::vector<std::pair<int64_t, int64_t>> padding = {};  ///< empty: zeros
  int64_t groups = 1;
};
Array conv(const Array& x, const Array& w,
           const ConvOptions& options = {});  ///< cross-correlation, 1 to 3 dimensions
/// The transpose of conv in x, for w [O, C/groups, ...]: (n - 1) stride + dilation (kernel - 1) + 1 - padding
/// + output_padding.
Array conv_transpose(const Array& y, const Array& w, const ConvOptions& options = {},
                     const Dims& output_padding = {});
/// Stride: the window if empty. Of equal entries the first has the derivative; padding never wins.
Array max_pool(const Array& x, const Dims& window, const Dims& stride = {},
               const std::vector<std::pair<int64_t, int64_t>>& padding = {});
/// Padding counts as zeros.
Array avg_pool(const Array& x, const Dims& window, const Dims& stride = {},
               const std::vector<std::pair<int64_t, int64_t>>& padding = {});

// Linear algebra, batched over leading axes -----------------------------------------------------
// ops/linalg.cpp
/// The lower factor l of a = l l^H, or the upper l^H. Uses (a + a^H) / 2; NaN and a status where not positive
/// definite.
Array cholesky(const Array& a, bool upper = false);
Array solve(const Array& a, const Array& b);  ///< b: a vector, or matrices [..., n, k]
Array triangular_solve(const Array& a, const Array& b, bool lower = true, bool transpose = false,
                       bool unit_diagonal = false);
struct LU {
  Array lu, pivots, permutation;
};
LU lu(const Array& a);  ///< packed factors, pivots, row permutation
/// A square matrix [n, n], factored once to solve several systems with it.
class Factored {
 public:
  /// What a singular matrix does: it fails as in solve, or the solution is NaN.
  enum class Singular { Fails, GivesNaN };
  explicit Factored(const Array& a, Singular singular = Singular::Fails);
  Array solve(const Array& b) const;  ///< x with a x = b, of shape [n]

 private:
  Array a_, factors_, permutation_;
  Singular singular_;
};
std::pair<Array, Array> qr(const Array& a, const std::string& mode = "reduced");  ///< or "complete"
/// Eigenvalues ascending, and eigenvectors, of (a + a^H) / 2. In each vector the first entry of (nearly) the
/// largest modulus is real and positive. Vectors of equal eigenvalues have no derivative (infinity or NaN).
std::pair<Array, Array> eigh(const Array& a);
Array eigvalsh(const Array& a);
struct SVD {
  Array u, s, vh;
};
/// Singular values descending; phases as in eigh, for u. Derivatives of u and vh need distinct values.
SVD svd(const Array& a, bool full_matrices = true);
Array svdvals(const Array& a);
Array det(const Array& a);
std::pair<Array, Array> slogdet(const Array& a);  ///< sign (or phase), log |det|
Array inv(const Array& a);
Array pinv(const Array& a, double rtol = -1.0);  ///< negative: max(m, n) times the precision
using NormOrder = std::variant<double, std::string>;
Array vector_norm(const Array& x, const OptAxes& axes = {}, double ord = 2.0,
                  bool keepdims = false);  ///< derivative 0 at 0
Array matrix_norm(const Array& x, const NormOrder& ord = "fro",
                  bool keepdims = false);  ///< 1, 2, inf, negatives, "fro", "nuc"
/// NumPy's rules: without ord the 2-norm of all entries along `axes`; with ord, of one axis a vector's, of
/// two a matrix's.
Array norm(const Array& x, const OptAxes& axes = {}, const std::optional<NormOrder>& ord = {},
           bool keepdims = false);
Array matrix_power(const Array& a, int64_t n);

// Fourier transforms ------------------------------------------------------------------------------
// ops/fft.cpp
Array fft(const Array& x, std::optional<int64_t> n = {}, int64_t axis = -1,
          const std::string& norm = "backward");
Array ifft(const Array& x, std::optional<int64_t> n = {}, int64_t axis = -1,
           const std::string& norm = "backward");
Array rfft(const Array& x, std::optional<int64_t> n = {}, int64_t axis = -1,
           const std::string& norm = "backward");
Array irfft(const Array& x, std::optional<int64_t> n = {}, int64_t axis = -1,
            const std::string& norm = "backward");
Array fftn(const Array& x, const std::optional<Shape>& s = {}, const OptAxes& axes = {},
           const std::string& norm = "backward");
Array ifftn(const Array& x, const std::optional<Shape>& s = {}, const OptAxes& axes = {},
            const std::string& norm = "backward");
Array rfftn(const Array& x, const std::optional<Shape>& s = {}, const OptAxes& axes = {},
            const std::string& norm = "backward");
Array irfftn(const Array& x, const std::optional<Shape>& s = {}, const OptAxes& axes = {},
             const std::string& norm = "backward");
Array fftfreq(int64_t n, double d = 1.0);
Array rfftfreq(int64_t n, double d = 1.0);

// Random numbers from keys: the same for any number of threads; specified in core/random.h ----------
// ops/random.cpp
namespace random {
Array key(uint64_t seed);                            ///< a scalar of dtype key
Array split(const Array& key, int64_t num = 2);      ///< [num] independent keys
Array fold_in(const Array& key, const Array& data);  ///< a key from a key and an integer
/// Random bits of an integer dtype.
Array bits(const Array& key, const Shape& shape, DType dtype = DType::UInt32);
/// [lo, hi), up to rounding of lo + (hi - lo) u; differentiable in lo and hi, which broadcast to `shape`.
Array uniform(const Array& key, const Shape& shape, const Array& lo = 0.0, const Array& hi = 1.0,
              OptDType dtype = {});
Array normal(const Array& key, const Shape& shape, OptDType dtype = {});  ///< standard; complex: E |x|^2 = 1
Array gumbel(const Array& key, const Shape& shape, OptDType dtype = {});  ///< standard
Array integers(const Array& key, int64_t lo, int64_t hi, const Shape& shape,
               DType dtype = DType::Int64);      ///< [lo, hi)
Array permutation(const Array& key, int64_t n);  ///< of 0 ... n-1
/// Indices below n; p: weights, which need not sum to one.
Array choice(const Array& key, int64_t n, const Shape& shape, bool replace = true,
             const std::optional<Array>& p = {});
/// Indices along the last axis of the logits, with probabilities softmax(logits); `shape`: the batch of the
/// logits, or more.
Array categorical(const Array& key, const Array& logits, const std::optional<Shape>& shape = {});
}  // namespace random

// Operators
// -----------------------------------------------------------------------------------------------------
inline Array operator+(const Array& x, const Array& y) { return add(x, y); }
inline Array operator-(const Array& x, const Array& y) { return subtract(x, y); }
inline Array operator*(const Array& x, const Array& y) { return multiply(x, y); }
inline Array operator/(const Array& x, const Array& y) { return divide(x, y); }
inline Array operator-(const Array& x) { return negative(x); }
inline Array operator<(const Array& x, const Array& y) { return less(x, y); }
inline Array operator>(const Array& x, const Array& y) { return greater(x, y); }
inline Array operator<=(const Array& x, const Array& y) { return less_equal(x, y); }
inline Array operator>=(const Array& x, const Array& y) { return greater_equal(x, y); }

// clang-format on
}  // namespace hesse
