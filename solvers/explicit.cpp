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

  Arrays interpolate(const Segment& s, const Array& t) const override {
    Arrays out;
    for (size_t j = 0; j < n_; ++j)
      out.push_back(quartic({s.y_begin[j], s.y_end[j], s.dense[j], s.kept[j], s.dense[n_ + j]}, s, t));
    return out;
  }

 private:
  // y(t + h/2): of the method, or of the cubic with the slopes at both ends.
  Array middle(const Array& h, std::span<const Array> y, const std::vector<Arrays>& k, const Step& step,
               size_t j) const {
    if (!tableau_.middle.empty()) return moved(y[j], h, combined(k, tableau_.middle, j));
    return cubic_middle(y[j], step.y[j], h, k[0][j], step.kept[j]);
  }

  const Tableau& tableau_;
  size_t n_;
};

}  // namespace

std::unique_ptr<const Method> make_explicit(const Tableau& tableau, Field field) {
  return std::make_unique<ExplicitRungeKutta>(tableau, std::move(field));
}

}  // namespace hesse::solvers
