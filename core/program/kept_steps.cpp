#include "core/program/kept_steps.h"

#include <algorithm>

#include "core/ops/control_graph.h"
#include "core/ops/loop.h"
#include "core/program/rewrite.h"
#include "core/program/unroll.h"

namespace hesse {
namespace {

using Equation = Graph::Equation;

size_t at(int64_t v) { return static_cast<size_t>(v); }
std::vector<int> part(const std::vector<int>& all, size_t begin, size_t end) {
  return {all.begin() + static_cast<int64_t>(begin), all.begin() + static_cast<int64_t>(end)};
}
void append(std::vector<int>& to, const std::vector<int>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// What an equation of a body reads, as a graph of the body's inputs.
Ref<const Graph> operands_of(const Graph& body, size_t e) {
  const auto& all = body.equations();
  return Graph::assemble(body.num_inputs(), body.values(), body.constants(),
                         {all.begin(), all.begin() + static_cast<int64_t>(e)}, all[e].in);
}

/// The graph of these equations with other values as its inputs.
Ref<const Graph> with_inputs(const Graph& body, const std::vector<int>& inputs,
                             std::vector<Equation> equations) {
  std::vector<int> number(body.values().size(), -1);  // the new ones
  std::vector<Aval> values;
  const auto add = [&](int v) {
    number[at(v)] = static_cast<int>(values.size());
    values.push_back(body.values()[at(v)]);
  };
  for (const int v : inputs) add(v);
  for (int v = 0; v < static_cast<int>(number.size()); ++v)
    if (number[at(v)] < 0) add(v);
  const auto renumber = [&](std::vector<int>& all) {
    for (int& v : all) v = number[at(v)];
  };
  for (Equation& eq : equations) {
    renumber(eq.in);
    renumber(eq.out);
  }
  std::vector<std::pair<int, Array>> constants = body.constants();
  for (auto& [v, a] : constants) v = number[at(v)];
  std::vector<int> outputs = body.outputs();
  renumber(outputs);
  return Graph::assemble(static_cast<int>(inputs.size()), std::move(values), std::move(constants),
                         std::move(equations), std::move(outputs));
}

/// A scan forwards and the scan backwards over the carries that it saved.
class Pair {
 public:
  Pair(const Equation& forward, const Equation& backward) : there_(forward), back_(backward) {
    const auto a = loop_parts(*there_.op), b = loop_parts(*back_.op);
    if (!a || !b || !a->is_scan() || !b->is_scan() || !a->save || a->reverse || b->save || !b->reverse)
      return;
    a_ = *a;
    b_ = *b;
    if (has_stacks(a_) || has_stacks(b_)) return;
    const size_t ys = at(a_.body->num_outputs());
    for (size_t i = 0; i < at(a_.body->num_inputs()); ++i)
      meets_.push_back(i < a_.num_carry ? there_.out[ys + i] : there_.in[i]);
    const auto xs = part(back_.in, b_.num_carry, b_.num_carry + b_.num_xs);
    fits_ = std::ranges::any_of(part(meets_, 0, a_.num_carry),
                                [&](int v) { return std::ranges::find(xs, v) != xs.end(); });
  }

  /// The two equations without loops that run twice, or false. `values` may grow; `uses`: how often each is
  /// read.
  bool rewrite(std::vector<Aval>& values, const std::vector<int>& uses, Equation& forward,
               Equation& backward) {
    if (!fits_) return false;
    a_.body = with_prepared_loops(a_.body);
    b_.body = with_prepared_loops(b_.body);
    if (has_effects(*a_.body)) return false;
    bool any = false;
    for (size_t i = 0; i < a_.body->equations().size(); ++i)
      for (size_t j = 0; j < b_.body->equations().size(); ++j)
        if (runs_twice(i, j) && keep(i, j, values)) {
          any = true;
          break;
        }
    if (!any) return false;
    drop_unread(uses, backward);
    forward = {prepared(a_), there_.in, there_.out, there_.source};
    backward = {prepared(b_), back_.in, back_.out, back_.source};
    append(forward.out, lengths_);
    append(backward.in, lengths_);
    return true;
  }

 private:
  // Of a step: above, taking it again is cheaper than the memory.
  static constexpr double kMostBytes = 16384;

  static bool has_stacks(const LoopParts& loop) {
    return std::ranges::any_of(loop.body->input_avals(), is_stack) ||
           std::ranges::any_of(loop.body->output_avals(), is_stack);
  }
  static OpRef prepared(const LoopParts& loop) {
    const OpRef op = loop.op();
    return dynamic_cast<const Loop&>(*op).prepared();
  }

  // Whether while_loop i of the scan forwards is while_loop j of the other, with the same operands.
  bool runs_twice(size_t i, size_t j) const {
    const Equation &first = a_.body->equations()[i], &again = b_.body->equations()[j];
    const auto *loop = dynamic_cast<const Loop*>(first.op.get()),
               *saved = dynamic_cast<const Loop*>(again.op.get());
    if (!loop || !saved || loop->parts().is_scan() || !loop->is_saved_by(*again.op)) return false;
    const Ref<const Graph> of_first = operands_of(*a_.body, i), of_again = operands_of(*b_.body, j);
    // The inputs of the one body by those of the other; what that has not is left an input of its own.
    Avals avals = of_again->input_avals();
    std::vector<size_t> place;
    for (size_t k = 0; k < at(of_first->num_inputs()); ++k) {
      const auto found = input_of_back(k);
      place.push_back(found ? *found : avals.size());
      if (!found) avals.push_back(of_first->input_aval(static_cast<int>(k)));
    }
    const Ref<const Graph> both = merged(expanded(trace_closed(
        [&](std::span<const Array> x) {
          Arrays in;
          for (const size_t p : place) in.push_back(x[p]);
          Arrays out = of_first->call(in);
          const Arrays others = of_again->call(x.first(at(of_again->num_inputs())));
          out.insert(out.end(), others.begin(), others.end());
          return out;
        },
        avals)));
    const std::vector<int>& out = both->outputs();
    return std::equal(out.begin(), out.begin() + static_cast<int64_t>(first.in.size()),
                      out.begin() + static_cast<int64_t>(first.in.size()));
  }
  // The input of the scan backwards that is input k of the other at the same step.
  std::optional<size_t> input_of_back(size_t k) const {
    const bool of_step = k < a_.num_carry + a_.num_xs;
    const size_t xs_end = b_.num_carry + b_.num_xs;
    const auto begin = back_.in.begin() + static_cast<int64_t>(of_step ? b_.num_carry : xs_end);
    const auto end = of_step ? back_.in.begin() + static_cast<int64_t>(xs_end) : back_.in.end();
    const auto found = std::find(begin, end, meets_[k]);
    return found == end ? std::nullopt : std::optional(at(found - back_.in.begin()));
  }

  // The results of while_loop i forwards that loop j backwards is read for become ys, and xs there.
  bool keep(size_t i, size_t j, std::vector<Aval>& values) {
    const Equation again = b_.body->equations()[j];
    std::vector<bool> read(b_.body->values().size(), false);
    for (const Equation& eq : b_.body->equations())
      for (const int v : eq.in) read[at(v)] = true;
    for (const int v : b_.body->outputs()) read[at(v)] = true;
    std::vector<size_t> wanted;
    double bytes = 0;
    for (size_t k = 0; k < again.out.size(); ++k)
      if (read[at(again.out[k])]) {
        const Aval& a = b_.body->values()[at(again.out[k])];
        wanted.push_back(k);
        if (is_stack(a)) bytes += num_entries(a) * static_cast<double>(itemsize(a.dtype));
      }
    if (bytes == 0 || bytes > kMostBytes) return false;
    give(i, again.op, wanted, values);
    take(j, wanted);
    return true;
  }
  // Forwards: `saved` in place of equation i, and of its results those wanted as ys.
  void give(size_t i, const OpRef& saved, const std::vector<size_t>& wanted, std::vector<Aval>& values) {
    const Graph& body = *a_.body;
    std::vector<Aval> in_body = body.values();
    std::vector<Equation> equations = body.equations();
    std::vector<int> outputs = body.outputs();
    Equation& loop = equations[i];
    Avals operands;
    for (const int v : loop.in) operands.push_back(in_body[at(v)]);
    const Avals results = saved->infer(operands);
    loop.op = saved;
    for (size_t k = loop.out.size(); k < results.size(); ++k) {
      loop.out.push_back(static_cast<int>(in_body.size()));
      in_body.push_back(results[k]);
    }
    const int64_t steps = values[at(there_.out[at(body.num_outputs())])].shape.front();  // of a saved carry
    kept_.clear();
    for (const size_t k : wanted) {
      Aval all = results[k];
      if (!is_stack(all)) all.shape.insert(0, steps);
      outputs.push_back(loop.out[k]);
      kept_.push_back(static_cast<int>(values.size()));
      values.push_back(all);
      if (!is_stack(results[k])) continue;
      lengths_.push_back(static_cast<int>(values.size()));
      values.push_back({{steps}, kInt64});
    }
    // Behind the ys there were, and before the saved carries.
    there_.out.insert(there_.out.begin() + body.num_outputs(), kept_.begin(), kept_.end());
    a_.body = Graph::assemble(body.num_inputs(), std::move(in_body), body.constants(), std::move(equations),
                              std::move(outputs));
  }
  // Of what steps began with, neither carries nor xs that nothing reads any more are taken along.
  void drop_unread(const std::vector<int>& uses, const Equation& backward) {
    const size_t xs_end = b_.num_carry + b_.num_xs;
    std::vector<bool> read(b_.body->values().size(), false);
    for (const Equation& eq : b_.body->equations())
      for (const int v : eq.in) read[at(v)] = true;
    for (const int v : b_.body->outputs()) read[at(v)] = true;
    std::vector<int> inputs, in;
    for (size_t i = 0; i < at(b_.body->num_inputs()); ++i) {
      const bool is_x = i >= b_.num_carry && i < xs_end;
      if (is_x && !read[i] && b_.length != kDynamic) {  // else the xs tell it
        --b_.num_xs;
        continue;
      }
      inputs.push_back(static_cast<int>(i));
      in.push_back(back_.in[i]);
    }
    b_.body = with_inputs(*b_.body, inputs, b_.body->equations());
    back_.in = in;
    // What is left of the saved carries as ys.
    const size_t ys = at(a_.body->num_outputs());
    std::vector<int> outputs = a_.body->outputs(), out = part(there_.out, 0, ys);
    for (size_t i = 0; i < a_.num_carry; ++i) {
      const int v = there_.out[ys + i];
      const auto before = std::ranges::count(backward.in, v), now = std::ranges::count(back_.in, v);
      if (uses[at(v)] - before + now == 0) continue;
      outputs.push_back(static_cast<int>(i));
      out.push_back(v);
    }
    a_.save = false;
    a_.body = Graph::assemble(a_.body->num_inputs(), a_.body->values(), a_.body->constants(),
                              a_.body->equations(), std::move(outputs));
    there_.out = out;
  }
  // Backwards: these as xs in place of equation j's results.
  void take(size_t j, const std::vector<size_t>& wanted) {
    const Graph& body = *b_.body;
    const Equation& loop = body.equations()[j];
    const size_t xs_end = b_.num_carry + b_.num_xs;
    std::vector<int> inputs;
    for (int i = 0; i < body.num_inputs(); ++i) {
      if (at(i) == xs_end)
        for (const size_t k : wanted) inputs.push_back(loop.out[k]);
      inputs.push_back(i);
    }
    if (at(body.num_inputs()) == xs_end)
      for (const size_t k : wanted) inputs.push_back(loop.out[k]);
    std::vector<Equation> equations = body.equations();
    equations.erase(equations.begin() + static_cast<int64_t>(j));
    b_.body = with_inputs(body, inputs, equations);
    b_.num_xs += wanted.size();
    back_.in.insert(back_.in.begin() + static_cast<int64_t>(xs_end), kept_.begin(), kept_.end());
  }

  Equation there_, back_;
  LoopParts a_, b_;
  std::vector<int> meets_;  // by input of the body forwards: the value of which a step meets a slice, or all
  bool fits_ = false;
  std::vector<int> kept_, lengths_;  // values
};

}  // namespace

Ref<const Graph> with_kept_steps(const Ref<const Graph>& g) {
  std::vector<Equation> equations = g->equations();
  std::vector<Aval> values = g->values();
  std::vector<size_t> scans;
  for (size_t e = 0; e < equations.size(); ++e)
    if (equations[e].op->name() == "scan") scans.push_back(e);
  std::vector<int> uses(values.size(), 0);
  for (const Equation& eq : equations)
    for (const int v : eq.in) ++uses[at(v)];
  for (const int v : g->outputs()) ++uses[at(v)];
  bool any = false;
  for (size_t b = 0; b < scans.size(); ++b)
    for (size_t a = 0; a < b; ++a) {
      Equation &forward = equations[scans[a]], &backward = equations[scans[b]];
      if (Pair(forward, backward).rewrite(values, uses, forward, backward)) any = true;
    }
  return any ? Graph::assemble(g->num_inputs(), std::move(values), g->constants(), std::move(equations),
                               g->outputs())
             : g;
}

}  // namespace hesse
