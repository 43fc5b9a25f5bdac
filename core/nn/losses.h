#pragma once
#include <optional>

#include "core/array.h"

/// Losses: scalars from predictions and targets. With weights w (or a mask of booleans) every one is
/// sum w loss / sum w, else the mean; NaN where all weights are 0. Each throws ValueError naming the shapes
/// where they do not fit.
namespace hesse::nn {

/// -log softmax(logits)[label], logits [..., C]. Labels are integers [...] below C, or probabilities p
/// [..., C], for which the loss is -sum p log softmax(logits). Weights [...]; the labels of rows of weight 0
/// are not read. Throws IndexError for a label out of range in another row.
Array softmax_cross_entropy(const Array& logits, const Array& labels,
                            const std::optional<Array>& weights = {});

/// -t log s(x) - (1 - t) log(1 - s(x)) with s the logistic function, as softplus(x) - t x: nothing overflows.
/// Weights of a shape that broadcasts to that of x.
Array binary_cross_entropy_with_logits(const Array& logits, const Array& targets,
                                       const std::optional<Array>& weights = {});

}  // namespace hesse::nn
