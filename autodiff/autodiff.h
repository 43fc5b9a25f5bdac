#pragma once
#include <functional>
#include <utility>

#include "core/debug.h"
#include "core/graph.h"
#include "core/ops/control.h"

/// Derivatives of any order of functions of arrays, flat lists in and out (trees: autodiff/trees.h in C++,
/// the package in Python). All nest in any order, inside and around map, scan, while_loop, cond, and closures
/// over live arrays.
namespace hesse {

/// f(primals) and its derivative in direction `tangents`; a missing tangent is zero, and so is a missing
/// result. Throws ValueError where numbers or shapes of primals and tangents differ, TypeError for tangents
/// of integers.
std::pair<Arrays, MaybeArrays> jvp(const Fn& f, const Arrays& primals, const MaybeArrays& tangents);

/// A linear map between lists of arrays; missing entries are zero.
using LinearFn = std::function<MaybeArrays(const MaybeArrays&)>;
/// f(primals) and its derivative there as a linear function of the tangents: f runs once.
std::pair<Arrays, LinearFn> linearise(const Fn& f, const Arrays& primals);
/// f(primals) and the pull-back: cotangents of the outputs to cotangents of the primals. May be called
/// several times.
std::pair<Arrays, LinearFn> vjp(const Fn& f, const Arrays& primals);
/// The transpose of a function that is linear in `args`: cotangents of its outputs to cotangents of its
/// arguments. Throws ValueError naming the op that is not linear.
MaybeArrays linear_transpose(const Fn& f, const Avals& args, const MaybeArrays& cotangents);

/// f(args) (its first output a scalar) and the gradient of it with respect to args[i] for i in argnums.
/// Further outputs are auxiliary. Missing gradients are zeros. Throws ValueError for a non-scalar or complex
/// loss ("grad: the function returned shape (3,)..."), TypeError for integer arguments.
std::pair<Arrays, Arrays> value_and_grad(const Fn& f, const Arrays& args, const std::vector<int>& argnums);
/// The gradient of a scalar function of one array: the sugar for C++.
std::function<Array(const Array&)> grad(std::function<Array(const Array&)> f);

/// d f_k / d x_i, shape f_k.shape + x_i.shape, row k, column i; forward or reverse chosen by shape.
/// All outputs and arguments inexact.
enum class Mode { Auto, Forward, Reverse };
std::vector<Arrays> jacobian(const Fn& f, const Arrays& args, const std::vector<int>& argnums,
                             Mode mode = Mode::Auto);
/// Second derivatives of a scalar function: [i][j] of shape x_i.shape + x_j.shape.
std::vector<Arrays> hessian(const Fn& f, const Arrays& args, const std::vector<int>& argnums);
/// H v of a scalar function, forward over reverse.
Arrays hvp(const Fn& f, const Arrays& args, const Arrays& v);

/// All requested mixed partial derivatives of a function of scalar arguments, in one pass of nested forward
/// mode whose equal equations are merged (Taylor mode). orders[k] lists argument numbers: {} value, {0}
/// d/dx0, {1, 1} d2/dx1^2. Result k holds the outputs of f, differentiated. Scalars args must have shape ()
/// (ValueError).
std::vector<Arrays> partials(const Fn& f, const Arrays& args, const std::vector<std::vector<int>>& orders);
/// Value, gradient-free Laplacian: (f(x), sum_i d2f/dx_i2) of a function of one array.
std::pair<Arrays, Arrays> laplacian(const Fn& f, const Array& x);
/// The derivatives d^k/dt^k f(x(t)) at 0, k = 0 .. order, where x(t) = x + sum_k series[k-1] t^k / k!.
std::vector<Arrays> taylor(const Fn& f, const Arrays& primals, const std::vector<MaybeArrays>& series);

/// f with a user's rule for its derivative: rule(primals..., tangents...) -> tangents of the outputs, linear
/// in the tangents.
Arrays custom_jvp(const Fn& f, const Fn& rule, const Arrays& args);
/// f with a user's reverse rule: forward(args) -> (outputs..., residuals...), backward(residuals...,
/// cotangents...) -> cotangents of args. Forward mode is derived as its transpose; a backward that is not
/// linear in the cotangents raises there.
Arrays custom_vjp(const Fn& f, const Fn& forward, const Fn& backward, const Arrays& args);

}  // namespace hesse
