#include "solvers/kinsol.h"

#include "core/node.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"

#ifdef HESSE_HAVE_SUNDIALS
#include "solvers/sundials/kinsol_op.h"
#endif

namespace hesse::solvers {

#ifndef HESSE_HAVE_SUNDIALS

RootIterate kinsol(const VectorFn&, const Tolerances&, const RootIterate&, const RootOptions&) {
  throw ValueError(
      "root_solve: method \"kinsol\" needs SUNDIALS, without which this build was made; build with "
      "-DHESSE_SUNDIALS=ON (Debian: libsundials-dev), or use another method");
}

#else

RootIterate kinsol(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                   const RootOptions& options) {
  const std::string& linear = options.implicit.linear_solver;
  const int64_t n = start.v.size();
  constexpr int64_t kDense = 512;
  const bool krylov = linear == "auto" ? n > kDense : linear != "lu";
  const DType dtype = start.v.dtype();
  // (t, v [n], captures...) -> f(v) [n], of float64; t is not read
  Avals avals{{{}, kFloat64}, {Shape{n}, kFloat64}};
  for (const Array& c : f.captures) avals.push_back(aval(c));
  const Ref<const Graph> graph = trace_closed(
      [&](std::span<const Array> x) {
        return Arrays{astype(f.call(astype(x[1], dtype), x.subspan(2)), kFloat64)};
      },
      avals);
  Arrays in{astype(start.v, kFloat64), astype(tolerances.rtol(), kFloat64),
            broadcast_to(astype(tolerances.atol(), kFloat64), {n}), start.status};
  in.insert(in.end(), f.captures.begin(), f.captures.end());
  const Arrays out = hesse::apply(sundials::kinsol_op(graph, krylov, options.max_steps), in);
  RootIterate last;
  last.v = astype(out[0], dtype);
  last.f = f(last.v);
  last.steps = out[1];
  last.evaluations = out[2] + start.evaluations;
  last.status = out[3];
  return last;
}

#endif

}  // namespace hesse::solvers
