#pragma once
#include <exception>
#include <string>

#include "core/graph.h"
#include "core/status.h"
#include "solvers/sundials/handles.h"

namespace hesse::solvers::sundials {

Array scalar_of(double x);
Array whole_of(int64_t x);
/// The first n entries.
Array vector_of(N_Vector v, int64_t n);

/// What went wrong in functions that SUNDIALS calls. No exception passes through SUNDIALS: it is kept, the
/// function reports failure, and `rethrow` throws it after the call.
class Guard {
 public:
  /// f(), or -1 after an exception.
  template <class F>
  int guarded(F f) noexcept {
    if (error_) return -1;
    try {
      return f();
    } catch (...) {
      error_ = std::current_exception();
      return -1;
    }
  }
  /// out [n] = the first result of g: 0, 1 where an entry is not finite (SUNDIALS tries a smaller step), or
  /// -1 after an exception. `size`: of the state, of which entry k of out concerns entry rows[k], by default
  /// k % size.
  int run(const Graph& g, Arrays in, double* out, int64_t n, int64_t size,
          const int64_t* rows = nullptr) noexcept;

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }
  void keep_message(const char* text) { message_ = text; }
  const std::string& message() const { return message_; }
  /// Whether an evaluation of this step, or of the few before, was not finite.
  bool was_bad() const { return steps_since_bad_ < 5; }
  void next_step() { ++steps_since_bad_; }
  /// Of the last such evaluation: an entry, -1 if it is unknown; and a failure that its equations reported.
  int64_t bad_entry() const { return bad_entry_; }
  const std::string& bad_note() const { return bad_note_; }

 protected:
  /// Before each evaluation: gives way to Ctrl-C now and then.
  void count();
  /// What run() returns for these numbers.
  int judged(const double* out, int64_t n, int64_t size, const int64_t* rows = nullptr,
             const FailureScope* failures = nullptr);

 private:
  std::exception_ptr error_;
  std::string message_, bad_note_;
  int64_t bad_entry_ = -1, count_ = 0, steps_since_bad_ = 1000;
};

}  // namespace hesse::solvers::sundials
