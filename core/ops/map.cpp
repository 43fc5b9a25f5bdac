#include <algorithm>

#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/ops/map_split.h"
#include "core/program/map_program.h"

namespace hesse {
namespace {

using K = Access::Kind;
using R = Result::Kind;

/// Equal, but for a run-time count on either side, which meets its value when the map runs.
bool fits(const Shape& given, const Shape& want) {
  if (given.size() != want.size()) return false;
  for (size_t i = 0; i < given.size(); ++i)
    if (given[i] != want[i] && given[i] != kDynamic && want[i] != kDynamic) return false;
  return true;
}

/// y = map of `body` over examples. Inputs: the body's operands, then the index arrays.
class MapOp final : public Op {
 public:
  MapOp(Ref<const Graph> body, int64_t n, std::vector<Access> access, std::vector<Result> results)
      : parts_{std::move(body), n, std::move(access), std::move(results)},
        program_(*parts_.body, parts_.n, parts_.access, parts_.results) {}
  std::string_view name() const override { return "map"; }
  double flops(std::span<const Aval>, std::span<const Aval>) const override {
    double one = parts_.body->flops();
    for (size_t k = 0; k < parts_.results.size(); ++k)  // sums
      if (parts_.results[k].kind != Result::Kind::Each)
        one += num_entries(parts_.body->output_aval(static_cast<int>(k)));
    return static_cast<double>(parts_.n) * one;
  }
  Params params() const override {
    Dims access, results;
    for (const Access& a : parts_.access) {
      access.push_back(static_cast<int64_t>(a.kind));
      access.push_back(a.index);
    }
    for (const Result& r : parts_.results) {
      results.push_back(static_cast<int64_t>(r.kind));
      results.push_back(r.index);
      results.push_back(r.num_segments);
    }
    return {{"n", parts_.n}, {"access", access}, {"results", results}, {"body", parts_.body}};
  }

  Avals infer(std::span<const Aval> x) const override {
    const size_t m = parts_.access.size();
    const auto num_indices = static_cast<int>(x.size() - m);
    for (size_t i = 0; i < m; ++i) {
      const Aval& want = parts_.body->input_aval(static_cast<int>(i));
      Shape shape = x[i].shape;
      if (parts_.access[i].kind != K::Uniform) {
        require(!shape.empty(), "map: operand ", i,
                " is a scalar; it needs an axis 0 to be mapped, or uniform access");
        require(parts_.access[i].kind == K::Gather || shape[0] == parts_.n, "map: operand ", i, " has ",
                shape[0], " rows on axis 0, expected one per example, ", parts_.n);
        shape.erase(0);
      }
      require(parts_.access[i].kind != K::Gather ||
                  (parts_.access[i].index >= 0 && parts_.access[i].index < num_indices),
              "map: operand ", i, " gathers by index array ", parts_.access[i].index, " of ", num_indices);
      require(fits(shape, want.shape) && x[i].dtype == want.dtype, "map: operand ", i, " gives ",
              describe(shape, x[i].dtype), " to each example, the body expects ",
              describe(want.shape, want.dtype));
    }
    for (size_t i = m; i < x.size(); ++i)
      require(x[i].shape == Shape{parts_.n} && x[i].dtype == kInt64, "map: index array ", i - m, " is ",
              describe(x[i].shape, x[i].dtype), ", expected ", describe(Shape{parts_.n}, kInt64));
    Avals out;
    for (size_t k = 0; k < parts_.results.size(); ++k) {
      Aval a = parts_.body->output_aval(static_cast<int>(k));
      require(a.shape.empty() || a.shape.front() != kDynamic, "map: output ", k, " has a run-time length");
      require(parts_.results[k].kind != R::SegmentSum ||
                  (parts_.results[k].index >= 0 && parts_.results[k].index < num_indices),
              "map: output ", k, " is summed by index array ", parts_.results[k].index, " of ", num_indices);
      if (parts_.results[k].kind == R::Each) a.shape.insert(0, parts_.n);
      if (parts_.results[k].kind == R::SegmentSum) a.shape.insert(0, parts_.results[k].num_segments);
      out.push_back(a);
    }
    return out;
  }

  Arrays eval(std::span<const Array> x) const override {
    return program_.run(x.first(parts_.access.size()), x.subspan(parts_.access.size()));
  }
  Arrays eval_owned(Arrays& x) const override {
    const std::span<const Array> all(x);
    return program_.run(all.first(parts_.access.size()), all.subspan(parts_.access.size()), true);
  }
  // Inside a tile: its examples are an axis of lanes before those of the tile.
  bool has_lane_kernel() const override { return program_.nests(); }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    program_.run_nested(x.first(parts_.access.size()), out, lane_axes);
  }

  // The tangent of a map is the map of the body's tangent.
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const size_t m = parts_.access.size();
    std::vector<bool> marked;
    for (size_t i = 0; i < m; ++i) marked.push_back(dx[i].has_value());
    const DerivedGraph d = derivatives().jvp(*parts_.body, marked, {}, false);
    Arrays operands(x.begin(), x.begin() + static_cast<int64_t>(m));
    std::vector<Access> access = parts_.access;
    std::vector<Result> results;
    for (size_t i = 0; i < m; ++i)
      if (marked[i]) {
        operands.push_back(*dx[i]);
        access.push_back(parts_.access[i]);
      }
    for (size_t k = 0; k < y.size(); ++k)
      if (d.present[k]) results.push_back(parts_.results[k]);
    MaybeArrays out(y.size());
    if (results.empty()) return out;
    const Arrays dy = map(d.graph, parts_.n, operands, access, results, indices(x));
    for (size_t k = 0, j = 0; k < y.size(); ++k)
      if (d.present[k]) out[k] = dy[j++];
    return out;
  }

  // The transpose swaps each with each, uniform with sum, gather with segment_sum; the body is run again
  // inside.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    const size_t m = parts_.access.size();
    std::vector<bool> marked, want;
    for (size_t k = 0; k < y.size(); ++k) marked.push_back(ct[k].has_value());
    for (size_t i = 0; i < m; ++i) want.push_back(wanted[i]);
    const DerivedGraph d = derivatives().vjp(*parts_.body, marked, want, {});
    Arrays operands(x.begin(), x.begin() + static_cast<int64_t>(m));
    std::vector<Access> access = parts_.access;
    for (size_t k = 0; k < y.size(); ++k)
      if (marked[k]) {
        operands.push_back(*ct[k]);
        access.push_back(parts_.results[k].kind == R::Each  ? Access::each()
                         : parts_.results[k].kind == R::Sum ? Access::uniform()
                                                            : Access::gather(parts_.results[k].index));
      }
    std::vector<Result> results;
    for (size_t i = 0; i < m; ++i)
      if (d.present[i])
        results.push_back(parts_.access[i].kind == K::Each ? Result::each()
                          : parts_.access[i].kind == K::Uniform
                              ? Result::sum()
                              : Result::segment_sum(parts_.access[i].index, x[i].shape()[0]));
    MaybeArrays out(x.size());
    if (results.empty()) return out;
    const Arrays dx = map(d.graph, parts_.n, operands, access, results, indices(x));
    for (size_t i = 0, j = 0; i < m; ++i)
      if (d.present[i]) out[i] = dx[j++];
    return out;
  }

  bool is_linear_in(const std::vector<bool>& marked) const override {
    return !index_marked(marked) &&
           is_linear(*parts_.body,
                     {marked.begin(), marked.begin() + static_cast<int64_t>(parts_.access.size())});
  }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    if (index_marked(marked)) return {};
    return outputs_that_depend(*parts_.body,
                               {marked.begin(), marked.begin() + static_cast<int64_t>(parts_.access.size())});
  }
  bool reads_output(int) const override { return false; }
  const MapParts& parts() const { return parts_; }
  const MapProgram& program() const { return program_; }

 private:
  bool index_marked(const std::vector<bool>& marked) const {
    const auto begin = marked.begin() + static_cast<int64_t>(parts_.access.size());
    return std::find(begin, marked.end(), true) != marked.end();
  }
  Arrays indices(std::span<const Array> x) const {
    return {x.begin() + static_cast<int64_t>(parts_.access.size()), x.end()};
  }
  MapParts parts_;
  MapProgram program_;
};

// Outputs of a traced body that do not depend on the mapped arguments stay outside.
bool made_in(const Array& a, const Ref<Trace>& trace) {
  return a.is_symbol() && a.node() && a.node()->trace() == trace;
}

}  // namespace

const MapParts* map_parts(const Op& op) {
  const auto* map = dynamic_cast<const MapOp*>(&op);
  return map ? &map->parts() : nullptr;
}

const MapProgram* map_program(const Op& op) {
  const auto* map = dynamic_cast<const MapOp*>(&op);
  return map ? &map->program() : nullptr;
}

Arrays map(const Ref<const Graph>& body, int64_t n, const Arrays& operands, const std::vector<Access>& access,
           const std::vector<Result>& results, const Arrays& indices) {
  require(n >= 0, "map: n is ", n, ", expected a number of examples");
  require(static_cast<int>(operands.size()) == body->num_inputs() && operands.size() == access.size(),
          "map: ", operands.size(), " operands and ", access.size(), " accesses for a body of ",
          body->num_inputs(), " inputs");
  require(static_cast<int>(results.size()) == body->num_outputs(), "map: ", results.size(),
          " results for a body of ", body->num_outputs(), " outputs");
  if (!body->is_dynamic())
    if (auto out = map_without_shared(*body, n, operands, access, results, indices)) return std::move(*out);
  return map_inside(body, n, operands, access, results, indices);
}

Arrays map_inside(const Ref<const Graph>& body, int64_t n, const Arrays& operands,
                  const std::vector<Access>& access, const std::vector<Result>& results,
                  const Arrays& indices) {
  Arrays in = operands;
  in.insert(in.end(), indices.begin(), indices.end());
  return hesse::apply(make_op<MapOp>(body, n, access, results), in);
}

Arrays map(const Fn& f, int64_t n, const Arrays& operands, const std::vector<Access>& access,
           const std::function<std::vector<Result>(size_t)>& results, const Arrays& indices) {
  require(operands.size() == access.size(), "map: ", operands.size(), " operands but ", access.size(),
          " accesses");
  Avals avals;
  for (size_t i = 0; i < operands.size(); ++i) {
    Aval a = aval(operands[i]);
    if (access[i].kind != K::Uniform) {
      require(!a.shape.empty(), "map: operand ", i,
              " is a scalar; it needs an axis 0 to be mapped, or uniform access");
      a.shape.erase(0);
    }
    avals.push_back(a);
  }
  Traced t = trace(f, avals, false);
  Arrays in = operands;
  std::vector<Access> all = access;
  for (const Array& c : t.captures) {
    in.push_back(c);
    all.push_back(Access::uniform());
  }
  return map(t.graph, n, in, all, results(static_cast<size_t>(t.graph->num_outputs())), indices);
}

Arrays vmap(const Fn& f, const Arrays& args, const MapAxes& in_axes, const MapAxes& out_axes) {
  require(in_axes.size() == args.size(), "vmap: ", in_axes.size(), " in_axes for ", args.size(),
          " arguments");
  Arrays operands;
  Avals avals;
  int64_t n = -1;
  size_t first = 0;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!in_axes[i]) continue;
    require(args[i].ndim() > 0, "vmap: argument ", i, " is a scalar and cannot be mapped over axis ",
            *in_axes[i], "; give it in_axes=None");
    const int64_t axis = normalize_axis("vmap", *in_axes[i], args[i].ndim());
    const int64_t length = args[i].shape()[static_cast<size_t>(axis)];
    require(n < 0 || n == length, "vmap: argument ", first, " has length ", n,
            " on its mapped axis, argument ", i, " has ", length, "; they must agree");
    if (n < 0) first = i;
    n = length;
    operands.push_back(moveaxis(args[i], {axis}, {0}));
    avals.push_back(aval(operands.back()));
    avals.back().shape.erase(0);
  }
  require(n >= 0, "vmap: no argument is mapped; give at least one an axis in in_axes");
  Arrays outside;                // outputs that no mapped argument reaches
  std::vector<bool> is_outside;  // by output
  Traced t = trace(
      [&](std::span<const Array> symbols) {
        Arrays in;
        size_t next = 0;
        for (size_t i = 0; i < args.size(); ++i) in.push_back(in_axes[i] ? symbols[next++] : args[i]);
        const Ref<Trace> trace = symbols[0].node()->trace();
        Arrays inside;
        outside.clear();
        is_outside.clear();
        for (const Array& y : f(in)) {
          is_outside.push_back(!made_in(y, trace));
          (is_outside.back() ? outside : inside).push_back(y);
        }
        return inside;
      },
      avals, false);
  std::vector<Access> access(operands.size(), Access::each());
  for (const Array& c : t.captures) {
    operands.push_back(c);
    access.push_back(Access::uniform());
  }
  const Arrays mapped = map(t.graph, n, operands, access,
                            std::vector<Result>(static_cast<size_t>(t.graph->num_outputs()), Result::each()));
  require(out_axes.size() == is_outside.size() || out_axes.size() == 1, "vmap: ", out_axes.size(),
          " out_axes for ", is_outside.size(), " outputs");
  Arrays out;
  size_t next_in = 0, next_out = 0;
  for (size_t k = 0; k < is_outside.size(); ++k) {
    const std::optional<int64_t> axis = out_axes.size() == 1 ? out_axes[0] : out_axes[k];
    require(axis || is_outside[k], "vmap: output ", k,
            " depends on the mapped arguments but has out_axes=None; give it an axis");
    Array y = is_outside[k] ? outside[next_out++] : mapped[next_in++];
    if (!axis) {
      out.push_back(y);
      continue;
    }
    if (is_outside[k]) {
      Shape shape = y.shape();
      shape.insert(0, n);
      y = broadcast_to(y, shape);
    }
    out.push_back(moveaxis(y, {0}, {normalize_axis("vmap", *axis, y.ndim())}));
  }
  return out;
}

OpFamily families::maps() {
  return {{"map", [](const ReadParams& p) {
             const Dims a = p["access"], r = p["results"];
             const Ref<const Graph> body = p["body"];
             require(a.size() == 2 * static_cast<size_t>(body->num_inputs()) &&
                         r.size() == 3 * static_cast<size_t>(body->num_outputs()),
                     "map: accesses or results do not fit the body");
             std::vector<Access> access;
             std::vector<Result> results;
             for (size_t i = 0; i < a.size(); i += 2) {
               require(a[i] >= 0 && a[i] <= 2, "map: there is no access ", a[i]);
               access.push_back({static_cast<K>(a[i]), static_cast<int>(a[i + 1])});
             }
             for (size_t i = 0; i < r.size(); i += 3) {
               require(r[i] >= 0 && r[i] <= 2, "map: there is no result ", r[i]);
               results.push_back({static_cast<R>(r[i]), static_cast<int>(r[i + 1]), r[i + 2]});
             }
             return make_op<MapOp>(body, p["n"], access, results);
           }}};
}

}  // namespace hesse
