#include "core/cpu/fft.h"

#include <unsupported/Eigen/FFT>

#include <cmath>
#include <map>
#include <numbers>
#include <vector>

namespace hesse::cpu {
namespace {

using Complex = std::complex<double>;
template <class R>
using Kiss = Eigen::internal::kissfft_impl<R>;

/// kissfft takes n p operations for a prime factor p: above this, Bluestein's algorithm is faster
/// (docs/decisions.md).
constexpr int64_t kLargestFactor = 11;

bool is_smooth(int64_t n) {
  for (int64_t p = 2; p <= kLargestFactor; ++p)
    while (n % p == 0) n /= p;
  return n == 1;
}

/// Transforms of any length by a convolution of a length that is a power of two (Bluestein 1970): with the
/// chirp c_k = e^(-pi i k^2 / n), y_k = c_k sum_j (c_j x_j) conj(c_{k-j}), since -2 j k = (k - j)^2 - j^2 -
/// k^2.
class Bluestein {
 public:
  Bluestein(int64_t n, Kiss<double>& kiss) : n_(n), chirp_(static_cast<size_t>(n)) {
    while (m_ < 2 * n - 1) m_ *= 2;
    for (int64_t k = 0; k < n; ++k) {
      const double angle = std::numbers::pi * static_cast<double>(k * k % (2 * n)) / static_cast<double>(n);
      chirp_[static_cast<size_t>(k)] = {std::cos(angle), -std::sin(angle)};
    }
    std::vector<Complex> filter(static_cast<size_t>(m_));
    const double scale = 1.0 / static_cast<double>(m_);
    for (int64_t k = 0; k < n; ++k) {
      filter[static_cast<size_t>(k)] = scale * std::conj(chirp_[static_cast<size_t>(k)]);
      if (k > 0) filter[static_cast<size_t>(m_ - k)] = filter[static_cast<size_t>(k)];
    }
    filter_.resize(filter.size());
    kiss.fwd(filter_.data(), filter.data(), static_cast<int>(m_));
    a_.resize(filter.size());
    b_.resize(filter.size());
  }

  /// out[k] = y_k for k < count; load(j) gives x_j.
  template <class Load, class Store>
  void run(Kiss<double>& kiss, bool inverse, int64_t count, Load load, Store store) {
    // The inverse transform is the conjugate of the transform of the conjugate.
    const auto mirrored = [inverse](Complex z) { return inverse ? std::conj(z) : z; };
    for (size_t j = 0; j < chirp_.size(); ++j) a_[j] = chirp_[j] * mirrored(load(static_cast<int64_t>(j)));
    std::fill(a_.begin() + n_, a_.end(), Complex(0));
    kiss.fwd(b_.data(), a_.data(), static_cast<int>(m_));
    for (size_t k = 0; k < b_.size(); ++k) b_[k] *= filter_[k];
    kiss.inv(a_.data(), b_.data(), static_cast<int>(m_));
    for (int64_t k = 0; k < count; ++k)
      store(k, mirrored(a_[static_cast<size_t>(k)] * chirp_[static_cast<size_t>(k)]));
  }

 private:
  int64_t n_, m_ = 4;
  std::vector<Complex> chirp_, filter_, a_, b_;
};

/// The tables of one thread, dropped together when they have grown large.
template <class R>
class Tables {
 public:
  Kiss<R>& kiss(int64_t n) {
    count(n);
    return kiss_;
  }
  Bluestein& bluestein(int64_t n) {
    const auto found = bluestein_.find(n);
    if (found != bluestein_.end()) return found->second;
    count(8 * n);
    return bluestein_.try_emplace(n, n, convolver_).first->second;
  }
  Kiss<double>& convolver() { return convolver_; }

 private:
  void count(int64_t n) {
    if (!known_.emplace(n, true).second) return;
    if ((held_ += n) <= kMostHeld) return;
    kiss_.clear();
    convolver_.clear();
    bluestein_.clear();
    known_ = {{n, true}};
    held_ = n;
  }
  static constexpr int64_t kMostHeld = 1 << 22;
  Kiss<R> kiss_;
  Kiss<double> convolver_;
  std::map<int64_t, Bluestein> bluestein_;
  std::map<int64_t, bool> known_;
  int64_t held_ = 0;
};

template <class R>
Tables<R>& tables() {
  thread_local Tables<R> instance;
  return instance;
}

}  // namespace

template <class R>
void fft(int64_t n, const std::complex<R>* in, std::complex<R>* out, bool inverse) {
  if (n == 1) {
    out[0] = in[0];
  } else if (is_smooth(n)) {
    Kiss<R>& kiss = tables<R>().kiss(n);
    if (inverse)
      kiss.inv(out, in, static_cast<int>(n));
    else
      kiss.fwd(out, in, static_cast<int>(n));
  } else {
    Bluestein& b = tables<R>().bluestein(n);
    b.run(
        tables<R>().convolver(), inverse, n, [&](int64_t j) { return Complex(in[j]); },
        [&](int64_t k, Complex z) { out[k] = std::complex<R>(z); });
  }
}

template <class R>
void rfft(int64_t n, const R* in, std::complex<R>* out) {
  if (n == 1) {
    out[0] = in[0];
  } else if (is_smooth(n)) {
    tables<R>().kiss(n).fwd(out, in, static_cast<int>(n));
  } else {
    Bluestein& b = tables<R>().bluestein(n);
    b.run(
        tables<R>().convolver(), false, n / 2 + 1, [&](int64_t j) { return Complex(in[j]); },
        [&](int64_t k, Complex z) { out[k] = std::complex<R>(z); });
  }
  out[0].imag(0);
  if (n % 2 == 0) out[n / 2].imag(0);
}

template <class R>
void irfft(int64_t n, const std::complex<R>* in, R* out) {
  if (n == 1) {
    out[0] = in[0].real();
  } else if (is_smooth(n)) {
    tables<R>().kiss(n).inv(out, in, static_cast<int>(n));
  } else {
    Bluestein& b = tables<R>().bluestein(n);
    b.run(
        tables<R>().convolver(), true, n,
        [&](int64_t k) { return 2 * k > n ? std::conj(Complex(in[n - k])) : Complex(in[k]); },
        [&](int64_t j, Complex z) { out[j] = static_cast<R>(z.real()); });
  }
}

template void fft(int64_t, const std::complex<float>*, std::complex<float>*, bool);
template void fft(int64_t, const std::complex<double>*, std::complex<double>*, bool);
template void rfft(int64_t, const float*, std::complex<float>*);
template void rfft(int64_t, const double*, std::complex<double>*);
template void irfft(int64_t, const std::complex<float>*, float*);
template void irfft(int64_t, const std::complex<double>*, double*);

}  // namespace hesse::cpu
