#include "solvers/klu/factors.h"

#include <klu.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <list>
#include <mutex>
#include <new>

namespace hesse::solvers::klu {
namespace {

std::atomic<int64_t> g_analyses{0}, g_factorisations{0};

using Long = SuiteSparse_long;

// KLU reads integers without writing them, through pointers to non-const.
Long* integers(const std::vector<int64_t>& v) {
  static_assert(sizeof(Long) == sizeof(int64_t));
  return reinterpret_cast<Long*>(const_cast<int64_t*>(v.data()));
}

}  // namespace

Counts counts() { return {g_analyses.load(), g_factorisations.load()}; }

// KLU's columns are our rows: it keeps the transpose.
struct Factors::State {
  klu_l_common common{};
  klu_l_symbolic* symbolic = nullptr;
  klu_l_numeric* numeric = nullptr;
  bool complex = false;  // of `numeric`

  explicit State(const Places& p) {
    klu_l_defaults(&common);
    symbolic = klu_l_analyze(p.n, integers(p.starts), integers(p.columns), &common);
    if (!symbolic && common.status != KLU_SINGULAR) throw std::bad_alloc();
    g_analyses.fetch_add(1);
  }
  ~State() {
    forget();
    klu_l_free_symbolic(&symbolic, &common);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  void forget() {
    if (!numeric) return;
    if (complex)
      klu_zl_free_numeric(&numeric, &common);
    else
      klu_l_free_numeric(&numeric, &common);
    numeric = nullptr;
  }
};

Factors::Factors(Places places) : places_(std::move(places)) {
  if (places_.n > 0) state_ = std::make_unique<State>(places_);
}
Factors::~Factors() = default;

bool Factors::factor(std::span<const double> values) { return factor_values(values, false); }
bool Factors::factor(std::span<const std::complex<double>> values) {
  return factor_values({reinterpret_cast<const double*>(values.data()), 2 * values.size()}, true);
}

bool Factors::factor_values(std::span<const double> numbers, bool complex) {
  if (places_.n == 0) return true;
  const bool same = complex == complex_ && numbers.size() == numbers_.size() &&
                    std::memcmp(numbers.data(), numbers_.data(), numbers.size_bytes()) == 0;
  if (same && !numbers_.empty()) return good_;
  numbers_.assign(numbers.begin(), numbers.end());
  complex_ = complex;
  good_ = false;
  if (!state_->symbolic ||
      !std::all_of(numbers.begin(), numbers.end(), [](double v) { return std::isfinite(v); }))
    return false;
  // Pivots anew: with those of the matrix before, results would depend on what was solved before.
  State& s = *state_;
  s.forget();
  s.complex = complex;
  g_factorisations.fetch_add(1);
  Long *starts = integers(places_.starts), *columns = integers(places_.columns);
  s.numeric = complex ? klu_zl_factor(starts, columns, numbers_.data(), s.symbolic, &s.common)
                      : klu_l_factor(starts, columns, numbers_.data(), s.symbolic, &s.common);
  if (s.common.status == KLU_OUT_OF_MEMORY || s.common.status == KLU_TOO_LARGE) throw std::bad_alloc();
  if (s.common.status != KLU_OK) s.forget();
  return good_ = s.numeric != nullptr;
}

void Factors::solve(std::span<double> b, bool transpose) {
  if (places_.n > 0) solve_numbers(b.data(), static_cast<int64_t>(b.size()) / places_.n, transpose);
}
void Factors::solve(std::span<std::complex<double>> b, bool transpose) {
  if (places_.n > 0)
    solve_numbers(reinterpret_cast<double*>(b.data()), static_cast<int64_t>(b.size()) / places_.n, transpose);
}

void Factors::solve_numbers(double* b, int64_t columns, bool transpose) {
  State& s = *state_;
  const Long n = places_.n;
  if (complex_)
    transpose ? klu_zl_solve(s.symbolic, s.numeric, n, columns, b, &s.common)
              : klu_zl_tsolve(s.symbolic, s.numeric, n, columns, b, 0, &s.common);
  else
    transpose ? klu_l_solve(s.symbolic, s.numeric, n, columns, b, &s.common)
              : klu_l_tsolve(s.symbolic, s.numeric, n, columns, b, &s.common);
}

double factor_flops(const Places& p) {
  klu_l_common common;
  klu_l_defaults(&common);
  klu_l_symbolic* symbolic = klu_l_analyze(p.n, integers(p.starts), integers(p.columns), &common);
  const double flops = symbolic && symbolic->est_flops >= 0 ? symbolic->est_flops : INFINITY;
  klu_l_free_symbolic(&symbolic, &common);
  return flops;
}

namespace {
struct Kept {
  std::mutex mutex;
  std::list<std::unique_ptr<Factors>> factors;  // the last used first
};
Kept& kept() {
  static Kept k;
  return k;
}
}  // namespace

Borrowed::Borrowed(Places places) {
  {
    Kept& k = kept();
    const std::lock_guard lock(k.mutex);
    const auto it = std::find_if(k.factors.begin(), k.factors.end(),
                                 [&](const auto& f) { return f->places() == places; });
    if (it != k.factors.end()) {
      factors_ = std::move(*it);
      k.factors.erase(it);
      return;
    }
  }
  factors_ = std::make_unique<Factors>(std::move(places));
}

Borrowed::~Borrowed() {
  constexpr size_t kMostKept = 8;
  std::unique_ptr<Factors> oldest;  // goes when the lock has gone
  Kept& k = kept();
  const std::lock_guard lock(k.mutex);
  try {
    k.factors.push_front(std::move(factors_));
  } catch (const std::bad_alloc&) {
    return;
  }
  if (k.factors.size() > kMostKept) {
    oldest = std::move(k.factors.back());
    k.factors.pop_back();
  }
}

}  // namespace hesse::solvers::klu
