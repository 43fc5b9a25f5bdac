#include "core/ops/elementwise.h"
#include "core/op_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/node.h"
#include "core/ops/elementwise_op.h"

namespace hesse {
namespace {

bool has_count(const Shape& shape) { return !shape.empty() && shape.front() == kDynamic; }

/// Truncates; NaN gives 0, what lies outside gives the nearest value.
template <class To, class From>
To saturated(From v) {
  constexpr To kMin = std::numeric_limits<To>::min(), kMax = std::numeric_limits<To>::max();
  // The first value too large, a power of two, is exact in From; kMax itself might not be.
  const From too_large = static_cast<From>(kMax / 2 + 1) * From(2);
  if (v != v) return To(0);
  if (v >= too_large) return kMax;
  if (v <= static_cast<From>(kMin)) return kMin;
  return static_cast<To>(v);
}

/// Complex to real takes the real part; to bool: whether nonzero; integers wrap; see `saturated` for float to
/// integer.
template <class To, class From>
To convert_value(From v) {
  if constexpr (std::is_same_v<To, bool>) {
    return v != From(0);
  } else if constexpr (is_complex_v<To>) {
    using R = typename To::value_type;
    if constexpr (is_complex_v<From>)
      return To(static_cast<R>(v.real()), static_cast<R>(v.imag()));
    else
      return To(static_cast<R>(v), R(0));
  } else if constexpr (is_complex_v<From>) {
    return convert_value<To>(v.real());
  } else if constexpr (is_floating_v<From> && is_integer(dtype_of<To>)) {
    return saturated<To>(v);
  } else {
    return static_cast<To>(v);
  }
}

/// The same values in another dtype. Linear between inexact dtypes; <ct, Re z> = <ct + 0i, z>, so the
/// transpose of any conversion is the conversion back.
class Convert final : public Entrywise<Linear> {
 public:
  explicit Convert(DType dtype) : dtype_(dtype) {}
  std::string_view name() const override { return "convert"; }
  Params params() const override { return {{"dtype", dtype_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require<TypeError>(x[0].dtype != kKey && dtype_ != kKey, "astype: cannot convert ", x[0].dtype, " to ",
                       dtype_, "; keys do not convert, random.key makes one from a seed");
    return {{x[0].shape, dtype_}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    visit_in<kAnyNumber>(x[0].dtype, [&](auto from) {
      using From = typename decltype(from)::type;
      visit_in<kAnyNumber>(dtype_, [&](auto to) {
        using To = typename decltype(to)::type;
        cpu::map1<From, To>(x[0], out[0], [](From v) { return convert_value<To>(v); });
      });
    });
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    if (!is_inexact(dtype_) || !is_inexact(x[0].dtype()) || !dx[0]) return {std::nullopt};
    return {converted(*dx[0], dtype_)};
  }
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int) const override {
    if (!is_inexact(x[0].dtype())) return std::nullopt;
    return converted(ct, x[0].dtype());
  }
  bool is_linear_in(const std::vector<bool>&) const override { return is_inexact(dtype_); }

 private:
  DType dtype_;
};

/// `value` in the shape and dtype of the operand, whose entries do not matter: a literal with a run-time
/// count.
class FillLike final : public NonDifferentiable {
 public:
  explicit FillLike(complex128 value) : value_(value) {}
  std::string_view name() const override { return "fill_like"; }
  Params params() const override { return {{"re", value_.real()}, {"im", value_.imag()}}; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  bool has_lane_kernel() const override { return true; }
  void kernel(std::span<const View>, std::span<const View> out, int) const override {
    visit_in<kAnyNumber>(out[0].dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T value = convert_value<T>(value_);
      cpu::for_each_run<1>({&out[0]}, [&](const cpu::Run<1>& r) {
        for (int64_t i = 0; i < r.n; ++i) r.as<T>(0)[i * r.step[0]] = value;
      });
    });
  }

 private:
  complex128 value_;
};

/// The kinds of number in order: bool, integer, real, complex; a weak scalar counts only if its kind is
/// higher.
int kind(DType t) { return is_bool(t) ? 0 : is_integer(t) ? 1 : is_floating(t) ? 2 : 3; }

DType promote_for(std::string_view function, DType a, DType b) {
  try {
    return promote(a, b);
  } catch (const TypeError& e) {
    throw TypeError(concat(function, ": ", e.what()));
  }
}

/// A weak scalar that is no more than its value: not being differentiated, not part of a trace.
bool is_number(const Array& x) { return x.is_weak() && x.has_data() && x.ndim() == 0 && is_constant(x); }

/// A number as a literal; an integer must fit the dtype it takes.
Array number_as(std::string_view function, const Array& x, const Shape& shape, DType dtype) {
  if (is_integer(x.dtype())) {
    const auto v = x.item<int64_t>();
    if (!is_integer(dtype)) return literal(complex128(static_cast<double>(v)), shape, dtype);
    Array one = Array::uninitialized({}, dtype);
    visit_in<kIntegers>(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_integer(dtype_of<T>)) {
        require(std::in_range<T>(v), function, ": the number ", v, " does not fit ", dtype,
                "; convert the array to a wider dtype with astype");
        *one.view().as<T>() = static_cast<T>(v);
      }
    });
    return Array(shape, Strides(shape.size(), 0), 0, dtype, one.buffer());
  }
  return literal(is_complex(x.dtype()) ? x.item<complex128>() : complex128(x.item<double>()), shape, dtype);
}

}  // namespace

void check_operands(const Op& op, std::span<const Aval> x, size_t count, DTypes set) {
  require(x.size() == count, op.name(), ": expected ", count, " operand(s), got ", x.size());
  for (const Aval& a : x) {
    if (!contains(set, a.dtype)) [[unlikely]] {
      std::string expected;
      for (int i = 0; i < kNumDTypes; ++i)
        if (contains(set, static_cast<DType>(i)))
          expected += concat(expected.empty() ? "" : ", ", static_cast<DType>(i));
      throw TypeError(concat(op.name(), ": ", a.dtype, " is not supported; expected one of ", expected));
    }
    require<TypeError>(a.dtype == x[0].dtype, op.name(), ": operands of dtypes ", x[0].dtype, " and ",
                       a.dtype);
    require(a.shape == x[0].shape, op.name(), ": operands of shapes ", x[0].shape, " and ", a.shape);
  }
}

void check_dtype(std::string_view function, const Array& x, DTypes set) {
  require<TypeError>(contains(set, x.dtype()), function, ": ", x.dtype(), " is not supported; got ",
                     describe(x),
                     contains(set, kBool)    ? ", expected integers or bools"
                     : set == kIntegers      ? ", expected integers"
                     : contains(set, kInt64) ? ", expected numbers (convert a bool with astype)"
                                             : ", expected floating-point numbers");
}

namespace {

/// The usual case of an eager operation, with nothing to find out: a vector kernel for one or two operands of
/// one shape and dtype, row-major. Undefined where it is not that case.
Array eval_run(const Op& op, std::span<const Array> x) {
  const Array& first = x[0];
  const EntryKernel kernel = op.entry_kernel(first.dtype());
  const bool unary = kernel.kind == EntryKernel::Kind::Unary;
  if ((!unary && kernel.kind != EntryKernel::Kind::Binary) || x.size() != (unary ? 1 : 2)) return {};
  for (const Array& a : x)
    if (!a.has_data() || a.dtype() != first.dtype() || !(a.shape() == first.shape()) || !a.contiguous())
      return {};
  const Array y = Array::uninitialized(first.shape(), first.dtype());
  const auto run = [&]<class T>(TypeTag<T>) {
    using K = cpu::SimdKernels<T>;
    const auto data = [](const Array& a) { return static_cast<T*>(a.buffer()->data()) + a.offset(); };
    const int64_t n = y.size();
    if (unary)
      reinterpret_cast<typename K::Unary>(kernel.f)(data(first), data(y), n);
    else
      reinterpret_cast<typename K::Binary>(kernel.f)(data(first), 1, data(x[1]), 1, data(y), n);
  };
  if (first.dtype() == kFloat32)
    run(TypeTag<float>{});
  else
    run(TypeTag<double>{});
  return y;
}

}  // namespace

Arrays eval_entrywise(const Op& op, std::span<const Array> x) {
  Arrays result(1);
  if (result[0] = eval_run(op, x); result[0].defined()) return result;
  std::vector<Aval> avals;
  std::vector<View> views;
  avals.reserve(x.size());
  views.reserve(x.size());
  for (const Array& a : x) {
    avals.push_back(aval(a));
    views.push_back(a.view());
  }
  const Avals out = op.infer(avals);
  const Shape& shape = out[0].shape;
  Shape distinct = shape;
  bool repeats = false;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] <= 1) continue;
    bool same = true;
    for (const View& v : views) same = same && v.strides[axis] == 0;
    if (!same) continue;
    distinct[axis] = 1;
    repeats = true;
  }
  if (repeats)
    for (View& v : views) v.shape = distinct;
  Array y = Array::uninitialized(distinct, out[0].dtype);
  const View y_view = y.view();
  op.kernel(views, {&y_view, 1}, 0);
  if (!repeats) return {y};
  Strides strides = y.strides();
  for (size_t axis = 0; axis < shape.size(); ++axis)
    if (distinct[axis] != shape[axis]) strides[axis] = 0;
  return {Array(shape, strides, 0, out[0].dtype, y.buffer())};
}

Arrays eval_entrywise_owned(const Op& op, Arrays& x) {
  constexpr int64_t kWorthwhile = 16;  // below, asking costs as much as an array
  for (Array& a : x) {
    if (!a.is_sole_owner() || !a.contiguous() || a.size() < kWorthwhile) continue;
    std::vector<Aval> avals;
    std::vector<View> views;
    for (const Array& b : x) {
      avals.push_back(aval(b));
      views.push_back(b.view());
    }
    const Avals out = op.infer(avals);
    if (!(out[0] == aval(a))) continue;
    const View y = a.view();
    op.kernel(views, {&y, 1}, 0);
    return {std::move(a)};
  }
  return op.eval(x);
}

DType common_dtype(std::string_view function, std::span<const Array> xs) {
  std::optional<DType> strong;
  for (const Array& x : xs)
    if (!x.is_weak()) strong = strong ? promote_for(function, *strong, x.dtype()) : x.dtype();
  if (!strong) {
    DType t = xs[0].dtype();
    for (const Array& x : xs) t = promote_for(function, t, x.dtype());
    return t;
  }
  require<TypeError>(
      *strong != kKey || std::none_of(xs.begin(), xs.end(), [](const Array& x) { return x.is_weak(); }),
      function, ": a key does not mix with numbers");
  DType t = *strong;
  for (const Array& x : xs) {
    if (!x.is_weak() || kind(x.dtype()) <= kind(t)) continue;
    if (kind(x.dtype()) == 1)
      t = kInt64;
    else if (kind(x.dtype()) == 2)
      t = default_dtype();
    else
      t = complex_dtype(is_floating(t) ? t : default_dtype());
  }
  return t;
}

Arrays convert_and_broadcast(std::string_view function, Arrays xs, DType dtype) {
  Shape shape = xs[0].shape();
  for (size_t i = 1; i < xs.size(); ++i)
    if (xs[i].shape() != shape) shape = broadcast_shapes(function, shape, xs[i].shape());
  const Array* counted = nullptr;
  if (has_count(shape))
    for (const Array& x : xs)
      if (x.shape() == shape) counted = &x;
  Arrays out;
  out.reserve(xs.size());
  for (const Array& x : xs) {
    if (is_number(x) && counted != nullptr) {
      const auto value = is_complex(x.dtype()) ? x.item<complex128>() : complex128(x.item<double>());
      out.push_back(apply1(make_op<FillLike>(value), {converted(*counted, dtype)}));
    } else if (is_number(x)) {
      out.push_back(number_as(function, x, shape, dtype));
    } else {
      out.push_back(broadcast_to(converted(x, dtype), shape));
    }
  }
  return out;
}

namespace {
/// Nothing to do, as mostly.
bool agree(const Arrays& xs) {
  for (const Array& x : xs)
    if (x.is_weak() || x.dtype() != xs[0].dtype() || !(x.shape() == xs[0].shape())) return false;
  return true;
}
}  // namespace

Arrays promote_and_broadcast(std::string_view function, Arrays xs) {
  if (agree(xs)) return xs;
  const DType dtype = common_dtype(function, xs);
  return convert_and_broadcast(function, std::move(xs), dtype);
}

Arrays promote_inexact(std::string_view function, Arrays xs) {
  if (is_inexact(xs[0].dtype()) && agree(xs)) return xs;
  DType dtype = common_dtype(function, xs);
  require<TypeError>(dtype != kKey, function,
                     ": keys are not numbers; use random.bits or random.uniform to make some");
  if (!is_inexact(dtype)) dtype = default_dtype();
  return convert_and_broadcast(function, std::move(xs), dtype);
}

Array inexact(std::string_view function, const Array& x) {
  require<TypeError>(x.dtype() != kKey, function,
                     ": keys are not numbers; use random.bits or random.uniform to make some");
  return is_inexact(x.dtype()) ? x : converted(x, default_dtype());
}

Array converted(const Array& x, DType dtype) {
  if (is_number(x)) return number_as("astype", x, {}, dtype);
  if (x.dtype() == dtype) return x;
  return apply1(make_op<Convert>(dtype), {x});
}

Array astype(const Array& x, DType dtype) {
  require<TypeError>(!is_complex(x.dtype()) || is_complex(dtype) || dtype == kBool, "astype: ", describe(x),
                     " to ", dtype, " loses the imaginary part; take real(x) or abs(x) first");
  return converted(x, dtype);
}

Array literal(complex128 value, const Shape& shape, DType dtype) {
  Array one = Array::uninitialized({}, dtype);
  visit_in<kAnyNumber>(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    *one.view().as<T>() = convert_value<T>(value);
  });
  return Array(shape, Strides(shape.size(), 0), 0, dtype, one.buffer());
}

Array literal(double value, const Array& like) {
  if (has_count(like.shape())) return apply1(make_op<FillLike>(complex128(value)), {like});
  return literal(complex128(value), like.shape(), like.dtype());
}

std::optional<double> literal_value(const Array& x) {
  if (!x.has_data() || !is_constant(x) || x.size() == 0 || is_complex(x.dtype()) || x.dtype() == kKey)
    return {};
  for (size_t i = 0; i < x.ndim(); ++i)
    if (x.shape()[i] != 1 && x.strides()[i] != 0) return {};
  double value = 0.0;
  visit_in<kBoolOnly | kReal>(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    value = static_cast<double>(*x.view().as<T>());
  });
  return value;
}

OpFamily families::conversion() {
  return {listed<Convert>("convert", "dtype"),
          {"fill_like", [](const ReadParams& p) { return make_op<FillLike>(complex128(p["re"], p["im"])); }}};
}

}  // namespace hesse
