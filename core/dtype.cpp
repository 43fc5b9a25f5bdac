#include "core/dtype.h"

#include <array>
#include <atomic>
#include <ostream>

namespace hesse {
namespace {
constexpr std::array<std::string_view, kNumDTypes> kNames = {
    "bool",   "int8",   "int16",   "int32",   "int64",     "uint8",      "uint16",
    "uint32", "uint64", "float32", "float64", "complex64", "complex128", "key"};
constexpr std::array<int64_t, kNumDTypes> kSizes = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 8, 16, 8};
std::atomic<DType> g_default{DType::Float64};

int rank(DType t) {  // position within its kind
  switch (t) {
    case DType::Int8:
    case DType::UInt8:
      return 0;
    case DType::Int16:
    case DType::UInt16:
      return 1;
    case DType::Int32:
    case DType::UInt32:
      return 2;
    default:
      return 3;
  }
}
}  // namespace

int64_t itemsize(DType t) { return kSizes[static_cast<size_t>(t)]; }
std::string_view name(DType t) { return kNames[static_cast<size_t>(t)]; }
std::ostream& operator<<(std::ostream& out, DType t) { return out << name(t); }

DType dtype_from_name(std::string_view s) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == s) return static_cast<DType>(i);
  throw TypeError(concat("dtype: unknown name '", s,
                         "'; expected bool, int8..int64, uint8..uint64, float32, float64, "
                         "complex64, complex128 or key"));
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  require<TypeError>(a != DType::Key && b != DType::Key, "promote: a key does not mix with ",
                     a == DType::Key ? b : a, "; use random.bits or random.uniform to make numbers");
  if (is_bool(a)) return b;
  if (is_bool(b)) return a;
  if (is_inexact(a) || is_inexact(b)) {
    if (!is_inexact(a)) return b;
    if (!is_inexact(b)) return a;
    const bool complex = is_complex(a) || is_complex(b);
    const bool wide = real_dtype(a) == DType::Float64 || real_dtype(b) == DType::Float64;
    return complex ? (wide ? DType::Complex128 : DType::Complex64) : (wide ? DType::Float64 : DType::Float32);
  }
  if (is_signed_integer(a) == is_signed_integer(b)) return rank(a) >= rank(b) ? a : b;
  const DType s = is_signed_integer(a) ? a : b, u = is_signed_integer(a) ? b : a;
  require<TypeError>(u != DType::UInt64, "promote: ", s,
                     " and uint64 have no common integer dtype; convert one with astype");
  const int r = std::max(rank(s), rank(u) + 1);
  return static_cast<DType>(static_cast<int>(DType::Int8) + r);
}

DType real_dtype(DType t) {
  return t == DType::Complex64 ? DType::Float32 : t == DType::Complex128 ? DType::Float64 : t;
}
DType complex_dtype(DType t) {
  return t == DType::Float32 ? DType::Complex64 : t == DType::Float64 ? DType::Complex128 : t;
}

DType default_dtype() { return g_default.load(std::memory_order_relaxed); }
void set_default_dtype(DType t) {
  require<TypeError>(is_floating(t), "set_default_dtype: expected float32 or float64, got ", t);
  g_default.store(t, std::memory_order_relaxed);
}

}  // namespace hesse
