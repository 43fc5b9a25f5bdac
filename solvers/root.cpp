#include "solvers/root.h"

#include <algorithm>

#include "autodiff/autodiff.h"
#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/program/unroll.h"
#include "solvers/flat.h"
#include "solvers/kinsol.h"
#include "solvers/linear.h"
#include "solvers/root_steps.h"

namespace hesse::solvers {
namespace {

constexpr std::string_view kLuOrNaN = "lu_or_nan";  // "lu" with Factored::Singular::GivesNaN

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
    if (linear_solver_ == "lu" || linear_solver_ == kLuOrNaN) {
      const Array jacobian = dense_jacobian({residual_, Arrays(at.begin() + 1, at.end())}, y[0]);
      if (linear_solver_ == "lu") return {-solve(jacobian, moved)};
      return {-Factored(jacobian, Factored::Singular::GivesNaN).solve(moved)};
    }
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

}  // namespace

Array implicit_function(const VectorFn& f, const Array& v, const ImplicitOptions& options) {
  require(
      options.linear_solver == "auto" || options.linear_solver == "lu" || is_krylov(options.linear_solver),
      "implicit_function: linear_solver is \"", options.linear_solver,
      "\", expected \"auto\", \"lu\", \"cg\", \"minres\", \"bicgstab\" or \"gmres\"");
  constexpr int64_t kDense = 512;
  std::string solver = options.linear_solver != "auto" ? options.linear_solver
                       : v.size() <= kDense            ? "lu"
                                                       : "gmres";
  if (solver == "lu" && options.singular == Factored::Singular::GivesNaN) solver = kLuOrNaN;
  Arrays in{v};
  in.insert(in.end(), f.captures.begin(), f.captures.end());
  return apply1(make_op<RootOp>(without_effects(f.graph), solver,
                                options.rtol.value_or(v.dtype() == kFloat32 ? 1e-5 : 1e-10)),
                in);
}

Arrays implicit_function(const Fn& f, const Arrays& x_in, const ImplicitOptions& options) {
  const Arrays x = strong(x_in);
  const Packing packing("implicit_function", "x", x);
  const VectorFn equation = record("implicit_function", "x", f, packing, packing);
  return packing.unpack(implicit_function(equation, stop_gradient(packing.pack(x)), options));
}

namespace {

using Method = RootIterate (*)(const VectorFn&, const Tolerances&, const RootIterate&, const RootOptions&);

/// One after the other, until one succeeds, each from the same start.
Root solved(std::string_view function, std::string_view argument, const Fn& f, const Arrays& x0_in,
            const RootOptions& options, std::initializer_list<Method> methods) {
  require(options.max_steps > 0, function, ": max_steps is ", options.max_steps, ", expected 1 or more");
  require(options.history >= 0, function, ": history is ", options.history, ", expected 0 or more");
  const Arrays x0 = strong(x0_in);
  const Packing packing(function, argument, x0);
  const Tolerances tolerances(function, options.rtol, options.atol, packing);
  const VectorFn equation = record(function, argument, f, packing, packing), fixed = equation.stopped();

  RootIterate start{stop_gradient(packing.pack(x0)), {}, scalar(0), scalar(1), {}};
  start.f = fixed(start.v);
  start.status =
      where(tolerances.valid(), where(all(isfinite(start.f)), kRunning, code(SolveStatus::NotFinite)),
            code(SolveStatus::BadOptions));
  RootIterate last = start;
  const Array runs = equal(start.status, kRunning);
  for (const Method method : methods) {
    RootIterate from = start;
    if (method != *methods.begin()) {  // again, unless that is done
      const Array again = logical_and(runs, not_equal(last.status, code(SolveStatus::Success)));
      from = {where(again, start.v, last.v), where(again, start.f, last.f), scalar(0), last.evaluations,
              where(again, kRunning, last.status)};
      const Array before = last.steps;
      last = method(fixed, tolerances, from, options);
      last.steps = last.steps + before;
    } else {
      last = method(fixed, tolerances, from, options);
    }
  }
  Root out{{}, last.status, last.steps, last.evaluations, max_abs(last.f)};
  Array v = implicit_function(equation, last.v, options.implicit);
  if (options.throw_on_failure) v = completed(function, v, out.status, out.steps, out.residual);
  out.x = packing.unpack(v);
  return out;
}

}  // namespace

Root root_solve(const Fn& f, const Arrays& x0, const RootOptions& options) {
  const auto by = [&](Method method) { return solved("root_solve", "x0", f, x0, options, {method}); };
  if (options.method == "newton") return by(newton);
  if (options.method == "anderson") return by(anderson);
  if (options.method == "transient") return by(transient);
  if (options.method == "kinsol") return by(kinsol);
  throw ValueError(concat("root_solve: method is \"", options.method,
                          "\", expected \"newton\", \"anderson\", \"transient\" or \"kinsol\""));
}

Root fixed_point(const Fn& f, const Arrays& x0, const RootOptions& options) {
  const Fn difference = [&](std::span<const Array> x) {
    Arrays y = f(x);
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (y[i].is_weak() || aval(y[i]) == aval(x[i])) y[i] = x[i] - y[i];  // others are refused as they are
    return y;
  };
  return solved("fixed_point", "x0", difference, x0, options, {anderson});
}

Root steady_state(const Fn& f, const Arrays& y0, const RootOptions& options) {
  if (options.method == "newton") return solved("steady_state", "y0", f, y0, options, {newton, transient});
  if (options.method == "transient") return solved("steady_state", "y0", f, y0, options, {transient});
  throw ValueError(
      concat("steady_state: method is \"", options.method, "\", expected \"newton\" or \"transient\""));
}

}  // namespace hesse::solvers
