#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "solvers/ode.h"

namespace hesse::solvers {

/// dy = f(t, y) dt + G(t, y) dW: the functions, checked as they are called, and how the noise enters.
class Sde {
 public:
  enum class Noise {
    Diagonal,  ///< each entry of the state has its own, dW like the state, G too
    Scalar,    ///< all have the same one, dW a scalar, G like the state
    General,   ///< dW is [m], G has the state's shapes with an axis of m at the end
  };
  /// `noise_shape`: nullopt: diagonal; {}: scalar; {m}: general. Throws ValueError for another one, TypeError
  /// for a state of integers.
  Sde(const Rhs& drift, const Rhs& diffusion, const Arrays& y0, const std::optional<Shape>& noise_shape);
  Arrays drift(const Array& t, std::span<const Array> y) const;
  Arrays diffusion(const Array& t, std::span<const Array> y) const;
  /// G dW, like the state; `g` is what `diffusion` returns.
  Arrays product(const Arrays& g, const Arrays& dw) const;

  Noise noise() const { return noise_; }
  /// The shape of dW: one entry, or, where it is diagonal, one for each array of the state.
  const std::vector<Shape>& noise_shapes() const { return noise_shapes_; }
  DType real() const { return real_; }

 private:
  Arrays checked(const char* name, const Rhs& f, const Array& t, std::span<const Array> y,
                 bool with_noise) const;
  const Rhs &drift_, &diffusion_;
  Arrays like_;
  Noise noise_;
  std::vector<Shape> noise_shapes_;
  DType real_ = kFloat64;
};

/// A method of fixed steps: what one step computes, as ordinary equations.
class SdeMethod {
 public:
  virtual ~SdeMethod() = default;
  /// What steps carry along beside y, at the start.
  virtual Arrays start(const Sde&, const Array&, const Arrays&) const { return {}; }
  /// (y, kept) at t + h, from y and kept at t and dW, the increment of the path.
  virtual std::pair<Arrays, Arrays> step(const Sde& sde, const Array& t, const Array& h, const Arrays& y,
                                         const Arrays& kept, const Arrays& dw) const = 0;
};

/// EulerMaruyama, Milstein, ReversibleHeun. Throws ValueError naming these for another one.
std::unique_ptr<const SdeMethod> make_sde_method(std::string_view name);
std::vector<std::string> sde_method_names();

}  // namespace hesse::solvers
