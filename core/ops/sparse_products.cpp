// Products with matrices of which few entries are stored, and the ops that these are when transposed.
#include <array>

#include "core/cpu/assign.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"
#include "core/ops/sparse_kernels.h"

namespace hesse::sparse {

void check_pattern(std::string_view op, std::span<const Aval> x, size_t first) {
  for (size_t i = first; i < x.size(); ++i)
    require<TypeError>((x[i].dtype == DType::Int32 || x[i].dtype == DType::Int64) &&
                           x[i].dtype == x[first].dtype && x[i].shape.size() == 1,
                       op, ": a pattern has vectors of int32 or of int64, got ",
                       describe(x[i].shape, x[i].dtype), " after ", describe(x[first].shape, x[first].dtype));
}

namespace {
void check_numeric(std::string_view op, std::span<const Aval> x) {
  require<TypeError>(x[0].dtype == x[1].dtype && x[0].dtype != DType::Bool && x[0].dtype != DType::Key, op,
                     ": operands must be numeric and of one dtype, got ", x[0].dtype, " and ", x[1].dtype);
}

/// Calls kernel(x, out) lane by lane of the last axis, where patterns differ between lanes.
template <class Kernel>
bool lane_by_lane(std::span<const View> x, std::span<const View> out, int lane_axes, Kernel kernel) {
  if (lane_axes == 0 ||
      std::none_of(x.begin() + 2, x.end(), [&](const View& v) { return varies(v, lane_axes); }))
    return false;
  const size_t last = out[0].shape.size() - 1;
  for (int64_t l = 0; l < out[0].shape[last]; ++l) {
    std::vector<View> in;
    for (const View& v : x) in.push_back(cpu::at(v, v.shape.size() - 1, l));
    const View y = cpu::at(out[0], last, l);
    kernel(std::span<const View>(in), std::span<const View>(&y, 1), lane_axes - 1);
  }
  return true;
}

Arrays operands(const Array& x, const Array& y, const Rows& by_row, const Rows& by_col) {
  Arrays in{x, y};
  append(in, by_row);
  append(in, by_col);
  return in;
}

void check_rows(std::string_view op, const Aval& values, const Aval& dense, size_t head_axes) {
  bool fits = dense.shape.size() > head_axes;
  for (size_t i = 1; fits && i <= head_axes; ++i) fits = values.shape[i] == dense.shape[i];
  require(fits, op, ": values of shape ", values.shape, " and rows of shape ", dense.shape,
          " have different heads");
}

/// y[rows, heads..., k...] = A x: inputs data [nnz, heads...], x [cols, heads..., k...] and the pattern by
/// rows and by columns. Linear in each of the first two; its pull-back to both is one op.
class Product final : public Op {
 public:
  std::string_view name() const override { return "csr_matmul"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(product_of(x[1].shape, 1, x[1].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 2);
    check_rows(name(), x[0], x[1], x[0].shape.size() - 1);
    Shape y = x[1].shape;
    y[0] = x[2].shape[0] - 1;
    return {{y, x[1].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
    run_product(name(), x, out[0], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  void kernel_on_rows(std::span<const View> x, const View& out, int64_t first, int64_t last) const override {
    run_product_of_rows(name(), x, out, first, last);
  }
  Linearity linearity() const override { return Linearity::Each; }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::count(marked.begin(), marked.end(), true) <= 1;
  }
  bool reads_output(int) const override { return false; }
  // d(A x) = dA x + A dx
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    MaybeArray dy;
    for (const size_t i : {0, 1}) {
      if (!dx[i]) continue;
      Arrays in(x.begin(), x.end());
      in[i] = *dx[i];
      const Array term = apply1(the<Product>(), in);
      dy = dy ? hesse::add(*dy, term) : term;
    }
    return {dy};
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override;
};

/// d[nnz, heads...] = the entries of a b^T at the places of a pattern, summed over k: inputs a [rows,
/// heads..., k...], b [cols, heads..., k...] and the pattern.
class Sampled final : public Linear {
 public:
  explicit Sampled(int64_t head_axes) : Linear(In::Each), head_axes_(head_axes) {}
  std::string_view name() const override { return "csr_sampled"; }
  Params params() const override { return {{"head_axes", head_axes_}}; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(product_of(x[0].shape, 1, x[0].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 2);
    check_rows(name(), x[0], x[1], x[0].shape.size() - 1);
    Shape y{x[3].shape[0]};
    for (size_t i = 1; i <= static_cast<size_t>(head_axes_); ++i) y.push_back(x[0].shape[i]);
    return {{y, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
    run_sampled(name(), x, out[0], lane_axes, static_cast<size_t>(head_axes_));
  }
  bool has_lane_kernel() const override { return true; }
  // Rows of the pattern: the entries that they hold.
  void kernel_on_rows(std::span<const View> x, const View& out, int64_t first, int64_t last) const override {
    run_sampled_of_rows(name(), x, out, static_cast<size_t>(head_axes_), first, last);
  }
  // <ct, sampled(da, b)> = <C b, da>, <ct, sampled(a, db)> = <C^T a, db>: C has the values ct
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    if (i == 0) return apply1(the<Product>(), operands(ct, x[1], side_at(x, 2), side_at(x, 5)));
    if (i == 1) return apply1(the<Product>(), operands(ct, x[0], side_at(x, 5), side_at(x, 2)));
    return std::nullopt;
  }

 private:
  int64_t head_axes_;
};

/// What Product pulls back from ct [rows, heads..., k...]: sampled(ct, x) [nnz, heads...] and A^T ct [cols,
/// heads..., k...]. Inputs data, x, ct and the pattern. A gathered row of ct serves both, which the two ops
/// one after the other would read twice: 0.85 of their time where memory is the limit
/// (tests/benchmarks, w6_both).
class Adjoint final : public Op {
 public:
  std::string_view name() const override { return "csr_adjoint"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 4 * num_entries(x[4]) * static_cast<double>(product_of(x[1].shape, 1, x[1].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 3);
    Shape of_ct = x[1].shape;
    of_ct[0] = x[3].shape[0] - 1;
    require(x[2].shape == of_ct && x[2].dtype == x[1].dtype, name(), ": a cotangent of shape ", x[2].shape,
            " does not fit a product of shape ", of_ct);
    return {x[0], x[1]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_axes == 0 && run_adjoint("csr_matmul", x, out)) return;
    const std::array<View, 8> sampled{x[2], x[1], x[3], x[4], x[5], x[6], x[7], x[8]};
    const std::array<View, 8> product{x[0], x[2], x[6], x[7], x[8], x[3], x[4], x[5]};
    const auto heads = static_cast<int64_t>(x[0].shape.size()) - 1 - lane_axes;
    make_op<Sampled>(heads)->kernel(sampled, out.subspan(0, 1), lane_axes);
    the<Product>()->kernel(product, out.subspan(1, 1), lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return std::count(marked.begin(), marked.end(), true) == static_cast<std::ptrdiff_t>(marked[2]);
  }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    return {marked[1] || marked[2], marked[0] || marked[2]};
  }
  bool reads_output(int) const override { return false; }
  // d sampled(ct, x) = sampled(dct, x) + sampled(ct, dx),  d(A^T ct) = A^T dct + dA^T ct
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    MaybeArrays dy(2);
    if (dx[2]) {
      Arrays in(x.begin(), x.end());
      in[2] = *dx[2];
      const Arrays both = apply(the<Adjoint>(), in);
      dy = {both[0], both[1]};
    }
    const auto add_to = [&](size_t k, const Array& term) { dy[k] = dy[k] ? hesse::add(*dy[k], term) : term; };
    if (dx[1]) add_to(0, of_data(x, x[2], *dx[1]));
    if (dx[0]) add_to(1, of_x(x, *dx[0], x[2]));
    return dy;
  }
  // <a, sampled(ct, x)> + <b, A^T ct> = <(a's matrix) x + A b, ct>
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    if (wanted[0] || wanted[1]) return std::nullopt;
    MaybeArrays out(x.size());
    const auto product = [&](const Array& data, const Array& dense) {
      return apply1(the<Product>(), operands(data, dense, side_at(x, 3), side_at(x, 6)));
    };
    if (wanted[2] && ct[0]) out[2] = product(*ct[0], x[1]);
    if (wanted[2] && ct[1]) {
      const Array term = product(x[0], *ct[1]);
      out[2] = out[2] ? hesse::add(*out[2], term) : term;
    }
    return out;
  }

  static Array of_data(std::span<const Array> x, const Array& ct, const Array& dense) {
    return apply1(make_op<Sampled>(static_cast<int64_t>(x[0].ndim()) - 1),
                  operands(ct, dense, side_at(x, 3), side_at(x, 6)));
  }
  static Array of_x(std::span<const Array> x, const Array& data, const Array& ct) {
    return apply1(the<Product>(), operands(data, ct, side_at(x, 6), side_at(x, 3)));
  }
};

// <ct, D x> = <sampled(ct, x), d>, <ct, A dx> = <A^T ct, dx>
std::optional<MaybeArrays> Product::vjp(std::span<const Array> x, std::span<const Array>,
                                        std::span<const MaybeArray> ct,
                                        const std::vector<bool>& wanted) const {
  MaybeArrays out(x.size());
  if (!ct[0] || !(wanted[0] || wanted[1])) return out;
  Arrays in{x[0], x[1], *ct[0]};
  in.insert(in.end(), x.begin() + 2, x.end());
  if (wanted[0] && wanted[1]) {
    const Arrays both = apply(the<Adjoint>(), in);
    out[0] = both[0];
    out[1] = both[1];
  } else if (wanted[0]) {
    out[0] = Adjoint::of_data(in, *ct[0], x[1]);
  } else {
    out[1] = Adjoint::of_x(in, x[0], *ct[0]);
  }
  return out;
}

/// y[t] = sum over the triples (t, l, r) of left[l] right[r]: inputs left [m, heads...], right [n, heads...]
/// and the triples in the order of t, of l and of r; `entries` of a side is the left factor's index of the
/// sum it forms, `columns` the right one's.
class PairedSum final : public Linear {
 public:
  PairedSum() : Linear(In::Each) {}
  std::string_view name() const override { return "csr_paired_sum"; }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return 2 * num_entries(x[3]) * static_cast<double>(product_of(x[0].shape, 1, x[0].shape.size()));
  }
  Avals infer(std::span<const Aval> x) const override {
    check_numeric(name(), x);
    check_pattern(name(), x, 2);
    check_rows(name(), x[0], x[1], x[0].shape.size() - 1);
    require(x[0].shape.size() == x[1].shape.size(), name(), ": values of shapes ", x[0].shape, " and ",
            x[1].shape, " have different heads");
    Shape y = x[0].shape;
    y[0] = x[2].shape[0] - 1;
    return {{y, x[0].dtype}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    if (lane_by_lane(x, out, lane_axes, [this](auto in, auto y, int axes) { kernel(in, y, axes); })) return;
    run_product(name(), x, out[0], lane_axes);
  }
  bool has_lane_kernel() const override { return true; }
  // y = sum l r over (t, l, r):  dl = sum ct r over (l, t, r),  dr = sum l ct over (r, l, t)
  MaybeArray transpose(std::span<const Array> x, const Array& ct, int i) const override {
    const Rows t = side_at(x, 2), l = side_at(x, 5), r = side_at(x, 8);
    const auto swapped = [](const Rows& s) { return Rows{s.starts, s.entries, s.columns}; };
    Arrays in;
    if (i == 0) {  // sides of t: (l, r); of l: (t, r); of r: (l, t), here (t, l)
      in = {ct, x[1]};
      append(in, l), append(in, t), append(in, swapped(r));
    } else if (i == 1) {
      in = {x[0], ct};
      append(in, r), append(in, swapped(l)), append(in, t);
    } else {
      return std::nullopt;
    }
    return apply1(the<PairedSum>(), in);
  }
};

Array as_columns(const Array& x) { return x.ndim() == 1 ? expand_dims(x, {1}) : x; }

}  // namespace

Array matmul(const CSR& a, const Array& x) {
  const size_t heads = a.data.ndim() - 1;
  require((x.ndim() == heads + 1 || x.ndim() == heads + 2) && x.shape()[0] == a.cols() &&
              (heads == 0 || x.shape()[1] == a.data.shape()[1]),
          "matmul: a sparse matrix of shape (", a.rows(), ", ", a.cols(), ")",
          heads ? concat(" with ", a.data.shape()[1], " heads") : "", " times x needs x of shape (", a.cols(),
          heads ? ", heads) or (" : ") or (", a.cols(), heads ? ", heads, k), got " : ", k), got ",
          x.shape());
  const DType dtype = common_dtype("matmul", Arrays{a.data, x});
  return apply1(the<Product>(), operands(converted(a.data, dtype), converted(x, dtype), a.by_row, a.by_col));
}

Array sampled_outer(const CSR& pattern, const Array& x, const Array& y) {
  const auto shapes = [&] { return concat("x of shape ", x.shape(), " and y of shape ", y.shape()); };
  require(x.ndim() >= 1 && x.ndim() <= 3 && x.ndim() == y.ndim(),
          "sampled_outer: x and y must both be vectors, matrices or (n, heads, k), got ", shapes());
  bool fits = x.shape()[0] == pattern.rows() && y.shape()[0] == pattern.cols();
  for (size_t i = 1; i < x.ndim(); ++i) fits = fits && x.shape()[i] == y.shape()[i];
  require(fits, "sampled_outer: a pattern of shape (", pattern.rows(), ", ", pattern.cols(),
          ") needs x of shape (rows, k) and y of shape (cols, k), or with heads before k, got ", shapes());
  const DType dtype = common_dtype("sampled_outer", Arrays{x, y});
  return apply1(make_op<Sampled>(x.ndim() == 3 ? 1 : 0),
                operands(as_columns(converted(x, dtype)), as_columns(converted(y, dtype)), pattern.by_row,
                         pattern.by_col));
}

Array paired_sum(const Array& left, const Array& right, const MatmulStructure& structure) {
  const int64_t m = structure.by_left.starts.shape()[0] - 1, n = structure.by_right.starts.shape()[0] - 1;
  require(left.ndim() >= 1 && left.ndim() == right.ndim() && left.shape()[0] == m && right.shape()[0] == n,
          "matmul: a structure for ", m, " and ", n, " values was given values of shapes ", left.shape(),
          " and ", right.shape());
  const DType dtype = common_dtype("matmul", Arrays{left, right});
  Arrays in{converted(left, dtype), converted(right, dtype)};
  append(in, structure.by_product);
  append(in, structure.by_left);
  append(in, structure.by_right);
  return apply1(the<PairedSum>(), in);
}

}  // namespace hesse::sparse

namespace hesse {
OpFamily families::sparse_products() {
  return {listed<sparse::Product>(),
          {"csr_sampled",
           [](const ReadParams& p) {
             return make_op<sparse::Sampled>(p.has("head_axes") ? int64_t{p["head_axes"]} : int64_t{0});
           }},
          listed<sparse::Adjoint>(),
          listed<sparse::PairedSum>()};
}
}  // namespace hesse
