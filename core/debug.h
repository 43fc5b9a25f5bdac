#pragma once
#include "core/op.h"
#include "core/source.h"

namespace hesse {

/// With debugging of NaNs on, evaluating an op that makes a NaN out of operands without one throws
/// NumericalError naming it and its operands' shapes. Inside a map the first such op is named through the
/// graph of one example.
void set_debug_nans(bool on);
bool debug_nans();
/// For evaluators: throws as said if the check is on and fails.
void check_nans(const Op& op, std::span<const Array> inputs, std::span<const Array> outputs,
                SourceLine line = 0);

}  // namespace hesse
