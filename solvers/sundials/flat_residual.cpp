#include "solvers/sundials/flat_residual.h"

#include "core/derivatives.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/linear.h"

namespace hesse::solvers::sundials {
namespace {

constexpr int64_t kLargestDense = 500;  // beyond, K^T is solved by products alone

// (t, y, y', p..., dy, dy') -> F_y dy + F_y' dy'
Ref<const Graph> tangent_of(const Graph& f) {
  std::vector<bool> marked(static_cast<size_t>(f.num_inputs()), false);
  marked[1] = marked[2] = true;
  return derivatives().jvp(f, marked, {true}, false).graph;
}

// (t, y, y', p..., lambda) -> (F_y^T lambda, F_y'^T lambda)
Ref<const Graph> transposed_of(const Graph& f) {
  std::vector<bool> wanted(static_cast<size_t>(f.num_inputs()), false);
  wanted[1] = wanted[2] = true;
  return derivatives().vjp(f, {true}, wanted, wanted).graph;
}

Arrays call_with(const Ref<const Graph>& g, std::span<const Array> x, const Arrays& more) {
  Arrays in(x.begin(), x.end());
  in.insert(in.end(), more.begin(), more.end());
  return g->call(in);
}

Avals with(Avals avals, const Avals& more) {
  avals.insert(avals.end(), more.begin(), more.end());
  return avals;
}

Aval vector(int64_t n) { return {Shape{n}, kFloat64}; }
const Aval kNumber{{}, kFloat64};

// Row j: g(x..., e_j), g's last input a vector of n.
Array by_rows(const Ref<const Graph>& g, int64_t n, std::span<const Array> x) {
  Arrays in(x.begin(), x.end());
  std::vector<Access> access(in.size(), Access::uniform());
  in.push_back(eye(n, {}, 0, kFloat64));
  access.push_back(Access::each());
  return map(g, n, in, access, {Result::each()})[0];
}

}  // namespace

FlatResidual::FlatResidual(Ref<const Graph> graph, std::vector<bool> wanted)
    : graph_(std::move(graph)),
      silent_(without_effects(graph_)),
      parameters_(std::span<const Aval>(graph_->input_avals()).subspan(3), std::move(wanted)),
      size_(graph_->output_aval(0).shape[0]) {}

Avals FlatResidual::with_differential() const { return with(graph_->input_avals(), {vector(size_)}); }

const Graph& FlatResidual::residual() const {
  return residual_.get([&] { return graph_; });
}

Ref<const Graph> FlatResidual::product_graph() const {
  const Ref<const Graph> tangent = tangent_of(*silent_);
  return trace_closed(
      [&](std::span<const Array> x) {
        const Array &c = x[x.size() - 2], &v = x.back();
        return call_with(tangent, x.first(x.size() - 2), {v, c * v});
      },
      with(graph_->input_avals(), {kNumber, vector(size_)}));
}

const Graph* FlatResidual::product() const {
  return product_.get_if_derivable([&] { return product_graph(); });
}

const Graph* FlatResidual::jacobian() const {
  return jacobian_.get_if_derivable([&] {
    const Ref<const Graph> one = product_graph();
    return trace_closed([&](std::span<const Array> x) { return Arrays{by_rows(one, size_, x)}; },
                        with(graph_->input_avals(), {kNumber}));
  });
}

Ref<const Graph> FlatResidual::adjoint_graph() const {
  const Ref<const Graph> transposed = transposed_of(*silent_);
  const int64_t n = size_;
  return trace_closed(
      [&](std::span<const Array> x) {
        const std::span<const Array> primal = x.first(x.size() - 3);
        const Array differential = equal(x[x.size() - 3], 1.0), &z = x[x.size() - 2], &dz = x.back();
        const Array mu = slice(z, {0}, {n}, {1}), lambda = slice(z, {n}, {2 * n}, {1});
        const Array dmu = slice(dz, {0}, {n}, {1});
        const Arrays by = call_with(transposed, primal, {lambda});
        return Arrays{
            concatenate({where(differential, dmu - by[0], mu), where(differential, by[1] - mu, by[0])})};
      },
      with(with_differential(), {vector(2 * n), vector(2 * n)}));
}

Ref<const Graph> FlatResidual::adjoint_product_graph() const {
  const Ref<const Graph> residual = adjoint_graph();
  return trace_closed(
      [&](std::span<const Array> x) {
        const Array &c = x[x.size() - 2], &v = x.back();
        return call_with(residual, x.first(x.size() - 2), {v, c * v});
      },
      with(with_differential(), {kNumber, vector(2 * size_)}));
}

const Graph& FlatResidual::adjoint() const {
  return adjoint_.get([&] { return adjoint_graph(); });
}

const Graph& FlatResidual::adjoint_product() const {
  return adjoint_product_.get([&] { return adjoint_product_graph(); });
}

const Graph& FlatResidual::adjoint_jacobian() const {
  return adjoint_jacobian_.get([&] {
    const Ref<const Graph> one = adjoint_product_graph();
    return trace_closed([&](std::span<const Array> x) { return Arrays{by_rows(one, 2 * size_, x)}; },
                        with(with_differential(), {kNumber}));
  });
}

const Graph& FlatResidual::parameter_product() const {
  return parameter_product_.get([&] {
    std::vector<bool> wanted{false, false, false};
    wanted.insert(wanted.end(), parameters_.wanted().begin(), parameters_.wanted().end());
    const DerivedGraph d = derivatives().vjp(*silent_, {true}, wanted, wanted);
    return trace_closed(
        [&](std::span<const Array> x) { return Arrays{negative(FlatParameters::numbers(d.graph->call(x)))}; },
        d.graph->input_avals());
  });
}

const Graph& FlatResidual::start() const {
  return start_.get([&] {
    const Ref<const Graph> transposed = transposed_of(*silent_);
    const int64_t n = size_;
    // (primal..., differential, v) -> K^T v
    const Ref<const Graph> k = trace_closed(
        [&](std::span<const Array> x) {
          const Arrays by = call_with(transposed, x.first(x.size() - 2), {x.back()});
          return Arrays{where(equal(x[x.size() - 2], 1.0), by[1], by[0])};
        },
        with(with_differential(), {vector(n)}));
    return trace_closed(
        [&](std::span<const Array> x) {
          const std::span<const Array> primal = x.first(x.size() - 3), at = x.first(x.size() - 2);
          const Array differential = equal(x[x.size() - 3], 1.0), &c = x[x.size() - 2];
          const Array none = zeros_like(c);
          std::optional<Array> matrix;
          // row j of by_rows: K^T e_j
          if (n <= kLargestDense) matrix = matrix_transpose(by_rows(k, n, at));
          const auto solved = [&](const Array& b) {
            if (matrix) return solve(*matrix, b);
            const Fn apply = [&](std::span<const Array> v) { return call_with(k, at, {v[0]}); };
            return linear_solve(apply, {b}, {.method = "gmres", .rtol = Array(1e-10)}).x[0];
          };
          const Array nu = solved(where(differential, none, c));
          const Array step = c - call_with(transposed, primal, {nu})[0];
          const Array mu = where(differential, x.back() + step, none);
          const Array lambda = solved(mu);
          const Array dmu = where(differential, call_with(transposed, primal, {lambda})[0], none);
          return Arrays{concatenate({mu, lambda}), concatenate({dmu, none}), nu};
        },
        with(with_differential(), {vector(n), vector(n)}));
  });
}

}  // namespace hesse::solvers::sundials
