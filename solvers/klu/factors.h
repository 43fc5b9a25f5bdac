#pragma once
#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

/// Sparse LU by KLU of SuiteSparse (Davis and Palamadai Natarajan, ACM TOMS 37, 2010): block triangular form,
/// a fill-reducing ordering found once for a pattern, factors with partial pivoting.
namespace hesse::solvers::klu {

/// The places of a square matrix in compressed rows.
struct Places {
  int64_t n = 0;
  std::vector<int64_t> starts, columns;
  bool operator==(const Places&) const = default;
};

/// Factors of matrices of one pattern. New values are factored with the pivots of the last ones where those
/// are still good. Not to be shared by threads.
class Factors final {
 public:
  explicit Factors(Places places);
  ~Factors();
  Factors(const Factors&) = delete;
  Factors& operator=(const Factors&) = delete;
  const Places& places() const { return places_; }

  /// Takes the values of the matrix, in the order of the places; false: it is singular, or they are not
  /// finite. Equal values are not factored again.
  bool factor(std::span<const double> values);
  bool factor(std::span<const std::complex<double>> values);
  /// Overwrites b [columns, n] (one right-hand side after another) with the solutions of a x = b or of
  /// a^T x = b. After a factorisation that went well.
  void solve(std::span<double> b, bool transpose);
  void solve(std::span<std::complex<double>> b, bool transpose);

 private:
  bool factor_values(std::span<const double> numbers, bool complex);
  void solve_numbers(double* b, int64_t columns, bool transpose);
  struct State;
  Places places_;
  std::vector<double> numbers_;  // values; of complex ones real and imaginary parts in turn
  bool complex_ = false, good_ = false;
  std::unique_ptr<State> state_;
};

/// Factors for a pattern, kept after their use for the next that asks for the same pattern (a few patterns
/// are kept). Thread-safe.
class Borrowed final {
 public:
  explicit Borrowed(Places places);
  ~Borrowed();
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Factors* operator->() const { return factors_.get(); }

 private:
  std::unique_ptr<Factors> factors_;
};

/// About how many operations a factorisation takes, of which the ordering is found for that; infinity where
/// it cannot be told.
double factor_flops(const Places& places);

/// What was done in this process, for tests: orderings found and factorisations.
struct Counts {
  int64_t analyses, factorisations;
};
Counts counts();

}  // namespace hesse::solvers::klu
