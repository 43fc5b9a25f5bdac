#include "solvers/adjoint.h"

#include <algorithm>

#include "core/derivatives.h"
#include "core/node.h"
#include "core/op_table.h"
#include "core/ops.h"
#include "core/ops/control.h"
#include "core/ops/control_graph.h"
#include "solvers/cvode.h"
#include "solvers/graph_op.h"
#include "solvers/method.h"
#include "solvers/split.h"

namespace hesse::solvers {
namespace {

// How many real numbers an array holds.
int64_t count(const Aval& a) { return num_elements(a.shape) * (is_complex(a.dtype) ? 2 : 1); }

/// A graph whose reverse mode is by forward mode.
class ByForwardMode final : public GraphOp<General> {
 public:
  using GraphOp::GraphOp;
  std::string_view name() const override { return "by_forward_mode"; }
  Params params() const override { return {{"graph", graph()}}; }

  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    MaybeArrays dy = tangents_of(graph(), x, dx);
    dy.resize(y.size());
    return dy;
  }
  // The numbers wanted are one vector of m; example j of a map is its direction e_j, and its result
  //   Re <c, J e_j>, with the pairing of gradients: c is not conjugated.
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    MaybeArrays out(x.size());
    std::vector<bool> marked(x.size());
    int64_t m = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      marked[i] = wanted[i] && is_inexact(x[i].dtype());
      if (marked[i]) m += count(aval(x[i]));
    }
    const DerivedGraph d = derivatives().jvp(*without_effects(graph()), marked, {}, false);
    Arrays operands(x.begin(), x.end());
    std::vector<size_t> tangents;  // of which outputs, among those present
    for (size_t k = 0, i = 0; k < ct.size(); ++k) {
      if (ct[k] && d.present[k]) {
        operands.push_back(*ct[k]);
        tangents.push_back(i);
      }
      i += d.present[k];
    }
    if (m == 0 || tangents.empty()) return out;
    std::vector<Access> access(operands.size(), Access::uniform());
    operands.push_back(eye(m, {}, 0, kFloat64));
    access.push_back(Access::each());
    const Array g = map(
        [&](std::span<const Array> in) {
          Arrays at(in.begin(), in.begin() + static_cast<int64_t>(x.size()));
          int64_t begin = 0;
          const auto next = [&](const Aval& a) {
            const int64_t n = num_elements(a.shape);
            begin += n;
            return astype(reshape(slice(in.back(), {begin - n}, {begin}, {1}), a.shape), real_dtype(a.dtype));
          };
          for (size_t i = 0; i < x.size(); ++i) {
            if (!marked[i]) continue;
            const Aval a = aval(x[i]);
            const Array re = next(a);
            at.push_back(is_complex(a.dtype) ? make_complex(re, next(a)) : re);
          }
          const Arrays dy = d.graph->call(at);
          Array total(0.0);
          for (size_t k = 0; k < tangents.size(); ++k)
            total = total + astype(sum(real(in[x.size() + k] * dy[tangents[k]])), kFloat64);
          return Arrays{total};
        },
        m, operands, access, [](size_t n) { return std::vector<Result>(n, Result::each()); })[0];
    int64_t begin = 0;
    const auto next = [&](const Aval& a) {
      const int64_t n = num_elements(a.shape);
      begin += n;
      return astype(reshape(slice(g, {begin - n}, {begin}, {1}), a.shape), real_dtype(a.dtype));
    };
    for (size_t i = 0; i < x.size(); ++i) {
      if (!marked[i]) continue;
      const Aval a = aval(x[i]);
      const Array re = next(a);
      out[i] = is_complex(a.dtype) ? make_complex(re, negative(next(a))) : re;
    }
    return out;
  }
  bool reads_output(int) const override { return false; }
};

/// A graph that is run as a program, and so are its derivatives. What is computed again in reverse mode is
/// the same to the last bit then; run equation by equation it may differ in rounding, which the control of
/// steps magnifies: steps would not end where those ended that were kept.
class AsProgram final : public GraphOp<Op> {
 public:
  using GraphOp::GraphOp;
  std::string_view name() const override { return "ivp_program"; }
  Params params() const override { return {{"graph", graph()}}; }
  MaybeArrays jvp(std::span<const Array> x, std::span<const Array> y,
                  std::span<const MaybeArray> dx) const override {
    const auto [in, marked] = joined(x, dx);
    return called(derivatives().jvp(*without_effects(graph()), marked, {}, false), in, y.size());
  }
  std::optional<MaybeArrays> vjp(std::span<const Array> x, std::span<const Array>,
                                 std::span<const MaybeArray> ct,
                                 const std::vector<bool>& wanted) const override {
    const auto [in, marked] = joined(x, ct);
    return called(derivatives().vjp(*without_effects(graph()), marked, wanted, {}), in, x.size());
  }
  bool is_linear_in(const std::vector<bool>& marked) const override { return is_linear(*graph(), marked); }
  std::vector<bool> depends_on(const std::vector<bool>& marked) const override {
    return outputs_that_depend(*graph(), marked);
  }
  bool reads_output(int) const override { return false; }

 private:
  static std::pair<Arrays, std::vector<bool>> joined(std::span<const Array> x,
                                                     std::span<const MaybeArray> more) {
    std::pair<Arrays, std::vector<bool>> out{{x.begin(), x.end()}, {}};
    for (const MaybeArray& a : more) {
      out.second.push_back(a.has_value());
      if (a) out.first.push_back(*a);
    }
    return out;
  }
  static MaybeArrays called(const DerivedGraph& d, const Arrays& in, size_t n) {
    const Arrays values = hesse::apply(make_op<AsProgram>(d.graph), in);
    MaybeArrays out(n);
    for (size_t k = 0, i = 0; k < n; ++k)
      if (d.present[k]) out[k] = values[i++];
    return out;
  }
};

const bool registered = (register_ops({listed<ByForwardMode>("by_forward_mode", "graph"),
                                       listed<AsProgram>("ivp_program", "graph")}),
                         true);

}  // namespace

namespace {
void check_backsolve(const Backsolve& back, std::string_view method, bool has_times, bool dense_output) {
  const auto one_step = [](std::string_view m) { return !is_cvode_method(m) && split_of(m) == Split::None; };
  require(one_step(method), "solve_ivp: adjoint Backsolve() is of one-step methods that take one function; ",
          method, " has ", is_cvode_method(method) ? "Interpolating()" : "Discrete()", " and Forward()");
  if (!back.method.empty() && !is_cvode_method(back.method)) check_method(back.method);
  require(back.method.empty() || one_step(back.method), "solve_ivp: method of Backsolve is '", back.method,
          "', expected a one-step method that takes one function, such as Tsit5 or Kvaerno5");
  require(has_times, "solve_ivp: adjoint Backsolve() needs t_eval, the times of the solution");
  require(!dense_output, "solve_ivp: adjoint Backsolve() has no dense_output; use Discrete()");
  for (const auto& [x, name] : {std::pair(&back.rtol, "rtol"), std::pair(&back.atol, "atol")}) {
    if (!*x) continue;
    require((*x)->ndim() == 0, "solve_ivp: ", name, " of Backsolve has shape ", (*x)->shape(),
            ", expected a scalar");
    require(!is_constant(**x) || astype(**x, kFloat64).item<double>() >= 0, "solve_ivp: ", name,
            " of Backsolve is ", is_constant(**x) ? astype(**x, kFloat64).item<double>() : 0.0,
            ", expected a number not below 0");
  }
}
}  // namespace

MaybeArrays tangents_of(const Ref<const Graph>& g, std::span<const Array> x, std::span<const MaybeArray> dx) {
  std::vector<bool> marked;
  Arrays in(x.begin(), x.end());
  for (const MaybeArray& d : dx) {
    marked.push_back(d.has_value());
    if (d) in.push_back(*d);
  }
  const DerivedGraph d = derivatives().jvp(*without_effects(g), marked, {}, false);
  const Arrays out = d.graph->call(in);
  MaybeArrays dy(d.present.size());
  for (size_t k = 0, i = 0; k < dy.size(); ++k)
    if (d.present[k]) dy[k] = out[i++];
  return dy;
}

void check_adjoint(const Adjoint& adjoint, std::string_view method, bool multistep, bool has_times,
                   bool dense_output) {
  const auto* discrete = std::get_if<Discrete>(&adjoint);
  require(!(discrete && multistep), "solve_ivp: adjoint Discrete() is not of the methods of SUNDIALS; ",
          method, " has Interpolating() and Forward()");
  require(!(std::holds_alternative<Interpolating>(adjoint) && !multistep),
          "solve_ivp: adjoint Interpolating() is that of the methods of SUNDIALS; ", method,
          " has Discrete(), Forward() and Backsolve()");
  require(!discrete || discrete->checkpoint_every >= 0, "solve_ivp: checkpoint_every of Discrete is ",
          discrete ? discrete->checkpoint_every : 0, ", expected a number of steps, 1 or more");
  require(has_times || !(discrete && discrete->checkpoint_every > 0),
          "solve_ivp: without t_eval every step is in the solution, and none can be left out of memory: give "
          "t_eval for Discrete with checkpoint_every");
  require(!dense_output || !(discrete && discrete->checkpoint_every > 0),
          "solve_ivp: dense_output keeps every step: it excludes Discrete with checkpoint_every");
  require(has_times || !std::holds_alternative<Forward>(adjoint),
          "solve_ivp: adjoint Forward() needs t_eval, the times of the solution");
  if (const auto* back = std::get_if<Backsolve>(&adjoint))
    check_backsolve(*back, method, has_times, dense_output);
}

Arrays checkpointed_loop(const Fn& cond, const Fn& body, const Arrays& carry, int64_t checkpoint_every,
                         const std::function<void(std::span<const Array>)>& after) {
  if (checkpoint_every <= 0) return while_loop(cond, body, carry);
  const size_t n = carry.size();
  const Fn loop = [&](std::span<const Array> start) {
    return while_loop(cond,
                      [&](std::span<const Array> segment) {
                        Arrays in(segment.begin(), segment.end());
                        const int64_t none = 0;
                        in.push_back(Array::from<int64_t>(std::span<const int64_t>(&none, 1), {}));
                        Arrays out = while_loop(
                            [&](std::span<const Array> x) {
                              return Arrays{logical_and(cond(x.first(n))[0], x[n] < checkpoint_every)};
                            },
                            [&](std::span<const Array> x) {
                              Arrays next = body(x.first(n));
                              next.push_back(x[n] + int64_t{1});
                              return next;
                            },
                            in);
                        out.pop_back();
                        if (after) after(out);
                        return out;
                      },
                      {start.begin(), start.end()});
  };
  Avals avals;
  for (const Array& a : carry) avals.push_back(aval(a));
  const Traced traced = trace(loop, avals, true);
  Arrays in = carry;
  in.insert(in.end(), traced.captures.begin(), traced.captures.end());
  return hesse::apply(make_op<AsProgram>(traced.graph), in);
}

Arrays by_forward_mode(const Fn& f, const Arrays& args) {
  Avals avals;
  for (const Array& a : args) avals.push_back(aval(a));
  const Traced traced = trace(f, avals, true);
  Arrays in = args;
  in.insert(in.end(), traced.captures.begin(), traced.captures.end());
  return hesse::apply(make_op<ByForwardMode>(traced.graph), in);
}

}  // namespace hesse::solvers
