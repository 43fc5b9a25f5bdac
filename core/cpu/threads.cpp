#include "core/cpu/threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/cpu/subnormals.h"
#include "core/error.h"

namespace hesse {
namespace {

thread_local bool t_inside = false;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int initial_threads() {
  if (const char* s = std::getenv("HESSE_NUM_THREADS")) return std::max(1, std::atoi(s));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}
std::atomic<int>& limit() {
  static std::atomic<int> value{initial_threads()};
  return value;
}

/// Waits, without sleeping, until ready() or for a while: programs of small steps come back for the next
/// parallel part sooner than a thread is put to sleep and woken. False if it did not become ready.
template <class F>
bool spin_until(F&& ready) {
  constexpr auto kLongest = std::chrono::microseconds(100);
  const auto begin = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() - begin < kLongest);
  return false;
}

/// One parallel_for: every thread has a share of the indices, the same at every call with so many, whose data
/// may then be in its caches; when done with it, it takes from others' until none is left.
struct Job {
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };
  Job(int64_t n, const std::function<void(int64_t)>& f, int threads)
      : n(n), f(f), shares(static_cast<size_t>(threads)) {
    for (int t = 0; t < threads; ++t) {
      shares[static_cast<size_t>(t)].next = n * t / threads;
      shares[static_cast<size_t>(t)].end = n * (t + 1) / threads;
    }
  }
  const int64_t n;
  const std::function<void(int64_t)>& f;
  std::vector<Share> shares;
  std::atomic<int64_t> done{0};
  const bool flush_subnormals = cpu::FlushSubnormals::active();  // as on the thread that asks
  std::mutex mutex;
  std::condition_variable finished;
  int64_t failed_at = -1;
  std::exception_ptr error;

  /// The work of a thread, by its number.
  void work(size_t thread) {
    const cpu::FlushSubnormals scope(flush_subnormals);
    t_inside = true;
    for (size_t k = 0; k < shares.size(); ++k) finish(shares[(thread + k) % shares.size()]);
    t_inside = false;
  }

 private:
  void finish(Share& share) {
    for (int64_t i; (i = share.next.fetch_add(1)) < share.end;) {
      try {
        f(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (failed_at < 0 || i < failed_at) {
          failed_at = i;
          error = std::current_exception();
        }
      }
      if (done.fetch_add(1) + 1 == n) {
        const std::lock_guard lock(mutex);
        finished.notify_all();
      }
    }
  }
};

class Pool {
 public:
  void run(const std::shared_ptr<Job>& job, int helpers) {
    const bool spins = helpers < cores_;
    bool asleep;
    {
      const std::lock_guard lock(mutex_);
      while (static_cast<int>(workers_.size()) < helpers)
        workers_.emplace_back([this, number = workers_.size() + 1] { loop(number); });
      job_ = job;
      spins_ = spins;
      ++generation_;
      asleep = asleep_ > 0;
    }
    if (asleep) wake_.notify_all();
    job->work(0);
    const auto is_done = [&] { return job->done.load() == job->n; };
    if (spins && spin_until(is_done)) return;
    std::unique_lock lock(job->mutex);
    job->finished.wait(lock, is_done);
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }

 private:
  void loop(size_t number) {
    uint64_t seen = 0;
    for (;;) {
      std::shared_ptr<Job> job;
      if (spins_) spin_until([&] { return generation_ != seen; });
      {
        std::unique_lock lock(mutex_);
        ++asleep_;
        wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
        --asleep_;
        if (stop_) return;
        seen = generation_;
        if (number < job_->shares.size()) job = job_;
      }
      if (job) job->work(number);
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Job> job_;
  const int cores_ = static_cast<int>(std::thread::hardware_concurrency());
  std::atomic<uint64_t> generation_ = 0;  // written under the mutex
  std::atomic<bool> spins_ = false;       // where every thread has a core
  int asleep_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

// Only one parallel region runs at a time; others run on their own thread. A forked child starts with no
// pool: the parent's threads do not exist there, so its pool is forgotten, never joined.
std::mutex& region_mutex() {
  static std::mutex m;
  return m;
}
std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> p = [] {
    pthread_atfork([] { region_mutex().lock(); }, [] { region_mutex().unlock(); },
                   [] {
                     (void)pool().release();
                     region_mutex().unlock();
                   });
    return std::make_unique<Pool>();
  }();
  return p;
}

}  // namespace

void set_num_threads(int n) {
  require(n >= 1, "set_num_threads: expected at least 1, got ", n);
  limit().store(n);
}
int num_threads() { return limit().load(); }

void parallel_for(int64_t n, const std::function<void(int64_t)>& f) {
  const int helpers = static_cast<int>(std::min<int64_t>(n, num_threads())) - 1;
  std::unique_lock region(region_mutex(), std::defer_lock);
  if (helpers < 1 || t_inside || !region.try_lock()) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  auto& p = pool();
  if (!p) p = std::make_unique<Pool>();
  const auto job = std::make_shared<Job>(n, f, helpers + 1);
  p->run(job, helpers);
  if (job->error) std::rethrow_exception(job->error);
}

}  // namespace hesse
