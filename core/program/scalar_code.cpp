#include "core/program/scalar_code.h"

#include <algorithm>
#include <map>

#include "core/ops/elementwise.h"
#include "core/program/entry_call.h"
#include "core/program/scalar_schedule.h"

namespace hesse {
namespace {

using Work = ScalarSchedule::Work;
using Stretch = ScalarSchedule::Stretch;

size_t at(int v) { return static_cast<size_t>(v); }

}  // namespace

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

/// Gives rows to what the stretches of a schedule leave to others.
class ScalarCode::Builder {
 public:
  Builder(ScalarCode& into, const Graph& g, const std::vector<FrameRow>& inputs, Frame& frame,
          cpu::EntryCode* code, const std::vector<std::optional<FrameRow>>& wanted)
      : into_(into),
        g_(g),
        frame_(frame),
        code_(code),
        schedule_(g, code != nullptr),
        rows_(g.values().size()),
        has_row_(rows_.size()) {
    for (int i = 0; i < g.num_inputs(); ++i) give(i, inputs[at(i)]);
    for (const auto& [v, a] : g.constants()) give(v, frame.constant(a));
    place(wanted);
    for (const int v : g.outputs()) into.outputs_.push_back(rows_[at(v)]);
  }

 private:
  DType dtype(int v) const { return g_.values()[at(v)].dtype; }
  void give(int v, const FrameRow& row) {
    rows_[at(v)] = row;
    has_row_[at(v)] = true;
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
    if (schedule_.call[at(v)] >= 0 || row.uniform || row.dtype != dtype(v)) return false;
    if (std::count(g_.outputs().begin(), g_.outputs().end(), v) != 1) return false;
    std::vector<bool> here(rows_.size(), false);
    for (int i = 0; i < g_.num_inputs(); ++i) here[at(i)] = rows_[at(i)] == row;
    for (const int o : g_.outputs())
      if (here[at(o)]) return false;
    bool made = false;
    for (const Stretch& s : schedule_.stretches)
      for (const int w : s.works) {
        const Work& work = schedule_.works[at(w)];
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
    block_.assign(rows_.size(), -1);
    std::vector<int> operands(schedule_.stretches.size(), -1);  // the block of a call's operands
    std::vector<size_t> index(rows_.size(), 0);
    for (const Stretch& s : schedule_.stretches)
      if (!s.code && s.works.size() > 1)
        for (size_t i = 0; i < s.works.size(); ++i) index[at(schedule_.works[at(s.works[i])].in[0])] = i;
    std::vector<int> made(rows_.size(), -1), last(rows_.size(), -1);
    const int end = static_cast<int>(schedule_.stretches.size());
    for (int s = 0; s < end; ++s)
      for (const int w : schedule_.stretches[at(s)].works) {
        made[at(schedule_.works[at(w)].out)] = s;
        for (const int v : schedule_.works[at(w)].in) last[at(v)] = s;
      }
    for (const int v : g_.outputs()) last[at(v)] = end;
    for (size_t k = 0; k < wanted.size(); ++k)
      if (const int v = g_.outputs()[k]; wanted[k] && may_take(v, *wanted[k])) give(v, *wanted[k]);
    std::vector<int64_t> free;
    for (int s = 0; s < end; ++s) {
      const Stretch& stretch = schedule_.stretches[at(s)];
      size_t results = 0;
      const bool one_call = !stretch.code && stretch.works.size() > 1;
      if (one_call) {  // in the place of the operands, where nobody reads those later
        const bool over = std::all_of(stretch.works.begin(), stretch.works.end(),
                                      [&](int w) { return last[at(schedule_.works[at(w)].in[0])] <= s; });
        results = over ? at(operands[at(s)]) : take_together(stretch.works.size());
      }
      for (size_t i = 0; i < stretch.works.size(); ++i) {
        const int v = schedule_.works[at(stretch.works[i])].out;
        if ((stretch.code && last[at(v)] <= s) || has_row_[at(v)]) continue;
        if (one_call) {
          give_together(v, results, i);
          continue;
        }
        if (const int call = schedule_.call[at(v)];
            call >= 0 && schedule_.stretches[at(call)].works.size() > 1) {
          int& block = operands[at(call)];
          if (block < 0) block = static_cast<int>(take_together(schedule_.stretches[at(call)].works.size()));
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
        dead.push_back(schedule_.works[at(w)].out);
        dead.insert(dead.end(), schedule_.works[at(w)].in.begin(), schedule_.works[at(w)].in.end());
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
    for (const int w : stretch.works) number[schedule_.works[at(w)].out] = -1;
    for (const int w : stretch.works)
      for (const int v : schedule_.works[at(w)].in)
        if (number.try_emplace(v, static_cast<int>(loop.loads.size())).second) {
          loop.loads.push_back({0, rows_[at(v)].offset, rows_[at(v)].uniform});
          loop.is_bool.push_back(dtype(v) == kBool);
        }
    for (const int w : stretch.works) {
      const Work& work = schedule_.works[at(w)];
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
    const Work& work = schedule_.works[at(stretch.works[0])];
    Step s;
    s.rows = static_cast<int64_t>(stretch.works.size());
    s.function = ScalarSchedule::function_of(g_, work);
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
  const ScalarSchedule schedule_;
  std::vector<FrameRow> rows_;  // by value
  std::vector<bool> has_row_;
  std::vector<int> block_;  // by value: where it lies together with others
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
