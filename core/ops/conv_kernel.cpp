#include "core/ops/conv_kernel.h"

#include <algorithm>
#include <vector>

#include "core/cpu/gemm.h"
#include "core/cpu/threads.h"
#include "core/ops/reduce_engine.h"
#include "core/ops/view_loops.h"

namespace hesse::conv_kernel {
namespace {

/// Strides of the three spatial dimensions of a view, 0 for leading ones.
struct Spatial {
  int64_t stride[3] = {0, 0, 0};
  explicit Spatial(const View& v) {
    const size_t n = v.strides.size() - 2;
    for (size_t d = 0; d < n; ++d) stride[3 - n + d] = v.strides[2 + d];
  }
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Rows of the output (its first two spatial dimensions, flattened) whose patches are held at once: 1 MiB of
/// float64.
int64_t rows_at_once(const Plan& p) {
  const int64_t row = std::max<int64_t>(1, p.in_channels * p.taps() * p.pos[2]);
  return std::clamp<int64_t>((1 << 17) / row, 1, std::max<int64_t>(1, p.rows()));
}

/// The patches of output rows [begin, end) as a matrix, one row for every channel and tap, one column for
/// every position. run(row of the matrix, first column of the run, lo, hi, x): positions lo to hi of the
/// run's pos[2] lie on x, from x on in steps of the stride; the others in the padding.
template <class T, class F>
void for_each_run_of_patches(const Plan& p, int64_t begin, int64_t end, T* x, int64_t channel,
                             const Spatial& s, F&& run) {
  int64_t row = 0;
  for (int64_t c = 0; c < p.in_channels; ++c)
    for (int64_t k0 = 0; k0 < p.kernel[0]; ++k0)
      for (int64_t k1 = 0; k1 < p.kernel[1]; ++k1)
        for (int64_t k2 = 0; k2 < p.kernel[2]; ++k2, ++row) {
          const int64_t shift = k2 * p.dilation[2] - p.before[2];
          const int64_t first = shift >= 0 ? 0 : divide_up(-shift, p.stride[2]);
          const int64_t past = p.in[2] - shift <= 0 ? 0 : divide_up(p.in[2] - shift, p.stride[2]);
          for (int64_t r = begin; r < end; ++r) {
            const int64_t i0 = r / p.pos[1] * p.stride[0] + k0 * p.dilation[0] - p.before[0];
            const int64_t i1 = r % p.pos[1] * p.stride[1] + k1 * p.dilation[1] - p.before[1];
            const bool inside = i0 >= 0 && i0 < p.in[0] && i1 >= 0 && i1 < p.in[1];
            const int64_t hi = inside ? std::min(past, p.pos[2]) : 0, lo = std::min(first, hi);
            T* from = x;
            if (hi > lo)
              from += c * channel + i0 * s.stride[0] + i1 * s.stride[1] +
                      (lo * p.stride[2] + shift) * s.stride[2];
            run(row, (r - begin) * p.pos[2], lo, hi, from);
          }
        }
}

template <class T>
void gather_patches(const Plan& p, int64_t begin, int64_t end, const T* x, int64_t channel, const Spatial& s,
                    T* columns) {
  const int64_t width = (end - begin) * p.pos[2], step = p.stride[2] * s.stride[2];
  for_each_run_of_patches(p, begin, end, x, channel, s,
                          [&](int64_t row, int64_t column, int64_t lo, int64_t hi, const T* from) {
                            T* to = columns + row * width + column;
                            std::fill(to, to + lo, T(0));
                            for (int64_t i = lo; i < hi; ++i) to[i] = from[(i - lo) * step];
                            std::fill(to + hi, to + p.pos[2], T(0));
                          });
}

/// x += the patches, each entry where it came from.
template <class T>
void scatter_patches(const Plan& p, int64_t begin, int64_t end, const T* columns, T* x, int64_t channel,
                     const Spatial& s) {
  const int64_t width = (end - begin) * p.pos[2], step = p.stride[2] * s.stride[2];
  for_each_run_of_patches(p, begin, end, x, channel, s,
                          [&](int64_t row, int64_t column, int64_t lo, int64_t hi, T* to) {
                            const T* from = columns + row * width + column;
                            for (int64_t i = lo; i < hi; ++i)
                              to[(i - lo) * step] = reduction::wrapping_add(to[(i - lo) * step], from[i]);
                          });
}

/// A row-major copy of a view, or the view itself.
class Packed {
 public:
  explicit Packed(const View& v) : view_(v) {
    if (is_contiguous(v.shape, v.strides)) return;
    storage_.resize(static_cast<size_t>(v.size() * itemsize(v.dtype)));
    view_.data = storage_.data();
    view_.strides = contiguous_strides(v.shape);
    copy_elements(v, view_);
  }
  template <class T>
  const T* as() const {
    return view_.as<const T>();
  }

 private:
  View view_;
  std::vector<char> storage_;
};

template <class F>
void visit_numeric(DType t, F&& f) {
  visit_dtype(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, Key> && !std::is_same_v<T, bool>) f(tag);
  });
}

/// Over examples and groups, on several threads where that is worth it.
template <class F>
void for_each_example(const Plan& p, F&& f) {
  const int64_t n = p.batch * p.groups;
  const double work = static_cast<double>(n) * static_cast<double>(p.in_channels * p.taps()) *
                      static_cast<double>(p.out_channels * p.rows() * p.pos[2]);
  if (work < 1e6)
    for (int64_t i = 0; i < n; ++i) f(i / p.groups, i % p.groups);
  else
    parallel_for(n, [&](int64_t i) { f(i / p.groups, i % p.groups); });
}

}  // namespace

Plan make_plan(const ConvGeometry& g, const Shape& x, const Shape& w) {
  Plan p{};
  p.batch = x[0];
  p.groups = g.groups;
  p.in_channels = w[1];
  p.out_channels = w[0] / g.groups;
  const size_t n = x.size() - 2, skip = 3 - n;
  for (size_t d = 0; d < 3; ++d) {
    p.in[d] = p.kernel[d] = p.pos[d] = p.stride[d] = p.dilation[d] = 1;
    if (d < skip) continue;
    p.in[d] = x[2 + d - skip];
    p.kernel[d] = w[2 + d - skip];
    p.stride[d] = g.stride[d - skip];
    p.dilation[d] = g.dilation[d - skip];
    p.before[d] = g.before[d - skip];
    p.pos[d] = g.out_length(d - skip, p.in[d], p.kernel[d]);
  }
  return p;
}

// Bytes: the patches once; flops: 2 N O C/groups taps positions.
void forward(const Plan& p, const View& x, const View& w, const View& y) {
  visit_numeric(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Packed weights(w);
    const Spatial s(x);
    const int64_t depth = p.in_channels * p.taps(), positions = p.rows() * p.pos[2], step = rows_at_once(p);
    for_each_example(p, [&](int64_t n, int64_t g) {
      std::vector<T> columns(static_cast<size_t>(depth * step * p.pos[2]));
      const T* in = x.as<const T>() + n * x.strides[0] + g * p.in_channels * x.strides[1];
      T* out = y.as<T>() + (n * p.groups + g) * p.out_channels * positions;
      for (int64_t r = 0; r < p.rows(); r += step) {
        const int64_t end = std::min(r + step, p.rows()), width = (end - r) * p.pos[2];
        gather_patches(p, r, end, in, x.strides[1], s, columns.data());
        cpu::gemm<T>({weights.as<T>() + g * p.out_channels * depth, p.out_channels, depth, depth, 1},
                     {columns.data(), depth, width, width, 1},
                     {out + r * p.pos[2], p.out_channels, width, positions, 1});
      }
    });
  });
}

void to_input(const Plan& p, const View& y, const View& w, const View& x) {
  fill_zero(x);
  visit_numeric(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Packed weights(w), outputs(y);
    const Spatial s(x);
    const int64_t depth = p.in_channels * p.taps(), positions = p.rows() * p.pos[2], step = rows_at_once(p);
    for_each_example(p, [&](int64_t n, int64_t g) {
      std::vector<T> columns(static_cast<size_t>(depth * step * p.pos[2]));
      T* in = x.as<T>() + n * x.strides[0] + g * p.in_channels * x.strides[1];
      const T* out = outputs.as<T>() + (n * p.groups + g) * p.out_channels * positions;
      for (int64_t r = 0; r < p.rows(); r += step) {
        const int64_t end = std::min(r + step, p.rows()), width = (end - r) * p.pos[2];
        cpu::gemm<T>({weights.as<T>() + g * p.out_channels * depth, depth, p.out_channels, 1, depth},
                     {out + r * p.pos[2], p.out_channels, width, positions, 1},
                     {columns.data(), depth, width, width, 1});
        scatter_patches(p, r, end, columns.data(), in, x.strides[1], s);
      }
    });
  });
}

// Examples are summed in their order.
void to_weight(const Plan& p, const View& x, const View& y, const View& w) {
  fill_zero(w);
  visit_numeric(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Packed outputs(y);
    const Spatial s(x);
    const int64_t depth = p.in_channels * p.taps(), positions = p.rows() * p.pos[2], step = rows_at_once(p);
    parallel_for(p.groups, [&](int64_t g) {
      std::vector<T> columns(static_cast<size_t>(depth * step * p.pos[2]));
      std::vector<T> part(static_cast<size_t>(p.out_channels * depth));
      T* weights = w.as<T>() + g * p.out_channels * depth;
      for (int64_t n = 0; n < p.batch; ++n) {
        const T* in = x.as<const T>() + n * x.strides[0] + g * p.in_channels * x.strides[1];
        const T* out = outputs.as<T>() + (n * p.groups + g) * p.out_channels * positions;
        for (int64_t r = 0; r < p.rows(); r += step) {
          const int64_t end = std::min(r + step, p.rows()), width = (end - r) * p.pos[2];
          gather_patches(p, r, end, in, x.strides[1], s, columns.data());
          cpu::gemm<T>({out + r * p.pos[2], p.out_channels, width, positions, 1},
                       {columns.data(), width, depth, 1, width},
                       {part.data(), p.out_channels, depth, depth, 1});
          for (size_t i = 0; i < part.size(); ++i) weights[i] = reduction::wrapping_add(weights[i], part[i]);
        }
      }
    });
  });
}

void pool_index(const Plan& p, const View& x, const View& out) {
  visit_dtype(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_arithmetic_v<T>) {
      const Spatial s(x);
      auto* to = out.as<int64_t>();
      for (int64_t n = 0; n < p.batch; ++n)
        for (int64_t c = 0; c < x.shape[1]; ++c) {
          const T* from = x.as<const T>() + n * x.strides[0] + c * x.strides[1];
          const auto value = [&](int64_t i0, int64_t i1, int64_t i2) {
            return from[i0 * s.stride[0] + i1 * s.stride[1] + i2 * s.stride[2]];
          };
          // Windows are cut to x: padding never wins.
          const auto range = [&](int d, int64_t q) {
            const int64_t begin = q * p.stride[d] - p.before[d];
            return std::pair{std::max<int64_t>(begin, 0), std::min(begin + p.kernel[d], p.in[d])};
          };
          for (int64_t q0 = 0; q0 < p.pos[0]; ++q0)
            for (int64_t q1 = 0; q1 < p.pos[1]; ++q1)
              for (int64_t q2 = 0; q2 < p.pos[2]; ++q2) {
                const auto [b0, e0] = range(0, q0);
                const auto [b1, e1] = range(1, q1);
                const auto [b2, e2] = range(2, q2);
                T best = value(b0, b1, b2);
                int64_t at = (b0 * p.in[1] + b1) * p.in[2] + b2;
                for (int64_t i0 = b0; i0 < e0; ++i0)
                  for (int64_t i1 = b1; i1 < e1; ++i1)
                    for (int64_t i2 = b2; i2 < e2; ++i2) {
                      const T v = value(i0, i1, i2);
                      if (!(v > best || (v != v && best == best))) continue;
                      best = v;
                      at = (i0 * p.in[1] + i1) * p.in[2] + i2;
                    }
                *to++ = at;
              }
        }
    }
  });
}

}  // namespace hesse::conv_kernel
