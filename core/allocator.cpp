#include "core/allocator.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iterator>
#include <mutex>
#include <sstream>
#include <vector>

namespace hesse {
namespace {
constexpr size_t kAlign = 64;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kShared = 0, kOwnBytes = 0;  // let the sanitizer see every block
#else
constexpr size_t kShared = size_t{512} << 20;    // bytes kept for all threads
constexpr size_t kOwnBytes = size_t{256} << 10;  // kept by one thread, of each class
#endif
constexpr size_t kOwnBlocks = 256;

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

// How many blocks of a class a thread keeps to itself; none of large ones.
size_t own_blocks(const SizeClass& c) { return std::min(kOwnBytes / c.bytes, kOwnBlocks); }

/// Large blocks lie on huge pages, where the system has them on request: a matrix that is read across its
/// rows else misses the translation buffer at every entry (a product took four times as long).
void* from_system(size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20, kLarge = 2 * kHugePage;
  const size_t align = bytes < kLarge ? kAlign : kHugePage;
  void* const p = std::aligned_alloc(align, (bytes + align - 1) / align * align);
#ifdef MADV_HUGEPAGE
  if (p && bytes >= kLarge) madvise(p, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a hint
#endif
  return p;
}

using Blocks = std::vector<void*>;
using Bins = std::array<Blocks, 256>;

/// Moves the last n blocks.
void move_blocks(Blocks& from, Blocks& to, size_t n) {
  const auto begin = from.end() - static_cast<std::ptrdiff_t>(n);
  to.insert(to.end(), begin, from.end());
  from.erase(begin, from.end());
}

/// What threads have given back beyond what they keep: one frees what another allocates.
class Shared {
 public:
  /// Never destroyed: threads may end after static objects have. A forked child begins with one of its own,
  /// since another thread of its parent may have held the lock.
  static Shared& instance() {
    static std::atomic<Shared*>& shared = [&]() -> std::atomic<Shared*>& {
      pthread_atfork(nullptr, nullptr, [] { place().store(new Shared); });
      place().store(new Shared);
      return place();
    }();
    return *shared.load(std::memory_order_acquire);
  }
  /// A block of the class, and up to `more` others into `own`; null if there is none.
  void* take(const SizeClass& c, Blocks& own, size_t more) {
    const std::lock_guard lock(mutex_);
    Blocks& bin = bins_[c.index];
    if (bin.empty()) return nullptr;
    more = std::min(more, bin.size() - 1);
    move_blocks(bin, own, more);
    void* const p = bin.back();
    bin.pop_back();
    held_ -= (more + 1) * c.bytes;
    return p;
  }
  /// The last n blocks of `from`; what goes beyond the bound is the system's again.
  void give(const SizeClass& c, Blocks& from, size_t n) {
    const std::lock_guard lock(mutex_);
    const size_t kept = std::min(n, (kShared - std::min(held_, kShared)) / c.bytes);
    move_blocks(from, bins_[c.index], kept);
    held_ += kept * c.bytes;
    for (size_t i = kept; i < n; ++i) {
      std::free(from.back());
      from.pop_back();
    }
  }

  /// Gives everything back to the system.
  void clear() {
    const std::lock_guard lock(mutex_);
    for (Blocks& bin : bins_) {
      for (void* p : bin) std::free(p);
      bin.clear();
    }
    held_ = 0;
  }

 private:
  static std::atomic<Shared*>& place() {
    static std::atomic<Shared*> p{nullptr};
    return p;
  }
  std::mutex mutex_;
  Bins bins_;
  size_t held_ = 0;
};

struct Cache {
  Bins bins;
  ~Cache() {
    alive() = false;
    for (Blocks& bin : bins)
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
    Blocks& bin = cache().bins[c.index];
    if (!bin.empty()) {
      void* p = bin.back();
      bin.pop_back();
      return p;
    }
    if (void* p = Shared::instance().take(c, bin, own_blocks(c) / 2)) return p;
  }
  void* p = from_system(c.bytes);
  if (!p) {  // kept blocks of other sizes may be in the way
    Shared::instance().clear();
    p = from_system(c.bytes);
  }
  if (!p) throw std::bad_alloc();
  return p;
}

void free_bytes(void* p, size_t bytes) {
  const SizeClass c = size_class(bytes);
  if (!Cache::alive()) return std::free(p);
  Blocks& bin = cache().bins[c.index];
  bin.push_back(p);
  if (const size_t own = own_blocks(c); bin.size() > own)
    Shared::instance().give(c, bin, bin.size() - own / 2);
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
