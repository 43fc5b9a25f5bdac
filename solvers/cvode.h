#pragma once
#include <string_view>

#include "core/graph.h"
#include "solvers/breaks.h"
#include "solvers/events.h"

/// Methods of SUNDIALS for solve_ivp. Multistep methods of CVODES (Hindmarsh and others, ACM TOMS 31, 2005;
/// Serban and Hindmarsh, 2005): "BDF" (backward differentiation formulas, orders 1 to 5, for stiff problems)
/// and "Adams" (orders 1 to 12). Runge-Kutta methods of ARKODE (Reynolds and others, ACM TOMS 49, 2023):
/// "ARKODE_ERK" (explicit, Dormand and Prince 5(4)), "ARKODE_DIRK" (diagonally implicit, of order 4, for
/// stiff problems) and "ARKODE_IMEX" (additive, of order 4, ARK4(3)6L[2]SA of Kennedy and Carpenter 2003, for
/// a SplitRhs). Derivatives of any order are solves of their own, as accurate as the tolerances: a tangent
/// that of the sensitivity equations, a gradient that of the adjoint equations, with checkpoints.
namespace hesse::solvers {

/// Whether solve_ivp solves with SUNDIALS under that name.
bool is_cvode_method(std::string_view method);
/// These names, as messages list them.
inline constexpr std::string_view kSundialsNames = "BDF, Adams, ARKODE_ERK, ARKODE_DIRK, ARKODE_IMEX";
/// Whether this build has CVODES (HESSE_SUNDIALS).
bool has_cvode();
/// How many objects of SUNDIALS are alive in the process: for tests of leaks.
int64_t live_sundials_objects();

/// What solve_ivp has recorded and checked: `field` is (t, y..., captures...) -> dy..., with t of the state's
/// real dtype.
struct RecordedIvp {
  Ref<const Graph> field;
  Arrays captures;
  Array t0, t1;  ///< float64 scalars
  Arrays y0;
  Array rtol;
  Arrays atol;                          ///< one for each array of y0
  std::vector<Ref<const Graph>> parts;  ///< of a field in two: what is treated explicitly, and implicitly
  std::optional<Breaks> breaks;
};
/// Its events, recorded: at least one.
struct RecordedEvents {
  Events events;
  Arrays operands;            ///< those of Events::value
  size_t first;               ///< of these the first that events capture: they are the last ones
  Arrays at_start;            ///< of each what it counts as at t0 (Events::value_at_start)
  bool fixed;                 ///< whether shapes must not depend on values
  std::vector<int64_t> most;  ///< then, how often each may happen
};
/// Solves it with options.method. The state is one vector of float64, whatever its dtypes. Throws ValueError
/// where the build has no CVODES, for an unknown linear solver and for times that do not ascend within the
/// span; TypeError for complex states; NumericalError where the solver gives up, if asked for; TraceError
/// without t_eval under vmap, compile and in loops; and what f throws, unchanged.
/// `events`: null for none. They are found as in solvers/stops.h, on the polynomial of a step.
Solution solve_cvode(const RecordedIvp& problem, const IvpOptions& options,
                     const RecordedEvents* events = nullptr);

}  // namespace hesse::solvers
