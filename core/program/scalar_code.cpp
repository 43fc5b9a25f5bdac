#include "core/program/scalar_code.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/cpu/simd_kernels.h"
#include "core/ops/elementwise.h"
#include "core/program/entry_call.h"

namespace hesse {
namespace {

using cpu::EntryOp;

size_t at(int v) { return static_cast<size_t>(v); }

// Functions of rows that take no machine code: on integers, and on bools where there is none.
using RowFunction = void (*)(const char* const* in, char* out, int64_t n);

template <class In, class Out, class F>
void row1(const char* const* in, char* out, int64_t n) {
  const auto* x = reinterpret_cast<const In*>(in[0]);
  auto* y = reinterpret_cast<Out*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = F{}(x[i]);
}
template <class In, class Out, class F>
void row2(const char* const* in, char* out, int64_t n) {
  const auto *x = reinterpret_cast<const In*>(in[0]), *z = reinterpret_cast<const In*>(in[1]);
  auto* y = reinterpret_cast<Out*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = F{}(x[i], z[i]);
}
template <class T>
void row_where(const char* const* in, char* out, int64_t n) {
  const auto* c = reinterpret_cast<const bool*>(in[0]);
  const auto *x = reinterpret_cast<const T*>(in[1]), *z = reinterpret_cast<const T*>(in[2]);
  auto* y = reinterpret_cast<T*>(out);
  for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? x[i] : z[i];
}
// In every lane the sum of all, in a fixed order.
template <class T>
void row_sum(const char* const* in, char* out, int64_t n) {
  constexpr int64_t kSums = 8;
  const auto* x = reinterpret_cast<const T*>(in[0]);
  T sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums)
    for (int64_t k = 0; k < kSums; ++k) sums[k] += x[i + k];
  for (int64_t k = 0; i < n; ++i, ++k) sums[k] += x[i];
  const T sum = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
  std::fill_n(reinterpret_cast<T*>(out), n, sum);
}
// Integers wrap around, as in the kernels.
struct Plus {
  int64_t operator()(int64_t a, int64_t b) const {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
struct Minus {
  int64_t operator()(int64_t a, int64_t b) const {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }
};
struct Times {
  int64_t operator()(int64_t a, int64_t b) const {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct AsDouble {
  double operator()(int64_t a) const { return static_cast<double>(a); }
};
struct AsInteger {
  int64_t operator()(bool a) const { return a ? 1 : 0; }
};

RowFunction row_function(std::string_view name, DType in, DType out) {
  if (in == kInt64) {
    if (name == "add") return row2<int64_t, int64_t, Plus>;
    if (name == "subtract") return row2<int64_t, int64_t, Minus>;
    if (name == "multiply") return row2<int64_t, int64_t, Times>;
    if (name == "equal") return row2<int64_t, bool, std::equal_to<>>;
    if (name == "not_equal") return row2<int64_t, bool, std::not_equal_to<>>;
    if (name == "less") return row2<int64_t, bool, std::less<>>;
    if (name == "less_equal") return row2<int64_t, bool, std::less_equal<>>;
    if (name == "where") return row_where<int64_t>;
    if (name == "convert" && out == kFloat64) return row1<int64_t, double, AsDouble>;
  } else if (name == "sum_over_rows") {
    return in == kFloat64 ? row_sum<double> : row_sum<float>;
  } else if (in == kBool) {
    if (name == "bitwise_and") return row2<bool, bool, std::logical_and<>>;
    if (name == "bitwise_or") return row2<bool, bool, std::logical_or<>>;
    if (name == "bitwise_invert") return row1<bool, bool, std::logical_not<>>;
    if (name == "where") return row_where<bool>;
    if (name == "convert" && out == kInt64) return row1<bool, int64_t, AsInteger>;
  }
  return nullptr;
}

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

}  // namespace

Frame Frame::of_rows(int64_t lanes) {
  const auto whole = [&](int64_t vector) { return (lanes + vector - 1) / vector * vector; };
  Frame frame(lanes);
  frame.width_ = whole(4);
  // Kernels work on what fills a row up, too: a quarter more at most.
  if (cpu::active_isa() >= cpu::Isa::Avx512 && 4 * whole(8) <= 5 * lanes) frame.width_ = whole(8);
  frame.uniform_constants_ = true;
  return frame;
}

int64_t Frame::take_offset() {
  constexpr int64_t kLine = 64;  // vectors that lie in two lines take twice as long
  const int64_t row = 8 * width_;
  if (row % kLine == 0) bytes_ = (bytes_ + kLine - 1) / kLine * kLine;
  const int64_t offset = bytes_;
  bytes_ += row;
  return offset;
}

FrameRow Frame::take_constant(DType dtype) {
  if (!uniform_constants_ || !(dtype == kFloat64 || dtype == kFloat32)) return take(dtype);
  FrameRow row{bytes_, dtype};
  row.uniform = true;
  bytes_ += 8;
  return row;
}

FrameRow Frame::constant(const Array& scalar) {
  const View v = scalar.view();
  std::vector<char> value(static_cast<size_t>(itemsize(v.dtype)));
  std::memcpy(value.data(), v.data, value.size());
  for (const Constant& c : constants_)
    if (c.row.dtype == v.dtype && c.value == value) return c.row;
  constants_.push_back({take_constant(v.dtype), value});
  return constants_.back().row;
}

void Frame::initialise(char* frame) const {
  std::memset(frame, 0, static_cast<size_t>(bytes_));
  for (const Constant& c : constants_)
    for (int64_t l = 0; l < (c.row.uniform ? 1 : width_); ++l)
      std::memcpy(frame + c.row.offset + l * static_cast<int64_t>(c.value.size()), c.value.data(),
                  c.value.size());
}

bool ScalarCode::can_run(const Graph& g) {
  const auto fits = [](DType t) { return itemsize(t) <= 8 && !is_complex(t) && t != DType::Key; };
  for (const Aval& a : g.values())
    if (!a.shape.empty() || !fits(a.dtype)) return false;
  return std::all_of(g.equations().begin(), g.equations().end(), [&](const Graph::Equation& eq) {
    if (eq.out.size() != 1 || eq.in.empty() || eq.in.size() > 3) return false;
    const DType in = g.values()[at(eq.in.back())].dtype, out = g.values()[at(eq.out[0])].dtype;
    if (eq.op->entry_kernel(in).kind != EntryKernel::Kind::None) return true;
    if (row_function(eq.op->name(), in, out) != nullptr) return true;
    return dynamic_cast<const ActsOnEntries*>(eq.op.get()) != nullptr && eq.op->has_lane_kernel() &&
           (is_floating(in) || in == kBool);  // integers may divide by zero, and say so
  });
}

/// Orders the equations, so that those that become code follow each other, and gives rows.
class ScalarCode::Builder {
 public:
  Builder(ScalarCode& into, const Graph& g, const std::vector<FrameRow>& inputs, Frame& frame,
          cpu::EntryCode* code, const std::vector<std::optional<FrameRow>>& wanted)
      : into_(into), g_(g), frame_(frame), code_(code), rows_(g.values().size()), has_row_(rows_.size()) {
    for (int i = 0; i < g.num_inputs(); ++i) give(i, inputs[at(i)]);
    for (const auto& [v, a] : g.constants()) give(v, frame.constant(a));
    collect();
    fuse_products();
    order();
    place(wanted);
    for (const int v : g.outputs()) into.outputs_.push_back(rows_[at(v)]);
  }

 private:
  enum Class : uint8_t { Double, Float, Bool, Other };
  struct Work {
    const Graph::Equation* eq;
    EntryKernel kernel;
    std::optional<EntryOp> op;
    std::vector<int> in;
    int out;
    Class cls;
  };
  struct Stretch {
    std::vector<int> works;
    DType dtype = kFloat64;
    bool code = false;
  };
  DType dtype(int v) const { return g_.values()[at(v)].dtype; }
  void give(int v, const FrameRow& row) {
    rows_[at(v)] = row;
    has_row_[at(v)] = true;
  }

  void collect() {
    for (const Graph::Equation& eq : g_.equations()) {
      const DType in = dtype(eq.in.back());
      Work w{&eq, eq.op->entry_kernel(in), {}, eq.in, eq.out[0], Other};
      if (code_ != nullptr) w.op = code_op(w.kernel, eq.op->name(), in);
      if (w.op) w.cls = in == kFloat64 || in == kInt64 ? Double : in == kFloat32 ? Float : Bool;
      works_.push_back(std::move(w));
    }
  }

  // x y + z, x y - z and z - x y, rounded once. Also where others read the product: what is computed does
  // then not depend on who else reads it, a tangent say.
  void fuse_products() {
    using Role = EntryKernel::Role;
    std::vector<int> maker(rows_.size(), -1);
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
    std::vector<bool> read(rows_.size(), false);
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

  // An order in which most values are read soon, while they are in registers: behind what each needs, and of
  // that the longest chain first.
  std::vector<int> turns(const std::vector<int>& maker) const {
    const size_t n = works_.size();
    std::vector<int> depth(n, 0), turn(n, -1), path;
    for (size_t w = 0; w < n; ++w)
      for (const int v : works_[w].in)
        if (maker[at(v)] >= 0) depth[w] = std::max(depth[w], depth[at(maker[at(v)])] + 1);
    int next = 0;
    for (const int output : g_.outputs()) {
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
    std::vector<int> maker(rows_.size(), -1), waits(n, 0);
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

  RowFunction function_of(const Work& w) const {
    return row_function(w.eq->op->name(), dtype(w.in.back()), dtype(w.out));
  }
  // Whether one call may do both, on rows of doubles that lie one behind the other.
  bool one_call(const Work& a, const Work& b) const {
    if (a.in.size() != 1 || b.in.size() != 1 || dtype(a.in[0]) != kFloat64 || dtype(b.in[0]) != kFloat64)
      return false;
    if (dtype(a.out) != kFloat64 || dtype(b.out) != kFloat64) return false;
    if (a.kernel.kind != b.kernel.kind || a.kernel.f != b.kernel.f) return false;
    if (a.kernel.kind == EntryKernel::Kind::Unary) return true;
    return function_of(a) != nullptr && function_of(a) == function_of(b);
  }
  // Of the works of one call those stay together whose operands are made by code and go into no other call.
  void split_calls() {
    std::vector<bool> by_code(rows_.size(), false);
    std::vector<Stretch> all;
    claimed_.assign(rows_.size(), -1);
    for (Stretch& s : stretches_) {
      if (s.code)
        for (const int w : s.works) by_code[at(works_[at(w)].out)] = true;
      Stretch together;
      if (s.works.size() > 1 && !s.code) {
        std::vector<int> alone;
        for (const int w : s.works) {
          const int v = works_[at(w)].in[0];
          const bool fits = by_code[at(v)] && claimed_[at(v)] < 0;
          if (fits) claimed_[at(v)] = static_cast<int>(all.size());
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
  /// Rows of the operands, or the results, of one call.
  struct Together {
    int64_t offset;
    size_t count, used;
  };
  size_t take_together(size_t count) {
    std::vector<int64_t>& free = free_together_[count];
    int64_t offset = 0;
    if (free.empty()) {
      offset = frame_.take_offset();
      for (size_t i = 1; i < count; ++i) frame_.take_offset();
    } else {
      offset = free.back();
      free.pop_back();
    }
    together_.push_back({offset, count, 0});
    return together_.size() - 1;
  }
  void give_together(int v, size_t block, size_t i) {
    ++together_[block].used;
    block_[at(v)] = static_cast<int>(block);
    give(v, {together_[block].offset + static_cast<int64_t>(i) * 8 * frame_.width(), dtype(v)});
  }
  void end_together(size_t block) {
    if (--together_[block].used == 0)
      free_together_[together_[block].count].push_back(together_[block].offset);
  }

  // Whether an output may lie in the row of inputs: code makes it, and nothing reads those later.
  bool may_take(int v, const FrameRow& row) const {
    if (claimed_[at(v)] >= 0 || row.uniform || row.dtype != dtype(v)) return false;
    if (std::count(g_.outputs().begin(), g_.outputs().end(), v) != 1) return false;
    std::vector<bool> here(rows_.size(), false);
    for (int i = 0; i < g_.num_inputs(); ++i) here[at(i)] = rows_[at(i)] == row;
    for (const int o : g_.outputs())
      if (here[at(o)]) return false;
    bool made = false;
    for (const Stretch& s : stretches_)
      for (const int w : s.works) {
        const Work& work = works_[at(w)];
        if (made && std::any_of(work.in.begin(), work.in.end(), [&](int x) { return here[at(x)]; }))
          return false;
        if (work.out != v) continue;
        if (!s.code) return false;
        made = true;
      }
    return made;
  }

  // Rows for what is read in another stretch; they are free again behind the last that reads.
  void place(const std::vector<std::optional<FrameRow>>& wanted) {
    split_calls();
    block_.assign(rows_.size(), -1);
    std::vector<int> operands(stretches_.size(), -1);  // the block of a call's operands
    std::vector<size_t> index(rows_.size(), 0);
    for (const Stretch& s : stretches_)
      if (!s.code && s.works.size() > 1)
        for (size_t i = 0; i < s.works.size(); ++i) index[at(works_[at(s.works[i])].in[0])] = i;
    std::vector<int> made(rows_.size(), -1), last(rows_.size(), -1);
    const int end = static_cast<int>(stretches_.size());
    for (int s = 0; s < end; ++s)
      for (const int w : stretches_[at(s)].works) {
        made[at(works_[at(w)].out)] = s;
        for (const int v : works_[at(w)].in) last[at(v)] = s;
      }
    for (const int v : g_.outputs()) last[at(v)] = end;
    for (size_t k = 0; k < wanted.size(); ++k)
      if (const int v = g_.outputs()[k]; wanted[k] && may_take(v, *wanted[k])) give(v, *wanted[k]);
    std::vector<int64_t> free;
    for (int s = 0; s < end; ++s) {
      const Stretch& stretch = stretches_[at(s)];
      size_t results = 0;
      const bool one_call = !stretch.code && stretch.works.size() > 1;
      if (one_call) {  // in the place of the operands, where nobody reads those later
        const bool over = std::all_of(stretch.works.begin(), stretch.works.end(),
                                      [&](int w) { return last[at(works_[at(w)].in[0])] <= s; });
        results = over ? at(operands[at(s)]) : take_together(stretch.works.size());
      }
      for (size_t i = 0; i < stretch.works.size(); ++i) {
        const int v = works_[at(stretch.works[i])].out;
        if ((stretch.code && last[at(v)] <= s) || has_row_[at(v)]) continue;
        if (one_call) {
          give_together(v, results, i);
          continue;
        }
        if (const int call = claimed_[at(v)]; call >= 0 && stretches_[at(call)].works.size() > 1) {
          int& block = operands[at(call)];
          if (block < 0) block = static_cast<int>(take_together(stretches_[at(call)].works.size()));
          give_together(v, at(block), index[at(v)]);
          continue;
        }
        int64_t offset = 0;
        if (free.empty()) {
          offset = frame_.take_offset();
        } else {
          offset = free.back();
          free.pop_back();
        }
        give(v, {offset, dtype(v)});
      }
      stretch.code ? add_code(stretch) : add_call(stretch);
      std::vector<int> dead;
      for (const int w : stretch.works) {
        dead.push_back(works_[at(w)].out);
        dead.insert(dead.end(), works_[at(w)].in.begin(), works_[at(w)].in.end());
      }
      std::sort(dead.begin(), dead.end());
      dead.erase(std::unique(dead.begin(), dead.end()), dead.end());
      for (const int v : dead)
        if (made[at(v)] >= 0 && has_row_[at(v)] && last[at(v)] <= s)
          block_[at(v)] >= 0 ? end_together(at(block_[at(v)])) : free.push_back(rows_[at(v)].offset);
    }
  }

  void add_code(const Stretch& stretch) {
    cpu::EntryLoop loop;
    loop.run = frame_.width();
    loop.dtype = stretch.dtype;
    loop.row_bytes = {0};
    std::map<int, int> number;  // operand of the loop, by value
    for (const int w : stretch.works) number[works_[at(w)].out] = -1;
    for (const int w : stretch.works)
      for (const int v : works_[at(w)].in)
        if (number.try_emplace(v, static_cast<int>(loop.loads.size())).second) {
          loop.loads.push_back({0, rows_[at(v)].offset, rows_[at(v)].uniform});
          loop.is_bool.push_back(dtype(v) == kBool);
        }
    for (const int w : stretch.works) {
      const Work& work = works_[at(w)];
      cpu::EntryLoop::Step step{*work.op, {-1, -1, -1}, std::nullopt};
      for (size_t i = 0; i < work.in.size(); ++i) step.in[i] = number.at(work.in[i]);
      if (has_row_[at(work.out)]) step.out = cpu::EntryLoop::Memory{0, rows_[at(work.out)].offset, false};
      number[work.out] = static_cast<int>(loop.loads.size() + loop.steps.size());
      loop.steps.push_back(step);
    }
    Step s;
    s.code = code_->add(loop);
    into_.steps_.push_back(std::move(s));
    into_.cost_ += 10 + static_cast<double>(loop.steps.size());
  }

  void add_call(const Stretch& stretch) {
    const Work& work = works_[at(stretch.works[0])];
    Step s;
    s.rows = static_cast<int64_t>(stretch.works.size());
    s.function = function_of(work);
    s.kernel = work.kernel;
    s.out = rows_[at(work.out)];
    bool uniform = false;  // such operands only kernels of views can read
    for (const int v : work.in) {
      s.in.push_back(rows_[at(v)]);
      uniform = uniform || s.in.back().uniform;
    }
    if (uniform) {
      s.function = nullptr;
      s.kernel = {};
    }
    if (s.kernel.kind == EntryKernel::Kind::None && s.function == nullptr) {
      s.op = work.eq->op;
      const auto view = [&](const FrameRow& r) {
        return View{nullptr, r.dtype, {frame_.lanes()}, {r.uniform ? 0 : 1}};
      };
      for (const FrameRow& r : s.in) s.views.push_back(view(r));
      s.views.push_back(view(s.out));
    }
    into_.cost_ += 20.0 + static_cast<double>(s.rows);
    into_.steps_.push_back(std::move(s));
  }

  ScalarCode& into_;
  const Graph& g_;
  Frame& frame_;
  cpu::EntryCode* code_;
  std::vector<FrameRow> rows_;  // by value
  std::vector<bool> has_row_;
  std::vector<Work> works_;
  std::vector<Stretch> stretches_;
  std::vector<int> claimed_;  // by value: the call that it is an operand of, together with others
  std::vector<int> block_;    // by value: where it lies together with others
  std::vector<Together> together_;
  std::map<size_t, std::vector<int64_t>> free_together_;  // by number of rows
};

ScalarCode::ScalarCode(const Ref<const Graph>& graph, const std::vector<FrameRow>& inputs, Frame& frame,
                       cpu::EntryCode* code, const std::vector<std::optional<FrameRow>>& wanted)
    : graph_(graph), lanes_(frame.lanes()), width_(frame.width()) {
  Builder(*this, *graph, inputs, frame, code, wanted);
}

void ScalarCode::run(char* frame) const {
  for (const Step& s : steps_) {
    if (s.code != nullptr)
      (*s.code)(&frame, 1, width_);
    else
      call(s, frame);
  }
}

void ScalarCode::call(const Step& s, char* frame) const {
  const char* in[3] = {nullptr, nullptr, nullptr};
  for (size_t i = 0; i < s.in.size(); ++i) in[i] = frame + s.in[i].offset;
  char* const out = frame + s.out.offset;
  if (s.kernel.kind != EntryKernel::Kind::None) {
    constexpr int64_t kSteps[3] = {1, 1, 1};
    const auto call = s.in.back().dtype == kFloat64 ? &call_entry_kernel<double> : &call_entry_kernel<float>;
    return call(s.kernel, in, kSteps, out, width_ * s.rows);
  }
  if (s.function != nullptr) {
    for (int64_t r = 0, step = 0; r < s.rows; ++r, step += 8 * width_) {
      const char* const row[] = {in[0] + step, in[1], in[2]};
      s.function(row, out + step, lanes_);
    }
    return;
  }
  View views[4];
  for (size_t i = 0; i < s.views.size(); ++i) {
    views[i] = s.views[i];
    views[i].data = i + 1 == s.views.size() ? out : frame + s.in[i].offset;
  }
  s.op->kernel({views, s.in.size()}, {views + s.in.size(), 1}, 1);
}

}  // namespace hesse
