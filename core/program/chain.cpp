#include "core/program/chain.h"

#include <algorithm>

#include "core/cpu/lane_gemm.h"
#include "core/cpu/simd_kernels.h"
#include "core/program/entry_call.h"

namespace hesse {
namespace {

constexpr int64_t kShortRow = 512;  // bytes: below, a call of a kernel for a row costs more than copying it

}  // namespace

template <class T>
void Chain::call(const Step& s, char* const* at, int64_t n) {
  call_entry_kernel<T>(s.kernel, at, s.step, at[s.count], n);
}

// Rows of a result: all its axes but the last, the first of them apart where there are several.
std::optional<Chain::Geometry> Chain::geometry(const Place& out) {
  const Shape& shape = out.view.shape;
  if (!is_contiguous(shape, out.view.strides)) return std::nullopt;
  Geometry g;
  if (!shape.empty()) g.run = shape.back();
  if (shape.size() >= 2) g.rows[1] = shape[shape.size() - 2];
  for (size_t d = 0; d + 2 < shape.size(); ++d) g.rows[0] *= shape[d];
  return g;
}

std::optional<Chain::Operand> Chain::operand(const Place& p, const Geometry& g) {
  const Shape& shape = p.view.shape;
  const Strides& strides = p.view.strides;
  const int64_t item = itemsize(p.view.dtype);
  Operand out{p.base, p.offset, {0, 0}, g.run == 1 ? 1 : strides.back(), item, p.passing};
  if (out.step != 0 && out.step != 1) return std::nullopt;
  if (shape.size() >= 2) out.rows[1] = strides[shape.size() - 2] * item;
  // The axes before collapse to one stride.
  int64_t expected = 0, stride = 0;
  bool first = true;
  for (size_t d = shape.size() >= 2 ? shape.size() - 2 : 0; d-- > 0;) {
    if (shape[d] == 1) continue;
    if (first) stride = strides[d];
    if (!first && strides[d] != expected) return std::nullopt;
    expected = strides[d] * shape[d];
    first = false;
  }
  out.rows[0] = stride * item;
  if (out.rows[0] < 0 || out.rows[1] < 0) return std::nullopt;
  if (g.run == 1 && out.rows[0] == 0 && out.rows[1] == 0 && g.rows[0] * g.rows[1] > 1)
    out.step = 0;  // one value for all rows
  return out;
}

std::optional<Chain::Geometry> Chain::fits(const EntryKernel& kernel, std::span<const Place* const> in,
                                           const Place& out) {
  const auto g = geometry(out);
  if (!g || in.size() > 3) return std::nullopt;
  for (const Place* p : in) {
    const auto o = operand(*p, *g);
    if (!o || (kernel.kind == EntryKernel::Kind::Unary && o->step == 0)) return std::nullopt;
  }
  return g;
}

// Its rows lie one after the other, so that many of them are one long run.
bool Chain::follows(const Operand& o) const {
  const Geometry& g = geometry_;
  const int64_t row = o.step * g.run * o.item;
  return (g.rows[0] == 1 && g.rows[1] == 1) || o.passing ||
         (o.rows[1] == row && (g.rows[0] == 1 || o.rows[0] == row * g.rows[1]));
}

void Chain::add(const EntryKernel& kernel, DType dtype, std::span<const Place* const> in, const Place& out) {
  const std::optional<Geometry> g = geometry(out);
  geometry_ = *g;
  Step s{kernel, dtype, dtype == kFloat32 ? &call<float> : &call<double>,
         {},     {},    static_cast<int>(in.size())};
  s.out = *operand(out, *g);
  for (size_t i = 0; i < in.size(); ++i) s.in[i] = *operand(*in[i], *g);
  s.whole = follows(s.out);
  for (int i = 0; i < s.count; ++i) {
    const bool follow = follows(s.in[i]);
    s.packed[i] = !follow && g->run * s.in[i].item <= kShortRow && s.in[i].item == itemsize(dtype);
    s.whole = s.whole && (follow || s.packed[i]);
  }
  for (int i = 0; i < s.count; ++i) {
    s.packed[i] = s.packed[i] && s.whole;
    s.step[i] = s.packed[i] ? 1 : s.in[i].step;
  }
  steps_.push_back(s);
  int64_t item = 1;
  for (const Step& step : steps_) {
    item = std::max(item, step.out.item);
    for (int i = 0; i < step.count; ++i) item = std::max(item, step.in[i].item);
  }
  block_ = std::max<int64_t>(1, kBlockBytes / (std::max<int64_t>(g->run, 1) * item));
}

/// Collects steps for one loop of code.
class Chain::Coder {
 public:
  Coder(const Chain& chain, size_t first) : chain_(chain), piece_{first, first, nullptr, {}, true} {
    loop_.dtype = chain.steps_[first].dtype;
  }

  /// Takes the step that follows the last one; false: it does not fit, and nothing changes.
  bool take() {
    const Step& s = chain_.steps_[piece_.last];
    const auto op = s.dtype != loop_.dtype    ? std::nullopt
                    : loop_.dtype == kFloat32 ? cpu::entry_op<float>(s.kernel.f)
                                              : cpu::entry_op<double>(s.kernel.f);
    if (!op || ops_.size() == cpu::EntryLoop::kMostSteps) return false;
    const int64_t row = chain_.geometry_.run * itemsize(s.dtype);
    const bool long_rows = cpu::EntryCode::has_parts() ? row >= kVectorBytes
                                                       : row % kVectorBytes == 0 || row >= 16 * kVectorBytes;
    for (int i = 0; i <= s.count; ++i) {
      const Operand& o = i < s.count ? s.in[i] : s.out;
      const bool is_bool = o.item == 1;
      if ((!long_rows && !chain_.follows(o)) || (is_bool && o.step == 0) || !encodable(o)) return false;
    }
    // Entries of another size may not go where some that are still to be read lie.
    for (const Operand& o : loaded_)
      if (s.out.passing && o.passing && o.offset == s.out.offset && o.item != s.out.item) return false;
    const size_t pointers = piece_.pointers.size();
    for (int i = 0; i <= s.count; ++i) pointer(i < s.count ? s.in[i] : s.out);
    if (piece_.pointers.size() > cpu::EntryLoop::kMostPointers) {
      piece_.pointers.resize(pointers);
      return false;
    }
    for (int i = 0; i < s.count; ++i)
      if (maker(s.in[i]) == piece_.last && !is_loaded(s.in[i])) loaded_.push_back(s.in[i]);
    ops_.push_back(*op);
    ++piece_.last;
    return true;
  }

  size_t size() const { return ops_.size(); }

  Piece write(cpu::EntryCode& code) {
    const int loads = static_cast<int>(loaded_.size());
    for (const Operand& o : loaded_) {
      loop_.loads.push_back(memory(o));
      loop_.is_bool.push_back(o.item == 1);
      piece_.flat = piece_.flat && chain_.follows(o);
    }
    for (size_t k = piece_.first; k < piece_.last; ++k) {
      const Step& s = chain_.steps_[k];
      cpu::EntryLoop::Step step{ops_[k - piece_.first], {-1, -1, -1}, std::nullopt};
      for (int i = 0; i < s.count; ++i) {
        const size_t m = maker(s.in[i], k);
        step.in[i] = m < k ? loads + static_cast<int>(m - piece_.first) : load(s.in[i]);
      }
      if (is_read_later(k)) {
        step.out = memory(s.out);
        piece_.flat = piece_.flat && chain_.follows(s.out);
      }
      loop_.steps.push_back(step);
    }
    for (const Operand& p : piece_.pointers) loop_.row_bytes.push_back(p.rows[1]);
    if (!piece_.flat && chain_.geometry_.run < cpu::EntryLoop::kMostRun) loop_.run = chain_.geometry_.run;
    piece_.code = code.add(loop_);
    return piece_;
  }

 private:
  static constexpr int64_t kVectorBytes = 32;

  static bool same_place(const Operand& a, const Operand& b) {
    return a.base == b.base && a.offset == b.offset && a.passing == b.passing;
  }
  static bool encodable(const Operand& o) {
    const auto fits = [](int64_t x) { return x >= 0 && x < (int64_t{1} << 31); };
    return fits(o.offset) && fits(o.rows[1]);
  }
  bool is_loaded(const Operand& o) const { return load(o) < static_cast<int>(loaded_.size()); }
  int load(const Operand& o) const {
    const auto it = std::find_if(loaded_.begin(), loaded_.end(), [&](const Operand& l) {
      return same_place(l, o) && l.rows[0] == o.rows[0] && l.rows[1] == o.rows[1] && l.step == o.step &&
             l.item == o.item;
    });
    return static_cast<int>(it - loaded_.begin());
  }
  // The step of this piece, before `end`, that wrote what is read there; `end` if it was there before.
  size_t maker(const Operand& o, size_t end) const {
    for (size_t k = end; k-- > piece_.first;)
      if (same_place(chain_.steps_[k].out, o)) return k;
    return end;
  }
  size_t maker(const Operand& o) const { return maker(o, piece_.last); }

  // Whether memory must hold the result of step k: all but what passes to steps of this piece only.
  bool is_read_later(size_t k) const {
    const Operand& out = chain_.steps_[k].out;
    if (!out.passing) return true;
    for (size_t j = k + 1; j < chain_.steps_.size(); ++j) {
      const Step& s = chain_.steps_[j];
      for (int i = 0; j >= piece_.last && i < s.count; ++i)
        if (same_place(s.in[i], out)) return true;
      if (same_place(s.out, out)) return false;
    }
    return false;
  }

  int pointer(const Operand& o) {
    for (size_t p = 0; p < piece_.pointers.size(); ++p) {
      const Operand& q = piece_.pointers[p];
      if (q.passing == o.passing && q.base == o.base && q.rows[0] == o.rows[0] && q.rows[1] == o.rows[1])
        return static_cast<int>(p);
    }
    piece_.pointers.push_back(o);
    piece_.pointers.back().offset = 0;
    return static_cast<int>(piece_.pointers.size()) - 1;
  }
  cpu::EntryLoop::Memory memory(const Operand& o) { return {pointer(o), o.offset, o.step == 0}; }

  const Chain& chain_;
  Piece piece_;
  cpu::EntryLoop loop_;
  std::vector<cpu::EntryOp> ops_;
  std::vector<Operand> loaded_;  // read from memory
};

void Chain::finish(cpu::EntryCode* code) {
  pieces_.clear();
  for (size_t first = 0; first < steps_.size();) {
    Coder coder(*this, first);
    if (code != nullptr && coder.take()) {
      while (first + coder.size() < steps_.size() && coder.take()) {
      }
      pieces_.push_back(coder.write(*code));
    } else if (!pieces_.empty() && pieces_.back().code == nullptr) {
      ++pieces_.back().last;
    } else {
      pieces_.push_back({first, first + 1, nullptr, {}, true});
    }
    first = pieces_.back().last;
  }
  at_once_ = pieces_.size() == 1 && pieces_[0].code != nullptr;  // nothing passes through memory
}

// Only the first axis varies, and it is the outermost level that is longer than one.
Chain::Geometry Chain::geometry_of(const int64_t* counts) const {
  Geometry g = geometry_;
  if (!varying_ || counts == nullptr) return g;
  const auto [whole, place] = *varying_;
  int64_t& level = g.rows[0] > 1 ? g.rows[0] : g.rows[1] > 1 ? g.rows[1] : g.run;
  level = level / whole * counts[place];
  return g;
}

void Chain::run(char* const* bases, const int64_t* counts) const {
  const Geometry g = geometry_of(counts);
  const int64_t rows = g.run == 0 ? 0 : g.rows[0] * g.rows[1], block = at_once_ ? rows : block_;
  for (int64_t begin = 0; begin < rows; begin += block) {
    const Block here{g, bases, begin, std::min(block, rows - begin)};
    for (const Piece& piece : pieces_) {
      if (piece.code != nullptr)
        run_code(piece, here);
      else
        for (size_t k = piece.first; k < piece.last; ++k) run_block(steps_[k], here);
    }
  }
}

void Chain::run_code(const Piece& piece, const Block& block) {
  const Geometry& g = block.geometry;
  char* at[cpu::EntryLoop::kMostPointers];
  const int64_t end = block.begin + block.rows;
  for (int64_t row = block.begin; row < end;) {
    const int64_t n = piece.flat ? end - row : std::min(g.rows[1] - row % g.rows[1], end - row);
    for (size_t p = 0; p < piece.pointers.size(); ++p) at[p] = block.row(piece.pointers[p], row);
    if (piece.flat)
      (*piece.code)(at, 1, n * g.run);
    else
      (*piece.code)(at, n, g.run);
    row += n;
  }
}

// Rows are counted over both levels.
char* Chain::Block::row(const Operand& o, int64_t row) const {
  char* const first = bases[o.base] + o.offset;
  if (o.passing) return first + (row - begin) * o.rows[1];
  if (row < geometry.rows[1]) return first + row * o.rows[1];  // divisions take longer than short rows
  return first + row / geometry.rows[1] * o.rows[0] + row % geometry.rows[1] * o.rows[1];
}

// Rows that do not follow each other, one after the other.
void Chain::Block::pack(const Operand& o, char* to) const {
  const auto run = [&]<class T>(const cpu::LaneKernels<T>& kernels) {
    for (int64_t r = begin; r < begin + rows;) {
      const int64_t n = std::min(geometry.rows[1] - r % geometry.rows[1], begin + rows - r);
      kernels.spread(n, geometry.run, reinterpret_cast<const T*>(row(o, r)), o.rows[1] / o.item, o.step,
                     reinterpret_cast<T*>(to));
      to += n * geometry.run * o.item;
      r += n;
    }
  };
  if (o.item == 4)
    run(cpu::lane_kernels<float>());
  else
    run(cpu::lane_kernels<double>());
}

void Chain::run_block(const Step& s, const Block& block) {
  char* at[4];
  if (!s.whole) {
    for (int64_t row = block.begin; row < block.begin + block.rows; ++row) {
      for (int i = 0; i < s.count; ++i) at[i] = block.row(s.in[i], row);
      at[s.count] = block.row(s.out, row);
      s.call(s, at, block.geometry.run);
    }
    return;
  }
  alignas(64) char copies[3][kBlockBytes];
  for (int i = 0; i < s.count; ++i) {
    at[i] = copies[i];
    if (s.packed[i])
      block.pack(s.in[i], copies[i]);
    else
      at[i] = block.row(s.in[i], block.begin);
  }
  at[s.count] = block.row(s.out, block.begin);
  s.call(s, at, block.rows * block.geometry.run);
}

}  // namespace hesse
