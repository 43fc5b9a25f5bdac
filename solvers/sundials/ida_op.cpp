#include "solvers/sundials/ida_op.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "autodiff/autodiff.h"
#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/root.h"
#include "solvers/solution_op.h"
#include "solvers/sundials/ida.h"

namespace hesse::solvers::sundials {
namespace {

namespace operand = dae_operand;
constexpr int64_t kLargestDense = 500;

// Derivatives -----------------------------------------------------------------------------------------------

// (z, t, y, differential, p...) -> F(t, y, y') where z holds y' of differential entries and y of algebraic
// ones.
Ref<const Graph> implicit_equation(const Ref<const Graph>& f) {
  const Aval time = f->input_aval(0), state = f->input_aval(1);
  Avals avals{state, time, state, state};
  for (int i = 3; i < f->num_inputs(); ++i) avals.push_back(f->input_aval(i));
  return trace_closed(
      [&](std::span<const Array> x) {
        const Array differential = equal(x[3], 1.0);
        Arrays in{x[1], where(differential, x[2], x[0]), where(differential, x[0], zeros_like(x[0]))};
        in.insert(in.end(), x.begin() + 4, x.end());
        return f->call(in);
      },
      avals);
}

// (t, y, y', differential, p...) -> dy/dt. With z as above, which is a function of t and the differential
// entries of y: dy_diff/dt = z_diff, dy_alg/dt = z_alg,t + z_alg,y dy_diff/dt.
Ref<const Graph> slope_graph(const Ref<const Graph>& f) {
  const Ref<const Graph> equation = implicit_equation(f);
  const Aval time = f->input_aval(0), state = f->input_aval(1);
  Avals avals{time, state, state, state};
  for (int i = 3; i < f->num_inputs(); ++i) avals.push_back(f->input_aval(i));
  return trace_closed(
      [&](std::span<const Array> x) {
        const Array differential = equal(x[3], 1.0);
        const Array found = stop_gradient(where(differential, x[2], x[1]));
        const auto z = [&](const Array& t, const Array& y) {
          Arrays captures{t, y};
          captures.insert(captures.end(), x.begin() + 3, x.end());
          return implicit_function(VectorFn{equation, captures}, found);
        };
        const Array dy = where(differential, z(x[0], x[1]), zeros_like(x[1]));
        const auto [at, dz] = jvp([&](std::span<const Array> in) { return Arrays{z(in[0], in[1])}; },
                                  {x[0], x[1]}, {ones({}, kFloat64), dy});
        return Arrays{dz[0] ? where(differential, dy, *dz[0]) : dy};
      },
      avals);
}

// The system of y and its tangent s,
//   F = 0, F_y s + F_y' s' + sum_j F_pj dp_j = 0,
// on vectors [2 N]; what follows p are the dp of those marked.
Ref<const Graph> tangent_residual(const Ref<const Graph>& residual, const std::vector<bool>& marked) {
  const Ref<const Graph> f = without_effects(residual);
  const int64_t n = f->output_aval(0).shape[0];
  std::vector<bool> all{false, true, true};
  all.insert(all.end(), marked.begin(), marked.end());
  const DerivedGraph d = derivatives().jvp(*f, all, {true}, true);
  Avals avals = f->input_avals();
  avals[1].shape = avals[2].shape = Shape{2 * n};
  for (size_t j = 0; j < marked.size(); ++j)
    if (marked[j]) avals.push_back(avals[j + 3]);
  return trace_closed(
      [&](std::span<const Array> x) {
        const auto half = [&](const Array& a, bool tangent) {
          return tangent ? slice(a, {n}, {2 * n}, {1}) : slice(a, {0}, {n}, {1});
        };
        Arrays in{x[0], half(x[1], false), half(x[2], false)};
        const auto p = x.begin() + 3, dp = p + static_cast<int64_t>(marked.size());
        in.insert(in.end(), p, dp);
        in.push_back(half(x[1], true));
        in.push_back(half(x[2], true));
        in.insert(in.end(), dp, x.end());
        return Arrays{concatenate(d.graph->call(in))};
      },
      avals);
}

/// What both ops are made of.
class IdaBase : public Op, public SolutionRules {
 public:
  using Options = IdaOptions;
  static constexpr std::string_view kAdjoint = "ida_adjoint";
  static constexpr size_t kFirstParameter = operand::p, kStateInputs = 2;

  IdaBase(Ref<const Graph> residual, IdaOptions options, std::vector<bool> wanted = {})
      : field_(std::move(residual), std::move(wanted)), options_(std::move(options)) {}
  Params params() const override {
    Params out = options_.names.params();
    for (const auto& more : Params{{"residual", field_.graph()},
                                   {"linear_solver", options_.linear_solver},
                                   {"max_steps", options_.max_steps},
                                   {"raise", options_.raise}})
      out.push_back(more);
    return out;
  }
  bool has_effect() const override { return options_.reporter || has_effects(*field_.graph()); }

  const FlatResidual& field() const { return field_; }
  const IdaOptions& options() const { return options_; }
  size_t num_parameters() const { return static_cast<size_t>(field_.graph()->num_inputs()) - 3; }
  size_t num_operands() const override { return operand::p + num_parameters(); }
  bool is_differentiable(size_t i) const override { return i <= operand::y0 || i >= operand::p; }
  Array slope_at_start(std::span<const Array> x) const {
    return slope(x[operand::t0], x[operand::y0], x[operand::yp0], x);
  }
  Array slope_at_times(std::span<const Array> x, std::span<const Array> solution) const {
    return slope(x[operand::times], solution[0], solution[1], x);
  }

  // dy_k = s(t_k) + y'(t_k) dt_k; at t0, s = dy0 - y' dt0 in differential entries, and the others follow.
  MaybeArray solution_tangent(std::span<const Array> x, std::span<const Array> solution,
                              std::span<const MaybeArray> dx) const override {
    const int64_t n = field().size(), rows = x[operand::times].shape()[0];
    const std::span<const Array> p = x.subspan(operand::p, num_parameters());
    const std::span<const MaybeArray> dp = dx.subspan(operand::p, num_parameters());
    Arrays in(x.begin(), x.begin() + static_cast<int64_t>(num_operands()));
    MaybeArray dy;
    Arrays both;  // the solution and its tangent, and their slopes
    const bool moves = dx[operand::t0] || dx[operand::y0] ||
                       std::any_of(dp.begin(), dp.end(), [](const MaybeArray& d) { return d.has_value(); });
    if (moves) {
      const Array differential = equal(x[operand::differential], 1.0), none = zeros_like(x[operand::y0]);
      Array ds = dx[operand::y0] ? *dx[operand::y0] : none;
      if (dx[operand::t0]) ds = ds - slope_at_start(x) * *dx[operand::t0];
      ds = where(differential, ds, none);
      std::vector<bool> marked;
      Arrays directions;
      for (const MaybeArray& d : dp) {
        marked.push_back(d.has_value());
        if (d) directions.push_back(*d);
      }
      const Array dz = stop_gradient(start_tangent(x, ds, dp));
      const Array size = relative_size(ds, x[operand::y0], p, dp);
      const auto joined = [&](size_t i, const Array& more) { in[i] = concatenate({x[i], more}); };
      joined(operand::y0, where(differential, ds, dz));
      joined(operand::yp0, where(differential, dz, none));
      joined(operand::atol, stop_gradient(x[operand::atol] * size));
      joined(operand::differential, x[operand::differential]);
      in.insert(in.end(), directions.begin(), directions.end());
      // The linear equations of the tangent system, twice as large, are solved as those of the system.
      IdaOptions how = options().silent();
      if (how.linear_solver == "auto") how.linear_solver = n > kLargestDense ? "krylov" : "dense";
      both = hesse::apply(ida_op(tangent_residual(field().graph(), marked), how), in);
      dy = slice(both[0], {0, n}, {rows, 2 * n}, {1, 1});
    }
    if (dx[operand::times]) {
      in.resize(num_operands());
      in[operand::y0] = x[operand::y0];
      for (const size_t i : std::array<size_t, 3>{operand::yp0, operand::atol, operand::differential})
        in[i] = x[i];
      Arrays at(solution.begin(), solution.end());
      if (moves && at.empty())
        for (const size_t k : {0, 1}) at.push_back(slice(both[k], {0, 0}, {rows, n}, {1, 1}));
      if (at.empty()) at = hesse::apply(ida_op(without_effects(field().graph()), options().silent()), in);
      const Array moved = slope_at_times(x, at) * expand_dims(*dx[operand::times], {1});
      dy = dy ? *dy + moved : moved;
    }
    return dy;
  }

 protected:
  void check_operands(std::span<const Aval> x, size_t more) const {
    const Shape state{field_.size()};
    require(x.size() == num_operands() + more && x[operand::y0].shape == state &&
                x[operand::yp0].shape == state && x[operand::differential].shape == state &&
                x[operand::times].shape.size() == 1,
            name(), ": the operands do not fit the residual");
  }
  Arrays gradients(std::span<const Array> x) const;
  // dy/dt at one time, or at each of several: t [n], y [n, N], y' [n, N].
  Array slope(const Array& t, const Array& y, const Array& yp, std::span<const Array> x) const {
    const Ref<const Graph> g = slope_graph(without_effects(field().graph()));
    Arrays in{t, y, stop_gradient(yp), x[operand::differential]};
    in.insert(in.end(), x.begin() + operand::p, x.begin() + static_cast<int64_t>(num_operands()));
    if (t.ndim() == 0) return g->call(in)[0];
    std::vector<Access> access(in.size(), Access::uniform());
    access[0] = access[1] = access[2] = Access::each();
    return map(g, t.shape()[0], in, access, {Result::each()})[0];
  }

 private:
  // The tangent of z at the start (implicit_equation), for ds, which is zero in algebraic entries, and dp.
  Array start_tangent(std::span<const Array> x, const Array& ds, std::span<const MaybeArray> dp) const {
    const Ref<const Graph> equation = implicit_equation(without_effects(field().graph()));
    const Array found =
        stop_gradient(where(equal(x[operand::differential], 1.0), x[operand::yp0], x[operand::y0]));
    Arrays primals{stop_gradient(x[operand::y0])};
    MaybeArrays tangents{stop_gradient(ds)};
    for (size_t j = 0; j < dp.size(); ++j) {
      const Array& p = x[operand::p + j];
      primals.push_back(is_inexact(p.dtype()) ? stop_gradient(p) : p);
      tangents.push_back(dp[j] ? MaybeArray(stop_gradient(*dp[j])) : std::nullopt);
    }
    const auto [z, dz] = hesse::jvp(
        [&](std::span<const Array> in) {
          Arrays captures{stop_gradient(x[operand::t0]), in[0], x[operand::differential]};
          captures.insert(captures.end(), in.begin() + 1, in.end());
          return Arrays{implicit_function(VectorFn{equation, captures}, found)};
        },
        primals, tangents);
    return dz[0] ? *dz[0] : zeros_like(ds);
  }
  FlatResidual field_;
  IdaOptions options_;
};

/// A problem in numbers.
struct IdaNumbers final : Numbers {
  IdaNumbers(const FlatResidual& f, const IdaOptions& options, std::span<const Array> x)
      : Numbers(x),
        field(f),
        yp0(x[operand::yp0].to_vector<double>()),
        differential(x[operand::differential].to_vector<double>()),
        p(x.subspan(operand::p)) {
    const bool krylov =
        options.linear_solver == "krylov" || (options.linear_solver == "auto" && f.size() > kLargestDense);
    settings.linear = krylov ? LinearKind::Krylov : LinearKind::Dense;
    settings.max_steps = options.max_steps;
    settings.reporter = options.reporter.get();
  }
  DaeProblem problem() const { return {field, settings, t0, y0, yp0, differential, p}; }
  const FlatResidual& field;
  std::vector<double> yp0, differential;
  std::span<const Array> p;
};

IdaOptions read_options(const ReadParams& p) {
  return {p["linear_solver"], p["max_steps"], p["raise"], StateNames::read(p["paths"], p["shapes"])};
}

Arrays IdaBase::gradients(std::span<const Array> x) const {
  const IdaNumbers in(field_, options_, x.first(num_operands()));
  const std::vector<double> c = x.back().to_vector<double>();
  return gradients_of(in, options_.reporting(), field_.parameters(),
                      [&](std::span<double> mu, std::span<double> gradient) {
                        return integrate_adjoint(in.problem(), in.times, c, mu, gradient);
                      });
}

class IdaOp final : public SolutionOf<IdaBase> {
 public:
  IdaOp(Ref<const Graph> residual, const IdaOptions& options) : SolutionOf(std::move(residual), options) {}
  std::string_view name() const override { return "ida"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(x, 0);
    const Aval state{{x[operand::times].shape[0], field().size()}, kFloat64};
    Avals out = counts_avals();
    out.insert(out.begin(), {state, state});
    return out;
  }
  Arrays eval(std::span<const Array> x) const override {
    const IdaNumbers in(field(), options(), x);
    const size_t n = in.y0.size();
    std::vector<double> y(in.times.size() * n, NAN), yp(in.times.size() * n, NAN);
    auto row = y.begin(), slope_row = yp.begin();
    const Report r = solved(in, [&] {
      return integrate(in.problem(), in.times, [&](double, const double* at, const double* slope) {
        row = std::copy_n(at, n, row);
        slope_row = std::copy_n(slope, n, slope_row);
      });
    });
    report_solve("solve_dae", "", r, options().names, true, options().raise);
    const Shape shape{static_cast<int64_t>(in.times.size()), field().size()};
    Arrays out = counts_of(r);
    out.insert(out.begin(), {Array::from<double>(y, shape), Array::from<double>(yp, shape)});
    return out;
  }
  bool reads_output(int k) const override { return k < 2; }
};

const bool registered =
    (register_ops(
         {{"ida", [](const ReadParams& p) { return make_op<IdaOp>(p["residual"], read_options(p)); }},
          {"ida_adjoint",
           [](const ReadParams& p) {
             const Dims wanted = p["wanted"];
             return make_op<AdjointOf<IdaBase>>(p["residual"], read_options(p),
                                                std::vector<bool>(wanted.begin(), wanted.end()));
           }}}),
     true);

}  // namespace

OpRef ida_op(Ref<const Graph> residual, const IdaOptions& options) {
  return make_op<IdaOp>(std::move(residual), options);
}

Solution ida_steps(const Ref<const Graph>& residual, const IdaOptions& options, const Arrays& operands,
                   const Array& t1) {
  const FlatResidual flat(residual);
  const IdaNumbers in(flat, options, operands);
  return steps_solution(in, options.reporting(), [&](const Emit& emit) {
    return integrate_steps(in.problem(), t1.item<double>(),
                           [&](double t, const double* y, const double*) { emit(t, y); });
  });
}

}  // namespace hesse::solvers::sundials
