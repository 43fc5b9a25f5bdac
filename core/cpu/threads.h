#pragma once
#include <cstdint>
#include <functional>

namespace hesse {

/// Threads that parallel work may use, the caller included. The default is HESSE_NUM_THREADS or the number of
/// cores. Results never depend on it. Throws ValueError for n < 1.
void set_num_threads(int n);
int num_threads();

/// Runs f(0) ... f(n-1), in any order, on up to num_threads() threads; returns when all are done. Called from
/// inside itself it runs on the calling thread. The first exception by index is rethrown.
void parallel_for(int64_t n, const std::function<void(int64_t)>& f);

}  // namespace hesse
