#include "solvers/sundials/cvode_op.h"

#include <algorithm>
#include <cmath>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/solution_op.h"
#include "solvers/sundials/integrate.h"

namespace hesse::solvers::sundials {

Params params_of(const CvodeOptions& options) {
  Params out = options.names.params();
  out.insert(out.end(), {{"method", options.method},
                         {"linear_solver", options.linear_solver},
                         {"max_steps", options.max_steps},
                         {"raise", options.raise}});
  for (const Ref<const Graph>& part : options.parts) out.emplace_back("part", part);
  return out;
}

CvodeOptions read_options(const ReadParams& p) {
  return {p["method"],
          p["linear_solver"],
          p["max_steps"],
          p["raise"],
          StateNames::read(p["paths"], p["shapes"]),
          p.graphs("part")};
}

CvodeFields::CvodeFields(Ref<const Graph> graph, const CvodeOptions& options, std::vector<bool> wanted)
    : all(std::move(graph), std::move(wanted)) {
  if (options.parts.empty()) return;
  explicit_part.emplace(options.parts[0]);
  implicit_part.emplace(options.parts[1]);
}

namespace {
// In order and apart from one another.
std::vector<Break> breaks_behind(double t0, std::span<const double> times, const Array& given) {
  const std::vector<double> x = given.to_vector<double>();
  const size_t n = x.size() / 2;
  if (times.empty() || n == 0) return {};
  const double direction = times.back() >= t0 ? 1.0 : -1.0;
  std::vector<Break> all, out;
  for (size_t i = 0; i < n; ++i)
    if ((x[i] - t0) * direction > 0) all.push_back({x[i], x[n + i]});
  std::sort(all.begin(), all.end(),
            [&](const Break& a, const Break& b) { return (b.before - a.before) * direction > 0; });
  for (const Break& b : all) {
    if (out.empty() || (b.before - out.back().after) * direction > 0)
      out.push_back(b);
    else
      out.back().after = b.after;
  }
  return out;
}
}  // namespace

CvodeNumbers::CvodeNumbers(const CvodeFields& f, const CvodeOptions& options, std::span<const Array> x,
                           bool adjoint)
    : Numbers(x),
      field(f.implicit_part && !adjoint ? *f.implicit_part : f.all),
      explicit_part(f.explicit_part && !adjoint ? &*f.explicit_part : nullptr),
      p(x.subspan(cvode_operand::parameters, static_cast<size_t>(f.all.graph()->num_inputs()) - 2)),
      breaks(breaks_behind(t0, times, x[cvode_operand::breaks])) {
  settings.implicit = options.is_implicit();
  settings.by_arkode = !adjoint && options.method.starts_with("ARKODE");
  if (settings.implicit) settings.linear = linear_kind(options.linear_solver, field);
  settings.max_steps = options.max_steps;
  settings.reporter = options.reporter.get();
}

namespace {

/// What both ops are made of.
class CvodeBase : public Op, public SolutionRules {
 public:
  using Options = CvodeOptions;
  static constexpr std::string_view kAdjoint = "cvode_adjoint";
  static constexpr size_t kFirstParameter = cvode_operand::parameters, kStateInputs = 1;

  CvodeBase(Ref<const Graph> field, CvodeOptions options, std::vector<bool> wanted = {})
      : fields_(std::move(field), options, std::move(wanted)), options_(std::move(options)) {}
  Params params() const override {
    Params out = params_of(options_);
    out.emplace_back("field", field().graph());
    return out;
  }
  bool has_effect() const override { return options_.reporter || has_effects(*field().graph()); }

  const CvodeFields& fields() const { return fields_; }
  const FlatField& field() const { return fields_.all; }
  const CvodeOptions& options() const { return options_; }
  size_t num_parameters() const { return static_cast<size_t>(field().graph()->num_inputs()) - 2; }
  size_t num_operands() const override { return kFirstParameter + num_parameters(); }
  bool is_differentiable(size_t i) const override { return i < operand::rtol || i >= kFirstParameter; }
  MaybeArray solution_tangent(std::span<const Array> x, std::span<const Array> solution,
                              std::span<const MaybeArray> dx) const override;
  Array slope_at_start(std::span<const Array> x) const { return slope(x[operand::t0], x[operand::y0], x); }
  Array slope_at_times(std::span<const Array> x, std::span<const Array> solution) const {
    return slope(x[operand::times], solution[0], x);
  }

 protected:
  void check_operands(std::span<const Aval> x, size_t more) const {
    require(x.size() == num_operands() + more && x[operand::y0].shape == Shape{field().size()} &&
                x[operand::times].shape.size() == 1 && x[cvode_operand::breaks].shape.size() == 2,
            name(), ": the operands do not fit the field");
  }
  Arrays gradients(std::span<const Array> x) const;
  // f at one time, or at each of several: t [n], y [n, N].
  Array slope(const Array& t, const Array& y, std::span<const Array> x) const;

 private:
  CvodeFields fields_;
  CvodeOptions options_;
};

// Derivatives -----------------------------------------------------------------------------------------------

Array CvodeBase::slope(const Array& t, const Array& y, std::span<const Array> x) const {
  const Ref<const Graph> f = without_effects(field().graph());
  Arrays in{t, y};
  in.insert(in.end(), x.begin() + kFirstParameter, x.begin() + static_cast<int64_t>(num_operands()));
  if (t.ndim() == 0) return f->call(in)[0];
  std::vector<Access> access(in.size(), Access::uniform());
  access[0] = access[1] = Access::each();
  return map(f, t.shape()[0], in, access, {Result::each()})[0];
}

// The system of y and its tangent s,
//   d(y, s)/dt = (f, f_y s + sum_j f_pj dp_j),
// on one vector [2 N]; what follows p are the dp of those marked.
Ref<const Graph> tangent_field(const Ref<const Graph>& field, const std::vector<bool>& marked) {
  const Ref<const Graph> f = without_effects(field);
  const int64_t n = f->output_aval(0).shape[0];
  std::vector<bool> all{false, true};
  all.insert(all.end(), marked.begin(), marked.end());
  const DerivedGraph d = derivatives().jvp(*f, all, {true}, true);
  Avals avals = f->input_avals();
  avals[1].shape = Shape{2 * n};
  for (size_t j = 0; j < marked.size(); ++j)
    if (marked[j]) avals.push_back(avals[j + 2]);
  return trace_closed(
      [&](std::span<const Array> x) {
        Arrays in{x[0], slice(x[1], {0}, {n}, {1})};
        const auto p = x.begin() + 2, dp = p + static_cast<int64_t>(marked.size());
        in.insert(in.end(), p, dp);
        in.push_back(slice(x[1], {n}, {2 * n}, {1}));
        in.insert(in.end(), dp, x.end());
        return Arrays{concatenate(d.graph->call(in))};
      },
      avals);
}

// dy_k = s(t_k) + f(t_k, y_k) dt_k, s(t0) = dy0 - f(t0, y0) dt0
MaybeArray CvodeBase::solution_tangent(std::span<const Array> x, std::span<const Array> solution,
                                       std::span<const MaybeArray> dx) const {
  const int64_t n = field().size(), rows = x[operand::times].shape()[0];
  const std::span<const Array> p = x.subspan(kFirstParameter, num_parameters());
  const std::span<const MaybeArray> dp = dx.subspan(kFirstParameter, num_parameters());
  const bool moves = dx[operand::t0] || dx[operand::y0] ||
                     std::any_of(dp.begin(), dp.end(), [](const MaybeArray& d) { return d.has_value(); });
  MaybeArray dy;
  Arrays in(x.begin(), x.begin() + static_cast<int64_t>(num_operands())),
      at_times(solution.begin(), solution.end());
  if (moves) {
    MaybeArray ds = dx[operand::y0];
    if (dx[operand::t0]) {
      const Array shift = slope_at_start(x) * *dx[operand::t0];
      ds = ds ? *ds - shift : negative(shift);
    }
    std::vector<bool> marked;
    Arrays directions;
    for (const MaybeArray& d : dp) {
      marked.push_back(d.has_value());
      if (d) directions.push_back(*d);
    }
    const Array size = relative_size(ds, x[operand::y0], p, dp);
    in[operand::y0] = concatenate({x[operand::y0], ds ? *ds : zeros_of({Shape{n}, kFloat64})});
    in[operand::atol] = stop_gradient(concatenate({x[operand::atol], x[operand::atol] * size}));
    in.insert(in.end(), directions.begin(), directions.end());
    CvodeOptions how = options().silent();
    for (Ref<const Graph>& part : how.parts) part = tangent_field(part, marked);
    const Array both = hesse::apply(cvode_op(tangent_field(field().graph(), marked), how), in)[0];
    dy = slice(both, {0, n}, {rows, 2 * n}, {1, 1});
    if (at_times.empty()) at_times = {slice(both, {0, 0}, {rows, n}, {1, 1})};
  }
  if (dx[operand::times]) {
    if (at_times.empty()) at_times = hesse::apply(cvode_op(field().graph(), options().silent()), in);
    const Array moved = slope_at_times(x, at_times) * expand_dims(*dx[operand::times], {1});
    dy = dy ? *dy + moved : moved;
  }
  return dy;
}

Arrays CvodeBase::gradients(std::span<const Array> x) const {
  const CvodeNumbers in(fields_, options_, x, true);
  const std::vector<double> c = x.back().to_vector<double>();
  return gradients_of(in, options_.reporting(), field().parameters(),
                      [&](std::span<double> lambda, std::span<double> gradient) {
                        return integrate_adjoint(in.problem(), in.times, c, lambda, gradient);
                      });
}

class CvodeOp final : public SolutionOf<CvodeBase> {
 public:
  CvodeOp(Ref<const Graph> field, const CvodeOptions& options) : SolutionOf(std::move(field), options) {}
  std::string_view name() const override { return "cvode"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(x, 0);
    Avals out = counts_avals();
    out.insert(out.begin(), {{x[operand::times].shape[0], field().size()}, kFloat64});
    return out;
  }
  Arrays eval(std::span<const Array> x) const override {
    const CvodeNumbers in(fields(), options(), x);
    const size_t n = in.y0.size();
    std::vector<double> y(in.times.size() * n, NAN);
    auto row = y.begin();
    const Report r = solved(in, [&] {
      return integrate(in.problem(), in.times,
                       [&](double, const double* at) { row = std::copy_n(at, n, row); });
    });
    report_solve("solve_ivp", "", r, options().names, options().is_implicit(), options().raise);
    Arrays out = counts_of(r);
    out.insert(out.begin(), Array::from<double>(y, {static_cast<int64_t>(in.times.size()), field().size()}));
    return out;
  }
  bool reads_output(int k) const override { return k == 0; }
};

const bool registered =
    (register_ops(
         {{"cvode", [](const ReadParams& p) { return make_op<CvodeOp>(p["field"], read_options(p)); }},
          {"cvode_adjoint",
           [](const ReadParams& p) {
             const Dims wanted = p["wanted"];
             return make_op<AdjointOf<CvodeBase>>(p["field"], read_options(p),
                                                  std::vector<bool>(wanted.begin(), wanted.end()));
           }}}),
     true);

}  // namespace

OpRef cvode_op(Ref<const Graph> field, const CvodeOptions& options) {
  return make_op<CvodeOp>(std::move(field), options);
}

Solution cvode_steps(const Ref<const Graph>& field, const CvodeOptions& options, const Arrays& operands,
                     const Array& t1, Polynomials* polynomials) {
  const CvodeFields fields(field, options);
  CvodeNumbers in(fields, options, operands);
  in.settings.polynomials = polynomials;
  return steps_solution(in, options.reporting(), [&](const Emit& emit) {
    return integrate_steps(in.problem(), t1.item<double>(), emit);
  });
}

}  // namespace hesse::solvers::sundials
