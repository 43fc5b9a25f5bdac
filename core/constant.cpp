#include "core/constant.h"

#include "core/cpu/assign.h"

namespace hesse {

std::optional<std::string> constant_key(const Array& a) {
  constexpr int64_t kMost = 64;
  if (a.size() > kMost || !a.has_data() || a.buffer()->is_foreign()) return std::nullopt;
  Array flat = a;
  if (!a.contiguous()) {
    flat = Array::uninitialized(a.shape(), a.dtype());
    cpu::assign(a.view(), flat.view());
  }
  std::string key{static_cast<char>(a.dtype()), static_cast<char>(a.is_weak())};
  for (const int64_t n : a.shape()) key.push_back(static_cast<char>(n));
  key.push_back('\0');
  key.append(static_cast<const char*>(flat.view().data), static_cast<size_t>(a.size()) * itemsize(a.dtype()));
  return key;
}

}  // namespace hesse
