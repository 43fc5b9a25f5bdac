#pragma once
#include <complex>
#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "core/error.h"

namespace hesse {

/// A splittable counter-based random key: two 32-bit words (see core/random.h).
struct Key {
  uint32_t hi = 0, lo = 0;
  bool operator==(const Key&) const = default;
};

enum class DType : uint8_t {
  Bool,
  Int8,
  Int16,
  Int32,
  Int64,
  UInt8,
  UInt16,
  UInt32,
  UInt64,
  Float32,
  Float64,
  Complex64,
  Complex128,
  Key
};
inline constexpr int kNumDTypes = 14;

inline constexpr DType kBool = DType::Bool, kInt8 = DType::Int8, kInt16 = DType::Int16, kInt32 = DType::Int32,
                       kInt64 = DType::Int64, kUInt8 = DType::UInt8, kUInt16 = DType::UInt16,
                       kUInt32 = DType::UInt32, kUInt64 = DType::UInt64, kFloat32 = DType::Float32,
                       kFloat64 = DType::Float64, kComplex64 = DType::Complex64,
                       kComplex128 = DType::Complex128, kKey = DType::Key;

using complex64 = std::complex<float>;
using complex128 = std::complex<double>;

/// Bytes of one element.
int64_t itemsize(DType t);
/// The name in NumPy's words: "float64", "bool", "key", ...
std::string_view name(DType t);
/// The dtype of that name; throws TypeError for an unknown one.
DType dtype_from_name(std::string_view name);
std::ostream& operator<<(std::ostream& out, DType t);

constexpr bool is_bool(DType t) { return t == DType::Bool; }
constexpr bool is_signed_integer(DType t) { return t >= DType::Int8 && t <= DType::Int64; }
constexpr bool is_unsigned_integer(DType t) { return t >= DType::UInt8 && t <= DType::UInt64; }
constexpr bool is_integer(DType t) { return t >= DType::Int8 && t <= DType::UInt64; }
constexpr bool is_floating(DType t) { return t == DType::Float32 || t == DType::Float64; }
constexpr bool is_complex(DType t) { return t == DType::Complex64 || t == DType::Complex128; }
/// Real or complex floating point: the dtypes that have tangents.
constexpr bool is_inexact(DType t) { return is_floating(t) || is_complex(t); }

/// The dtype both promote to under the Python array API standard's table, extended as NumPy does to mixed
/// kinds (integer with float gives the float). Throws TypeError for keys and for uint64 with a signed
/// integer.
DType promote(DType a, DType b);
/// The real dtype of the same precision: complex128 -> float64; others unchanged.
DType real_dtype(DType t);
/// The complex dtype of the same precision: float64 -> complex128; others unchanged.
DType complex_dtype(DType t);

/// The dtype new arrays get where none is said: float64, or what set_default_dtype chose (floating only).
DType default_dtype();
void set_default_dtype(DType t);

template <class T>
struct dtype_of_t;
// clang-format off
#define HESSE_DTYPES(X)                                                                                 \
  X(bool, Bool) X(int8_t, Int8) X(int16_t, Int16) X(int32_t, Int32) X(int64_t, Int64) X(uint8_t, UInt8) \
  X(uint16_t, UInt16) X(uint32_t, UInt32) X(uint64_t, UInt64) X(float, Float32) X(double, Float64)      \
  X(complex64, Complex64) X(complex128, Complex128) X(Key, Key)
// clang-format on
#define HESSE_X(type, tag)                     \
  template <>                                  \
  struct dtype_of_t<type> {                    \
    static constexpr DType value = DType::tag; \
  };
HESSE_DTYPES(HESSE_X)
#undef HESSE_X
template <class T>
inline constexpr DType dtype_of = dtype_of_t<T>::value;

template <class T>
struct TypeTag {
  using type = T;
};

/// Calls f(TypeTag<T>{}) with the C++ type of `t`.
template <class F>
decltype(auto) visit_dtype(DType t, F&& f) {
  switch (t) {
#define HESSE_X(type, tag) \
  case DType::tag:         \
    return f(TypeTag<type>{});
    HESSE_DTYPES(HESSE_X)
#undef HESSE_X
  }
  throw TypeError("unknown dtype");
}

}  // namespace hesse
