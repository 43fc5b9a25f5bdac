#pragma once
#include <string_view>

#include "core/dtype.h"

namespace hesse {

/// A function of entries, on rows of n that lie one behind the other.
using RowFunction = void (*)(const char* const* in, char* out, int64_t n);

/// Of an op by its name, for what has no kernel of SimdKernels: integers and bools, and sums over rows. `in`:
/// of the last operand. nullptr where there is none.
RowFunction row_function(std::string_view name, DType in, DType out);

}  // namespace hesse
