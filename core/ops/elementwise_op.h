#pragma once
#include "core/cpu/loops.h"
#include "core/cpu/simd_loops.h"
#include "core/op.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"

/// What the elementwise family shares: sets of dtypes, checks, and bases that need of an op only its name,
/// its value on one entry and its partial derivatives. For the files core/ops/elementwise_*.cpp.
namespace hesse {

/// A set of dtypes, a bit each.
using DTypes = uint32_t;
constexpr DTypes only(DType t) { return 1u << static_cast<int>(t); }
constexpr bool contains(DTypes set, DType t) { return (set & only(t)) != 0; }
constexpr DTypes dtypes_where(bool (*holds)(DType)) {
  DTypes set = 0;
  for (int i = 0; i < kNumDTypes; ++i)
    if (holds(static_cast<DType>(i))) set |= 1u << i;
  return set;
}
inline constexpr DTypes kBoolOnly = only(kBool), kIntegers = dtypes_where(is_integer),
                        kFloating = dtypes_where(is_floating), kComplex = dtypes_where(is_complex),
                        kInexact = kFloating | kComplex, kReal = kIntegers | kFloating,
                        kNumeric = kReal | kComplex, kBits = kBoolOnly | kIntegers,
                        kAnyNumber = kNumeric | kBoolOnly, kAnything = kAnyNumber | only(kKey);

/// Calls f(TypeTag<T>{}) if `t` is in the set, and does not compile f for others.
template <DTypes Set, class F>
void visit_in(DType t, F&& f) {
  visit_dtype(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (contains(Set, dtype_of<T>)) f(tag);
  });
}

template <class T>
inline constexpr bool is_complex_v = is_complex(dtype_of<T>);
template <class T>
inline constexpr bool is_floating_v = is_floating(dtype_of<T>);

/// Throws unless there are `count` operands of one shape and one dtype of the set.
void check_operands(const Op& op, std::span<const Aval> x, size_t count, DTypes set);
/// Throws TypeError unless the dtype of x is in the set; for public functions, before anything is built.
void check_dtype(std::string_view function, const Array& x, DTypes set);

/// Evaluates an op whose operands and output are of one shape. Axes along which every operand is broadcast
/// are computed once and broadcast again: an op on literals costs one element, whatever their shape.
Arrays eval_entrywise(const Op& op, std::span<const Array> x);
/// The same into the memory of an operand that nobody else holds, is row-major and of the output's dtype:
/// every entry is read before it is written.
Arrays eval_entrywise_owned(const Op& op, Arrays& x);

/// An op of `Count` operands of one shape; its kernel walks entries.
template <class Kind>
class Entrywise : public Kind, public ActsOnEntries {
 public:
  using Kind::Kind;
  Arrays eval(std::span<const Array> x) const override { return eval_entrywise(*this, x); }
  Arrays eval_owned(Arrays& x) const override { return eval_entrywise_owned(*this, x); }
  bool has_lane_kernel() const override { return true; }
  std::optional<Op::Row> on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                std::span<const Aval>) const override {
    return entrywise_on_row(*this, x, axes);
  }
};

/// The kernel `f` of simd_kernels.h as programs call it.
template <class F>
EntryKernel entry_kernel_of(F f, EntryKernel::Role role = EntryKernel::Role::Plain) {
  using K = EntryKernel::Kind;
  using D = cpu::SimdKernels<double>;
  using S = cpu::SimdKernels<float>;
  constexpr K kind = std::is_same_v<F, D::Unary> || std::is_same_v<F, S::Unary>       ? K::Unary
                     : std::is_same_v<F, D::Binary> || std::is_same_v<F, S::Binary>   ? K::Binary
                     : std::is_same_v<F, D::Compare> || std::is_same_v<F, S::Compare> ? K::Compare
                                                                                      : K::Select;
  return {kind, role, reinterpret_cast<void (*)()>(f)};
}
/// That of an op with HESSE_SIMD, for a dtype that has one.
template <class Derived>
EntryKernel entry_kernel_for(DType dtype) {
  EntryKernel out;
  visit_in<kFloating>(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (requires { Derived::template simd<T>(); }) {
      EntryKernel::Role role = EntryKernel::Role::Plain;
      if constexpr (requires { Derived::kRole; }) role = Derived::kRole;
      out = entry_kernel_of(Derived::template simd<T>(), role);
    }
  });
  return out;
}

/// Names the vector kernel of an op on floats beside its plain `value`: HESSE_SIMD(tanh) is
/// simd_kernels<T>().tanh for T float and double.
#define HESSE_SIMD(kernel)                \
  template <class T>                      \
  static auto simd() {                    \
    return cpu::simd_kernels<T>().kernel; \
  }
/// Whether Derived has one for T.
template <class Derived, class T>
concept HasSimd = is_floating_v<T> && requires {
  Derived::template simd<T>();
};

/// One operand of a dtype in Set, the output of the same dtype: Derived::value(v).
template <class Derived, DTypes Set, class Kind = Elementwise>
class UnaryOp : public Entrywise<Kind> {
 public:
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 1, Set);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<Set>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (HasSimd<Derived, T>)
        cpu::map1_simd<T>(x[0], out[0], Derived::template simd<T>());
      else
        cpu::map1<T, T>(x[0], out[0], [](T v) { return Derived::value(v); });
    });
  }
  EntryKernel entry_kernel(DType dtype) const override { return entry_kernel_for<Derived>(dtype); }
};

/// Two operands of one dtype in Set, the output of the same dtype: Derived::value(v, w).
template <class Derived, DTypes Set, class Kind = Elementwise>
class BinaryOp : public Entrywise<Kind> {
 public:
  using Entrywise<Kind>::Entrywise;
  Avals infer(std::span<const Aval> x) const override {
    check_operands(*this, x, 2, Set);
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<Set>(x[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (HasSimd<Derived, T>)
        cpu::map2_simd<T, T>(x[0], x[1], out[0], Derived::template simd<T>());
      else
        cpu::map2<T, T, T>(x[0], x[1], out[0], [](T v, T w) { return Derived::value(v, w); });
    });
  }
  EntryKernel entry_kernel(DType dtype) const override { return entry_kernel_for<Derived>(dtype); }
};

/// {x, y}, without the copies that a list in braces makes: counting references is what an operation on few
/// numbers costs.
inline Arrays pair_of(const Array& x, const Array& y) {
  Arrays out;
  out.reserve(2);
  out.push_back(x);
  out.push_back(y);
  return out;
}
/// Applies Derived to operands promoted to a common dtype.
template <class T>
Array apply_promoted(std::string_view function, const Array& x, const Array& y) {
  return apply1(the<T>(), promote_and_broadcast(function, pair_of(x, y)));
}
/// Applies Derived to operands promoted to a common inexact dtype.
template <class T>
Array apply_inexact(std::string_view function, const Array& x, const Array& y) {
  return apply1(the<T>(), promote_inexact(function, pair_of(x, y)));
}
template <class T>
Array apply_inexact(std::string_view function, const Array& x) {
  return apply1(the<T>(), {inexact(function, x)});
}

}  // namespace hesse
