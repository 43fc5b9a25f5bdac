#include "solvers/root.h"

#include "autodiff/autodiff.h"
#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/program/unroll.h"
#include "solvers/flat.h"
#include "solvers/linear.h"

namespace hesse::solvers {
namespace {

/// A vector that solves an equation: inputs v [n] and what the equation uses; v again, with the derivative of
/// the solution.
class RootOp final : public General, public Expands {
 public:
  /// `residual`: (v, captures...) -> [n]
  RootOp(Ref<const Graph> residual, std::string linear_solver, double rtol)
      : residual_(std::move(residual)), linear_solver_(std::move(linear_solver)), rtol_(rtol) {}
  std::string_view name() const override { return "root"; }
  Params params() const override {
    return {{"residual", residual_}, {"linear_solver", linear_solver_}, {"rtol", rtol_}};
  }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  Arrays eval(std::span<const Array> x) const override { return {x[0]}; }
  Arrays expanded(std::span<const Array> x) const override { return {x[0]}; }

  // F(v(theta), theta) = 0:  F_v dv = -F_theta dtheta
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    std::vector<bool> marked{false};
    Arrays at{y[0]};
    at.insert(at.end(), x.begin() + 1, x.end());
    Arrays in = at;
    for (size_t i = 1; i < x.size(); ++i) {
      marked.push_back(dx[i].has_value());
      if (dx[i]) in.push_back(*dx[i]);
    }
    const DerivedGraph d = derivatives().jvp(*residual_, marked, {}, false);
    if (!d.present[0]) return {std::nullopt};
    const Array moved = d.graph->call(in)[0];
    if (linear_solver_ == "lu")
      return {-solve(dense_jacobian({residual_, Arrays(at.begin() + 1, at.end())}, y[0]), moved)};
    return {-linear_solve({products(), at}, {}, moved, {}, rtol_, 0.0,
                          {.function = "root", .method = linear_solver_, .max_steps = 10 * y[0].size()})
                 .x};
  }
  bool reads_input(int i) const override { return i != 0; }

 private:
  // (dv, v, captures...) -> F_v dv
  Ref<const Graph> products() const {
    std::vector<bool> first(static_cast<size_t>(residual_->num_inputs()), false);
    first[0] = true;
    const Ref<const Graph> g = derivatives().jvp(*residual_, first, {true}, false).graph;
    Avals avals{residual_->input_aval(0)};
    for (const Aval& a : residual_->input_avals()) avals.push_back(a);
    return trace_closed(
        [&](std::span<const Array> x) {
          Arrays in(x.begin() + 1, x.end());
          in.push_back(x[0]);
          return g->call(in);
        },
        avals);
  }
  Ref<const Graph> residual_;
  std::string linear_solver_;
  double rtol_;
};

const bool registered = (register_ops({listed<RootOp>("root", "residual", "linear_solver", "rtol")}), true);

Array implicit(const VectorFn& f, const Array& v, const ImplicitOptions& options) {
  require(
      options.linear_solver == "auto" || options.linear_solver == "lu" || is_krylov(options.linear_solver),
      "implicit_function: linear_solver is \"", options.linear_solver,
      "\", expected \"auto\", \"lu\", \"cg\", \"minres\", \"bicgstab\" or \"gmres\"");
  constexpr int64_t kDense = 512;
  const std::string solver = options.linear_solver != "auto" ? options.linear_solver
                             : v.size() <= kDense            ? "lu"
                                                             : "gmres";
  Arrays in{v};
  in.insert(in.end(), f.captures.begin(), f.captures.end());
  return apply1(make_op<RootOp>(f.graph, solver, options.rtol.value_or(v.dtype() == kFloat32 ? 1e-5 : 1e-10)),
                in);
}

constexpr auto code = [](SolveStatus s) { return static_cast<int64_t>(s); };
Array count(int64_t n) { return Array::from<int64_t>(std::span<const int64_t>(&n, 1), {}); }
// Solvers go on while this is their status: it is right when they run out of steps.
constexpr int64_t kRunning = static_cast<int64_t>(SolveStatus::TooManySteps);

/// What the loops of both methods carry first.
struct Iterate {
  Array v, f, steps, evaluations, status;
  static constexpr size_t kSize = 5;
  Arrays pack() const { return {v, f, steps, evaluations, status}; }
  static Iterate unpack(std::span<const Array> x) { return {x[0], x[1], x[2], x[3], x[4]}; }
};

/// v + t d with the first t = 1, ... for which |f| is (1 - t/10^4) of what it was, or that is within the
/// tolerances.
Iterate newton_step(const VectorFn& f, const Tolerances& tolerances, const Iterate& s) {
  const auto [minus_d, singular] = solve_or_singular(dense_jacobian(f, s.v), s.f);
  const Array d = -minus_d, before = norm2(s.f), solved = equal(before, 0.0);
  const Array small = tolerances.measure(d, s.v) <= 1.0, known = all(isfinite(d));
  const Array searches = logical_and(logical_and(logical_not(singular), known), logical_not(solved));
  constexpr double kShortest = 1e-10;
  // carry: t, v + t d, f there, found, evaluations
  const Arrays last = while_loop(
      [&](std::span<const Array> c) {
        return Arrays{logical_and(logical_and(searches, logical_not(c[3])), c[0] > kShortest)};
      },
      [&](std::span<const Array> c) {
        const Array &t = c[0], v = s.v + t * d, fv = f(v), after = norm2(fv);
        const Array ratio = after / before, finite = isfinite(ratio);
        const Array found = logical_and(finite, logical_or(ratio <= 1.0 - 1e-4 * t, small));
        // The minimum of the parabola through |f|^2 and its slope at 0, and |f|^2 at t.
        const Array factor =
            where(finite, clip(t / (square(ratio) - 1.0 + 2.0 * t), Array(0.1), Array(0.5)), 0.1);
        return Arrays{where(found, t, t * factor), v, fv, found, c[4] + int64_t{1}};
      },
      {ones({}, s.v.dtype()), s.v, s.f, Array::from<bool>(std::array{false}, {}), s.evaluations});
  const Array &found = last[3], better = logical_and(found, norm2(last[2]) <= before);
  Iterate next = s;
  next.v = where(better, last[1], s.v);
  next.f = where(better, last[2], s.f);
  next.steps = s.steps + int64_t{1};
  next.evaluations = last[4];
  const Array failure = where(
      logical_not(known), code(SolveStatus::NotFinite),
      where(singular, code(SolveStatus::Singular), where(found, kRunning, code(SolveStatus::NoProgress))));
  next.status = where(logical_or(solved, logical_and(found, small)), code(SolveStatus::Success), failure);
  return next;
}

Iterate newton(const VectorFn& f, const Tolerances& tolerances, const Iterate& start, int64_t max_steps) {
  const Arrays out = while_loop(
      [&](std::span<const Array> c) {
        const Iterate s = Iterate::unpack(c);
        return Arrays{logical_and(equal(s.status, kRunning), s.steps < max_steps)};
      },
      [&](std::span<const Array> c) { return newton_step(f, tolerances, Iterate::unpack(c)).pack(); },
      start.pack());
  return Iterate::unpack(out);
}

// With r = -f:  v_{k+1} = v_k + r_k - (dV + dR)^T gamma,  gamma = argmin |r_k - dR^T gamma|,
// where the rows of dV and dR [m, n] are the last m differences of v and r.
Iterate anderson(const VectorFn& f, const Tolerances& tolerances, const Iterate& start,
                 const RootOptions& options) {
  const int64_t n = start.v.size(), m = options.history;
  const DType dtype = start.v.dtype();
  // Rows of unit length, and a trace of the identity: what is nearly dependent has no say.
  const double ridge = dtype == kFloat32 ? 1e-6 : 1e-12;
  Arrays carry = start.pack();
  if (m > 0)
    for (int k = 0; k < 2; ++k) carry.push_back(zeros({m, n}, dtype));
  const auto advance = [&](std::span<const Array> c) {
    const Iterate s = Iterate::unpack(c);
    const Array r = -s.f;
    Array v = s.v + r;
    if (m > 0) {
      const Array &dv = c[Iterate::kSize], &dr = c[Iterate::kSize + 1];
      const Array lengths = sqrt(sum(square(dr), Axes{1}));
      const Array unit = dr / expand_dims(where(equal(lengths, 0.0), ones_like(lengths), lengths), {1});
      const Array gram = matmul(unit, matrix_transpose(unit));
      const Array weights = where(equal(lengths, 0.0), ones_like(lengths), zeros_like(lengths)) + ridge;
      const auto [gamma, singular] = solve_or_singular(gram + diag(weights), matmul(unit, r));
      const Array scaled = gamma / where(equal(lengths, 0.0), ones_like(lengths), lengths);
      const Array correction = matmul(scaled, dv + dr);
      v = v - where(all(isfinite(correction)), correction, zeros_like(correction));
    }
    Iterate next{v, f(v), s.steps + int64_t{1}, s.evaluations + int64_t{1}, {}};
    const Array converged = tolerances.measure(next.f, next.v) <= 1.0;
    next.status = where(converged, code(SolveStatus::Success),
                        where(all(isfinite(next.f)), kRunning, code(SolveStatus::NotFinite)));
    Arrays out = next.pack();
    if (m > 0) {
      const auto pushed = [&](const Array& rows, const Array& row) {
        return concatenate({slice(rows, {1, 0}, {m, n}, {1, 1}), expand_dims(row, {0})});
      };
      out.push_back(pushed(c[Iterate::kSize], next.v - s.v));
      out.push_back(pushed(c[Iterate::kSize + 1], s.f - next.f));
    }
    return out;
  };
  const Arrays out = while_loop(
      [&](std::span<const Array> c) {
        const Iterate s = Iterate::unpack(c);
        return Arrays{logical_and(equal(s.status, kRunning), s.steps < options.max_steps)};
      },
      advance, carry);
  return Iterate::unpack(out);
}

}  // namespace

Arrays implicit_function(const Fn& f, const Arrays& x_in, const ImplicitOptions& options) {
  const Arrays x = strong(x_in);
  const Packing packing("implicit_function", "x", x);
  const VectorFn equation = record("implicit_function", "x", f, packing, packing);
  return packing.unpack(implicit(equation, stop_gradient(packing.pack(x)), options));
}

Root root_solve(const Fn& f, const Arrays& x0_in, const RootOptions& options) {
  const bool is_newton = options.method == "newton";
  require(is_newton || options.method == "anderson", "root_solve: method is \"", options.method,
          "\", expected \"newton\" or \"anderson\"");
  require(options.max_steps > 0, "root_solve: max_steps is ", options.max_steps, ", expected 1 or more");
  require(options.history >= 0, "root_solve: history is ", options.history, ", expected 0 or more");
  const Arrays x0 = strong(x0_in);
  const Packing packing("root_solve", "x0", x0);
  const Tolerances tolerances("root_solve", options.rtol, options.atol, packing);
  const VectorFn equation = record("root_solve", "x0", f, packing, packing), fixed = equation.stopped();

  Iterate start{stop_gradient(packing.pack(x0)), {}, count(0), count(1), {}};
  start.f = fixed(start.v);
  start.status =
      where(tolerances.valid(), where(all(isfinite(start.f)), kRunning, code(SolveStatus::NotFinite)),
            code(SolveStatus::BadOptions));
  const Iterate last = is_newton ? newton(fixed, tolerances, start, options.max_steps)
                                 : anderson(fixed, tolerances, start, options);
  Root out{{}, last.status, last.steps, last.evaluations, max_abs(last.f)};
  Array v = implicit(equation, last.v, options.implicit);
  if (options.throw_on_failure) v = completed("root_solve", v, out.status, out.steps, out.residual);
  out.x = packing.unpack(v);
  return out;
}

}  // namespace hesse::solvers
