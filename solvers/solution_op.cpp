#include "solvers/solution_op.h"

#include <algorithm>

#include "core/derivatives.h"
#include "core/ops.h"

namespace hesse::solvers {
namespace {
bool any_of(const std::vector<bool>& marked) {
  return std::find(marked.begin(), marked.end(), true) != marked.end();
}
}  // namespace

Array relative_size(const MaybeArray& ds, const Array& state, std::span<const Array> p,
                    std::span<const MaybeArray> dp) {
  const auto largest = [](const Array& x) { return astype(max(abs(stop_gradient(x))), kFloat64); };
  Array out(0.0);
  const auto meet = [&](const Array& value, const Array& tangent) {
    if (value.size() == 0) return;
    const Array size = largest(value);
    out = maximum(out, largest(tangent) / where(greater(size, 0.0), size, 1.0));
  };
  if (ds) meet(state, *ds);
  for (size_t i = 0; i < dp.size(); ++i)
    if (dp[i]) meet(p[i], *dp[i]);
  return astype(where(logical_and(isfinite(out), greater(out, 0.0)), out, 1.0), kFloat64);
}

std::vector<bool> AdjointRules::differentiable(std::vector<bool> marked) const {
  for (size_t i = 0; i < marked.size(); ++i)
    if (!equation_.is_differentiable(i)) marked[i] = false;
  return marked;
}

std::vector<bool> AdjointRules::differentiable(std::span<const MaybeArray> dx) const {
  std::vector<bool> marked;
  for (const MaybeArray& d : dx) marked.push_back(d.has_value());
  return differentiable(std::move(marked));
}

// The tangent of y as a graph: the operands, then their tangents where marked -> [n, N].
Ref<const Graph> AdjointRules::tangent_graph(std::span<const Array> x,
                                             const std::vector<bool>& marked) const {
  const size_t m = x.size();
  Avals avals;
  for (const Array& a : x) avals.push_back(aval(a));
  for (size_t i = 0; i < m; ++i)
    if (marked[i]) avals.push_back(aval(x[i]));
  return trace_closed(
      [&](std::span<const Array> in) {
        MaybeArrays dx(m);
        for (size_t i = 0, j = m; i < m; ++i)
          if (marked[i]) dx[i] = in[j++];
        return Arrays{*equation_.solution_tangent(in.first(m), {}, dx)};
      },
      avals);
}

// The gradient of <c, the tangent of y in the direction dx> with respect to the operands wanted.
MaybeArrays AdjointRules::gradient_of_tangent(std::span<const Array> x, std::span<const MaybeArray> dx,
                                              const std::vector<bool>& marked,
                                              const std::vector<bool>& want) const {
  const size_t m = equation_.num_operands();
  const Ref<const Graph> tangent = tangent_graph(x.first(m), marked);
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

// A is linear in c; and the derivative of J^T c in a direction (dtheta, dt) is the gradient with respect to
// theta of <c, J dtheta + y_t dt>, of the tangent of y: its adjoint.
MaybeArrays AdjointRules::jvp(const Op& op, std::span<const Array> x, std::span<const MaybeArray> dx) const {
  const size_t m = equation_.num_operands();
  MaybeArrays dy(static_cast<size_t>(std::count(theta_.begin(), theta_.end(), true)));
  if (dx[m]) {
    Arrays in(x.begin(), x.end());
    in[m] = *dx[m];
    const Arrays out = hesse::apply(OpRef(&op), in);
    std::copy(out.begin(), out.end(), dy.begin());
  }
  const std::vector<bool> marked = differentiable(dx.first(m));
  if (!any_of(marked)) return dy;
  const MaybeArrays g = gradient_of_tangent(x, dx.first(m), marked, theta_);
  for (size_t i = 0, k = 0; i < m; ++i)
    if (theta_[i]) {
      dy[k] = dy[k] ? *dy[k] + *g[i] : *g[i];
      ++k;
    }
  return dy;
}

// <u, A> = <c, J u>: the cotangent of c is the tangent of y in the direction u, those of theta and t are its
// gradient again.
MaybeArrays AdjointRules::vjp(std::span<const Array> x, std::span<const MaybeArray> ct,
                              const std::vector<bool>& wanted) const {
  const size_t m = equation_.num_operands();
  MaybeArrays u(m);
  for (size_t i = 0, k = 0; i < m; ++i)
    if (theta_[i]) u[i] = ct[k++];
  const std::vector<bool> marked = differentiable(u);
  MaybeArrays out(x.size());
  if (!any_of(marked)) return out;
  if (wanted[m]) out[m] = equation_.solution_tangent(x.first(m), {}, u);
  const std::vector<bool> want =
      differentiable(std::vector<bool>(wanted.begin(), wanted.begin() + static_cast<int64_t>(m)));
  if (!any_of(want)) return out;
  const MaybeArrays g = gradient_of_tangent(x, u, marked, want);
  std::copy(g.begin(), g.end(), out.begin());
  return out;
}

}  // namespace hesse::solvers
