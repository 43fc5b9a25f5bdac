#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/docs_reduce.h"

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
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, keepdims, text(docs::kSum));
  define(
      m, "prod",
      [](const Array& x, const OptAxes& a, OptDType t, bool keep) {
        return in_dtype(x, t, [&](const Array& v) { return prod(v, a, keep); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, keepdims, text(docs::kProd));
  const auto plain = [&](const char* name, auto f, const char* doc) {
    define(m, name, f, "x"_a, py::pos_only(), axis, py::kw_only(), keepdims, doc);
  };
  plain(
      "max", [](const Array& x, const OptAxes& a, bool keep) { return max(x, a, keep); }, text(docs::kMax));
  plain(
      "min", [](const Array& x, const OptAxes& a, bool keep) { return min(x, a, keep); }, text(docs::kMin));
  plain(
      "mean", [](const Array& x, const OptAxes& a, bool keep) { return mean(x, a, keep); },
      text(docs::kMean));
  plain(
      "logsumexp", [](const Array& x, const OptAxes& a, bool keep) { return logsumexp(x, a, keep); },
      text(docs::kLogsumexp));
  plain(
      "all", [](const Array& x, const OptAxes& a, bool keep) { return all(x, a, keep); }, text(docs::kAll));
  plain(
      "any", [](const Array& x, const OptAxes& a, bool keep) { return any(x, a, keep); }, text(docs::kAny));
  plain(
      "count_nonzero", [](const Array& x, const OptAxes& a, bool keep) { return count_nonzero(x, a, keep); },
      text(docs::kCountNonzero));
  plain(
      "argmax", [](const Array& x, OptAxis a, bool keep) { return argmax(x, a, keep); }, text(docs::kArgmax));
  plain(
      "argmin", [](const Array& x, OptAxis a, bool keep) { return argmin(x, a, keep); }, text(docs::kArgmin));
  const auto moment = [&](const char* name, auto f, const char* doc) {
    define(m, name, f, "x"_a, py::pos_only(), axis, py::kw_only(), "correction"_a = 0.0, keepdims, doc);
  };
  moment(
      "var", [](const Array& x, const OptAxes& a, double c, bool keep) { return var(x, a, c, keep); },
      text(docs::kVar));
  moment(
      "std", [](const Array& x, const OptAxes& a, double c, bool keep) { return hesse::std(x, a, c, keep); },
      text(docs::kStd));
  define(
      m, "softmax", [](const Array& x, int64_t a) { return softmax(x, a); }, "x"_a, py::pos_only(),
      "axis"_a = -1, text(docs::kSoftmax));
  define(
      m, "log_softmax", [](const Array& x, int64_t a) { return log_softmax(x, a); }, "x"_a, py::pos_only(),
      "axis"_a = -1, text(docs::kLogSoftmax));

  define(
      m, "cumsum",
      [](const Array& x, OptAxis a, OptDType t) {
        return in_dtype(x, t, [&](const Array& v) { return cumsum(v, a); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, text(docs::kCumsum));
  define(
      m, "cumprod",
      [](const Array& x, OptAxis a, OptDType t) {
        return in_dtype(x, t, [&](const Array& v) { return cumprod(v, a); });
      },
      "x"_a, py::pos_only(), axis, py::kw_only(), dtype, text(docs::kCumprod));
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
      "append"_a = py::none(), text(docs::kDiff));
  define(
      m, "trace",
      [](const Array& x, int64_t offset, OptDType t) {
        return in_dtype(x, t, [&](const Array& v) { return hesse::trace(v, offset); });
      },
      "x"_a, py::pos_only(), py::kw_only(), "offset"_a = 0, dtype, text(docs::kTrace));
  define(
      m, "interp", [](const Array& x, const Array& xp, const Array& fp) { return interp(x, xp, fp); }, "x"_a,
      "xp"_a, "fp"_a, py::pos_only(), text(docs::kInterp));
}

}  // namespace hesse::python
