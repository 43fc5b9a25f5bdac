#pragma once
#include <optional>
#include <string>

#include "core/array.h"

namespace hesse {

/// What a constant of few entries is, however often they are repeated along axes: dtype, shape, which axes
/// repeat, and bits. Equal for two that can stand for each other; nullopt for others, and for those whose
/// memory somebody else may write to.
std::optional<std::string> constant_key(const Array& a);

/// The same array, or small ones that can stand for each other.
inline bool is_same_constant(const Array& a, const Array& b) {
  if (a.id() == b.id()) return true;
  const std::optional<std::string> key = constant_key(a);
  return key && key == constant_key(b);
}

}  // namespace hesse
