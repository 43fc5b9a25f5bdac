#include "core/nn/losses.h"

#include "core/ops.h"

namespace hesse::nn {
namespace {

Array weighted_mean(const Array& loss, const std::optional<Array>& weights) {
  if (!weights) return mean(loss);
  const Array w = broadcast_to(astype(*weights, loss.dtype()), loss.shape());
  return sum(where(equal(w, 0.0), 0.0, w * loss)) / sum(w);
}

}  // namespace

Array softmax_cross_entropy(const Array& logits, const Array& labels, const std::optional<Array>& weights) {
  constexpr const char* kName = "softmax_cross_entropy";
  require(logits.ndim() >= 1 && logits.dim(-1) >= 1, kName, ": logits must be [..., C] with C >= 1, got ",
          describe(logits));
  require<TypeError>(is_floating(logits.dtype()), kName, ": logits must be real floating numbers, got ",
                     describe(logits));
  Shape rows = logits.shape();
  rows.pop_back();
  if (weights)
    require(weights->shape() == rows, kName, ": weights must have a number per row, ", rows, ", got ",
            describe(*weights));
  const Array log_p = log_softmax(logits, -1);
  if (!is_integer(labels.dtype())) {
    require<TypeError>(is_floating(labels.dtype()), kName, ": labels must be integers or probabilities, got ",
                       describe(labels));
    require(labels.shape() == logits.shape(), kName, ": probabilities must have the shape of the logits, ",
            logits.shape(), ", got ", describe(labels), "; labels [...] must be integers");
    return weighted_mean(-sum(where(equal(labels, 0.0), 0.0, labels * log_p), Axes{-1}), weights);
  }
  require(labels.shape() == rows, kName, ": labels must have an integer per row, ", rows, ", got ",
          describe(labels), "; probabilities must be floating numbers");
  Array index = astype(labels, kInt64);
  if (weights) index = where(equal(*weights, zeros_like(*weights)), int64_t{0}, index);
  // A negative label does not count from the end: it is moved out of range.
  index = where(index < int64_t{0}, index - logits.dim(-1), index);
  const Array picked = squeeze(take_along_axis(log_p, expand_dims(index, {-1}), -1), Axes{-1});
  return weighted_mean(-picked, weights);
}

Array binary_cross_entropy_with_logits(const Array& logits, const Array& targets,
                                       const std::optional<Array>& weights) {
  constexpr const char* kName = "binary_cross_entropy_with_logits";
  require<TypeError>(is_floating(logits.dtype()), kName, ": logits must be real floating numbers, got ",
                     describe(logits));
  require(targets.shape() == logits.shape(), kName, ": targets must have the shape of the logits, ",
          logits.shape(), ", got ", describe(targets));
  const Array t = astype(targets, logits.dtype());
  return weighted_mean(softplus(logits) - t * logits, weights);
}

}  // namespace hesse::nn
