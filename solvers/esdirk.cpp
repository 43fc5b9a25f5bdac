#include "solvers/esdirk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/lists.h"
#include "solvers/root.h"

namespace hesse::solvers {
namespace {

// Kvaerno, Singly diagonally implicit Runge-Kutta methods with an explicit first stage, BIT 44 (2004) 489:
// ESDIRK3/2 with gamma the root of 6 x^3 - 18 x^2 + 9 x = 1 for which it is L-stable. The embedded solution
// is the argument of the stage before the last.
EsdirkTableau kvaerno3() {
  const double g = 0.4358665215084589994160194511935568;
  const double a31 = (-4 * g * g + 6 * g - 1) / (4 * g), a32 = (1 - 2 * g) / (4 * g);
  return {.name = "Kvaerno3",
          .order = 3,
          .error_order = 2,
          .gamma = g,
          .a = {{},
                {g},
                {a31, a32},
                {(6 * g - 1) / (12 * g), 1 / (12 * g * (1 - 2 * g)), (1 - 6 * g + 6 * g * g) / (3 - 6 * g)}},
          .embedded = {a31, a32, g, 0}};
}

// The same paper: ESDIRK5/4 with gamma = 0.26, with an embedded solution as above.
EsdirkTableau kvaerno5() {
  const double g = 0.26;
  return {.name = "Kvaerno5",
          .order = 5,
          .error_order = 4,
          .gamma = g,
          .a = {{},
                {g},
                {0.13, 0.84033320996790809},
                {0.22371961478320505, 0.47675532319799699, -0.06470895363112615},
                {0.16648564323248321, 0.10450018841591720, 0.03631482272098715, -0.13090704451073998},
                {0.13855640231268224, 0, -0.04245337201752043, 0.02446657898003141, 0.61943039072480676},
                {0.13659751177640291, 0, -0.05496908796538376, -0.04118626728321046, 0.62993304899016403,
                 0.06962479448202728}},
          .embedded = {0.13855640231268224, 0, -0.04245337201752043, 0.02446657898003141, 0.61943039072480676,
                       g, 0},
          .middle = {0.159988958931277, 0, 0.015076334355578333, -0.1616276500931144, 0.41754445066820134,
                     0.07202706801346803, -0.0030091618754102952}};
}

// Kennedy and Carpenter, Additive Runge-Kutta schemes for convection-diffusion-reaction equations, Appl.
// Numer. Math. 44 (2003) 139: the implicit part of ARK4(3)6L[2]SA.
EsdirkTableau kencarp4() {
  return {.name = "KenCarp4",
          .order = 4,
          .error_order = 3,
          .gamma = 0.25,
          .a = {{},
                {0.25},
                {8611.0 / 62500, -1743.0 / 31250},
                {5012029.0 / 34652500, -654441.0 / 2922500, 174375.0 / 388108},
                {15267082809.0 / 155376265600, -71443401.0 / 120774400, 730878875.0 / 902184768,
                 2285395.0 / 8070912},
                {82889.0 / 524892, 0, 15625.0 / 83664, 69875.0 / 102672, -2260.0 / 8211}},
          .embedded = {4586570599.0 / 29645900160, 0, 178811875.0 / 945068544, 814220225.0 / 1159782912,
                       -3700637.0 / 11593932, 61727.0 / 225920},
          .middle = {0.15268307719614718, 0.2906037420023453, 0.14650563739645717, 0.04674976573294556,
                     -0.2574374997111501, 0.12089527738325495}};
}

/// sum_i w_i x_i
Array weighted(const Arrays& x, std::span<const double> w) {
  std::optional<Array> out;
  for (size_t i = 0; i < w.size(); ++i) {
    if (w[i] == 0) continue;
    const Array term = w[i] * x[i];
    out = out ? *out + term : term;
  }
  return *out;
}

/// Weights of values at `nodes` for the polynomial through the nearest three of them, or fewer, at x.
std::vector<double> extrapolation(std::span<const double> nodes, double x) {
  std::vector<size_t> used(nodes.size());
  std::iota(used.begin(), used.end(), size_t{0});
  std::ranges::stable_sort(used, {}, [&](size_t i) { return std::abs(nodes[i] - x); });
  used.resize(std::min(used.size(), size_t{3}));
  std::vector<double> w(nodes.size(), 0);
  for (const size_t i : used) {
    w[i] = 1;
    for (const size_t j : used)
      if (j != i) w[i] *= (x - nodes[j]) / (nodes[i] - nodes[j]);
  }
  return w;
}

class Esdirk final : public Method {
 public:
  Esdirk(const EsdirkTableau& tableau, Field field)
      : Method(std::move(field)),
        tableau_(tableau),
        additive_(!tableau.explicit_a.empty()),
        implicit_(additive_ ? field_.part(1) : field_),
        c_(tableau.nodes()),
        error_(tableau.weights()),
        flat_(real_state(field_, tableau.name)),
        jacobian_(implicit_, flat_),
        stage_(stage()) {
    for (size_t i = 0; i < error_.size(); ++i) error_[i] -= tableau.embedded[i];
    for (size_t i = 0; i < c_.size(); ++i) guess_.push_back(extrapolation(std::span(c_).first(i), c_[i]));
  }

  std::string_view name() const override { return tableau_.name; }
  int error_order() const override { return tableau_.error_order; }
  bool interpolates() const override { return !additive_ || tableau_.order < 5; }
  bool iterates() const override { return true; }
  int64_t evaluations() const override { return 0; }
  int64_t factorisations() const override { return 1; }
  size_t num_kept() const override { return 1; }   // the slope at the end
  size_t num_dense() const override { return 2; }  // the slope at the beginning, the middle
  Arrays kept_at_start(const Arrays& f0) const override { return {flat_.pack(f0)}; }
  Arrays dense_at_start(const Arrays& y0, const Arrays& f0) const override {
    return {flat_.pack(f0), flat_.pack(y0)};
  }

  // With z_i = h gamma k_i: slopes come from the stages that were solved for and not from f at them, which
  // would multiply their errors by h J.
  Step step(const Array& t, const Array& h_in, std::span<const Array> y_in, std::span<const Array> kept,
            std::span<const Array> operands) const override {
    const DType real = flat_.dtype();
    const Array h = astype(h_in, real), scaled_h = h * tableau_.gamma, y = flat_.pack(y_in);
    const Arrays fixed = stopped(operands), y_fixed = stopped(y_in);
    const Array fixed_h = stop_gradient(scaled_h), fixed_t = stop_gradient(t);
    const Factored system(
        field_.mass_matrix(fixed, real) - fixed_h * jacobian_.by_state(fixed_t, y_fixed, fixed),
        Factored::Singular::GivesNaN);
    const Norm norm(*this, y_fixed, fixed);

    // Slopes of the explicit part are evaluated at the stages.
    Arrays explicit_hk;
    const auto add_explicit = [&](double c, const Arrays& at) {
      explicit_hk.push_back(h * flat_.pack(field_.part(0)(t + c * h_in, at, operands)));
    };
    if (additive_) add_explicit(0, {y_in.begin(), y_in.end()});
    Arrays hk{additive_ ? h * kept[0] - explicit_hk[0] : h * kept[0]};
    Newton last{{}, {}, ones({}, kFloat64), {}, Array(true), Array(true)};
    Step out;
    Array y_next = y;
    out.evaluations = Array(int64_t{0});
    for (size_t s = 1; s < c_.size(); ++s) {
      Array base = y + weighted(hk, tableau_.a[s]);
      if (additive_) base = base + weighted(explicit_hk, tableau_.explicit_a[s]);
      last.z = stop_gradient(tableau_.gamma * weighted(hk, guess_[s]));
      VectorFn equation{stage_, {base, astype(t + c_[s] * h_in, real), scaled_h}};
      equation.captures.insert(equation.captures.end(), operands.begin(),
                               operands.begin() + static_cast<int64_t>(field_.num_captures));
      last = newton(equation.stopped(), system, norm, last);
      out.evaluations = out.evaluations + last.count;
      const Array z = implicit_function(equation, last.z,
                                        {.linear_solver = "lu", .singular = Factored::Singular::GivesNaN});
      hk.push_back(z / tableau_.gamma);
      y_next = base + z;
      if (additive_) add_explicit(c_[s], flat_.unpack(y_next));
    }
    if (additive_) {
      std::vector<double> rest = tableau_.weights();
      for (size_t j = 0; j + 1 < rest.size(); ++j) rest[j] -= tableau_.explicit_a.back()[j];
      y_next = y_next + weighted(explicit_hk, rest);
      out.evaluations = out.evaluations + static_cast<int64_t>(c_.size());
    }
    // A step whose stages are not found is rejected: with an error that is large, or NaN where f is.
    const Array estimate =
        additive_ ? weighted(hk, error_) + weighted(explicit_hk, error_) : weighted(hk, error_);
    const Array failed = nan_of(real);
    const Array error = where(last.solved, estimate, where(all(isfinite(estimate)), norm.large(), failed));
    out.y = flat_.unpack(where(last.solved, y_next, y));
    out.errors.push_back(flat_.unpack(error));
    out.solved = last.solved;
    out.kept = {additive_ ? flat_.pack(field_(t + h_in, flat_.unpack(y_next), operands)) : hk.back() / h};
    out.dense = {kept[0], tableau_.middle.empty() ? cubic_middle(y, y_next, h, kept[0], out.kept[0])
                                                  : y + weighted(hk, tableau_.middle)};
    return out;
  }

  Arrays interpolate(const Segment& s, const Array& t) const override {
    return flat_.unpack(
        quartic({flat_.pack(s.y_begin), flat_.pack(s.y_end), s.dense[0], s.kept[0], s.dense[1]}, s, t));
  }

 private:
  /// What is left of the error test's tolerance for the iteration.
  static constexpr double kTolerance = 1e-3;
  static constexpr int64_t kMostIterations = 10;

  /// The norm of the error test.
  class Norm {
   public:
    Norm(const Esdirk& method, std::span<const Array> y, std::span<const Array> operands)
        : entries_(static_cast<double>(std::max<int64_t>(1, method.flat_.size()))), y_(method.flat_.pack(y)) {
      const DType real = method.flat_.dtype();
      const size_t at = method.field_.num_captures;
      rtol_ = astype(operands[at], real);
      Arrays atol;
      for (size_t j = 0; j < y.size(); ++j)
        atol.push_back(broadcast_to(astype(operands[at + 1 + j], real), y[j].shape()));
      atol_ = method.flat_.pack(atol);
    }
    Array operator()(const Array& d, const Array& y_next) const {
      const Array scale = atol_ + rtol_ * maximum(abs(y_), abs(y_next));
      const Array r = where(equal(d, 0.0), zeros_like(d), d / scale);
      return sqrt(sum(square(astype(r, kFloat64))) / entries_);
    }
    /// An error that no step is accepted with.
    Array large() const {
      const Array scale = atol_ + rtol_ * abs(y_);
      return where(equal(scale, 0.0), ones_like(scale), 1e6 * scale);
    }

   private:
    double entries_;
    Array y_, rtol_{1.0}, atol_{1.0};
  };

  /// The iteration of one stage: z; the norm of its last change; rate / (1 - rate), how its error compares
  /// with that; changes so far; whether it goes on; whether it has converged.
  struct Newton {
    Array z, change, ratio, count, runs, solved;
  };

  /// (z, base, t, h gamma, captures...) -> M z - h gamma f(t, base + z)
  Ref<const Graph> stage() const {
    const Aval vector{{flat_.size()}, flat_.dtype()}, scalar{{}, flat_.dtype()};
    Avals avals{vector, vector, scalar, scalar};
    for (size_t i = 0; i < field_.num_captures; ++i)
      avals.push_back(field_.graph->input_aval(static_cast<int>(1 + field_.num_arrays() + i)));
    return trace_closed(
        [&](std::span<const Array> x) {
          return Arrays{field_.times_mass(x[0], x.subspan(4)) -
                        x[3] * flat_.pack(implicit_(x[2], flat_.unpack(x[1] + x[0]), x.subspan(4)))};
        },
        avals);
  }

  // (M - h gamma J) d = -F(z), z + d, ... (Hairer and Wanner II, IV.8) from the z of `before`: until the
  // error that the rate of convergence predicts is small. At first that is the rate of the stage before;
  // where that one was not solved nothing is done.
  static Newton newton(const VectorFn& equation, const Factored& system, const Norm& norm,
                       const Newton& before) {
    const double eps = before.z.dtype() == kFloat32 ? std::numeric_limits<float>::epsilon()
                                                    : std::numeric_limits<double>::epsilon();
    const Array &base = equation.captures[0], none(int64_t{0}), one(int64_t{1});
    const Arrays start{before.z,
                       Array::from<double>(std::array{1.0}, {}),
                       exp(0.8 * log(maximum(before.ratio, eps))),
                       none,
                       before.solved,
                       Array(false)};
    const Arrays end = while_loop(
        [](std::span<const Array> x) { return Arrays{x[4]}; },
        [&](std::span<const Array> x) {
          const Array d = system.solve(-equation(x[0])), z = x[0] + d, y = base + z;
          const Array change = norm(d, y), first = equal(x[3], none);
          const Array rate = where(first, 0.0, change / x[1]), contracts = rate < 1.0;
          const Array ratio =
              where(first, x[2], where(contracts, rate / where(contracts, 1.0 - rate, 1.0), INFINITY));
          // Rounding ends it too: it says so by its size, or where the changes no longer fall.
          const Array rounded = logical_or(change <= 10.0 * norm(eps * y, y),
                                           logical_and(logical_not(contracts), change <= kTolerance));
          const Array solved =
              logical_or(where(equal(change, 0.0), 0.0, ratio * change) <= kTolerance, rounded);
          const Array count = x[3] + one;
          const Array left = astype(kMostIterations - count, kFloat64);
          // rate^left: exp and log run on vectors, pow does not
          const Array at_last = exp(left * log(rate)) * ratio * change;
          const Array hopeless = logical_and(logical_not(first), at_last > kTolerance);
          const Array runs =
              logical_and(logical_and(isfinite(change), count < kMostIterations),
                          logical_and(logical_and(contracts, logical_not(solved)), logical_not(hopeless)));
          return Arrays{z, change, ratio, count, runs, solved};
        },
        start);
    return {end[0], end[1], end[2], end[3], end[4], end[5]};
  }

  const EsdirkTableau& tableau_;
  bool additive_;   // of a field of two parts, the first one explicit
  Field implicit_;  // the part whose equations are solved
  std::vector<double> c_, error_;
  std::vector<std::vector<double>> guess_;  // of the slope of a stage, from those before
  Packing flat_;
  FieldJacobian jacobian_;
  Ref<const Graph> stage_;
};

}  // namespace

std::vector<double> EsdirkTableau::nodes() const {
  std::vector<double> c;
  for (const std::vector<double>& row : a)
    c.push_back(c.empty() ? 0 : std::accumulate(row.begin(), row.end(), gamma));
  return c;
}

std::vector<double> EsdirkTableau::weights() const {
  std::vector<double> b = a.back();
  b.push_back(gamma);
  return b;
}

const std::vector<EsdirkTableau>& esdirk_tableaus() {
  static const std::vector<EsdirkTableau> all = {kvaerno3(), kvaerno5(), kencarp4()};
  return all;
}

std::unique_ptr<const Method> make_esdirk(const EsdirkTableau& tableau, Field field) {
  return std::make_unique<Esdirk>(tableau, std::move(field));
}

}  // namespace hesse::solvers
