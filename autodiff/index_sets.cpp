#include "autodiff/index_sets.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

namespace hesse {
namespace {
constexpr int64_t kMostKept = int64_t{1} << 25;  // numbers, 128 MB
}

IndexSets::IndexSets(int64_t n) : n_(n), all_(static_cast<size_t>(n)), seen_(static_cast<size_t>(n), 0) {
  std::iota(all_.begin(), all_.end(), 0);
  sets_.resize(2);
}

std::span<const int32_t> IndexSets::members(int set) const {
  return set == kAll ? std::span<const int32_t>(all_) : sets_[static_cast<size_t>(set)];
}

int IndexSets::keep(std::vector<int32_t> members) {
  if (members.empty()) return kEmpty;
  if (static_cast<int64_t>(members.size()) == n_) return kAll;
  size_t hash = members.size();
  for (const int32_t m : members) hash = (hash ^ static_cast<size_t>(m)) * 0x9e3779b97f4a7c15ull;
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it)
    if (sets_[static_cast<size_t>(it->second)] == members) return it->second;
  kept_ += static_cast<int64_t>(members.size());
  if (kept_ > kMostKept) return kAll;
  sets_.push_back(std::move(members));
  const int id = static_cast<int>(sets_.size()) - 1;
  by_hash_.emplace(hash, id);
  return id;
}

int IndexSets::single(int64_t i) { return keep({static_cast<int32_t>(i)}); }

int IndexSets::unite(int a, int b) {
  if (a == b || b == kEmpty || a == kAll) return a;
  if (a == kEmpty || b == kAll) return b;
  const uint64_t key = (static_cast<uint64_t>(std::min(a, b)) << 32) |
                       static_cast<uint64_t>(static_cast<uint32_t>(std::max(a, b)));
  if (const auto it = unions_.find(key); it != unions_.end()) return it->second;
  const auto x = members(a), y = members(b);
  std::vector<int32_t> out;
  out.reserve(x.size() + y.size());
  std::set_union(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(out));
  const int id = keep(std::move(out));
  unions_.emplace(key, id);
  return id;
}

int IndexSets::unite(std::span<const int> sets) {
  std::vector<int> some(sets.begin(), sets.end());
  std::sort(some.begin(), some.end());
  some.erase(std::unique(some.begin(), some.end()), some.end());
  if (!some.empty() && some.front() == kEmpty) some.erase(some.begin());
  if (some.empty()) return kEmpty;
  if (some.front() == kAll || some.size() == 1) return some.front();
  if (some.size() == 2) return unite(some[0], some[1]);
  std::vector<int32_t> out;
  ++round_;
  for (const int s : some)
    for (const int32_t m : members(s))
      if (std::exchange(seen_[static_cast<size_t>(m)], round_) != round_) out.push_back(m);
  std::sort(out.begin(), out.end());
  return keep(std::move(out));
}

}  // namespace hesse
