#include "core/constant.h"

#include "core/cpu/assign.h"

namespace hesse {

std::optional<std::string> constant_key(const Array& a) {
  constexpr int64_t kMost = 256;
  if (!a.has_data() || a.buffer()->is_foreign()) return std::nullopt;
  View once = a.view();  // without what is repeated
  for (size_t d = 0; d < once.shape.size(); ++d)
    if (once.strides[d] == 0 && once.shape[d] > 1) once.shape[d] = 1;
  if (once.size() > kMost) return std::nullopt;
  const Array entries = Array::uninitialized(once.shape, a.dtype());
  cpu::assign(once, entries.view());
  std::string key{static_cast<char>(a.dtype()), static_cast<char>(a.is_weak())};
  const auto add = [&](const void* bytes, size_t n) { key.append(static_cast<const char*>(bytes), n); };
  for (size_t d = 0; d < a.ndim(); ++d) {
    const int64_t lengths[2] = {a.shape()[d], once.shape[d]};
    add(lengths, sizeof(lengths));
  }
  add(entries.view().data, static_cast<size_t>(once.size()) * itemsize(a.dtype()));
  return key;
}

}  // namespace hesse
