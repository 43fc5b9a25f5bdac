#include "core/ops/reduce_scan.h"
#include "core/op_table.h"

#include <cstdlib>

#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/reduce.h"
#include "core/ops/reduce_engine.h"
#include "core/ops/view_loops.h"
#include "core/ops/view_slice.h"

namespace hesse {
namespace {

Strides without(const Strides& s, int64_t axis) {
  Strides out = s;
  out.erase(static_cast<size_t>(axis));
  return out;
}

/// out_0 = first(x_0, ...), out_k = next(out_{k-1}, x_k, ...) along the axis, for one or two operands of type
/// T.
template <class T, size_t N, class First, class Next>
void scan_axis(std::span<const View> x, const View& out, int64_t axis, bool reverse, First first, Next next) {
  const auto a = static_cast<size_t>(axis);
  const int64_t n = out.shape[a];
  if (n == 0) return;
  std::array<Strides, N + 1> strides;
  std::array<int64_t, N + 1> along;
  std::array<T*, N + 1> base;
  for (size_t i = 0; i <= N; ++i) {
    const View& v = i < N ? x[i] : out;
    strides[i] = without(v.strides, axis);
    along[i] = reverse ? -v.strides[a] : v.strides[a];
    base[i] = v.as<T>() + (reverse ? (n - 1) * v.strides[a] : 0);
  }
  for_each_run<N + 1>(
      without(out.shape, axis), strides,
      [&](const Offsets<N + 1>& at, int64_t length, const Offsets<N + 1>& steps) {
        // Entry k of chain j of operand i. The loop along shorter steps goes inside.
        const auto entry = [&](size_t i, int64_t j, int64_t k) -> T& {
          return base[i][at[i] + j * steps[i] + k * along[i]];
        };
        const auto advance = [&](int64_t j, int64_t k) {
          if constexpr (N == 1)
            entry(1, j, k) = k == 0 ? first(entry(0, j, k)) : next(entry(1, j, k - 1), entry(0, j, k));
          else
            entry(2, j, k) = k == 0 ? first(entry(0, j, k), entry(1, j, k))
                                    : next(entry(2, j, k - 1), entry(0, j, k), entry(1, j, k));
        };
        if (std::abs(along[N]) < std::abs(steps[N])) {
          for (int64_t j = 0; j < length; ++j)
            for (int64_t k = 0; k < n; ++k) advance(j, k);
        } else {
          for (int64_t k = 0; k < n; ++k)
            for (int64_t j = 0; j < length; ++j) advance(j, k);
        }
      });
}

template <class F>
void visit_numeric(DType t, F&& f) {
  visit_dtype(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, Key> && !std::is_same_v<T, bool>) f(tag);
  });
}

Aval numeric(std::string_view function, const Aval& x) {
  require<TypeError>(x.dtype != kKey && x.dtype != kBool, function, ": x must be numeric, got ",
                     describe(x.shape, x.dtype));
  return x;
}

}  // namespace

Avals CumSum::infer(std::span<const Aval> x) const { return {numeric("cumsum", x[0])}; }

void CumSum::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_numeric(x[0].dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    scan_axis<T, 1>(
        x, out[0], axis_, reverse_, [](T v) { return v; },
        [](T sum, T v) { return reduction::wrapping_add(sum, v); });
  });
}

// <ct, cumsum(t)> = sum_k ct_k sum_{j<=k} t_j = sum_j t_j sum_{k>=j} ct_k
MaybeArray CumSum::transpose(std::span<const Array>, const Array& ct, int) const {
  return apply1(make_op<CumSum>(axis_, !reverse_), {ct});
}

Avals CumProd::infer(std::span<const Aval> x) const { return {numeric("cumprod", x[0])}; }

void CumProd::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_numeric(x[0].dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    scan_axis<T, 1>(
        x, out[0], axis_, reverse_, [](T v) { return v; },
        [](T product, T v) { return reduction::wrapping_multiply(product, v); });
  });
}

// dy_k = x_k dy_{k-1} + y_{k-1} dx_k: no division, so that zeros do no harm.
MaybeArrays CumProd::jvp(std::span<const Array> x, std::span<const Array> y,
                         std::span<const MaybeArray> dx) const {
  if (!dx[0]) return {std::nullopt};
  const Array before = shifted(y[0], axis_, reverse_, 1.0);
  return {apply1(make_op<LinearRecurrence>(axis_, reverse_), {x[0], multiply(before, *dx[0])})};
}

Avals LinearRecurrence::infer(std::span<const Aval> x) const {
  require(x[0] == x[1], "linear_recurrence: a and b must have one shape and dtype, got ",
          describe(x[0].shape, x[0].dtype), " and ", describe(x[1].shape, x[1].dtype));
  return {numeric("linear_recurrence", x[1])};
}

void LinearRecurrence::kernel(std::span<const View> x, std::span<const View> out, int) const {
  visit_numeric(x[0].dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    scan_axis<T, 2>(
        x, out[0], axis_, reverse_, [](T, T b) { return b; },
        [](T z, T a, T b) { return reduction::wrapping_add(reduction::wrapping_multiply(a, z), b); });
  });
}

// dz_k = a_k dz_{k-1} + (da_k z_{k-1} + db_k)
MaybeArrays LinearRecurrence::jvp(std::span<const Array> x, std::span<const Array> y,
                                  std::span<const MaybeArray> dx) const {
  MaybeArray b;
  if (dx[0]) b = multiply(shifted(y[0], axis_, reverse_, 0.0), *dx[0]);
  if (dx[1]) b = b ? add(*b, *dx[1]) : *dx[1];
  if (!b) return {std::nullopt};
  return {apply1(make_op<LinearRecurrence>(axis_, reverse_), {x[0], *b})};
}

// In b: w_k = ct_k + a_{k+1} w_{k+1}. In a it is not linear: the derived rule.
std::optional<MaybeArrays> LinearRecurrence::vjp(std::span<const Array> x, std::span<const Array>,
                                                 std::span<const MaybeArray> ct,
                                                 const std::vector<bool>& wanted) const {
  if (wanted[0]) return std::nullopt;
  MaybeArrays out(2);
  if (ct[0] && wanted[1])
    out[1] =
        apply1(make_op<LinearRecurrence>(axis_, !reverse_), {shifted(x[0], axis_, !reverse_, 0.0), *ct[0]});
  return out;
}

Array shifted(const Array& x, int64_t axis, bool reverse, double fill) {
  const auto a = static_cast<size_t>(axis);
  if (x.size() == 0) return x;
  // Without the entry that falls out, then with the new one before or behind.
  Part rest = Part::whole(x.shape());
  rest.size[a] -= 1;
  rest.start[a] = reverse ? 1 : 0;
  const Array kept = slice_part(x, rest);
  Shape edge_shape = x.shape();
  edge_shape[a] = 1;
  const Array edge = literal(fill, edge_shape, x.dtype());
  return concatenate(reverse ? Arrays{kept, edge} : Arrays{edge, kept}, axis);
}

Array running_product(const Array& x, int64_t axis, bool reverse) {
  return apply1(make_op<CumProd>(axis, reverse), {x});
}

namespace {

/// The array and axis to run along: the flattened array for nullopt.
std::pair<Array, int64_t> along(std::string_view function, const Array& x, OptAxis axis) {
  const Array wide = converted(x, widened(x.dtype()));
  if (!axis) return {flatten(wide), 0};
  return {wide, normalize_axis(function, *axis, x.ndim())};
}

}  // namespace

Array cumsum(const Array& x, OptAxis axis, bool reverse) {
  const auto [wide, a] = along("cumsum", x, axis);
  return apply1(make_op<CumSum>(a, reverse), {wide});
}

Array cumprod(const Array& x, OptAxis axis) {
  const auto [wide, a] = along("cumprod", x, axis);
  return running_product(wide, a, false);
}

OpFamily families::running_reductions() {
  return {listed<CumSum>("cumsum", "axis", "reverse"), listed<CumProd>("cumprod", "axis", "reverse"),
          listed<LinearRecurrence>("linear_recurrence", "axis", "reverse")};
}

}  // namespace hesse
