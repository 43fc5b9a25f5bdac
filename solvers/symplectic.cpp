#include "solvers/symplectic.h"

#include <cmath>

#include "core/ops.h"

namespace hesse::solvers {
namespace {

// What stands on the left, a middle that makes the sum 1, and what stands on the left backwards.
Composition symmetric(std::string name, int order, std::vector<double> left) {
  double middle = 1;
  for (const double w : left) middle -= 2 * w;
  std::vector<double> all = left;
  all.push_back(middle);
  all.insert(all.end(), left.rbegin(), left.rend());
  return {std::move(name), order, std::move(all)};
}

// Yoshida, Construction of higher order symplectic integrators, Phys. Lett. A 150 (1990) 262: for order 6
// his solution A, with the digits that the order conditions add to the printed ones. Order 8: Suzuki and
// Umeno, in Computer simulation studies in condensed-matter physics VI (1993) 74; Hairer, Lubich and Wanner,
// Geometric Numerical Integration (2nd ed., 2006), (V.3.11), likewise.
std::vector<Composition> all_compositions() {
  return {symmetric("Leapfrog", 2, {}), symmetric("Yoshida4", 4, {1 / (2 - std::cbrt(2.0))}),
          symmetric("Yoshida6", 6,
                    {0.7845136104775572638195, 0.2355732133593581336848, -1.177679984178871006946}),
          symmetric("SuzukiUmeno8", 8,
                    {0.7416703643506129534482, -0.4091008258000315939973, 0.1907547102962383799539,
                     -0.5738624711160822666564, 0.2990641813036559238445, 0.334624918245298183785,
                     0.3152930923967665966321})};
}

class Symplectic final : public Method {
 public:
  Symplectic(const Composition& composition, Field field)
      : Method(std::move(field)), composition_(composition), n_(field_.num_arrays()), m_(n_ / 2) {}

  std::string_view name() const override { return composition_.name; }
  int error_order() const override { return 0; }
  size_t num_kept() const override { return m_; }  // F at the end
  size_t num_dense() const override { return 0; }
  bool interpolates() const override { return false; }
  int64_t evaluations() const override { return static_cast<int64_t>(composition_.weights.size()); }
  Arrays kept_at_start(const Arrays& f0) const override {
    return {f0.begin() + static_cast<int64_t>(m_), f0.end()};
  }
  Arrays dense_at_start(const Arrays&, const Arrays&) const override { return {}; }

  // The half kicks where two steps of leapfrog meet are one.
  Step step(const Array& t, const Array& h, std::span<const Array> y_in, std::span<const Array> kept,
            std::span<const Array> operands) const override {
    Arrays y(y_in.begin(), y_in.end()), force(kept.begin(), kept.end());
    const std::vector<double>& w = composition_.weights;
    double before = 0, passed = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      kick(y, 0.5 * (before + w[i]) * h, force);
      const Arrays velocity = field_.part(0)(t + (passed + 0.5 * w[i]) * h, y, operands);
      for (size_t j = 0; j < m_; ++j) y[j] = moved(y[j], w[i] * h, velocity[j]);
      passed = i + 1 == w.size() ? 1 : passed + w[i];
      const Arrays at_end = field_.part(1)(t + passed * h, y, operands);
      force.assign(at_end.begin() + static_cast<int64_t>(m_), at_end.end());
      before = w[i];
    }
    kick(y, 0.5 * before * h, force);
    return {y, force, {}, {}};
  }

  Arrays interpolate(const Segment& s, const Array&) const override { return s.y_end; }

 private:
  void kick(Arrays& y, const Array& h, const Arrays& force) const {
    for (size_t j = 0; j < m_; ++j) y[m_ + j] = moved(y[m_ + j], h, force[j]);
  }

  const Composition& composition_;
  size_t n_, m_;  // arrays of the state, and of q
};

}  // namespace

const std::vector<Composition>& compositions() {
  static const std::vector<Composition> all = all_compositions();
  return all;
}

std::unique_ptr<const Method> make_symplectic(const Composition& composition, Field field) {
  return std::make_unique<Symplectic>(composition, std::move(field));
}

}  // namespace hesse::solvers
