#include "solvers/sundials/cvode_op.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
    constexpr int64_t kLargestDense = 500;
    settings.krylov = options.linear_solver == "krylov" ||
                      (options.linear_solver == "auto" && field.size() > kLargestDense);
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

 protected:
  const FlatField& field() const { return field_; }
  const CvodeOptions& options() const { return options_; }
  size_t num_parameters() const { return static_cast<size_t>(field_.graph()->num_inputs()) - 2; }
  size_t num_operands() const { return operand::p + num_parameters(); }
  void check_operands(std::span<const Aval> x) const {
    require(x.size() >= num_operands() && x[operand::y0].shape == Shape{field_.size()} &&
                x[operand::times].shape.size() == 1,
            name(), ": the operands do not fit the field");
  }

 private:
  FlatField field_;
  CvodeOptions options_;
};

CvodeOptions read_options(const ReadParams& p) {
  return {p["method"], p["linear_solver"], p["max_steps"], p["raise"], p["sizes"]};
}

class CvodeOp final : public CvodeBase {
 public:
  CvodeOp(Ref<const Graph> field, const CvodeOptions& options) : CvodeBase(std::move(field), options) {}
  std::string_view name() const override { return "cvode"; }
  Avals infer(std::span<const Aval> x) const override {
    check_operands(x);
    const Aval count{{}, kInt64}, time{{}, kFloat64};
    return {{{x[operand::times].shape[0], field().size()}, kFloat64}, count, count, count, count, time, time};
  }
  Arrays eval(std::span<const Array> x) const override {
    const Numbers in(field(), options(), x);
    const size_t n = static_cast<size_t>(field().size());
    std::vector<double> y(in.times.size() * n, std::numeric_limits<double>::quiet_NaN());
    Report r;
    r.status = in.status;
    r.t = in.t0;
    auto row = y.begin();
    if (in.status == IvpStatus::Success)
      r = integrate(in.problem(field(), x.subspan(operand::p, num_parameters())), in.times,
                    [&](double, const double* at) { row = std::copy_n(at, n, row); });
    report(r, options(), "");
    return {vector_of(y, {static_cast<int64_t>(in.times.size()), field().size()}),
            whole(static_cast<int64_t>(r.status)),
            whole(r.accepted),
            whole(r.rejected),
            whole(r.evaluations),
            scalar(r.t),
            scalar(r.h)};
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray>) const override {
    return MaybeArrays(y.size());
  }
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
};

const bool registered =
    (register_ops({{"cvode",
                    [](const ReadParams& p) { return make_op<CvodeOp>(p["field"], read_options(p)); }}}),
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
  out.t_last = scalar(r.t);
  out.h_last = scalar(r.h);
  return out;
}

}  // namespace hesse::solvers::sundials
