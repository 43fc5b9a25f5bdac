#include "core/profile.h"

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>

namespace hesse::profile {
namespace {

constexpr size_t kMostEvents = 1000000;

std::atomic<bool> g_active{false};
std::mutex g_mutex;
Profile g_profile;
std::map<std::pair<std::string, SourceLine>, Step> g_steps;
std::chrono::steady_clock::time_point g_begin;

int this_thread() {
  static std::atomic<int> next{0};
  thread_local const int id = next++;
  return id;
}

}  // namespace

bool active() { return g_active.load(std::memory_order_relaxed); }

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - g_begin)
      .count();
}

void start() {
  const std::lock_guard lock(g_mutex);
  require(!active(), "profile: one is being taken already; profiles do not nest");
  g_profile = {};
  g_steps.clear();
  g_begin = std::chrono::steady_clock::now();
  g_active.store(true, std::memory_order_relaxed);
}

Profile stop() {
  const std::lock_guard lock(g_mutex);
  require(active(), "profile: none is being taken");
  g_active.store(false, std::memory_order_relaxed);
  for (auto& [key, step] : g_steps) g_profile.steps.push_back(std::move(step));
  g_steps.clear();
  return std::exchange(g_profile, {});
}

int64_t bytes_of(const Arrays& arrays) {
  int64_t total = 0;
  for (const Array& a : arrays) total += a.size() * itemsize(a.dtype());
  return total;
}

void add_event(std::string_view name, SourceLine source, int64_t begin, int64_t bytes) {
  const int64_t duration = now() - begin;
  const std::lock_guard lock(g_mutex);
  if (!active()) return;
  if (g_profile.events.size() >= kMostEvents)
    ++g_profile.lost;
  else
    g_profile.events.push_back({std::string(name), source, begin, duration, bytes, this_thread()});
}

void add_step(std::string_view name, SourceLine source, int64_t duration) {
  const std::lock_guard lock(g_mutex);
  if (!active()) return;
  Step& step = g_steps[{std::string(name), source}];
  step.name = name;
  step.source = source;
  ++step.calls;
  step.duration += duration;
}

}  // namespace hesse::profile
