#include "core/nn/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace hesse::optim {
namespace {

// Four partial sums: the same order for every length and compiler, and no chain of dependent additions.
double dot(std::span<const double> a, std::span<const double> b) {
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  const size_t n = a.size(), n4 = n - n % 4;
  for (size_t i = 0; i < n4; i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (size_t i = n4; i < n; ++i) s0 += a[i] * b[i];
  return (s0 + s1) + (s2 + s3);
}

void add_scaled(std::span<double> y, double a, std::span<const double> x) {
  for (size_t i = 0; i < y.size(); ++i) y[i] += a * x[i];
}

double max_abs(std::span<const double> x) {
  double m = 0;
  for (const double v : x) m = std::max(m, std::abs(v));
  return m;
}

bool all_finite(std::span<const double> x) {
  return std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); });
}

// The minimiser of the cubic with values fa, fb and slopes ga, gb at a and b, or the middle where there is
// none.
double cubic_minimiser(double a, double fa, double ga, double b, double fb, double gb) {
  const double d1 = ga + gb - 3.0 * (fa - fb) / (a - b);
  const double square = d1 * d1 - ga * gb;
  if (!(square >= 0.0)) return 0.5 * (a + b);
  const double d2 = std::copysign(std::sqrt(square), b - a);
  const double t = b - (b - a) * ((gb + d2 - d1) / (gb - ga + 2.0 * d2));
  return std::isfinite(t) ? t : 0.5 * (a + b);
}

void check(const LbfgsOptions& o) {
  require(o.history >= 1, "lbfgs: history must be at least 1, got ", o.history);
  require(o.max_evaluations >= 2, "lbfgs: max_evaluations must be at least 2, got ", o.max_evaluations);
  require(0.0 < o.c1 && o.c1 < o.c2 && o.c2 < 1.0,
          "lbfgs: the Wolfe constants must satisfy 0 < c1 < c2 < 1, got c1=", o.c1, ", c2=", o.c2);
  require(o.gradient_tolerance >= 0.0 && o.value_tolerance >= 0.0,
          "lbfgs: tolerances must not be negative, got ", o.gradient_tolerance, " and ", o.value_tolerance);
}

}  // namespace

// A point on the line x + t d.
struct Lbfgs::Trial {
  double t = 0, value = 0, slope = 0;
  std::vector<double> x, gradient;
  bool finite = true;
};

std::string_view describe(LbfgsStatus status) {
  switch (status) {
    case LbfgsStatus::Running:
      return "running";
    case LbfgsStatus::GradientConverged:
      return "converged: the gradient is within its tolerance";
    case LbfgsStatus::ValueConverged:
      return "converged: the value no longer falls by more than its tolerance";
    case LbfgsStatus::LineSearchFailed:
      return "stopped: no lower point along the steepest descent";
  }
  return "unknown";
}

Lbfgs::Lbfgs(std::vector<double> x, const LbfgsOptions& options)
    : Lbfgs(LbfgsState{.x = std::move(x), .gradient = {}, .value = 0.0, .steps = {}, .changes = {}},
            options) {}

Lbfgs::Lbfgs(LbfgsState state, const LbfgsOptions& options) : options_(options), state_(std::move(state)) {
  check(options_);
  const size_t n = state_.x.size();
  require(all_finite(state_.x), "lbfgs: the parameters to start from hold NaN or infinity");
  require(state_.gradient.empty() || state_.gradient.size() == n, "lbfgs: the state has ", n,
          " parameters but a gradient of ", state_.gradient.size());
  require(state_.steps.size() == state_.changes.size(), "lbfgs: the state has ", state_.steps.size(),
          " steps but ", state_.changes.size(), " gradient changes");
  for (const auto* pairs : {&state_.steps, &state_.changes})
    for (const auto& v : *pairs)
      require(v.size() == n, "lbfgs: the state has ", n, " parameters but a history vector of ", v.size());
}

void Lbfgs::function_changed(bool forget) {
  state_.gradient.clear();
  if (forget) {
    state_.steps.clear();
    state_.changes.clear();
  }
}

double Lbfgs::evaluate(const ValueAndGradient& f, std::span<const double> x, std::vector<double>& gradient) {
  gradient.assign(x.size(), 0.0);
  ++state_.evaluations;
  return f(x, gradient);
}

// -H g by the two-loop recursion, H_0 = (s.y / y.y) I. 4 * history * n multiply-adds.
std::vector<double> Lbfgs::direction() const {
  std::vector<double> d(state_.gradient.size());
  std::transform(state_.gradient.begin(), state_.gradient.end(), d.begin(), [](double g) { return -g; });
  const size_t m = state_.steps.size();
  if (m == 0) return d;
  std::vector<double> alpha(m), rho(m);
  for (size_t k = m; k-- > 0;) {
    rho[k] = 1.0 / dot(state_.steps[k], state_.changes[k]);
    alpha[k] = rho[k] * dot(state_.steps[k], d);
    add_scaled(d, -alpha[k], state_.changes[k]);
  }
  const double scale = 1.0 / (rho[m - 1] * dot(state_.changes[m - 1], state_.changes[m - 1]));
  for (double& v : d) v *= scale;
  for (size_t k = 0; k < m; ++k)
    add_scaled(d, alpha[k] - rho[k] * dot(state_.changes[k], d), state_.steps[k]);
  return d;
}

Lbfgs::Trial Lbfgs::try_step(const ValueAndGradient& f, const std::vector<double>& d, double t) {
  Trial trial;
  trial.t = t;
  trial.x = state_.x;
  add_scaled(trial.x, t, d);
  trial.value = evaluate(f, trial.x, trial.gradient);
  trial.slope = dot(trial.gradient, d);
  trial.finite = std::isfinite(trial.value) && std::isfinite(trial.slope) && all_finite(trial.gradient);
  return trial;
}

// A point with f(t) <= f(0) + c1 t f'(0) and |f'(t)| <= c2 |f'(0)|, in `best`; when evaluations run out, the
// best with the first of these. False where there is none. Where values differ by their rounding only, slopes
// say whether f falls: f'(t) <= (2 c1 - 1) f'(0) stands for the first (the approximate Wolfe conditions of
// Hager and Zhang, SIAM Journal on Optimization 16 (2005) 170-192, equation 4.1).
bool Lbfgs::line_search(const ValueAndGradient& f, const std::vector<double>& d, double slope, double t,
                        Trial& best) {
  const double f0 = state_.value;
  const double rounding = 512 * std::numeric_limits<double>::epsilon() * std::abs(f0);  // of sums of terms
  const auto decreases = [&](const Trial& a) {
    return a.value <= f0 + options_.c1 * a.t * slope ||
           (std::abs(a.value - f0) <= rounding && a.slope <= (2 * options_.c1 - 1) * slope);
  };
  const auto is_flat = [&](const Trial& a) { return std::abs(a.slope) <= -options_.c2 * slope; };

  Trial low{.t = 0, .value = f0, .slope = slope, .x = state_.x, .gradient = state_.gradient};
  Trial high;
  bool bracketed = false, any_finite = false;
  for (int64_t k = 0; k < options_.max_evaluations; ++k) {
    if (bracketed && std::abs(high.t - low.t) * max_abs(d) <= 1e-16 * std::max(1.0, max_abs(state_.x))) break;
    Trial now = try_step(f, d, t);
    any_finite = any_finite || now.finite;
    if (now.finite && decreases(now) && is_flat(now)) {
      best = std::move(now);
      return true;
    }
    if (!now.finite || !decreases(now) || now.value >= low.value + rounding) {
      high = std::move(now);  // too long: the minimum lies between low and here
      bracketed = true;
    } else if (bracketed) {
      if (now.slope * (high.t - low.t) >= 0.0) high = std::move(low);
      low = std::move(now);
    } else if (now.slope >= 0.0) {
      high = std::move(low);
      low = std::move(now);
      bracketed = true;
    } else {  // still going down: longer, where the cubic through the last two points has its minimum
      const double guess = cubic_minimiser(low.t, low.value, low.slope, now.t, now.value, now.slope);
      const double shortest = now.t + 0.5 * (now.t - low.t), longest = 10.0 * now.t;
      low = std::move(now);
      t = guess > low.t ? std::clamp(guess, shortest, longest) : longest;
      continue;
    }
    if (!high.finite) {
      t = low.t + 0.1 * (high.t - low.t);
      continue;
    }
    // Inside the bracket, a tenth of its length away from its ends: where the cubic has its minimum, or where
    // values say nothing, the slope between its ends' is 0.
    const auto [left, right] = std::minmax(low.t, high.t);
    const double margin = 0.1 * (right - left);
    const bool by_slopes = std::abs(high.value - low.value) <= rounding && low.slope * high.slope < 0.0;
    const double guess = by_slopes
                             ? low.t - low.slope * (high.t - low.t) / (high.slope - low.slope)
                             : cubic_minimiser(low.t, low.value, low.slope, high.t, high.value, high.slope);
    t = std::clamp(guess, left + margin, right - margin);
  }
  require<NumericalError>(
      any_finite, "lbfgs: the function or its gradient was NaN or infinite at every one of the ",
      options_.max_evaluations, " points tried in iteration ", state_.iterations,
      "; the parameters are those before it. Look for a division by zero, log or sqrt of a negative "
      "number (debug_nans names the operation)");
  best = std::move(low);
  return best.t > 0.0 && best.value < f0;
}

void Lbfgs::remember(const Trial& next) {
  const size_t n = next.x.size();
  std::vector<double> s(n), y(n);
  for (size_t i = 0; i < n; ++i) {
    s[i] = next.x[i] - state_.x[i];
    y[i] = next.gradient[i] - state_.gradient[i];
  }
  // Only pairs of positive curvature keep H positive definite; the strong Wolfe conditions give them but for
  // rounding.
  if (dot(s, y) <= std::numeric_limits<double>::epsilon() * dot(y, y)) return;
  if (static_cast<int64_t>(state_.steps.size()) == options_.history) {
    state_.steps.erase(state_.steps.begin());
    state_.changes.erase(state_.changes.begin());
  }
  state_.steps.push_back(std::move(s));
  state_.changes.push_back(std::move(y));
}

LbfgsStatus Lbfgs::step(const ValueAndGradient& f) {
  if (state_.gradient.empty()) {
    std::vector<double> gradient;
    const double value = evaluate(f, state_.x, gradient);
    require<NumericalError>(std::isfinite(value) && all_finite(gradient), "lbfgs: the function is ", value,
                            all_finite(gradient) ? "" : " with NaN or infinity in its gradient",
                            " at the start of iteration ", state_.iterations,
                            "; start from parameters where it is finite (debug_nans names the operation)");
    state_.value = value;
    state_.gradient = std::move(gradient);
  }
  if (max_abs(state_.gradient) <= options_.gradient_tolerance) return LbfgsStatus::GradientConverged;

  Trial next;
  for (bool found = false; !found;) {
    std::vector<double> d = direction();
    double slope = dot(d, state_.gradient);
    const bool steepest = state_.steps.empty();
    if (slope < 0.0) {
      double sum = 0;
      for (const double g : state_.gradient) sum += std::abs(g);
      found = line_search(f, d, slope, steepest ? std::min(1.0, 1.0 / sum) : 1.0, next);
    }
    if (!found) {
      if (steepest) return LbfgsStatus::LineSearchFailed;
      state_.steps.clear();  // once more, along the steepest descent
      state_.changes.clear();
    }
  }
  remember(next);
  const double before = state_.value;
  state_.x = std::move(next.x);
  state_.gradient = std::move(next.gradient);
  state_.value = next.value;
  ++state_.iterations;
  if (max_abs(state_.gradient) <= options_.gradient_tolerance) return LbfgsStatus::GradientConverged;
  if (before - state_.value <= options_.value_tolerance * std::max(1.0, std::abs(state_.value)))
    return LbfgsStatus::ValueConverged;
  return LbfgsStatus::Running;
}

}  // namespace hesse::optim
