#include <algorithm>

#include "autodiff/autodiff.h"
#include "autodiff/walk.h"
#include "core/derivatives.h"
#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/program/unroll.h"

/// Functions with a user's derivative. Both linearise to one opaque linear node, which holds residuals,
/// `apply` (J) and its transpose (J^T): reverse mode runs the user's backward function exactly, forward mode
/// its transpose.
namespace hesse {
namespace {

/// y = apply(residuals, x), linear in x. Its transpose is the same op with `apply_transpose`.
class LinearCallOp final : public Op, public Expands {
 public:
  LinearCallOp(Ref<const Graph> apply, Ref<const Graph> apply_transpose, int num_residuals, std::string name)
      : apply_(std::move(apply)),
        transpose_(std::move(apply_transpose)),
        nr_(static_cast<size_t>(num_residuals)),
        name_(std::move(name)) {}
  std::string_view name() const override { return "linear_call"; }
  Params params() const override {
    Params p{{"num_residuals", static_cast<int64_t>(nr_)}, {"name", name_}};
    if (apply_) p.emplace_back("apply", apply_);
    if (transpose_) p.emplace_back("transpose", transpose_);
    return p;
  }
  Avals infer(std::span<const Aval>) const override {
    if (apply_) return apply_->output_avals();
    const Avals in = transpose_->output_avals();
    const Avals all = transpose_->input_avals();
    (void)in;
    return {all.begin() + static_cast<int64_t>(nr_), all.end()};
  }
  Arrays eval(std::span<const Array> x) const override { return forward()->run(x); }
  Arrays expanded(std::span<const Array> x) const override { return forward()->call(x); }

  // Linear in x; in the residuals as the graph of apply says.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const Ref<const Graph> g = forward();
    MaybeArrays dy(y.size());
    std::vector<bool> marked(x.size(), false);
    bool residuals = false;
    for (size_t i = 0; i < nr_; ++i) residuals = (marked[i] = dx[i].has_value()) || residuals;
    if (residuals) {
      const DerivedGraph d = derivatives().jvp(*g, marked, {}, false);
      Arrays in(x.begin(), x.end());
      for (size_t i = 0; i < nr_; ++i)
        if (dx[i]) in.push_back(*dx[i]);
      const Arrays out = d.graph->call(in);
      for (size_t k = 0, j = 0; k < y.size(); ++k)
        if (d.present[k]) dy[k] = out[j++];
    }
    bool linear = false;
    Arrays in(x.begin(), x.begin() + static_cast<int64_t>(nr_));
    for (size_t i = nr_; i < x.size(); ++i) {
      linear = linear || dx[i];
      in.push_back(dx[i] ? *dx[i] : broadcast_to(astype(Array(0.0), x[i].dtype()), x[i].shape()));
    }
    if (linear) {
      const Arrays out = hesse::apply(OpRef(this), in);
      for (size_t k = 0; k < y.size(); ++k) dy[k] = dy[k] ? add(*dy[k], out[k]) : out[k];
    }
    return dy;
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    MaybeArrays out(x.size());
    Arrays full(x.begin(), x.begin() + static_cast<int64_t>(nr_));
    for (size_t k = 0; k < y.size(); ++k)
      full.push_back(ct[k] ? *ct[k] : broadcast_to(astype(Array(0.0), y[k].dtype()), y[k].shape()));
    bool linear = false, residuals = false;
    for (size_t i = 0; i < x.size(); ++i) (i < nr_ ? residuals : linear) |= wanted[i];
    if (linear) {
      const Arrays g =
          hesse::apply(make_op<LinearCallOp>(transpose_, apply_, static_cast<int>(nr_), name_), full);
      for (size_t i = nr_; i < x.size(); ++i)
        if (wanted[i]) out[i] = g[i - nr_];
    }
    if (residuals) {
      std::vector<bool> marked, want(x.size(), false);
      Arrays in(x.begin(), x.end());
      for (const MaybeArray& c : ct) {
        marked.push_back(c.has_value());
        if (c) in.push_back(*c);
      }
      for (size_t i = 0; i < nr_; ++i) want[i] = wanted[i];
      const DerivedGraph d = derivatives().vjp(*forward(), marked, want, {});
      const Arrays g = d.graph->call(in);
      for (size_t i = 0, j = 0; i < x.size(); ++i)
        if (d.present[i]) out[i] = g[j++];
    }
    return out;
  }
  bool is_linear_in(const std::vector<bool>& marked) const override {
    for (size_t i = 0; i < nr_; ++i)
      if (marked[i]) return false;
    return true;
  }
  bool reads_output(int) const override { return false; }

 private:
  // The graph of J; where only J^T was given, its transpose.
  Ref<const Graph> forward() const {
    if (apply_) return apply_;
    std::vector<bool> linear(static_cast<size_t>(transpose_->num_inputs()), false);
    for (size_t i = nr_; i < linear.size(); ++i) linear[i] = true;
    return derivatives().transpose(*transpose_, linear);
  }
  Ref<const Graph> apply_, transpose_;
  size_t nr_;
  std::string name_;
};

/// y = primal(x), with the user's rule. Inputs: the arguments, then what the functions captured, which cannot
/// be differentiated: the rule says nothing about it.
class CustomOp final : public Op, public Expands {
 public:
  enum class Rule { Jvp, Vjp };
  CustomOp(Rule rule, Ref<const Graph> primal, Ref<const Graph> forward, Ref<const Graph> backward,
           int num_args, int num_primal_captures, int num_forward_captures)
      : rule_(rule),
        primal_(std::move(primal)),
        forward_(std::move(forward)),
        backward_(std::move(backward)),
        na_(static_cast<size_t>(num_args)),
        np_(static_cast<size_t>(num_primal_captures)),
        nf_(static_cast<size_t>(num_forward_captures)) {}
  std::string_view name() const override { return rule_ == Rule::Jvp ? "custom_jvp" : "custom_vjp"; }
  Params params() const override {
    Params p{{"num_args", static_cast<int64_t>(na_)},
             {"num_primal_captures", static_cast<int64_t>(np_)},
             {"num_forward_captures", static_cast<int64_t>(nf_)},
             {"primal", primal_},
             {"forward", forward_}};
    if (backward_) p.emplace_back("backward", backward_);
    return p;
  }
  Avals infer(std::span<const Aval>) const override { return primal_->output_avals(); }
  Arrays eval(std::span<const Array> x) const override { return primal_->run(x.first(na_ + np_)); }
  Arrays expanded(std::span<const Array> x) const override { return primal_->call(x.first(na_ + np_)); }

  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    for (size_t i = na_; i < x.size(); ++i)
      require(!dx[i], name(), ": the functions use an outside array ", describe(x[i]),
              " that is being differentiated; pass it as an argument");
    const Arrays args(x.begin(), x.begin() + static_cast<int64_t>(na_));
    const Arrays captured(x.begin() + static_cast<int64_t>(na_ + np_),
                          x.begin() + static_cast<int64_t>(na_ + np_ + nf_));
    MaybeArrays dy(y.size());
    Arrays in = args, tangents;
    for (size_t i = 0; i < na_; ++i)
      if (is_inexact(x[i].dtype()))
        tangents.push_back(dx[i] ? *dx[i] : broadcast_to(astype(Array(0.0), x[i].dtype()), x[i].shape()));
    if (rule_ == Rule::Jvp) {
      in.insert(in.end(), tangents.begin(), tangents.end());
      in.insert(in.end(), captured.begin(), captured.end());
      const Arrays out = forward_->call(in);
      for (size_t k = 0, j = 0; k < y.size(); ++k)
        if (is_inexact(y[k].dtype())) dy[k] = out[j++];
      return dy;
    }
    in.insert(in.end(), captured.begin(), captured.end());
    const Arrays all = forward_->call(in);
    Arrays residuals(all.begin() + static_cast<int64_t>(y.size()), all.end());
    residuals.insert(residuals.end(), x.begin() + static_cast<int64_t>(na_ + np_ + nf_), x.end());
    const auto nr = static_cast<int>(residuals.size());
    residuals.insert(residuals.end(), tangents.begin(), tangents.end());
    const Arrays out = hesse::apply(
        make_op<LinearCallOp>(Ref<const Graph>(), backward_, nr, std::string("custom_vjp")), residuals);
    for (size_t k = 0, j = 0; k < y.size(); ++k)
      if (is_inexact(y[k].dtype())) dy[k] = out[j++];
    return dy;
  }
  // Linear where the function is, and its rule is the same everywhere: what it returns must not depend on the
  // values of the arguments marked, only on their tangents (or the cotangents).
  bool is_linear_in(const std::vector<bool>& marked) const override {
    const auto at = [&](size_t i) { return marked.begin() + static_cast<int64_t>(i); };
    if (std::find(at(na_), marked.end(), true) != marked.end()) return false;  // a capture: no rule for it
    std::vector<bool> args(at(0), at(na_)), of_primal = args, of_forward = args;
    of_primal.resize(static_cast<size_t>(primal_->num_inputs()), false);
    of_forward.resize(static_cast<size_t>(forward_->num_inputs()), false);
    if (!is_linear(*primal_, of_primal)) return false;
    std::vector<bool> out = outputs_that_depend(*forward_, of_forward);
    if (rule_ == Rule::Vjp) {  // residuals follow the outputs
      out.erase(out.begin(), out.begin() + primal_->num_outputs());
      out.resize(static_cast<size_t>(backward_->num_inputs()), false);
      out = outputs_that_depend(*backward_, out);
    }
    return std::find(out.begin(), out.end(), true) == out.end();
  }
  bool reads_output(int) const override { return false; }

 private:
  Rule rule_;
  Ref<const Graph> primal_, forward_, backward_;
  size_t na_, np_, nf_;
};

Avals avals_of(const Arrays& xs) {
  Avals out;
  for (const Array& a : xs) out.push_back(aval(a));
  return out;
}

}  // namespace

Arrays custom_jvp(const Fn& f, const Fn& rule, const Arrays& args) {
  const Avals avals = avals_of(args);
  const Traced primal = trace(f, avals, false);
  Avals with_tangents = avals;
  for (const Aval& a : avals)
    if (is_inexact(a.dtype)) with_tangents.push_back(a);
  const Traced r = trace(rule, with_tangents, false);
  size_t inexact_outputs = 0;
  for (const Aval& a : primal.graph->output_avals()) {
    if (!is_inexact(a.dtype)) continue;
    require(inexact_outputs < static_cast<size_t>(r.graph->num_outputs()) &&
                r.graph->output_aval(static_cast<int>(inexact_outputs)) == a,
            "custom_jvp: the rule's tangent ", inexact_outputs, " should be ", describe(a.shape, a.dtype),
            inexact_outputs < static_cast<size_t>(r.graph->num_outputs())
                ? concat(", it is ", describe(r.graph->output_aval(static_cast<int>(inexact_outputs)).shape,
                                              r.graph->output_aval(static_cast<int>(inexact_outputs)).dtype))
                : std::string(", it is missing"));
    ++inexact_outputs;
  }
  Arrays in = args;
  in.insert(in.end(), primal.captures.begin(), primal.captures.end());
  in.insert(in.end(), r.captures.begin(), r.captures.end());
  return hesse::apply(
      make_op<CustomOp>(CustomOp::Rule::Jvp, primal.graph, r.graph, Ref<const Graph>(),
                        static_cast<int>(args.size()), static_cast<int>(primal.captures.size()),
                        static_cast<int>(r.captures.size())),
      in);
}

Arrays custom_vjp(const Fn& f, const Fn& forward, const Fn& backward, const Arrays& args) {
  const Avals avals = avals_of(args);
  const Traced primal = trace(f, avals, false);
  const Traced fwd = trace(forward, avals, false);
  const Avals y = primal.graph->output_avals(), all = fwd.graph->output_avals();
  require(all.size() >= y.size(), "custom_vjp: forward returns ", all.size(), " arrays, fewer than the ",
          y.size(), " outputs");
  for (size_t k = 0; k < y.size(); ++k)
    require(all[k] == y[k], "custom_vjp: output ", k, " is ", describe(y[k].shape, y[k].dtype),
            " but forward returns ", describe(all[k].shape, all[k].dtype));
  Avals back(all.begin() + static_cast<int64_t>(y.size()), all.end());
  const size_t num_residuals = back.size();
  for (const Aval& a : y)
    if (is_inexact(a.dtype)) back.push_back(a);
  const Traced bwd = trace(backward, back, false);
  Avals inexact_args;
  for (const Aval& a : avals)
    if (is_inexact(a.dtype)) inexact_args.push_back(a);
  require(bwd.graph->output_avals().size() == inexact_args.size(), "custom_vjp: backward returns ",
          bwd.graph->num_outputs(), " cotangents for ", inexact_args.size(), " floating argument(s)");
  for (size_t i = 0; i < inexact_args.size(); ++i) {
    const Aval got = bwd.graph->output_aval(static_cast<int>(i));
    require(got == inexact_args[i], "custom_vjp: cotangent ", i, " is ", describe(got.shape, got.dtype),
            ", expected ", describe(inexact_args[i].shape, inexact_args[i].dtype));
  }
  // Captures of backward are residuals: residuals first, cotangents last.
  const Ref<const Graph> g = trace_closed(
      [&](std::span<const Array> a) {
        const size_t nc = bwd.captures.size(), ny = back.size() - num_residuals;
        Arrays in(a.begin(), a.begin() + static_cast<int64_t>(num_residuals));
        in.insert(in.end(), a.begin() + static_cast<int64_t>(num_residuals + nc),
                  a.begin() + static_cast<int64_t>(num_residuals + nc + ny));
        in.insert(in.end(), a.begin() + static_cast<int64_t>(num_residuals),
                  a.begin() + static_cast<int64_t>(num_residuals + nc));
        return bwd.graph->call(in);
      },
      [&] {
        Avals v(back.begin(), back.begin() + static_cast<int64_t>(num_residuals));
        for (const Array& c : bwd.captures) v.push_back(aval(c));
        v.insert(v.end(), back.begin() + static_cast<int64_t>(num_residuals), back.end());
        return v;
      }());
  Arrays in = args;
  for (const Traced* t : {&primal, &fwd, &bwd}) in.insert(in.end(), t->captures.begin(), t->captures.end());
  return hesse::apply(
      make_op<CustomOp>(CustomOp::Rule::Vjp, primal.graph, fwd.graph, g, static_cast<int>(args.size()),
                        static_cast<int>(primal.captures.size()), static_cast<int>(fwd.captures.size())),
      in);
}

OpFamily custom_ops() {
  const auto graph = [](const ReadParams& p, const char* key) {
    return p.has(key) ? Ref<const Graph>(p[key]) : Ref<const Graph>();
  };
  const auto custom = [graph](CustomOp::Rule rule) {
    return [graph, rule](const ReadParams& p) {
      return make_op<CustomOp>(rule, p["primal"], p["forward"], graph(p, "backward"), p["num_args"],
                               p["num_primal_captures"], p["num_forward_captures"]);
    };
  };
  return {{"custom_jvp", custom(CustomOp::Rule::Jvp)},
          {"custom_vjp", custom(CustomOp::Rule::Vjp)},
          {"linear_call", [graph](const ReadParams& p) {
             return make_op<LinearCallOp>(graph(p, "apply"), graph(p, "transpose"), p["num_residuals"],
                                          p["name"]);
           }}};
}

}  // namespace hesse
