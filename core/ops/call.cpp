#include <map>
#include <mutex>

#include "core/cpu/subnormals.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/program/prepared.h"

namespace hesse {
namespace {

/// A graph as one equation: what it computes inside is not kept for derivatives but run again.
class CallOp final : public Op {
 public:
  explicit CallOp(Ref<const Graph> body) : body_(std::move(body)), prepared_(body_) {}
  std::string_view name() const override { return "call"; }
  Params params() const override { return {{"body", body_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require(static_cast<int>(x.size()) == body_->num_inputs(), "call: ", x.size(), " arguments for ",
            body_->num_inputs(), " inputs");
    for (size_t i = 0; i < x.size(); ++i) {
      const Aval& want = body_->input_aval(static_cast<int>(i));
      require(x[i] == want, "call: argument ", i, " is ", describe(x[i].shape, x[i].dtype), ", expected ",
              describe(want.shape, want.dtype));
    }
    return body_->output_avals();
  }
  Arrays eval(std::span<const Array> x) const override {
    Arrays in(x.begin(), x.end());
    return eval_owned(in);
  }
  Arrays eval_owned(Arrays& x) const override {
    const Graph& program = prepared_.program();
    const cpu::FlushSubnormals scope;
    return program.run_owned(std::move(x));
  }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    std::vector<bool> marked;
    Arrays in(x.begin(), x.end());
    for (const MaybeArray& t : dx) {
      marked.push_back(t.has_value());
      if (t) in.push_back(*t);
    }
    const Derived& d = derived(
        {marked, {}}, [&] { return derivatives().jvp(*body_, marked, {}, false); }, jvps_);
    return spread(hesse::apply(d.op, in), d.present, y.size());
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    std::vector<bool> marked;
    Arrays in(x.begin(), x.end());
    for (const MaybeArray& t : ct) {
      marked.push_back(t.has_value());
      if (t) in.push_back(*t);
    }
    const Derived& d = derived(
        {marked, wanted}, [&] { return derivatives().vjp(*body_, marked, wanted, {}); }, vjps_);
    return spread(hesse::apply(d.op, in), d.present, x.size());
  }
  bool is_linear_in(const std::vector<bool>& marked) const override { return is_linear(*body_, marked); }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    return outputs_that_depend(*body_, marked);
  }
  bool reads_output(int) const override { return false; }

 private:
  static MaybeArrays spread(const Arrays& values, const std::vector<bool>& present, size_t n) {
    MaybeArrays out(n);
    for (size_t k = 0, j = 0; k < n; ++k)
      if (present[k]) out[k] = values[j++];
    return out;
  }
  /// A derivative of the call, as a call: made once for what is differentiated.
  struct Derived {
    OpRef op;
    std::vector<bool> present;
  };
  using Marks = std::pair<std::vector<bool>, std::vector<bool>>;
  using Known = std::map<Marks, Derived>;
  template <class Make>
  const Derived& derived(const Marks& marks, Make make, Known& known) const {
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = known.find(marks); it != known.end()) return it->second;
    }
    DerivedGraph d = make();  // unlocked: a rule of the user's may wait for another thread
    const OpRef op = make_op<CallOp>(d.graph);
    const std::lock_guard lock(mutex_);
    return known.emplace(marks, Derived{op, std::move(d.present)}).first->second;
  }

  Ref<const Graph> body_;
  Prepared prepared_;
  mutable std::mutex mutex_;
  mutable Known jvps_, vjps_;
};

/// Foreign code on data.
class CallbackOp final : public Op {
 public:
  CallbackOp(Fn fn, Avals outputs, std::string name)
      : fn_(std::move(fn)), outputs_(std::move(outputs)), name_(std::move(name)) {}
  std::string_view name() const override { return "callback"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override { return 0; }
  Params params() const override { return {{"name", name_}}; }
  Avals infer(std::span<const Aval>) const override { return outputs_; }
  Arrays eval(std::span<const Array> x) const override {
    const cpu::FlushSubnormals scope(false);  // foreign code finds numbers as it knows them
    Arrays y = fn_(x);
    require(y.size() == outputs_.size(), name_, ": returned ", y.size(), " arrays, ", outputs_.size(),
            " were stated");
    for (size_t k = 0; k < y.size(); ++k)
      require(aval(y[k]) == outputs_[k], name_, ": output ", k, " is ", describe(y[k]), ", stated was ",
              describe(outputs_[k].shape, outputs_[k].dtype));
    return y;
  }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array> y,
                  std::span<const MaybeArray>) const override {
    for (const Array& a : y)
      require<TypeError>(!is_inexact(a.dtype()), name_,
                         ": foreign code has no derivative; wrap it with custom_jvp or custom_vjp, "
                         "or pass stop_gradient of its arguments");
    return MaybeArrays(y.size());
  }
  bool is_linear_in(const std::vector<bool>&) const override { return false; }
  bool has_effect() const override { return true; }
  bool reads_input(int) const override { return false; }
  bool reads_output(int) const override { return false; }

 private:
  Fn fn_;
  Avals outputs_;
  std::string name_;
};

}  // namespace

Arrays checkpoint(const Fn& f, const Arrays& args) {
  Avals avals;
  for (const Array& a : args) avals.push_back(aval(a));
  const Traced t = trace(f, avals, false);
  Arrays in = args;
  in.insert(in.end(), t.captures.begin(), t.captures.end());
  return hesse::apply(make_op<CallOp>(t.graph), in);
}

Arrays callback(const Fn& fn, const Avals& outputs, const Arrays& args, const std::string& name) {
  return hesse::apply(make_op<CallbackOp>(fn, outputs, name), args);
}

Compiled compile(const Fn& f, const Avals& args) {
  const Traced t = trace(f, args, true);
  return {t.graph, t.captures, make_op<CallOp>(t.graph)};
}

Compiled compile(const Ref<const Graph>& g) { return {g, {}, make_op<CallOp>(g)}; }

Ref<const Graph> Compiled::program() const { return planned(graph); }

Arrays Compiled::donating(Arrays args) const {
  args.insert(args.end(), captures.begin(), captures.end());
  return apply_owned(op, std::move(args));
}

Arrays Compiled::operator()(std::span<const Array> args) const {
  Arrays in(args.begin(), args.end());
  in.insert(in.end(), captures.begin(), captures.end());
  return hesse::apply(op, in);
}

OpFamily families::calls() { return {listed<CallOp>("call", "body")}; }

}  // namespace hesse
