#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/graph.h"
#include "core/op.h"

/// How solve_ivp is differentiated in reverse: a value, independent of problem and method. Not every method
/// has every one.
namespace hesse::solvers {

/// The derivative of the steps taken, with the sizes of steps as constants: exact for them. Of one-step
/// methods, their default. The state of every step between two times of t_eval is kept or, with
/// `checkpoint_every` k > 0, that of every k-th, from which the others are computed again: memory for m steps
/// is m/k + k states, for about half as much work again.
struct Discrete {
  int64_t checkpoint_every = 0;
};
/// The adjoint equations, on an interpolant of the solution that is computed again from checkpoints; as
/// accurate as the tolerances. Of the methods of solvers/cvode.h, their default; of Runge-Kutta methods by
/// BDF or, where they are explicit, Adams.
struct Interpolating {};
/// Forward sensitivities: <c, J e> for every number e that there is a derivative by, as one map. Of all
/// methods; for few parameters. Memory does not grow with the number of steps.
struct Forward {};

/// The adjoint equations, solved back in time together with the state, which is set to what was stored at
/// each time of t_eval (solvers/backsolve.h). Memory does not grow with the number of steps. As accurate as
/// the tolerances where the problem can be solved backwards: a stiff or strongly contracting one cannot, as
/// what decays forwards grows backwards. Of one-step methods that take one function.
struct Backsolve {
  std::string method = {};  ///< of the backward solve, a one-step one; empty: that of the forward solve
  std::optional<Array> rtol = {},
                       atol = {};  ///< of the backward solve, scalars; by default the forward one's
};

/// std::monostate: the default of the method.
using Adjoint = std::variant<std::monostate, Discrete, Interpolating, Forward, Backsolve>;

/// Throws ValueError, naming what there is, where a method has no such adjoint.
void check_adjoint(const Adjoint& adjoint, std::string_view method, bool multistep, bool has_times,
                   bool dense_output);

/// While `cond`, `body`, as hesse::while_loop. With k = `checkpoint_every` > 0 reverse mode keeps the carries
/// of every k-th step, and for one such segment at a time those of its steps; `after` is recorded at the end
/// of each.
Arrays checkpointed_loop(const Fn& cond, const Fn& body, const Arrays& carry, int64_t checkpoint_every,
                         const std::function<void(std::span<const Array>)>& after = {});

/// f(args), traced once, whose reverse mode is by forward mode: the gradient of <c, f> is <c, J e> for each
/// unit direction e of the arguments, and of what f captures, that it is wanted for.
Arrays by_forward_mode(const Fn& f, const Arrays& args);

/// The tangents of what a graph returns at x, without its effects, by forward mode; `dx` as in Op::jvp.
MaybeArrays tangents_of(const Ref<const Graph>& g, std::span<const Array> x, std::span<const MaybeArray> dx);

}  // namespace hesse::solvers
