#include "core/program/scalar_schedule.h"

#include <algorithm>
#include <set>

#include "core/cpu/simd_kernels.h"

namespace hesse {
namespace {

using cpu::EntryOp;
using Class = ScalarSchedule::Class;
using Work = ScalarSchedule::Work;
using Stretch = ScalarSchedule::Stretch;

size_t at(int v) { return static_cast<size_t>(v); }

std::optional<EntryOp> code_op(const EntryKernel& kernel, std::string_view name, DType in) {
  if (in == kFloat64) return cpu::entry_op<double>(kernel.f);
  if (in == kFloat32) return cpu::entry_op<float>(kernel.f);
  if (in == kInt64) {
    if (name == "add") return EntryOp::AddInt;
    if (name == "subtract") return EntryOp::SubtractInt;
    if (name == "equal") return EntryOp::EqualInt;
    if (name == "not_equal") return EntryOp::NotEqualInt;
    if (name == "less") return EntryOp::LessInt;
    if (name == "less_equal") return EntryOp::LessEqualInt;
    if (name == "where") return EntryOp::Where;
  }
  if (in != kBool) return std::nullopt;
  if (name == "bitwise_and") return EntryOp::And;
  if (name == "bitwise_or") return EntryOp::Or;
  if (name == "bitwise_invert") return EntryOp::Not;
  return std::nullopt;
}

class Scheduler {
 public:
  Scheduler(const Graph& g, bool with_code, ScalarSchedule& into)
      : works_(into.works), stretches_(into.stretches), call_(into.call), g_(g), with_code_(with_code) {
    collect();
    fuse_products();
    order();
    split_calls();
  }

 private:
  static constexpr Class Double = Class::Double, Float = Class::Float, Bool = Class::Bool,
                         Other = Class::Other;
  DType dtype(int v) const { return g_.values()[at(v)].dtype; }

  void collect() {
    for (const Graph::Equation& eq : g_.equations()) {
      const DType in = dtype(eq.in.back());
      Work w{&eq, eq.op->entry_kernel(in), {}, eq.in, eq.out[0], Other};
      if (with_code_) w.op = code_op(w.kernel, eq.op->name(), in);
      if (w.op) w.cls = in == kFloat64 || in == kInt64 ? Double : in == kFloat32 ? Float : Bool;
      works_.push_back(std::move(w));
    }
  }

  // x y + z, x y - z and z - x y, rounded once. Also where others read the product: what is computed does
  // then not depend on who else reads it, a tangent say.
  void fuse_products() {
    using Role = EntryKernel::Role;
    std::vector<int> maker(g_.values().size(), -1);
    const std::vector<Work> before = works_;
    for (size_t w = 0; w < works_.size(); ++w) {
      const Role role = works_[w].kernel.role;
      if (role == Role::Multiply || role == Role::Square) maker[at(works_[w].out)] = static_cast<int>(w);
    }
    for (Work& sum : works_) {
      const Role role = sum.kernel.role;
      if (role != Role::Add && role != Role::Subtract) continue;
      for (size_t i = 0; i < 2; ++i) {
        const int v = sum.in[i], m = maker[at(v)];
        if (m < 0) continue;
        const auto use = [&](const auto& k) {
          const auto f = role == Role::Add ? k.multiply_add
                         : i == 0          ? k.multiply_subtract
                                           : k.subtract_product;
          sum.kernel = {EntryKernel::Kind::Ternary, Role::Plain, reinterpret_cast<void (*)()>(f)};
        };
        if (dtype(v) == kFloat64)
          use(cpu::simd_kernels<double>());
        else
          use(cpu::simd_kernels<float>());
        if (sum.op)
          sum.op = role == Role::Add ? EntryOp::MultiplyAdd
                   : i == 0          ? EntryOp::MultiplySubtract
                                     : EntryOp::SubtractProduct;
        sum.in = {before[at(m)].in.front(), before[at(m)].in.back(), sum.in[1 - i]};
        break;
      }
    }
    std::vector<bool> read(g_.values().size(), false);
    for (const int v : g_.outputs()) read[at(v)] = true;
    std::vector<Work> rest;
    for (size_t w = works_.size(); w-- > 0;) {
      if (!read[at(works_[w].out)]) continue;
      for (const int v : works_[w].in) read[at(v)] = true;
      rest.push_back(std::move(works_[w]));
    }
    std::reverse(rest.begin(), rest.end());
    works_ = std::move(rest);
  }

  // Outputs that read the same behind each other. Of what an output reads beside what is its own, the value
  // that fewest others read says with which it belongs: of products of columns, as in gradients of weights,
  // each column is then read once.
  std::vector<int> outputs_by_operands(const std::vector<int>& maker) const {
    std::vector<int> readers(g_.values().size(), 0), first(readers.size(), -1);
    for (const Work& w : works_)
      for (const int v : w.in) ++readers[at(v)];
    for (const int v : g_.outputs()) ++readers[at(v)];
    std::vector<std::pair<int, int>> order;  // the first output of the group, and the output
    for (const int output : g_.outputs()) {
      int shared = output;
      std::vector<int> own{maker[at(output)]};
      while (!own.empty()) {
        const int w = own.back();
        own.pop_back();
        if (w < 0) continue;
        for (const int v : works_[at(w)].in)
          if (readers[at(v)] == 1)
            own.push_back(maker[at(v)]);
          else if (shared == output || readers[at(v)] < readers[at(shared)] ||
                   (readers[at(v)] == readers[at(shared)] && v < shared))
            shared = v;
      }
      int& group = first[at(shared)];
      if (group < 0) group = static_cast<int>(order.size());
      order.emplace_back(group, output);
    }
    std::ranges::stable_sort(order, {}, &std::pair<int, int>::first);
    std::vector<int> out;
    for (const auto& [group, output] : order) out.push_back(output);
    return out;
  }

  // An order in which most values are read soon, while they are in registers: behind what each needs, and of
  // that the longest chain first.
  std::vector<int> turns(const std::vector<int>& maker) const {
    const size_t n = works_.size();
    std::vector<int> depth(n, 0), turn(n, -1), path;
    for (size_t w = 0; w < n; ++w)
      for (const int v : works_[w].in)
        if (maker[at(v)] >= 0) depth[w] = std::max(depth[w], depth[at(maker[at(v)])] + 1);
    int next = 0;
    for (const int output : outputs_by_operands(maker)) {
      if (maker[at(output)] >= 0) path.push_back(maker[at(output)]);
      while (!path.empty()) {
        int deepest = -1;
        for (const int v : works_[at(path.back())].in)
          if (const int m = maker[at(v)]; m >= 0 && turn[at(m)] < 0)
            if (deepest < 0 || depth[at(m)] > depth[at(deepest)]) deepest = m;
        if (deepest >= 0) {
          path.push_back(deepest);
          continue;
        }
        if (turn[at(path.back())] < 0) turn[at(path.back())] = next++;
        path.pop_back();
      }
    }
    return turn;
  }

  void order() {
    const size_t n = works_.size();
    std::vector<int> maker(g_.values().size(), -1), waits(n, 0);
    std::vector<std::vector<int>> readers(n);
    for (size_t w = 0; w < n; ++w) maker[at(works_[w].out)] = static_cast<int>(w);
    std::set<std::pair<int, int>> ready[4];
    const std::vector<int> turn = turns(maker);
    const auto is_ready = [&](int w) { ready[works_[at(w)].cls].emplace(turn[at(w)], w); };
    for (size_t w = 0; w < n; ++w) {
      for (const int v : works_[w].in)
        if (const int m = maker[at(v)]; m >= 0) {
          ++waits[w];
          readers[at(m)].push_back(static_cast<int>(w));
        }
    }
    for (size_t w = 0; w < n; ++w)
      if (waits[w] == 0) is_ready(static_cast<int>(w));
    const auto released = [&](int w) {
      for (const int r : readers[at(w)])
        if (--waits[at(r)] == 0) is_ready(r);
    };
    const auto take = [&](Class c) {
      const int w = ready[c].begin()->second;
      ready[c].erase(ready[c].begin());
      released(w);
      return w;
    };
    for (size_t done = 0; done < n;) {
      Stretch s;
      const Class floats = !ready[Double].empty() || ready[Float].empty() ? Double : Float;
      s.dtype = floats == Double ? kFloat64 : kFloat32;
      s.code = true;
      while (s.works.size() < cpu::EntryLoop::kMostSteps && !(ready[floats].empty() && ready[Bool].empty())) {
        const bool of_bools =
            ready[floats].empty() || (!ready[Bool].empty() && *ready[Bool].begin() < *ready[floats].begin());
        s.works.push_back(take(of_bools ? Bool : floats));
      }
      if (s.works.empty()) {
        s.code = false;
        s.works.push_back(take(Other));
        for (auto next = ready[Other].begin(); next != ready[Other].end();) {
          const int w = next->second;
          if (!one_call(works_[at(s.works[0])], works_[at(w)])) {
            ++next;
            continue;
          }
          next = ready[Other].erase(next);
          released(w);
          s.works.push_back(w);
        }
      }
      done += s.works.size();
      stretches_.push_back(std::move(s));
    }
  }

  // Whether one call may do both, on rows of doubles that lie one behind the other.
  bool one_call(const Work& a, const Work& b) const {
    if (a.in.size() != 1 || b.in.size() != 1 || dtype(a.in[0]) != kFloat64 || dtype(b.in[0]) != kFloat64)
      return false;
    if (dtype(a.out) != kFloat64 || dtype(b.out) != kFloat64) return false;
    if (a.kernel.kind != b.kernel.kind || a.kernel.f != b.kernel.f) return false;
    if (a.kernel.kind == EntryKernel::Kind::Unary) return true;
    return ScalarSchedule::function_of(g_, a) != nullptr &&
           ScalarSchedule::function_of(g_, a) == ScalarSchedule::function_of(g_, b);
  }
  // Of the works of one call those stay together whose operands are made by code and go into no other call.
  void split_calls() {
    std::vector<bool> by_code(g_.values().size(), false);
    std::vector<Stretch> all;
    call_.assign(g_.values().size(), -1);
    for (Stretch& s : stretches_) {
      if (s.code)
        for (const int w : s.works) by_code[at(works_[at(w)].out)] = true;
      Stretch together;
      if (s.works.size() > 1 && !s.code) {
        std::vector<int> alone;
        for (const int w : s.works) {
          const int v = works_[at(w)].in[0];
          const bool fits = by_code[at(v)] && call_[at(v)] < 0;
          if (fits) call_[at(v)] = static_cast<int>(all.size());
          (fits ? together.works : alone).push_back(w);
        }
        if (!together.works.empty()) all.push_back(together);
        for (const int w : alone) all.push_back({{w}, kFloat64, false});
      } else {
        all.push_back(std::move(s));
      }
    }
    stretches_ = std::move(all);
  }

  std::vector<Work>& works_;
  std::vector<Stretch>& stretches_;
  std::vector<int>& call_;
  const Graph& g_;
  const bool with_code_;
};

}  // namespace

ScalarSchedule::ScalarSchedule(const Graph& g, bool with_code) { Scheduler(g, with_code, *this); }

RowFunction ScalarSchedule::function_of(const Graph& g, const Work& w) {
  const auto dtype = [&](int v) { return g.values()[at(v)].dtype; };
  return row_function(w.eq->op->name(), dtype(w.in.back()), dtype(w.out));
}

}  // namespace hesse
