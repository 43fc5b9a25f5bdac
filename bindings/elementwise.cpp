#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_elementwise.h"

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

/// What a function takes, what comes out, and what is refused.
struct Kind {
  const char *takes, *gives, *refuses = nullptr;
};
constexpr Kind kAll{"Numbers or booleans.", "Array"};
constexpr Kind kNumbers{"Numbers.", "Array", "TypeError\n    For booleans."};
constexpr Kind kFloats{"Real or complex; integers and booleans become floats.",
                       "Array\n    Floating or complex."};
constexpr const char* kNotComplex = "TypeError\n    For complex numbers.";
constexpr Kind kRealFloats{"Real; integers and booleans become floats.", "Array\n    Floating.", kNotComplex};
constexpr Kind kReal{"Real or integer.", "Array", "TypeError\n    For complex numbers and booleans."};
constexpr Kind kOrdered{"Real, integer or boolean.", "Array", kNotComplex};
constexpr Kind kPredicate{"Any dtype.", "Array of bool"};
constexpr Kind kComparison{"Real, integer or boolean.", "Array of bool", kNotComplex};
constexpr Kind kBits{"Integers or booleans.", "Array", "TypeError\n    For floating and complex numbers."};
constexpr Kind kIntegers{"Integers.", "Array", "TypeError\n    For any other dtype."};
constexpr Kind kAbsOf{"Numbers or booleans.", "Array\n    Real where x is complex."};
constexpr Kind kPartOf{"Numbers.", "Array\n    Real where x is complex."};
constexpr Kind kAngleOf{"Real or complex.", "Array\n    Real."};
constexpr Kind kComplex{"Real; integers and booleans become floats.", "Array\n    Complex.", kNotComplex};

/// A function with its docstring: a sentence, an example with what it prints, and notes.
struct Row {
  const char* name;
  PyCFunction function;
  int flags;
  const char *x, *y;
  Kind kind;
  const char *meaning, *call, *result, *notes = nullptr;
};

#define HESSE_UNARY(name, ...) \
  { #name, function(unary <#name, hesse::name>), METH_O, "x", nullptr, __VA_ARGS__ }
#define HESSE_BINARY(name, x, y, ...) \
  { #name, function(binary <#name, hesse::name>), METH_FASTCALL, #x, #y, __VA_ARGS__ }

const Row rows[] = {
    HESSE_BINARY(add, x1, x2, kAll, "x1 + x2, entry by entry.", "hs.add(hs.array([1, 2]), 10)",
                 "Array([11, 12], dtype=int64)"),
    HESSE_BINARY(subtract, x1, x2, kNumbers, "x1 - x2, entry by entry.", "hs.subtract(hs.array([1, 2]), 10)",
                 "Array([-9, -8], dtype=int64)"),
    HESSE_BINARY(multiply, x1, x2, kAll, "x1 * x2, entry by entry.", "hs.multiply(hs.array([1, 2]), 10)",
                 "Array([10, 20], dtype=int64)"),
    HESSE_BINARY(divide, x1, x2, kFloats, "x1 / x2, entry by entry; integers give floats.",
                 "hs.divide(hs.array([1, 2]), 4)", "Array([0.25, 0.5 ], dtype=float64)"),
    HESSE_BINARY(floor_divide, x1, x2, kReal, "floor(x1 / x2), the largest integer not above the quotient.",
                 "hs.floor_divide(hs.array([7, -7]), 2)", "Array([ 3, -4], dtype=int64)",
                 "The derivative is 0."),
    HESSE_BINARY(remainder, x1, x2, kReal,
                 "x1 - x2 * floor(x1 / x2): the remainder with the sign of x2, as Python's %.",
                 "hs.remainder(hs.array([7, -7]), 3)", "Array([1, 2], dtype=int64)",
                 "Derivatives are 1 in x1 and -floor(x1 / x2) in x2, at the jumps too."),
    HESSE_BINARY(fmod, x1, x2, kReal, "x1 - x2 * trunc(x1 / x2): the remainder with the sign of x1, as in C.",
                 "hs.fmod(hs.array([7, -7]), 3)", "Array([ 1, -1], dtype=int64)",
                 "Derivatives are 1 in x1 and -trunc(x1 / x2) in x2, at the jumps too."),
    HESSE_BINARY(pow, x1, x2, kNumbers, "x1 to the power x2.", "hs.pow(hs.array([1.0, 2.0, 3.0]), 2)",
                 "Array([1., 4., 9.], dtype=float64)",
                 "At x1 = 0 the derivative in x1 is that of the monomial (0 for x2 = 0, 1 for 1, 0 above, "
                 "inf below 1), the one in x2 is 0; for x1 < 0 the latter is NaN."),
    HESSE_UNARY(negative, kNumbers, "-x, entry by entry.", "hs.negative(hs.array([1, -2]))",
                "Array([-1,  2], dtype=int64)"),
    HESSE_UNARY(positive, kNumbers, "+x: x itself.", "hs.positive(hs.array([1, -2]))",
                "Array([ 1, -2], dtype=int64)"),
    HESSE_UNARY(abs, kAbsOf, "The absolute value; of a complex number its modulus.",
                "hs.abs(hs.array([-1.5, 2.0])), hs.abs(3.0 + 4.0j)",
                "(Array([1.5, 2. ], dtype=float64), Array(5., dtype=float64))", "The derivative at 0 is 0."),
    HESSE_UNARY(sign, kNumbers, "-1, 0 or 1; x / abs(x) for complex x, 0 at 0.",
                "hs.sign(hs.array([-3, 0, 5]))", "Array([-1,  0,  1], dtype=int64)", "The derivative is 0."),
    HESSE_UNARY(square, kNumbers, "x * x.", "hs.square(hs.array([1, 2, 3]))",
                "Array([1, 4, 9], dtype=int64)"),
    HESSE_UNARY(sqrt, kFloats, "The square root, NaN for negative numbers.",
                "hs.sqrt(hs.array([0.0, 4.0, 9.0]))", "Array([0., 2., 3.], dtype=float64)",
                "The derivative at 0 is inf, at -0 -inf."),
    HESSE_UNARY(rsqrt, kFloats, "1 / sqrt(x).", "hs.rsqrt(hs.array([0.25, 4.0]))",
                "Array([2. , 0.5], dtype=float64)"),
    HESSE_UNARY(reciprocal, kFloats, "1 / x.", "hs.reciprocal(hs.array([2.0, 4.0]))",
                "Array([0.5 , 0.25], dtype=float64)"),
    HESSE_UNARY(cbrt, kRealFloats, "The real cube root, also of negative numbers.",
                "hs.round(hs.cbrt(hs.array([-8.0, 27.0])), 12)", "Array([-2.,  3.], dtype=float64)",
                "The derivative at 0 is inf."),
    HESSE_UNARY(exp, kFloats, "e to the power x.", "hs.exp(0.0)", "Array(1., dtype=float64)"),
    HESSE_UNARY(exp2, kFloats, "2 to the power x.", "hs.round(hs.exp2(hs.array([-1.0, 3.0])), 12)",
                "Array([0.5, 8. ], dtype=float64)"),
    HESSE_UNARY(expm1, kFloats, "exp(x) - 1, exact for small x.",
                "hs.allclose(hs.expm1(1e-12), 1e-12, rtol=1e-9)", "Array(True, dtype=bool)"),
    HESSE_UNARY(log, kFloats, "The natural logarithm; NaN for negative real numbers.",
                "hs.round(hs.log(hs.array([1.0, hs.e])), 12)", "Array([0., 1.], dtype=float64)"),
    HESSE_UNARY(log1p, kFloats, "log(1 + x), exact for small x.",
                "hs.allclose(hs.log1p(1e-12), 1e-12, rtol=1e-9)", "Array(True, dtype=bool)"),
    HESSE_UNARY(log2, kFloats, "The logarithm to base 2.", "hs.round(hs.log2(hs.array([1.0, 8.0])), 12)",
                "Array([0., 3.], dtype=float64)"),
    HESSE_UNARY(log10, kFloats, "The logarithm to base 10.",
                "hs.round(hs.log10(hs.array([1.0, 1000.0])), 12)", "Array([0., 3.], dtype=float64)"),
    HESSE_BINARY(logaddexp, x1, x2, kRealFloats, "log(exp(x1) + exp(x2)), without overflow.",
                 "hs.round(hs.logaddexp(1000.0, 1000.0) - 1000.0, 4)", "Array(0.6931, dtype=float64)"),
    HESSE_UNARY(sin, kFloats, "The sine of an angle in radians.",
                "hs.round(hs.sin(hs.array([0.0, hs.pi / 2])), 12)", "Array([0., 1.], dtype=float64)"),
    HESSE_UNARY(cos, kFloats, "The cosine of an angle in radians.",
                "hs.round(hs.cos(hs.array([0.0, hs.pi])), 12)", "Array([ 1., -1.], dtype=float64)"),
    HESSE_UNARY(tan, kFloats, "The tangent of an angle in radians.",
                "hs.round(hs.tan(hs.array([0.0, hs.pi / 4])), 12)", "Array([0., 1.], dtype=float64)"),
    HESSE_UNARY(
        asin, kFloats, "The inverse sine in radians, in [-pi/2, pi/2]; NaN for real x outside [-1, 1].",
        "hs.round(hs.asin(1.0), 4)", "Array(1.5708, dtype=float64)", "The derivative at -1 and 1 is inf."),
    HESSE_UNARY(acos, kFloats, "The inverse cosine in radians, in [0, pi]; NaN for real x outside [-1, 1].",
                "hs.round(hs.acos(-1.0), 4)", "Array(3.1416, dtype=float64)",
                "The derivative at -1 and 1 is -inf."),
    HESSE_UNARY(atan, kFloats, "The inverse tangent in radians, in [-pi/2, pi/2].",
                "hs.round(4.0 * hs.atan(1.0), 4)", "Array(3.1416, dtype=float64)"),
    HESSE_BINARY(atan2, x1, x2, kRealFloats, "The angle of the point (x2, x1) in radians, in [-pi, pi].",
                 "hs.round(hs.atan2(1.0, -1.0), 4)", "Array(2.3562, dtype=float64)",
                 "Derivatives at the origin are NaN."),
    HESSE_UNARY(sinh, kFloats, "The hyperbolic sine, (exp(x) - exp(-x)) / 2.",
                "hs.round(hs.sinh(hs.array([0.0, 1.0])), 4)", "Array([0.    , 1.1752], dtype=float64)"),
    HESSE_UNARY(cosh, kFloats, "The hyperbolic cosine, (exp(x) + exp(-x)) / 2.",
                "hs.round(hs.cosh(hs.array([0.0, 1.0])), 4)", "Array([1.    , 1.5431], dtype=float64)"),
    HESSE_UNARY(tanh, kFloats, "The hyperbolic tangent, sinh(x) / cosh(x).",
                "hs.round(hs.tanh(hs.array([0.0, 1.0])), 4)", "Array([0.    , 0.7616], dtype=float64)"),
    HESSE_UNARY(asinh, kFloats, "The inverse hyperbolic sine, log(x + sqrt(x**2 + 1)).",
                "hs.round(hs.asinh(hs.sinh(1.0)), 12)", "Array(1., dtype=float64)"),
    HESSE_UNARY(acosh, kFloats, "The inverse hyperbolic cosine, log(x + sqrt(x**2 - 1)); NaN for real x < 1.",
                "hs.round(hs.acosh(hs.cosh(1.0)), 12)", "Array(1., dtype=float64)"),
    HESSE_UNARY(atanh, kFloats,
                "The inverse hyperbolic tangent, log((1 + x) / (1 - x)) / 2; NaN for real x outside [-1, 1].",
                "hs.round(hs.atanh(hs.tanh(1.0)), 12)", "Array(1., dtype=float64)"),
    HESSE_BINARY(hypot, x1, x2, kRealFloats, "sqrt(x1**2 + x2**2), without overflow.",
                 "hs.round(hs.hypot(3.0, 4.0), 12)", "Array(5., dtype=float64)",
                 "Both derivatives at the origin are 0."),
    HESSE_UNARY(sigmoid, kRealFloats, "The logistic function, 1 / (1 + exp(-x)).", "hs.sigmoid(0.0)",
                "Array(0.5, dtype=float64)"),
    HESSE_UNARY(softplus, kRealFloats, "log(1 + exp(x)), without overflow.",
                "hs.round(hs.softplus(hs.array([-1000.0, 0.0])), 4)",
                "Array([0.    , 0.6931], dtype=float64)"),
    HESSE_UNARY(erf, kRealFloats,
                "The error function, 2 / sqrt(pi) times the integral of exp(-t**2) over t from 0 to x.",
                "hs.round(hs.erf(hs.array([0.0, 1.0])), 4)", "Array([0.    , 0.8427], dtype=float64)"),
    HESSE_UNARY(erfc, kRealFloats, "1 - erf(x), exact for large x.",
                "hs.round(hs.erfc(hs.array([0.0, 1.0])), 4)", "Array([1.    , 0.1573], dtype=float64)"),
    HESSE_UNARY(lgamma, kRealFloats, "log(abs(gamma(x))), and gamma(n) = (n - 1)!.",
                "hs.round(hs.exp(hs.lgamma(5.0)), 9)", "Array(24., dtype=float64)"),
    HESSE_UNARY(digamma, kRealFloats, "The derivative of lgamma; digamma(x + 1) = digamma(x) + 1 / x.",
                "hs.round(hs.digamma(2.0) - hs.digamma(1.0), 9)", "Array(1., dtype=float64)"),
    HESSE_BINARY(maximum, x1, x2, kOrdered, "The larger of the two; NaN where one of them is.",
                 "hs.maximum(hs.array([1, 5]), 3)", "Array([3, 5], dtype=int64)",
                 "Where both are equal each gets half of the derivative."),
    HESSE_BINARY(minimum, x1, x2, kOrdered, "The smaller of the two; NaN where one of them is.",
                 "hs.minimum(hs.array([1, 5]), 3)", "Array([1, 3], dtype=int64)",
                 "Where both are equal each gets half of the derivative."),
    HESSE_UNARY(floor, kReal, "The largest integer not above x, in the dtype of x.",
                "hs.floor(hs.array([1.7, -1.7]))", "Array([ 1., -2.], dtype=float64)",
                "The derivative is 0."),
    HESSE_UNARY(ceil, kReal, "The smallest integer not below x, in the dtype of x.",
                "hs.ceil(hs.array([1.7, -1.7]))", "Array([ 2., -1.], dtype=float64)", "The derivative is 0."),
    HESSE_UNARY(trunc, kReal, "The integer part of x, in the dtype of x.", "hs.trunc(hs.array([1.7, -1.7]))",
                "Array([ 1., -1.], dtype=float64)", "The derivative is 0."),
    HESSE_BINARY(equal, x1, x2, kPredicate, "x1 == x2, entry by entry; NaN equals nothing.",
                 "hs.equal(hs.array([1, 2, 3]), 2)", "Array([False,  True, False], dtype=bool)"),
    HESSE_BINARY(not_equal, x1, x2, kPredicate, "x1 != x2, entry by entry.",
                 "hs.not_equal(hs.array([1, 2, 3]), 2)", "Array([ True, False,  True], dtype=bool)"),
    HESSE_BINARY(less, x1, x2, kComparison, "x1 < x2, entry by entry.", "hs.less(hs.array([1, 2, 3]), 2)",
                 "Array([ True, False, False], dtype=bool)"),
    HESSE_BINARY(less_equal, x1, x2, kComparison, "x1 <= x2, entry by entry.",
                 "hs.less_equal(hs.array([1, 2, 3]), 2)", "Array([ True,  True, False], dtype=bool)"),
    HESSE_BINARY(greater, x1, x2, kComparison, "x1 > x2, entry by entry.",
                 "hs.greater(hs.array([1, 2, 3]), 2)", "Array([False, False,  True], dtype=bool)"),
    HESSE_BINARY(greater_equal, x1, x2, kComparison, "x1 >= x2, entry by entry.",
                 "hs.greater_equal(hs.array([1, 2, 3]), 2)", "Array([False,  True,  True], dtype=bool)"),
    HESSE_BINARY(logical_and, x1, x2, kPredicate,
                 "Whether both are true; numbers are true where they are not 0.",
                 "hs.logical_and(hs.array([True, True]), hs.array([True, False]))",
                 "Array([ True, False], dtype=bool)"),
    HESSE_BINARY(logical_or, x1, x2, kPredicate,
                 "Whether one or both are true; numbers are true where they are not 0.",
                 "hs.logical_or(hs.array([True, False]), False)", "Array([ True, False], dtype=bool)"),
    HESSE_BINARY(logical_xor, x1, x2, kPredicate,
                 "Whether one and not both are true; numbers are true where they are not 0.",
                 "hs.logical_xor(hs.array([True, False]), True)", "Array([False,  True], dtype=bool)"),
    HESSE_UNARY(logical_not, kPredicate, "Whether x is false; numbers are true where they are not 0.",
                "hs.logical_not(hs.array([True, False]))", "Array([False,  True], dtype=bool)"),
    HESSE_BINARY(bitwise_and, x1, x2, kBits, "x1 & x2, bit by bit.", "hs.bitwise_and(12, 10)",
                 "Array(8, dtype=int64)"),
    HESSE_BINARY(bitwise_or, x1, x2, kBits, "x1 | x2, bit by bit.", "hs.bitwise_or(12, 10)",
                 "Array(14, dtype=int64)"),
    HESSE_BINARY(bitwise_xor, x1, x2, kBits, "x1 ^ x2, bit by bit.", "hs.bitwise_xor(12, 10)",
                 "Array(6, dtype=int64)"),
    HESSE_UNARY(bitwise_invert, kBits, "~x: every bit inverted.", "hs.bitwise_invert(hs.array([0, 5]))",
                "Array([-1, -6], dtype=int64)"),
    HESSE_BINARY(bitwise_left_shift, x1, x2, kIntegers, "x1 << x2: x1 times 2 to the power x2.",
                 "hs.bitwise_left_shift(hs.array([1, 3]), 2)", "Array([ 4, 12], dtype=int64)"),
    HESSE_BINARY(bitwise_right_shift, x1, x2, kIntegers, "x1 >> x2: floor(x1 / 2**x2).",
                 "hs.bitwise_right_shift(hs.array([4, -3]), 1)", "Array([ 2, -2], dtype=int64)"),
    HESSE_UNARY(isnan, kPredicate, "Whether an entry is not a number.", "hs.isnan(hs.array([1.0, hs.nan]))",
                "Array([False,  True], dtype=bool)"),
    HESSE_UNARY(isinf, kPredicate, "Whether an entry is infinite, of either sign.",
                "hs.isinf(hs.array([1.0, -hs.inf]))", "Array([False,  True], dtype=bool)"),
    HESSE_UNARY(isfinite, kPredicate, "Whether an entry is neither NaN nor infinite.",
                "hs.isfinite(hs.array([1.0, hs.inf, hs.nan]))", "Array([ True, False, False], dtype=bool)"),
    HESSE_UNARY(signbit, kComparison, "Whether the sign bit is set: for negative numbers and -0.",
                "hs.signbit(hs.array([1.0, -0.0]))", "Array([False,  True], dtype=bool)"),
    HESSE_BINARY(copysign, x1, x2, kRealFloats, "abs(x1) with the sign of x2.",
                 "hs.copysign(hs.array([1.0, -2.0]), -0.0)", "Array([-1., -2.], dtype=float64)",
                 "The derivative in x2 is 0."),
    HESSE_BINARY(nextafter, x1, x2, kRealFloats,
                 "The next representable number after x1 in the direction of x2.",
                 "hs.nextafter(1.0, 2.0) - 1.0 == hs.finfo(hs.float64).eps", "Array(True, dtype=bool)",
                 "Derivatives are 1 in x1 and 0 in x2."),
    HESSE_UNARY(real, kPartOf, "The real part.", "hs.real(1.0 + 2.0j)", "Array(1., dtype=float64)"),
    HESSE_UNARY(imag, kPartOf, "The imaginary part.", "hs.imag(1.0 + 2.0j)", "Array(2., dtype=float64)"),
    HESSE_UNARY(conj, kNumbers, "The complex conjugate.", "hs.conj(hs.array([1.0 + 2.0j]))",
                "Array([1.-2.j], dtype=complex128)"),
    HESSE_UNARY(angle, kAngleOf, "The argument of a complex number in radians, in [-pi, pi].",
                "hs.round(hs.angle(-1.0 + 0.0j), 4)", "Array(3.1416, dtype=float64)",
                "The derivative at 0 is NaN."),
    HESSE_BINARY(make_complex, real, imag, kComplex, "real + i imag.",
                 "hs.make_complex(hs.array([1.0, 2.0]), hs.array([0.0, -1.0]))",
                 "Array([1.+0.j, 2.-1.j], dtype=complex128)"),
    HESSE_UNARY(stop_gradient, kAll, "x, with derivative zero.",
                "hs.grad(lambda x: x * hs.stop_gradient(x))(3.0)", "Array(3., dtype=float64)"),
};
#undef HESSE_UNARY
#undef HESSE_BINARY

/// The rows as CPython wants them, ended by an empty one; it keeps the pointer.
PyMethodDef* method_table() {
  static std::vector<PyMethodDef> table;
  for (const Row& r : rows) {
    const std::string names = r.y ? concat(r.x, ", ", r.y) : std::string(r.x);
    const std::string parameters =
        concat(names, " : array\n    ", r.kind.takes, r.y ? " They broadcast against each other." : "");
    const std::string example = concat(">>> ", r.call, "\n", r.result);
    const Doc doc{.meaning = r.meaning,
                  .parameters = {parameters.c_str()},
                  .returns = r.kind.gives,
                  .raises = r.kind.refuses,
                  .notes = r.notes,
                  .example = example.c_str()};
    table.push_back({r.name, r.function, r.flags,
                     text(doc, concat(r.name, "($module, ", names, ", /)\n--\n\n").c_str())});
  }
  table.push_back({nullptr, nullptr, 0, nullptr});
  return table.data();
}

}  // namespace

void init_elementwise(py::module_& m) {
  if (PyModule_AddFunctions(m.ptr(), method_table()) != 0) throw py::error_already_set();
  define(
      m, "round",
      [](const Array& x, int64_t decimals) {
        if (decimals == 0) return round(x);
        const Array scale =
            full({}, Array(1.0), x.dtype()) * pow(Array(10.0), Array(static_cast<double>(decimals)));
        return divide(round(multiply(x, scale)), scale);
      },
      "x"_a, py::pos_only(), "decimals"_a = 0, text(docs::kRound));
  define(
      m, "polygamma", [](int64_t n, const Array& x) { return polygamma(n, x); }, "n"_a, "x"_a, py::pos_only(),
      text(docs::kPolygamma));
  define(
      m, "clip",
      [](const Array& x, const std::optional<Array>& min, const std::optional<Array>& max) {
        return clip(x, min, max);
      },
      "x"_a, py::pos_only(), "min"_a = py::none(), "max"_a = py::none(), text(docs::kClip));
  define(
      m, "where",
      [](const Array& condition, const Array& x, const Array& y) { return where(condition, x, y); },
      "condition"_a, "x1"_a, "x2"_a, py::pos_only(), text(docs::kWhere));
  define(
      m, "astype", [](const Array& x, DType dtype, bool, Device) { return astype(x, dtype); }, "x"_a,
      "dtype"_a, py::pos_only(), py::kw_only(), "copy"_a = true, "device"_a = py::none(),
      text(docs::kAstype));
}

}  // namespace hesse::python
