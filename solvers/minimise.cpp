#include "solvers/minimise.h"

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/descent.h"

namespace hesse::solvers {
namespace {

/// (v, captures...) -> [n]: the gradient of a scalar function.
VectorFn gradient_of(const VectorFn& f) {
  return {trace_closed(
              [&](std::span<const Array> x) {
                return value_and_grad([&](std::span<const Array> v) { return f.graph->call(v); },
                                      Arrays(x.begin(), x.end()), {0})
                    .second;
              },
              f.graph->input_avals()),
          f.captures};
}

/// f of arrays, a real scalar, as a function of a vector.
VectorFn scalar_of(std::string_view function, const Fn& f, const Packing& packing) {
  const Avals avals{{{packing.size()}, packing.dtype()}};
  const Traced traced = trace(
      [&](std::span<const Array> v) {
        const Arrays y = f(packing.unpack(v[0]));
        require(y.size() == 1, function, ": f returns ", y.size(), " arrays, expected a scalar");
        require(y[0].ndim() == 0, function, ": f returns shape ", y[0].shape(),
                ", expected a scalar; take sum or mean of it, or use least_squares");
        require<TypeError>(is_floating(y[0].dtype()), function, ": f returns dtype ", y[0].dtype(),
                           ", expected a real floating scalar");
        return Arrays{astype(y[0], packing.dtype())};
      },
      avals, true);
  return {traced.graph, traced.captures};
}

Minimum finished(std::string_view function, const Packing& packing, const VectorFn& f, const Array& v,
                 Minimum out, bool throws, ImplicitOptions implicit) {
  // The Hessian is symmetric, and positive where there is a minimum.
  if (implicit.linear_solver == "auto" && packing.size() > 512) implicit.linear_solver = "cg";
  Array x = implicit_function(gradient_of(f), v, implicit);
  if (throws) x = completed(function, x, out.status, out.steps, out.residual);
  out.value = f(x);
  out.x = packing.unpack(x);
  return out;
}

Array tolerance(std::string_view function, const char* name, const std::optional<Array>& given,
                double by_default, DType dtype) {
  const Array x = given.value_or(by_default);
  require(x.ndim() == 0, function, ": ", name, " has shape ", x.shape(), ", expected a scalar");
  require<TypeError>(is_floating(x.dtype()) || is_integer(x.dtype()), function, ": ", name, " has dtype ",
                     x.dtype(), ", expected a real number");
  require(!is_constant(x) || astype(x, kFloat64).item<double>() >= 0, function, ": ", name,
          " is below 0 or NaN, expected a number not below 0");
  return stop_gradient(astype(x, dtype));
}

}  // namespace

Minimum minimise(const Fn& f, const Arrays& x0_in, const MinimiseOptions& options) {
  const bool trusts = options.method == "trust";
  require(trusts || options.method == "bfgs" || options.method == "lbfgs" || options.method == "newton-cg",
          "minimise: method is \"", options.method,
          "\", expected \"bfgs\", \"lbfgs\", \"newton-cg\" or \"trust\"");
  require(options.max_steps > 0, "minimise: max_steps is ", options.max_steps, ", expected 1 or more");
  require(options.history > 0, "minimise: history is ", options.history, ", expected 1 or more");
  const Arrays x0 = strong(x0_in);
  const Packing packing("minimise", "x0", x0);
  const VectorFn function = scalar_of("minimise", f, packing);
  const Objective objective{function.stopped(),
                            tolerance("minimise", "gtol", options.gtol,
                                      packing.dtype() == kFloat32 ? 1e-3 : 1e-6, packing.dtype())};

  Descent start{stop_gradient(packing.pack(x0)), {}, {}, scalar(0), scalar(1), {}};
  std::tie(start.f, start.g) = objective.value_and_gradient(start.v);
  const Array finite = logical_and(isfinite(start.f), all(isfinite(start.g)));
  const Array begins =
      where(finite, where(max_abs(start.g) <= objective.gtol, code(SolveStatus::Success), kRunning),
            code(SolveStatus::NotFinite));
  start.status = where(objective.gtol >= 0.0, begins, code(SolveStatus::BadOptions));
  const Descent last =
      trusts ? trust_region(objective, start, options) : line_search_descent(objective, start, options);
  return finished("minimise", packing, function, last.v,
                  {{}, {}, last.status, last.steps, last.evaluations, max_abs(last.g)},
                  options.throw_on_failure, options.implicit);
}

// (J^T J + mu D^2) d = -J^T r as the least-squares problem [J; sqrt(mu) D] d = [-r; 0]. D: the largest
// lengths of the columns of J so far. mu follows the ratio of what |r|^2 falls to what the linear model says.
Minimum least_squares(const Fn& residual, const Arrays& x0_in, const LeastSquaresOptions& options) {
  const char* const name = "least_squares";
  require(options.max_steps > 0, name, ": max_steps is ", options.max_steps, ", expected 1 or more");
  const Arrays x0 = strong(x0_in);
  const Packing packing(name, "x0", x0);
  const DType dtype = packing.dtype();
  const Tolerances tolerances(name, options.rtol, options.atol, packing);
  const Array gtol = tolerance(name, "gtol", options.gtol, dtype == kFloat32 ? 1e-5 : 1e-10, dtype);
  const Traced traced = trace(
      [&](std::span<const Array> v) {
        Arrays r = strong(residual(packing.unpack(v[0])));
        const Packing packed(name, "what the residual returns", r);
        return Arrays{astype(packed.pack(r), dtype)};
      },
      Avals{{{packing.size()}, dtype}}, true);
  const VectorFn all_of{traced.graph, traced.captures}, fixed = all_of.stopped();
  const int64_t m = traced.graph->output_aval(0).shape[0], n = packing.size();
  const auto jacobian_at = [&](const Array& v) {
    return jacobian([&](std::span<const Array> x) { return Arrays{fixed(x[0])}; }, {v}, {0})[0][0];
  };
  const auto half_squares = [](const Array& r) { return 0.5 * sum(square(r)); };
  const double rounding = dtype == kFloat32 ? 1e-6 : 1e-15;

  const Array v0 = stop_gradient(packing.pack(x0)), r0 = fixed(v0);
  const Array valid = logical_and(tolerances.valid(), gtol >= 0.0);
  const Array begins = where(valid, where(all(isfinite(r0)), kRunning, code(SolveStatus::NotFinite)),
                             code(SolveStatus::BadOptions));
  const auto number = [&](double x) { return full({}, astype(Array(x), dtype)); };
  // carry: v, r, steps, evaluations, status, D, mu, nu
  const Arrays out = while_loop(
      [&](std::span<const Array> c) {
        return Arrays{logical_and(equal(c[4], kRunning), c[2] < options.max_steps)};
      },
      [&](std::span<const Array> c) {
        const Array &v = c[0], &r = c[1], &mu = c[6], &nu = c[7];
        const Array j = jacobian_at(v), lengths = sqrt(sum(square(j), Axes{0}));
        const Array scale = maximum(c[5], lengths),
                    d_scale = where(equal(scale, 0.0), ones_like(scale), scale);
        const Array g = matmul(r, j), size = norm2(r);
        const Array product = lengths * size, dead = equal(product, 0.0);
        const Array cosine = max(where(dead, zeros_like(g), abs(g) / where(dead, ones_like(g), product)));
        const auto [q, triangle] = qr(concatenate({j, diag(sqrt(mu) * d_scale)}));
        const Array d = -triangular_solve(triangle, matmul(r, slice(q, {0, 0}, {m, n}, {1, 1})), false);
        const Array v_next = v + d, r_next = fixed(v_next);
        const Array before = half_squares(r), after = half_squares(r_next);
        const Array predicted = before - half_squares(r + matmul(j, d));
        const Array ratio = (before - after) / where(predicted > 0.0, predicted, ones_like(predicted));
        const Array finite = isfinite(after), exact = abs(before - after) <= rounding * before;
        const Array taken =
            logical_and(finite, logical_or(ratio > 1e-4, logical_and(exact, after <= before)));
        const Array small = logical_and(tolerances.measure(d, v) <= 1.0, logical_or(taken, exact));
        const Array solved = logical_or(cosine <= gtol, small);
        const Array shrunk =
            maximum(number(1.0 / 3), 1.0 - pow(2.0 * clip(ratio, Array(-1.0), Array(2.0)) - 1.0, 3.0));
        const Array mu_next =
            where(taken, maximum(mu * shrunk, number(dtype == kFloat32 ? 1e-12 : 1e-24)), mu * nu);
        const Array known = all(isfinite(d));
        const Array trouble = where(known, where(mu_next < 1e20, kRunning, code(SolveStatus::NoProgress)),
                                    code(SolveStatus::NotFinite));
        return Arrays{where(taken, v_next, v),
                      where(taken, r_next, r),
                      c[2] + int64_t{1},
                      c[3] + int64_t{1},
                      where(solved, code(SolveStatus::Success), trouble),
                      scale,
                      mu_next,
                      where(taken, number(2.0), 2.0 * nu)};
      },
      {v0, r0, scalar(0), scalar(1), begins, zeros({n}, dtype), number(1e-3), number(2.0)});

  VectorFn objective{
      trace_closed([&](std::span<const Array> x) { return Arrays{half_squares(traced.graph->call(x)[0])}; },
                   traced.graph->input_avals()),
      traced.captures};
  const Array gradient = Objective{objective.stopped(), gtol}.gradient(out[0]);
  return finished(name, packing, objective, out[0], {{}, {}, out[4], out[2], out[3], max_abs(gradient)},
                  options.throw_on_failure, options.implicit);
}

}  // namespace hesse::solvers
