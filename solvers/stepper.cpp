#include "solvers/stepper.h"

#include <algorithm>
#include <cmath>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/program/unroll.h"
#include "solvers/lists.h"

namespace hesse::solvers {
namespace {

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

const bool registered = (register_ops({listed<AttemptOp>("ivp_attempt", "body")}), true);

// No error is none at any tolerance, also at none.
Array scaled(const Array& x, const Array& scale) { return where(equal(x, 0.0), zeros_like(x), x / scale); }

}  // namespace

Stepper::Stepper(std::unique_ptr<const Method> method, std::optional<Array> max_step)
    : method_(std::move(method)),
      max_step_(std::move(max_step)),
      n_(method_->field().num_arrays()),
      interpolates_(method_->interpolates()) {}

Arrays Stepper::pack(const State& s) const {
  Arrays out{s.t, s.h, s.norm, s.accepted, s.rejected, s.status};
  if (method_->iterates()) out.push_back(s.evaluations);
  append(out, s.y);
  append(out, s.kept);
  if (interpolates_) {
    out.push_back(s.t_last);
    append(out, s.y_last);
    append(out, s.dense);
  }
  return out;
}

Stepper::State Stepper::unpack(std::span<const Array> x) const {
  size_t at = 6;
  const auto next = [&](size_t count) {
    at += count;
    return Arrays(x.begin() + static_cast<int64_t>(at - count), x.begin() + static_cast<int64_t>(at));
  };
  State s{x[0], x[1], x[2], x[3], x[4], x[5], x[4], {}, {}, x[0], {}, {}};
  if (method_->iterates()) s.evaluations = x[at++];
  s.y = next(n_);
  s.kept = next(method_->num_kept());
  if (interpolates_) {
    s.t_last = x[at++];
    s.y_last = next(n_);
    s.dense = next(method_->num_dense());
  }
  return s;
}

Stepper::State Stepper::start(const Array& t0, const Arrays& y0, const Arrays& f0, const Array& h) const {
  const Array none(int64_t{0});
  return {t0,
          stop_gradient(h),
          Array::from<double>(std::array{1e-4}, {}),
          none,
          none,
          none,
          none,
          y0,
          method_->kept_at_start(f0),
          t0,
          y0,
          method_->dense_at_start(y0, f0)};
}

// One attempt as a graph: t, step, y..., kept..., operands... to y..., kept..., dense..., norm (where steps
// adapt).
struct Stepper::Parts {
  std::span<const Array> y, kept, operands;
};
Stepper::Parts Stepper::parts(std::span<const Array> in) const {
  const size_t kept = method_->num_kept();
  return {in.subspan(2, n_), in.subspan(2 + n_, kept), in.subspan(2 + n_ + kept)};
}
Arrays Stepper::inputs(const State& s, const Array& step, std::span<const Array> operands) const {
  Arrays in{s.t, step};
  append(in, s.y);
  append(in, s.kept);
  append(in, operands);
  return in;
}

Arrays Stepper::attempted(std::span<const Array> in) const {
  const Parts p = parts(in);
  const Method::Step step = method_->step(in[0], in[1], p.y, p.kept, p.operands);
  Arrays out = step.y;
  append(out, step.kept);
  if (interpolates_) append(out, step.dense);
  if (method_->iterates()) out.push_back(step.evaluations);
  if (!adapts()) return out;
  const auto n = static_cast<double>(std::max<int64_t>(1, method_->field().entries));
  const Array first = squares(step.errors[0], p.y, step.y, p.operands);
  if (step.errors.size() == 1) {
    out.push_back(sqrt(first / n));
  } else {  // |e|^2 / sqrt(|e|^2 + |e_2|^2 / 100)
    const Array below = first + 0.01 * squares(step.errors[1], p.y, step.y, p.operands);
    out.push_back(first / sqrt(where(equal(below, 0.0), 1.0, below) * n));
  }
  return out;
}

Arrays Stepper::gated(const Arrays& in) const {
  Avals avals;
  for (const Array& a : in) avals.push_back(aval(a));
  return hesse::apply(
      make_op<AttemptOp>(trace_closed([this](std::span<const Array> x) { return attempted(x); }, avals)), in);
}

Stepper::State Stepper::attempt(const State& s, const Array& end, const Array& direction,
                                std::span<const Array> operands) const {
  const Array left = (end - s.t) * direction;
  const Array clipped = s.h * (1.0 + 1e-10) >= left;
  const Array step = where(clipped, end - s.t, direction * s.h);
  const Arrays in = inputs(s, step, operands), out = adapts() ? gated(in) : attempted(in);
  size_t at = 0;
  const auto part = [&](size_t count) {
    at += count;
    return std::span<const Array>(out).subspan(at - count, count);
  };

  State next = s;
  const Array one(int64_t{1}), none(int64_t{0});
  Array accept(true);
  if (adapts()) {
    const Array norm = stop_gradient(out.back());
    accept = norm <= 1.0;
    control(next, s, norm, accept, clipped, stop_gradient(abs(step)));
  } else {
    for (const Array& y : std::span<const Array>(out).first(n_))
      accept = logical_and(accept, all(isfinite(y)));
    next.status = where(accept, s.status, static_cast<int64_t>(IvpStatus::NotFinite));
  }
  next.accepted = s.accepted + where(accept, one, none);
  next.rejected = s.rejected + where(accept, none, one);
  next.t = where(accept, where(clipped, end, s.t + step), s.t);
  next.y = select(accept, part(n_), s.y);
  next.kept = select(accept, part(s.kept.size()), s.kept);
  if (interpolates_) {
    next.t_last = where(accept, s.t, s.t_last);
    next.y_last = select(accept, s.y, s.y_last);
    next.dense = select(accept, part(s.dense.size()), s.dense);
  }
  if (method_->iterates()) next.evaluations = s.evaluations + part(1)[0];
  return next;
}

Array Stepper::guess(const Array& t0, const Array& t1, const Array& direction, const Arrays& y0,
                     const Arrays& f0, std::span<const Array> operands) const {
  const auto size = [&](const Arrays& x) {
    const auto n = static_cast<double>(std::max<int64_t>(1, method_->field().entries));
    return sqrt(squares(x, y0, y0, operands) / n);
  };
  const Array d0 = size(y0), d1 = size(f0);
  Array h0 = where(logical_or(d0 < 1e-5, d1 < 1e-5), 1e-6, 0.01 * d0 / where(d1 < 1e-5, 1.0, d1));
  h0 = minimum(h0, where(equal(t0, t1), 1.0, abs(t1 - t0)));  // f may not exist beyond
  if (max_step_) h0 = minimum(h0, *max_step_);
  Arrays y1, change;
  for (size_t j = 0; j < n_; ++j)
    y1.push_back(y0[j] + astype(direction * h0, real_dtype(y0[j].dtype())) * f0[j]);
  const Arrays f1 = method_->field().slopes(t0 + direction * h0, y1, operands);
  for (size_t j = 0; j < n_; ++j) change.push_back(f1[j] - f0[j]);
  const Array d2 = size(change) / h0, most = maximum(d1, d2);
  const Array h1 = where(most <= 1e-15, maximum(Array(1e-6), 1e-3 * h0),
                         pow(0.01 / where(most <= 1e-15, 1.0, most), 1.0 / (method_->error_order() + 1.0)));
  const Array h = minimum(100.0 * h0, h1);
  const Array guessed = where(isfinite(h), h, h0);
  return stop_gradient(max_step_ ? minimum(guessed, *max_step_) : guessed);
}

Stepper::Attempted Stepper::attempted_once(const Array& t, const Array& h, const Array& direction,
                                           const Arrays& y, const Arrays& kept,
                                           const Arrays& operands) const {
  const Method::Step step = method_->step(t, direction * h, y, kept, operands);
  const Array solved = step.solved ? *step.solved : Array(true), none(int64_t{-1});
  if (!adapts()) return {none, none, Array(std::nan("")), solved};
  Array largest(-1.0), array = none, entry = none;
  for (size_t j = 0; j < n_; ++j) {
    if (y[j].size() == 0) continue;
    const Array r = reshape(abs(scaled(step.errors[0][j], scale(y[j], step.y[j], j, operands))), {-1});
    const Array size = where(isnan(r), INFINITY, astype(r, kFloat64)), most = max(size);
    const Array larger = greater(most, largest);
    array = where(larger, static_cast<int64_t>(j), array);
    entry = where(larger, argmax(size), entry);
    largest = where(larger, most, largest);
  }
  return {array, entry, largest, solved};
}

Array Stepper::scale(const Array& y, const Array& y_next, size_t j, std::span<const Array> operands) const {
  const DType real = real_dtype(y.dtype());
  const size_t captures = method_->field().num_captures;
  const Array &rtol = operands[captures], &atol = operands[captures + 1 + j];
  return stop_gradient(astype(atol, real) + astype(rtol, real) * maximum(abs(y), abs(y_next)));
}

// The sum of squares of x over its scale.
Array Stepper::squares(const Arrays& x, std::span<const Array> y, std::span<const Array> y_next,
                       std::span<const Array> operands) const {
  Array out(0.0);
  for (size_t j = 0; j < n_; ++j) {
    const Array r = scaled(x[j], scale(y[j], y_next[j], j, operands));
    out = out + sum(square(astype(is_complex(r.dtype()) ? abs(r) : r, kFloat64)));
  }
  return out;
}

// Proportional-integral control (Hairer, Norsett, Wanner I, II.4): next.h, next.norm, next.status.
void Stepper::control(State& next, const State& s, const Array& norm, const Array& accept,
                      const Array& clipped, const Array& step) const {
  const double beta = 0.04, alpha = 1.0 / (method_->error_order() + 1.0) - 0.75 * beta;
  const Array finite = isfinite(norm), size = where(finite, maximum(norm, 1e-10), 1.0);
  // Powers of positive numbers, as programs compute them fastest.
  const Array shrunk = -alpha * log(size), grown = 0.9 * exp(shrunk);
  const Array factor = where(accept, clip(0.9 * exp(shrunk + beta * log(s.norm)), Array(0.2), Array(10.0)),
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

}  // namespace hesse::solvers
