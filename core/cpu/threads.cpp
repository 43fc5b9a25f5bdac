#include "core/cpu/threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
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

int initial_threads() {
  if (const char* s = std::getenv("HESSE_NUM_THREADS")) return std::max(1, std::atoi(s));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}
std::atomic<int>& limit() {
  static std::atomic<int> value{initial_threads()};
  return value;
}

/// One parallel_for: workers take indices until none is left.
struct Job {
  int64_t n = 0;
  const std::function<void(int64_t)>* f = nullptr;
  std::atomic<int64_t> next{0}, done{0};
  const bool flush_subnormals = cpu::FlushSubnormals::active();  // as on the thread that asks
  std::mutex mutex;
  std::condition_variable finished;
  int64_t failed_at = -1;
  std::exception_ptr error;

  void work() {
    const cpu::FlushSubnormals scope(flush_subnormals);
    t_inside = true;
    for (int64_t i; (i = next.fetch_add(1)) < n;) {
      try {
        (*f)(i);
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
    t_inside = false;
  }
};

class Pool {
 public:
  void run(const std::shared_ptr<Job>& job, int helpers) {
    {
      const std::lock_guard lock(mutex_);
      while (static_cast<int>(workers_.size()) < helpers) workers_.emplace_back([this] { loop(); });
      job_ = job;
      wanted_ = helpers;
      ++generation_;
    }
    wake_.notify_all();
    job->work();
    std::unique_lock lock(job->mutex);
    job->finished.wait(lock, [&] { return job->done.load() == job->n; });
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
  void loop() {
    uint64_t seen = 0;
    for (;;) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || (generation_ != seen && wanted_ > 0); });
        if (stop_) return;
        seen = generation_;
        --wanted_;
        job = job_;
      }
      job->work();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Job> job_;
  uint64_t generation_ = 0;
  int wanted_ = 0;
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
  const auto job = std::make_shared<Job>();
  job->n = n;
  job->f = &f;
  p->run(job, helpers);
  if (job->error) std::rethrow_exception(job->error);
}

}  // namespace hesse
