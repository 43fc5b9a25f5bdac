#include <algorithm>
#include <map>

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

Shape with_front(int64_t n, Shape s) {
  s.insert(0, n);
  return s;
}

class ScanOp final : public Op, public Loop {
 public:
  ScanOp(Ref<const Graph> body, int num_carry, int num_xs, int64_t length, bool reverse, bool save,
         bool in_program = false, OpRef primal = nullptr)
      : body_(std::move(body)),
        prepared_(body_),
        nc_(static_cast<size_t>(num_carry)),
        nx_(static_cast<size_t>(num_xs)),
        length_(length),
        reverse_(reverse),
        save_(save),
        in_program_(in_program),
        primal_(std::move(primal)) {
    for (size_t i = nc_; i < nc_ + nx_; ++i)
      if (is_stack(body_->input_aval(static_cast<int>(i)))) stack_xs_.push_back(i);
    for (size_t k = nc_; k < static_cast<size_t>(body_->num_outputs()); ++k)
      if (is_stack(body_->output_aval(static_cast<int>(k)))) stack_ys_.push_back(k);
  }
  std::string_view name() const override { return "scan"; }
  LoopParts parts() const override {
    return {.body = body_,
            .num_carry = nc_,
            .num_xs = nx_,
            .length = length_,
            .reverse = reverse_,
            .save = save_};
  }
  double flops(std::span<const Aval> x, std::span<const Aval>) const override {
    return static_cast<double>(std::max<int64_t>(steps(x), 0)) * body_->flops();
  }
  bool has_effect() const override { return has_effects(*body_); }
  OpRef prepared() const override {
    return in_program_ ? OpRef()
                       : make_op<ScanOp>(body_, static_cast<int>(nc_), static_cast<int>(nx_), length_,
                                         reverse_, save_, true, primal_);
  }
  bool is_saved_by(const Op& other) const override {
    const auto* s = dynamic_cast<const ScanOp*>(&other);
    return s && !save_ && s->save_ && nc_ == s->nc_ && nx_ == s->nx_ && length_ == s->length_ &&
           reverse_ == s->reverse_ && body_->equals(*s->body_);
  }
  Primal primal_in(const Op& other) const override {
    const auto* s = dynamic_cast<const ScanOp*>(primal_.get());
    if (save_ || s == nullptr || !primal_->equals(other)) return {};
    // Carries, their tangents, xs, theirs, consts, theirs; and carries, their tangents, ys, theirs.
    const int nc = static_cast<int>(s->nc_), nx = static_cast<int>(s->nx_);
    const auto place = [&](int i) {
      if (i < nc) return i;
      return i < nc + nx ? i - nc + static_cast<int>(nc_) : i - nc - nx + static_cast<int>(nc_ + nx_);
    };
    Primal out;
    for (int i = 0; i < s->body_->num_inputs(); ++i) out.operands.push_back(place(i));
    for (int k = 0; k < s->body_->num_outputs(); ++k)
      out.results.push_back(k < nc ? k : k - nc + static_cast<int>(nc_));
    return out;
  }
  bool steps_together(const std::vector<bool>&) const override {
    return !save_ && !has_stacks() && !has_effect();
  }
  SharedWork shared_work(const std::vector<bool>& varies) const override {
    return hesse::shared_work(*expanded(body_), loop_marks(*body_, static_cast<int>(nc_), varies));
  }
  std::optional<Results> for_examples(int64_t n, std::span<const Array> x,
                                      const std::vector<bool>& varies) const override {
    const std::vector<bool> marks = loop_marks(*body_, static_cast<int>(nc_), varies);
    const auto body = hesse::for_examples(*expanded(body_), n, marks,
                                          {marks.begin(), marks.begin() + static_cast<int64_t>(nc_)});
    if (!body) return std::nullopt;
    Arrays in(x.begin(), x.end());
    for (size_t i = 0; i < nc_; ++i)
      if (marks[i] && !varies[i]) in[i] = broadcast_to(in[i], with_front(n, in[i].shape()));
    for (size_t i = nc_; i < nc_ + nx_; ++i)
      if (varies[i]) in[i] = moveaxis(in[i], Axes{0}, Axes{1});
    Results out{hesse::apply(make_op<ScanOp>(body->graph, static_cast<int>(nc_), static_cast<int>(nx_),
                                             length_, reverse_, false, false, primal_),
                             in),
                body->varies};
    for (size_t k = nc_; k < out.results.size(); ++k)
      if (out.varies[k]) out.results[k] = moveaxis(out.results[k], Axes{1}, Axes{0});
    return out;
  }
  Params params() const override {
    return {{"num_carry", static_cast<int64_t>(nc_)},
            {"num_xs", static_cast<int64_t>(nx_)},
            {"length", length_},
            {"reverse", reverse_},
            {"save", save_},
            {"body", body_}};
  }

  Avals infer(std::span<const Aval> x) const override {
    require(x.size() == static_cast<size_t>(body_->num_inputs()) + stack_xs_.size(), "scan: ", x.size(),
            " inputs for a body of ", body_->num_inputs());
    for (size_t i = 0; i < nc_; ++i) {
      const Aval want = body_->input_aval(static_cast<int>(i)), got = body_->output_aval(static_cast<int>(i));
      require(x[i] == want && got == want, "scan: carry ", i, " starts as ", describe(x[i].shape, x[i].dtype),
              " and the body returns ", describe(got.shape, got.dtype),
              "; a carry keeps its shape and dtype: start it so, or convert it in the body with astype");
    }
    return results(steps(x));
  }
  // Of so many steps.
  Avals results(int64_t n) const {
    Avals out;
    out.reserve(2 * nc_ + static_cast<size_t>(body_->num_outputs()));
    for (size_t i = 0; i < nc_; ++i) out.push_back(body_->input_aval(static_cast<int>(i)));
    for (size_t k = nc_; k < static_cast<size_t>(body_->num_outputs()); ++k) {
      const Aval a = body_->output_aval(static_cast<int>(k));
      out.push_back(is_stack(a) ? a : Aval{with_front(n, a.shape), a.dtype});
    }
    if (save_)
      for (size_t i = 0; i < nc_; ++i) {
        const Aval& a = body_->input_aval(static_cast<int>(i));
        out.push_back({with_front(n, a.shape), a.dtype});
      }
    out.resize(out.size() + stack_ys_.size(), {{n}, kInt64});
    return out;
  }

  Arrays eval(std::span<const Array> x) const override {
    Arrays in(x.begin(), x.end());
    return eval_owned(in);
  }
  Arrays eval_owned(Arrays& x) const override {
    Avals avals;
    avals.reserve(x.size());
    for (const Array& a : x) avals.push_back(aval(a));
    const int64_t n = steps(avals);
    const Avals shapes = in_program_ ? results(n) : infer(avals);  // programs have checked
    if ((in_program_ || n > Prepared::kWorthwhile) && !debug_nans())
      if (const LaneLoop* loop = lane_loop(false)) return loop->evaluated(x, shapes, n);
    const auto carries = static_cast<int64_t>(nc_), inputs = static_cast<int64_t>(body_->num_inputs());
    Arrays carry(std::make_move_iterator(x.begin()), std::make_move_iterator(x.begin() + carries)), stacked;
    for (size_t k = nc_; k < shapes.size(); ++k)
      stacked.push_back(is_stack(shapes[k]) ? Array()
                                            : Array::uninitialized(shapes[k].shape, shapes[k].dtype));
    const size_t ny = static_cast<size_t>(body_->num_outputs()) - nc_;
    StackSlices slices(stack_xs_, x, n);
    std::vector<Arrays> stacks(stack_ys_.size(), Arrays(static_cast<size_t>(n)));  // by step
    for (int64_t s = 0; s < n; ++s) {
      if (s % 64 == 0) poll_interrupt();
      const int64_t t = reverse_ ? n - 1 - s : s;
      if (save_)
        for (size_t i = 0; i < nc_; ++i) cpu::assign(carry[i].view(), cpu::at(stacked[ny + i].view(), 0, t));
      Arrays in = std::move(carry);  // the step may write where the last one did
      in.reserve(x.size());
      for (size_t i = nc_; i < nc_ + nx_; ++i)
        in.push_back(x[i].viewed(
            is_stack(body_->input_aval(static_cast<int>(i))) ? slices.at(i, t) : cpu::at(x[i].view(), 0, t)));
      in.insert(in.end(), x.begin() + carries + static_cast<int64_t>(nx_), x.begin() + inputs);
      Arrays out = prepared_.for_step(s, in_program_).run_owned(std::move(in));
      for (size_t k = 0; k < ny; ++k)
        if (stacked[k].defined()) cpu::assign(out[nc_ + k].view(), cpu::at(stacked[k].view(), 0, t));
      for (size_t j = 0; j < stacks.size(); ++j) stacks[j][static_cast<size_t>(t)] = out[stack_ys_[j]];
      out.resize(nc_);
      carry = std::move(out);
    }
    for (size_t j = 0; j < stacks.size(); ++j) {
      std::vector<int64_t> lengths;
      for (const Array& stack : stacks[j]) lengths.push_back(stack.dim(0));
      stacked[stack_ys_[j] - nc_] = joined(stacks[j], shapes[stack_ys_[j]]);
      stacked[stacked.size() - stacks.size() + j] = Array::from<int64_t>(lengths, {n});
    }
    carry.insert(carry.end(), stacked.begin(), stacked.end());
    return carry;
  }

  bool has_lane_kernel() const override {
    return !has_stacks() && !debug_nans() && lane_loop(true) != nullptr;
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    lane_loop(true)->run(x, out, lane_axes, nx_ > 0 ? x[nc_].shape[0] : length_);
  }

  // (c, dc) is carried along: constant memory.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    refuse_stacks();
    std::vector<bool> marked;
    for (const MaybeArray& t : dx) marked.push_back(t.has_value());
    const LoopTangent d = loop_jvp(body_, static_cast<int>(nc_), static_cast<int>(nx_), marked);
    std::copy(d.carry.begin(), d.carry.end(), marked.begin());
    Arrays in;
    int carries = 0, xs = 0;
    const auto group = [&](size_t begin, size_t end, int* count) {
      const size_t before = in.size();
      in.insert(in.end(), x.begin() + static_cast<int64_t>(begin), x.begin() + static_cast<int64_t>(end));
      for (size_t i = begin; i < end; ++i)
        if (marked[i]) in.push_back(dx[i] ? *dx[i] : zeros_of(aval(x[i])));
      if (count) *count = static_cast<int>(in.size() - before);
    };
    group(0, nc_, &carries);
    group(nc_, nc_ + nx_, &xs);
    group(nc_ + nx_, x.size(), nullptr);
    const Arrays out =
        hesse::apply(make_op<ScanOp>(d.body, carries, xs, length_, reverse_, save_, false, OpRef(this)), in);
    // Outputs: carries, their tangents, ys, theirs, and saved carries with theirs.
    MaybeArrays dy(y.size());
    const size_t ny = d.ys.size();
    size_t at = nc_;
    for (size_t i = 0; i < nc_; ++i)
      if (d.carry[i]) dy[i] = out[at++];
    at += ny;
    for (size_t k = 0; k < ny; ++k)
      if (d.ys[k]) dy[nc_ + k] = out[at++];
    if (save_) {
      at += nc_;
      for (size_t i = 0; i < nc_; ++i)
        if (d.carry[i]) dy[nc_ + ny + i] = out[at++];
    }
    return dy;
  }

  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    refuse_stacks();
    const size_t ny = static_cast<size_t>(body_->num_outputs()) - nc_;
    Arrays all(y.begin(), y.end());
    if (!save_)
      all =
          hesse::apply(scan_op(body_, static_cast<int>(nc_), static_cast<int>(nx_), length_, reverse_, true),
                       Arrays(x.begin(), x.end()));
    const Arrays saved(all.begin() + static_cast<int64_t>(nc_ + ny), all.end());
    return loop_vjp(body_, static_cast<int>(nc_), static_cast<int>(nx_), length_, reverse_, x, saved, ct,
                    wanted);
  }

  // Linear where the body is and linear carries stay linear: checked on the fixed point of the marks.
  bool is_linear_in(const std::vector<bool>& marked) const override {
    return is_linear(*body_, loop_marks(*body_, static_cast<int>(nc_), marked));
  }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    const std::vector<bool> all = loop_marks(*body_, static_cast<int>(nc_), marked);
    std::vector<bool> out = outputs_that_depend(*body_, all);
    std::copy(all.begin(), all.begin() + static_cast<int64_t>(nc_), out.begin());
    if (save_) out.insert(out.end(), all.begin(), all.begin() + static_cast<int64_t>(nc_));
    return out;
  }
  bool reads_output(int k) const override {
    return save_ && static_cast<size_t>(k) >= static_cast<size_t>(body_->num_outputs());
  }

 private:
  /// The stacks that steps take from xs.
  class StackSlices {
   public:
    StackSlices(const std::vector<size_t>& xs, std::span<const Array> x, int64_t n) {
      for (size_t j = 0; j < xs.size(); ++j) {
        const View lengths = x[x.size() - xs.size() + j].view();
        std::vector<int64_t> begin{0};
        for (int64_t t = 0; t < n; ++t)
          begin.push_back(begin.back() + lengths.as<const int64_t>()[t * lengths.strides[0]]);
        require(std::ranges::is_sorted(begin) && begin.back() == x[xs[j]].dim(0), "scan: stacks of ",
                begin.back(), " entries in all, but ", x[xs[j]].dim(0), " are given");
        slices_.emplace(xs[j], Slices{x[xs[j]].view(), std::move(begin)});
      }
    }
    View at(size_t i, int64_t t) const {
      const auto& [all, begin] = slices_.at(i);
      const auto from = begin[static_cast<size_t>(t)];
      return cpu::range(all, 0, from, begin[static_cast<size_t>(t) + 1] - from);
    }

   private:
    struct Slices {
      View all;
      std::vector<int64_t> begin;
    };
    std::map<size_t, Slices> slices_;
  };
  static Array joined(const Arrays& stacks, Aval a) {
    a.shape[0] = 0;
    for (const Array& stack : stacks) a.shape[0] += stack.dim(0);
    const Array out = Array::uninitialized(a.shape, a.dtype);
    int64_t at = 0;
    for (const Array& stack : stacks) {
      cpu::assign(stack.view(), cpu::range(out.view(), 0, at, stack.dim(0)));
      at += stack.dim(0);
    }
    return out;
  }
  bool has_stacks() const { return !stack_xs_.empty() || !stack_ys_.empty(); }
  void refuse_stacks() const {
    if (has_stacks())
      throw Error(
          "scan: with stacks it belongs to a program that is run; differentiate the graph it was made from");
  }
  int64_t steps(std::span<const Aval> x) const {
    int64_t n = length_;
    for (size_t i = nc_; i < nc_ + nx_; ++i) {
      if (is_stack(body_->input_aval(static_cast<int>(i)))) continue;
      require(!x[i].shape.empty(), "scan: xs ", i - nc_,
              " is a scalar; scan runs over axis 0, what is the same in all steps belongs into the closure");
      const int64_t m = x[i].shape.front();
      require(n == kDynamic || m == n || m == kDynamic, "scan: xs ", i - nc_, " has length ", m,
              ", expected ", n, "; all xs are sliced along axis 0 together");
      if (n == kDynamic) n = m;
    }
    return n;
  }
  // The loop as code for one example, or for lanes of them.
  const LaneLoop* lane_loop(bool in_lanes) const { return lane_loops_.get(parts(), in_lanes); }
  Ref<const Graph> body_;
  Prepared prepared_;
  LaneLoops lane_loops_;
  size_t nc_, nx_;
  std::vector<size_t> stack_xs_, stack_ys_;  // inputs and outputs of the body
  int64_t length_;
  bool reverse_, save_;
  bool in_program_;  // not a parameter: results differ in rounding at most
  OpRef primal_;     // not one either: the loop that this is the tangent of, if it is one
};

}  // namespace

OpRef scan_op(Ref<const Graph> body, int num_carry, int num_xs, int64_t length, bool reverse, bool save) {
  return make_op<ScanOp>(std::move(body), num_carry, num_xs, length, reverse, save);
}

Arrays scan(const Fn& f, const Arrays& carry_in, const Arrays& xs, std::optional<int64_t> length,
            bool reverse) {
  require(!xs.empty() || length, "scan: there are no xs and no length; give length=n for n steps");
  require(!length || *length >= 0, "scan: length is ", length.value_or(0), "; expected 0 or more");
  int64_t n = length.value_or(kDynamic);
  Arrays carry = carry_in;
  Traced t;
  for (int pass = 0;; ++pass) {
    Avals avals;
    for (const Array& c : carry) avals.push_back(aval(c));
    for (size_t i = 0; i < xs.size(); ++i) {
      require(xs[i].ndim() > 0, "scan: xs ", i,
              " is a scalar; scan runs over axis 0, what is the same in all steps belongs into the closure");
      if (n == kDynamic) n = xs[i].shape()[0];
      Aval a = aval(xs[i]);
      a.shape.erase(0);
      avals.push_back(a);
    }
    t = trace(f, avals, true);
    require(t.graph->num_outputs() >= static_cast<int>(carry.size()), "scan: the body returns ",
            t.graph->num_outputs(), " arrays, fewer than the ", carry.size(), " carries");
    // A weak scalar that starts a carry takes the dtype that the body gives it.
    bool again = false;
    for (size_t i = 0; i < carry.size(); ++i) {
      const DType want = t.graph->output_aval(static_cast<int>(i)).dtype;
      if (pass == 0 && carry[i].is_weak() && carry[i].dtype() != want) {
        carry[i] = astype(carry[i], want);
        again = true;
      }
    }
    if (!again) break;
  }
  Arrays in = carry;
  in.insert(in.end(), xs.begin(), xs.end());
  in.insert(in.end(), t.captures.begin(), t.captures.end());
  return hesse::apply(
      scan_op(t.graph, static_cast<int>(carry.size()), static_cast<int>(xs.size()), n, reverse, false), in);
}

OpFamily families::scans() {
  return {listed<ScanOp>("scan", "body", "num_carry", "num_xs", "length", "reverse", "save")};
}

}  // namespace hesse
