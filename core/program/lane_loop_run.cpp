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

Ref<Buffer> LaneLoop::Frames::take(const Frame& frame) const {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Ref<Buffer> out = std::move(free_.back());
      free_.pop_back();
      return out;
    }
  }
  Ref<Buffer> out = Buffer::allocate(at(std::max<int64_t>(frame.bytes(), 64)));
  frame.initialise(static_cast<char*>(out->data()));
  return out;
}

void LaneLoop::Frames::give(Ref<Buffer> frame) const {
  const std::lock_guard lock(mutex_);
  if (free_.size() < kMost) free_.push_back(std::move(frame));
}

/// One call. A thread is what goes its own way: a lane, or all lanes where they are the rows of one example.
/// Entries and rows of a thread are `wide` numbers.
struct LaneLoop::Run {
  static constexpr int64_t kMostThreads = 16;
  /// Entries of one operand or result, where example 0 has them, and steps in bytes: to the next element of a
  /// scan, and to the next row (0 where all have the same).
  struct Place {
    int64_t step = 0;              // to the next entry, where they are evenly spaced
    std::vector<int64_t> entries;  // else each
    int64_t entry(size_t k) const { return entries.empty() ? static_cast<int64_t>(k) * step : entries[k]; }
    int64_t item = 8, time = 0, row = 0;
    bool partial = false;  // rows hold what adds up to it
    char* data = nullptr;
    const View* view = nullptr;
  };
  const LaneLoop& loop;
  const int64_t threads, wide;
  int lane_axes;
  int64_t length;
  Ref<Buffer> memory;
  char* frame;
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
    size_t begin = 0, used = 0;
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

  Run(const LaneLoop& l, std::span<const View> x, std::span<const View> y, int axes, int64_t n)
      : loop(l),
        threads(l.threads()),
        wide(l.frame_.lanes() / threads),
        lane_axes(axes),
        length(n),
        memory(l.frames_.take(l.frame_)),
        frame(static_cast<char*>(memory->data())),
        waiting(l.blocks_.size(), 0),
        stacks(l.stacks_.size() * at(threads)),
        slices(l.stacks_.size()),
        cursors(l.num_cursors_ * at(threads), 0) {
    const View& any = x.empty() ? y[0] : x[0];
    for (size_t d = any.shape.size() - at(axes); d < any.shape.size(); ++d) shape.push_back(any.shape[d]);
    for (const int64_t s : shape) examples *= s;
    in.reserve(x.size());
    out.reserve(y.size());
    for (size_t i = 0; i < x.size(); ++i)
      in.push_back(place(x[i], (i >= l.num_carry_ && i < l.num_carry_ + l.num_xs_) || i >= l.inputs_.size(),
                         l.rows_of_operand(i)));
    for (size_t k = 0; k < y.size(); ++k) out.push_back(place(y[k], k >= l.num_carry_, l.rows_of_result(k)));
    example.resize((x.size() + y.size()) * at(threads));
    element_at.resize(x.size() + y.size());
    if (!l.scan_) return;
    size_t lengths = l.inputs_.size();
    for (size_t s = 0; s < slices.size(); ++s) {
      if (l.stacks_[s].operand < 0) continue;
      slices[s].lengths = &in[lengths++];
      slices[s].begin = at(l.reverse_ ? x[at(l.stacks_[s].operand)].shape[0] : 0);
    }
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { loop.frames_.give(std::move(memory)); }

  Place place(const View& v, bool by_element, RowAxis rows) const {
    Place p;
    p.item = itemsize(v.dtype);
    p.data = static_cast<char*>(v.data);
    p.view = &v;
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
    const Strides& strides = p.view->strides;
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
  template <class T>
  void add_up(const FrameRow& r) {
    T* const x = reinterpret_cast<T*>(lane_of(r, 0));
    for (int64_t i = 1; i < wide; ++i) x[0] += x[i];
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
      const Ref<Buffer> more = Buffer::allocate(std::max(2 * to.used, 8 * entry));
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
  // A part of a stack as an array like `none`, which has no entries; none where there are none.
  Array kept(const Kept& k, const Array& none) const {
    const Entries& all = stacks[at(k.stack)];
    if (all.used == 0) return {};
    const auto item = static_cast<int64_t>(itemsize(none.dtype()));
    const auto scalar = static_cast<int64_t>(bytes_of_scalar()) / item;
    Shape shape = none.shape();
    shape[0] = static_cast<int64_t>(all.used / bytes_of_entry(k.stack));
    const RowAxis rows = loop.rows_of_result(k.result);
    Strides strides(shape.size(), 1);  // of the rows of a number
    int64_t stride = scalar;
    for (size_t d = shape.size(); d-- > 1;) {
      if (rows >= 0 && d == at(rows) + 1) continue;
      strides[d] = stride;
      stride *= shape[d];
    }
    strides[0] = static_cast<int64_t>(bytes_of_entry(k.stack)) / item;
    return Array(shape, strides, static_cast<int64_t>(k.index) * scalar, none.dtype(), all.memory);
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

void LaneLoop::run(std::span<const View> x, std::span<const View> out, int lane_axes, int64_t length) const {
  Run(*this, x, out, lane_axes, length).run();
}

Arrays LaneLoop::evaluated(std::span<const Array> x, const Avals& results, int64_t length) const {
  std::vector<View> in, views;
  Arrays out;
  for (const Array& a : x) in.push_back(a.view());
  for (Aval a : results) {
    if (is_stack(a)) a.shape[0] = 0;  // known when all is done
    out.push_back(Array::uninitialized(a.shape, a.dtype));
    views.push_back(out.back().view());
  }
  Run call(*this, in, views, 0, length);
  call.run();
  for (const Kept& k : kept_)
    if (const Array stack = call.kept(k, out[k.result]); stack.defined()) out[k.result] = stack;
  return out;
}

}  // namespace hesse
