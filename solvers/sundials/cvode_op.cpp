#include "solvers/sundials/cvode_op.h"

#include <algorithm>
#include <cmath>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/status.h"
#include "solvers/sundials/integrate.h"

namespace hesse::solvers::sundials {
namespace {

using Wanted = std::vector<bool>;

std::vector<double> numbers(const Array& x) { return x.to_vector<double>(); }

Array vector_of(std::span<const double> x, const Shape& shape) { return Array::from<double>(x, shape); }
Array whole(int64_t v) { return Array::from<int64_t>(std::span<const int64_t>(&v, 1), {}); }
Array scalar(double v) { return Array::from<double>(std::span<const double>(&v, 1), {}); }

/// A problem in numbers, read off the operands.
struct Numbers {
  Numbers(const FlatField& field, const CvodeOptions& options, std::span<const Array> x)
      : times(numbers(x[operand::times])), y0(numbers(x[operand::y0])), atol(numbers(x[operand::atol])) {
    settings.bdf = options.method == "BDF";
    if (settings.bdf) settings.linear = linear_kind(options.linear_solver, field);
    settings.max_steps = options.max_steps;
    settings.rtol = x[operand::rtol].item<double>();
    settings.atol = atol;
    settings.first_step = x[operand::first_step].item<double>();
    settings.max_step = x[operand::max_step].item<double>();
    t0 = x[operand::t0].item<double>();
    status = static_cast<IvpStatus>(x[operand::status].item<int64_t>());
  }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  Problem problem(const FlatField& field, std::span<const Array> p) const {
    return {field, settings, t0, y0, p};
  }
  double t0 = 0;
  std::vector<double> times, y0, atol;
  Settings settings;
  IvpStatus status;
};

// "t = 0.5, step 1e-09; entry 2 of array 1 of the state limits it"
std::string where(const Report& r, const CvodeOptions& options) {
  std::string out = concat("t = ", r.t, ", step ", r.h);
  int64_t entry = r.entry, total = 0;
  for (const int64_t n : options.sizes) total += n;
  if (entry >= 0 && total > 0) {
    out += "; ";
    if (entry >= total) out += "the tangent of ";
    entry %= total;
    size_t leaf = 0;
    while (entry >= options.sizes[leaf]) entry -= options.sizes[leaf++];
    out += concat("entry ", entry, " of ", leaf > 0 ? concat("array ", leaf, " of ") : std::string(),
                  "the state limits it");
  }
  return r.note.empty() ? out : concat(out, "; ", r.note);
}

void report(const Report& r, const CvodeOptions& options, const char* what) {
  if (r.status != IvpStatus::Success && options.raise)
    report_failure(Failure::Numerical, "solve_ivp",
                   concat(what, describe(r.status), " (", where(r, options), ")"));
}

/// What both ops are made of.
class CvodeBase : public Op {
 public:
  CvodeBase(Ref<const Graph> field, CvodeOptions options, Wanted wanted = {})
      : field_(std::move(field), std::move(wanted)), options_(std::move(options)) {}
  Params params() const override {
    return {{"field", field_.graph()},
            {"method", options_.method},
            {"linear_solver", options_.linear_solver},
            {"max_steps", options_.max_steps},
            {"raise", options_.raise},
            {"sizes", options_.sizes}};
  }
  bool has_effect() const override { return has_effects(*field_.graph()); }

  const FlatField& field() const { return field_; }
  const CvodeOptions& options() const { return options_; }
  size_t num_parameters() const { return static_cast<size_t>(field_.graph()->num_inputs()) - 2; }
  size_t num_operands() const { return operand::p + num_parameters(); }

 protected:
  void check_operands(std::span<const Aval> x, size_t more) const {
    require(x.size() == num_operands() + more && x[operand::y0].shape == Shape{field_.size()} &&
                x[operand::times].shape.size() == 1,
            name(), ": the operands do not fit the field");
  }
  Problem problem(const Numbers& in, std::span<const Array> x) const {
    return in.problem(field_, x.subspan(operand::p, num_parameters()));
  }

 private:
  FlatField field_;
  CvodeOptions options_;
};

CvodeOptions read_options(const ReadParams& p) {
  return {p["method"], p["linear_solver"], p["max_steps"], p["raise"], p["sizes"]};
}

// Derivatives -----------------------------------------------------------------------------------------------

// f at one time, or at each of several: t [n], y [n, N].
Array slope(const CvodeBase& op, const Array& t, const Array& y, std::span<const Array> x) {
  const Ref<const Graph> f = without_effects(op.field().graph());
  Arrays in{t, y};
  in.insert(in.end(), x.begin() + operand::p, x.begin() + static_cast<int64_t>(op.num_operands()));
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

// Whether there is a tangent of y0 (t0 moves it too) or of some p.
bool moves(std::span<const MaybeArray> dx) {
  return dx[operand::t0] || dx[operand::y0] ||
         std::any_of(dx.begin() + operand::p, dx.end(), [](const MaybeArray& d) { return d.has_value(); });
}

Array largest(const Array& x) { return astype(max(abs(stop_gradient(x))), kFloat64); }

// How large tangents are, relative to what they are tangents of: the errors of a tangent are measured with
// atol times this, so that they scale with it.
Array relative_size(const MaybeArray& ds, std::span<const Array> x, std::span<const MaybeArray> dx) {
  Array out(0.0);
  const auto meet = [&](const Array& value, const Array& tangent) {
    if (value.size() == 0) return;
    const Array size = largest(value);
    out = maximum(out, largest(tangent) / where(greater(size, 0.0), size, 1.0));
  };
  if (ds) meet(x[operand::y0], *ds);
  for (size_t i = operand::p; i < dx.size(); ++i)
    if (dx[i]) meet(x[i], *dx[i]);
  return astype(where(logical_and(isfinite(out), greater(out, 0.0)), out, 1.0), kFloat64);
}

// The tangent of y [n, N], given y where it is known:
//   dy_k = s(t_k) + f(t_k, y_k) dt_k, s(t0) = dy0 - f(t0, y0) dt0.
// nullopt: zero.
MaybeArray solution_tangent(const CvodeBase& op, std::span<const Array> x, const MaybeArray& y,
                            std::span<const MaybeArray> dx) {
  const int64_t n = op.field().size(), rows = x[operand::times].shape()[0];
  MaybeArray dy;
  Arrays in(x.begin(), x.begin() + static_cast<int64_t>(op.num_operands()));
  Array at_times;
  if (moves(dx.first(op.num_operands()))) {
    MaybeArray ds = dx[operand::y0];
    if (dx[operand::t0]) {
      const Array shift = slope(op, x[operand::t0], x[operand::y0], x) * *dx[operand::t0];
      ds = ds ? *ds - shift : negative(shift);
    }
    std::vector<bool> marked;
    Arrays dp;
    for (size_t i = operand::p; i < op.num_operands(); ++i) {
      marked.push_back(dx[i].has_value());
      if (dx[i]) dp.push_back(*dx[i]);
    }
    const Array size = relative_size(ds, x, dx.first(op.num_operands()));
    in[operand::y0] = concatenate({x[operand::y0], ds ? *ds : zeros_of({Shape{n}, kFloat64})});
    in[operand::atol] = stop_gradient(concatenate({x[operand::atol], x[operand::atol] * size}));
    in.insert(in.end(), dp.begin(), dp.end());
    const Array both = hesse::apply(cvode_op(tangent_field(op.field().graph(), marked), op.options()), in)[0];
    dy = slice(both, {0, n}, {rows, 2 * n}, {1, 1});
    at_times = slice(both, {0, 0}, {rows, n}, {1, 1});
  } else if (dx[operand::times] && !y) {
    at_times = hesse::apply(cvode_op(op.field().graph(), op.options()), in)[0];
  }
  if (dx[operand::times]) {
    const Array f = slope(op, x[operand::times], y ? *y : at_times, x);
    const Array moved = f * expand_dims(*dx[operand::times], {1});
    dy = dy ? *dy + moved : moved;
  }
  return dy;
}

// The tangent of y as a graph: operands of cvode, then their tangents where marked -> [n, N].
Ref<const Graph> solution_tangent_graph(const CvodeBase& op, std::span<const Array> x,
                                        const std::vector<bool>& marked) {
  const size_t m = op.num_operands();
  Avals avals;
  for (size_t i = 0; i < m; ++i) avals.push_back(aval(x[i]));
  for (size_t i = 0; i < m; ++i)
    if (marked[i]) avals.push_back(aval(x[i]));
  return trace_closed(
      [&](std::span<const Array> in) {
        MaybeArrays dx(m);
        for (size_t i = 0, j = m; i < m; ++i)
          if (marked[i]) dx[i] = in[j++];
        return Arrays{*solution_tangent(op, in.first(m), std::nullopt, dx)};
      },
      avals);
}

/// The gradient of <c, y> with respect to y0 and the p wanted. Operands: those of cvode, then c.
class CvodeAdjointOp final : public CvodeBase {
 public:
  CvodeAdjointOp(Ref<const Graph> field, const CvodeOptions& options, Wanted wanted)
      : CvodeBase(std::move(field), options, wanted), wanted_(std::move(wanted)) {}
  std::string_view name() const override { return "cvode_adjoint"; }
  Params params() const override {
    Params out = CvodeBase::params();
    Dims wanted;
    for (const bool w : wanted_) wanted.push_back(w);
    out.emplace_back("wanted", wanted);
    return out;
  }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(x, 1);
    Avals out{x[operand::y0]};
    out.insert(out.end(), field().wanted().begin(), field().wanted().end());
    return out;
  }
  Arrays eval(std::span<const Array> x) const override {
    const Numbers in(field(), options(), x);
    std::vector<double> lambda(in.y0.size()), gradient(static_cast<size_t>(field().num_parameters()));
    Report r;
    r.status = in.status;
    if (in.status == IvpStatus::Success)
      r = integrate_adjoint(problem(in, x), in.times, numbers(x.back()), lambda, gradient);
    if (r.status != IvpStatus::Success) {
      std::fill(lambda.begin(), lambda.end(), NAN);
      std::fill(gradient.begin(), gradient.end(), NAN);
      report(r, options(), "the adjoint: ");
    }
    Arrays out{vector_of(lambda, {field().size()})};
    if (!field().wanted().empty())
      for (const Array& g : field().parameters(vector_of(gradient, {field().num_parameters()})))
        out.push_back(g);
    return out;
  }

  // With y(theta; t), theta = (y0, p), J its derivative with respect to theta, the op is A = J^T c, linear in
  // c; and the derivative of J^T c in a direction (dtheta, dt) is the gradient with respect to theta of
  // <c, J dtheta + y_t dt>, of the tangent of y: its adjoint.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const size_t m = num_operands();
    MaybeArrays dy(y.size());
    if (dx[m]) {
      Arrays in(x.begin(), x.end());
      in[m] = *dx[m];
      const Arrays out = hesse::apply(OpRef(this), in);
      std::copy(out.begin(), out.end(), dy.begin());
    }
    std::vector<bool> marked = differentiable(dx.first(m));
    if (std::find(marked.begin(), marked.end(), true) == marked.end()) return dy;
    const MaybeArrays g = gradient_of_tangent(x, dx.first(m), marked, outputs_wanted());
    for (size_t i = operand::y0, k = 0; i < m; ++i)
      if (outputs_wanted()[i]) {
        dy[k] = dy[k] ? *dy[k] + *g[i] : *g[i];
        ++k;
      }
    return dy;
  }
  // <u, A> = <c, J u>: the cotangent of c is the tangent of y in the direction u, those of theta and t are
  // its gradient again.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    const size_t m = num_operands();
    MaybeArrays u(m);
    const std::vector<bool> outputs = outputs_wanted();
    for (size_t i = operand::y0, k = 0; i < m; ++i)
      if (outputs[i]) u[i] = ct[k++];
    const std::vector<bool> marked = differentiable(u);
    MaybeArrays out(x.size());
    if (std::find(marked.begin(), marked.end(), true) == marked.end()) return out;
    if (wanted[m]) out[m] = solution_tangent(*this, x.first(m), std::nullopt, u);
    std::vector<bool> want = differentiable({wanted.begin(), wanted.begin() + static_cast<int64_t>(m)});
    if (std::find(want.begin(), want.end(), true) == want.end()) return out;
    const MaybeArrays g = gradient_of_tangent(x, u, marked, want);
    std::copy(g.begin(), g.end(), out.begin());
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::find(marked.begin(), marked.end() - 1, true) == marked.end() - 1;
  }
  bool reads_output(int) const override { return false; }

 private:
  // By operand: whether its gradient is an output.
  std::vector<bool> outputs_wanted() const {
    std::vector<bool> out(num_operands(), false);
    out[operand::y0] = true;
    std::copy(wanted_.begin(), wanted_.end(), out.begin() + operand::p);
    return out;
  }
  // Tolerances and options are constants.
  static std::vector<bool> differentiable(std::vector<bool> marked) {
    for (size_t i = operand::rtol; i < operand::p; ++i) marked[i] = false;
    return marked;
  }
  static std::vector<bool> differentiable(std::span<const MaybeArray> dx) {
    std::vector<bool> marked;
    for (const MaybeArray& d : dx) marked.push_back(d.has_value());
    return differentiable(std::move(marked));
  }
  // The gradient of <c, the tangent of y in the direction dx> with respect to the operands wanted.
  MaybeArrays gradient_of_tangent(std::span<const Array> x, std::span<const MaybeArray> dx,
                                  const std::vector<bool>& marked, const std::vector<bool>& want) const {
    const size_t m = num_operands();
    const Ref<const Graph> tangent = solution_tangent_graph(*this, x.first(m), marked);
    std::vector<bool> of = want;
    of.resize(static_cast<size_t>(tangent->num_inputs()), false);
    const DerivedGraph d = derivatives().vjp(*tangent, {true}, of, of);
    Arrays in(x.begin(), x.begin() + static_cast<int64_t>(m));
    for (size_t i = 0; i < m; ++i)
      if (marked[i]) in.push_back(*dx[i]);
    in.push_back(x[m]);
    const Arrays g = d.graph->call(in);
    MaybeArrays out(m);
    for (size_t i = 0, k = 0; i < m; ++i)
      if (want[i]) out[i] = g[k++];
    return out;
  }
  Wanted wanted_;
};

class CvodeOp final : public CvodeBase {
 public:
  CvodeOp(Ref<const Graph> field, const CvodeOptions& options) : CvodeBase(std::move(field), options) {}
  std::string_view name() const override { return "cvode"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(x, 0);
    const Aval count{{}, kInt64}, time{{}, kFloat64};
    return {{{x[operand::times].shape[0], field().size()}, kFloat64},
            count,
            count,
            count,
            count,
            count,
            time,
            time};
  }
  Arrays eval(std::span<const Array> x) const override {
    const Numbers in(field(), options(), x);
    const size_t n = in.y0.size();
    std::vector<double> y(in.times.size() * n, NAN);
    Report r;
    r.status = in.status;
    r.t = in.t0;
    auto row = y.begin();
    if (in.status == IvpStatus::Success)
      r = integrate(problem(in, x), in.times,
                    [&](double, const double* at) { row = std::copy_n(at, n, row); });
    report(r, options(), "");
    return {vector_of(y, {static_cast<int64_t>(in.times.size()), field().size()}),
            whole(static_cast<int64_t>(r.status)),
            whole(r.accepted),
            whole(r.rejected),
            whole(r.evaluations),
            whole(r.factorisations),
            scalar(r.t),
            scalar(r.h)};
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    MaybeArrays dy(y.size());
    dy[0] = solution_tangent(*this, x, y[0], dx);
    return dy;
  }
  // With lambda and the gradients of p from the adjoint, for the cotangent c of y:
  //   d/dt0 = -<lambda(t0), f(t0, y0)>, d/dt_k = <c_k, f(t_k, y_k)>.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    MaybeArrays out(x.size());
    if (!ct[0]) return out;
    if (wanted[operand::times])
      out[operand::times] = sum(*ct[0] * slope(*this, x[operand::times], y[0], x), Axes{1});
    Wanted want(wanted.begin() + operand::p, wanted.end());
    const bool any = std::find(want.begin(), want.end(), true) != want.end();
    if (!any && !wanted[operand::t0] && !wanted[operand::y0]) return out;
    Arrays in(x.begin(), x.end());
    in.push_back(*ct[0]);
    const Arrays g =
        hesse::apply(make_op<CvodeAdjointOp>(without_effects(field().graph()), options(), want), in);
    if (wanted[operand::y0]) out[operand::y0] = g[0];
    if (wanted[operand::t0])
      out[operand::t0] = negative(sum(g[0] * slope(*this, x[operand::t0], x[operand::y0], x)));
    for (size_t j = 0, k = 1; j < want.size(); ++j)
      if (want[j]) out[operand::p + j] = g[k++];
    return out;
  }
  // Where f is linear in y and in the p marked, jointly, the solution is in y0 and these.
  bool is_linear_in(const std::vector<bool>& marked) const override {
    for (size_t i = 0; i < operand::p; ++i)
      if (marked[i] && i != operand::y0) return false;
    std::vector<bool> of{false, true};
    of.insert(of.end(), marked.begin() + operand::p, marked.end());
    return is_linear(*field().graph(), of);
  }
  bool reads_output(int k) const override { return k == 0; }
};

const bool registered =
    (register_ops(
         {{"cvode", [](const ReadParams& p) { return make_op<CvodeOp>(p["field"], read_options(p)); }},
          {"cvode_adjoint",
           [](const ReadParams& p) {
             const Dims wanted = p["wanted"];
             return make_op<CvodeAdjointOp>(p["field"], read_options(p),
                                            Wanted(wanted.begin(), wanted.end()));
           }}}),
     true);

}  // namespace

OpRef cvode_op(Ref<const Graph> field, const CvodeOptions& options) {
  return make_op<CvodeOp>(std::move(field), options);
}

Solution cvode_steps(const Ref<const Graph>& field, const CvodeOptions& options, const Arrays& operands,
                     const Array& t1) {
  const FlatField flat(field);
  const Numbers in(flat, options, operands);
  std::vector<double> t, y;
  Report r;
  r.status = in.status;
  r.t = in.t0;
  if (in.status == IvpStatus::Success)
    r = integrate_steps(in.problem(flat, std::span<const Array>(operands).subspan(operand::p)),
                        t1.item<double>(), [&](double at, const double* state) {
                          t.push_back(at);
                          y.insert(y.end(), state, state + flat.size());
                        });
  {
    const FailureScope failures;
    report(r, options, "");
    failures.raise_if_failed();
  }
  const auto n = static_cast<int64_t>(t.size());
  Solution out;
  out.t = vector_of(t, {n});
  out.y = {vector_of(y, {n, flat.size()})};
  out.status = whole(static_cast<int64_t>(r.status));
  out.accepted = whole(r.accepted);
  out.rejected = whole(r.rejected);
  out.evaluations = whole(r.evaluations);
  out.factorisations = whole(r.factorisations);
  out.t_last = scalar(r.t);
  out.h_last = scalar(r.h);
  return out;
}

}  // namespace hesse::solvers::sundials
