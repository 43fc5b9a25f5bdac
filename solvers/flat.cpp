#include "solvers/flat.h"

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"

namespace hesse::solvers {
namespace {

Array part(const Array& v, int64_t begin, int64_t end) {
  return begin == 0 && end == v.size() ? v : slice(v, {begin}, {end}, {1});
}
void check_tolerance(std::string_view function, const char* name, const Array& x) {
  require<TypeError>(!is_complex(x.dtype()) && x.dtype() != kBool && x.dtype() != DType::Key, function, ": ",
                     name, " has dtype ", x.dtype(), ", expected real numbers");
  if (!is_constant(x)) return;
  for (const double v : astype(x, kFloat64).to_vector<double>())
    require(v >= 0, function, ": ", name, " is ", v, ", expected a number not below 0");
}

}  // namespace

Packing::Packing(std::string_view function, std::string_view argument, const Arrays& like, Empty empty) {
  require(!like.empty(), function, ": ", argument, " holds no arrays");
  std::optional<DType> real;
  for (size_t i = 0; i < like.size(); ++i) {
    require<TypeError>(is_inexact(like[i].dtype()), function, ": array ", i, " of ", argument, " is ",
                       describe(like[i]), ", expected floating or complex numbers; convert it with astype");
    const DType r = real_dtype(like[i].dtype());
    real = real ? promote(*real, r) : r;
    avals_.push_back(aval(like[i]));
    size_ += like[i].size() * (is_complex(like[i].dtype()) ? 2 : 1);
  }
  require(size_ > 0 || empty == Empty::IsAllowed, function, ": ", argument, " has no entries: its shape is ",
          like[0].shape());
  dtype_ = *real;
}

Array Packing::pack(std::span<const Array> x) const {
  Arrays parts;
  for (const Array& a : x) {
    if (a.size() == 0) continue;
    parts.push_back(astype(flatten(real(a)), dtype_));
    if (is_complex(a.dtype())) parts.push_back(astype(flatten(imag(a)), dtype_));
  }
  if (parts.empty()) return zeros({0}, dtype_);
  return parts.size() == 1 ? parts[0] : concatenate(parts);
}

Arrays Packing::unpack(const Array& v) const {
  Arrays out;
  int64_t at = 0;
  for (const Aval& a : avals_) {
    const int64_t n = num_elements(a.shape);
    const auto next = [&] {
      at += n;
      return astype(reshape(part(v, at - n, at), a.shape), real_dtype(a.dtype));
    };
    if (!is_complex(a.dtype)) {
      out.push_back(next());
      continue;
    }
    const Array re = next(), im = next();
    out.push_back(make_complex(re, im));
  }
  return out;
}

Arrays strong(const Arrays& x) {
  Arrays out;
  for (const Array& a : x) out.push_back(a.is_weak() ? astype(a, a.dtype()) : a);
  return out;
}

Array VectorFn::call(const Array& v, std::span<const Array> with) const {
  Arrays in{v};
  in.insert(in.end(), with.begin(), with.end());
  return graph->call(in)[0];
}

VectorFn VectorFn::stopped() const {
  Arrays constants;
  for (const Array& c : captures) constants.push_back(is_inexact(c.dtype()) ? stop_gradient(c) : c);
  return {graph, constants};
}

VectorFn record(std::string_view function, std::string_view argument, const Fn& f, const Packing& in,
                const Packing& out) {
  const Avals avals{{{in.size()}, in.dtype()}};
  Traced traced = trace(
      [&](std::span<const Array> v) {
        Arrays y = f(in.unpack(v[0]));
        const Avals& want = out.avals();
        require(y.size() == want.size(), function, ": f returns ", y.size(), " arrays, expected ",
                want.size(), ", as in ", argument);
        for (size_t i = 0; i < y.size(); ++i) {
          if (y[i].is_weak()) y[i] = astype(y[i], want[i].dtype);
          require(aval(y[i]) == want[i], function, ": f returns ", describe(y[i]), " for array ", i, " of ",
                  argument, ", which is ", describe(want[i].shape, want[i].dtype),
                  "; it must return the same shapes and dtypes");
        }
        return Arrays{out.pack(y)};
      },
      avals, true);
  return {traced.graph, traced.captures};
}

Tolerances::Tolerances(std::string_view function, const std::optional<Array>& rtol, const Arrays& atol,
                       const Packing& x) {
  const bool single = x.dtype() == kFloat32;
  const Array relative = rtol.value_or(single ? 1e-4 : 1e-8);
  require(relative.ndim() == 0, function, ": rtol has shape ", relative.shape(), ", expected a scalar");
  check_tolerance(function, "rtol", relative);
  rtol_ = stop_gradient(astype(relative, x.dtype()));
  const Arrays given = atol.empty() ? Arrays{single ? 1e-6 : 1e-12} : atol;
  require(given.size() == 1 || given.size() == x.avals().size(), function, ": atol holds ", given.size(),
          " arrays, expected one, or one for each of the ", x.avals().size(), " unknowns");
  for (const Array& a : given) check_tolerance(function, "atol", a);
  if (given.size() == 1 && given[0].ndim() == 0) {
    atol_ = stop_gradient(astype(given[0], x.dtype()));
    return;
  }
  Arrays spread;
  for (size_t i = 0; i < x.avals().size(); ++i) {
    const Array& a = given[given.size() == 1 ? 0 : i];
    const Aval& like = x.avals()[i];
    try {
      require(broadcast_shapes(function, a.shape(), like.shape) == like.shape, "");
    } catch (const ValueError&) {
      throw ValueError(concat(function, ": atol of shape ", a.shape(), " does not fit array ", i,
                              " of the unknowns, of shape ", like.shape));
    }
    for (int part = 0; part < (is_complex(like.dtype) ? 2 : 1); ++part)
      spread.push_back(flatten(broadcast_to(astype(a, x.dtype()), like.shape)));
  }
  atol_ = stop_gradient(concatenate(spread));
}

Array Tolerances::measure(const Array& v, const Array& x) const {
  const Array size = abs(v) / (atol_ + rtol_ * abs(x));
  return max_abs(where(equal(v, 0.0), zeros_like(size), size));
}

Array Tolerances::valid() const { return logical_and(rtol_ >= 0.0, all(atol_ >= 0.0)); }

Array max_abs(const Array& v) { return v.size() == 1 ? reshape(abs(v), {}) : max(abs(v)); }

Array norm2(const Array& v) {
  if (v.size() == 1) return reshape(abs(v), {});
  const Array most = max_abs(v), unit = where(equal(most, 0.0), ones_like(most), most);
  return most * sqrt(sum(square(v / unit)));
}

Array dense_jacobian(const VectorFn& f, const Array& v) {
  const VectorFn silent{without_effects(f.graph), f.captures};
  if (v.size() == 1 && f.graph->output_aval(0).shape[0] == 1) {
    const auto [y, dy] =
        jvp([&](std::span<const Array> x) { return Arrays{silent(x[0])}; }, {v}, {ones_like(v)});
    return reshape(dy[0] ? *dy[0] : zeros_like(y[0]), {1, 1});
  }
  return jacobian([&](std::span<const Array> x) { return Arrays{silent(x[0])}; }, {v}, {0},
                  Mode::Forward)[0][0];
}

std::pair<Array, Array> solve_or_singular(const Array& a, const Array& b) {
  if (b.size() == 1) {
    const Array only = reshape(a, b.shape()), none = equal(only, 0.0);
    return {b / where(none, ones_like(only), only), reshape(none, {})};
  }
  const LU f = lu(a);
  const Array singular = any(equal(diagonal(f.lu), 0.0));
  const Array factors = where(singular, eye(a.dim(0), {}, 0, a.dtype()), f.lu);
  const Array y = triangular_solve(factors, take(b, f.permutation, 0), true, false, true);
  return {triangular_solve(factors, y, false), singular};
}

}  // namespace hesse::solvers
