#pragma once
#include <array>
#include <cstdint>

#include "core/array.h"

/// The strided loop of every plain kernel. Views of one shape are walked together: axes that lie one behind
/// the other in all of them are joined, so that a contiguous (or uniform, stride 0) array is one run, and
/// what remains is a nest of loops around one-dimensional runs with a step, in elements, per operand.
namespace hesse::cpu {

/// One innermost run: n elements of N operands; `at` points to the first of each.
template <size_t N>
struct Run {
  std::array<char*, N> at{};
  std::array<int64_t, N> step{};
  int64_t n = 1;
  template <class T>
  T* as(size_t k) const {
    return reinterpret_cast<T*>(at[k]);
  }
};

/// The joined axes of N views, outermost first, and their strides.
template <size_t N>
struct Nest {
  Dims shape;
  std::array<Dims, N> strides;
};

/// Drops axes of length 1 and joins neighbours. Empty arrays must not come here.
template <size_t N>
Nest<N> join_axes(const std::array<const View*, N>& v) {
  Nest<N> nest;
  const Shape& shape = v[0]->shape;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] == 1) continue;
    bool joins = !nest.shape.empty();
    for (size_t k = 0; joins && k < N; ++k)
      joins = nest.strides[k].back() == v[k]->strides[axis] * shape[axis];
    if (joins) {
      nest.shape.back() *= shape[axis];
      for (size_t k = 0; k < N; ++k) nest.strides[k].back() = v[k]->strides[axis];
    } else {
      nest.shape.push_back(shape[axis]);
      for (size_t k = 0; k < N; ++k) nest.strides[k].push_back(v[k]->strides[axis]);
    }
  }
  // A short innermost axis inside a long one (a column of pairs) costs less the other way round.
  const size_t d = nest.shape.size();
  if (d >= 2 && nest.shape[d - 1] < 8 && nest.shape[d - 2] >= 4 * nest.shape[d - 1]) {
    std::swap(nest.shape[d - 1], nest.shape[d - 2]);
    for (size_t k = 0; k < N; ++k) std::swap(nest.strides[k][d - 1], nest.strides[k][d - 2]);
  }
  return nest;
}

/// Calls f(run) for every innermost run of N views of one shape. The order of the runs is not specified.
template <size_t N, class F>
void for_each_run(const std::array<const View*, N>& v, F&& f) {
  for (const int64_t length : v[0]->shape)
    if (length <= 0) return;
  const Nest<N> nest = join_axes(v);
  Run<N> run;
  std::array<int64_t, N> bytes;
  for (size_t k = 0; k < N; ++k) {
    run.at[k] = v[k]->template as<char>();
    bytes[k] = itemsize(v[k]->dtype);
  }
  const size_t d = nest.shape.size();
  if (d > 0) {
    run.n = nest.shape[d - 1];
    for (size_t k = 0; k < N; ++k) run.step[k] = nest.strides[k][d - 1];
  }
  if (d <= 1) {
    f(static_cast<const Run<N>&>(run));
    return;
  }
  Dims position(d - 1, 0);
  for (;;) {
    f(static_cast<const Run<N>&>(run));
    size_t axis = d - 1;
    for (;;) {
      if (axis == 0) return;
      --axis;
      if (++position[axis] < nest.shape[axis]) break;
      position[axis] = 0;
      for (size_t k = 0; k < N; ++k) run.at[k] -= nest.strides[k][axis] * (nest.shape[axis] - 1) * bytes[k];
    }
    for (size_t k = 0; k < N; ++k) run.at[k] += nest.strides[k][axis] * bytes[k];
  }
}

/// out[i] = f(x[i]), entry by entry.
template <class X, class Out, class F>
void map1(const View& x, const View& out, F f) {
  for_each_run<2>({&x, &out}, [&](const Run<2>& r) {
    const X* const a = r.as<X>(0);
    Out* const o = r.as<Out>(1);
    if (r.step[0] == 1 && r.step[1] == 1) {
      for (int64_t i = 0; i < r.n; ++i) o[i] = f(a[i]);
    } else if (r.step[0] == 0) {
      const Out value = f(a[0]);
      for (int64_t i = 0; i < r.n; ++i) o[i * r.step[1]] = value;
    } else {
      for (int64_t i = 0; i < r.n; ++i) o[i * r.step[1]] = f(a[i * r.step[0]]);
    }
  });
}

/// out[i] = f(x[i], y[i]).
template <class X, class Y, class Out, class F>
void map2(const View& x, const View& y, const View& out, F f) {
  for_each_run<3>({&x, &y, &out}, [&](const Run<3>& r) {
    const X* const a = r.as<X>(0);
    const Y* const b = r.as<Y>(1);
    Out* const o = r.as<Out>(2);
    if (r.step[0] == 1 && r.step[1] == 1 && r.step[2] == 1) {
      for (int64_t i = 0; i < r.n; ++i) o[i] = f(a[i], b[i]);
    } else {
      for (int64_t i = 0; i < r.n; ++i) o[i * r.step[2]] = f(a[i * r.step[0]], b[i * r.step[1]]);
    }
  });
}

/// out[i] = f(x[i], y[i], z[i]).
template <class X, class Y, class Z, class Out, class F>
void map3(const View& x, const View& y, const View& z, const View& out, F f) {
  for_each_run<4>({&x, &y, &z, &out}, [&](const Run<4>& r) {
    const X* const a = r.as<X>(0);
    const Y* const b = r.as<Y>(1);
    const Z* const c = r.as<Z>(2);
    Out* const o = r.as<Out>(3);
    if (r.step[0] == 1 && r.step[1] == 1 && r.step[2] == 1 && r.step[3] == 1) {
      for (int64_t i = 0; i < r.n; ++i) o[i] = f(a[i], b[i], c[i]);
    } else {
      for (int64_t i = 0; i < r.n; ++i)
        o[i * r.step[3]] = f(a[i * r.step[0]], b[i * r.step[1]], c[i * r.step[2]]);
    }
  });
}

}  // namespace hesse::cpu
