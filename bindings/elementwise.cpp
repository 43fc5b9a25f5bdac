#include "bindings/bindings.h"
#include "bindings/convert.h"

/// Elementwise functions, called by CPython without an argument parser in between: the shortest way from x to
/// tanh(x).
namespace hesse::python {

using namespace py::literals;

namespace {

template <size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&t)[N]) { std::copy_n(t, N, text); }  // NOLINT: a string as template argument
};

template <Name name, auto F>
PyObject* unary(PyObject*, PyObject* arg) {
  return guarded([&] {
    const Operand x(arg, name.text);
    const auto compute = [&] {
      const Unlocked unlocked(x.size());
      return F(*x);
    };
    return new_array(compute());
  });
}
template <Name name, auto F>
PyObject* binary(PyObject*, PyObject* const* args, Py_ssize_t n) {
  return guarded([&] {
    if (n != 2) throw py::type_error(concat(name.text, "() takes exactly two arguments (", n, " given)"));
    const Operand x(args[0], name.text), y(args[1], name.text);
    const auto compute = [&] {
      const Unlocked unlocked(x.size() + y.size());
      return F(*x, *y);
    };
    return new_array(compute());
  });
}

template <class F>
PyCFunction function(F* f) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

#define HESSE_UNARY(name, meaning) \
  { #name, function(unary <#name, hesse::name>), METH_O, #name "($module, x, /)\n--\n\n" meaning }
#define HESSE_BINARY(name, x, y, meaning)                        \
  {                                                              \
#name, function(binary <#name, hesse::name>), METH_FASTCALL, \
        #name "($module, " #x ", " #y ", /)\n--\n\n" meaning     \
  }

PyMethodDef functions[] = {
    HESSE_BINARY(add, x1, x2, "x1 + x2, entry by entry."),
    HESSE_BINARY(subtract, x1, x2, "x1 - x2, entry by entry."),
    HESSE_BINARY(multiply, x1, x2, "x1 * x2, entry by entry."),
    HESSE_BINARY(divide, x1, x2, "x1 / x2, entry by entry; integers give floats."),
    HESSE_BINARY(floor_divide, x1, x2, "The largest integer not above x1 / x2."),
    HESSE_BINARY(remainder, x1, x2,
                 "x1 - x2 * floor(x1 / x2): the remainder with the sign of x2, as Python's %."),
    HESSE_BINARY(fmod, x1, x2, "The remainder of x1 / x2 with the sign of x1, as in C."),
    HESSE_BINARY(pow, x1, x2, "x1 to the power x2."),
    HESSE_UNARY(negative, "-x."),
    HESSE_UNARY(positive, "+x: x itself."),
    HESSE_UNARY(abs, "The absolute value; its derivative at 0 is 0."),
    HESSE_UNARY(sign, "-1, 0 or 1; x / abs(x) for complex x."),
    HESSE_UNARY(square, "x * x."),
    HESSE_UNARY(sqrt, "The square root; its derivative at 0 is inf."),
    HESSE_UNARY(rsqrt, "1 / sqrt(x)."),
    HESSE_UNARY(reciprocal, "1 / x."),
    HESSE_UNARY(cbrt, "The real cube root."),
    HESSE_UNARY(exp, "e to the power x."),
    HESSE_UNARY(exp2, "2 to the power x."),
    HESSE_UNARY(expm1, "exp(x) - 1, exact for small x."),
    HESSE_UNARY(log, "The natural logarithm."),
    HESSE_UNARY(log1p, "log(1 + x), exact for small x."),
    HESSE_UNARY(log2, "The logarithm to base 2."),
    HESSE_UNARY(log10, "The logarithm to base 10."),
    HESSE_BINARY(logaddexp, x1, x2, "log(exp(x1) + exp(x2)), without overflow."),
    HESSE_UNARY(sin, "The sine."),
    HESSE_UNARY(cos, "The cosine."),
    HESSE_UNARY(tan, "The tangent."),
    HESSE_UNARY(asin, "The inverse sine, in [-pi/2, pi/2]."),
    HESSE_UNARY(acos, "The inverse cosine, in [0, pi]."),
    HESSE_UNARY(atan, "The inverse tangent, in [-pi/2, pi/2]."),
    HESSE_BINARY(atan2, x1, x2, "The angle of the point (x2, x1), in [-pi, pi]."),
    HESSE_UNARY(sinh, "The hyperbolic sine."),
    HESSE_UNARY(cosh, "The hyperbolic cosine."),
    HESSE_UNARY(tanh, "The hyperbolic tangent."),
    HESSE_UNARY(asinh, "The inverse hyperbolic sine."),
    HESSE_UNARY(acosh, "The inverse hyperbolic cosine."),
    HESSE_UNARY(atanh, "The inverse hyperbolic tangent."),
    HESSE_BINARY(hypot, x1, x2, "sqrt(x1**2 + x2**2), without overflow."),
    HESSE_UNARY(sigmoid, "1 / (1 + exp(-x))."),
    HESSE_UNARY(softplus, "log(1 + exp(x)), without overflow."),
    HESSE_UNARY(erf, "The error function."),
    HESSE_UNARY(erfc, "1 - erf(x), exact for large x."),
    HESSE_UNARY(lgamma, "The logarithm of the absolute value of the gamma function."),
    HESSE_UNARY(digamma, "The derivative of lgamma."),
    HESSE_BINARY(maximum, x1, x2, "The larger of the two; equal entries share the derivative."),
    HESSE_BINARY(minimum, x1, x2, "The smaller of the two; equal entries share the derivative."),
    HESSE_UNARY(floor, "The largest integer not above x."),
    HESSE_UNARY(ceil, "The smallest integer not below x."),
    HESSE_UNARY(trunc, "The integer part of x."),
    HESSE_BINARY(equal, x1, x2, "x1 == x2, entry by entry."),
    HESSE_BINARY(not_equal, x1, x2, "x1 != x2, entry by entry."),
    HESSE_BINARY(less, x1, x2, "x1 < x2, entry by entry."),
    HESSE_BINARY(less_equal, x1, x2, "x1 <= x2, entry by entry."),
    HESSE_BINARY(greater, x1, x2, "x1 > x2, entry by entry."),
    HESSE_BINARY(greater_equal, x1, x2, "x1 >= x2, entry by entry."),
    HESSE_BINARY(logical_and, x1, x2, "Whether both are true."),
    HESSE_BINARY(logical_or, x1, x2, "Whether one or both are true."),
    HESSE_BINARY(logical_xor, x1, x2, "Whether one and not both are true."),
    HESSE_UNARY(logical_not, "Whether x is false."),
    HESSE_BINARY(bitwise_and, x1, x2, "x1 & x2."),
    HESSE_BINARY(bitwise_or, x1, x2, "x1 | x2."),
    HESSE_BINARY(bitwise_xor, x1, x2, "x1 ^ x2."),
    HESSE_UNARY(bitwise_invert, "~x."),
    HESSE_BINARY(bitwise_left_shift, x1, x2, "x1 << x2."),
    HESSE_BINARY(bitwise_right_shift, x1, x2, "x1 >> x2."),
    HESSE_UNARY(isnan, "Whether an entry is not a number."),
    HESSE_UNARY(isinf, "Whether an entry is infinite."),
    HESSE_UNARY(isfinite, "Whether an entry is a finite number."),
    HESSE_UNARY(signbit, "Whether the sign bit is set."),
    HESSE_BINARY(copysign, x1, x2, "abs(x1) with the sign of x2."),
    HESSE_BINARY(nextafter, x1, x2, "The next number after x1 in the direction of x2."),
    HESSE_UNARY(real, "The real part."),
    HESSE_UNARY(imag, "The imaginary part."),
    HESSE_UNARY(conj, "The complex conjugate."),
    HESSE_UNARY(angle, "The argument of a complex number."),
    HESSE_BINARY(make_complex, real, imag, "real + i imag."),
    HESSE_UNARY(stop_gradient,
                "x, with derivative zero.\n\nExamples\n--------\n"
                ">>> import hesse as hs\n>>> hs.grad(lambda x: x * hs.stop_gradient(x))(3.0)\n"
                "Array(3., dtype=float64)"),
    {nullptr, nullptr, 0, nullptr},
};
#undef HESSE_UNARY
#undef HESSE_BINARY

}  // namespace

void init_elementwise(py::module_& m) {
  if (PyModule_AddFunctions(m.ptr(), functions) != 0) throw py::error_already_set();
  define(
      m, "round",
      [](const Array& x, int64_t decimals) {
        if (decimals == 0) return round(x);
        const Array scale =
            full({}, Array(1.0), x.dtype()) * pow(Array(10.0), Array(static_cast<double>(decimals)));
        return divide(round(multiply(x, scale)), scale);
      },
      "x"_a, py::pos_only(), "decimals"_a = 0, "Rounded to that many decimals, halves to even.");
  define(
      m, "polygamma", [](int64_t n, const Array& x) { return polygamma(n, x); }, "n"_a, "x"_a, py::pos_only(),
      "The n-th derivative of digamma.");
  define(
      m, "clip",
      [](const Array& x, const std::optional<Array>& min, const std::optional<Array>& max) {
        return clip(x, min, max);
      },
      "x"_a, py::pos_only(), "min"_a = py::none(), "max"_a = py::none(),
      "x limited to [min, max]; the derivative is 1 at the bounds.");
  define(
      m, "where",
      [](const Array& condition, const Array& x, const Array& y) { return where(condition, x, y); },
      "condition"_a, "x1"_a, "x2"_a, py::pos_only(),
      "x1 where the condition holds and x2 elsewhere.\n\n"
      "A derivative that is infinite in the entries not chosen makes NaN of 0 * inf; keep the argument "
      "itself inside "
      "the domain of the function there, with a second `where`.\n\nExamples\n--------\n"
      ">>> import hesse as hs\n>>> x = hs.array([0.0, 4.0])\n"
      ">>> f = lambda x: hs.sum(hs.where(x > 0, hs.sqrt(hs.where(x > 0, x, 1.0)), 0.0))\n"
      ">>> hs.grad(f)(x)\nArray([0.  , 0.25], dtype=float64)");
  define(
      m, "astype", [](const Array& x, DType dtype, bool, Device) { return astype(x, dtype); }, "x"_a,
      "dtype"_a, py::pos_only(), py::kw_only(), "copy"_a = true, "device"_a = py::none(),
      "x converted to another dtype.");
}

}  // namespace hesse::python
