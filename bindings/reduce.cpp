#include "bindings/bindings.h"
#include "bindings/convert.h"

namespace hesse::python {

using namespace py::literals;

namespace {

/// f(x) computed and returned in `dtype`, if one is given.
template <class F>
Array in_dtype(const Array& x, OptDType dtype, F f) {
  return dtype ? astype(f(astype(x, *dtype)), *dtype) : f(x);
}

}  // namespace

void init_reduce(py::module_& m) {
  const auto axis = "axis"_a = py::none();
  const auto keepdims = "keepdims"_a = false;
  const auto dtype = "dtype"_a = py::none();
  define(
      m, "sum",
      [](const Array& x, const OptAxes& a, OptDType t, bool keep) {
        return in_dtype(x, t, [&](const Array& v) { return sum(v, a, keep); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, keepdims, "The sum over all or some axes.");
  define(
      m, "prod",
      [](const Array& x, const OptAxes& a, OptDType t, bool keep) {
        return in_dtype(x, t, [&](const Array& v) { return prod(v, a, keep); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, keepdims, "The product over all or some axes.");
  const auto plain = [&](const char* name, auto f, const char* doc) {
    define(m, name, f, "x"_a, py::pos_only(), axis, py::kw_only(), keepdims, doc);
  };
  plain(
      "max", [](const Array& x, const OptAxes& a, bool keep) { return max(x, a, keep); },
      "The largest entry; equal ones share the derivative.");
  plain(
      "min", [](const Array& x, const OptAxes& a, bool keep) { return min(x, a, keep); },
      "The smallest entry; equal ones share the derivative.");
  plain(
      "mean", [](const Array& x, const OptAxes& a, bool keep) { return mean(x, a, keep); },
      "The arithmetic mean.");
  plain(
      "logsumexp", [](const Array& x, const OptAxes& a, bool keep) { return logsumexp(x, a, keep); },
      "log(sum(exp(x))), without overflow.");
  plain(
      "all", [](const Array& x, const OptAxes& a, bool keep) { return all(x, a, keep); },
      "Whether all entries are true.");
  plain(
      "any", [](const Array& x, const OptAxes& a, bool keep) { return any(x, a, keep); },
      "Whether some entry is true.");
  plain(
      "count_nonzero", [](const Array& x, const OptAxes& a, bool keep) { return count_nonzero(x, a, keep); },
      "How many entries are not zero.");
  plain(
      "argmax", [](const Array& x, OptAxis a, bool keep) { return argmax(x, a, keep); },
      "The index of the largest entry, the first of equal ones.");
  plain(
      "argmin", [](const Array& x, OptAxis a, bool keep) { return argmin(x, a, keep); },
      "The index of the smallest entry, the first of equal ones.");
  const auto moment = [&](const char* name, auto f, const char* doc) {
    define(m, name, f, "x"_a, py::pos_only(), axis, py::kw_only(), "correction"_a = 0.0, keepdims, doc);
  };
  moment(
      "var", [](const Array& x, const OptAxes& a, double c, bool keep) { return var(x, a, c, keep); },
      "The variance: the sum of squared deviations over N - correction.");
  moment(
      "std", [](const Array& x, const OptAxes& a, double c, bool keep) { return hesse::std(x, a, c, keep); },
      "The standard deviation: the root of the variance.");
  define(
      m, "softmax", [](const Array& x, int64_t a) { return softmax(x, a); }, "x"_a, py::pos_only(),
      "axis"_a = -1, "exp(x) / sum(exp(x)) along an axis.");
  define(
      m, "log_softmax", [](const Array& x, int64_t a) { return log_softmax(x, a); }, "x"_a, py::pos_only(),
      "axis"_a = -1, "log(softmax(x)), exact for large differences.");

  define(
      m, "cumsum",
      [](const Array& x, OptAxis a, OptDType t) {
        return in_dtype(x, t, [&](const Array& v) { return cumsum(v, a); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, "Running sums along an axis.");
  define(
      m, "cumprod",
      [](const Array& x, OptAxis a, OptDType t) {
        return in_dtype(x, t, [&](const Array& v) { return cumprod(v, a); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, "Running products along an axis.");
  define(
      m, "diff",
      [](const Array& x, int64_t a, int64_t n, const std::optional<Array>& prepend,
         const std::optional<Array>& append) {
        Arrays parts;
        if (prepend) parts.push_back(*prepend);
        parts.push_back(x);
        if (append) parts.push_back(*append);
        return diff(parts.size() == 1 ? x : concatenate(parts, a), n, a);
      },
      "x"_a, py::pos_only(), py::kw_only(), "axis"_a = -1, "n"_a = 1, "prepend"_a = py::none(),
      "append"_a = py::none(), "The n-th difference of neighbours along an axis.");
  define(
      m, "trace",
      [](const Array& x, int64_t offset, OptDType t) {
        return in_dtype(x, t, [&](const Array& v) { return hesse::trace(v, offset); });
      },
      "x"_a, py::pos_only(), py::kw_only(), "offset"_a = 0, dtype,
      "The sum of a diagonal of the last two axes.");
  define(
      m, "interp", [](const Array& x, const Array& xp, const Array& fp) { return interp(x, xp, fp); }, "x"_a,
      "xp"_a, "fp"_a, py::pos_only(),
      "Piecewise linear interpolation through (xp, fp), constant outside; xp ascends.");
}

}  // namespace hesse::python
