// What a loop in lanes does with data; lane_loop.cpp lays it out.
#include <array>
#include <bit>
#include <cstring>

#include "core/ops/control_graph.h"
#include "core/program/lane_loop.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

}  // namespace

/// One call. A thread is what goes its own way: a lane, or all lanes where they are the rows of one example.
/// Entries and rows of a thread are `wide` numbers.
struct LaneLoop::Run {
  static constexpr int64_t kMostThreads = 16;
  /// Entries of one operand or result, where example 0 has them, and steps in bytes: to the next element of a
  /// scan, and to the next row (0 where all have the same).
  struct Place {
    View view;  // as it was met last; `data` says where it is now
    bool by_element = false;
    int64_t step = 0;              // to the next entry, where they are evenly spaced
    std::vector<int64_t> entries;  // else each
    int64_t entry(size_t k) const { return entries.empty() ? static_cast<int64_t>(k) * step : entries[k]; }
    int64_t item = 8, time = 0, row = 0;
    bool partial = false;  // rows hold what adds up to it
    char* data = nullptr;
  };
  const LaneLoop& loop;
  const int64_t threads, wide;
  const Ref<Buffer> memory;
  char* const frame;
  int lane_axes = 0;
  int64_t length = 0;
  std::vector<Place> in, out;
  Dims shape;  // of the examples
  int64_t examples = 1, next = 0, steps = 0;
  int64_t element[kMostThreads];
  std::vector<char*> example;     // by operand or result, then thread: where it lies
  std::vector<char*> element_at;  // by operand or result: the element of the thread in hand
  std::vector<uint32_t> waiting;  // by block: threads, a bit each
  /// What is on a stack, from `begin` on that of this element of the scan. A number has eight bytes.
  struct Entries {
    Ref<Buffer> memory;
    size_t begin = 0, used = 0, last = 0;  // bytes; what to begin with, from the last run
    char* data() const { return static_cast<char*>(memory->data()); }
  };
  /// The stack of this element within an operand that holds those of all, in entries; and their lengths.
  struct Slice {
    size_t begin = 0, count = 0;
    const Place* lengths = nullptr;
  };
  std::vector<Entries> stacks;  // by stack and thread
  std::vector<Slice> slices;    // by stack
  std::vector<size_t> cursors;  // by cursor and thread
  uint32_t active = 0;
  int dear = -1;  // the last block that was not cheap

  explicit Run(const LaneLoop& l)
      : loop(l),
        threads(l.threads()),
        wide(l.frame_.lanes() / threads),
        memory(Buffer::allocate(at(std::max<int64_t>(l.frame_.bytes(), 64)))),
        frame(static_cast<char*>(memory->data())),
        stacks(l.stacks_.size() * at(threads)),
        slices(l.stacks_.size()) {
    l.frame_.initialise(frame);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void begin(std::span<const View> x, std::span<const View> y, int axes, int64_t n) {
    length = n;
    place_all(x, y, axes);
    const View& any = x.empty() ? y[0] : x[0];
    shape.resize(0);
    examples = 1;
    for (size_t d = any.shape.size() - at(axes); d < any.shape.size(); ++d) shape.push_back(any.shape[d]);
    for (const int64_t s : shape) examples *= s;
    waiting.assign(loop.blocks_.size(), 0);
    cursors.assign(loop.num_cursors_ * at(threads), 0);
    for (Entries& e : stacks) e.begin = e.used = 0;
    next = steps = 0;
    active = 0;
    dear = -1;
    if (!loop.scan_) return;
    size_t lengths = loop.inputs_.size();
    for (size_t s = 0; s < slices.size(); ++s) {
      if (loop.stacks_[s].operand < 0) continue;
      slices[s].lengths = &in[lengths++];
      slices[s].count = 0;
      slices[s].begin = at(loop.reverse_ ? x[at(loop.stacks_[s].operand)].shape[0] : 0);
    }
  }
  /// Of what was on the stacks, little is kept for the next run.
  void end() {
    constexpr size_t kMostKept = size_t{1} << 16;
    for (size_t i = 0; i < stacks.size(); ++i) {
      stacks[i].last = std::min(stacks[i].used, kMostKept);
      if (!stacks[i].memory || loop.stacks_[i / at(threads)].kept || stacks[i].memory->bytes() > kMostKept)
        stacks[i].memory = nullptr;
    }
  }

  void place_all(std::span<const View> x, std::span<const View> y, int axes) {
    const bool anew = axes != lane_axes || in.empty();
    lane_axes = axes;
    in.resize(x.size());
    out.resize(y.size());
    example.resize((x.size() + y.size()) * at(threads));
    element_at.resize(x.size() + y.size());
    const size_t carries = loop.num_carry_;
    for (size_t i = 0; i < x.size(); ++i) {
      const bool by_element = (i >= carries && i < carries + loop.num_xs_) || i >= loop.inputs_.size();
      place(in[i], x[i], by_element, loop.rows_of_operand(i), anew);
    }
    for (size_t k = 0; k < y.size(); ++k) place(out[k], y[k], k >= carries, loop.rows_of_result(k), anew);
  }
  // Layouts are mostly those of the last run.
  void place(Place& p, const View& v, bool by_element, RowAxis rows, bool anew) const {
    if (anew || p.by_element != by_element || !same_layout(p.view, v, by_element)) {
      p = placed(v, by_element, rows);
      p.view = v;
      p.by_element = by_element;
    }
    p.data = static_cast<char*>(v.data);
  }
  static bool same_layout(const View& a, const View& b, bool by_element) {
    if (a.dtype != b.dtype || a.shape.size() != b.shape.size() || !(a.strides == b.strides)) return false;
    for (size_t d = by_element ? 1 : 0; d < a.shape.size(); ++d)
      if (a.shape[d] != b.shape[d]) return false;
    return true;
  }
  Place placed(const View& v, bool by_element, RowAxis rows) const {
    Place p;
    p.item = itemsize(v.dtype);
    size_t d = 0;
    if (by_element) p.time = v.strides[d++] * p.item;
    p.partial = rows == kPartial;
    const size_t of_rows = rows < 0 ? v.shape.size() : d + at(rows), end = v.shape.size() - at(lane_axes);
    if (rows >= 0) p.row = v.strides[of_rows] * p.item;
    // The axes but that of rows, as one where they follow each other.
    Dims shape, strides;
    for (; d < end; ++d) {
      if (d == of_rows || v.shape[d] == 1) continue;
      if (!shape.empty() && strides.back() == v.shape[d] * v.strides[d]) {
        shape.back() *= v.shape[d];
        strides.back() = v.strides[d];
      } else {
        shape.push_back(v.shape[d]);
        strides.push_back(v.strides[d]);
      }
    }
    if (shape.size() <= 1) {
      p.step = shape.empty() ? 0 : strides[0] * p.item;
      return p;
    }
    p.entries = {0};
    for (size_t a = 0; a < shape.size(); ++a) {
      std::vector<int64_t> all;
      for (const int64_t e : p.entries)
        for (int64_t i = 0; i < shape[a]; ++i) all.push_back(e + i * strides[a] * p.item);
      p.entries = std::move(all);
    }
    return p;
  }
  char* at_example(const Place& p, int64_t e) const {
    char* out = p.data;
    const Strides& strides = p.view.strides;
    for (size_t a = shape.size(); a-- > 0;) {
      out += e % shape[a] * strides[strides.size() - shape.size() + a] * p.item;
      e /= shape[a];
    }
    return out;
  }

  static void copy(char* to, const char* from, int64_t item) {
    if (item == 8) [[likely]]
      std::memcpy(to, from, 8);
    else if (item == 4)
      std::memcpy(to, from, 4);
    else
      std::memcpy(to, from, at(item));
  }
  char* lane_of(const FrameRow& r, int lane) const { return frame + r.offset + lane * r.item; }
  char* example_of(size_t place, int lane) const { return example[place * at(threads) + at(lane)]; }
  // n numbers from places so many bytes apart to others.
  static void copy_all(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t n,
                       int64_t item) {
    if (n == 1) return copy(to, from, item);
    if (to_step == item && from_step == item)
      std::memcpy(to, from, at(n * item));
    else if (item == 8)
      for (; n-- > 0; to += to_step, from += from_step) std::memcpy(to, from, 8);
    else
      for (; n-- > 0; to += to_step, from += from_step) copy(to, from, item);
  }
  // The numbers of a row from an entry of an operand, and back.
  void read(const FrameRow& r, int lane, const char* from, int64_t step) {
    copy_all(lane_of(r, lane), r.item, from, step, r.uniform ? 1 : wide, r.item);
  }
  void write(char* to, int64_t step, const FrameRow& r, int lane) const {
    copy_all(to, step, lane_of(r, lane), r.uniform ? 0 : r.item, step == 0 ? 1 : wide, r.item);
  }
  void load(size_t i, int lane) {
    const Rows& rows = loop.inputs_[i];
    const char* const from = example_of(i, lane);
    if (loop.packed_[i] && in[i].entries.empty() && in[i].step == 8) {
      std::memcpy(lane_of(rows[0], 0), from, 8 * rows.size());
      return;
    }
    for (size_t k = 0; k < rows.size(); ++k) {
      read(rows[k], lane, from + in[i].entry(k), in[i].row);
      if (in[i].partial) std::memset(lane_of(rows[k], 1), 0, at((wide - 1) * rows[k].item));
    }
  }
  void store(size_t i, const Rows& rows, int lane) {
    char* const to = example_of(in.size() + i, lane);
    for (size_t k = 0; k < rows.size(); ++k) {
      if (out[i].partial) rows[k].dtype == kFloat64 ? add_up<double>(rows[k]) : add_up<float>(rows[k]);
      write(to + out[i].entry(k), out[i].row, rows[k], lane);
    }
  }
  // In four sums, as each addition waits for the one before it.
  template <class T>
  void add_up(const FrameRow& r) {
    T* const x = reinterpret_cast<T*>(lane_of(r, 0));
    T sums[4] = {};
    int64_t i = 0;
    for (; i + 4 <= wide; i += 4)
      for (int64_t j = 0; j < 4; ++j) sums[j] += x[i + j];
    for (; i < wide; ++i) sums[0] += x[i];
    x[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
  int64_t time_of(int64_t e) const { return loop.reverse_ ? length - 1 - e : e; }

  // The element of a scan that a lane begins with.
  void begin_element(int lane) {
    find_element(lane);
    for (Slice& s : slices)
      if (s.lengths) take_slice(s, time_of(element[lane]));
    for (const Scalar& s : loop.scalars_of_xs_)
      read(s.row, lane, element_at[s.place] + in[s.place].entry(s.index), in[s.place].row);
    for (const Scalar& s : loop.scalars_saved_) write_element(s, lane);
  }
  void take_slice(Slice& s, int64_t time) {
    int64_t count;
    std::memcpy(&count, s.lengths->data + time * s.lengths->time, sizeof count);
    if (!loop.reverse_) s.begin += s.count;
    s.count = at(count);
    if (loop.reverse_) s.begin -= s.count;
  }
  void write_element(const Scalar& s, int lane) const {
    const Place& p = out[s.place - in.size()];
    write(element_at[s.place] + p.entry(s.index), p.row, s.row, lane);
  }
  // All scalars are then one loop: of many short ones processors do not expect the ends.
  void find_element(int lane) {
    const int64_t time = time_of(element[lane]);
    for (const size_t i : loop.by_element_)
      element_at[i] = example_of(i, lane) + time * (i < in.size() ? in[i] : out[i - in.size()]).time;
  }
  Entries& stack(int s, int lane) { return stacks[at(s * threads + lane)]; }
  size_t bytes_of_scalar() const { return 8 * at(wide); }
  size_t bytes_of_entry(int stack) const { return bytes_of_scalar() * loop.stacks_[at(stack)].scalars; }
  void push(const Block& b, int lane) {
    Entries& to = stack(b.stack, lane);
    const size_t entry = bytes_of_scalar() * b.entry.size(), end = to.used + entry;
    if (!to.memory || end > to.memory->bytes()) {
      const Ref<Buffer> more = Buffer::allocate(std::max({2 * to.used, 8 * entry, to.last}));
      if (to.used > 0) std::memcpy(more->data(), to.data(), to.used);
      to.memory = more;
    }
    char* p = to.data() + to.used;
    for (const FrameRow& r : b.entry) {
      write(p, wide == 1 ? 0 : r.item, r, lane);
      p += bytes_of_scalar();
    }
    to.used = end;
  }
  size_t& cursor(const Block& b, int lane) { return cursors[at(b.cursor * threads + lane)]; }
  size_t entries(int s, int lane) {
    if (loop.stacks_[at(s)].operand >= 0) return slices[at(s)].count;
    const Entries& all = stack(s, lane);
    return (all.used - all.begin) / bytes_of_entry(s);
  }
  void rewind(const Block& b, int lane) {
    cursor(b, lane) = entries(b.columns[0].stack, lane);
    for (const Column& c : b.columns)
      require(entries(c.stack, lane) == cursor(b, lane), "scan: xs of lengths ", cursor(b, lane), " and ",
              entries(c.stack, lane), "; all xs are sliced along axis 0 together");
  }
  void clear(int s, int lane) {
    Entries& all = stack(s, lane);
    all.begin = all.used = loop.stacks_[at(s)].kept ? all.used : 0;
  }
  bool pop(const Block& b, int lane) {
    size_t& left = cursor(b, lane);
    if (left == 0) return false;
    --left;
    const char* from = nullptr;
    int last = -1;
    for (const Column& c : b.columns) {
      if (const int i = loop.stacks_[at(c.stack)].operand; i >= 0) {
        const Place& p = in[at(i)];
        const auto entry = static_cast<int64_t>(slices[at(c.stack)].begin + left);
        read(c.to, lane, p.data + entry * p.time + p.entry(c.index), p.row);
        continue;
      }
      if (c.stack != last) {
        last = c.stack;
        const Entries& all = stack(c.stack, lane);
        from = all.data() + all.begin + left * bytes_of_entry(last);
      }
      read(c.to, lane, from + c.index * bytes_of_scalar(), c.to.item);
    }
    return true;
  }
  // A part of a stack as an array.
  Array kept(const Kept& k, Aval entries) const {
    const Entries& all = stacks[at(k.stack)];
    Shape& shape = entries.shape;
    shape[0] = static_cast<int64_t>(all.used / bytes_of_entry(k.stack));
    if (shape[0] == 0) return Array::uninitialized(shape, entries.dtype);
    const auto item = static_cast<int64_t>(itemsize(entries.dtype));
    const auto scalar = static_cast<int64_t>(bytes_of_scalar()) / item;
    const RowAxis rows = loop.rows_of_result(k.result);
    Strides strides(shape.size(), 1);  // of the rows of a number
    int64_t stride = scalar;
    for (size_t d = shape.size(); d-- > 1;) {
      if (rows >= 0 && d == at(rows) + 1) continue;
      strides[d] = stride;
      stride *= shape[d];
    }
    strides[0] = static_cast<int64_t>(bytes_of_entry(k.stack)) / item;
    return Array(shape, strides, static_cast<int64_t>(k.index) * scalar, entries.dtype, all.memory);
  }
  void wait_at(int block, uint32_t lanes) {
    if (block != kEnd)
      waiting[at(block)] |= lanes;
    else
      for (; lanes != 0; lanes &= lanes - 1) finish(std::countr_zero(lanes));
  }
  // The results of a lane; then the next example there.
  void finish(int lane) {
    for (size_t i = 0; i < loop.carry_out_.size(); ++i) store(i, loop.carry_out_[i], lane);
    take_example(lane);
  }
  void take_example(int lane) {
    for (;;) {
      if (next == examples) {
        active &= ~(1u << lane);
        return;
      }
      for (size_t i = 0; i < in.size() + out.size(); ++i)
        example[i * at(threads) + at(lane)] = at_example(i < in.size() ? in[i] : out[i - in.size()], next);
      ++next;
      element[lane] = 0;
      for (size_t i = 0; i < in.size(); ++i)
        if (i < loop.num_carry_ || (i >= loop.num_carry_ + loop.num_xs_ && i < loop.inputs_.size()))
          load(i, lane);
      if (!loop.scan_ || length > 0) break;
      for (size_t i = 0; i < loop.carry_out_.size(); ++i) store(i, loop.carry_out_[i], lane);
    }
    active |= 1u << lane;
    if (loop.scan_) begin_element(lane);
    waiting[at(loop.entry_)] |= 1u << lane;
  }
  void next_element(const Block& b, int lane) {
    find_element(lane);
    for (const Scalar& s : loop.scalars_of_ys_) write_element(s, lane);
    for (size_t j = 0; j < loop.kept_.size(); ++j) {
      if (loop.kept_[j].lengths != j) continue;
      const Place& to = out[out.size() - loop.kept_.size() + j];
      const auto count = static_cast<int64_t>(entries(loop.kept_[j].stack, lane));
      std::memcpy(to.data + time_of(element[lane]) * to.time, &count, sizeof count);
    }
    if (++element[lane] == length) return finish(lane);
    begin_element(lane);
    wait_at(b.to, 1u << lane);
  }

  void move(const Move& m, uint32_t lanes) {
    const int64_t item = m.to.item;
    char* const to = frame + m.to.offset;
    const char* const from = frame + m.from.offset;
    if (lanes == active) {
      if (loop.frame_.lanes() == 1)
        copy(to, from, item);
      else if (m.from.uniform)
        copy_all(to, item, from, 0, wide, item);
      else
        std::memcpy(to, from, at(item * loop.frame_.lanes()));
      return;
    }
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
      const int64_t offset = std::countr_zero(rest) * item;
      copy(to + offset, from + offset, item);
    }
  }

  // Cheap blocks first, as they lead to the others; of those the one at which most lanes wait. The last one
  // is kept on while lanes come back to it, unless almost all wait elsewhere: they gather there meanwhile.
  int chosen() {
    const auto stays = static_cast<int>(3 * threads / 4);
    int best = -1, most = 0;
    for (size_t b = 0; b < waiting.size(); ++b) {
      if (waiting[b] == 0) continue;
      if (b < loop.num_cheap_) return static_cast<int>(b);
      const int lanes = count(waiting[b]) + (static_cast<int>(b) == dear ? stays : 0);
      if (lanes <= most) continue;
      best = static_cast<int>(b);
      most = lanes;
    }
    dear = best;
    return best;
  }
  // Without the instruction for it, which not every processor has.
  static int count(uint32_t lanes) {
    static constexpr auto kOfByte = [] {
      std::array<uint8_t, 256> n{};
      for (size_t i = 1; i < n.size(); ++i) n[i] = static_cast<uint8_t>(n[i / 2] + i % 2);
      return n;
    }();
    return kOfByte[lanes & 255] + kOfByte[lanes >> 8];
  }
  // Bits of lanes as bytes of bools, and back, eight at once.
  static constexpr uint64_t kOnes = 0x0101010101010101;
  void set_bools(const FrameRow& r, uint32_t lanes) {
    if (loop.frame_.lanes() == 8) {
      const uint64_t bit_of_each = lanes * kOnes & 0x8040201008040201;
      const uint64_t bools = (bit_of_each + 0x7f * kOnes) >> 7 & kOnes;
      std::memcpy(frame + r.offset, &bools, 8);
    } else {
      for (int lane = 0; lane < loop.frame_.lanes(); ++lane)
        *lane_of(r, lane) = static_cast<char>(lanes >> lane & 1);
    }
  }
  uint32_t bools(const FrameRow& r) const {
    if (threads == 8) {
      uint64_t all;
      std::memcpy(&all, frame + r.offset, 8);
      return static_cast<uint32_t>((all & kOnes) * 0x0102040810204080 >> 56);
    }
    uint32_t out = 0;
    for (int lane = 0; lane < threads; ++lane) out |= (*lane_of(r, lane) != 0 ? 1u : 0u) << lane;
    return out;
  }
  void run() {
    for (int lane = 0; lane < threads; ++lane) take_example(lane);
    while (active != 0) {
      if (++steps % 4096 == 0) poll_interrupt();
      const int b = chosen();
      const uint32_t lanes = waiting[at(b)];
      waiting[at(b)] = 0;
      run_block(loop.blocks_[at(b)], lanes);
    }
  }
  void run_block(const Block& b, uint32_t lanes) {
    for (const int s : b.clear)
      for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) clear(s, std::countr_zero(rest));
    if (b.rewind >= 0)
      for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
        rewind(loop.blocks_[at(b.rewind)], std::countr_zero(rest));
    if (b.code) b.code->run(frame);
    if (!b.moving.empty()) {
      if (threads > 1) set_bools(loop.marked_, lanes);
      for (const auto* code : b.moving) (*code)(&frame, 1, loop.frame_.width());
    }
    for (const Move& m : b.aside) move(m, active);
    for (const Move& m : b.moves) move(m, lanes);
    uint32_t go_on = lanes;
    switch (b.then) {
      case Block::Then::Jump:
        break;
      case Block::Then::Branch:
        go_on &= bools(b.condition);
        if (b.stack >= 0)
          for (uint32_t rest = go_on; rest != 0; rest &= rest - 1) push(b, std::countr_zero(rest));
        break;
      case Block::Then::Pop:
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
          if (!pop(b, std::countr_zero(rest))) go_on &= ~(rest & -rest);
        break;
      case Block::Then::Next:
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) next_element(b, std::countr_zero(rest));
        return;
    }
    wait_at(b.to, go_on);
    if (go_on != lanes) wait_at(b.otherwise, lanes & ~go_on);
  }
};

LaneLoop::Runs::Runs() = default;
LaneLoop::Runs::~Runs() = default;

std::unique_ptr<LaneLoop::Run> LaneLoop::Runs::take(const LaneLoop& loop) const {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Run> out = std::move(free_.back());
      free_.pop_back();
      return out;
    }
  }
  return std::make_unique<Run>(loop);
}

void LaneLoop::Runs::give(std::unique_ptr<Run> run) const {
  run->end();
  const std::lock_guard lock(mutex_);
  if (free_.size() < kMost) free_.push_back(std::move(run));
}

void LaneLoop::run(std::span<const View> x, std::span<const View> out, int lane_axes, int64_t length) const {
  std::unique_ptr<Run> call = runs_.take(*this);  // one that throws is not used again
  call->begin(x, out, lane_axes, length);
  call->run();
  runs_.give(std::move(call));
}

Arrays LaneLoop::evaluated(std::span<const Array> x, const Avals& results, int64_t length) const {
  std::vector<View> in, views(results.size());
  in.reserve(x.size());
  Arrays out(results.size());
  for (const Array& a : x) in.push_back(a.view());
  const size_t lengths = results.size() - (scan_ ? kept_.size() : 0);
  for (size_t k = 0; k < results.size(); ++k) {
    if (is_stack(results[k])) {  // known when all is done
      views[k] = {nullptr, results[k].dtype, results[k].shape, contiguous_strides(results[k].shape)};
      continue;
    }
    const bool shared = k >= lengths && kept_[k - lengths].lengths != k - lengths;
    out[k] = shared ? out[lengths + kept_[k - lengths].lengths]
                    : Array::uninitialized(results[k].shape, results[k].dtype);
    views[k] = out[k].view();
  }
  std::unique_ptr<Run> call = runs_.take(*this);
  call->begin(in, views, 0, length);
  call->run();
  for (const Kept& k : kept_) out[k.result] = call->kept(k, results[k.result]);
  runs_.give(std::move(call));
  return out;
}

}  // namespace hesse
