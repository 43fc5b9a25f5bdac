#pragma once
#include <memory>
#include <mutex>

#include "core/program/tile.h"

namespace hesse {

/// The memory where the entries of an array begin.
inline char* first_entry(const Array& a) {
  return static_cast<char*>(a.buffer()->data()) + a.offset() * itemsize(a.dtype());
}

/// A schedule laid out as one tile without lanes, which reads its operands and writes its results where they
/// are (Tile::Results::Outside); once for operands of the same strides.
class StridedTiles {
 public:
  /// added, most: as Tile takes them.
  explicit StridedTiles(Schedule schedule, std::vector<bool> added = {}, Dims most = {})
      : schedule_(std::move(schedule)), added_(std::move(added)), most_(std::move(most)) {}
  const Schedule& schedule() const { return schedule_; }

  std::shared_ptr<const Tile> of(std::span<const Array> x) const {
    const std::lock_guard lock(mutex_);
    const auto fits = [&](const LaidOut& l) {
      for (size_t i = 0; i < x.size(); ++i)
        if (!(l.strides[i] == x[i].strides())) return false;
      return true;
    };
    for (const LaidOut& l : laid_out_)
      if (fits(l)) return l.tile;
    std::vector<Strides> strides;
    for (const Array& a : x) strides.push_back(a.strides());
    const std::vector<std::optional<Strides>> outside(strides.begin(), strides.end());
    auto tile =
        std::make_shared<const Tile>(schedule_, Dims(), outside, Tile::Results::Outside, added_, most_);
    constexpr size_t kKept = 8;
    if (laid_out_.size() >= kKept) laid_out_.erase(laid_out_.begin());
    laid_out_.push_back({std::move(strides), tile});
    return tile;
  }

 private:
  struct LaidOut {
    std::vector<Strides> strides;
    std::shared_ptr<const Tile> tile;
  };
  Schedule schedule_;
  std::vector<bool> added_;
  Dims most_;
  mutable std::mutex mutex_;
  mutable std::vector<LaidOut> laid_out_;
};

}  // namespace hesse
