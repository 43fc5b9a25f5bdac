#include <algorithm>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"

namespace hesse {
namespace {

/// One of several graphs of equal signature. Inputs: an int64 scalar (clamped to the range), then the
/// operands.
class CondOp final : public Op {
 public:
  explicit CondOp(std::vector<Ref<const Graph>> branches) : branches_(std::move(branches)) {}
  std::string_view name() const override { return "cond"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override {
    double most = 0;
    for (const auto& b : branches_) most = std::max(most, b->flops());
    return most;
  }
  Params params() const override {
    Params out;
    for (const auto& b : branches_) out.emplace_back("branch", b);
    return out;
  }
  bool has_effect() const override {
    return std::any_of(branches_.begin(), branches_.end(), [](const auto& b) { return has_effects(*b); });
  }
  Avals infer(std::span<const Aval> x) const override {
    require(x[0].shape.empty() && x[0].dtype == kInt64, "cond: the index is ",
            describe(x[0].shape, x[0].dtype), ", expected an integer or bool scalar");
    const Avals first = branches_[0]->output_avals();
    for (size_t b = 1; b < branches_.size(); ++b) {
      const Avals other = branches_[b]->output_avals();
      require(other.size() == first.size(), "cond: branch 0 returns ", first.size(), " arrays, branch ", b,
              " returns ", other.size(), "; branches return equally many arrays");
      for (size_t k = 0; k < first.size(); ++k)
        require(other[k] == first[k], "cond: output ", k, " is ", describe(first[k].shape, first[k].dtype),
                " in branch 0 and ", describe(other[k].shape, other[k].dtype), " in branch ", b,
                "; branches return the same shapes and dtypes: broadcast or convert one with astype");
    }
    return first;
  }
  Arrays eval(std::span<const Array> x) const override {
    Arrays in(x.begin(), x.end());
    return eval_owned(in);
  }
  Arrays eval_owned(Arrays& x) const override {
    const int64_t i =
        std::clamp<int64_t>(x[0].item<int64_t>(), 0, static_cast<int64_t>(branches_.size()) - 1);
    return branches_[static_cast<size_t>(i)]->run_owned(
        {std::make_move_iterator(x.begin() + 1), std::make_move_iterator(x.end())});
  }

  // The tangents present in any branch are given by all.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    std::vector<bool> marked, any(y.size(), false);
    Arrays in(x.begin(), x.end());
    for (size_t i = 1; i < x.size(); ++i) {
      marked.push_back(dx[i].has_value());
      if (dx[i]) in.push_back(*dx[i]);
    }
    const auto tangents = [&](const std::vector<bool>& force) {
      std::vector<Ref<const Graph>> out;
      for (const auto& b : branches_) {
        const DerivedGraph d = derivatives().jvp(*b, marked, force, false);
        for (size_t k = 0; k < any.size(); ++k) any[k] = any[k] || d.present[k];
        out.push_back(d.graph);
      }
      return out;
    };
    (void)tangents({});
    return spread(hesse::apply(make_op<CondOp>(tangents(any)), in), any);
  }

  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    std::vector<bool> marked, want(wanted.begin() + 1, wanted.end()), any(x.size() - 1, false);
    Arrays in(x.begin(), x.end());
    for (size_t k = 0; k < y.size(); ++k) {
      marked.push_back(ct[k].has_value());
      if (ct[k]) in.push_back(*ct[k]);
    }
    const auto cotangents = [&](const std::vector<bool>& force) {
      std::vector<Ref<const Graph>> out;
      for (const auto& b : branches_) {
        const DerivedGraph d = derivatives().vjp(*b, marked, want, force);
        for (size_t k = 0; k < any.size(); ++k) any[k] = any[k] || d.present[k];
        out.push_back(d.graph);
      }
      return out;
    };
    (void)cotangents({});
    MaybeArrays out = spread(hesse::apply(make_op<CondOp>(cotangents(any)), in), any);
    out.insert(out.begin(), std::nullopt);
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    if (marked[0]) return false;
    const std::vector<bool> rest(marked.begin() + 1, marked.end());
    return std::all_of(branches_.begin(), branches_.end(),
                       [&](const auto& b) { return is_linear(*b, rest); });
  }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    if (marked[0]) return {};
    std::vector<bool> out(static_cast<size_t>(branches_[0]->num_outputs()), false);
    for (const auto& b : branches_) {
      const std::vector<bool> of = outputs_that_depend(*b, {marked.begin() + 1, marked.end()});
      for (size_t k = 0; k < out.size(); ++k) out[k] = out[k] || of[k];
    }
    return out;
  }
  bool reads_output(int) const override { return false; }

 private:
  static MaybeArrays spread(const Arrays& values, const std::vector<bool>& present) {
    MaybeArrays out(present.size());
    for (size_t k = 0, j = 0; k < present.size(); ++k)
      if (present[k]) out[k] = values[j++];
    return out;
  }
  std::vector<Ref<const Graph>> branches_;
};

}  // namespace

Arrays switch_(const Array& index, const std::vector<Fn>& branches, const Arrays& operands) {
  require(!branches.empty(), "switch: needs at least one branch");
  require(index.ndim() == 0, "switch: the index has shape ", index.shape(),
          ", expected a scalar; for one choice per entry use where");
  require<TypeError>(is_integer(index.dtype()) || is_bool(index.dtype()), "switch: the index has dtype ",
                     index.dtype(), ", expected an integer or bool; convert it with astype");
  Avals avals;
  for (const Array& a : operands) avals.push_back(aval(a));
  std::vector<Traced> traced;
  for (const Fn& f : branches) traced.push_back(trace(f, avals, true));
  // Every branch takes the operands and then the captures of all branches.
  Arrays in{astype(index, kInt64)};
  in.insert(in.end(), operands.begin(), operands.end());
  Avals all = avals;
  for (const Traced& t : traced)
    for (const Array& c : t.captures) {
      in.push_back(c);
      all.push_back(aval(c));
    }
  std::vector<Ref<const Graph>> graphs;
  size_t offset = operands.size();
  for (const Traced& t : traced) {
    std::vector<int> from(all.size(), -1), of;
    for (size_t i = 0; i < operands.size(); ++i) from[i] = static_cast<int>(i);
    for (size_t c = 0; c < t.captures.size(); ++c) from[offset + c] = static_cast<int>(operands.size() + c);
    offset += t.captures.size();
    for (int k = 0; k < t.graph->num_outputs(); ++k) of.push_back(k);
    graphs.push_back(permuted(t.graph, from, all, of));
  }
  const OpRef op = make_op<CondOp>(std::move(graphs));
  Avals of_inputs{{Shape{}, kInt64}};
  of_inputs.insert(of_inputs.end(), all.begin(), all.end());
  (void)op->infer(of_inputs);  // eval runs one branch; that they agree is said here
  return hesse::apply(op, in);
}

Arrays cond(const Array& predicate, const Fn& if_true, const Fn& if_false, const Arrays& operands) {
  require<TypeError>(is_bool(predicate.dtype()), "cond: the predicate has dtype ", predicate.dtype(),
                     ", expected bool; compare first");
  return switch_(predicate, {if_false, if_true}, operands);
}

OpFamily families::conditionals() {
  return {{"cond", [](const ReadParams& p) { return make_op<CondOp>(p.graphs("branch")); }}};
}

}  // namespace hesse
