#include "solvers/switching.h"

#include <algorithm>
#include <cmath>

#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/cvode.h"
#include "solvers/explicit.h"
#include "solvers/field_tangent.h"
#include "solvers/lists.h"
#include "solvers/rosenbrock.h"

namespace hesse::solvers {
namespace {

/// (df/dy) v, of constants.
class JacobianProduct {
 public:
  JacobianProduct(const Field& field, const Packing& flat)
      : time_(field.time),
        num_captures_(field.num_captures),
        flat_(flat),
        tangents_(tangents_of(field, 1, 1 + field.num_arrays())) {}
  Array operator()(const Array& t, std::span<const Array> y, std::span<const Array> operands,
                   const Array& v) const {
    return tangent_in(tangents_, flat_, time_, num_captures_, stop_gradient(t), stopped(y),
                      stopped(operands.first(num_captures_)), flat_.unpack(v));
  }

 private:
  DType time_;
  size_t num_captures_;
  Packing flat_;
  DerivedGraph tangents_;
};

/// Something with a part in every direction, of length 1.
Array start_vector(const Packing& flat) {
  const int64_t n = flat.size();
  if (n == 0) return zeros({0}, flat.dtype());
  const Array v = 1.0 + 0.5 * cos(arange(1, static_cast<double>(n) + 1, 1, kFloat64));
  return astype(v / sqrt(sum(square(v))), flat.dtype());
}

/// |J v| of v of length 1, and J v of length 1: v where that is nothing.
std::pair<Array, Array> power_step(const Array& product, const Array& v) {
  if (v.size() == 0) return {Array(0.0), v};
  const Array size = norm2(product), usable = logical_and(isfinite(size), size > 0.0);
  return {astype(where(usable, size, 0.0), kFloat64), where(usable, product / where(usable, size, 1.0), v)};
}

const RosenbrockTableau& stiff_tableau() {
  return *std::ranges::find(rosenbrock_tableaus(), "Rodas5P", &RosenbrockTableau::name);
}

class Switching final : public Method {
 public:
  explicit Switching(Field field)
      : Method(std::move(field)),
        n_(field_.num_arrays()),
        flat_(real_state(field_, "auto")),
        product_(field_, flat_),
        explicit_(make_explicit(explicit_tableau("Tsit5"), field_)),
        stiff_(make_rosenbrock(stiff_tableau(), field_)) {}

  std::string_view name() const override { return "auto"; }
  int error_order() const override { return 4; }  // of both
  bool interpolates() const override { return true; }
  bool iterates() const override { return true; }
  int64_t evaluations() const override { return 0; }
  // f at the end, whether the next step is stiff, signs that it should be otherwise, steps that were stiff,
  // v.
  size_t num_kept() const override { return n_ + 4; }
  // Whether the step was stiff, what the one interpolant needs, what the other one does.
  size_t num_dense() const override { return 1 + explicit_->num_dense() + stiff_->num_dense(); }
  Arrays kept_at_start(const Arrays& f0) const override {
    Arrays out = f0;
    append(out, Arrays{broadcast_to(Array(false), {}), zeros({}, kFloat64), zeros({}, kFloat64),
                       start_vector(flat_)});
    return out;
  }
  Arrays kept_afresh(const Arrays& f, std::span<const Array> kept) const override {
    Arrays out = f;
    append(out, kept.subspan(n_));
    return out;
  }
  Arrays dense_at_start(const Arrays& y0, const Arrays& f0) const override {
    Arrays out{broadcast_to(Array(false), {})};
    append(out, explicit_->dense_at_start(y0, f0));
    append(out, stiff_->dense_at_start(y0, f0));
    return out;
  }
  std::optional<Array> implicit_steps(std::span<const Array> kept) const override {
    return astype(kept[n_ + 2], DType::Int64);
  }

  Step step(const Array& t, const Array& h, std::span<const Array> y, std::span<const Array> kept,
            std::span<const Array> operands) const override {
    const Array &stiff = kept[n_], &signs = kept[n_ + 1], &steps = kept[n_ + 2], &v = kept[n_ + 3];
    // Both return y, f at the end, what both interpolants need, and the error.
    const auto joined = [&](const Step& s, const Arrays& f_end, const Arrays& first, const Arrays& second) {
      Arrays out = s.y;
      for (const Arrays* part : {&f_end, &first, &second, &s.errors[0]}) append(out, *part);
      return out;
    };
    const Arrays nothing = zeros_as(y);
    const Arrays at_start = dense_at_start(nothing, nothing);
    const auto first_dense = static_cast<int64_t>(explicit_->num_dense());
    const Arrays no_first(at_start.begin() + 1, at_start.begin() + 1 + first_dense),
        no_second(at_start.begin() + 1 + first_dense, at_start.end());
    const auto stiff_step = [&](std::span<const Array>) {
      const Step s = stiff_->step(t, h, y, {}, operands);
      return joined(s, field_(t + h, s.y, operands), no_first, s.dense);
    };
    const auto explicit_step = [&](const Array& size) {
      const Step s = explicit_->step(t, size, y, kept.first(n_), operands);
      return joined(s, s.kept, s.dense, no_second);
    };
    // Of few unknowns both are made and one is taken: no branches in what becomes machine code. Where the
    // step is stiff the explicit one stays where it is, as it might overflow.
    const bool both = flat_.size() <= kFew;
    Arrays out = both ? explicit_step(where(stiff, zeros_like(h), h))
                      : cond(stiff, stiff_step, [&](std::span<const Array>) { return explicit_step(h); }, {});
    if (both) {
      const Arrays other = stiff_step({});
      for (size_t i = 0; i < out.size(); ++i) out[i] = where(stiff, other[i], out[i]);
    }
    const std::span<const Array> all(out);
    const size_t dense = num_dense() - 1;
    Step next;
    append(next.y, all.first(n_));
    append(next.kept, all.subspan(n_, n_));
    next.dense = {stiff};
    append(next.dense, all.subspan(2 * n_, dense));
    append(next.errors.emplace_back(), all.subspan(2 * n_ + dense, n_));
    next.evaluations = where(stiff, Array(stiff_->evaluations() + 1), Array(explicit_->evaluations()));

    const auto [radius, direction] = power_step(product_(t, y, operands, v), v);
    const Array reach = stop_gradient(abs(h)) * radius;
    const Array sign = where(stiff, reach<2.0, reach> 3.0);
    // Counts are floating: loops of few scalars have these as machine code.
    const Array count = where(sign, signs + 1.0, maximum(signs - 1.0, 0.0));
    const Array change = count >= where(stiff, 5.0, 8.0);
    append(next.kept, Arrays{logical_xor(stiff, change), where(change, 0.0, count),
                             steps + where(stiff, 1.0, 0.0), stop_gradient(direction)});
    return next;
  }

  Arrays interpolate(const Segment& s, const Array& t) const override {
    const auto first = static_cast<int64_t>(1 + explicit_->num_dense());
    const Arrays f_end(s.kept.begin(), s.kept.begin() + static_cast<int64_t>(n_));
    const Arrays a = explicit_->interpolate(
        {s.t_begin, s.t_end, s.y_begin, s.y_end, f_end, {s.dense.begin() + 1, s.dense.begin() + first}}, t);
    const Arrays b = stiff_->interpolate(
        {s.t_begin, s.t_end, s.y_begin, s.y_end, {}, {s.dense.begin() + first, s.dense.end()}}, t);
    Arrays out;
    for (size_t j = 0; j < n_; ++j) out.push_back(where(s.dense[0], b[j], a[j]));
    return out;
  }

 private:
  static constexpr int64_t kFew = 8;
  static Arrays zeros_as(std::span<const Array> y) {
    Arrays out;
    for (const Array& a : y) out.push_back(zeros_of(aval(a)));
    return out;
  }
  size_t n_;
  Packing flat_;
  JacobianProduct product_;
  std::unique_ptr<const Method> explicit_, stiff_;
};

}  // namespace

std::unique_ptr<const Method> make_switching(Field field) {
  return std::make_unique<Switching>(std::move(field));
}

std::string chosen_method(const Rhs& f, const Array& t0, const Array& t1, const Arrays& y0, bool multistep) {
  constexpr int64_t kMostEntries = 256;
  constexpr int kIterations = 30;
  int64_t entries = 0;
  for (const Array& y : y0) {
    if (is_complex(y.dtype())) return "Tsit5";
    entries += y.size();
  }
  if (entries <= kMostEntries || t0.ndim() != 0 || t1.ndim() != 0) return "auto";
  Arrays operands;
  const Field field = record(f, y0, operands);
  const auto has_data = [](const Array& a) { return a.has_data(); };
  if (!std::ranges::all_of(y0, has_data) || !std::ranges::all_of(operands, has_data) || !t0.has_data() ||
      !t1.has_data())
    return multistep ? "BDF" : "Tsit5";
  const Packing flat = real_state(field, "auto");
  const JacobianProduct product(field, flat);
  Array v = start_vector(flat);
  double radius = 0;
  for (int i = 0; i < kIterations; ++i) {
    auto [size, next] = power_step(product(t0, y0, operands, v), v);
    radius = size.item<double>();
    v = std::move(next);
  }
  const double span = std::abs(astype(t1 - t0, kFloat64).item<double>());
  if (radius * span <= 3.3 * 1000) return "Tsit5";
  return multistep ? "BDF" : "Rodas5P";
}

}  // namespace hesse::solvers
