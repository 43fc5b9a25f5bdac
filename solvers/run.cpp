#include "solvers/run.h"

#include <cmath>
#include <numeric>

#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/lists.h"

namespace hesse::solvers {
namespace {

// x where the condition, a scalar or one for each row, holds, else NaN.
Array or_nan(const Array& condition, const Array& x) {
  Array c = condition;
  if (c.ndim() > 0) {
    Shape rows = c.shape();
    while (rows.size() < x.shape().size()) rows.push_back(1);
    c = reshape(c, rows);
  }
  return where(c, x, nan_of(x.dtype()));
}
Arrays or_nan(const Array& condition, std::span<const Array> x) {
  Arrays out;
  for (const Array& a : x) out.push_back(or_nan(condition, a));
  return out;
}

// The rows of stops of one kind, in order, in a table of `most` rows.
class RowsOf {
 public:
  RowsOf(const Array& kinds, int64_t kind, int64_t most)
      : positions_(slice(argsort(astype(not_equal(kinds, kind), kInt64)), {0}, {most}, {1})),
        there_(arange(0, static_cast<double>(most), 1, kInt64) < count_nonzero(equal(kinds, kind))) {}
  Array operator()(const Array& table) const { return or_nan(there_, gather(table, positions_)); }
  Arrays operator()(std::span<const Array> tables) const {
    Arrays out;
    for (const Array& table : tables) out.push_back((*this)(table));
    return out;
  }

 private:
  Array positions_, there_;
};

Arrays kept(const Keep& keep, const Array& t, const Arrays& y, const Stops::Problem& p) {
  return keep ? keep(t, y, p.operands) : y;
}
Array row(const Array& x, const Array& i) { return take(x, i, 0); }

}  // namespace

// Rows without a state are given another, so that derivatives have no part of theirs.
Arrays kept_of_rows(const Keep& keep, const Array& t, const Arrays& y, const Arrays& y0,
                    const Arrays& operands) {
  Arrays rows{t};
  append(rows, y);
  return vmap(
      [&](std::span<const Array> x) {
        Array there(true);
        for (const Array& a : x.subspan(1)) there = logical_and(there, logical_not(any(isnan(a))));
        return or_nan(there, keep(x[0], select(there, x.subspan(1), y0), operands));
      },
      rows, MapAxes(rows.size(), 0), {0});
}

Run run_to(const Array& times, const Stops& stops, const Stops::State& start, const Stops::Problem& p,
           const Keep& keep, const std::vector<int64_t>& most) {
  Run out;
  out.t = times;
  const size_t n = start.steps.y.size();
  const Arrays carry = stops.pack(start);
  if (stops.num_events() == 0) {
    const Arrays all = scan(
        [&](std::span<const Array> x) {
          const Stops::Stop stop = stops.next(stops.unpack(x.first(x.size() - 1)), x.back(), p);
          Arrays result = stops.pack(stop.state);
          append(result, or_nan(equal(stop.state.steps.status, kSuccess), kept(keep, stop.t, stop.y, p)));
          return result;
        },
        carry, {times});
    out.last = stops.unpack(std::span<const Array>(all).first(carry.size()));
    out.y.assign(all.begin() + static_cast<int64_t>(carry.size()), all.end());
    return out;
  }

  // So many stops are enough: every time, the end, and every event as often as there is room for it.
  const int64_t num_times = times.size(), num_targets = num_times + 1;
  const Array targets = concatenate({times, reshape(p.t1, {1})});
  Arrays inputs = carry;
  inputs.push_back(Array(int64_t{0}));
  const Arrays all = scan(
      [&](std::span<const Array> x) {
        const Array& reached = x.back();
        const Array target = row(targets, minimum(reached, num_targets - 1));
        const Stops::Stop stop = stops.next(stops.unpack(x.first(x.size() - 1)), target, p);
        const Array kind = where(reached < num_targets, stop.kind, Stops::kNone);
        Arrays result = stops.pack(stop.state);
        result.push_back(reached + where(equal(kind, Stops::kTarget), Array(int64_t{1}), Array(int64_t{0})));
        append(result, Arrays{kind, stop.t});
        append(result, stop.y);
        if (keep) append(result, keep(stop.t, stop.y, p.operands));
        return result;
      },
      inputs, {}, std::accumulate(most.begin(), most.end(), num_targets));
  const std::span<const Array> tables = std::span<const Array>(all).subspan(inputs.size());
  const Array &kinds = tables[0], &t = tables[1];
  const std::span<const Array> y = tables.subspan(2, n), what = keep ? tables.subspan(2 + n) : y;
  out.last = stops.unpack(std::span<const Array>(all).first(carry.size()));
  out.y = RowsOf(kinds, Stops::kTarget, num_times)(what);
  for (size_t k = 0; k < most.size(); ++k) {
    const RowsOf rows(kinds, static_cast<int64_t>(k), most[k]);
    out.t_events.push_back(rows(t));
    out.y_events.push_back(rows(y));
  }
  const Array last = maximum(count_nonzero(not_equal(kinds, Stops::kNone)) - int64_t{1}, int64_t{0});
  const Array arrived = equal(out.last.steps.status, kSuccess);
  out.t_end = or_nan(arrived, row(t, last));
  for (const Array& a : y) out.y_end.push_back(or_nan(arrived, row(a, last)));
  return out;
}

Run run_stop_by_stop(const std::optional<Array>& times, const Stops& stops, const Stops::State& start,
                     const Stops::Problem& p, const Keep& keep, bool keeps_segments) {
  const size_t n = start.steps.y.size(), num_events = stops.num_events();
  Arrays inputs = stops.pack(start);
  const size_t carried = inputs.size();
  append(inputs, Arrays{p.t1, p.t1, p.direction});  // the target, t1, direction
  append(inputs, p.operands);
  Avals avals;
  for (const Array& a : inputs) avals.push_back(aval(a));
  const Compiled next = compile(
      [&](std::span<const Array> x) {
        const Stops::Problem here{x[carried + 1], x[carried + 2],
                                  Arrays(x.begin() + static_cast<int64_t>(carried) + 3, x.end()), p.breaks};
        const Stops::State from = stops.unpack(x);
        const Stops::Stop stop = times ? stops.next(from, x[carried], here) : stops.next_step(from, here);
        Arrays result = stops.pack(stop.state);
        append(result, Arrays{stop.kind, stop.t, (here.t1 - stop.state.steps.t) * here.direction > 0.0});
        append(result, stop.y);
        if (keep) append(result, keep(stop.t, stop.y, here.operands));
        return result;
      },
      avals);

  Run out;
  Arrays t;
  std::vector<Arrays> y;  // [rows][arrays]
  out.t_events.resize(num_events);
  out.y_events.resize(num_events);
  std::vector<Arrays> event_t(num_events);
  std::vector<std::vector<Arrays>> event_y(num_events);
  const Arrays kept_at_start = kept(keep, start.steps.t, start.steps.y, p);
  Stops::State last = start;
  out.t_end = start.steps.t;
  out.y_end = start.steps.y;
  if (!times) {
    t.push_back(start.steps.t);
    y.push_back(kept_at_start);
  }
  const int64_t num_targets = times ? times->size() + (num_events > 0 ? 1 : 0) : 0;
  int64_t reached = 0;
  bool further = times ? num_targets > 0
                       : ((p.t1 - start.steps.t) * p.direction > 0.0).item<bool>() &&
                             start.steps.status.item<int64_t>() == kSuccess;
  while (further) {
    poll_interrupt();
    if (times) inputs[carried] = reached < times->size() ? getitem(*times, {Index(reached)}) : p.t1;
    const Arrays result = next(inputs);
    std::copy(result.begin(), result.begin() + static_cast<int64_t>(carried), inputs.begin());
    last = stops.unpack(result);
    if (Reporter* r = stops.reporter(); r && !times)
      r->step(last.steps.t.item<double>(), last.steps.h.item<double>(), last.steps.accepted.item<int64_t>(),
              last.steps.rejected.item<int64_t>());
    const int64_t kind = result[carried].item<int64_t>();
    if (kind == Stops::kNone) break;
    out.t_end = result[carried + 1];
    const auto from = result.begin() + static_cast<int64_t>(carried) + 3;
    out.y_end.assign(from, from + static_cast<int64_t>(n));
    const Arrays what = keep ? Arrays(from + static_cast<int64_t>(n), result.end()) : out.y_end;
    const bool ends = num_events > 0 && last.ended.item<int64_t>() >= 0;
    if (kind >= 0) {
      event_t[static_cast<size_t>(kind)].push_back(out.t_end);
      event_y[static_cast<size_t>(kind)].push_back(out.y_end);
    }
    if (kind == Stops::kTarget && ++reached <= times->size()) y.push_back(what);
    if (keeps_segments && (kind == Stops::kStep || ends)) out.segments.push_back(stops.segment(last));
    if (!times && (kind == Stops::kStep || ends)) {
      t.push_back(out.t_end);
      y.push_back(what);
    }
    further =
        !ends && (times ? reached < num_targets : kind != Stops::kStep || result[carried + 2].item<bool>());
  }
  out.last = last;
  if (keeps_segments && out.segments.empty()) out.segments.push_back(stops.segment(start));
  const bool failed = last.steps.status.item<int64_t>() != kSuccess;
  if (failed) {
    out.t_end = or_nan(Array(false), out.t_end);
    out.y_end = or_nan(Array(false), out.y_end);
    if (times)
      while (static_cast<int64_t>(y.size()) < times->size()) y.push_back(or_nan(Array(false), kept_at_start));
  }
  const auto rows = static_cast<int64_t>(y.size());
  const auto stacked = [](const std::vector<Arrays>& table, const Arrays& like) {
    Arrays columns;
    for (size_t i = 0; i < like.size(); ++i) {
      Arrays column;
      for (const Arrays& r : table) column.push_back(r[i]);
      Shape none = like[i].shape();
      none.insert(0, 0);
      columns.push_back(column.empty() ? zeros(none, like[i].dtype()) : stack(column));
    }
    return columns;
  };
  out.t = !times ? stack(t) : rows == times->size() ? *times : slice(*times, {0}, {rows}, {1});
  out.y = stacked(y, kept_at_start);
  for (size_t k = 0; k < num_events; ++k) {
    out.t_events[k] = event_t[k].empty() ? zeros({0}, kFloat64) : stack(event_t[k]);
    out.y_events[k] = stacked(event_y[k], start.steps.y);
  }
  return out;
}

}  // namespace hesse::solvers
