#include "core/ops/loop.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/control_graph.h"
#include "core/program/unroll.h"

namespace hesse {

OpRef LoopParts::op() const {
  const auto carries = static_cast<int>(num_carry);
  return is_scan() ? scan_op(body, carries, static_cast<int>(num_xs), length, reverse, save)
                   : while_op(cond, body, carries, static_cast<int>(num_cond_consts), save);
}

std::optional<LoopParts> loop_parts(const Op& op) {
  const auto* loop = dynamic_cast<const Loop*>(&op);
  return loop ? std::optional(loop->parts()) : std::nullopt;
}

LoopTangent loop_jvp(const Ref<const Graph>& body, int num_carry, int num_xs,
                     const std::vector<bool>& marked_in) {
  const int n = body->num_inputs();
  std::vector<bool> marked = marked_in;
  DerivedGraph d;
  for (bool stable = false; !stable;) {
    std::vector<bool> force(marked.begin(), marked.begin() + num_carry);
    d = derivatives().jvp(*body, marked, force, true);
    stable = true;
    for (int i = 0; i < num_carry; ++i) {
      const auto k = static_cast<size_t>(i);
      if (d.present[k] && !marked[k]) {
        marked[k] = true;
        stable = false;
      }
    }
  }
  // From (inputs..., tangents...) to carries with tangents, xs with tangents, consts with tangents.
  std::vector<int> tangent_at(static_cast<size_t>(n), -1);
  int next = n;
  for (int i = 0; i < n; ++i)
    if (marked[static_cast<size_t>(i)]) tangent_at[static_cast<size_t>(i)] = next++;
  std::vector<int> from;
  Avals avals;
  const auto group = [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      from.push_back(i);
      avals.push_back(body->input_aval(i));
    }
    for (int i = begin; i < end; ++i)
      if (marked[static_cast<size_t>(i)]) {
        from.push_back(tangent_at[static_cast<size_t>(i)]);
        avals.push_back(body->input_aval(i));
      }
  };
  group(0, num_carry);
  group(num_carry, num_carry + num_xs);
  group(num_carry + num_xs, n);
  std::vector<int> of, out_tangent(static_cast<size_t>(body->num_outputs()), -1);
  next = body->num_outputs();
  for (size_t k = 0; k < d.present.size(); ++k)
    if (d.present[k]) out_tangent[k] = next++;
  const auto out_group = [&](int begin, int end) {
    for (int k = begin; k < end; ++k) of.push_back(k);
    for (int k = begin; k < end; ++k)
      if (out_tangent[static_cast<size_t>(k)] >= 0) of.push_back(out_tangent[static_cast<size_t>(k)]);
  };
  out_group(0, num_carry);
  out_group(num_carry, body->num_outputs());
  LoopTangent out;
  out.body = permuted(with_tangent_loops_alone(d.graph), from, avals, of);
  out.carry.assign(d.present.begin(), d.present.begin() + num_carry);
  out.ys.assign(d.present.begin() + num_carry, d.present.end());
  return out;
}

std::vector<bool> loop_marks(const Graph& body, int num_carry, std::vector<bool> marked) {
  for (bool stable = false; !stable;) {
    stable = true;
    const std::vector<bool> out = outputs_that_depend(body, marked);
    for (size_t i = 0; i < static_cast<size_t>(num_carry); ++i)
      if (out[i] && !marked[i]) {
        marked[i] = true;
        stable = false;
      }
  }
  return marked;
}

// Step t maps (c_t, x_t, k) to (c_{t+1}, y_t). Backwards: (ct_{c_t}, ct_{x_t}, ct_k += ...) from
// (ct_{c_{t+1}}, ct_{y_t}), with the step run again from the saved c_t.
MaybeArrays loop_vjp(const Ref<const Graph>& body, int num_carry, int num_xs, int64_t length, bool reverse,
                     std::span<const Array> x, const Arrays& saved, std::span<const MaybeArray> ct,
                     const std::vector<bool>& wanted) {
  const auto nc = static_cast<size_t>(num_carry), nx = static_cast<size_t>(num_xs);
  const auto n = static_cast<size_t>(body->num_inputs()), ny = static_cast<size_t>(body->num_outputs()) - nc;
  std::vector<bool> marked(nc + ny, false), want(n, false), live(n, false);
  for (size_t i = 0; i < nc; ++i)
    marked[i] = want[i] = is_inexact(body->input_aval(static_cast<int>(i)).dtype);
  for (size_t k = 0; k < ny; ++k) marked[nc + k] = ct[nc + k].has_value();
  for (size_t i = nc; i < n; ++i) want[i] = wanted[i];
  const DerivedGraph d = derivatives().vjp(*without_effects(body), marked, want, want);

  // Layout of the backward step: carries (ct of inexact carries, accumulators), xs (saved, x, ct_y,
  // ct_saved), consts.
  Arrays carry, xs;
  Avals avals;
  std::vector<size_t> ct_carry, consts, ct_saved;
  for (size_t i = 0; i < nc; ++i)
    if (want[i]) {
      ct_carry.push_back(i);
      carry.push_back(ct[i] ? *ct[i] : zeros_of(aval(x[i])));
    }
  for (size_t i = nc + nx; i < n; ++i)
    if (want[i]) {
      consts.push_back(i);
      carry.push_back(zeros_of(aval(x[i])));
    }
  for (const Array& c : carry) avals.push_back(aval(c));
  const auto add_xs = [&](const Array& a) {
    xs.push_back(a);
    Aval row = aval(a);
    row.shape.erase(0);
    avals.push_back(row);
  };
  for (const Array& s : saved) add_xs(s);
  for (size_t i = nc; i < nc + nx; ++i) add_xs(x[i]);
  for (size_t k = 0; k < ny; ++k)
    if (marked[nc + k]) add_xs(*ct[nc + k]);
  for (size_t i = 0; i < nc; ++i)
    if (nc + ny + i < ct.size() && ct[nc + ny + i] && want[i]) {
      ct_saved.push_back(i);
      add_xs(*ct[nc + ny + i]);
    }
  Arrays outside(x.begin() + static_cast<int64_t>(nc + nx), x.end());
  for (const Array& k : outside) avals.push_back(aval(k));

  const Ref<const Graph> step = trace_closed(
      [&](std::span<const Array> args) {
        size_t at = 0;
        const auto take = [&](size_t count) {
          Arrays out(args.begin() + static_cast<int64_t>(at),
                     args.begin() + static_cast<int64_t>(at + count));
          at += count;
          return out;
        };
        const Arrays ctc = take(ct_carry.size()), acc = take(consts.size()), c = take(nc), xt = take(nx);
        const Arrays cty = take(
            static_cast<size_t>(std::count(marked.begin() + static_cast<int64_t>(nc), marked.end(), true)));
        const Arrays cts = take(ct_saved.size()), k = take(n - nc - nx);
        Arrays in = c;
        for (const Arrays* part : {&xt, &k, &ctc, &cty}) in.insert(in.end(), part->begin(), part->end());
        const Arrays g = d.graph->call(in);
        MaybeArrays by_input(n);
        for (size_t i = 0, j = 0; i < n; ++i)
          if (d.present[i]) by_input[i] = g[j++];
        for (size_t j = 0; j < ct_saved.size(); ++j)
          by_input[ct_saved[j]] = add(*by_input[ct_saved[j]], cts[j]);
        Arrays out;
        for (size_t i : ct_carry) out.push_back(*by_input[i]);
        for (size_t j = 0; j < consts.size(); ++j) out.push_back(add(acc[j], *by_input[consts[j]]));
        for (size_t i = nc; i < nc + nx; ++i)
          if (want[i]) out.push_back(*by_input[i]);
        return out;
      },
      avals);
  Arrays in = carry;
  in.insert(in.end(), xs.begin(), xs.end());
  in.insert(in.end(), outside.begin(), outside.end());
  const Arrays y = hesse::apply(
      scan_op(step, static_cast<int>(carry.size()), static_cast<int>(xs.size()), length, !reverse, false),
      in);
  MaybeArrays out(n);
  size_t at = 0;
  for (size_t i : ct_carry) {
    if (wanted[i]) out[i] = y[at];
    ++at;
  }
  for (size_t i : consts) out[i] = y[at++];
  for (size_t i = nc; i < nc + nx; ++i)
    if (want[i]) out[i] = y[at++];
  return out;
}

}  // namespace hesse
