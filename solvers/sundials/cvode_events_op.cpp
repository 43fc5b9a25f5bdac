#include "solvers/sundials/cvode_events_op.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/derivatives.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "core/status.h"
#include "solvers/lists.h"
#include "solvers/spans.h"
#include "solvers/sundials/guard.h"

namespace hesse::solvers::sundials {
namespace {

int64_t total(const Dims& x) { return std::accumulate(x.begin(), x.end(), int64_t{0}); }

// The outputs: `rows` of y, and of every event as many as it may have.
Arrays outputs_of(const Watched& w, int64_t rows, int64_t size, const Dims& most) {
  const auto filled = [](const std::vector<double>& from, int64_t numbers) {
    std::vector<double> out = from;
    out.resize(static_cast<size_t>(numbers), NAN);
    return out;
  };
  std::vector<double> t, y;
  std::vector<int64_t> counts;
  for (size_t k = 0; k < w.events.size(); ++k) {
    append(t, filled(w.events[k].t, most[k]));
    append(y, filled(w.events[k].y, most[k] * size));
    counts.push_back(w.events[k].count);
  }
  Arrays out{Array::from<double>(filled(w.y, rows * size), {rows, size})};
  append(out, counts_of(w.report));
  append(out, Arrays{Array::from<double>(t, {total(most)}), Array::from<double>(y, {total(most), size}),
                     Array::from<int64_t>(counts, {static_cast<int64_t>(counts.size())}), whole_of(w.ended)});
  return out;
}

class CvodeEventsOp final : public General {
 public:
  CvodeEventsOp(const Ref<const Graph>& field, const CvodeOptions& options, const Conditions& conditions,
                const Dims& most)
      : fields_(field, options),
        options_(options),
        conditions_(conditions),
        values_(conditions.graph),
        most_(most),
        solution_(cvode_op(without_effects(field), options.silent())) {}
  std::string_view name() const override { return "cvode_events"; }
  Params params() const override {
    Params out = params_of(options_);
    out.emplace_back("field", field().graph());
    out.emplace_back("conditions", conditions_.graph);
    out.emplace_back("terminal", conditions_.terminal);
    out.emplace_back("direction", conditions_.direction);
    out.emplace_back("most", most_);
    return out;
  }
  bool has_effect() const override {
    return options_.reporter || has_effects(*field().graph()) || has_effects(*conditions_.graph);
  }

  Avals infer(std::span<const Aval> x) const override {
    const auto k = static_cast<int64_t>(conditions_.size());
    const size_t num_q = static_cast<size_t>(conditions_.graph->num_inputs()) - 2;
    require(x.size() == num_base() + 1 + num_q && x[operand::y0].shape == Shape{field().size()} &&
                x[operand::times].shape.size() == 1 && x[operand::times].shape[0] > 0 &&
                x[num_base()].shape == Shape{k} && conditions_.graph->num_outputs() == k,
            name(), ": the operands do not fit the field and the conditions");
    const int64_t m = total(most_);
    Avals out{{{x[operand::times].shape[0], field().size()}, kFloat64}};
    append(out, counts_avals());
    append(out, Avals{{{m}, kFloat64}, {{m, field().size()}, kFloat64}, {{k}, kInt64}, {{}, kInt64}});
    return out;
  }

  Watched watched(std::span<const Array> x, bool every_step, const Dims& most,
                  Polynomials* polynomials = nullptr) const {
    CvodeNumbers in(fields_, options_, x);
    in.settings.polynomials = polynomials;
    const std::vector<double> start = x[num_base()].to_vector<double>();
    Watched out;
    out.events.resize(conditions_.size());
    out.report = solved(in, [&] {
      out = integrate_watched(in.problem(), in.times, every_step,
                              {conditions_, values_, x.subspan(num_base() + 1), start, most});
      return out.report;
    });
    report_solve("solve_ivp", "", out.report, options_.names, options_.is_implicit(), options_.raise);
    return out;
  }
  Arrays eval(std::span<const Array> x) const override {
    return outputs_of(watched(x, false, most_), x[operand::times].size(), field().size(), most_);
  }

  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override;
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array> y,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override;
  bool reads_output(int k) const override {
    const auto i = static_cast<size_t>(k);
    return i == event_output::y || i == event_output::times || i == event_output::states;
  }

 private:
  const FlatField& field() const { return fields_.all; }
  size_t num_base() const {
    return cvode_operand::parameters + static_cast<size_t>(field().graph()->num_inputs()) - 2;
  }

  /// The rows of a solution, [R]: those of the times, then those of the events.
  struct Rows {
    Array there;         // bool [R]: others are treated as the last row that is there, and masked
    Array order, back;   // row of each in the order of their times, and where each row is in that order
    Arrays x;            // operands of `solution_`, whose times are these in their order
    Array t, y, slopes;  // [R], [R, N], [R, N], rows as they are
    Array y_in_order;
  };
  Rows rows(std::span<const Array> x, std::span<const Array> y) const;
  Ref<const Graph> condition(size_t k) const;
  Array rates(size_t k, int64_t first, const Rows& r, std::span<const Array> q) const;

  CvodeFields fields_;
  CvodeOptions options_;
  Conditions conditions_;
  ConditionValues values_;
  Dims most_;
  OpRef solution_;
};

Array masked(const Array& there, const Array& x) {
  const Array mask = x.ndim() == there.ndim() ? there : expand_dims(there, {1});
  return where(mask, x, zeros_like(x));
}
Array rows_of(const Array& x, int64_t first, int64_t count) {
  return getitem(x, {Index(Slice{first, first + count, {}})});
}

CvodeEventsOp::Rows CvodeEventsOp::rows(std::span<const Array> x, std::span<const Array> y) const {
  const Array &t0 = x[operand::t0], &times = x[operand::times], &y0 = x[operand::y0];
  const Array t = concatenate({times, y[event_output::times]});
  const Array states = concatenate({y[event_output::y], y[event_output::states]});
  const int64_t n = field().size(), count = t.size();
  Rows r;
  r.there = logical_and(isfinite(t), all(isfinite(states), Axes{1}));
  const Array direction = direction_of(t0, getitem(times, {Index(-1)}));
  const Array along = stop_gradient(where(r.there, (t - t0) * direction, -1.0));
  const Array last = stop_gradient(where(any(r.there), take(t, argmax(along), 0), t0));
  r.t = where(r.there, t, last);
  r.y = where(expand_dims(r.there, {1}), states, broadcast_to(expand_dims(y0, {0}), {count, n}));
  r.order = argsort(where(r.there, along, max(along)));
  r.back = argsort(r.order);
  r.x.assign(x.begin(), x.begin() + static_cast<int64_t>(num_base()));
  r.x[operand::times] = gather(r.t, r.order);
  r.y_in_order = gather(r.y, r.order);
  MaybeArrays along_time(r.x.size());
  along_time[operand::times] = ones({count}, kFloat64);
  r.slopes = gather(*solution_->jvp(r.x, Arrays{r.y_in_order}, along_time)[0], r.back);
  return r;
}

// (t, y [N], q...) -> g_k
Ref<const Graph> CvodeEventsOp::condition(size_t k) const {
  const Ref<const Graph> all = without_effects(conditions_.graph);
  return trace_closed([&](std::span<const Array> x) { return Arrays{all->call(x)[k]}; }, all->input_avals());
}

// dg/dt along the solution at the rows of event k, 1 where it did not happen.
Array CvodeEventsOp::rates(size_t k, int64_t first, const Rows& r, std::span<const Array> q) const {
  const int64_t m = most_[k];
  const Ref<const Graph> g = condition(k);
  std::vector<bool> marked(static_cast<size_t>(g->num_inputs()), false);
  marked[0] = marked[1] = true;
  const DerivedGraph d = derivatives().jvp(*g, marked, {true}, false);
  Arrays in{rows_of(r.t, first, m), rows_of(r.y, first, m)};
  std::vector<Access> access(2, Access::each());
  append(in, q);
  access.resize(in.size(), Access::uniform());
  append(in, Arrays{ones({m}, kFloat64), rows_of(r.slopes, first, m)});
  access.resize(in.size(), Access::each());
  const Array rate = map(d.graph, m, in, access, {Result::each()})[0];
  return where(rows_of(r.there, first, m), rate, 1.0);
}

// With the tangents s of y at fixed times, and f its slopes: dy_k = s_k + f_k dt_k at the times; at an event,
//   (g_t + g_y f) dt_e = -(g_y s_e + g_q dq), dy_e = s_e + f_e dt_e.
MaybeArrays CvodeEventsOp::jvp(std::span<const Array> x, std::span<const Array> y,
                               std::span<const MaybeArray> dx) const {
  const Rows r = rows(x, y);
  const int64_t n = x[operand::times].size();
  const std::span<const Array> q = x.subspan(num_base() + 1);
  const std::span<const MaybeArray> dq = dx.subspan(num_base() + 1);
  MaybeArrays base(dx.begin(), dx.begin() + static_cast<int64_t>(num_base())), out(y.size());
  base[operand::times] = std::nullopt;
  MaybeArray s = solution_->jvp(r.x, Arrays{r.y_in_order}, base)[0];
  if (s) s = masked(r.there, gather(*s, r.back));
  if (s) out[event_output::y] = rows_of(*s, 0, n);
  if (dx[operand::times]) {
    const Array moved =
        masked(rows_of(r.there, 0, n), rows_of(r.slopes, 0, n) * expand_dims(*dx[operand::times], {1}));
    MaybeArray& dy = out[event_output::y];
    dy = dy ? *dy + moved : moved;
  }
  std::vector<bool> marked{false, s.has_value()};
  for (const MaybeArray& d : dq) marked.push_back(d.has_value());
  if (std::find(marked.begin(), marked.end(), true) == marked.end() || total(most_) == 0) return out;
  Arrays moved;
  int64_t first = n;
  for (size_t k = 0; k < conditions_.size(); first += most_[k++]) {
    const int64_t m = most_[k];
    if (m == 0) continue;
    const DerivedGraph d = derivatives().jvp(*condition(k), marked, {true}, false);
    Arrays in{rows_of(r.t, first, m), rows_of(r.y, first, m)};
    std::vector<Access> access(2, Access::each());
    append(in, q);
    access.resize(in.size(), Access::uniform());
    if (s) {
      in.push_back(rows_of(*s, first, m));
      access.push_back(Access::each());
    }
    for (const MaybeArray& v : dq)
      if (v) in.push_back(*v);
    access.resize(in.size(), Access::uniform());
    const Array dg = map(d.graph, m, in, access, {Result::each()})[0];
    moved.push_back(masked(rows_of(r.there, first, m), negative(dg) / rates(k, first, r, q)));
  }
  const Array dt = concatenate(moved);
  const Array dy = rows_of(r.slopes, n, total(most_)) * expand_dims(dt, {1});
  out[event_output::times] = dt;
  out[event_output::states] = s ? rows_of(*s, n, total(most_)) + dy : dy;
  return out;
}

// The transpose: for cotangents c of y at the times, a and b of the times of events and of y there,
//   w = -(a + <b, f_e>) / (g_t + g_y f_e)
// is that of dg, so that s_e has b + w g_y, and q has w g_q; what s depends on has the gradient of all <c,
// s>.
std::optional<MaybeArrays> CvodeEventsOp::vjp(std::span<const Array> x, std::span<const Array> y,
                                              std::span<const MaybeArray> ct,
                                              const std::vector<bool>& wanted) const {
  MaybeArrays out(x.size());
  const MaybeArray &c = ct[event_output::y], &a = ct[event_output::times], &b = ct[event_output::states];
  if (!c && !a && !b) return out;
  const Rows r = rows(x, y);
  const int64_t n = x[operand::times].size(), size = field().size();
  const size_t first_q = num_base() + 1;
  const std::span<const Array> q = x.subspan(first_q);
  const Array none = zeros({n, size}, kFloat64);
  Arrays all{c ? masked(rows_of(r.there, 0, n), *c) : none};
  if (c && wanted[operand::times]) out[operand::times] = sum(all[0] * rows_of(r.slopes, 0, n), Axes{1});

  std::vector<bool> want{false, true};
  want.insert(want.end(), wanted.begin() + static_cast<int64_t>(first_q), wanted.end());
  int64_t first = n;
  for (size_t k = 0; k < conditions_.size(); first += most_[k++]) {
    const int64_t m = most_[k];
    if (m == 0) continue;
    if (!a && !b) {
      all.push_back(zeros({m, size}, kFloat64));
      continue;
    }
    const Array there = rows_of(r.there, first, m), slopes = rows_of(r.slopes, first, m);
    const Array at = b ? masked(there, rows_of(*b, first - n, m)) : zeros({m, size}, kFloat64);
    Array tau = sum(at * slopes, Axes{1});
    if (a) tau = tau + rows_of(*a, first - n, m);
    const Array w = masked(there, negative(tau) / rates(k, first, r, q));
    const DerivedGraph d = derivatives().vjp(*condition(k), {true}, want, want);
    Arrays in{rows_of(r.t, first, m), rows_of(r.y, first, m)};
    std::vector<Access> access(2, Access::each());
    append(in, q);
    access.resize(in.size(), Access::uniform());
    in.push_back(w);
    access.push_back(Access::each());
    std::vector<Result> results{Result::each()};
    results.resize(static_cast<size_t>(d.graph->num_outputs()), Result::sum());
    const Arrays g = map(d.graph, m, in, access, results);
    all.push_back(at + g[0]);
    for (size_t j = 0, i = 1; j < q.size(); ++j)
      if (want[j + 2]) {
        MaybeArray& to = out[first_q + j];
        to = to ? *to + g[i] : g[i];
        ++i;
      }
  }
  std::vector<bool> of(wanted.begin(), wanted.begin() + static_cast<int64_t>(num_base()));
  of[operand::times] = false;
  if (std::find(of.begin(), of.end(), true) == of.end()) return out;
  MaybeArrays cotangents(1 + kNumCounts);
  cotangents[0] = gather(concatenate(all), r.order);
  const std::optional<MaybeArrays> g = solution_->vjp(r.x, Arrays{r.y_in_order}, cotangents, of);
  for (size_t i = 0; i < of.size(); ++i)
    if (of[i]) out[i] = (*g)[i];
  return out;
}

const bool registered = (register_ops({{"cvode_events",
                                        [](const ReadParams& p) {
                                          const Conditions c{p["conditions"], p["terminal"], p["direction"]};
                                          const Dims most = p["most"];
                                          return make_op<CvodeEventsOp>(p["field"], read_options(p), c, most);
                                        }}}),
                         true);

}  // namespace

OpRef cvode_events_op(const Ref<const Graph>& field, const CvodeOptions& options,
                      const Conditions& conditions, const Dims& most) {
  return make_op<CvodeEventsOp>(field, options, conditions, most);
}

FoundEvents find_events(const Ref<const Graph>& field, const CvodeOptions& options,
                        const Conditions& conditions, const Arrays& x, bool every_step,
                        Polynomials* polynomials) {
  const Dims without_limit(conditions.size(), -1);
  const Ref<const CvodeEventsOp> op(new CvodeEventsOp(field, options, conditions, without_limit));
  const FailureScope failures;
  const Watched w = op->watched(x, every_step, without_limit, polynomials);
  failures.raise_if_failed();
  FoundEvents out;
  for (const Watched::Occurrences& event : w.events) out.most.push_back(event.count);
  const auto reached = static_cast<int64_t>(w.t.size());
  out.outputs =
      outputs_of(w, every_step ? reached : x[operand::times].size(), x[operand::y0].size(), out.most);
  out.t = Array::from<double>(w.t, {reached});
  return out;
}

}  // namespace hesse::solvers::sundials
