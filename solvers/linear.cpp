#include "solvers/linear.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "autodiff/autodiff.h"
#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/program/unroll.h"
#include "solvers/lists.h"
#include "solvers/sparse_solve.h"

namespace hesse::solvers {
namespace {

/// The transpose in the first input of a graph (v, captures...) -> [n].
Ref<const Graph> transposed(const Ref<const Graph>& g) {
  std::vector<bool> linear(static_cast<size_t>(g->num_inputs()), false);
  linear[0] = true;
  const Ref<const Graph> t = derivatives().transpose(*g, linear);  // (captures..., cotangent)
  return trace_closed(
      [&](std::span<const Array> x) {
        Arrays in(x.begin() + 1, x.end());
        in.push_back(x[0]);
        return t->call(in);
      },
      g->input_avals());
}

/// x with a x = b by a Krylov method: linear in b by definition, however it is found.
/// Inputs: b [n], rtol, atol, x0 if there is one, captures of a, captures of m. Outputs: x, status, steps,
/// residual.
class LinearSolveOp final : public Op, public Expands {
 public:
  LinearSolveOp(Ref<const Graph> a, Ref<const Graph> m, bool has_guess, KrylovSettings settings)
      : a_(std::move(a)), m_(std::move(m)), guess_(has_guess ? 1 : 0), settings_(std::move(settings)) {}
  std::string_view name() const override { return "linear_solve"; }
  Params params() const override {
    Params p{{"a", a_},
             {"has_guess", guess_ > 0},
             {"function", settings_.function},
             {"method", settings_.method},
             {"max_steps", settings_.max_steps},
             {"restart", settings_.restart},
             {"throws", settings_.throws}};
    if (m_) p.emplace_back("m", m_);
    return p;
  }
  Avals infer(std::span<const Aval> x) const override {
    return {x[0], {{}, kInt64}, {{}, kInt64}, {{}, x[0].dtype}};
  }
  bool has_effect() const override { return has_effects(*a_) || (m_ && has_effects(*m_)); }
  Arrays eval(std::span<const Array> x) const override {
    std::call_once(once_, [&] {
      Avals avals;
      for (const Array& a : x) avals.push_back(aval(a));
      solver_ = trace_closed([this](std::span<const Array> in) { return expanded(in); }, avals);
    });
    return solver_->run(x);
  }
  Arrays expanded(std::span<const Array> x) const override {
    const size_t first = 3 + guess_, num_a = static_cast<size_t>(a_->num_inputs()) - 1;
    const VectorFn a{
        a_, Arrays(x.begin() + static_cast<int64_t>(first), x.begin() + static_cast<int64_t>(first + num_a))};
    const VectorFn m{m_, Arrays(x.begin() + static_cast<int64_t>(first + num_a), x.end())};
    KrylovProblem p{.a = a,
                    .m = {},
                    .b = x[0],
                    .x0 = guess_ > 0 ? x[3] : zeros_like(x[0]),
                    .tolerance = maximum(x[2], x[1] * norm2(x[0])),
                    .max_steps = settings_.max_steps,
                    .restart = settings_.restart};
    if (m_) p.m = m;
    KrylovResult out = krylov(settings_.method, p);
    const Array valid = logical_and(x[1] >= 0.0, x[2] >= 0.0);
    out.status = astype(where(valid, out.status, static_cast<int64_t>(SolveStatus::BadOptions)), kInt64);
    if (settings_.throws) out.x = completed(settings_.function, out.x, out.status, out.steps, out.residual);
    return {out.x, out.status, out.steps, out.residual};
  }

  // a x = b:  a dx = db - da x
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const size_t first = 3 + guess_, num_a = static_cast<size_t>(a_->num_inputs()) - 1;
    std::vector<bool> marked{false};
    Arrays in{y[0]}, tangents;
    for (size_t i = first; i < first + num_a; ++i) {
      marked.push_back(dx[i].has_value());
      in.push_back(x[i]);
      if (dx[i]) tangents.push_back(*dx[i]);
    }
    MaybeArray rhs = dx[0];
    if (!tangents.empty()) {
      in.insert(in.end(), tangents.begin(), tangents.end());
      const DerivedGraph d = derivatives().jvp(*a_, marked, {}, false);
      if (d.present[0]) {
        const Array moved = d.graph->call(in)[0];
        rhs = rhs ? *rhs - moved : -moved;
      }
    }
    MaybeArrays dy(y.size());
    if (rhs) dy[0] = solved(x, *rhs, false);
    return dy;
  }
  // Of b alone: the solution with the transpose. What a is made of follows from the tangents.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    if (std::find(wanted.begin() + 1, wanted.end(), true) != wanted.end()) return std::nullopt;
    MaybeArrays out(x.size());
    if (ct[0]) out[0] = solved(x, *ct[0], true);
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::find(marked.begin() + 1, marked.end(), true) == marked.end();
  }
  bool reads_input(int i) const override { return i != 0; }
  bool reads_output(int k) const override { return k == 0; }

 private:
  // The solution for another right-hand side, from zero.
  Array solved(std::span<const Array> x, const Array& b, bool transpose) const {
    Arrays in{b, x[1], x[2]};
    in.insert(in.end(), x.begin() + 3 + static_cast<int64_t>(guess_), x.end());
    const bool other = transpose && !is_symmetric_method(settings_.method);
    return hesse::apply(make_op<LinearSolveOp>(other ? transposed(a_) : a_, other && m_ ? transposed(m_) : m_,
                                               false, settings_),
                        in)[0];
  }

  Ref<const Graph> a_, m_;
  size_t guess_;
  KrylovSettings settings_;
  mutable std::once_flag once_;
  mutable Ref<const Graph> solver_;
};

const bool registered =
    (register_ops({{"linear_solve",
                    [](const ReadParams& p) {
                      const KrylovSettings settings{p["function"], p["method"], p["max_steps"], p["restart"],
                                                    p["throws"]};
                      return make_op<LinearSolveOp>(
                          p["a"], p.has("m") ? Ref<const Graph>(p["m"]) : Ref<const Graph>(), p["has_guess"],
                          settings);
                    }}}),
     true);

void check(const LinearOptions& options) {
  require(options.method == "auto" || options.method == "lu" || options.method == "cholesky" ||
              options.method == "klu" || is_krylov(options.method),
          "linear_solve: method is \"", options.method,
          "\", expected \"lu\", \"cholesky\", \"klu\", \"cg\", \"minres\", \"bicgstab\" or \"gmres\"");
  require(!options.max_steps || *options.max_steps > 0, "linear_solve: max_steps is ",
          options.max_steps.value_or(0), ", expected 1 or more");
  require(options.restart > 0, "linear_solve: restart is ", options.restart, ", expected 1 or more");
}

Array count(int64_t n) { return Array::from<int64_t>(std::span<const int64_t>(&n, 1), {}); }

// a [n, n], b [n] or [n, k]
LinearSolution direct(const Array& a, const Array& b, const LinearOptions& options) {
  require(!options.preconditioner, "linear_solve: method \"", options.method,
          "\" takes no preconditioner; use \"cg\", \"minres\", \"bicgstab\" or \"gmres\"");
  const auto code = [](SolveStatus s) { return static_cast<int64_t>(s); };
  Array x, status = count(0);
  if (options.method == "cholesky") {
    const Array l = cholesky(a);
    x = triangular_solve(conj(l), triangular_solve(l, b), true, true);
  } else if (options.throw_on_failure) {
    x = solve(a, b);
  } else {
    const Array singular = any(equal(diagonal(lu(stop_gradient(a)).lu), 0.0));
    const Array some = solve(where(singular, eye(a.dim(0), {}, 0, a.dtype()), a), b);
    x = where(singular, nan_of(some.dtype()), some);
    status = where(singular, code(SolveStatus::Singular), status);
  }
  const Array residual = max(abs(stop_gradient(b) - matmul(stop_gradient(a), stop_gradient(x))));
  status = where(logical_and(equal(status, code(SolveStatus::Success)), logical_not(isfinite(residual))),
                 code(SolveStatus::NotFinite), status);
  return {{x}, astype(status, kInt64), count(1), residual};
}

// a sparse: by its sparse factors.
LinearSolution direct(const sparse::CSR& a, const Array& b, const LinearOptions& options) {
  require(!options.preconditioner, "linear_solve: method \"", options.method,
          "\" takes no preconditioner; use \"cg\", \"minres\", \"bicgstab\" or \"gmres\"");
  const auto [x, singular] = sparse_solve(a, b, options.throw_on_failure);
  const auto code = [](SolveStatus s) { return Array(static_cast<int64_t>(s)); };
  const Array residual =
      max(abs(stop_gradient(b) - sparse::matmul(a.with_data(stop_gradient(a.data)), stop_gradient(x))));
  const Array status =
      where(singular, code(SolveStatus::Singular),
            where(isfinite(residual), code(SolveStatus::Success), code(SolveStatus::NotFinite)));
  return {{x}, astype(status, kInt64), count(1), residual};
}

std::pair<Array, Array> promoted(DType a_dtype, const Array& a, const Array& b) {
  DType common = promote(a_dtype, b.dtype());
  if (!is_inexact(common)) common = kFloat64;
  return {astype(a, common), astype(b, common)};
}
void check_shapes(int64_t rows, int64_t cols, const Array& b) {
  require(rows == cols, "linear_solve: a has shape (", rows, ", ", cols, "), expected a square matrix");
  require((b.ndim() == 1 || b.ndim() == 2) && b.dim(0) == rows, "linear_solve: b has shape ", b.shape(),
          ", expected (", rows, ",) or (", rows, ", k), the rows of a");
}

}  // namespace

KrylovResult linear_solve(const VectorFn& a, const VectorFn& m, const Array& b,
                          const std::optional<Array>& x0, const Array& rtol, const Array& atol,
                          const KrylovSettings& settings) {
  Arrays in{b, stop_gradient(astype(rtol, b.dtype())), stop_gradient(astype(atol, b.dtype()))};
  if (x0) in.push_back(stop_gradient(*x0));
  in.insert(in.end(), a.captures.begin(), a.captures.end());
  const VectorFn fixed = m.stopped();
  in.insert(in.end(), fixed.captures.begin(), fixed.captures.end());
  const Arrays out = hesse::apply(make_op<LinearSolveOp>(a.graph, m.graph, x0.has_value(), settings), in);
  return {out[0], stop_gradient(out[1]), stop_gradient(out[2]), stop_gradient(out[3])};
}

namespace {
void refuse_klu(const LinearOptions& options) {
  require(options.method != "klu", "linear_solve: method \"klu\" is for sparse matrices; use \"lu\"");
}
}  // namespace

LinearSolution linear_solve(const Fn& a, const Arrays& b_in, const LinearOptions& options) {
  check(options);
  refuse_klu(options);
  const Arrays b = strong(b_in);
  const Packing packing("linear_solve", "b", b);
  const auto recorded = [&](const char* what, const Fn& f) {
    VectorFn out = record("linear_solve", "b", f, packing, packing);
    std::vector<bool> first(static_cast<size_t>(out.graph->num_inputs()), false);
    first[0] = true;
    require(out.graph->is_linear_in(first), "linear_solve: ", what,
            " is not a linear function; for other equations use root_solve");
    Arrays at{zeros({packing.size()}, packing.dtype())};
    for (const Array& c : out.captures) at.push_back(c.detached());
    if (std::all_of(at.begin(), at.end(), [](const Array& c) { return c.has_data(); })) {
      const double offset = max_abs(out.graph->run(at)[0].detached()).item<double>();
      require(!(offset > 0), "linear_solve: ", what, " of zero is ", offset,
              ", expected zero: a linear function has no constant part, which belongs to b");
    }
    return out;
  };
  const VectorFn map = recorded("a", a);
  const Array rhs = packing.pack(b);
  if (options.method == "lu" || options.method == "cholesky") {
    LinearSolution out = direct(dense_jacobian(map, zeros_like(rhs)), rhs, options);
    return {packing.unpack(out.x[0]), out.status, out.steps, out.residual};
  }
  VectorFn m;
  if (options.preconditioner) m = recorded("the preconditioner", options.preconditioner);
  std::optional<Array> x0;
  if (options.x0) {
    const Arrays guess = strong(*options.x0);
    require(guess.size() == b.size(), "linear_solve: x0 holds ", guess.size(), " arrays, b ", b.size());
    for (size_t i = 0; i < b.size(); ++i)
      require(aval(guess[i]) == aval(b[i]), "linear_solve: array ", i, " of x0 is ", describe(guess[i]),
              ", expected ", describe(b[i]), " as in b");
    x0 = packing.pack(guess);
  }
  const bool single = packing.dtype() == kFloat32;
  const Tolerances checked("linear_solve", options.rtol.value_or(single ? 1e-5 : 1e-8), {options.atol},
                           packing);
  require(options.atol.ndim() == 0, "linear_solve: atol has shape ", options.atol.shape(),
          ", expected a scalar");
  const KrylovResult out = linear_solve(map, m, rhs, x0, checked.rtol(), options.atol,
                                        {.method = options.method == "auto" ? "gmres" : options.method,
                                         .max_steps = options.max_steps.value_or(10 * packing.size()),
                                         .restart = options.restart,
                                         .throws = options.throw_on_failure});
  return {packing.unpack(out.x), out.status, out.steps, out.residual};
}

LinearSolution linear_solve(const Array& a_in, const Array& b_in, const LinearOptions& options) {
  check(options);
  refuse_klu(options);
  require(a_in.ndim() == 2, "linear_solve: a has shape ", a_in.shape(), ", expected a square matrix");
  check_shapes(a_in.dim(0), a_in.dim(1), b_in);
  const auto [a, b] = promoted(a_in.dtype(), a_in, b_in);
  require(b.size() > 0, "linear_solve: b has no entries: its shape is ", b.shape());
  if (is_krylov(options.method))
    return linear_solve([&, &matrix = a](std::span<const Array> x) { return Arrays{matmul(matrix, x[0])}; },
                        {b}, options);
  return direct(a, b, options);
}

LinearSolution linear_solve(const sparse::CSR& a, const Array& b_in, const LinearOptions& options) {
  check(options);
  check_shapes(a.rows(), a.cols(), b_in);
  const auto [data, b] = promoted(a.data.dtype(), a.data, b_in);
  const sparse::CSR matrix = a.with_data(data);
  const bool plain = !options.preconditioner && !options.x0 && !options.rtol && !options.max_steps;
  if (options.method == "klu" ||
      (has_klu() && (options.method == "lu" || (options.method == "auto" && plain)))) {
    require(b.size() > 0, "linear_solve: b has no entries: its shape is ", b.shape());
    return direct(matrix, b, options);
  }
  if (options.method == "lu" || options.method == "cholesky")
    return direct(sparse::todense(matrix), b, options);
  return linear_solve([&](std::span<const Array> x) { return Arrays{sparse::matmul(matrix, x[0])}; }, {b},
                      options);
}

}  // namespace hesse::solvers
