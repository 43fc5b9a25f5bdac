#include "core/program/lane_loop.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/cpu/assign.h"
#include "core/ops/map_split.h"
#include "core/program/loop_sums.h"
#include "core/program/one_row.h"
#include "core/program/rewrite.h"
#include "core/program/scalars.h"
#include "core/program/unroll.h"

namespace hesse {
namespace {

size_t at(int64_t v) { return static_cast<size_t>(v); }

/// Thrown inside this file only: the loop runs as before.
struct NotOnLanes {};

Aval entry_of(Aval stack) {
  stack.shape.erase(0);
  return stack;
}

}  // namespace

/// Lays out a loop as blocks.
class LaneLoop::Builder {
 public:
  static constexpr size_t kWorthwhile = 64;  // scalars for an equation of arrays

  explicit Builder(LaneLoop& into) : into_(into), frame_(into.frame_) {}

  void lay_out(const LoopParts& loop) { loop.is_scan() ? scan(loop) : while_loop(loop); }

 private:
  static constexpr int64_t kMostEquations = 12288;
  /// A value that is a stack: which, and where in its entries.
  struct Place {
    int stack = -1;
    size_t index = 0;
  };

  void scan(const LoopParts& s) {
    into_.scan_ = true;
    into_.reverse_ = s.reverse;
    into_.save_ = s.save;
    into_.num_carry_ = s.num_carry;
    into_.num_xs_ = s.num_xs;
    Avals avals = s.body->input_avals();
    std::vector<Place> stacks(avals.size());
    for (size_t i = 0; i < avals.size(); ++i)
      if (is_stack(avals[i])) {
        stacks[i].stack = static_cast<int>(into_.stacks_.size());
        into_.stacks_.push_back({at(num_elements(entry_of(avals[i]).shape)), static_cast<int>(i)});
        avals[i].shape = {0};  // nothing of it is loaded
      }
    into_.inputs_ = rows_of(avals, s.num_carry + s.num_xs);
    int block = new_block();
    const Ref<const Graph> body = prepared(s.body);
    const std::vector<bool> read = read_inputs(*body);
    for (size_t i = s.num_carry; i < read.size(); ++i)
      if (!read[i]) into_.inputs_[i].clear();  // need not be loaded
    const std::vector<Rows> out = graph(body, into_.inputs_, block, s.num_carry, &stacks);
    for (size_t k = s.num_carry; k < stacks.size(); ++k)
      if (const Place& p = stacks[k]; p.stack >= 0)
        keep({k, p.stack, p.index, at(num_elements(entry_of(body->output_aval(static_cast<int>(k))).shape))});
    // Lanes have no stacks of different lengths to give, and what is kept lies in the order of the steps.
    const bool given = !into_.stacks_.empty() && into_.stacks_[0].operand >= 0, kept = !into_.kept_.empty();
    if ((into_.threads() > 1 && (given || kept)) || (s.reverse && kept)) throw NotOnLanes{};
    into_.carry_out_.assign(into_.inputs_.begin(), into_.inputs_.begin() + static_cast<int64_t>(s.num_carry));
    into_.ys_.assign(out.begin() + static_cast<int64_t>(s.num_carry), out.end());
    for (size_t i = 0; i < s.num_carry; ++i) move(block, out[i], into_.inputs_[i]);
    // What is written for this element is read before carries move.
    for (Rows& rows : into_.ys_)
      for (FrameRow& r : rows)
        if (is_target(block, r)) {
          const FrameRow copy = frame_.take(r.dtype);
          into_.blocks_[at(block)].aside.push_back({r, copy});
          r = copy;
        }
    into_.blocks_[at(block)].then = Block::Then::Next;
    into_.blocks_[at(block)].to = 0;
    finish();
  }

  void while_loop(const LoopParts& w) {
    into_.num_carry_ = w.num_carry;
    into_.save_ = w.save;
    Avals avals = w.cond->input_avals();
    const Avals of_body = w.body->input_avals();
    avals.insert(avals.end(), of_body.begin() + static_cast<int64_t>(w.num_carry), of_body.end());
    into_.inputs_ = rows_of(avals, w.num_carry);
    into_.carry_out_.assign(into_.inputs_.begin(), into_.inputs_.begin() + static_cast<int64_t>(w.num_carry));
    const int stack = w.save ? new_stack(into_.carry_out_) : -1;
    into_.entry_ = loop(w.cond, w.body, w.num_carry, into_.inputs_, kEnd, stack);
    for (size_t i = 0, index = 0; w.save && i < w.num_carry; ++i) {
      keep({w.num_carry + i, stack, index, into_.carry_out_[i].size()});
      index += into_.carry_out_[i].size();
    }
    finish();
  }

  static Ref<const Graph> prepared(const Ref<const Graph>& g) {
    return with_sums_begun(with_prepared_loops(merged(expanded(g))));
  }
  static std::vector<bool> read_inputs(const Graph& g) {
    std::vector<bool> read(g.values().size(), false);
    for (const Graph::Equation& eq : g.equations())
      for (const int v : eq.in) read[at(v)] = true;
    for (const int v : g.outputs()) read[at(v)] = true;
    read.resize(at(g.num_inputs()));
    return read;
  }
  int new_block() {
    into_.blocks_.emplace_back();
    return static_cast<int>(into_.blocks_.size()) - 1;
  }
  // Rows for values; from number `consts` on they stay the same, and what is no row of the example is so in
  // all lanes.
  std::vector<Rows> rows_of(const Avals& avals, size_t consts) {
    std::vector<Rows> out;
    for (size_t i = 0; i < avals.size(); ++i) {
      const Aval& a = avals[i];
      if (num_elements(a.shape) > kMostEquations) throw NotOnLanes{};
      const bool constant = i >= consts && (!into_.together_ || into_.operands_[i] == kShared);
      Rows rows;
      for (int64_t k = num_elements(a.shape); k-- > 0;)
        rows.push_back(constant ? frame_.take_constant(a.dtype) : frame_.take(a.dtype));
      out.push_back(std::move(rows));
    }
    return out;
  }
  void move(int block, const Rows& from, const Rows& to) {
    for (size_t i = 0; i < from.size(); ++i)
      if (!(from[i] == to[i])) into_.blocks_[at(block)].moves.push_back({from[i], to[i]});
  }
  bool is_target(int block, const FrameRow& r) const {
    const std::vector<Move>& moves = into_.blocks_[at(block)].moves;
    return std::any_of(moves.begin(), moves.end(), [&](const Move& m) { return m.to == r; });
  }

  // while (cond) body on the rows carry..., consts of cond..., consts of body...; goes on at `exit`. Returns
  // the block to begin with. With a stack the carries of every step are put there.
  int loop(const Ref<const Graph>& cond, const Ref<const Graph>& body, size_t num_carry,
           const std::vector<Rows>& inputs, int exit, int stack) {
    const auto carry = static_cast<int64_t>(num_carry), conds = static_cast<int64_t>(cond->num_inputs());
    const int test = new_block();
    int last = test;
    const std::vector<Rows> goes_on = graph(prepared(cond), {inputs.begin(), inputs.begin() + conds}, last);
    into_.blocks_[at(last)].then = Block::Then::Branch;
    into_.blocks_[at(last)].condition = goes_on[0][0];
    into_.blocks_[at(last)].otherwise = exit;
    into_.blocks_[at(last)].stack = stack;
    if (stack >= 0)
      for (size_t i = 0; i < num_carry; ++i)
        into_.blocks_[at(last)].entry.insert(into_.blocks_[at(last)].entry.end(), inputs[i].begin(),
                                             inputs[i].end());
    const int begin = new_block();
    into_.blocks_[at(last)].to = begin;
    // The body, and whether another follows: the test stands at the end, too, which is one block less a step.
    std::vector<Rows> in(inputs.begin(), inputs.begin() + carry);
    in.insert(in.end(), inputs.begin() + conds, inputs.end());
    in.insert(in.end(), inputs.begin() + carry, inputs.begin() + conds);
    int block = begin;
    const std::vector<Rows> out = graph(prepared(with_test(body, cond, num_carry)), in, block, num_carry);
    for (size_t i = 0; i < num_carry; ++i) move(block, out[i], inputs[i]);
    Block& b = into_.blocks_[at(block)];
    b.then = Block::Then::Branch;
    b.condition = out[num_carry][0];  // read behind the moves
    const auto moved = std::ranges::find(b.moves, b.condition, &Move::from);
    if (moved != b.moves.end())
      b.condition = moved->to;
    else if (is_target(block, b.condition))
      throw NotOnLanes{};
    b.to = begin;
    b.otherwise = exit;
    b.stack = stack;
    b.entry = into_.blocks_[at(last)].entry;
    return test;
  }
  // (carry, consts of the body, consts of the test) -> carry, whether the loop goes on
  static Ref<const Graph> with_test(const Ref<const Graph>& body, const Ref<const Graph>& cond,
                                    size_t num_carry) {
    Avals avals = body->input_avals();
    const Avals of_cond = cond->input_avals();
    avals.insert(avals.end(), of_cond.begin() + static_cast<int64_t>(num_carry), of_cond.end());
    return trace_closed(
        [&](std::span<const Array> x) {
          Arrays out = body->call(x.first(body->input_avals().size()));
          Arrays test = out;
          test.insert(test.end(), x.begin() + body->num_inputs(), x.end());
          out.push_back(cond->call(test)[0]);
          return out;
        },
        avals);
  }

  // The equations of a graph from `block` on, which becomes the last block; rows of the results.
  // Of the results the first `targets` are wanted where the first inputs are. `stacks`: those among the
  // inputs; then those among the results.
  std::vector<Rows> graph(const Ref<const Graph>& g, const std::vector<Rows>& inputs, int& block,
                          size_t targets = 0, std::vector<Place>* stacks = nullptr) {
    std::vector<Rows> rows(g->values().size());
    std::vector<Place> places(rows.size());
    std::copy(inputs.begin(), inputs.end(), rows.begin());
    if (stacks) std::copy(stacks->begin(), stacks->end(), places.begin());
    const auto& equations = g->equations();
    std::vector<int> constant(rows.size(), -1);
    for (size_t c = 0; c < g->constants().size(); ++c)
      constant[at(g->constants()[c].first)] = static_cast<int>(c);
    for (size_t begin = 0; begin <= equations.size();) {
      size_t end = begin;
      std::optional<LoopParts> inner;
      while (end < equations.size() && !(inner = loop_parts(*equations[end].op))) ++end;
      const bool last = end == equations.size();
      // What is read later, and by more than the moves behind this stretch.
      std::vector<bool> read(rows.size(), false), later(rows.size(), false);
      for (const int v : g->outputs()) (last ? read : later)[at(v)] = true;
      if (!last) {
        const size_t carries = inner->num_carry;
        for (size_t i = 0; i < equations[end].in.size(); ++i)
          (i < carries ? read : later)[at(equations[end].in[i])] = true;
        for (size_t e = end + 1; e < equations.size(); ++e)
          for (const int v : equations[e].in) later[at(v)] = true;
      }
      straight(*g, begin, end, read, later, rows, block, last ? targets : 0);
      if (!last) {
        const Graph::Equation& eq = equations[end];
        const size_t carries = inner->num_carry;
        std::vector<Rows> in;
        for (size_t i = 0; i < eq.in.size(); ++i) {
          if (places[at(eq.in[i])].stack >= 0) {  // what is taken from it lies here
            in.push_back(rows_of({entry_of(g->values()[at(eq.in[i])])}, 1)[0]);
            continue;
          }
          const Rows& from = constant_or(*g, eq.in[i], constant, rows);
          if (i >= carries || is_carried_on(*g, eq, i, targets)) {
            in.push_back(from);
            continue;
          }
          Rows to;
          for (const FrameRow& r : from) {
            to.push_back(frame_.take(r.dtype));
            // What this block keeps for later is moved together with this: from where it was made.
            const auto kept = kept_.find(r.offset);
            move(block, {kept == kept_.end() ? r : kept->second}, {to.back()});
          }
          in.push_back(to);
        }
        const int next = new_block();
        if (inner->is_scan()) {
          const int test = backwards(eq, *inner, in, places, next);
          into_.blocks_[at(block)].to = into_.blocks_[at(block)].rewind = test;
        } else {
          int stack = -1;
          if (inner->save) {
            stack = new_stack({in.begin(), in.begin() + static_cast<int64_t>(carries)});
            into_.blocks_[at(block)].clear.push_back(stack);
            size_t index = 0;
            for (size_t i = 0; i < carries; ++i) {
              places[at(eq.out[carries + i])] = {stack, index};
              index += in[i].size();
            }
          }
          into_.blocks_[at(block)].to = loop(inner->cond, inner->body, carries, in, next, stack);
        }
        for (size_t k = 0; k < carries; ++k) rows[at(eq.out[k])] = in[k];
        block = next;
      }
      begin = end + 1;
    }
    std::vector<Rows> out;
    if (stacks) stacks->assign(g->outputs().size(), {});
    for (size_t k = 0; k < g->outputs().size(); ++k) {
      const int v = g->outputs()[k];
      if (const Place& p = places[at(v)]; p.stack >= 0) {
        if (!stacks || into_.stacks_[at(p.stack)].operand >= 0) throw NotOnLanes{};
        (*stacks)[k] = p;
        out.emplace_back();
      } else {
        out.push_back(constant_or(*g, v, constant, rows));
      }
    }
    return out;
  }
  // Whether carry i of a loop inside is that carry of the loop around which its result becomes: one place.
  static bool is_carried_on(const Graph& g, const Graph::Equation& loop, size_t i, size_t targets) {
    const int v = loop.in[i];
    if (at(v) >= targets || g.outputs()[at(v)] != loop.out[i]) return false;
    const std::vector<int> uses = producers_and_uses(g).second;
    return uses[at(v)] == 1 && uses[at(loop.out[i])] == 1;
  }
  int new_stack(const std::vector<Rows>& carry) {
    size_t scalars = 0;
    for (const Rows& rows : carry) scalars += rows.size();
    if (scalars == 0) throw NotOnLanes{};
    into_.stacks_.push_back({scalars});
    return static_cast<int>(into_.stacks_.size()) - 1;
  }
  void keep(Kept result) {
    into_.stacks_[at(result.stack)].kept = true;
    result.lengths = at(std::ranges::find(into_.kept_, result.stack, &Kept::stack) - into_.kept_.begin());
    into_.kept_.push_back(result);
  }
  // A scan over what loops have put on their stacks, from the last step to the first.
  int backwards(const Graph::Equation& eq, const LoopParts& scan, const std::vector<Rows>& in,
                const std::vector<Place>& places, int exit) {
    const size_t carries = scan.num_carry, xs = scan.num_xs;
    if (xs == 0 || eq.out.size() != carries || !scan.reverse || scan.save) throw NotOnLanes{};
    const int test = new_block();
    const Ref<const Graph> of_step = prepared(scan.body);
    const std::vector<bool> read = read_inputs(*of_step);
    for (size_t i = 0; i < xs; ++i) {
      const Place& p = places[at(eq.in[carries + i])];
      if (p.stack < 0) throw NotOnLanes{};
      // The first also says how many entries there are.
      if (!read[carries + i] && !into_.blocks_[at(test)].columns.empty()) continue;
      for (size_t k = 0; k < in[carries + i].size(); ++k)
        into_.blocks_[at(test)].columns.push_back({p.stack, p.index + k, in[carries + i][k]});
    }
    if (into_.blocks_[at(test)].columns.empty()) throw NotOnLanes{};
    int block = new_block();
    into_.blocks_[at(test)].then = Block::Then::Pop;
    into_.blocks_[at(test)].cursor = static_cast<int>(into_.num_cursors_++);
    into_.blocks_[at(test)].to = block;
    into_.blocks_[at(test)].otherwise = exit;
    const std::vector<Rows> out = graph(of_step, in, block, carries);
    for (size_t i = 0; i < carries; ++i) move(block, out[i], in[i]);
    into_.blocks_[at(block)].to = test;
    return test;
  }

  // The rows of a value.
  const Rows& constant_or(const Graph& g, int v, const std::vector<int>& constant, std::vector<Rows>& rows) {
    if (const int c = constant[at(v)]; c >= 0 && rows[at(v)].empty()) {
      const Array& a = g.constants()[at(c)].second;
      if (a.size() > kMostEquations) throw NotOnLanes{};
      const Array flat = Array::uninitialized({a.size()}, a.dtype());
      View from = a.view(), to = flat.view();
      to.shape = from.shape;
      to.strides = contiguous_strides(from.shape);
      cpu::assign(from, to);
      for (int64_t i = 0; i < a.size(); ++i)
        rows[at(v)].push_back(frame_.constant(flat.viewed(cpu::at(flat.view(), 0, i))));
    }
    return rows[at(v)];
  }

  // Equations begin to end - 1 as the code of a block.
  void straight(const Graph& g, size_t begin, size_t end, const std::vector<bool>& read,
                const std::vector<bool>& later, std::vector<Rows>& rows, int block, size_t carries) {
    const auto& equations = g.equations();
    std::vector<const Graph::Equation*> inside;
    std::vector<bool> wanted(rows.size(), false);
    for (size_t e = begin; e < end; ++e) {
      if (equations[e].op->has_effect()) throw NotOnLanes{};
      inside.push_back(&equations[e]);
    }
    for (size_t v = 0; v < rows.size(); ++v) wanted[v] = read[v] || later[v];
    const GraphPart part = part_of(g, inside, wanted);
    kept_.clear();
    if (part.outputs.empty()) return;
    for (const std::vector<int>* all : {&part.inputs, &part.outputs})
      for (const int v : *all)
        if (is_stack(g.values()[at(v)])) throw NotOnLanes{};
    // Kernels of arrays do more at a time: worth it while the calls outweigh what they do. Taking a graph
    // apart takes milliseconds: what is far beyond is left at once.
    const auto most = static_cast<double>(kWorthwhile * (end - begin + 4));
    if (part.graph->flops() > 2 * most) throw NotOnLanes{};
    const std::optional<Ref<const Graph>> scalars = scalarised(*part.graph, kMostEquations);
    if (!scalars || !ScalarCode::can_run(**scalars)) throw NotOnLanes{};
    if (static_cast<double>((*scalars)->equations().size()) > most) throw NotOnLanes{};
    Rows flat;
    for (const int v : part.inputs) {
      const Rows& from = rows[at(v)];
      flat.insert(flat.end(), from.begin(), from.end());
    }
    Block& b = into_.blocks_[at(block)];
    std::vector<std::optional<FrameRow>> places((*scalars)->outputs().size());
    size_t k = 0;
    for (const int v : part.outputs) {
      const std::vector<int>& all = g.outputs();
      const auto end_of_carries = all.begin() + static_cast<int64_t>(carries);
      const auto found = std::find(all.begin(), end_of_carries, v);
      const auto i = found - all.begin();
      // Where threads meet a block at different times, its results are moved to those that are there.
      const bool takes = into_.threads() == 1 && found != end_of_carries && !later[at(v)] &&
                         std::find(all.begin(), all.end(), static_cast<int>(i)) == all.end();
      for (size_t e = 0; e < at(num_elements(g.values()[at(v)].shape)); ++e, ++k)
        if (takes) places[k] = rows[at(i)][e];
    }
    b.code.emplace(*scalars, flat, frame_, into_.code_.get(), places);
    k = 0;
    for (const int v : part.outputs) {
      Rows& to = rows[at(v)];
      for (int64_t i = num_elements(g.values()[at(v)].shape); i-- > 0;) to.push_back(b.code->output(k++));
      if (!later[at(v)]) continue;
      for (FrameRow& r : to) {  // other lanes may run this block before it is read
        const FrameRow kept = frame_.take(r.dtype);
        b.moves.push_back({r, kept});
        kept_.emplace(kept.offset, r);
        r = kept;
      }
    }
  }

  // Of what is put on the stacks only that which is taken off, or a result.
  void drop_unread() {
    for (size_t s = 0; s < into_.stacks_.size(); ++s) {
      if (into_.stacks_[s].operand >= 0) continue;
      std::vector<int> place(into_.stacks_[s].scalars, -1);
      for (const Kept& k : into_.kept_)
        for (size_t i = 0; k.stack == static_cast<int>(s) && i < k.scalars; ++i) place[k.index + i] = 0;
      for (const Block& b : into_.blocks_)
        for (const Column& c : b.columns)
          if (c.stack == static_cast<int>(s)) place[c.index] = 0;
      size_t count = 0;
      for (int& p : place)
        if (p == 0) p = static_cast<int>(count++);
      for (Block& b : into_.blocks_) {
        if (b.stack == static_cast<int>(s)) {
          Rows rest;
          for (size_t i = 0; i < b.entry.size(); ++i)
            if (place[i] >= 0) rest.push_back(b.entry[i]);
          b.entry = rest;
        }
        for (Column& c : b.columns)
          if (c.stack == static_cast<int>(s)) c.index = at(place[c.index]);
      }
      for (Kept& k : into_.kept_)
        if (k.stack == static_cast<int>(s) && k.scalars > 0) k.index = at(place[k.index]);
      into_.stacks_[s].scalars = count;
    }
  }

  void list_scalars() {
    const auto list = [&](std::vector<Scalar>& to, size_t place, const Rows& rows) {
      if (!rows.empty()) into_.by_element_.push_back(place);
      for (size_t k = 0; k < rows.size(); ++k) to.push_back({place, k, rows[k]});
    };
    const size_t nc = into_.num_carry_, ny = into_.ys_.size();
    const auto given = std::ranges::count_if(into_.stacks_, [](const Stack& s) { return s.operand >= 0; });
    const size_t operands = into_.inputs_.size() + at(given);  // with their lengths
    for (size_t i = nc; i < nc + into_.num_xs_; ++i) list(into_.scalars_of_xs_, i, into_.inputs_[i]);
    for (size_t k = 0; k < ny; ++k) list(into_.scalars_of_ys_, operands + nc + k, into_.ys_[k]);
    for (size_t i = 0; into_.save_ && i < nc; ++i)
      list(into_.scalars_saved_, operands + nc + ny + i, into_.inputs_[i]);
  }

  void finish() {
    drop_unread();
    if (into_.scan_) list_scalars();
    for (const Rows& rows : into_.inputs_) {
      bool packed = !rows.empty();
      for (size_t k = 0; k < rows.size(); ++k)
        packed = packed && rows[k].uniform && rows[k].item == 8 &&
                 rows[k].offset == rows[0].offset + 8 * static_cast<int64_t>(k);
      into_.packed_.push_back(packed);
    }
    for (size_t i = 0; i < into_.blocks_.size(); ++i) {
      Block& b = into_.blocks_[i];
      for (Move& m : b.moves)
        if (is_target(static_cast<int>(i), m.from)) {
          const FrameRow copy = frame_.take(m.from.dtype);
          b.aside.push_back({m.from, copy});
          m.from = copy;
        }
    }
    if (into_.code_) {
      into_.marked_ = frame_.take(kBool);
      for (Block& b : into_.blocks_)
        for (std::vector<Move>* moves : {&b.aside, &b.moves}) as_code(b, *moves);
      into_.code_->finish();
    }
    cheapest_first();
  }

  void cheapest_first() {
    std::vector<int> order(into_.blocks_.size()), place(order.size());
    std::iota(order.begin(), order.end(), 0);
    const auto cost = [](const Block& b) { return b.code ? b.code->cost() : 0.0; };
    std::ranges::stable_sort(order, {}, [&](int b) { return cost(into_.blocks_[at(b)]); });
    std::vector<Block> blocks;
    for (size_t k = 0; k < order.size(); ++k) {
      place[at(order[k])] = static_cast<int>(k);
      blocks.push_back(std::move(into_.blocks_[at(order[k])]));
    }
    for (Block& b : blocks) {
      for (int* to : {&b.to, &b.otherwise, &b.rewind})
        if (*to >= 0) *to = place[at(*to)];
      if (8 * cost(b) <= cost(blocks.back())) ++into_.num_cheap_;
    }
    into_.entry_ = place[at(into_.entry_)];
    into_.blocks_ = std::move(blocks);
  }

  // Moves of entries of four and eight bytes: of all lanes, or of those that are marked.
  void as_code(Block& b, std::vector<Move>& moves) {
    const bool marked = into_.threads() > 1;
    for (const DType dtype : {kFloat64, kFloat32}) {
      const auto begin = std::stable_partition(moves.begin(), moves.end(), [&](const Move& m) {
        return m.to.item != static_cast<int64_t>(itemsize(dtype));
      });
      for (auto m = begin; m != moves.end();) {
        cpu::EntryLoop loop;
        loop.run = frame_.width();
        loop.dtype = dtype;
        loop.row_bytes = {0};
        std::map<int64_t, int> number;  // of loads, by offset
        const auto load = [&](const FrameRow& r) {
          const auto [at, is_new] = number.try_emplace(r.offset, static_cast<int>(loop.loads.size()));
          if (!is_new) return at->second;
          loop.loads.push_back({0, r.offset, r.uniform});
          loop.is_bool.push_back(r.dtype == kBool);
          return at->second;
        };
        if (marked) load(into_.marked_);
        for (; m != moves.end() && loop.steps.size() < cpu::EntryLoop::kMostSteps; ++m) {
          const cpu::EntryLoop::Memory out{0, m->to.offset, false};
          if (marked)
            loop.steps.push_back({cpu::EntryOp::Where, {0, load(m->from), load(m->to)}, out});
          else
            loop.steps.push_back({cpu::EntryOp::Copy, {load(m->from), -1, -1}, out});
        }
        b.moving.push_back(into_.code_->add(loop));
      }
      moves.erase(begin, moves.end());
    }
  }

  LaneLoop& into_;
  Frame& frame_;
  std::map<int64_t, FrameRow> kept_;  // of the last block: where a row that is kept was made, by its offset
};

namespace {

// Null for loops that do not run on lanes.
template <class Make>
std::shared_ptr<const LaneLoop> laid_out(const Make& make) {
  try {
    return with_code_if_any(make);
  } catch (const NotOnLanes&) {
    return nullptr;
  }
}

}  // namespace

std::shared_ptr<const LaneLoop> LaneLoop::make(const LoopParts& loop, int64_t lanes) {
  return laid_out([&](std::unique_ptr<cpu::EntryCode> code) {
    std::shared_ptr<LaneLoop> out(new LaneLoop(lanes, std::move(code)));
    Builder(*out).lay_out(loop);
    return out;
  });
}

std::shared_ptr<const LaneLoop> LaneLoop::make_by_rows(const LoopParts& loop) {
  for (const size_t seed : carries_with_rows(*loop.body, loop.num_carry)) {
    const int64_t n = loop.body->input_aval(static_cast<int>(seed)).shape.front();
    // The same limit as for what is laid out: seen at once.
    if (loop.body->flops() > 2.0 * static_cast<double>(n * (loop.body->count() + 4)) * Builder::kWorthwhile)
      continue;
    std::optional<LoopOfOneRow> row = of_one_row(loop, seed);
    if (!row) continue;
    if (loop.is_scan()) {  // in an entry of a stack
      for (size_t i = 0; i < row->operands.size(); ++i)
        if (is_stack(loop.body->input_aval(static_cast<int>(i))) && row->operands[i] >= 0) --row->operands[i];
      for (size_t k = 0; k < row->results.size(); ++k)
        if (is_stack(loop.body->output_aval(static_cast<int>(k))) && row->results[k] >= 0) --row->results[k];
    }
    auto made = laid_out([&](std::unique_ptr<cpu::EntryCode> code) {
      std::shared_ptr<LaneLoop> out(new LaneLoop(n, std::move(code), true));
      out->operands_ = row->operands;
      out->results_ = row->results;
      Builder(*out).lay_out(row->parts);
      return out;
    });
    if (made) return made;
  }
  return nullptr;
}

}  // namespace hesse
