#include "core/cpu/assign.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/cpu/lane_gemm.h"
#include "core/cpu/simd_kernels.h"

namespace hesse::cpu {
namespace {

struct Axis {
  int64_t n, s, d;  // length, source stride, destination stride
};

// Axes of length 1 dropped, neighbours that run on merged; innermost last, by destination stride.
std::vector<Axis> collapsed(const View& src, const View& dst) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < src.shape.size(); ++i)
    if (src.shape[i] != 1) axes.push_back({src.shape[i], src.strides[i], dst.strides[i]});
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return std::abs(a.d) > std::abs(b.d); });
  std::vector<Axis> out;
  for (const Axis& a : axes) {
    if (!out.empty() && out.back().s == a.s * a.n && out.back().d == a.d * a.n)
      out.back() = {out.back().n * a.n, a.s, a.d};
    else
      out.push_back(a);
  }
  return out;
}

struct Copy {
  template <class T>
  void operator()(T& d, const T& s) const {
    d = s;
  }
};

template <class T, class F>
void loop(const std::vector<Axis>& axes, size_t k, const T* s, T* d, const F& f) {
  const Axis& a = axes[k];
  if (k + 1 == axes.size()) {
    if (a.s == 1 && a.d == 1)
      for (int64_t i = 0; i < a.n; ++i) f(d[i], s[i]);
    else
      for (int64_t i = 0; i < a.n; ++i) f(d[i * a.d], s[i * a.s]);
    return;
  }
  if (k + 2 == axes.size() && a.s == 1 && axes[k + 1].s != 1) {  // a transpose: 16 x 16 blocks
    const Axis& b = axes[k + 1];
    if constexpr (std::is_same_v<F, Copy> && (sizeof(T) == 4 || sizeof(T) == 8)) {
      using V = std::conditional_t<sizeof(T) == 4, float, double>;
      if (b.d == 1)  // rows of the source go to columns
        return lane_kernels<V>().transpose(b.n, a.n, reinterpret_cast<const V*>(s), b.s,
                                           reinterpret_cast<V*>(d), a.d);
    }
    constexpr int64_t kBlock = 16;
    for (int64_t i0 = 0; i0 < a.n; i0 += kBlock)
      for (int64_t j0 = 0; j0 < b.n; j0 += kBlock)
        for (int64_t i = i0; i < std::min(i0 + kBlock, a.n); ++i)
          for (int64_t j = j0; j < std::min(j0 + kBlock, b.n); ++j) f(d[i * a.d + j * b.d], s[i + j * b.s]);
    return;
  }
  for (int64_t i = 0; i < a.n; ++i) loop(axes, k + 1, s + i * a.s, d + i * a.d, f);
}

template <class T, class F>
void run(const View& src, const View& dst, const F& f) {
  if (src.size() == 0) return;
  const std::vector<Axis> axes = collapsed(src, dst);
  if (axes.empty())
    f(*dst.as<T>(), *src.as<const T>());
  else
    loop<T>(axes, 0, src.as<const T>(), dst.as<T>(), f);
}

template <class T>
void add(const View& src, const View& dst) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
    if (src.strides == dst.strides && is_contiguous(src.shape, src.strides))
      return simd_kernels<T>().add(dst.as<T>(), 1, src.as<const T>(), 1, dst.as<T>(), src.size());
  run<T>(src, dst, [](T& d, const T& s) { d = static_cast<T>(d + s); });
}

struct Bytes16 {
  uint64_t a, b;
};

}  // namespace

void assign(const View& src, const View& dst) {
  if (src.strides == dst.strides && is_contiguous(src.shape, src.strides)) {
    std::memcpy(dst.data, src.data, static_cast<size_t>(src.size() * itemsize(src.dtype)));
    return;
  }
  const Copy copy;
  switch (itemsize(src.dtype)) {
    case 1:
      return run<uint8_t>(src, dst, copy);
    case 2:
      return run<uint16_t>(src, dst, copy);
    case 4:
      return run<uint32_t>(src, dst, copy);
    case 8:
      return run<uint64_t>(src, dst, copy);
    default:
      return run<Bytes16>(src, dst, copy);
  }
}

void accumulate(const View& src, const View& dst) {
  visit_dtype(src.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, Key>)
      throw TypeError("accumulate: keys cannot be added");
    else if constexpr (std::is_same_v<T, bool>)
      run<T>(src, dst, [](T& d, const T& s) { d = d || s; });
    else
      add<T>(src, dst);
  });
}

void set_zero(const View& dst) {
  if (dst.size()) std::memset(dst.data, 0, static_cast<size_t>(dst.size() * itemsize(dst.dtype)));
}

View at(const View& v, size_t axis, int64_t i) {
  View out = v;
  out.data = static_cast<char*>(v.data) + i * v.strides[axis] * itemsize(v.dtype);
  out.shape.erase(axis);
  out.strides.erase(axis);
  return out;
}

View range(const View& v, size_t axis, int64_t begin, int64_t n) {
  View out = v;
  out.data = static_cast<char*>(v.data) + begin * v.strides[axis] * itemsize(v.dtype);
  out.shape[axis] = n;
  return out;
}

View moved(const View& v, size_t from, size_t to) {
  View out = v;
  const int64_t n = out.shape[from], s = out.strides[from];
  out.shape.erase(from);
  out.strides.erase(from);
  out.shape.insert(to, n);
  out.strides.insert(to, s);
  return out;
}

}  // namespace hesse::cpu
