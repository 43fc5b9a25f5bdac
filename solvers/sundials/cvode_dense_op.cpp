#include "solvers/sundials/cvode_dense_op.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/lists.h"
#include "solvers/spans.h"

namespace hesse::solvers::sundials {
namespace {

enum Steps : size_t { kEnds, kSizes, kCoefficients, kNumSteps };

class CvodeDenseOp final : public General {
 public:
  CvodeDenseOp(const Ref<const Graph>& field, const CvodeOptions& options, Avals state)
      : field_(field),
        options_(options),
        state_(std::move(state)),
        solution_(cvode_op(without_effects(field), options.silent())) {}
  std::string_view name() const override { return "cvode_dense"; }
  Params params() const override {
    Params out = params_of(options_);
    out.emplace_back("field", field_);
    out.emplace_back("dtypes", dtypes());
    return out;
  }
  Avals infer(std::span<const Aval> x) const override {
    require(x.size() == num_base() + kNumSteps && x[operand::times].shape.size() == 1 &&
                x[num_base() + kCoefficients].shape.size() == 3 &&
                x[num_base() + kCoefficients].shape[2] == state_.size(),
            name(), ": the operands do not fit the field");
    Avals out = state_.parts();
    for (Aval& a : out) a.shape.insert(0, x[operand::times].shape[0]);
    return out;
  }
  Arrays eval(std::span<const Array> x) const override;
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override;

 private:
  size_t num_base() const {
    return cvode_operand::parameters + static_cast<size_t>(field_->num_inputs()) - 2;
  }
  Dims dtypes() const {
    Dims out;
    for (const Aval& a : state_.parts()) out.push_back(static_cast<int64_t>(a.dtype));
    return out;
  }
  /// The operands of `cvode` with the times in their order, the states there, and where each time is in that.
  struct Sorted {
    Arrays x;
    Array y, order, back;
  };
  Sorted sorted(std::span<const Array> x, std::span<const Array> y) const;

  Ref<const Graph> field_;
  CvodeOptions options_;
  FlatState state_;
  OpRef solution_;
};

// Memory traffic: of each time (D + 1) N numbers read, N written.
Arrays CvodeDenseOp::eval(std::span<const Array> x) const {
  const std::vector<double> times = x[operand::times].to_vector<double>();
  const std::span<const Array> steps = x.subspan(num_base());
  const std::vector<double> ends = steps[kEnds].to_vector<double>(),
                            sizes = steps[kSizes].to_vector<double>(),
                            c = steps[kCoefficients].to_vector<double>();
  const auto n = static_cast<size_t>(state_.size()), rows = c.size() / std::max<size_t>(ends.size() * n, 1);
  const double direction = ends.back() >= x[operand::t0].item<double>() ? 1.0 : -1.0;
  std::vector<double> y(times.size() * n);
  double* out = y.data();
  for (const double t : times) {
    const auto at = std::partition_point(ends.begin(), ends.end() - 1,
                                         [&](double end) { return (t - end) * direction > 0; });
    const auto i = static_cast<size_t>(at - ends.begin());
    const double s = sizes[i] == 0 ? 0 : (t - ends[i]) / sizes[i];
    for (size_t k = 0; k < n; ++k) {
      double sum = 0;
      for (size_t j = rows; j-- > 0;) sum = sum * s + c[(i * rows + j) * n + k];
      *out++ = sum;
    }
  }
  return state_.arrays(Array::from<double>(y, {static_cast<int64_t>(times.size()), state_.size()}), true);
}

CvodeDenseOp::Sorted CvodeDenseOp::sorted(std::span<const Array> x, std::span<const Array> y) const {
  const Array &times = x[operand::times], &t0 = x[operand::t0];
  const Array direction = direction_of(t0, getitem(x[num_base() + kEnds], {Index(-1)}));
  Sorted s{{x.begin(), x.begin() + static_cast<int64_t>(num_base())}, {}, {}, {}};
  s.order = argsort(stop_gradient(times * direction));
  s.back = argsort(s.order);
  s.x[operand::times] = gather(times, s.order);
  s.y = gather(FlatState::flat_rows({y.begin(), y.end()}), s.order);
  return s;
}

MaybeArrays CvodeDenseOp::jvp(std::span<const Array> x, std::span<const Array> y,
                              std::span<const MaybeArray> dx) const {
  const Sorted s = sorted(x, y);
  MaybeArrays base(dx.begin(), dx.begin() + static_cast<int64_t>(num_base())), out(y.size());
  if (MaybeArray& dt = base[operand::times]) dt = gather(*dt, s.order);
  const MaybeArray dy = solution_->jvp(s.x, Arrays{s.y}, base)[0];
  if (!dy) return out;
  const Arrays parts = state_.arrays(gather(*dy, s.back), true);
  return {parts.begin(), parts.end()};
}

std::optional<MaybeArrays> CvodeDenseOp::vjp(std::span<const Array> x, std::span<const Array> y,
                                             std::span<const MaybeArray> ct,
                                             const std::vector<bool>& wanted) const {
  MaybeArrays out(x.size());
  if (std::none_of(ct.begin(), ct.end(), [](const MaybeArray& c) { return c.has_value(); })) return out;
  const Sorted s = sorted(x, y);
  Arrays c;
  for (size_t i = 0; i < y.size(); ++i) c.push_back(ct[i] ? *ct[i] : zeros_like(y[i]));
  MaybeArrays cotangents(1 + kNumCounts);
  cotangents[0] = gather(FlatState::flat_rows(c), s.order);
  const std::vector<bool> want(wanted.begin(), wanted.begin() + static_cast<int64_t>(num_base()));
  const std::optional<MaybeArrays> g = solution_->vjp(s.x, Arrays{s.y}, cotangents, want);
  std::copy(g->begin(), g->end(), out.begin());
  if (MaybeArray& dt = out[operand::times]) dt = gather(*dt, s.back);
  return out;
}

const bool registered =
    (register_ops({{"cvode_dense",
                    [](const ReadParams& p) {
                      const CvodeOptions how = read_options(p);
                      const Dims dtypes = p["dtypes"];
                      Avals state;
                      for (size_t i = 0; i < dtypes.size(); ++i)
                        state.push_back({how.names.shapes[i], static_cast<DType>(dtypes[i])});
                      return make_op<CvodeDenseOp>(p["field"], how, state);
                    }}}),
     true);

}  // namespace

DenseOutput cvode_dense(const Ref<const Graph>& field, const CvodeOptions& options, const FlatState& state,
                        const Arrays& x, const Array& to, const Arrays& steps) {
  Arrays operands = x;
  operands.erase(operands.begin() + operand::times);
  append(operands, stopped(steps));
  Avals avals{{{1}, kFloat64}};
  for (const Array& a : operands) avals.push_back(aval(a));
  const Ref<const Graph> at = trace_closed(
      [&](std::span<const Array> in) {
        Arrays all(in.begin() + 1, in.end());
        all.insert(all.begin() + operand::times, in[0]);
        return hesse::apply(make_op<CvodeDenseOp>(field, options.silent(), state.parts()), all);
      },
      avals);
  return {at, x[operand::t0], to, direction_of(x[operand::t0], to), operands};
}

}  // namespace hesse::solvers::sundials
