#include "solvers/field.h"

#include <algorithm>

#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/field_tangent.h"

namespace hesse::solvers {

Arrays Field::operator()(const Array& t, std::span<const Array> y, std::span<const Array> operands) const {
  Arrays in{astype(t, time)};
  in.insert(in.end(), y.begin(), y.end());
  const std::span<const Array> captures = operands.first(num_captures);
  in.insert(in.end(), captures.begin(), captures.end());
  return graph->call(in);
}

Field record(const Rhs& f, const Arrays& y0, Arrays& captures) {
  Field out;
  Avals avals{{}};
  std::optional<DType> real;
  for (size_t i = 0; i < y0.size(); ++i) {
    require<TypeError>(is_inexact(y0[i].dtype()), "solve_ivp: array ", i, " of y0 is ", describe(y0[i]),
                       ", expected floating numbers; convert it with astype");
    const DType r = real_dtype(y0[i].dtype());
    real = real ? promote(*real, r) : r;
    avals.push_back(aval(y0[i]));
    out.entries += y0[i].size();
  }
  out.time = *real;
  avals[0] = {{}, out.time};
  const Traced traced = trace(
      [&](std::span<const Array> x) {
        Arrays dy = f(x[0], x.subspan(1));
        require(dy.size() == y0.size(), "solve_ivp: f returns ", dy.size(), " arrays for ", y0.size(),
                " of the state");
        for (size_t i = 0; i < dy.size(); ++i) {
          if (dy[i].is_weak()) dy[i] = astype(dy[i], y0[i].dtype());
          require(dy[i].shape() == y0[i].shape() && dy[i].dtype() == y0[i].dtype(), "solve_ivp: f returns ",
                  describe(dy[i]), " for array ", i, " of the state, which is ", describe(y0[i]),
                  "; the derivative has the state's shape and dtype");
        }
        return dy;
      },
      avals, true);
  out.graph = traced.graph;
  captures.insert(captures.end(), traced.captures.begin(), traced.captures.end());
  out.num_captures = traced.captures.size();
  return out;
}

Packing real_state(const Field& field, std::string_view method) {
  Arrays like;
  for (const Aval& a : field.graph->output_avals()) {
    require<TypeError>(!is_complex(a.dtype), "solve_ivp: array ", like.size(), " of y0 is complex, ",
                       describe(a.shape, a.dtype), ", and ", method,
                       " takes real states; give real and imaginary parts as two arrays");
    like.push_back(zeros_of(a));
  }
  return Packing("solve_ivp", "y0", like, Packing::Empty::IsAllowed);
}

DerivedGraph tangents_of(const Field& field, size_t begin, size_t end) {
  std::vector<bool> marked(static_cast<size_t>(field.graph->num_inputs()), false);
  for (size_t i = begin; i < end; ++i) marked[i] = true;
  return derivatives().jvp(*field.graph, marked, {}, false);
}

Array tangent_in(const DerivedGraph& tangents, const Packing& flat, DType time, size_t num_captures,
                 const Array& t, std::span<const Array> y, std::span<const Array> operands,
                 const Arrays& direction) {
  Arrays in{astype(t, time)};
  in.insert(in.end(), y.begin(), y.end());
  in.insert(in.end(), operands.begin(), operands.begin() + static_cast<int64_t>(num_captures));
  in.insert(in.end(), direction.begin(), direction.end());
  const Arrays out = tangents.graph->call(in);
  Arrays dy;
  for (size_t i = 0, k = 0; i < y.size(); ++i)
    dy.push_back(tangents.present[i] ? out[k++] : zeros_of(aval(y[i])));
  return flat.pack(dy);
}

FieldJacobian::FieldJacobian(const Field& field, Packing flat)
    : time_(field.time),
      num_captures_(field.num_captures),
      flat_(std::move(flat)),
      state_(tangents_of(field, 1, 1 + field.num_arrays())),
      time_derivative_(tangents_of(field, 0, 1)) {}

Array FieldJacobian::tangent(const DerivedGraph& d, const Array& t, std::span<const Array> y,
                             std::span<const Array> operands, const Arrays& direction) const {
  return tangent_in(d, flat_, time_, num_captures_, t, y, operands, direction);
}

// Of a small state column by column, so that zeros of the directions vanish from the program.
Array FieldJacobian::by_state(const Array& t, std::span<const Array> y,
                              std::span<const Array> operands) const {
  constexpr int64_t kSmall = 8;
  const int64_t n = flat_.size();
  const auto column = [&](const Array& direction) {
    return tangent(state_, t, y, operands, flat_.unpack(direction));
  };
  const Array identity = eye(n, {}, 0, flat_.dtype());
  if (n == 0) return identity;
  if (n > kSmall)
    return vmap([&](std::span<const Array> e) { return Arrays{column(e[0])}; }, {identity}, {0}, {1})[0];
  Arrays columns;
  for (int64_t k = 0; k < n; ++k) columns.push_back(column(getitem(identity, {Index(k)})));
  return stack(columns, 1);
}

std::optional<Array> FieldJacobian::by_time(const Array& t, std::span<const Array> y,
                                            std::span<const Array> operands) const {
  const auto& present = time_derivative_.present;
  if (std::find(present.begin(), present.end(), true) == present.end()) return std::nullopt;
  return tangent(time_derivative_, t, y, operands, {ones({}, time_)});
}

}  // namespace hesse::solvers
