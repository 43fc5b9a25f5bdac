#include <algorithm>

#include "core/cpu/assign.h"
#include "core/debug.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/ops/loop.h"
#include "core/program/lane_loop.h"
#include "core/program/prepared.h"

namespace hesse {
namespace {

/// Rows of equal shape whose number is known only when the loop ends; grows by doubling.
class Stack {
 public:
  explicit Stack(const Array& like) : row_(aval(like)) {}
  void push(const Array& a) {
    if (count_ == capacity_) grow();
    cpu::assign(a.view(), cpu::at(rows_.view(), 0, count_++));
  }
  Array take() const {
    if (count_ == 0) return Array::uninitialized(shape(0), row_.dtype);
    return rows_.viewed(cpu::range(rows_.view(), 0, 0, count_));
  }

 private:
  Shape shape(int64_t n) const {
    Shape s = row_.shape;
    s.insert(0, n);
    return s;
  }
  void grow() {
    capacity_ = std::max<int64_t>(8, 2 * capacity_);
    const Array fresh = Array::uninitialized(shape(capacity_), row_.dtype);
    if (count_) cpu::assign(cpu::range(rows_.view(), 0, 0, count_), cpu::range(fresh.view(), 0, 0, count_));
    rows_ = fresh;
  }
  Aval row_;
  Array rows_;
  int64_t count_ = 0, capacity_ = 0;
};

/// The same for n examples.
Array for_each(int64_t n, const Array& a) {
  Shape shape = a.shape();
  shape.insert(0, n);
  return broadcast_to(a, shape);
}

/// carry = body(carry) while cond(carry). Inputs: carry, consts of cond, consts of body. Outputs: the last
/// carries and, with `save`, stacks of the carries that entered each step: their common length is known at
/// run time only.
class WhileOp final : public Op, public Loop {
 public:
  WhileOp(Ref<const Graph> cond, Ref<const Graph> body, int num_carry, int num_cond_consts, bool save,
          bool in_program = false, OpRef primal = nullptr)
      : cond_(std::move(cond)),
        body_(std::move(body)),
        prepared_cond_(cond_),
        prepared_body_(body_),
        nc_(static_cast<size_t>(num_carry)),
        nk_(static_cast<size_t>(num_cond_consts)),
        save_(save),
        in_program_(in_program),
        primal_(std::move(primal)) {}
  std::string_view name() const override { return "while_loop"; }
  LoopParts parts() const override {
    return {.cond = cond_, .body = body_, .num_carry = nc_, .num_cond_consts = nk_, .save = save_};
  }
  bool has_effect() const override { return has_effects(*body_) || has_effects(*cond_); }
  OpRef prepared() const override {
    return in_program_ ? OpRef()
                       : make_op<WhileOp>(cond_, body_, static_cast<int>(nc_), static_cast<int>(nk_), save_,
                                          true, primal_);
  }
  bool is_saved_by(const Op& other) const override {
    const auto* w = dynamic_cast<const WhileOp*>(&other);
    return w && !save_ && w->save_ && nc_ == w->nc_ && nk_ == w->nk_ && cond_->equals(*w->cond_) &&
           body_->equals(*w->body_);
  }
  Primal primal_in(const Op& other) const override {
    const auto* w = dynamic_cast<const WhileOp*>(primal_.get());
    if (save_ || w == nullptr || !primal_->equals(other)) return {};
    // Carries, their tangents, consts of cond, consts of the body, their tangents.
    const auto nc = static_cast<int>(w->nc_);
    Primal out;
    for (int i = 0; i < w->cond_->num_inputs() + w->body_->num_inputs() - nc; ++i) {
      out.operands.push_back(i < nc ? i : i - nc + static_cast<int>(nc_));
      if (i < nc) out.results.push_back(i);
    }
    return out;
  }
  bool steps_together(const std::vector<bool>& varies) const override {
    return !save_ && !has_effect() && !counts_by(varies, body_marks(varies));
  }
  SharedWork shared_work(const std::vector<bool>& varies) const override {
    return hesse::shared_work(*expanded(body_), body_marks(varies));
  }
  std::optional<Results> for_examples(int64_t n, std::span<const Array> x,
                                      const std::vector<bool>& varies) const override {
    const std::vector<bool> marks = body_marks(varies);
    const std::vector<bool> carry(marks.begin(), marks.begin() + static_cast<int64_t>(nc_));
    const auto body = hesse::for_examples(*expanded(body_), n, marks, carry);
    if (!body) return std::nullopt;
    Arrays in(x.begin(), x.end());
    Avals avals;
    for (size_t i = 0; i < nc_; ++i)
      if (carry[i] && !varies[i]) in[i] = for_each(n, in[i]);
    for (size_t i = 0; i < nc_ + nk_; ++i) avals.push_back(aval(in[i]));
    // What differs between examples is not read.
    const Ref<const Graph> cond = trace_closed(
        [&](std::span<const Array> c) {
          Arrays one(c.begin(), c.end());
          for (size_t i = 0; i < nc_; ++i)
            if (carry[i]) one[i] = zeros_of(cond_->input_aval(static_cast<int>(i)));
          return cond_->call(one);
        },
        avals);
    return Results{hesse::apply(make_op<WhileOp>(cond, body->graph, static_cast<int>(nc_),
                                                 static_cast<int>(nk_), false, false, primal_),
                                in),
                   carry};
  }
  Params params() const override {
    return {{"num_carry", static_cast<int64_t>(nc_)},
            {"num_cond_consts", static_cast<int64_t>(nk_)},
            {"save", save_},
            {"cond", cond_},
            {"body", body_}};
  }

  Avals infer(std::span<const Aval> x) const override {
    require(cond_->num_outputs() == 1 && cond_->output_aval(0).shape.empty() &&
                is_bool(cond_->output_aval(0).dtype),
            "while_loop: cond must return one bool scalar",
            cond_->num_outputs()
                ? concat(", it returns ", describe(cond_->output_aval(0).shape, cond_->output_aval(0).dtype),
                         "; compare, and reduce with all or any")
                : "");
    require(body_->num_outputs() == static_cast<int>(nc_), "while_loop: the body returns ",
            body_->num_outputs(), " arrays for ", nc_, " carries");
    Avals out;
    for (size_t i = 0; i < nc_; ++i) {
      const Aval got = body_->output_aval(static_cast<int>(i));
      require(got == x[i], "while_loop: carry ", i, " starts as ", describe(x[i].shape, x[i].dtype),
              " and the body returns ", describe(got.shape, got.dtype),
              "; a carry keeps its shape and dtype: start it so, or convert it in the body with astype");
      out.push_back(x[i]);
    }
    if (save_)
      for (size_t i = 0; i < nc_; ++i) {
        out.push_back(x[i]);
        out.back().shape.insert(0, kDynamic);
      }
    return out;
  }

  Arrays eval(std::span<const Array> x) const override {
    Arrays in(x.begin(), x.end());
    return eval_owned(in);
  }
  Arrays eval_owned(Arrays& x) const override {
    if (in_program_ && !debug_nans())
      if (const LaneLoop* loop = lane_loop(false)) {
        Avals avals;
        for (const Array& a : x) avals.push_back(aval(a));
        return loop->evaluated(x, infer(avals), 0);
      }
    const auto carries = static_cast<int64_t>(nc_), consts = static_cast<int64_t>(nc_ + nk_);
    Arrays carry(std::make_move_iterator(x.begin()), std::make_move_iterator(x.begin() + carries));
    std::vector<Stack> stacks;
    if (save_)
      for (const Array& c : carry) stacks.emplace_back(c);
    const auto goes_on = [&](int64_t step) {
      Arrays in = carry;
      in.insert(in.end(), x.begin() + carries, x.begin() + consts);
      return prepared_cond_.for_step(step, in_program_).run_owned(std::move(in))[0].item<bool>();
    };
    for (int64_t step = 0; goes_on(step); ++step) {
      if (step % 64 == 0) poll_interrupt();
      for (size_t i = 0; i < stacks.size(); ++i) stacks[i].push(carry[i]);
      Arrays in = std::move(carry);  // the step may write where the last one did
      in.insert(in.end(), x.begin() + consts, x.end());
      carry = prepared_body_.for_step(step, in_program_).run_owned(std::move(in));
    }
    for (const Stack& s : stacks) carry.push_back(s.take());
    return carry;
  }

  bool has_lane_kernel() const override { return !save_ && !debug_nans() && lane_loop(true) != nullptr; }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    lane_loop(true)->run(x, out, lane_axes, 0);
  }

  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    std::vector<bool> marked;  // of the body's inputs: carry, body consts
    for (size_t i = 0; i < x.size(); ++i)
      if (i < nc_ || i >= nc_ + nk_) marked.push_back(dx[i].has_value());
    const LoopTangent d = loop_jvp(body_, static_cast<int>(nc_), 0, marked);
    std::copy(d.carry.begin(), d.carry.end(), marked.begin());
    Arrays in;
    Avals cond_avals;
    std::vector<int> from;
    for (size_t i = 0; i < nc_; ++i) {
      in.push_back(x[i]);
      from.push_back(static_cast<int>(i));
    }
    for (size_t i = 0; i < nc_; ++i)
      if (d.carry[i]) {
        in.push_back(dx[i] ? *dx[i] : zeros_of(aval(x[i])));
        from.push_back(-1);
      }
    const auto carries = static_cast<int>(in.size());
    for (size_t i = nc_; i < nc_ + nk_; ++i) {
      in.push_back(x[i]);
      from.push_back(static_cast<int>(i));
    }
    for (const Array& a : in) cond_avals.push_back(aval(a));
    in.insert(in.end(), x.begin() + static_cast<int64_t>(nc_ + nk_), x.end());
    for (size_t i = nc_ + nk_; i < x.size(); ++i)
      if (dx[i]) in.push_back(*dx[i]);
    const Ref<const Graph> cond = permuted(cond_, from, cond_avals, {0});
    const Arrays out = hesse::apply(
        make_op<WhileOp>(cond, d.body, carries, static_cast<int>(nk_), save_, false, OpRef(this)), in);
    MaybeArrays dy(y.size());
    size_t at = nc_;
    for (size_t i = 0; i < nc_; ++i)
      if (d.carry[i]) dy[i] = out[at++];
    if (save_) {
      at += nc_;
      for (size_t i = 0; i < nc_; ++i)
        if (d.carry[i]) dy[nc_ + i] = out[at++];
    }
    return dy;
  }

  // The loop again with its carries on stacks, then a scan over them backwards.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    Arrays all(y.begin(), y.end());
    if (!save_)
      all = hesse::apply(make_op<WhileOp>(cond_, body_, static_cast<int>(nc_), static_cast<int>(nk_), true),
                         Arrays(x.begin(), x.end()));
    const Arrays saved(all.begin() + static_cast<int64_t>(nc_), all.end());
    Arrays in;
    std::vector<bool> want;
    for (size_t i = 0; i < x.size(); ++i)
      if (i < nc_ || i >= nc_ + nk_) {
        in.push_back(x[i]);
        want.push_back(wanted[i]);
      }
    const MaybeArrays g = loop_vjp(body_, static_cast<int>(nc_), 0, kDynamic, false, in, saved, ct, want);
    MaybeArrays out(x.size());
    for (size_t i = 0, j = 0; i < x.size(); ++i)
      if (i < nc_ || i >= nc_ + nk_) out[i] = g[j++];
    return out;
  }

  // Linear where the body is and the number of steps does not depend on what is marked.
  bool is_linear_in(const std::vector<bool>& marked) const override {
    const std::vector<bool> all = body_marks(marked);
    return is_linear(*body_, all) && !counts_by(marked, all);
  }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    const std::vector<bool> all = body_marks(marked);
    if (counts_by(marked, all)) return {};
    std::vector<bool> out(all.begin(), all.begin() + static_cast<int64_t>(nc_));
    if (save_) out.insert(out.end(), all.begin(), all.begin() + static_cast<int64_t>(nc_));
    return out;
  }
  bool reads_output(int k) const override { return save_ && static_cast<size_t>(k) >= nc_; }

 private:
  // Marks of the body's inputs, carries that come to depend on marked ones included.
  std::vector<bool> body_marks(const std::vector<bool>& marked) const {
    std::vector<bool> out(marked.begin(), marked.begin() + static_cast<int64_t>(nc_));
    out.insert(out.end(), marked.begin() + static_cast<int64_t>(nc_ + nk_), marked.end());
    return loop_marks(*body_, static_cast<int>(nc_), std::move(out));
  }
  // Whether the number of steps depends on the inputs marked, where `all` are the body's marks.
  bool counts_by(const std::vector<bool>& marked, const std::vector<bool>& all) const {
    std::vector<bool> in = marked;
    in.resize(nc_ + nk_);
    std::copy(all.begin(), all.begin() + static_cast<int64_t>(nc_), in.begin());
    return outputs_that_depend(*cond_, in)[0];
  }
  // The loop as code for one example, or for lanes of them.
  const LaneLoop* lane_loop(bool in_lanes) const { return lane_loops_.get(parts(), in_lanes); }
  Ref<const Graph> cond_, body_;
  Prepared prepared_cond_, prepared_body_;
  LaneLoops lane_loops_;
  size_t nc_, nk_;
  bool save_;
  bool in_program_;  // not a parameter: results differ in rounding at most
  OpRef primal_;     // not one either: the loop that this is the tangent of, if it is one
};

}  // namespace

OpRef while_op(Ref<const Graph> cond, Ref<const Graph> body, int num_carry, int num_cond_consts, bool save) {
  return make_op<WhileOp>(std::move(cond), std::move(body), num_carry, num_cond_consts, save);
}

Arrays while_loop(const Fn& cond, const Fn& body, const Arrays& carry_in) {
  require(!carry_in.empty(), "while_loop: needs at least one carry");
  Arrays carry = carry_in;
  Traced b;
  Avals avals;
  for (int pass = 0;; ++pass) {
    avals.clear();
    for (const Array& c : carry) avals.push_back(aval(c));
    b = trace(body, avals, true);
    bool again = false;
    for (size_t i = 0; i < carry.size() && i < static_cast<size_t>(b.graph->num_outputs()); ++i) {
      const DType want = b.graph->output_aval(static_cast<int>(i)).dtype;
      if (pass == 0 && carry[i].is_weak() && carry[i].dtype() != want) {
        carry[i] = astype(carry[i], want);
        again = true;
      }
    }
    if (!again) break;
  }
  const Traced c = trace(cond, avals, true);
  Arrays in = carry;
  in.insert(in.end(), c.captures.begin(), c.captures.end());
  in.insert(in.end(), b.captures.begin(), b.captures.end());
  const OpRef op = make_op<WhileOp>(c.graph, b.graph, static_cast<int>(carry.size()),
                                    static_cast<int>(c.captures.size()), false);
  Avals of_inputs;
  for (const Array& a : in) of_inputs.push_back(aval(a));
  (void)op->infer(of_inputs);  // before eval runs what does not fit
  return hesse::apply(op, in);
}

Arrays fori_loop(const Array& lower, const Array& upper,
                 const std::function<Arrays(const Array&, std::span<const Array>)>& body,
                 const Arrays& carry) {
  const auto check = [](const Array& a, const char* which) {
    require(a.ndim() == 0, "fori_loop: ", which, " has shape ", a.shape(), ", expected a scalar");
    require<TypeError>(is_integer(a.dtype()), "fori_loop: ", which, " has dtype ", a.dtype(),
                       ", expected an integer; convert it with astype");
  };
  check(lower, "lower");
  check(upper, "upper");
  const Array first = astype(lower, kInt64), end = astype(upper, kInt64);
  if (is_constant(lower) && is_constant(upper)) {  // a length known now: a scan
    const int64_t a = lower.item<int64_t>(), n = std::max<int64_t>(0, upper.item<int64_t>() - a);
    Arrays in = carry;
    in.push_back(Array::from<int64_t>(std::span<const int64_t>(&a, 1), {}));
    Arrays out = scan(
        [&](std::span<const Array> args) {
          Arrays next = body(args.back(), args.first(args.size() - 1));
          require(next.size() == args.size() - 1, "fori_loop: the body returns ", next.size(), " arrays for ",
                  args.size() - 1, " carries");
          next.push_back(add(args.back(), Array(int64_t{1})));
          return next;
        },
        in, {}, n);
    out.pop_back();
    return out;
  }
  Arrays in = carry;
  in.push_back(first);
  in.push_back(end);
  Arrays out =
      while_loop([](std::span<const Array> args) { return Arrays{less(args[args.size() - 2], args.back())}; },
                 [&](std::span<const Array> args) {
                   const Array& i = args[args.size() - 2];
                   Arrays next = body(i, args.first(args.size() - 2));
                   require(next.size() == args.size() - 2, "fori_loop: the body returns ", next.size(),
                           " arrays for ", args.size() - 2, " carries");
                   next.push_back(add(i, Array(int64_t{1})));
                   next.push_back(args.back());
                   return next;
                 },
                 in);
  out.erase(out.end() - 2, out.end());
  return out;
}

OpFamily families::while_loops() {
  return {listed<WhileOp>("while_loop", "cond", "body", "num_carry", "num_cond_consts", "save")};
}

}  // namespace hesse
