#pragma once
#include <memory>
#include <string>

#include "solvers/method.h"

/// method = "auto": which method, where, and when another one.
namespace hesse::solvers {

/// Steps of Tsit5 while these are limited by accuracy, of Rodas5P where stability would limit them. Every
/// step estimates the spectral radius r of the Jacobian by one iteration of the power method, with a product:
/// |h| r above 3 in 8 steps of Tsit5 more than below it (its stability ends at about 3.3 on the negative real
/// axis), or below 2 in 5 of Rodas5P, changes the method. Up to 8 unknowns both steps are computed, and one
/// is taken. For a real state.
std::unique_ptr<const Method> make_switching(Field field);

/// What "auto" stands for: "auto", the switching method, for real states of up to 256 entries; Tsit5 for
/// complex states. For larger ones, where f is evaluated on data: BDF (Rodas5P unless `multistep`) if
/// stability would cost an explicit method more than 1000 steps, by a spectral radius from products with the
/// Jacobian at (t0, y0); else Tsit5. Where there are no data (vmap, compile, loops): BDF, or Tsit5 unless
/// `multistep`: whether there is BDF and it has what is asked for.
std::string chosen_method(const Rhs& f, const Array& t0, const Array& t1, const Arrays& y0, bool multistep);

}  // namespace hesse::solvers
