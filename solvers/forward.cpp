#include "solvers/forward.h"

#include "core/ops.h"
#include "solvers/counts.h"
#include "solvers/flat.h"
#include "solvers/reporter.h"

namespace hesse::solvers {

Solution solve_forward(const SplitRhs& f, const Array& t0, const Array& t1, const Arrays& y0,
                       IvpOptions options) {
  require(options.events.empty(), "solve_ivp: adjoint Forward() takes no events; use Discrete()");
  require(!options.dense_output, "solve_ivp: adjoint Forward() has no dense_output; use Discrete()");
  Arrays in{t0, t1, *options.t_eval};
  append(in, strong(y0));
  options.adjoint = {};
  Solution inside;  // as it is recorded
  Avals avals;
  for (const Array& a : in) avals.push_back(aval(a));
  const Traced solve = trace(
      [&](std::span<const Array> x) {
        options.t_eval = x[2];
        inside = solve_ivp(f, x[0], x[1], Arrays(x.begin() + 3, x.end()), options);
        Arrays all{inside.t};
        append(all, inside.y);
        append(all, facts_of(inside));
        return all;
      },
      avals, true);
  append(in, solve.captures);
  // What was recorded does not see that its operands are examples of a map.
  (void)make_reporter("solve_ivp", options.progress, options.progress_interval, in);
  const Arrays out = by_forward_mode([&](std::span<const Array> x) { return solve.graph->call(x); }, in);
  const size_t n = inside.y.size();
  Solution s;
  s.t = out[0];
  s.y.assign(out.begin() + 1, out.begin() + 1 + static_cast<int64_t>(n));
  put_facts(s, std::span<const Array>(out).subspan(1 + n), inside);
  return s;
}

}  // namespace hesse::solvers
