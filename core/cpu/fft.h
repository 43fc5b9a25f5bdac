#pragma once
#include <complex>
#include <cstdint>

/// Discrete Fourier transforms of one contiguous line, unscaled, of any length n >= 1; `in` and `out` do not
/// overlap. R is float or double. Tables are kept per thread.
namespace hesse::cpu {

/// out[k] = sum_j in[j] e^(-2 pi i j k / n); with `inverse`, the other sign.
template <class R>
void fft(int64_t n, const std::complex<R>* in, std::complex<R>* out, bool inverse);
/// out[k] = sum_j in[j] e^(-2 pi i j k / n), k = 0 ... floor(n / 2).
template <class R>
void rfft(int64_t n, const R* in, std::complex<R>* out);
/// out[j] = sum_k in[k] e^(2 pi i j k / n), where in[k], k = 0 ... floor(n / 2), is half of a Hermitian line.
/// The imaginary parts of in[0], and of in[n / 2] for even n, do not matter.
template <class R>
void irfft(int64_t n, const std::complex<R>* in, R* out);

/// The longest line these functions take.
inline constexpr int64_t kLongestTransform = int64_t{1} << 29;

}  // namespace hesse::cpu
