#include "core/op.h"

#include <functional>

#include "core/graph.h"
#include "core/ops.h"
#include "core/ops/view_loops.h"

namespace hesse {

std::optional<Op::Row> entrywise_on_row(const Op& op, std::span<const Array> x,
                                        std::span<const RowAxis> axes) {
  for (const RowAxis a : axes)
    if (a == kShared || a != axes[0]) return std::nullopt;
  return Op::Row{apply1(OpRef(&op), Arrays(x.begin(), x.end())), axes[0]};
}
std::optional<Op::Row> Elementwise::on_row(std::span<const Array> x, std::span<const RowAxis> axes,
                                           std::span<const Aval>) const {
  return entrywise_on_row(*this, x, axes);
}
namespace {

bool same(const Param& a, const Param& b) {
  if (a.index() != b.index()) return false;
  if (const auto* g = std::get_if<Ref<const Graph>>(&a)) {
    const auto& h = std::get<Ref<const Graph>>(b);
    return *g == h || (*g && h && (*g)->equals(*h));
  }
  if (const auto* x = std::get_if<double>(&a)) {  // bits: 0 and -0 differ, NaN equals itself
    const double y = std::get<double>(b);
    return std::hash<double>{}(*x) == std::hash<double>{}(y) && (*x == y || (*x != *x && y != y)) &&
           std::signbit(*x) == std::signbit(y);
  }
  return a == b;
}

size_t mix(size_t h, size_t v) { return h ^ (v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2)); }

size_t hash_param(const Param& p) {
  return std::visit(
      [](const auto& v) -> size_t {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, Dims>) {
          size_t h = v.size();
          for (int64_t d : v) h = mix(h, std::hash<int64_t>{}(d));
          return h;
        } else if constexpr (std::is_same_v<T, Ref<const Graph>>) {
          return v ? v->hash() : 0;
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          size_t h = v.size();
          for (const auto& s : v) h = mix(h, std::hash<std::string>{}(s));
          return h;
        } else if constexpr (std::is_same_v<T, DType>) {
          return static_cast<size_t>(v);
        } else {
          return std::hash<T>{}(v);
        }
      },
      p);
}

}  // namespace

bool Op::equals(const Op& other) const {
  if (this == &other) return true;
  if (name() != other.name() || hash() != other.hash()) return false;
  const Params a = params(), b = other.params();
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || !same(a[i].second, b[i].second)) return false;
  return true;
}

double num_entries(const Aval& a) {
  double n = 1;
  for (const int64_t d : a.shape) n *= d == kDynamic ? 1.0 : static_cast<double>(d);
  return n;
}
double num_entries(std::span<const Aval> all) {
  double n = 0;
  for (const Aval& a : all) n += num_entries(a);
  return n;
}

double Op::flops(std::span<const Aval>, std::span<const Aval> out) const {
  double n = 0;
  bool holds_graphs = false;
  for (const auto& [key, value] : params())
    if (const auto* g = std::get_if<Ref<const Graph>>(&value)) {
      n += (*g)->flops();
      holds_graphs = true;
    }
  return holds_graphs || is_view() ? n : num_entries(out);
}

size_t Op::hash() const {
  size_t h = hash_.load(std::memory_order_relaxed);
  if (h != 0) return h;
  h = std::hash<std::string_view>{}(name());
  for (const auto& [key, value] : params()) h = mix(h, hash_param(value));
  hash_.store(h, std::memory_order_relaxed);
  return h;
}

Arrays Op::eval(std::span<const Array> x) const {
  if (is_view()) {
    const Aval in = aval(x[0]);
    infer({&in, 1});  // refuses bad arguments
    std::optional<View> v = alias(x[0].view(), 0);
    if (v) return {x[0].viewed(*v)};
    const Array row_major = packed(x[0]);
    v = alias(row_major.view(), 0);
    require<Error>(v.has_value(), name(), ": no view of a row-major operand");
    return {row_major.viewed(*v)};
  }
  Avals in;
  std::vector<View> views;
  for (const Array& a : x) {
    in.push_back(aval(a));
    views.push_back(a.view());
  }
  Arrays out;
  std::vector<View> out_views;
  for (const Aval& a : infer(in)) {
    out.push_back(Array::uninitialized(a.shape, a.dtype));
    out_views.push_back(out.back().view());
  }
  kernel(views, out_views, 0);
  return out;
}

void Op::kernel(std::span<const View>, std::span<const View>, int) const {
  throw Error(concat(name(), ": has no kernel"));
}

void Op::kernel_on_rows(std::span<const View>, const View&, int64_t, int64_t) const {
  throw Error(concat(name(), ": has no kernel for a range of rows"));
}

std::optional<View> Op::alias(const View&, int) const { return std::nullopt; }

std::optional<MaybeArrays> Op::vjp(std::span<const Array>, std::span<const Array>,
                                   std::span<const MaybeArray>, const std::vector<bool>&) const {
  return std::nullopt;
}

// dy = sum_i dy/dx_i * dx_i, entry by entry.
MaybeArrays Elementwise::jvp(std::span<const Array> x, std::span<const Array> y,
                             std::span<const MaybeArray> dx) const {
  MaybeArray dy;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!dx[i]) continue;
    const MaybeArray p = partial(x, y[0], static_cast<int>(i));
    if (!p) continue;
    const Array term = multiply(*p, *dx[i]);
    dy = dy ? add(*dy, term) : term;
  }
  return {dy};
}

// ct_i = dy/dx_i * ct, entry by entry.
std::optional<MaybeArrays> Elementwise::vjp(std::span<const Array> x, std::span<const Array> y,
                                            std::span<const MaybeArray> ct,
                                            const std::vector<bool>& wanted) const {
  MaybeArrays out(x.size());
  if (!ct[0]) return out;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!wanted[i]) continue;
    if (const MaybeArray p = partial(x, y[0], static_cast<int>(i))) out[i] = multiply(*p, *ct[0]);
  }
  return out;
}

// Together: dy = op(dx_1, ..., dx_n), missing ones zero. Each: dy = sum_i op(x_1, ..., dx_i, ..., x_n).
MaybeArrays Linear::jvp(std::span<const Array> x, std::span<const Array>,
                        std::span<const MaybeArray> dx) const {
  const OpRef self(this);
  MaybeArray dy;
  if (in_ == In::Together) {
    Arrays in;
    bool any = false;
    for (size_t i = 0; i < x.size(); ++i) {
      any = any || dx[i];
      if (dx[i] || !is_inexact(x[i].dtype()))
        in.push_back(dx[i] ? *dx[i] : x[i]);
      else
        in.push_back(broadcast_to(astype(Array(0.0), x[i].dtype()), x[i].shape()));
    }
    if (any) dy = apply1(self, in);
    return {dy};
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (!dx[i]) continue;
    Arrays in(x.begin(), x.end());
    in[i] = *dx[i];
    const Array term = apply1(self, in);
    dy = dy ? add(*dy, term) : term;
  }
  return {dy};
}

std::optional<MaybeArrays> Linear::vjp(std::span<const Array> x, std::span<const Array>,
                                       std::span<const MaybeArray> ct,
                                       const std::vector<bool>& wanted) const {
  MaybeArrays out(x.size());
  if (ct[0])
    for (size_t i = 0; i < x.size(); ++i)
      if (wanted[i]) out[i] = transpose(x, *ct[0], static_cast<int>(i));
  return out;
}

bool Linear::is_linear_in(const std::vector<bool>& marked) const {
  if (in_ == In::Together) return true;
  int n = 0;
  for (bool m : marked) n += m;
  return n <= 1;
}

}  // namespace hesse
