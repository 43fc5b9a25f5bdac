#pragma once
#include <arkode/arkode_arkstep.h>
#include <cvodes/cvodes.h>
#include <idas/idas.h>
#include <kinsol/kinsol.h>
#include <nvector/nvector_serial.h>
#include <sundials/sundials_context.h>
#include <sunlinsol/sunlinsol_dense.h>
#include <sunlinsol/sunlinsol_spgmr.h>
#include <sunmatrix/sunmatrix_dense.h>
#include <sunnonlinsol/sunnonlinsol_fixedpoint.h>

#include <cstdint>
#include <new>
#include <utility>

/// Objects of SUNDIALS, each owned by one handle and counted while it lives.
namespace hesse::solvers::sundials {

/// Adds to the number of objects alive.
void count_objects(int64_t change);

template <class T, auto destroy>
class Handle final {
 public:
  Handle() = default;
  /// Takes what a constructor of SUNDIALS returned; throws std::bad_alloc for null.
  explicit Handle(T object) : object_(object) {
    if (!object_) throw std::bad_alloc();
    count_objects(1);
  }
  Handle(Handle&& other) noexcept : object_(std::exchange(other.object_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Handle() {
    if (!object_) return;
    destroy(object_);
    count_objects(-1);
  }
  T get() const { return object_; }
  explicit operator bool() const { return object_ != T{}; }

 private:
  T object_{};
};

inline void free_context(SUNContext c) { SUNContext_Free(&c); }
inline void free_linear_solver(SUNLinearSolver s) { SUNLinSolFree(s); }
inline void free_nonlinear_solver(SUNNonlinearSolver s) { SUNNonlinSolFree(s); }
inline void free_integrator(void* mem) { CVodeFree(&mem); }
inline void free_arkode(void* mem) { ARKStepFree(&mem); }
inline void free_ida(void* mem) { IDAFree(&mem); }
inline void free_kinsol(void* mem) { KINFree(&mem); }

using Context = Handle<SUNContext, free_context>;
using Vector = Handle<N_Vector, N_VDestroy>;
using Matrix = Handle<SUNMatrix, SUNMatDestroy>;
using LinearSolver = Handle<SUNLinearSolver, free_linear_solver>;
using NonlinearSolver = Handle<SUNNonlinearSolver, free_nonlinear_solver>;
using Integrator = Handle<void*, free_integrator>;
using RungeKutta = Handle<void*, free_arkode>;
using DaeIntegrator = Handle<void*, free_ida>;
using NonlinearEquations = Handle<void*, free_kinsol>;

Context make_context();
/// Uninitialised; the length may be 1 or more.
Vector make_vector(int64_t length, const Context& context);

inline double* entries(N_Vector v) { return N_VGetArrayPointer(v); }

}  // namespace hesse::solvers::sundials
