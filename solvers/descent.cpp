#include "solvers/descent.h"

#include <array>
#include <limits>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse::solvers {
namespace {

Array boolean(bool b) { return Array::from<bool>(std::array{b}, {}); }
Array real(double value, const Array& like) { return full({}, astype(Array(value), like.dtype())); }
/// x / y, or 0 where y is 0.
Array quotient(const Array& x, const Array& y) {
  const Array none = equal(y, 0.0);
  return where(none, zeros_like(x), x / where(none, ones_like(y), y));
}
double epsilon(const Array& like) {
  return like.dtype() == kFloat32 ? std::numeric_limits<float>::epsilon()
                                  : std::numeric_limits<double>::epsilon();
}
Arrays repeated(const Fn& step, const Arrays& carry, int64_t max_steps) {
  return while_loop(
      [&](std::span<const Array> c) {
        const Descent s = Descent::unpack(c);
        return Arrays{logical_and(equal(s.status, kRunning), s.steps < max_steps)};
      },
      step, carry);
}

/// d with |H d + g| <= tolerance |g| by conjugate gradients, or where the curvature is negative, or at the
/// border of the region |d| <= radius: there what lies on it (Steihaug 1983). Without a region negative
/// curvature ends the iteration where it is, at first at -g.
Array truncated_cg(const LinearFn& hessian, const Array& g, const std::optional<Array>& radius) {
  const Array length = norm2(g), tolerance = minimum(real(0.5, g), sqrt(length)) * length;
  const int64_t most = 2 * g.size() + 10;
  // carry: d, residual, direction, residual^2, done, steps
  const Arrays out = while_loop(
      [&](std::span<const Array> c) { return Arrays{logical_and(logical_not(c[4]), c[5] < most)}; },
      [&](std::span<const Array> c) {
        const Array &d = c[0], &r = c[1], &p = c[2], &rr = c[3];
        const MaybeArray product = hessian({p})[0];
        const Array hp = product ? *product : zeros_like(p), curvature = dot(p, hp);
        const Array concave = logical_not(curvature > 0.0), alpha = quotient(rr, curvature);
        Array d_next = d + where(concave, zeros_like(alpha), alpha) * p, stops = concave;
        if (radius) {
          const Array outside = logical_or(concave, norm2(d_next) >= *radius);
          // |d + tau p| = radius, tau >= 0
          const Array pp = dot(p, p), dp = dot(d, p),
                      room = maximum(square(*radius) - dot(d, d), real(0.0, g));
          const Array tau = quotient(room, dp + sqrt(square(dp) + pp * room));
          d_next = where(outside, d + tau * p, d_next);
          stops = outside;
        } else {
          d_next = where(logical_and(concave, equal(c[5], 0)), p, d_next);
        }
        const Array r_next = r + alpha * hp, rr_next = dot(r_next, r_next);
        const Array done = logical_or(stops, logical_not(sqrt(rr_next) > tolerance));
        return Arrays{d_next, r_next, quotient(rr_next, rr) * p - r_next, rr_next, done, c[5] + int64_t{1}};
      },
      {zeros_like(g), g, -g, dot(g, g), equal(length, 0.0), scalar(0)});
  return out[0];
}

/// A direction, and what it is made from. `memory`: what the loop carries of it.
class Directions {
 public:
  virtual ~Directions() = default;
  virtual Arrays start(const Descent& from) const = 0;
  virtual Array direction(const Descent& at, std::span<const Array> memory) const = 0;
  /// After a step s with the change y of the gradient.
  virtual Arrays next(std::span<const Array> memory, const Array& s, const Array& y) const = 0;
};

// H' = (1 - rho s y^T) H (1 - rho y s^T) + rho s s^T, rho = 1 / s.y; pairs of no positive curvature are left
// out. The first H is a multiple of the identity: s.y / y.y.
class Bfgs final : public Directions {
 public:
  Arrays start(const Descent& from) const override {
    return {eye(from.v.size(), {}, 0, from.v.dtype()), boolean(true)};
  }
  Array direction(const Descent& at, std::span<const Array> memory) const override {
    return -matmul(memory[0], at.g);
  }
  Arrays next(std::span<const Array> memory, const Array& s, const Array& y) const override {
    const Array sy = dot(s, y), useful = sy > epsilon(s) * norm2(s) * norm2(y);
    const Array h = memory[0] * where(logical_and(memory[1], useful), quotient(sy, dot(y, y)), ones_like(sy));
    const Array rho = where(useful, quotient(ones_like(sy), sy), zeros_like(sy)), hy = matmul(h, y);
    const Array cross = outer(s, hy);
    const Array updated =
        h - rho * (cross + matrix_transpose(cross)) + rho * (ones_like(sy) + rho * dot(y, hy)) * outer(s, s);
    return {where(useful, updated, memory[0]), logical_and(memory[1], logical_not(useful))};
  }
};

// The two-loop recursion over the rows of S and Y, the newest last; rows of zeros have no part.
class LimitedBfgs final : public Directions {
 public:
  explicit LimitedBfgs(int64_t history) : m_(history) {}
  Arrays start(const Descent& from) const override {
    const Array rows = zeros({m_, from.v.size()}, from.v.dtype());
    return {rows, rows};
  }
  Array direction(const Descent& at, std::span<const Array> memory) const override {
    const auto row = [](const Array& rows, int64_t i) { return getitem(rows, {Index(i)}); };
    const auto m = static_cast<size_t>(m_);
    std::vector<Array> alpha(m), rho(m);
    Array d = -at.g;
    for (int64_t i = m_; i-- > 0;) {
      const Array s = row(memory[0], i), y = row(memory[1], i), sy = dot(s, y);
      rho[static_cast<size_t>(i)] = quotient(ones_like(sy), sy);
      alpha[static_cast<size_t>(i)] = rho[static_cast<size_t>(i)] * dot(s, d);
      d = d - alpha[static_cast<size_t>(i)] * y;
    }
    const Array s = row(memory[0], m_ - 1), y = row(memory[1], m_ - 1), yy = dot(y, y);
    d = d * where(equal(yy, 0.0), ones_like(yy), quotient(dot(s, y), yy));
    for (int64_t i = 0; i < m_; ++i)
      d = d + (alpha[static_cast<size_t>(i)] - rho[static_cast<size_t>(i)] * dot(row(memory[1], i), d)) *
                  row(memory[0], i);
    return d;
  }
  Arrays next(std::span<const Array> memory, const Array& s, const Array& y) const override {
    const Array useful = dot(s, y) > epsilon(s) * norm2(s) * norm2(y);
    const auto pushed = [&](const Array& rows, const Array& last) {
      const int64_t n = last.size();
      return where(useful, concatenate({slice(rows, {1, 0}, {m_, n}, {1, 1}), expand_dims(last, {0})}), rows);
    };
    return {pushed(memory[0], s), pushed(memory[1], y)};
  }

 private:
  int64_t m_;
};

class NewtonCg final : public Directions {
 public:
  explicit NewtonCg(const Objective& objective) : objective_(objective) {}
  Arrays start(const Descent&) const override { return {}; }
  Array direction(const Descent& at, std::span<const Array>) const override {
    const LinearFn hessian =
        linearise([&](std::span<const Array> v) { return Arrays{objective_.gradient(v[0])}; }, {at.v}).second;
    return truncated_cg(hessian, at.g, {});
  }
  Arrays next(std::span<const Array>, const Array&, const Array&) const override { return {}; }

 private:
  const Objective& objective_;
};

/// A step t d with f(t) <= f + t f'/10^4 and f'(t) >= 0.9 f', where f' is the slope: by bisection, or
/// doubling while the minimum lies further away. Near a minimum f is known to its rounding alone.
struct LineSearch {
  Array v, f, g, evaluations, found;
};
LineSearch search(const Objective& objective, const Descent& s, const Array& d, const Array& slope,
                  const Array& first) {
  constexpr int64_t kMost = 50;
  const Array slack = 10 * epsilon(s.v) * abs(s.f),
              infinite = real(std::numeric_limits<double>::infinity(), s.v);
  // carry: t, low, high, found, tries, v, f, g
  const Arrays out = while_loop(
      [&](std::span<const Array> c) {
        return Arrays{logical_and(slope < 0.0, logical_and(logical_not(c[3]), c[4] < kMost))};
      },
      [&](std::span<const Array> c) {
        const Array &t = c[0], v = s.v + t * d;
        const auto [f, g] = objective.value_and_gradient(v);
        const Array finite = logical_and(isfinite(f), all(isfinite(g)));
        const Array lower = logical_and(finite, f <= s.f + 1e-4 * t * slope + slack);
        const Array flat = dot(g, d) >= 0.9 * slope, found = logical_and(lower, flat);
        const Array low = where(logical_and(lower, logical_not(flat)), t, c[1]), high = where(lower, c[2], t);
        const Array next =
            where(isfinite(high), where(finite, 0.5 * (high - low), 0.1 * (high - low)) + low, 2.0 * t);
        // What lowers f is kept, in case that nothing better comes.
        const Array keeps = logical_and(lower, logical_or(found, f < c[6]));
        return Arrays{where(found, t, next),
                      low,
                      high,
                      found,
                      c[4] + int64_t{1},
                      where(keeps, v, c[5]),
                      where(keeps, f, c[6]),
                      where(keeps, g, c[7])};
      },
      {first, zeros_like(first), infinite, boolean(false), scalar(0), s.v, s.f, s.g});
  return {out[5], out[6], out[7], s.evaluations + out[4], logical_or(out[3], out[6] < s.f)};
}

}  // namespace

std::pair<Array, Array> Objective::value_and_gradient(const Array& v) const {
  const auto [value, gradient] =
      hesse::value_and_grad([&](std::span<const Array> x) { return Arrays{f(x[0])}; }, {v}, {0});
  return {value[0], gradient[0]};
}

Descent line_search_descent(const Objective& objective, const Descent& start,
                            const MinimiseOptions& options) {
  const Bfgs bfgs;
  const LimitedBfgs limited(options.history);
  const NewtonCg newton(objective);
  const bool is_newton = options.method == "newton-cg";
  const Directions& directions = options.method == "bfgs" ? static_cast<const Directions&>(bfgs)
                                 : is_newton              ? static_cast<const Directions&>(newton)
                                                          : limited;
  const Arrays empty = directions.start(start);
  Arrays carry = start.pack();
  carry.push_back(boolean(true));  // whether the memory is empty
  carry.insert(carry.end(), empty.begin(), empty.end());
  const Arrays out = repeated(
      [&](std::span<const Array> c) {
        const Descent s = Descent::unpack(c);
        const Array& fresh = c[Descent::kSize];
        const std::span<const Array> memory = c.subspan(Descent::kSize + 1);
        const Array d = directions.direction(s, memory), slope = dot(d, s.g);
        const Array one = ones_like(slope);
        // Nothing is known of the scale at first.
        const Array first = is_newton ? one : where(fresh, minimum(one, quotient(one, sum(abs(s.g)))), one);
        const LineSearch found = search(objective, s, d, slope, first);
        Descent next{found.v, found.f, found.g, s.steps + int64_t{1}, found.evaluations, {}};
        const Array known = logical_and(isfinite(slope), all(isfinite(d)));
        const Array trouble =
            where(known, where(fresh, code(SolveStatus::NoProgress), kRunning), code(SolveStatus::NotFinite));
        next.status = where(max_abs(next.g) <= objective.gtol, code(SolveStatus::Success),
                            where(found.found, kRunning, trouble));
        Arrays result = next.pack();
        result.push_back(is_newton ? fresh : logical_not(found.found));
        // Where nothing was found: once more, without memory.
        const Arrays kept = directions.next(memory, next.v - s.v, next.g - s.g);
        for (size_t i = 0; i < kept.size(); ++i) result.push_back(where(found.found, kept[i], empty[i]));
        return result;
      },
      carry, options.max_steps);
  return Descent::unpack(out);
}

// rho: what f falls, to what the quadratic model does.
Descent trust_region(const Objective& objective, const Descent& start, const MinimiseOptions& options) {
  Arrays carry = start.pack();
  carry.push_back(ones_like(start.f));
  const Arrays out = repeated(
      [&](std::span<const Array> c) {
        const Descent s = Descent::unpack(c);
        const Array& radius = c[Descent::kSize];
        const LinearFn hessian =
            linearise([&](std::span<const Array> v) { return Arrays{objective.gradient(v[0])}; }, {s.v})
                .second;
        const Array d = truncated_cg(hessian, s.g, radius), length = norm2(d), v = s.v + d;
        const MaybeArray product = hessian({d})[0];
        const Array hd = product ? *product : zeros_like(d);
        const auto [f, g] = objective.value_and_gradient(v);
        const Array slack = 10 * epsilon(s.v) * maximum(abs(s.f), ones_like(s.f));
        const Array predicted = -(dot(s.g, d) + 0.5 * dot(d, hd)),
                    finite = logical_and(isfinite(f), all(isfinite(g)));
        const Array rho = (s.f - f + slack) / (predicted + slack);
        const Array taken = logical_and(finite, rho > 1e-4);
        Descent next{where(taken, v, s.v), where(taken, f, s.f),       where(taken, g, s.g),
                     s.steps + int64_t{1}, s.evaluations + int64_t{1}, {}};
        const Array wider = logical_and(rho > 0.75, length >= 0.99 * radius);
        const Array r_next =
            where(logical_and(finite, rho >= 0.25), where(wider, 2.0 * radius, radius), 0.25 * length);
        const Array least = epsilon(s.v) * norm2(s.v);
        const Array trouble =
            where(all(isfinite(d)), where(r_next > 1e-3 * least, kRunning, code(SolveStatus::NoProgress)),
                  code(SolveStatus::NotFinite));
        next.status = where(max_abs(next.g) <= objective.gtol, code(SolveStatus::Success), trouble);
        Arrays result = next.pack();
        result.push_back(r_next);
        return result;
      },
      carry, options.max_steps);
  return Descent::unpack(out);
}

}  // namespace hesse::solvers
