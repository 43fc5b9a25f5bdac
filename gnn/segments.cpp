#include "gnn/segments.h"

namespace hesse::gnn::segments {
namespace {

Array lengths(const Array& starts) {
  const int64_t n = starts.dim(0) - 1;
  return slice(starts, {1}, {n + 1}, {1}) - slice(starts, {0}, {n}, {1});
}

}  // namespace

Array over(const Array& values, const Array& like) {
  Shape shape = values.shape();
  while (shape.size() < static_cast<size_t>(like.ndim())) shape.push_back(1);
  return reshape(values, shape);
}

Array maximum(const Array& x, const Array& ids, const Array& starts) {
  const Array largest = segment_max(x, ids, starts.dim(0) - 1);
  return where(over(lengths(starts) > int64_t{0}, largest), largest, 0.0);
}

std::pair<Array, Array> softmax(const Array& logits, const Array& ids, int64_t n, const Array& own) {
  const Array largest = hesse::maximum(segment_max(stop_gradient(logits), ids, n), stop_gradient(own));
  const Array shares = exp(logits - gather(largest, ids)), own_share = exp(own - largest);
  const Array sums = segment_sum(shares, ids, n) + own_share;
  return {shares / gather(sums, ids), own_share / sums};
}

}  // namespace hesse::gnn::segments
