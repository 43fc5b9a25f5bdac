#pragma once
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace hesse::cpu {

/// While one lives, results of this thread that are too small for a normal number (1.2e-38 in
/// float32, 2.2e-308 in float64) are 0; operands are read as they are. Processors of Intel take some 150
/// cycles for one such result: a product with the tails of Gaussians became 70 times as slow. Only on x86-64;
/// elsewhere it does nothing.
class FlushSubnormals {
 public:
  explicit FlushSubnormals(bool flush = true) : before_(active()) { set(flush); }
  ~FlushSubnormals() { set(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

  static bool active() {
#if defined(__SSE__)
    return (_mm_getcsr() & kFlushToZero) != 0;
#else
    return false;
#endif
  }

 private:
  static constexpr unsigned kFlushToZero = 1U << 15;
  static void set([[maybe_unused]] bool flush) {
#if defined(__SSE__)
    if (flush != active()) _mm_setcsr(_mm_getcsr() ^ kFlushToZero);
#endif
  }
  bool before_;
};

}  // namespace hesse::cpu
