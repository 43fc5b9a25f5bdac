#include "core/allocator.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iterator>
#include <sstream>
#include <vector>

namespace hesse {
namespace {
constexpr size_t kAlign = 64;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kKeep = 0;  // let the sanitizer see every block
#else
constexpr size_t kKeep = size_t{512} << 20;  // bytes kept per thread
#endif

// Four classes per power of two: at most 25% of a block is unused.
struct SizeClass {
  size_t index, bytes;
};
SizeClass size_class(size_t bytes) {
  if (bytes <= kAlign) return {0, kAlign};
  const size_t k = std::bit_width(bytes - 1) - 1, base = size_t{1} << k, step = base / 4;
  const size_t q = (bytes - base + step - 1) / step;  // 1..4
  return {4 * (k - 5) + q, base + q * step};
}

struct Cache {
  std::array<std::vector<void*>, 256> bins;
  size_t held = 0;
  ~Cache() {
    alive() = false;
    for (auto& bin : bins)
      for (void* p : bin) std::free(p);
  }
  static bool& alive() {
    thread_local bool value = true;
    return value;
  }
};
Cache& cache() {
  thread_local Cache c;
  return c;
}
}  // namespace

void* allocate_bytes(size_t bytes) {
  const SizeClass c = size_class(bytes);
  if (Cache::alive()) {
    auto& bin = cache().bins[c.index];
    if (!bin.empty()) {
      void* p = bin.back();
      bin.pop_back();
      cache().held -= c.bytes;
      return p;
    }
  }
  void* p = std::aligned_alloc(kAlign, (c.bytes + kAlign - 1) / kAlign * kAlign);
  if (!p) throw std::bad_alloc();
  return p;
}

void free_bytes(void* p, size_t bytes) {
  const SizeClass c = size_class(bytes);
  if (Cache::alive() && cache().held + c.bytes <= kKeep) {
    cache().bins[c.index].push_back(p);
    cache().held += c.bytes;
  } else {
    std::free(p);
  }
}

std::string describe_bytes(double bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  std::ostringstream out;
  out << std::setprecision(bytes < 100 || unit == 0 ? 3 : 4) << (unit == 0 ? std::round(bytes) : bytes) << ' '
      << kUnits[unit];
  return out.str();
}

}  // namespace hesse
