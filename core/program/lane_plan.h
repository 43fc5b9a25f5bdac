#pragma once
#include "core/ops/control.h"

namespace hesse {

/// What a map does with its body, decided once per call: which equations run once, which per tile, which
/// after the sums.
///
/// A sum over lanes moves through what is linear: sum(a + b) = sum(a) + sum(b), sum(u * a) = u * sum(a) for
/// uniform u, and the sum of outer products d x^T is one product over lanes. So weight gradients are never
/// stored per example.
struct LanePlan {
  /// Accumulated over lanes: the sum of a value, or of the outer products of two.
  struct Sum {
    int value = -1;             ///< the summed value of the body
    int left = -1, right = -1;  ///< value = left right^T where it is an outer product that is not formed
  };
  std::vector<int> before, tile, after;  ///< equations by phase
  std::vector<bool> varies;              ///< values that differ between examples
  std::vector<Sum> sums;
  std::vector<bool> used;  ///< inputs that a tile or `before` reads
  int64_t lanes = 1;       ///< width of a tile

  LanePlan(const Graph& body, int64_t n, const std::vector<Access>& access,
           const std::vector<Result>& results);
};

}  // namespace hesse
