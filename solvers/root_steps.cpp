#include "solvers/root_steps.h"

#include <array>

#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse::solvers {
namespace {

/// v + t d with the first t = 1, ... for which |f| is (1 - t/10^4) of what it was, or that is within the
/// tolerances.
RootIterate newton_step(const VectorFn& f, const Tolerances& tolerances, const RootIterate& s) {
  const auto [minus_d, singular] = solve_or_singular(dense_jacobian(f, s.v), s.f);
  const Array d = -minus_d, before = norm2(s.f), solved = equal(before, 0.0);
  const Array small = tolerances.measure(d, s.v) <= 1.0, known = all(isfinite(d));
  const Array searches = logical_and(logical_and(logical_not(singular), known), logical_not(solved));
  constexpr double kShortest = 1e-10;
  // carry: t, v + t d, f there, found, evaluations, |f|
  const Arrays last = while_loop(
      [&](std::span<const Array> c) {
        return Arrays{logical_and(logical_and(searches, logical_not(c[3])), c[0] > kShortest)};
      },
      [&](std::span<const Array> c) {
        const Array &t = c[0], v = s.v + t * d, fv = f(v), after = norm2(fv);
        const Array ratio = after / before, finite = isfinite(ratio);
        const Array found = logical_and(finite, logical_or(ratio <= 1.0 - 1e-4 * t, small));
        // The minimum of the parabola through |f|^2 and its slope at 0, and |f|^2 at t.
        const Array factor =
            where(finite, clip(t / (square(ratio) - 1.0 + 2.0 * t), Array(0.1), Array(0.5)), 0.1);
        return Arrays{where(found, t, t * factor), v, fv, found, c[4] + int64_t{1}, after};
      },
      {ones({}, s.v.dtype()), s.v, s.f, Array::from<bool>(std::array{false}, {}), s.evaluations, before});
  const Array &found = last[3], better = logical_and(found, last[5] <= before);
  RootIterate next = s;
  next.v = where(better, last[1], s.v);
  next.f = where(better, last[2], s.f);
  next.steps = s.steps + int64_t{1};
  next.evaluations = last[4];
  const Array failure = where(
      logical_not(known), code(SolveStatus::NotFinite),
      where(singular, code(SolveStatus::Singular), where(found, kRunning, code(SolveStatus::NoProgress))));
  next.status = where(logical_or(solved, logical_and(found, small)), code(SolveStatus::Success), failure);
  return next;
}

/// Repeats a step while it is to go on.
Arrays repeated(const Fn& step, const Arrays& carry, int64_t max_steps) {
  return while_loop(
      [&](std::span<const Array> c) {
        const RootIterate s = RootIterate::unpack(c);
        return Arrays{logical_and(equal(s.status, kRunning), s.steps < max_steps)};
      },
      step, carry);
}

}  // namespace

RootIterate newton(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                   const RootOptions& options) {
  return RootIterate::unpack(repeated(
      [&](std::span<const Array> c) { return newton_step(f, tolerances, RootIterate::unpack(c)).pack(); },
      start.pack(), options.max_steps));
}

// With r = -f:  v_{k+1} = v_k + r_k - (dV + dR)^T gamma,  gamma = argmin |r_k - dR^T gamma|,
// where the rows of dV and dR [m, n] are the last m differences of v and r.
RootIterate anderson(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                     const RootOptions& options) {
  const int64_t n = start.v.size(), m = options.history;
  const DType dtype = start.v.dtype();
  // Rows of unit length, and a trace of the identity: what is nearly dependent has no say.
  const double ridge = dtype == kFloat32 ? 1e-6 : 1e-12;
  Arrays carry = start.pack();
  if (m > 0)
    for (int k = 0; k < 2; ++k) carry.push_back(zeros({m, n}, dtype));
  const auto advance = [&](std::span<const Array> c) {
    const RootIterate s = RootIterate::unpack(c);
    const Array r = -s.f;
    Array v = s.v + r;
    if (m > 0) {
      const Array &dv = c[RootIterate::kSize], &dr = c[RootIterate::kSize + 1];
      const Array lengths = sqrt(sum(square(dr), Axes{1}));
      const Array unit = dr / expand_dims(where(equal(lengths, 0.0), ones_like(lengths), lengths), {1});
      const Array gram = matmul(unit, matrix_transpose(unit));
      const Array weights = where(equal(lengths, 0.0), ones_like(lengths), zeros_like(lengths)) + ridge;
      const auto [gamma, singular] = solve_or_singular(gram + diag(weights), matmul(unit, r));
      const Array scaled = gamma / where(equal(lengths, 0.0), ones_like(lengths), lengths);
      const Array correction = matmul(scaled, dv + dr);
      v = v - where(all(isfinite(correction)), correction, zeros_like(correction));
    }
    RootIterate next{v, f(v), s.steps + int64_t{1}, s.evaluations + int64_t{1}, {}};
    const Array converged = tolerances.measure(next.f, next.v) <= 1.0;
    next.status = where(converged, code(SolveStatus::Success),
                        where(all(isfinite(next.f)), kRunning, code(SolveStatus::NotFinite)));
    Arrays out = next.pack();
    if (m > 0) {
      const auto pushed = [&](const Array& rows, const Array& row) {
        return concatenate({slice(rows, {1, 0}, {m, n}, {1, 1}), expand_dims(row, {0})});
      };
      out.push_back(pushed(c[RootIterate::kSize], next.v - s.v));
      out.push_back(pushed(c[RootIterate::kSize + 1], s.f - next.f));
    }
    return out;
  };
  return RootIterate::unpack(repeated(advance, carry, options.max_steps));
}

// (1/h - J) d = f; the step h grows by 3/2 where f stays what it is, and as f falls. A step is taken back
// where f grows tenfold. In the end d is Newton's step, much less than the h f of an explicit method.
RootIterate transient(const VectorFn& f, const Tolerances& tolerances, const RootIterate& start,
                      const RootOptions& options) {
  // At first a tenth of the shortest time scale.
  const Array length = norm2(start.f), rates = norm2(flatten(dense_jacobian(f, start.v)));
  const auto inverse = [](const Array& x) { return ones_like(x) / where(equal(x, 0.0), ones_like(x), x); };
  const Array slow = 0.1 * (1.0 + norm2(start.v)) * inverse(length);
  const Array first = where(equal(rates, 0.0), slow, minimum(slow, 0.1 * inverse(rates)));
  Arrays carry = start.pack();
  carry.push_back(first);
  const Arrays out = repeated(
      [&](std::span<const Array> c) {
        const RootIterate s = RootIterate::unpack(c);
        const Array &h = c[RootIterate::kSize], before = norm2(s.f);
        const Array identity = eye(s.v.size(), {}, 0, s.v.dtype());
        const auto [d, singular] = solve_or_singular(identity / h - dense_jacobian(f, s.v), s.f);
        const Array v = s.v + d, fv = f(v), after = norm2(fv), known = all(isfinite(d));
        const Array taken = logical_and(logical_not(singular), after <= 10.0 * before);
        const Array settled = logical_and(norm2(d) <= 0.1 * h * before, tolerances.measure(d, s.v) <= 1.0);
        const Array factor =
            where(equal(after, 0.0), 10.0, clip(1.5 * before / after, Array(0.2), Array(10.0)));
        RootIterate next = s;
        next.v = where(taken, v, s.v);
        next.f = where(taken, fv, s.f);
        next.steps = s.steps + int64_t{1};
        next.evaluations = s.evaluations + int64_t{1};
        const Array h_next = where(taken, h * factor, 0.2 * h);
        const Array trouble = where(known, where(h_next > 0.0, kRunning, code(SolveStatus::NoProgress)),
                                    code(SolveStatus::NotFinite));
        next.status = where(logical_or(equal(before, 0.0), logical_and(taken, settled)),
                            code(SolveStatus::Success), trouble);
        Arrays packed = next.pack();
        packed.push_back(h_next);
        return packed;
      },
      carry, options.max_steps);
  return RootIterate::unpack(out);
}

}  // namespace hesse::solvers
