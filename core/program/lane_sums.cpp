#include "core/program/lane_sums.h"

namespace hesse {

void add_lane_sums(const View& v, const View& acc) {
  const size_t lane_axis = v.shape.size() - 1;
  visit_dtype(v.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, Key>) {
      throw TypeError("map: keys cannot be summed over examples");
    } else {
      const int64_t n = v.shape[lane_axis], s = v.strides[lane_axis];
      View features = v;
      features.shape.pop_back();
      features.strides.pop_back();
      const int64_t count = num_elements(acc.shape);
      Dims at(features.shape.size(), 0);
      const T* p = v.as<const T>();
      T* out = acc.as<T>();
      for (int64_t k = 0; k < count; ++k) {
        T part[8] = {};
        int64_t l = 0;
        for (; l + 8 <= n; l += 8)
          for (int64_t j = 0; j < 8; ++j) part[j] = static_cast<T>(part[j] + p[(l + j) * s]);
        for (; l < n; ++l) part[l % 8] = static_cast<T>(part[l % 8] + p[l * s]);
        T total = static_cast<T>((part[0] + part[4]) + (part[2] + part[6]));
        total = static_cast<T>(total + ((part[1] + part[5]) + (part[3] + part[7])));
        out[k] = static_cast<T>(out[k] + total);
        for (size_t d = features.shape.size(); d-- > 0;) {
          p += features.strides[d];
          if (++at[d] < features.shape[d]) break;
          p -= features.strides[d] * features.shape[d];
          at[d] = 0;
        }
      }
    }
  });
}

}  // namespace hesse
