#include "solvers/sde.h"

#include <algorithm>
#include <cmath>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "solvers/outcome.h"
#include "solvers/sde_method.h"
#include "solvers/spans.h"

namespace hesse::solvers {
namespace {

/// y where the solution is finite. Inputs: y, status, and the first time of output at which it is not.
class SdeCompleted final : public Completed {
 public:
  std::string_view name() const override { return "sde_completed"; }

 private:
  std::string_view function() const override { return "solve_sde"; }
  std::string reason(std::span<const Array> x) const override {
    if (x[1].item<int64_t>() == static_cast<int64_t>(IvpStatus::BadTimes))
      return "the span does not ascend, or t_eval does not ascend within it";
    return concat("the solution is NaN or infinite at t = ", x[2].item<double>(),
                  ": take smaller steps, or look at the drift and the diffusion there");
  }
};

const bool registered = (register_ops({listed<SdeCompleted>()}), true);

Array time_of(const Array& t, const char* name) { return stop_gradient(real_scalar("solve_sde", t, name)); }

/// The times of output and, `per_output` for each of them, of the steps that lead there.
struct Grid {
  Array out;    ///< [n]
  Array steps;  ///< [n per_output + 1]: both ends of every step
  Array sizes;  ///< [n]: of the steps to each time of output
  Array valid;  ///< a bool scalar
  int64_t per_output;
};

Grid make_grid(const Array& t0, const Array& t1, const SdeOptions& options) {
  const int64_t k = options.num_steps;
  const auto fractions = [](int64_t n) {
    return arange(0, static_cast<double>(n), 1, kFloat64) / static_cast<double>(n);
  };
  if (!options.t_eval) {
    const Array inner = t0 + (t1 - t0) * fractions(k), all = concatenate({inner, reshape(t1, {1})});
    return {all, all, broadcast_to((t1 - t0) / static_cast<double>(k), {k}), t1 > t0, 1};
  }
  const Array& given = *options.t_eval;
  require(given.ndim() == 1 && given.size() > 0, "solve_sde: t_eval has shape ", given.shape(),
          ", expected one axis with at least one time");
  const Array out = stop_gradient(real_times("solve_sde", given));
  const int64_t n = out.size();
  const Array first = reshape(t0, {1});
  const Array from = n == 1 ? first : concatenate({first, getitem(out, {Slice{0, n - 1, {}}})});
  const Array width = out - from;
  const Array inner = reshape(from, {n, 1}) + reshape(width, {n, 1}) * fractions(k);
  const Array last = getitem(out, {Slice{n - 1, n, {}}});
  Array valid = logical_and(t1 > t0, logical_and(all(out >= t0), all(out <= t1)));
  if (n > 1) valid = logical_and(valid, all(diff(out) > 0.0));
  return {out, concatenate({reshape(inner, {n * k}), last}), width / static_cast<double>(k), valid, k};
}

void check_resolution(const Grid& grid, const BrownianPath& path) {
  const Array interval = (path.t1() - path.t0()) * std::ldexp(1.0, -path.levels());
  const Array least = min(where(grid.sizes > 0.0, grid.sizes, INFINITY));
  if (!is_constant(interval) || !is_constant(least)) return;
  require(least.item<double>() >= interval.item<double>() * (1 - 1e-9), "solve_sde: steps of ",
          least.item<double>(), " are shorter than the intervals of ", interval.item<double>(),
          " at which the Brownian path ends: take fewer steps, or a smaller tolerance for the path");
}

SdeSolution solve(const Sde& sde, const Array& t0, const Array& t1, const Arrays& y0,
                  const std::vector<BrownianPath>& paths, const SdeOptions& options) {
  const std::unique_ptr<const SdeMethod> method = make_sde_method(options.method);
  const Grid grid = make_grid(t0, t1, options);
  require(!is_constant(grid.valid) || grid.valid.item<bool>(),
          "solve_sde: t_span must ascend, and t_eval within it");
  const int64_t k = grid.per_output, outputs = grid.sizes.size();
  const size_t n = y0.size();

  // Steps to an output have one row each: their times, their size, the increments of the path.
  Arrays rows{reshape(getitem(grid.steps, {Slice{0, outputs * k, {}}}), {outputs, k}), grid.sizes};
  for (const BrownianPath& path : paths) {
    check_resolution(grid, path);
    Shape shape{outputs, k};
    for (const int64_t m : path.shape()) shape.push_back(m);
    rows.push_back(reshape(diff(path(grid.steps), 1, 0), shape));
  }
  const auto step = [&](std::span<const Array> carry, const Array& t, const Array& h, const Arrays& dw) {
    const Arrays y(carry.begin(), carry.begin() + static_cast<int64_t>(n)),
        kept(carry.begin() + static_cast<int64_t>(n), carry.end());
    auto [next, after] = method->step(sde, t, h, y, kept, dw);
    next.insert(next.end(), after.begin(), after.end());
    return next;
  };
  Arrays start = y0;
  const Arrays kept = method->start(sde, t0, y0);
  start.insert(start.end(), kept.begin(), kept.end());
  const size_t carries = start.size();
  const Arrays all = scan(
      [&](std::span<const Array> x) {
        const Array &t = x[carries], &h = x[carries + 1];
        const std::span<const Array> dw = x.subspan(carries + 2);
        Arrays carry(x.begin(), x.begin() + static_cast<int64_t>(carries));
        if (k == 1) {
          Arrays increments;
          for (const Array& w : dw) increments.push_back(getitem(w, {Index(0)}));
          carry = step(carry, getitem(t, {Index(0)}), h, increments);
        } else {
          Arrays xs{t};
          xs.insert(xs.end(), dw.begin(), dw.end());
          carry = scan(
              [&](std::span<const Array> c) {
                return step(c.first(carries), c[carries], h,
                            {c.begin() + static_cast<int64_t>(carries) + 1, c.end()});
              },
              carry, xs);
        }
        const Arrays y(carry.begin(), carry.begin() + static_cast<int64_t>(n));
        carry.insert(carry.end(), y.begin(), y.end());
        return carry;
      },
      start, rows);

  SdeSolution out{grid.out, {all.begin() + static_cast<int64_t>(carries), all.end()}, Array(int64_t{0})};
  Array finite = broadcast_to(Array(true), {outputs});
  for (size_t i = 0; i < n; ++i) {
    const Array& y = out.y[i];
    if (y.size() > 0) finite = logical_and(finite, hesse::all(reshape(isfinite(y), {outputs, -1}), {{1}}));
    if (!options.t_eval) out.y[i] = concatenate({expand_dims(y0[i], {0}), y});
  }
  const auto code = [](IvpStatus s) { return Array(static_cast<int64_t>(s)); };
  out.status = stop_gradient(
      where(grid.valid, where(hesse::all(finite), code(IvpStatus::Success), code(IvpStatus::NotFinite)),
            code(IvpStatus::BadTimes)));
  if (options.throw_on_failure) {
    const Array ends = options.t_eval ? grid.out : getitem(grid.out, {Slice{1, outputs + 1, {}}});
    const Array when = take(ends, argmin(astype(finite, DType::Int64)));
    for (Array& y : out.y) y = apply1(the<SdeCompleted>(), {y, out.status, stop_gradient(when)});
  }
  return out;
}

Arrays checked_state(const Arrays& y0, const SdeOptions& options) {
  require(!y0.empty(), "solve_sde: y0 holds no arrays");
  require(options.num_steps > 0, "solve_sde: num_steps is ", options.num_steps, ", expected 1 or more");
  Arrays out;
  for (const Array& y : y0) out.push_back(y.is_weak() ? astype(y, y.dtype()) : y);
  return out;
}

}  // namespace

SdeSolution solve_sde(const Rhs& drift, const Rhs& diffusion, const Array& t0_in, const Array& t1_in,
                      const Arrays& y0_in, const Array& key, const SdeOptions& options) {
  const Arrays y0 = checked_state(y0_in, options);
  const Array t0 = time_of(t0_in, "t0"), t1 = time_of(t1_in, "t1");
  require<TypeError>(key.dtype() == DType::Key && key.ndim() == 0, "solve_sde: key is ", describe(key),
                     ", expected one random key; make one with random.key(seed), or map over several");
  const Sde sde(drift, diffusion, y0, options.noise_shape);
  const std::vector<Shape>& shapes = sde.noise_shapes();
  const auto number = static_cast<int64_t>(shapes.size());
  const Arrays keys = number == 1 ? Arrays{key} : unstack(random::split(key, number));
  std::vector<BrownianPath> paths;
  for (size_t i = 0; i < shapes.size(); ++i)
    paths.emplace_back(keys[i], t0, t1, shapes[i], sde.real(), options.tolerance);
  return solve(sde, t0, t1, y0, paths, options);
}

SdeSolution solve_sde(const Rhs& drift, const Rhs& diffusion, const Array& t0_in, const Array& t1_in,
                      const Arrays& y0_in, const BrownianPath& path, const SdeOptions& options) {
  const Arrays y0 = checked_state(y0_in, options);
  const Array t0 = time_of(t0_in, "t0"), t1 = time_of(t1_in, "t1");
  const Sde sde(drift, diffusion, y0, options.noise_shape);
  require(sde.noise_shapes().size() == 1, "solve_sde: a path is one array, and each of the ", y0.size(),
          " arrays of the state has its own noise; give a key");
  require(path.shape() == sde.noise_shapes()[0], "solve_sde: the path has shape ", path.shape(),
          ", the noise ", sde.noise_shapes()[0]);
  if (is_constant(t0) && is_constant(t1) && is_constant(path.t0()) && is_constant(path.t1()))
    require(path.t0().item<double>() <= t0.item<double>() && t1.item<double>() <= path.t1().item<double>(),
            "solve_sde: the path is from ", path.t0().item<double>(), " to ", path.t1().item<double>(),
            ", which does not hold t_span, from ", t0.item<double>(), " to ", t1.item<double>());
  return solve(sde, t0, t1, y0, {path}, options);
}

}  // namespace hesse::solvers
