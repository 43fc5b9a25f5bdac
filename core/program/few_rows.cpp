#include "core/program/few_rows.h"

#include <algorithm>
#include <array>

#include "core/cpu/assign.h"
#include "core/error.h"
#include "core/ops.h"
#include "core/ops/index_gather.h"
#include "core/ops/sparse_kernels.h"
#include "core/program/on_rows.h"
#include "core/program/rewrite.h"

namespace hesse {
namespace {

size_t at(int v) { return static_cast<size_t>(v); }

// Few enough that a gather pays, and so few that one thread adds up products of them before all threads
// would have looked at all rows.
constexpr int64_t kFew = 2, kVeryFew = 16;

/// A product with a sparse matrix on few rows, of the result or of the dense operand. Only within programs.
class FewRowsOfProduct : public Op {
 public:
  explicit FewRowsOfProduct(IndexRule rule) : rule_(std::move(rule)) {}
  Params params() const override { return rule_.params(); }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>, std::span<const MaybeArray>) const final {
    throw Error(
        concat(name(), ": belongs to a program that is run; differentiate the graph it was made from"));
  }
  bool is_linear_in(const std::vector<bool>&) const final { return false; }

 protected:
  // Of that many rows of a pattern, whose operands begin at `pattern`.
  static double flops_of(std::span<const Aval> x, size_t pattern, int64_t rows) {
    const double of_all = std::max<double>(static_cast<double>(x[pattern].shape[0] - 1), 1);
    return 2 * num_entries(x[pattern + 1]) * static_cast<double>(rows) / of_all *
           static_cast<double>(sparse::product_of(x[1].shape, 1, x[1].shape.size()));
  }
  IndexRule rule_;
};

/// y[k] = row index[k] of A x: inputs data, x, index and the pattern by rows.
class RowsOfProduct final : public FewRowsOfProduct {
 public:
  using FewRowsOfProduct::FewRowsOfProduct;
  std::string_view name() const override { return "csr_matmul_at"; }
  Avals infer(std::span<const Aval> x) const override {
    Shape y = x[1].shape;
    y[0] = x[2].shape[0];
    return {{y, x[1].dtype}};
  }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return flops_of(x, 3, x[2].shape[0]);
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const std::array<View, 5> product{x[0], x[1], x[3], x[4], x[5]};
    if (!sparse::run_product_at("csr_matmul", product, x[2], rule_.wraps, out[0]) || out[0].size() == 0)
      report_bad_index(x[2], x[3].shape[0] - 1, rule_, 0);
  }
};

/// y = A z for z = 0, z[index[k]] += x[k]: inputs data, x, index and the pattern by columns.
class ProductOfRows final : public FewRowsOfProduct {
 public:
  ProductOfRows(IndexRule rule, int64_t rows) : FewRowsOfProduct(std::move(rule)), rows_(rows) {}
  std::string_view name() const override { return "csr_matmul_from"; }
  Params params() const override {
    Params p = rule_.params();
    p.emplace_back("rows", rows_);
    return p;
  }
  Avals infer(std::span<const Aval> x) const override {
    Shape y = x[1].shape;
    y[0] = rows_;
    return {{y, x[1].dtype}};
  }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return flops_of(x, 3, x[1].shape[0]);
  }
  void kernel(std::span<const View> x, std::span<const View> out, int) const override {
    const std::array<View, 5> product{x[0], x[1], x[3], x[4], x[5]};
    if (!sparse::run_product_from("csr_matmul", product, x[2], rule_.wraps, out[0]))
      report_bad_index(x[2], x[3].shape[0] - 1, rule_, 0);
  }

 private:
  int64_t rows_;
};

/// Rows that a gather reads, or to which a scatter_add adds.
struct Rows {
  int index;  // a value: int64 [k]
  IndexRule rule;
  int64_t length, count;  // of all, and of these
  bool checked;           // a gather looks at the indices
};
bool is_matrix(const Aval& a) { return a.shape.size() == 2; }

/// Which rows of values are wanted, found backwards from the outputs, and which values are zero but for few
/// rows, found forwards from what adds them.
class FewRows {
 public:
  explicit FewRows(const Graph& g)
      : g_(g),
        makers_(g),
        constants_(g.values().size()),
        axes_(g.equations().size()),
        few_(g.values().size(), kNone),
        wanted_(g.values().size(), kNobody),
        terms_wanted_(g.values().size(), false),
        added_(g.values().size()) {
    for (const auto& [id, a] : g.constants()) constants_[at(id)] = a;
    find_rows();
    if (rows_.empty()) return;
    for (size_t e = 0; e < g.equations().size(); ++e) follow(e);
    want_all(g.outputs());
    for (size_t e = g.equations().size(); e-- > 0;) ask(e);
  }
  bool any() const {
    if (rows_.empty()) return false;
    const auto& all = g_.equations();
    return std::any_of(all.begin(), all.end(),
                       [&](const Graph::Equation& eq) { return reads_few(eq) >= 0; }) ||
           std::any_of(wanted_.begin(), wanted_.end(), [](int wanted) { return wanted >= 0; });
  }
  /// What stands for the results of equation e: the rows that are wanted, or all.
  std::optional<Arrays> rule(size_t e, const Arrays& values) {
    const Graph::Equation& eq = g_.equations()[e];
    const int v = eq.out.empty() ? -1 : eq.out[0];
    if (v < 0 || eq.op->has_effect()) return std::nullopt;
    if (few_[at(v)] >= 0) return Arrays{of_few(e, values)};
    if (wanted_[at(v)] >= 0) return Arrays{of_wanted(e, values)};
    if (is_dead(eq)) return Arrays(eq.out.size());
    if (const int d = reads_few(eq); d >= 0) return Arrays{of_sum(eq, d, values)};
    if (const int d = of_gather(eq); d >= 0) return Arrays{rows_of(eq.in[0], d, values)};
    return std::nullopt;
  }

 private:
  static constexpr int kNone = -1;               // few_: not known to be zero anywhere
  static constexpr int kNobody = -2, kAll = -1;  // wanted_
  const Aval& value(int v) const { return g_.values()[at(v)]; }
  const Rows& rows(int d) const { return rows_[at(d)]; }

  // ---- the rows there are --------------------------------------------------------------------------------
  static std::optional<IndexRule> rule_of(const Graph::Equation& eq, std::string_view op) {
    if (eq.op->name() != op) return std::nullopt;
    const Params params = eq.op->params();
    IndexRule rule = index_rule(ReadParams(params));
    return rule.axis == 0 && !rule.along ? std::optional(std::move(rule)) : std::nullopt;
  }
  void find_rows() {
    for (const Graph::Equation& eq : g_.equations())
      for (const char* op : {"gather", "scatter_add"}) {
        const auto rule = rule_of(eq, op);
        if (!rule || value(eq.in[1]).shape.size() != 1) continue;
        const bool gathers = eq.op->name() == "gather";
        const int64_t length = value(gathers ? eq.in[0] : eq.out[0]).shape[0];
        const int64_t count = value(eq.in[1]).shape[0];
        if (kFew * count > length) continue;
        const int d = find(eq.in[1], length, rule->wraps);
        if (d < 0)
          rows_.push_back({eq.in[1], *rule, length, count, gathers});
        else
          rows_[at(d)].checked = rows_[at(d)].checked || gathers;
      }
  }
  int find(int index, int64_t length, bool wraps) const {
    for (size_t d = 0; d < rows_.size(); ++d)
      if (rows_[d].index == index && rows_[d].length == length && rows_[d].rule.wraps == wraps)
        return static_cast<int>(d);
    return kNone;
  }
  int rows_taken(const Graph::Equation& eq, std::string_view op) const {
    const auto rule = rule_of(eq, op);
    return rule ? find(eq.in[1], value(op == "gather" ? eq.in[0] : eq.out[0]).shape[0], rule->wraps) : kNone;
  }
  // A gather whose table is not zero elsewhere.
  int of_gather(const Graph::Equation& eq) const {
    const int d = rows_taken(eq, "gather");
    return d >= 0 && few_[at(eq.in[0])] < 0 ? d : kNone;
  }

  // ---- equations that work row by row --------------------------------------------------------------------
  // Whether equation e does, for n rows along axis 0 of its result, and where it meets its operands then.
  bool is_row_by_row(size_t e, int64_t n) {
    const Graph::Equation& eq = g_.equations()[e];
    if (eq.out.size() != 1 || eq.in.empty() || eq.op->has_effect()) return false;
    const Aval& out = value(eq.out[0]);
    if (out.shape.empty() || out.shape[0] != n) return false;
    Avals whole;
    std::vector<RowAxis> axes;
    for (const int v : eq.in) {
      whole.push_back(value(v));
      axes.push_back(!value(v).shape.empty() && value(v).shape[0] == n ? 0 : kShared);
    }
    if (eq.op->name() == "broadcast_to" && (axes[0] == kShared || whole[0].shape.size() < out.shape.size())) {
      axes_[e] = {kShared};
      return true;
    }
    for (const bool only_first : {false, true}) {  // a matrix that all rows share may have n rows, too
      if (only_first) std::fill(axes.begin() + 1, axes.end(), kShared);
      if (std::all_of(axes.begin(), axes.end(), [](RowAxis a) { return a == kShared; })) return false;
      const auto row = questions_.ask(*eq.op, whole, axes);
      if (!row || row->axis != 0 || row->summed || !fits_other_rows(*eq.op, whole, axes, out, 0)) continue;
      axes_[e] = axes;
      return true;
    }
    return false;
  }

  // ---- forwards ------------------------------------------------------------------------------------------
  void follow(size_t e) {
    const Graph::Equation& eq = g_.equations()[e];
    if (eq.out.size() != 1) return;
    const int d = rows_taken(eq, "scatter_add");
    if (value(eq.out[0]).dtype != DType::Bool)  // which is not added, so sums would count rows that repeat
      few_[at(eq.out[0])] = d >= 0 ? d : few_of(e);
  }
  // What is linear in operands that are zero but for the same rows is so too.
  int few_of(size_t e) {
    const Graph::Equation& eq = g_.equations()[e];
    int d = kNone;
    for (const int v : eq.in) {
      if (few_[at(v)] < 0) continue;
      if (d >= 0 && few_[at(v)] != d) return kNone;
      d = few_[at(v)];
    }
    if (d < 0) return kNone;
    std::vector<bool> zero;
    for (const int v : eq.in)
      zero.push_back(few_[at(v)] >= 0 || (constants_[at(v)].defined() && is_zero(constants_[at(v)])));
    if (!is_zero_for(eq, zero) || !is_row_by_row(e, rows(d).length)) return kNone;
    for (size_t i = 0; i < eq.in.size(); ++i)
      if (few_[at(eq.in[i])] >= 0 && axes_[e][i] != 0) return kNone;
    return d;
  }
  // Whether the result is zero where these operands are: a product with others, or linear in all there are.
  bool is_zero_for(const Graph::Equation& eq, const std::vector<bool>& zero) const {
    if (!eq.op->is_linear_in(zero)) return false;
    if (eq.op->linearity() == Op::Linearity::Each || eq.op->name() == "divide") return true;
    for (size_t i = 0; i < zero.size(); ++i)
      if (!zero[i] && is_inexact(value(eq.in[i]).dtype)) return false;
    return true;
  }
  // The rows of what it sums up over all rows: of few terms, the others are zero.
  int reads_few(const Graph::Equation& eq) const {
    const std::string_view op = eq.op->name();
    if (op == "sum") {
      const int d = few_[at(eq.in[0])];
      const Params params = eq.op->params();
      return d >= 0 && rows(d).checked && Dims(ReadParams(params)["axes"]) == Dims{0} ? d : kNone;
    }
    if (op == "csr_matmul") {
      const int d = few_[at(eq.in[1])];
      return d >= 0 && kVeryFew * rows(d).count <= rows(d).length && value(eq.in[0]).shape.size() <= 2
                 ? d
                 : kNone;
    }
    if (op == "matmul" && is_matrix(value(eq.in[0])) && is_matrix(value(eq.in[1]))) {
      const int from = makers_.transposed(eq.in[0]);
      if (from < 0) return kNone;
      const int d = few_[at(eq.in[1])] >= 0 ? few_[at(eq.in[1])] : few_[at(from)];
      return d >= 0 && value(from).shape[0] == rows(d).length ? d : kNone;
    }
    return kNone;
  }
  // x and y of x^T y: first the one that is zero but for rows d, in the other of which each counts once,
  // whole.
  std::pair<int, int> factors(const Graph::Equation& eq, int d) const {
    const int x = makers_.transposed(eq.in[0]), y = eq.in[1];
    return few_[at(y)] == d ? std::pair{y, x} : std::pair{x, y};
  }

  // ---- backwards -----------------------------------------------------------------------------------------
  void want(int v, int d) {
    int& wanted = wanted_[at(v)];
    wanted = wanted == kNobody || wanted == d ? d : kAll;
  }
  // Rows of a value. Of one that is zero elsewhere there is only what was added, and indices may repeat.
  void want_rows(int v, int d) { want(v, few_[at(v)] >= 0 ? kAll : d); }
  // What was added, or rows of what is not zero elsewhere.
  void want_terms(int v, int d) {
    if (few_[at(v)] != d) return want_rows(v, d);
    want(v, d);
    terms_wanted_[at(v)] = true;
  }
  bool is_dead(const Graph::Equation& eq) const {
    return !eq.op->has_effect() &&
           std::all_of(eq.out.begin(), eq.out.end(), [&](int v) { return wanted_[at(v)] == kNobody; });
  }
  void ask(size_t e) {
    const Graph::Equation& eq = g_.equations()[e];
    if (is_dead(eq)) return;
    const int out = eq.out.size() == 1 ? eq.out[0] : -1;
    if (out >= 0 && few_[at(out)] >= 0) {
      if (rows_taken(eq, "scatter_add") >= 0) return want_all(eq.in);
      if (terms_wanted_[at(out)]) return want_operands(e, few_[at(out)]);
      few_[at(out)] = kNone;  // only all of it is wanted: made from all
    }
    const int gathered = of_gather(eq), summed = reads_few(eq);
    if (gathered < 0 && summed < 0 && out >= 0 && wanted_[at(out)] >= 0 && narrows(e, wanted_[at(out)]))
      return eq.op->name() == "csr_matmul" ? want_all(eq.in) : want_operands(e, wanted_[at(out)]);
    for (const int v : eq.out) want(v, kAll);
    if (gathered >= 0) {
      want_rows(eq.in[0], gathered);
      want(eq.in[1], kAll);
    } else if (summed >= 0 && eq.op->name() == "matmul") {
      const auto [few, other] = factors(eq, summed);
      want_terms(few, summed);
      want_rows(other, summed);
    } else {
      for (const int v : eq.in)
        if (summed >= 0 && few_[at(v)] == summed)
          want_terms(v, summed);
        else
          want(v, kAll);
    }
  }
  // Whether equation e can give rows d alone: their indices are there before.
  bool narrows(size_t e, int d) {
    const Graph::Equation& eq = g_.equations()[e];
    if (makers_.number(rows(d).index) >= static_cast<int>(e)) return false;
    return eq.op->name() == "csr_matmul" || is_row_by_row(e, rows(d).length);
  }
  void want_all(const std::vector<int>& values) {
    for (const int v : values) want(v, kAll);
  }
  void want_operands(size_t e, int d) {
    const Graph::Equation& eq = g_.equations()[e];
    for (size_t i = 0; i < eq.in.size(); ++i) {
      if (axes_[e][i] != 0)
        want(eq.in[i], kAll);
      else if (few_[at(eq.out[0])] >= 0)
        want_terms(eq.in[i], d);
      else
        want_rows(eq.in[i], d);
    }
  }

  // ---- the new graph -------------------------------------------------------------------------------------
  Array index(int d, const Arrays& values) const { return values[at(rows(d).index)]; }
  Shape with_few(int v, int d) const { return with_rows(value(v).shape, 0, rows(d).count); }
  // Rows d of a value, by index.
  Array rows_of(int v, int d, const Arrays& values) const {
    if (const Array& a = constants_[at(v)]; a.defined() && a.strides()[0] == 0)
      return broadcast_to(a.viewed(cpu::range(a.view(), 0, 0, 1)), with_few(v, d));
    return makers_.number(v) >= 0 && wanted_[at(v)] == d
               ? values[at(v)]
               : gather_rows(values[at(v)], index(d, values), rows(d).rule);
  }
  // What was added in rows d, or rows d of what is not zero elsewhere.
  Array terms_of(int v, int d, const Arrays& values) const {
    return few_[at(v)] == d ? added_[at(v)] : rows_of(v, d, values);
  }
  Array of_few(size_t e, const Arrays& values) {
    const Graph::Equation& eq = g_.equations()[e];
    const int v = eq.out[0], d = few_[at(v)];
    if (wanted_[at(v)] == kNobody) return {};
    if (rows_taken(eq, "scatter_add") >= 0) {
      added_[at(v)] = values[at(eq.in[0])];
    } else {
      Arrays x;
      for (size_t i = 0; i < eq.in.size(); ++i)
        x.push_back(axes_[e][i] == 0 ? terms_of(eq.in[i], d, values) : values[at(eq.in[i])]);
      added_[at(v)] = applied_on_rows(eq.op, std::move(x), with_few(v, d));
    }
    return wanted_[at(v)] == kAll
               ? scatter_add_rows(added_[at(v)], index(d, values), rows(d).length, rows(d).rule)
               : Array();
  }
  Array of_wanted(size_t e, const Arrays& values) const {
    const Graph::Equation& eq = g_.equations()[e];
    const int d = wanted_[at(eq.out[0])];
    Arrays x;
    if (eq.op->name() == "csr_matmul") {
      for (const size_t i : {0, 1, 2, 3, 4}) x.push_back(values[at(eq.in[i])]);
      x.insert(x.begin() + 2, index(d, values));
      return apply1(make_op<RowsOfProduct>(rows(d).rule), std::move(x));
    }
    for (size_t i = 0; i < eq.in.size(); ++i)
      x.push_back(axes_[e][i] == 0 ? rows_of(eq.in[i], d, values) : values[at(eq.in[i])]);
    return applied_on_rows(eq.op, std::move(x), with_few(eq.out[0], d));
  }
  Array of_sum(const Graph::Equation& eq, int d, const Arrays& values) const {
    if (eq.op->name() == "sum") return apply1(eq.op, {added_[at(eq.in[0])]});
    if (eq.op->name() == "matmul") {
      const auto [few, other] = factors(eq, d);
      const Array terms = added_[at(few)], rest = rows_of(other, d, values);
      return few == eq.in[1] ? matmul(transpose(rest), terms) : matmul(transpose(terms), rest);
    }
    Arrays x{values[at(eq.in[0])], added_[at(eq.in[1])], index(d, values)};
    for (const size_t i : {5, 6, 7}) x.push_back(values[at(eq.in[i])]);
    return apply1(make_op<ProductOfRows>(rows(d).rule, value(eq.out[0]).shape[0]), std::move(x));
  }

  const Graph& g_;
  Makers makers_;
  Arrays constants_;  // by value
  std::vector<Rows> rows_;
  std::vector<std::vector<RowAxis>> axes_;  // by equation that works row by row
  std::vector<int> few_, wanted_;           // by value: number of rows
  std::vector<bool> terms_wanted_;          // by value: what was added
  Arrays added_;                            // by value that is zero but for few rows
  RowQuestions questions_;
};

}  // namespace

Ref<const Graph> with_few_rows(const Ref<const Graph>& g) { return rewritten<FewRows>(g); }

}  // namespace hesse
