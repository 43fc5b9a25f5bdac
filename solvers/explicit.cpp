#include "solvers/explicit.h"

#include "core/ops.h"

namespace hesse::solvers {
namespace {

class ExplicitRungeKutta final : public Method {
 public:
  ExplicitRungeKutta(const Tableau& tableau, Field field)
      : Method(std::move(field)), tableau_(tableau), n_(field_.num_arrays()) {}

  std::string_view name() const override { return tableau_.name; }
  int error_order() const override { return tableau_.error_order; }
  bool interpolates() const override { return !tableau_.middle.empty() || tableau_.order == 3; }
  int64_t evaluations() const override {
    return static_cast<int64_t>(tableau_.c.size()) - (tableau_.first_same_as_last ? 1 : 0);
  }
  size_t num_kept() const override { return n_; }                            // f at the end
  size_t num_dense() const override { return interpolates() ? 2 * n_ : 0; }  // f at the beginning, the middle
  Arrays kept_at_start(const Arrays& f0) const override { return f0; }
  Arrays dense_at_start(const Arrays& y0, const Arrays& f0) const override {
    if (!interpolates()) return {};
    Arrays out = f0;
    out.insert(out.end(), y0.begin(), y0.end());
    return out;
  }

  Step step(const Array& t, const Array& h, std::span<const Array> y, std::span<const Array> kept,
            std::span<const Array> operands) const override {
    std::vector<Arrays> k{Arrays(kept.begin(), kept.end())};
    Step out;
    for (size_t s = 1; s < tableau_.c.size(); ++s) {
      Arrays at;
      for (size_t j = 0; j < n_; ++j) at.push_back(moved(y[j], h, combined(k, tableau_.a[s], j)));
      if (s + 1 == tableau_.c.size() && tableau_.first_same_as_last) out.y = at;
      k.push_back(field_(t + tableau_.c[s] * h, at, operands));
    }
    if (out.y.empty())
      for (size_t j = 0; j < n_; ++j) out.y.push_back(moved(y[j], h, combined(k, tableau_.b, j)));
    out.kept = tableau_.first_same_as_last ? k.back() : field_(t + h, out.y, operands);
    if (interpolates()) {
      out.dense = k[0];
      for (size_t j = 0; j < n_; ++j) out.dense.push_back(middle(h, y, k, out, j));
    }
    for (const std::vector<double>* weights : {&tableau_.error, &tableau_.second_error}) {
      if (weights->empty()) continue;
      Arrays& error = out.errors.emplace_back();
      for (size_t j = 0; j < n_; ++j)
        error.push_back(astype(h, real_dtype(y[j].dtype())) * *combined(k, *weights, j));
    }
    return out;
  }

  // The polynomial of degree 4 through both ends, with their slopes, and the middle. At the end itself the
  // state, with f as its slope.
  Arrays interpolate(const Segment& s, const Array& t) const override {
    const Array at_end = equal(t, s.t_end), theta = position(s, t);
    Arrays out;
    for (size_t j = 0; j < n_; ++j) {
      const Array &begin = s.y_begin[j], &end = s.y_end[j], &f_begin = s.dense[j], &f_end = s.kept[j];
      const DType real = real_dtype(end.dtype());
      const Array x = astype(theta, real), h = astype(s.t_end - s.t_begin, real);
      const Array rise = end - begin, middle = s.dense[n_ + j] - begin;
      const Array first = h * f_begin, last = h * f_end;
      const Array c2 = 16.0 * middle - 5.0 * rise - 4.0 * first + last;
      const Array c3 = 14.0 * rise - 32.0 * middle + 5.0 * first - 3.0 * last;
      const Array c4 = 16.0 * middle - 8.0 * rise - 2.0 * first + 2.0 * last;
      const Array inside = begin + x * (first + x * (c2 + x * (c3 + x * c4)));
      out.push_back(where(at_end, end + astype(t - s.t_end, real) * f_end, inside));
    }
    return out;
  }

 private:
  // y(t + h/2): of the method, or of the cubic with the slopes at both ends.
  Array middle(const Array& h, std::span<const Array> y, const std::vector<Arrays>& k, const Step& step,
               size_t j) const {
    if (!tableau_.middle.empty()) return moved(y[j], h, combined(k, tableau_.middle, j));
    return 0.5 * (y[j] + step.y[j]) + 0.125 * astype(h, real_dtype(y[j].dtype())) * (k[0][j] - step.kept[j]);
  }

  const Tableau& tableau_;
  size_t n_;
};

}  // namespace

std::unique_ptr<const Method> make_explicit(const Tableau& tableau, Field field) {
  return std::make_unique<ExplicitRungeKutta>(tableau, std::move(field));
}

}  // namespace hesse::solvers
