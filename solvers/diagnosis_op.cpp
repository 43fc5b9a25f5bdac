#include <cmath>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/status.h"
#include "solvers/diagnosis.h"
#include "solvers/lanes.h"
#include "solvers/lists.h"
#include "solvers/ode.h"
#include "solvers/stepper.h"

namespace hesse::solvers {
namespace {

Array number(int64_t v) { return Array::from<int64_t>(std::span<const int64_t>(&v, 1), {}); }
Array number(double v) { return Array::from<double>(std::span<const double>(&v, 1), {}); }
Array code(IvpCause cause) { return number(static_cast<int64_t>(cause)); }

/// The first entry of a list of arrays that is not finite.
struct Bad {
  Array array = number(int64_t{-1}), entry = number(int64_t{-1});
  Array any() const { return array >= int64_t{0}; }
};
Bad first_bad(std::span<const Array> x) {
  Bad out;
  for (size_t j = x.size(); j-- > 0;) {
    if (x[j].size() == 0) continue;
    const Array bad = reshape(logical_not(isfinite(x[j])), {-1}), here = any(bad);
    out.array = where(here, static_cast<int64_t>(j), out.array);
    out.entry = where(here, argmax(astype(bad, kInt64)), out.entry);
  }
  return out;
}

// 1 + cos(k)/2: a part in every direction, of length 1 together.
Arrays start_vector(std::span<const Array> like) {
  Arrays v;
  Array squares(0.0);
  for (const Array& a : like) {
    const Array k = arange(1, static_cast<double>(a.size()) + 1, 1, kFloat64);
    v.push_back(reshape(1.0 + 0.5 * cos(k), a.shape()));
    squares = squares + sum(square(v.back()));
  }
  for (size_t i = 0; i < v.size(); ++i) v[i] = astype(v[i] / sqrt(maximum(squares, 1e-300)), like[i].dtype());
  return v;
}
Array norm_of(std::span<const Array> x) {
  Array squares(0.0);
  for (const Array& a : x) squares = squares + sum(square(astype(abs(a), kFloat64)));
  return sqrt(squares);
}

/// Why an attempt is not accepted. Inputs: the status (IvpStatus), t, h, direction, y..., kept...,
/// operands... of a step. Zeros where it was: nothing is evaluated there, nor recorded before a solve gives
/// up.
class DiagnosisOp final : public NonDifferentiable {
 public:
  DiagnosisOp(std::string method, Field field, size_t num_kept)
      : method_(std::move(method)), field_(std::move(field)), num_kept_(num_kept) {}
  std::string_view name() const override { return "ivp_diagnosis"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override {
    Params out{{"method", method_},
               {"field", field_.graph},
               {"captures", static_cast<int64_t>(field_.num_captures)},
               {"entries", field_.entries},
               {"time", field_.time},
               {"kept", static_cast<int64_t>(num_kept_)}};
    for (const auto& part : field_.parts) out.emplace_back("part", part);
    for (const auto& [key, capture] :
         {std::pair("mass", field_.mass), std::pair("unreached", field_.unreached)})
      if (capture) out.emplace_back(key, static_cast<int64_t>(*capture));
    return out;
  }
  Avals infer(std::span<const Aval>) const override {
    const Aval whole{{}, kInt64}, real{{}, kFloat64};
    return {whole, whole, whole, real, real};
  }
  Arrays eval(std::span<const Array> x) const override {
    if (!gave_up(x[0])) return Diagnosis::nothing();
    const FailureScope failures;  // what fails here was to be expected
    try {
      Avals avals;
      for (const Array& a : x) avals.push_back(aval(a));
      return trace_closed([&](std::span<const Array> in) { return diagnosed(in); }, avals)->run(x);
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception&) {  // foreign code in f: the status is what is known
      const bool steps = static_cast<IvpStatus>(x[0].item<int64_t>()) == IvpStatus::TooManySteps;
      return {code(steps ? IvpCause::Steps : IvpCause::ErrorTest), number(int64_t{-1}), number(int64_t{-1}),
              number(std::nan("")), number(std::nan(""))};
    }
  }
  bool has_lane_kernel() const override { return true; }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const Arrays none = Diagnosis::nothing();
    for (size_t k = 0; k < out.size(); ++k) {
      View zero = none[k].view();
      zero.shape = out[k].shape;
      zero.strides = Strides(out[k].shape.size(), 0);
      cpu::assign(zero, out[k]);
    }
    for_each_failure(x[0], [&](const Dims& lane) {
      const Arrays found = eval(copied(x, lane));
      for (size_t k = 0; k < out.size(); ++k) cpu::assign(found[k].view(), at_lane(out[k], lane));
    });
  }

 private:
  // The attempt that was rejected: of the step before its size was reduced, by 0.2 where it was not finite,
  // and by no less otherwise.
  Arrays diagnosed(std::span<const Array> x) const {
    const Stepper stepper(make_method(method_, field_), std::nullopt);
    const Method& method = stepper.method();
    const size_t n = field_.num_arrays();
    const auto part = [&](size_t begin, size_t count) {
      return Arrays(x.begin() + static_cast<int64_t>(begin), x.begin() + static_cast<int64_t>(begin + count));
    };
    const Array &status = x[0], &t = x[1], &direction = x[3];
    const Arrays y = part(4, n), kept = part(4 + n, num_kept_),
                 operands = part(4 + n + num_kept_, x.size() - 4 - n - num_kept_);
    const auto is = [&](IvpStatus s) { return equal(status, static_cast<int64_t>(s)); };
    const Array least = maximum(16 * 2.220446049250313e-16 * abs(t), 1e-200);
    const Array h = maximum(where(is(IvpStatus::NotFinite), 5.0, 1.0) * x[2], least);
    const Array far = maximum(8.0 * x[2], least);  // f is asked a little beyond it

    const Arrays f0 = field_(t, y, operands), dy = field_.mass ? field_.slopes(t, y, operands) : f0;
    Arrays both = y, ahead;
    append(both, f0);
    for (size_t j = 0; j < n; ++j) {  // dy/dt may not be finite where f is: the mass matrix is singular there
      const Array slope = where(isfinite(dy[j]), dy[j], zeros_like(dy[j]));
      ahead.push_back(y[j] + astype(direction * far, real_dtype(y[j].dtype())) * slope);
    }
    const Arrays f1 = field_(t + direction * far, ahead, operands);
    Bad here = first_bad(both);
    here.array =
        where(here.array >= static_cast<int64_t>(n), here.array - static_cast<int64_t>(n), here.array);
    const Bad beyond = first_bad(f1);

    const Stepper::Attempted attempt = stepper.attempted_once(t, h, direction, y, kept, operands);
    const bool implicit = method.factorisations() > 0 || method.iterates();
    const Array unknown = code(implicit ? IvpCause::Singular : IvpCause::NotFiniteBeyond);
    const Array finite = isfinite(attempt.excess), is_beyond = logical_and(beyond.any(), logical_not(finite));
    Array cause = where(finite, where(attempt.solved, code(IvpCause::ErrorTest), code(IvpCause::Equations)),
                        where(is_beyond, code(IvpCause::NotFiniteBeyond), unknown));
    cause = where(here.any(), code(IvpCause::NotFinite), cause);
    cause = where(is(IvpStatus::TooManySteps), code(IvpCause::Steps), cause);
    const auto which = [&](const Array& of_here, const Array& of_beyond, const Array& of_attempt) {
      const Array of_f = where(here.any(), of_here, where(is_beyond, of_beyond, of_attempt));
      return where(is(IvpStatus::TooManySteps), of_attempt, of_f);
    };
    Arrays in{astype(t, field_.time)};
    append(in, y);
    append(in, std::span<const Array>(operands).first(field_.num_captures));
    return {cause, which(here.array, beyond.array, attempt.array),
            which(here.entry, beyond.entry, attempt.entry), attempt.excess,
            spectral_radius(field_.graph, in)};
  }

  std::string method_;
  Field field_;
  size_t num_kept_;
};

const bool registered =
    (register_ops(
         {{"ivp_diagnosis",
           [](const ReadParams& p) {
             const int64_t captures = p["captures"], kept = p["kept"];
             const auto optional = [&](std::string_view key) {
               if (!p.has(key)) return std::optional<size_t>();
               const int64_t capture = p[key];
               return std::optional(static_cast<size_t>(capture));
             };
             Field field{
                 p["field"],       static_cast<size_t>(captures), p["time"], p["entries"], p.graphs("part"),
                 optional("mass"), optional("unreached")};
             return make_op<DiagnosisOp>(std::string(p["method"]), std::move(field),
                                         static_cast<size_t>(kept));
           }}}),
     true);

}  // namespace

Arrays diagnose(const Stepper& stepper, const Array& direction, const Stepper::State& s, const Array& status,
                std::span<const Array> operands) {
  Arrays in{status, s.t, s.h, direction};
  for (const std::span<const Array> part : {std::span(s.y), std::span(s.kept), operands}) append(in, part);
  const Method& method = stepper.method();
  return hesse::apply(make_op<DiagnosisOp>(std::string(method.name()), method.field(), s.kept.size()),
                      stopped(in));
}

// v <- J v / |J v|; the radius is the geometric mean of |J v| in the later half.
Array spectral_radius(const Ref<const Graph>& f, std::span<const Array> in) {
  constexpr int64_t kProducts = 24, kFirst = 12;
  const auto n = static_cast<size_t>(f->num_outputs());
  std::vector<bool> marked(in.size(), false);
  for (size_t j = 0; j < n; ++j) marked[1 + j] = true;
  std::optional<DerivedGraph> d;
  try {
    d = derivatives().jvp(*without_effects(f), marked, std::vector<bool>(n, true), false);
  } catch (const TypeError&) {
  } catch (const ValueError&) {
  }
  if (!d) return number(std::nan(""));
  const Arrays x(in.begin(), in.end());
  Arrays carry = start_vector(std::span<const Array>(x).subspan(1, n));
  carry.push_back(number(0.0));
  const Arrays out = fori_loop(
      number(int64_t{0}), number(kProducts),
      [&](const Array& i, std::span<const Array> c) {
        Arrays at = x;
        append(at, c.first(n));
        Arrays next = d->graph->call(at);
        const Array size = norm_of(next), usable = logical_and(isfinite(size), size > 0.0);
        for (size_t j = 0; j < n; ++j) {
          const Array scaled = next[j] / astype(where(usable, size, 1.0), real_dtype(next[j].dtype()));
          next[j] = where(usable, scaled, c[j]);
        }
        next.push_back(c[n] + where(i >= kFirst, log(size), 0.0));
        return next;
      },
      carry);
  return exp(out[n] / static_cast<double>(kProducts - kFirst));
}

double spectral_radius_at(const Ref<const Graph>& f, std::span<const Array> in) {
  const FailureScope failures;
  try {
    Avals avals;
    for (const Array& a : in) avals.push_back(aval(a));
    return trace_closed([&](std::span<const Array> x) { return Arrays{spectral_radius(f, x)}; }, avals)
        ->run(in)[0]
        .item<double>();
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception&) {  // foreign code in f
    return std::nan("");
  }
}

}  // namespace hesse::solvers
