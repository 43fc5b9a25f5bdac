#pragma once
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace hesse {

/// Sets of numbers 0 .. n-1, each kept once and known by a number of its own: what entries of arrays depend
/// on. Unions of pairs are remembered, since neighbours in arrays have the same. When they take too much
/// memory every further union is the set of all, which is right but coarse.
class IndexSets {
 public:
  static constexpr int kEmpty = 0, kAll = 1;
  explicit IndexSets(int64_t n);
  int single(int64_t i);
  int unite(int a, int b);
  int unite(std::span<const int> sets);
  int64_t size() const { return n_; }
  /// The numbers of a set in ascending order.
  std::span<const int32_t> members(int set) const;

 private:
  int keep(std::vector<int32_t> members);
  int64_t n_;
  int64_t kept_ = 0;
  std::vector<int32_t> all_;
  std::vector<std::vector<int32_t>> sets_;
  std::unordered_multimap<size_t, int> by_hash_;
  std::unordered_map<uint64_t, int> unions_;
  std::vector<int> seen_;  // by number: the last union that met it
  int round_ = 0;
};

}  // namespace hesse
