/* What one core can do: multiply-adds in registers, and a = b + s c through memory. Prints a line of JSON.
   Compiled by roofline.py with the instruction set under test; one process per core. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
/* Enough independent chains to hide the latency of two units, few enough for 16 registers. */
#define CHAINS 12
#define STEPS 1000000L

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best of several: whoever else runs here only takes away. */
static double best(const double* rates, int n) {
  double found = 0.0;
  for (int k = 0; k < n; ++k) found = rates[k] > found ? rates[k] : found;
  return found;
}

static volatile double sink;

#define PEAK(T)                                                       \
  static double peak_##T(void) {                                      \
    typedef T Vector __attribute__((vector_size(BYTES)));             \
    const int lanes = BYTES / (int)sizeof(T);                         \
    double rates[40];                                                 \
    for (int repeat = 0; repeat < 40; ++repeat) {                     \
      Vector a[CHAINS], m, c;                                         \
      for (int k = 0; k < lanes; ++k) m[k] = (T)0.999, c[k] = (T)0.1; \
      for (int j = 0; j < CHAINS; ++j) a[j] = c * (T)j;               \
      const double begin = now();                                     \
      for (long step = 0; step < STEPS; ++step)                       \
        for (int j = 0; j < CHAINS; ++j) a[j] = a[j] * m + c;         \
      const double seconds = now() - begin;                           \
      for (int j = 0; j < CHAINS; ++j) sink += a[j][0];               \
      rates[repeat] = 2e-9 * STEPS * CHAINS * lanes / seconds;        \
    }                                                                 \
    return best(rates, 40);                                           \
  }
PEAK(float)
PEAK(double)

static double triad(long n, int repeats) {
  double *a = malloc(8 * n), *b = malloc(8 * n), *c = malloc(8 * n), rates[9];
  if (!a || !b || !c) return 0.0;
  for (long i = 0; i < n; ++i) a[i] = 0.0, b[i] = 1.0, c[i] = 2.0;
  for (int trial = 0; trial < 9; ++trial) {
    const double begin = now();
    for (int r = 0; r < repeats; ++r) {
      for (long i = 0; i < n; ++i) a[i] = b[i] + 3.0 * c[i];
      __asm__ volatile("" ::: "memory");
    }
    rates[trial] = 24e-9 * n * repeats / (now() - begin);
  }
  sink += a[n / 2];
  free(a), free(b), free(c);
  return best(rates, 9);
}

int main(void) {
  printf("{\"vector_bytes\": %d, \"float32_gflops\": %.2f, \"float64_gflops\": %.2f, ", BYTES, peak_float(),
         peak_double());
  printf("\"triad_cache_gbs\": %.2f, \"triad_memory_gbs\": %.2f}\n", triad(8192, 2000), triad(8L << 20, 1));
  return 0;
}
