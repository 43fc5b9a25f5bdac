#include "solvers/sde_method.h"

#include <algorithm>

#include "autodiff/autodiff.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"

namespace hesse::solvers {

Sde::Sde(const Rhs& drift, const Rhs& diffusion, const Arrays& y0, const std::optional<Shape>& noise_shape)
    : drift_(drift), diffusion_(diffusion), like_(y0) {
  std::optional<DType> real;
  for (size_t i = 0; i < y0.size(); ++i) {
    require<TypeError>(is_inexact(y0[i].dtype()), "solve_sde: array ", i, " of y0 is ", describe(y0[i]),
                       ", expected floating numbers; convert it with astype");
    const DType r = real_dtype(y0[i].dtype());
    real = real ? promote(*real, r) : r;
  }
  real_ = *real;
  require(!noise_shape || noise_shape->size() < 2, "solve_sde: noise_shape has ",
          noise_shape ? noise_shape->size() : 0,
          " axes, expected none (diagonal noise), () (one for all) or (m,), a vector");
  noise_ = !noise_shape ? Noise::Diagonal : noise_shape->empty() ? Noise::Scalar : Noise::General;
  if (noise_shape) {
    for (const int64_t m : *noise_shape)
      require(m >= 0, "solve_sde: noise_shape has a length of ", m, ", expected 0 or more");
    noise_shapes_ = {*noise_shape};
  } else {
    for (const Array& y : y0) noise_shapes_.push_back(y.shape());
  }
}

Arrays Sde::checked(const char* name, const Rhs& f, const Array& t, std::span<const Array> y,
                    bool with_noise) const {
  Arrays out = f(astype(t, real_), y);
  require(out.size() == like_.size(), "solve_sde: the ", name, " returns ", out.size(), " arrays for ",
          like_.size(), " of the state");
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i].is_weak()) out[i] = astype(out[i], like_[i].dtype());
    Shape shape = like_[i].shape();
    if (with_noise && noise_ == Noise::General) shape.push_back(noise_shapes_[0][0]);
    require(out[i].shape() == shape && out[i].dtype() == like_[i].dtype(), "solve_sde: the ", name,
            " returns ", describe(out[i]), " for array ", i, " of the state, expected ",
            describe(shape, like_[i].dtype()),
            with_noise ? "; noise_shape says whether each entry has its own noise (by default), all have one "
                         "(()), or a vector of m acts on an axis at the end ((m,))"
                       : "");
  }
  return out;
}

Arrays Sde::drift(const Array& t, std::span<const Array> y) const {
  return checked("drift", drift_, t, y, false);
}
Arrays Sde::diffusion(const Array& t, std::span<const Array> y) const {
  return checked("diffusion", diffusion_, t, y, true);
}

Arrays Sde::product(const Arrays& g, const Arrays& dw) const {
  Arrays out;
  for (size_t i = 0; i < g.size(); ++i) {
    const Array& w = dw[noise_ == Noise::Diagonal ? i : 0];
    const Array x = astype(w, real_dtype(g[i].dtype()));
    out.push_back(noise_ == Noise::General ? sum(g[i] * x, {{-1}}) : g[i] * x);
  }
  return out;
}

namespace {

Arrays sum_of(const Arrays& a, const Arrays& b) {
  Arrays out;
  for (size_t i = 0; i < a.size(); ++i) out.push_back(a[i] + b[i]);
  return out;
}
Arrays times(const Array& h, const Arrays& x) {
  Arrays out;
  for (const Array& a : x) out.push_back(astype(h, real_dtype(a.dtype())) * a);
  return out;
}

// Maruyama, Rend. Circ. Mat. Palermo 4 (1955) 48. Ito; strong order 1/2 (1 where G does not depend on y),
// weak order 1: y + f h + G dW.
class EulerMaruyama final : public SdeMethod {
 public:
  std::pair<Arrays, Arrays> step(const Sde& sde, const Array& t, const Array& h, const Arrays& y,
                                 const Arrays&, const Arrays& dw) const override {
    return {sum_of(sum_of(y, times(h, sde.drift(t, y))), sde.product(sde.diffusion(t, y), dw)), {}};
  }
};

// Milstein, Theory Probab. Appl. 19 (1974) 557; Kloeden and Platen, Numerical Solution of Stochastic
// Differential Equations (1992), (10.3.16). Ito; strong and weak order 1 where the noise commutes. With g_j
// the columns of G and L_v = D_y[G v] (G v),
//   y + f h + G dW + 1/2 sum_jk D g_k g_j (dW_j dW_k - h delta_jk) = y + f h + G dW + 1/2 (L_dW - h sum_j
//   L_ej).
// With diagonal noise that commutes entry i of G depends on no other entry of y, and sum_j L_ej is L of ones.
class Milstein final : public SdeMethod {
 public:
  std::pair<Arrays, Arrays> step(const Sde& sde, const Array& t, const Array& h, const Arrays& y,
                                 const Arrays&, const Arrays& dw) const override {
    const Arrays u = sde.product(sde.diffusion(t, y), dw);
    Arrays next = sum_of(sum_of(y, times(h, sde.drift(t, y))), u);
    const MaybeArrays squared = along(sde, t, y, dw);
    if (std::ranges::none_of(squared, [](const MaybeArray& a) { return a.has_value(); })) return {next, {}};
    const Arrays mean = times(h, expected(sde, t, y));
    for (size_t i = 0; i < next.size(); ++i)
      if (squared[i]) next[i] = next[i] + 0.5 * (*squared[i] - mean[i]);
    return {next, {}};
  }

 private:
  // L_v
  static MaybeArrays along(const Sde& sde, const Array& t, const Arrays& y, const Arrays& v) {
    const Fn noise = [&](std::span<const Array> x) { return sde.product(sde.diffusion(t, x), v); };
    const Arrays u = noise(y);
    return jvp(noise, y, MaybeArrays(u.begin(), u.end())).second;
  }
  // sum_j L_ej
  static Arrays expected(const Sde& sde, const Array& t, const Arrays& y) {
    const auto full = [&](const Arrays& v) {
      const MaybeArrays found = along(sde, t, y, v);
      Arrays out;
      for (size_t i = 0; i < y.size(); ++i) out.push_back(found[i] ? *found[i] : zeros_like(y[i]));
      return out;
    };
    if (sde.noise() != Sde::Noise::General) {
      Arrays v;
      for (const Shape& shape : sde.noise_shapes()) v.push_back(ones(shape, sde.real()));
      return full(v);
    }
    const Arrays each = vmap([&](std::span<const Array> e) { return full({e[0]}); },
                             {eye(sde.noise_shapes()[0][0], {}, 0, sde.real())}, {0}, {0});
    Arrays out;
    for (const Array& a : each) out.push_back(sum(a, {{0}}));
    return out;
  }
};

// Kidger, Foster, Li, Lyons, Efficient and accurate gradients for neural SDEs, NeurIPS 2021, Algorithm 1.
// Stratonovich; strong order 1/2, 1 where G does not depend on y:
//   z' = 2 y - z + f h + G dW,  f', G' = f, G(t + h, z'),  y' = y + 1/2 (f + f') h + 1/2 (G + G') dW.
class ReversibleHeun final : public SdeMethod {
 public:
  Arrays start(const Sde& sde, const Array& t, const Arrays& y) const override {
    return joined(y, sde.drift(t, y), sde.diffusion(t, y));
  }
  std::pair<Arrays, Arrays> step(const Sde& sde, const Array& t, const Array& h, const Arrays& y,
                                 const Arrays& kept, const Arrays& dw) const override {
    const auto n = static_cast<int64_t>(y.size());
    const Arrays z(kept.begin(), kept.begin() + n), f(kept.begin() + n, kept.begin() + 2 * n),
        g(kept.begin() + 2 * n, kept.end());
    Arrays z_next = sum_of(times(h, f), sde.product(g, dw));
    for (size_t i = 0; i < y.size(); ++i) z_next[i] = 2.0 * y[i] - z[i] + z_next[i];
    const Arrays f_next = sde.drift(t + h, z_next), g_next = sde.diffusion(t + h, z_next);
    const Arrays moved = sum_of(times(h, sum_of(f, f_next)), sde.product(sum_of(g, g_next), dw));
    Arrays next;
    for (size_t i = 0; i < y.size(); ++i) next.push_back(y[i] + 0.5 * moved[i]);
    return {next, joined(z_next, f_next, g_next)};
  }

 private:
  static Arrays joined(const Arrays& a, const Arrays& b, const Arrays& c) {
    Arrays out = a;
    out.insert(out.end(), b.begin(), b.end());
    out.insert(out.end(), c.begin(), c.end());
    return out;
  }
};

}  // namespace

std::unique_ptr<const SdeMethod> make_sde_method(std::string_view name) {
  if (name == "EulerMaruyama") return std::make_unique<EulerMaruyama>();
  if (name == "Milstein") return std::make_unique<Milstein>();
  if (name == "ReversibleHeun") return std::make_unique<ReversibleHeun>();
  throw ValueError(concat("solve_sde: no method is called '", name,
                          "'; use one of EulerMaruyama, Milstein (Ito), ReversibleHeun (Stratonovich)"));
}

std::vector<std::string> sde_method_names() { return {"EulerMaruyama", "Milstein", "ReversibleHeun"}; }

}  // namespace hesse::solvers
