#include "solvers/ode.h"

#include <algorithm>
#include <cmath>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/program/unroll.h"
#include "core/status.h"
#include "solvers/cvode.h"
#include "solvers/tableau.h"

namespace hesse::solvers {
namespace {

constexpr int64_t kSuccess = static_cast<int64_t>(IvpStatus::Success);

/// y where the solver came to the end. Else NaN, and the failure is reported: which, where, and which entry
/// of the state stood out (the array, the entry, or -1).
class CompletedOp final : public General {
 public:
  std::string_view name() const override { return "ivp_completed"; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  Arrays eval(std::span<const Array> x) const override {
    const int64_t status = x[1].item<int64_t>();
    if (status == kSuccess) return {x[0]};
    const auto number = [&](size_t i) { return concat(x[i].item<double>()); };
    const int64_t leaf = x[4].item<int64_t>(), entry = x[5].item<int64_t>();
    std::string where;
    if (leaf >= 0)
      where = concat("; entry ", entry, " of ", leaf > 0 ? concat("array ", leaf, " of ") : std::string(),
                     "the state limits it");
    report_failure(Failure::Numerical, "solve_ivp",
                   concat(describe(static_cast<IvpStatus>(status)), " (t = ", number(2), ", step ", number(3),
                          where, ")"));
    return {full(x[0].shape(), astype(Array(std::nan("")), x[0].dtype()))};
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    return {dx[0]};
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::find(marked.begin() + 1, marked.end(), true) == marked.end();
  }
  bool reads_input(int) const override { return false; }
  bool reads_output(int) const override { return false; }
};

/// One attempt: the graph's outputs, the last of which is the norm of the error. It has no derivative, and of
/// an attempt that it rejects nothing has: what became infinite there does not reach gradients. Tangents are
/// selected away on both sides.
class AttemptOp final : public General, public Expands {
 public:
  explicit AttemptOp(Ref<const Graph> body) : body_(std::move(body)) {}
  std::string_view name() const override { return "ivp_attempt"; }
  Params params() const override { return {{"body", body_}}; }
  Avals infer(std::span<const Aval>) const override { return body_->output_avals(); }
  Arrays eval(std::span<const Array> x) const override { return body_->run(x); }
  Arrays expanded(std::span<const Array> x) const override { return body_->call(x); }
  bool has_effect() const override { return has_effects(*body_); }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Array accept = y.back() <= 1.0;
    const auto gate = [&](const Array& d) { return where(accept, d, zeros_like(d)); };
    std::vector<bool> marked;
    Arrays in(x.begin(), x.end());
    for (const MaybeArray& d : dx) {
      marked.push_back(d.has_value());
      if (d) in.push_back(gate(*d));
    }
    const DerivedGraph d = derivatives().jvp(*body_, marked, {}, false);
    const Arrays out = d.graph->call(in);
    MaybeArrays dy(y.size());
    for (size_t k = 0, j = 0; k < y.size(); ++k)
      if (d.present[k]) {
        if (k + 1 < y.size()) dy[k] = gate(out[j]);
        ++j;
      }
    return dy;
  }
  bool reads_output(int k) const override { return k + 1 == body_->num_outputs(); }

 private:
  Ref<const Graph> body_;
};

const bool registered =
    (register_ops({listed<CompletedOp>(), listed<AttemptOp>("ivp_attempt", "body")}), true);

template <class Range>
void append(Arrays& to, const Range& from) {
  to.insert(to.end(), from.begin(), from.end());
}
Arrays zipped(std::span<const Array> x, std::span<const Array> y,
              const std::function<Array(const Array&, const Array&)>& f) {
  Arrays out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(f(x[i], y[i]));
  return out;
}
Arrays select(const Array& condition, std::span<const Array> x, std::span<const Array> y) {
  return zipped(x, y, [&](const Array& a, const Array& b) { return where(condition, a, b); });
}

/// f as it was recorded, and what it and the tolerances are computed from: operands of every step, so that
/// derivatives reach them.
struct Field {
  Ref<const Graph> graph;  // (t, y..., captures...) -> dy...
  size_t num_captures = 0;
  DType time = kFloat64;  // the real dtype of the state
  int64_t entries = 0;

  Arrays operator()(const Array& t, std::span<const Array> y, std::span<const Array> operands) const {
    Arrays in{astype(t, time)};
    append(in, y);
    append(in, operands.first(num_captures));
    return graph->call(in);
  }
};

/// One attempt of a Runge-Kutta method, and the choice of the next step.
class Stepper {
 public:
  Stepper(const Tableau& method, Field field, const std::optional<Array>& max_step, size_t num_arrays)
      : method_(method), field_(std::move(field)), max_step_(max_step), n_(num_arrays) {}

  bool adapts() const { return method_.error_order > 0; }
  /// Whether times between steps are interpolated; else steps end there.
  bool interpolates() const { return !method_.middle.empty() || method_.order == 3; }
  /// Evaluations of f in one attempt.
  int64_t evaluations() const {
    return static_cast<int64_t>(method_.c.size()) - (method_.first_same_as_last ? 1 : 0);
  }

  /// What a loop carries.
  struct State {
    Array t, h;   // h: the size of the next step, without a sign
    Arrays y, f;  // f at t
    Array norm;   // of the last accepted step
    Array accepted, rejected, status;
    Array t_last;  // the last step, to interpolate in: its beginning,
    Arrays y_last, f_last, y_middle;
  };
  Arrays pack(const State& s) const {
    Arrays out{s.t, s.h, s.norm, s.accepted, s.rejected, s.status};
    append(out, s.y);
    append(out, s.f);
    if (interpolates()) {
      out.push_back(s.t_last);
      append(out, s.y_last);
      append(out, s.f_last);
      append(out, s.y_middle);
    }
    return out;
  }
  State unpack(std::span<const Array> x) const {
    size_t at = 6;
    const auto next = [&] {
      at += n_;
      return Arrays(x.begin() + static_cast<int64_t>(at - n_), x.begin() + static_cast<int64_t>(at));
    };
    State s{x[0], x[1], {}, {}, x[2], x[3], x[4], x[5], x[0], {}, {}, {}};
    s.y = next();
    s.f = next();
    if (interpolates()) {
      s.t_last = x[at++];
      s.y_last = next();
      s.f_last = next();
      s.y_middle = next();
    }
    return s;
  }
  State start(const Array& t0, const Arrays& y0, const Arrays& f0, const Array& h) const {
    const Array none(int64_t{0});
    return {
        t0, stop_gradient(h), y0, f0, Array::from<double>(std::array{1e-4}, {}), none, none, none, t0, y0, f0,
        y0};
  }

  /// One attempt from s; a step that would pass `end` ends there.
  State attempt(const State& s, const Array& end, const Array& direction,
                std::span<const Array> operands) const {
    const Array left = (end - s.t) * direction;
    const Array clipped = s.h * (1.0 + 1e-10) >= left;
    const Array step = where(clipped, end - s.t, direction * s.h);
    const Arrays in = inputs(s, step, operands), out = adapts() ? gated(in) : step_of(in);
    const auto part = [&](size_t k) { return std::span<const Array>(out).subspan(k * n_, n_); };

    State next = s;
    const Array one(int64_t{1}), none(int64_t{0});
    Array accept(true);
    if (adapts()) {
      const Array norm = stop_gradient(out.back());
      accept = norm <= 1.0;
      control(next, s, norm, accept, clipped, stop_gradient(abs(step)));
    } else {
      for (const Array& y : part(0)) accept = logical_and(accept, all(isfinite(y)));
      next.status = where(accept, s.status, static_cast<int64_t>(IvpStatus::NotFinite));
    }
    next.accepted = s.accepted + where(accept, one, none);
    next.rejected = s.rejected + where(accept, none, one);
    next.t = where(accept, where(clipped, end, s.t + step), s.t);
    next.y = select(accept, part(0), s.y);
    next.f = select(accept, part(1), s.f);
    if (interpolates()) {
      next.t_last = where(accept, s.t, s.t_last);
      next.y_last = select(accept, s.y, s.y_last);
      next.f_last = select(accept, s.f, s.f_last);
      next.y_middle = select(accept, part(2), s.y_middle);
    }
    return next;
  }

  /// The state at a time within the last step: the polynomial of degree 4 through both ends, with their
  /// slopes, and the middle. At the end itself the state, with f as its slope.
  Arrays interpolate(const State& s, const Array& t) const {
    const Array width = s.t - s.t_last, at_end = equal(t, s.t);
    const Array theta = (t - s.t_last) / where(equal(width, 0.0), 1.0, width);
    Arrays out;
    for (size_t i = 0; i < n_; ++i) {
      const DType real = real_dtype(s.y[i].dtype());
      const Array x = astype(theta, real), h = astype(width, real);
      const Array rise = s.y[i] - s.y_last[i], middle = s.y_middle[i] - s.y_last[i];
      const Array first = h * s.f_last[i], last = h * s.f[i];
      const Array c2 = 16.0 * middle - 5.0 * rise - 4.0 * first + last;
      const Array c3 = 14.0 * rise - 32.0 * middle + 5.0 * first - 3.0 * last;
      const Array c4 = 16.0 * middle - 8.0 * rise - 2.0 * first + 2.0 * last;
      const Array inside = s.y_last[i] + x * (first + x * (c2 + x * (c3 + x * c4)));
      out.push_back(where(at_end, s.y[i] + astype(t - s.t, real) * s.f[i], inside));
    }
    return out;
  }

  /// A first step: from the sizes of y, f and a difference of f.
  Array guess(const Array& t0, const Array& t1, const Array& direction, const Arrays& y0, const Arrays& f0,
              std::span<const Array> operands) const {
    const auto size = [&](const Arrays& x) { return norm_of(x, y0, y0, operands); };
    const Array d0 = size(y0), d1 = size(f0);
    Array h0 = where(logical_or(d0 < 1e-5, d1 < 1e-5), 1e-6, 0.01 * d0 / where(d1 < 1e-5, 1.0, d1));
    h0 = minimum(h0, where(equal(t0, t1), 1.0, abs(t1 - t0)));  // f may not exist beyond
    if (max_step_) h0 = minimum(h0, *max_step_);
    const Arrays y1 = zipped(y0, f0, [&](const Array& y, const Array& f) {
      return y + astype(direction * h0, real_dtype(y.dtype())) * f;
    });
    const Arrays f1 = field_(t0 + direction * h0, y1, operands);
    const Array d2 = size(zipped(f1, f0, subtract)) / h0, most = maximum(d1, d2);
    const Array h1 = where(most <= 1e-15, maximum(Array(1e-6), 1e-3 * h0),
                           pow(0.01 / where(most <= 1e-15, 1.0, most), 1.0 / (method_.error_order + 1.0)));
    const Array h = minimum(100.0 * h0, h1);
    return stop_gradient(where(isfinite(h), h, h0));
  }

  /// The array and the entry of the state whose error is largest in an attempt from s.
  Arrays limiting(const State& s, const Array& direction, std::span<const Array> operands) const {
    const Arrays in = inputs(s, direction * s.h, operands);
    const Slopes k = slopes(in);
    Array largest(-1.0), leaf(int64_t{0}), entry(int64_t{0});
    for (size_t i = 0; i < n_; ++i) {
      if (s.y[i].size() == 0) continue;
      const Array r = reshape(abs(scaled_error(k, method_.error, in, i, operands)), {-1});
      const Array size = where(isnan(r), INFINITY, astype(r, kFloat64)), most = max(size);
      const Array larger = greater(most, largest);
      leaf = where(larger, static_cast<int64_t>(i), leaf);
      entry = where(larger, argmax(size), entry);
      largest = where(larger, most, largest);
    }
    return {leaf, entry};
  }

 private:
  struct Slopes {
    std::vector<Arrays> k;  // by stage
    Arrays y_next;
  };

  // sum_i w_i k_i of array j; nullopt where all weights are zero.
  std::optional<Array> combined(const std::vector<Arrays>& k, const std::vector<double>& w, size_t j) const {
    std::optional<Array> out;
    for (size_t i = 0; i < w.size() && i < k.size(); ++i) {
      if (w[i] == 0) continue;
      const Array term = w[i] == 1 ? k[i][j] : w[i] * k[i][j];
      out = out ? *out + term : term;
    }
    return out;
  }
  Array moved(const Array& y, const Array& h, const std::optional<Array>& slope) const {
    return slope ? y + astype(h, real_dtype(y.dtype())) * *slope : y;
  }

  // What one attempt reads: t, step, y..., f..., operands...
  static Arrays inputs(const State& s, const Array& step, std::span<const Array> operands) {
    Arrays in{s.t, step};
    append(in, s.y);
    append(in, s.f);
    append(in, operands);
    return in;
  }
  Slopes slopes(std::span<const Array> in) const {
    const Array &t = in[0], &h = in[1];
    const std::span<const Array> y = in.subspan(2, n_), operands = in.subspan(2 + 2 * n_);
    Slopes out;
    out.k.emplace_back(in.begin() + static_cast<int64_t>(2 + n_),
                       in.begin() + static_cast<int64_t>(2 + 2 * n_));
    for (size_t s = 1; s < method_.c.size(); ++s) {
      Arrays at;
      for (size_t j = 0; j < n_; ++j) at.push_back(moved(y[j], h, combined(out.k, method_.a[s], j)));
      if (s + 1 == method_.c.size() && method_.first_same_as_last) out.y_next = at;
      out.k.push_back(field_(t + method_.c[s] * h, at, operands));
    }
    if (out.y_next.empty())
      for (size_t j = 0; j < n_; ++j) out.y_next.push_back(moved(y[j], h, combined(out.k, method_.b, j)));
    return out;
  }

  // y..., f..., middle... (where there is an interpolant), norm (where steps adapt)
  Arrays step_of(std::span<const Array> in) const {
    const Array &t = in[0], &h = in[1];
    const std::span<const Array> y = in.subspan(2, n_), operands = in.subspan(2 + 2 * n_);
    const Slopes s = slopes(in);
    Arrays out = s.y_next;
    const Arrays f = method_.first_same_as_last ? s.k.back() : field_(t + h, s.y_next, operands);
    append(out, f);
    if (interpolates())
      for (size_t j = 0; j < n_; ++j) {
        if (!method_.middle.empty()) {
          out.push_back(moved(y[j], h, combined(s.k, method_.middle, j)));
        } else {  // that of the cubic with the slopes at both ends
          const Array step = astype(h, real_dtype(y[j].dtype()));
          out.push_back(0.5 * (y[j] + s.y_next[j]) + 0.125 * step * (s.k[0][j] - f[j]));
        }
      }
    if (!adapts()) return out;
    Array squares(0.0), other(0.0);
    for (size_t j = 0; j < n_; ++j) {
      squares = squares + square_sum(scaled_error(s, method_.error, in, j, operands));
      if (!method_.second_error.empty())
        other = other + square_sum(scaled_error(s, method_.second_error, in, j, operands));
    }
    const auto n = static_cast<double>(std::max<int64_t>(1, field_.entries));
    if (method_.second_error.empty()) {
      out.push_back(sqrt(squares / n));
    } else {  // |e5|^2 / sqrt(|e5|^2 + |e3|^2 / 100)
      const Array below = squares + 0.01 * other;
      out.push_back(squares / sqrt(where(equal(below, 0.0), 1.0, below) * n));
    }
    return out;
  }

  static Array square_sum(const Array& x) {
    const Array size = is_complex(x.dtype()) ? abs(x) : x;
    return sum(square(astype(size, kFloat64)));
  }
  // No error is none at any tolerance, also at none.
  static Array scaled(const Array& x, const Array& scale) {
    return where(equal(x, 0.0), zeros_like(x), x / scale);
  }
  Array scale(const Array& y, const Array& y_next, size_t j, std::span<const Array> operands) const {
    const DType real = real_dtype(y.dtype());
    const Array &rtol = operands[field_.num_captures], &atol = operands[field_.num_captures + 1 + j];
    return stop_gradient(astype(atol, real) + astype(rtol, real) * maximum(abs(y), abs(y_next)));
  }
  Array scaled_error(const Slopes& s, const std::vector<double>& weights, std::span<const Array> in, size_t j,
                     std::span<const Array> operands) const {
    const Array& y = in[2 + j];
    const Array h = astype(in[1], real_dtype(y.dtype()));
    return scaled(h * *combined(s.k, weights, j), scale(y, s.y_next[j], j, operands));
  }
  Array norm_of(const Arrays& x, const Arrays& y, const Arrays& y_next,
                std::span<const Array> operands) const {
    Array out(0.0);
    for (size_t j = 0; j < n_; ++j) out = out + square_sum(scaled(x[j], scale(y[j], y_next[j], j, operands)));
    return sqrt(out / static_cast<double>(std::max<int64_t>(1, field_.entries)));
  }

  Arrays gated(const Arrays& in) const {
    Avals avals;
    for (const Array& a : in) avals.push_back(aval(a));
    return hesse::apply(
        make_op<AttemptOp>(trace_closed([this](std::span<const Array> x) { return step_of(x); }, avals)), in);
  }

  // Proportional-integral control (Hairer, Norsett, Wanner I, II.4): next.h, next.norm, next.status.
  void control(State& next, const State& s, const Array& norm, const Array& accept, const Array& clipped,
               const Array& step) const {
    const double beta = 0.04, alpha = 1.0 / (method_.error_order + 1.0) - 0.75 * beta;
    const Array finite = isfinite(norm), size = where(finite, maximum(norm, 1e-10), 1.0);
    const Array grown = 0.9 * pow(size, -alpha);
    const Array factor = where(accept, clip(grown * pow(s.norm, beta), Array(0.2), Array(10.0)),
                               where(finite, clip(grown, Array(0.2), Array(1.0)), 0.2));
    Array h = step * factor;
    h = where(logical_and(accept, clipped), maximum(h, s.h),
              h);  // an end says nothing about what is possible
    if (max_step_) h = minimum(h, *max_step_);
    next.h = stop_gradient(h);
    next.norm = where(accept, maximum(norm, 1e-4), s.norm);
    const Array least = 16 * 2.220446049250313e-16 * abs(s.t);
    const Array small = logical_and(logical_not(accept), logical_not(h > stop_gradient(least)));
    next.status = where(small,
                        where(finite, static_cast<int64_t>(IvpStatus::StepTooSmall),
                              static_cast<int64_t>(IvpStatus::NotFinite)),
                        s.status);
  }

  const Tableau& method_;
  Field field_;
  std::optional<Array> max_step_;
  size_t n_;
};

// What the caller gives ------------------------------------------------------------------------------------

Array time_of(const Array& t, const char* name) {
  require(t.ndim() == 0, "solve_ivp: ", name, " has shape ", t.shape(), ", expected a scalar");
  require<TypeError>(!is_complex(t.dtype()) && t.dtype() != kBool && t.dtype() != DType::Key,
                     "solve_ivp: ", name, " has dtype ", t.dtype(), ", expected a real number");
  return astype(t, kFloat64);
}
void check_positive(const Array& x, const char* name, bool zero_allowed, bool scalar) {
  require(!scalar || x.ndim() == 0, "solve_ivp: ", name, " has shape ", x.shape(), ", expected a scalar");
  if (!is_constant(x)) return;
  for (const double v : astype(x, kFloat64).to_vector<double>())
    require(zero_allowed ? v >= 0 : v > 0, "solve_ivp: ", name, " is ", v, ", expected ",
            zero_allowed ? "a number not below 0" : "a positive number");
}

Field record(const Rhs& f, const Arrays& y0, Arrays& captures) {
  Field out;
  Avals avals{{}};
  std::optional<DType> real;
  for (size_t i = 0; i < y0.size(); ++i) {
    require<TypeError>(is_inexact(y0[i].dtype()), "solve_ivp: array ", i, " of y0 is ", describe(y0[i]),
                       ", expected floating numbers; convert it with astype");
    const DType r = real_dtype(y0[i].dtype());
    real = real ? promote(*real, r) : r;
    avals.push_back(aval(y0[i]));
    out.entries += y0[i].size();
  }
  out.time = *real;
  avals[0] = {{}, out.time};
  const Traced traced = trace(
      [&](std::span<const Array> x) {
        Arrays dy = f(x[0], x.subspan(1));
        require(dy.size() == y0.size(), "solve_ivp: f returns ", dy.size(), " arrays for ", y0.size(),
                " of the state");
        for (size_t i = 0; i < dy.size(); ++i) {
          if (dy[i].is_weak()) dy[i] = astype(dy[i], y0[i].dtype());
          require(dy[i].shape() == y0[i].shape() && dy[i].dtype() == y0[i].dtype(), "solve_ivp: f returns ",
                  describe(dy[i]), " for array ", i, " of the state, which is ", describe(y0[i]),
                  "; the derivative has the state's shape and dtype");
        }
        return dy;
      },
      avals, true);
  out.graph = traced.graph;
  captures = traced.captures;
  out.num_captures = captures.size();
  return out;
}

// Whether times ascend within the span, in its direction: an array of one bool.
Array in_order(const Array& times, const Array& t0, const Array& t1, const Array& direction) {
  const Array along = (times - t0) * direction;
  Array ok = all(logical_and(along >= 0.0, along <= (t1 - t0) * direction));
  if (times.size() > 1) ok = logical_and(ok, all(diff(along) > 0.0));
  return ok;
}

}  // namespace

std::string describe(IvpStatus status) {
  switch (status) {
    case IvpStatus::Success:
      return "the end of the span was reached";
    case IvpStatus::TooManySteps:
      return "max_steps attempts did not reach the end: raise max_steps or the tolerances; a stiff problem "
             "needs an implicit method";
    case IvpStatus::StepTooSmall:
      return "the step became smaller than the spacing of numbers at t: the solution may be singular there, "
             "or the tolerances too small for the dtype";
    case IvpStatus::NotFinite:
      return "f gives NaN or infinity however small the step: look at f there, at its arguments and at y0 "
             "(and atol must not be 0 where the state is)";
    case IvpStatus::BadTimes:
      return "t_eval does not ascend within t_span, in its direction";
    case IvpStatus::BadOptions:
      return "rtol and atol must not be below 0, first_step and max_step must be above 0, and the span "
             "finite";
  }
  return "unknown status";
}

Solution solve_ivp(const Rhs& f, const Array& t0_in, const Array& t1_in, const Arrays& y0_in,
                   const IvpOptions& options) {
  const bool by_cvode = is_cvode_method(options.method);
  const Tableau& method = explicit_tableau(by_cvode ? "Tsit5" : options.method);
  const Array t0 = time_of(t0_in, "t0"), t1 = time_of(t1_in, "t1");
  require(!y0_in.empty(), "solve_ivp: y0 holds no arrays");
  Arrays y0;
  for (const Array& y : y0_in) y0.push_back(y.is_weak() ? astype(y, y.dtype()) : y);
  const size_t n = y0.size();
  require(options.atol.size() == 1 || options.atol.size() == n, "solve_ivp: atol holds ", options.atol.size(),
          " arrays, expected one, or one for each of the ", n, " of the state");
  check_positive(options.rtol, "rtol", true, true);
  for (const Array& a : options.atol) check_positive(a, "atol", true, false);
  if (options.first_step) check_positive(*options.first_step, "first_step", false, true);
  if (options.max_step) check_positive(*options.max_step, "max_step", false, true);
  require(options.max_steps > 0, "solve_ivp: max_steps is ", options.max_steps, ", expected 1 or more");
  require(method.error_order > 0 || options.first_step, "solve_ivp: ", method.name,
          " has no error estimate: its step is first_step, which is missing");
  if (is_constant(t0) && is_constant(t1))
    require(std::isfinite(t0.item<double>()) && std::isfinite(t1.item<double>()), "solve_ivp: the span from ",
            t0.item<double>(), " to ", t1.item<double>(), " is not finite");

  Arrays operands;
  const Field field = record(f, y0, operands);
  operands.push_back(options.rtol);
  for (size_t i = 0; i < n; ++i) {
    const Array& a = options.atol[options.atol.size() == 1 ? 0 : i];
    try {
      require(broadcast_shapes("solve_ivp", a.shape(), y0[i].shape()) == y0[i].shape(), "");
    } catch (const ValueError&) {
      throw ValueError(concat("solve_ivp: atol of shape ", a.shape(), " does not fit array ", i,
                              " of the state, of shape ", y0[i].shape()));
    }
    operands.push_back(a);
  }
  for (size_t i = field.num_captures; i < operands.size(); ++i) operands[i] = stop_gradient(operands[i]);
  if (by_cvode) {
    const auto captured = operands.begin() + static_cast<int64_t>(field.num_captures);
    return solve_cvode(
        {field.graph, {operands.begin(), captured}, t0, t1, y0, options.rtol, {captured + 1, operands.end()}},
        options);
  }
  std::optional<Array> max_step;
  if (options.max_step) max_step = stop_gradient(astype(*options.max_step, kFloat64));
  const Stepper stepper(method, field, max_step, n);

  const Array direction = stop_gradient(astype(where(t1 >= t0, 1.0, -1.0), kFloat64));
  const Arrays f0 = field(t0, y0, operands);
  Array h = options.first_step ? stop_gradient(astype(*options.first_step, kFloat64))
                               : stepper.guess(t0, t1, direction, y0, f0, operands);
  if (max_step) h = minimum(h, *max_step);
  using State = Stepper::State;
  State state = stepper.start(t0, y0, f0, h);
  Array allowed = logical_and(isfinite(t1 - t0), all(options.rtol >= 0.0));
  for (const Array& a : options.atol) allowed = logical_and(allowed, all(a >= 0.0));
  if (options.first_step) allowed = logical_and(allowed, *options.first_step > 0.0);
  if (options.max_step) allowed = logical_and(allowed, *options.max_step > 0.0);
  state.status =
      stop_gradient(where(allowed, where(h > 0.0, state.status, static_cast<int64_t>(IvpStatus::NotFinite)),
                          static_cast<int64_t>(IvpStatus::BadOptions)));
  const auto goes_on = [&](const State& s, const Array& end) {
    return logical_and(logical_and(equal(s.status, kSuccess), (end - s.t) * direction > 0.0),
                       s.accepted + s.rejected < options.max_steps);
  };
  const auto unfinished = [&](State& s, const Array& end) {
    s.status = where(logical_and(equal(s.status, kSuccess), (end - s.t) * direction > 0.0),
                     static_cast<int64_t>(IvpStatus::TooManySteps), s.status);
  };

  Solution out;
  if (options.t_eval) {
    const Array& given = *options.t_eval;
    require(given.ndim() == 1, "solve_ivp: t_eval has shape ", given.shape(), ", expected one axis");
    require<TypeError>(!is_complex(given.dtype()) && given.dtype() != kBool && given.dtype() != DType::Key,
                       "solve_ivp: t_eval has dtype ", given.dtype(), ", expected real numbers");
    out.t = astype(given, kFloat64);
    const Array ok = in_order(out.t, t0, t1, direction);
    require(!is_constant(ok) || ok.item<bool>(),
            "solve_ivp: t_eval must ascend within t_span, in its direction");
    state.status = where(logical_or(ok, not_equal(state.status, kSuccess)), state.status,
                         static_cast<int64_t>(IvpStatus::BadTimes));
    const Arrays all = scan(
        [&](std::span<const Array> x) {
          const Array& t = x.back();
          const Array end = stepper.interpolates() ? t1 : t;
          const Arrays last =
              while_loop([&](std::span<const Array> c) { return Arrays{goes_on(stepper.unpack(c), t)}; },
                         [&](std::span<const Array> c) {
                           return stepper.pack(stepper.attempt(stepper.unpack(c), end, direction, operands));
                         },
                         Arrays(x.begin(), x.end() - 1));
          State s = stepper.unpack(last);
          unfinished(s, t);
          Arrays result = stepper.pack(s);
          const Arrays y = stepper.interpolates() ? stepper.interpolate(s, t) : s.y;
          for (const Array& a : y)
            result.push_back(where(equal(s.status, kSuccess), a, astype(Array(std::nan("")), a.dtype())));
          return result;
        },
        stepper.pack(state), {out.t});
    state = stepper.unpack(std::span<const Array>(all).first(all.size() - n));
    out.y.assign(all.end() - static_cast<int64_t>(n), all.end());
  } else {
    Arrays inputs = stepper.pack(state);
    const size_t carries = inputs.size();
    for (const Array& a : {t1, direction}) inputs.push_back(a);
    append(inputs, operands);
    require<TraceError>(
        std::none_of(inputs.begin(), inputs.end(), [](const Array& a) { return a.is_symbol(); }),
        "solve_ivp: how many steps there are depends on values; give t_eval, the times of the "
        "solution, under vmap, compile and in loops");
    Avals avals;
    for (const Array& a : inputs) avals.push_back(aval(a));
    const Compiled step = compile(
        [&](std::span<const Array> x) {
          return stepper.pack(
              stepper.attempt(stepper.unpack(x), x[carries], x[carries + 1], x.subspan(carries + 2)));
        },
        avals);
    std::vector<Array> t{t0};
    std::vector<Arrays> y(n);
    for (size_t i = 0; i < n; ++i) y[i].push_back(y0[i]);
    while (goes_on(state, t1).item<bool>()) {
      poll_interrupt();
      const Arrays next = step(inputs);
      std::copy(next.begin(), next.end(), inputs.begin());
      const State s = stepper.unpack(next);
      if (s.accepted.item<int64_t>() > state.accepted.item<int64_t>()) {
        t.push_back(s.t);
        for (size_t i = 0; i < n; ++i) y[i].push_back(s.y[i]);
      }
      state = s;
    }
    unfinished(state, t1);
    out.t = stack(t);
    for (size_t i = 0; i < n; ++i) out.y.push_back(stack(y[i]));
  }
  out.status = stop_gradient(state.status);
  out.accepted = state.accepted;
  out.rejected = state.rejected;
  out.evaluations =
      (state.accepted + state.rejected) * stepper.evaluations() + int64_t{options.first_step ? 1 : 2};
  out.t_last = state.t;
  out.h_last = state.h;
  if (options.throw_on_failure) {
    const auto nothing = [] { return Arrays{Array(int64_t{-1}), Array(int64_t{-1})}; };
    const Array failed = logical_or(equal(out.status, static_cast<int64_t>(IvpStatus::StepTooSmall)),
                                    equal(out.status, static_cast<int64_t>(IvpStatus::NotFinite)));
    Arrays which = nothing();
    if (stepper.adapts() && !failed.has_data())
      which = cond(
          failed, [&](std::span<const Array>) { return stepper.limiting(state, direction, operands); },
          [&](std::span<const Array>) { return nothing(); }, {});
    else if (stepper.adapts() && failed.item<bool>())
      which = stepper.limiting(state, direction, operands);
    for (Array& y : out.y)
      y = apply1(the<CompletedOp>(), {y, out.status, stop_gradient(state.t), stop_gradient(state.h),
                                      stop_gradient(which[0]), stop_gradient(which[1])});
  }
  return out;
}

}  // namespace hesse::solvers
