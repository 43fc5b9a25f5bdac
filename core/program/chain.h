#pragma once
#include <optional>
#include <span>

#include "core/op.h"

namespace hesse {

/// Where a value of a tile lies: in the arena (base 0) or in input base - 1, so many bytes behind its
/// beginning.
struct Place {
  View view;  ///< without its data
  int base = 0;
  int64_t offset = 0;
};

/// Entry-by-entry equations of one shape, one after the other, run in blocks of rows that stay in the
/// first-level cache. A value of shape [features..., lanes...] is rows x runs: a run is the innermost axis.
class Chain {
 public:
  /// Adds out = kernel(in...) if it has the shape of the others and reads or overwrites nothing of theirs in
  /// another order than they do; else returns false. The kernel is one for entries of `dtype`.
  bool add(const EntryKernel& kernel, DType dtype, std::span<const Place* const> in, const Place& out);
  /// Whether a chain of its own takes an equation with these operands.
  static bool takes(std::span<const Place* const> in, const Place& out);
  bool empty() const { return steps_.empty(); }
  size_t size() const { return steps_.size(); }
  void run(char* const* bases) const;

 private:
  /// Strides in bytes over the two levels of rows; `step` is 0 where the run is one value.
  struct Operand {
    int base = 0;
    int64_t offset = 0, rows[2] = {0, 0}, step = 0, item = 0;
    bool operator==(const Operand&) const = default;
  };
  struct Step {
    EntryKernel kernel;
    void (*call)(const Step&, char* const* at, int64_t n) = nullptr;  // the kernel, by its type
    Operand in[3], out;
    int count = 0;
    bool whole = false;  // rows follow each other in all operands: a block is one run
  };
  struct Geometry {
    int64_t rows[2] = {1, 1}, run = 1;
    bool operator==(const Geometry&) const = default;
  };
  static std::optional<Geometry> geometry(const Place& out);
  static std::optional<Operand> operand(const Place& p, const Geometry& g);
  template <class T>
  static void call(const Step& s, char* const* at, int64_t n);

  Geometry geometry_;
  std::vector<Step> steps_;
};

}  // namespace hesse
