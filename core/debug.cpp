#include "core/debug.h"

#include <atomic>
#include <cmath>

#include "core/cpu/assign.h"

namespace hesse {
namespace {

std::atomic<bool> g_debug_nans{false};

template <class T>
bool any_nan(const View& v, size_t axis) {
  if (axis == v.shape.size()) {
    if constexpr (std::is_floating_point_v<T>)
      return std::isnan(*v.as<const T>());
    else
      return std::isnan(v.as<const T>()->real()) || std::isnan(v.as<const T>()->imag());
  }
  const int64_t n = v.strides[axis] == 0 ? std::min<int64_t>(v.shape[axis], 1) : v.shape[axis];
  View part = v;
  for (int64_t i = 0; i < n; ++i) {
    part.data = static_cast<char*>(v.data) + i * v.strides[axis] * itemsize(v.dtype);
    if (any_nan<T>(part, axis + 1)) return true;
  }
  return false;
}

bool has_nan(const Array& a) {
  if (!a.has_data()) return false;
  switch (a.dtype()) {
    case DType::Float32:
      return any_nan<float>(a.view(), 0);
    case DType::Float64:
      return any_nan<double>(a.view(), 0);
    case DType::Complex64:
      return any_nan<complex64>(a.view(), 0);
    case DType::Complex128:
      return any_nan<complex128>(a.view(), 0);
    default:
      return false;
  }
}

}  // namespace

void set_debug_nans(bool on) { g_debug_nans.store(on); }
bool debug_nans() { return g_debug_nans.load(std::memory_order_relaxed); }

void check_nans(const Op& op, std::span<const Array> inputs, std::span<const Array> outputs,
                SourceLine line) {
  if (!debug_nans()) return;
  bool made = false;
  for (const Array& y : outputs) made = made || has_nan(y);
  for (const Array& x : inputs) made = made && !has_nan(x);
  if (!made) return;
  std::string shapes;
  for (const Array& x : inputs) shapes += std::string(shapes.empty() ? "" : ", ") + describe(x);
  throw NumericalError(concat("debug_nans: ", op.name(), at_source(line),
                              " made a NaN out of operands without one: ", shapes));
}

}  // namespace hesse
