#include "core/graph.h"

#include <algorithm>
#include <memory_resource>
#include <optional>
#include <ostream>
#include <unordered_map>

#include "core/allocator.h"
#include "core/constant.h"
#include "core/debug.h"
#include "core/derivatives.h"
#include "core/profile.h"
#include "core/status.h"

namespace hesse {
namespace {
Derivatives g_derivatives{};
size_t mix(size_t h, size_t v) { return h ^ (v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2)); }
using Key2 = std::pair<const void*, int>;
struct Key2Hash {
  size_t operator()(const Key2& k) const {
    return mix(std::hash<const void*>{}(k.first), static_cast<size_t>(k.second + 1));
  }
};
Key2 key_of(const Array& a) { return a.node() ? Key2{a.node().get(), a.output_index()} : Key2{a.id(), -1}; }
}  // namespace

void retain(const Graph* p) { p->retain(); }
void release(const Graph* p) { p->release(); }
void install_derivatives(const Derivatives& d) { g_derivatives = d; }
const Derivatives& derivatives() {
  require<Error>(g_derivatives.jvp != nullptr, "derivatives: hesse_autodiff is not linked in");
  return g_derivatives;
}

/// Closes what a trace recorded. Identities of derivatives vanish; only what reaches an output stays.
struct GraphBuilder {
  explicit GraphBuilder(const Ref<Trace>& t) : trace(t) {}
  const Ref<Trace>& trace;
  Ref<Graph> g = make_ref<Graph>();
  Arrays captures;
  std::pmr::monotonic_buffer_resource memory;
  std::pmr::unordered_map<Key2, int, Key2Hash> ids{&memory};
  Arrays constants;

  bool inside(const Array& a) const { return a.is_symbol() && a.node()->trace() == trace; }
  // Through identities of this trace; those outside are leaves of derivatives that are being taken.
  const Array& resolve(const Array& raw) const {
    const Array* a = &raw;
    while (a->node() && a->node()->trace() == trace && a->node()->op() == identity_op() &&
           !a->node()->inputs().empty())
      a = &a->node()->inputs()[0];
    return *a;
  }
  int add_value(const Aval& a) {
    g->values_.push_back(a);
    g->dynamic_ = g->dynamic_ || (!a.shape.empty() && a.shape.front() == kDynamic);
    return static_cast<int>(g->values_.size()) - 1;
  }
  // First meeting of an operand: an outside value becomes a capture or a constant.
  void meet(const Array& raw) {
    const Array& a = resolve(raw);
    if (inside(a)) return;
    if (a.is_symbol() || is_tracked(a)) {
      refuse_given_away(a);
      if (a.is_symbol() && !(a.node() && a.node()->trace() && a.node()->trace()->open()))
        throw TraceError(concat("trace: the symbol ", describe(a),
                                at_source(a.node() ? a.node()->source() : 0),
                                " outlived the function it was made in; return it instead of keeping it"));
      if (ids.emplace(key_of(a), static_cast<int>(g->values_.size())).second) {
        add_value(aval(a));
        captures.push_back(a);
      }
    } else if (ids.emplace(Key2{a.id(), -1}, -1).second) {  // numbered after the captures
      constants.push_back(a);
    }
  }
  int id_of(const Array& raw) {
    const Array& a = resolve(raw);
    const bool constant = !inside(a) && !a.is_symbol() && !is_tracked(a);
    return ids.at(constant ? Key2{a.id(), -1} : key_of(a));
  }

  Traced build(const Arrays& symbols, const Arrays& outputs) {
    for (const Array& s : symbols) ids.emplace(key_of(s), add_value(aval(s)));
    const auto& nodes = trace->nodes();
    ids.reserve(nodes.size() + symbols.size());
    uint64_t first = UINT64_MAX, last = 0;  // numbers of nodes, ascending but for those of other threads
    for (const auto& n : nodes) {
      first = std::min(first, n->number());
      last = std::max(last, n->number());
    }
    std::vector<bool> needed(nodes.empty() ? 0 : last - first + 1, false);
    const auto need = [&](const Array& raw) {
      const Array& a = resolve(raw);
      if (inside(a)) needed[a.node()->number() - first] = true;
    };
    for (const Array& y : outputs) need(y);
    for (size_t i = nodes.size(); i-- > 0;) {
      const Node& n = *nodes[i];
      if (n.op()->has_effect()) needed[n.number() - first] = true;
      if (needed[n.number() - first])
        for (const Array& a : n.inputs()) need(a);
    }
    for (const auto& n : nodes)
      if (needed[n->number() - first])
        for (const Array& a : n->inputs()) meet(a);
    for (const Array& y : outputs) meet(y);
    g->num_inputs_ = static_cast<int>(g->values_.size());
    for (const Array& a : constants) {
      const int id = ids.at({a.id(), -1}) = add_value(aval(a));
      g->constants_.emplace_back(id, a.detached());
    }
    const auto most = static_cast<size_t>(std::count(needed.begin(), needed.end(), true));
    g->equations_.reserve(most);
    g->values_.reserve(g->values_.size() + most);
    for (const auto& n : nodes) {
      if (!needed[n->number() - first] || n->op() == input_op() || n->op() == identity_op()) continue;
      Graph::Equation e{n->op(), {}, {}, n->source()};
      e.in.reserve(n->inputs().size());
      for (const Array& a : n->inputs()) e.in.push_back(id_of(a));
      for (int k = 0; k < n->num_outputs(); ++k) {
        e.out.push_back(add_value(n->output_aval(k)));
        ids.emplace(Key2{n.get(), k}, e.out.back());
      }
      g->equations_.push_back(std::move(e));
    }
    for (const Array& y : outputs) g->outputs_.push_back(id_of(y));
    g->finish();
    return {Ref<const Graph>(g.get()), captures};
  }
};

void Graph::finish() {
  std::vector<int> last(values_.size(), -1);
  for (size_t e = 0; e < equations_.size(); ++e) {
    for (int v : equations_[e].in) last[static_cast<size_t>(v)] = static_cast<int>(e);
    for (int v : equations_[e].out) last[static_cast<size_t>(v)] = static_cast<int>(e);
  }
  for (int v : outputs_) last[static_cast<size_t>(v)] = -1;
  last_use_ends_.reserve(equations_.size());
  for (size_t e = 0; e < equations_.size(); ++e) {
    const Equation& eq = equations_[e];
    const auto release = [&](int v, size_t place) {
      if (last[static_cast<size_t>(v)] != static_cast<int>(e)) return;
      last[static_cast<size_t>(v)] = -1;
      last_use_.push_back(static_cast<int>(place));
    };
    const auto begin = static_cast<std::ptrdiff_t>(last_use_.size());
    for (size_t i = eq.in.size(); i-- > 0;) release(eq.in[i], i);  // the last place where it is read
    std::reverse(last_use_.begin() + begin, last_use_.end());
    for (size_t k = 0; k < eq.out.size(); ++k) release(eq.out[k], eq.in.size() + k);
    last_use_ends_.push_back(static_cast<int>(last_use_.size()));
  }
  size_t h = mix(static_cast<size_t>(num_inputs_), values_.size());
  for (const auto& e : equations_) {
    h = mix(h, e.op->hash());
    for (int v : e.in) h = mix(h, static_cast<size_t>(v));
  }
  for (int v : outputs_) h = mix(h, static_cast<size_t>(v));
  hash_ = h;
}

Ref<const Graph> Graph::assemble(int num_inputs, std::vector<Aval> values,
                                 std::vector<std::pair<int, Array>> constants,
                                 std::vector<Equation> equations, std::vector<int> outputs) {
  std::vector<bool> known(values.size(), false);
  const auto check = [&](int v, bool want, std::string_view what) {
    require(v >= 0 && static_cast<size_t>(v) < known.size() && known[static_cast<size_t>(v)] == want,
            "graph: ", what, " ", v,
            want ? " is not made before it is read" : " is made twice or is no value");
  };
  const auto make = [&](int v, std::string_view what) {
    check(v, false, what);
    known[static_cast<size_t>(v)] = true;
  };
  for (int v = 0; v < num_inputs; ++v) make(v, "input");
  for (const auto& [v, a] : constants) make(v, "constant");
  for (const Equation& eq : equations) {
    for (int v : eq.in) check(v, true, "operand");
    for (int v : eq.out) make(v, "result");
  }
  for (int v : outputs) check(v, true, "output");
  auto g = make_ref<Graph>();
  g->num_inputs_ = num_inputs;
  g->values_ = std::move(values);
  g->constants_ = std::move(constants);
  g->equations_ = std::move(equations);
  g->outputs_ = std::move(outputs);
  for (const Aval& a : g->values_)
    g->dynamic_ = g->dynamic_ || (!a.shape.empty() && a.shape.front() == kDynamic);
  g->finish();
  return Ref<const Graph>(g.get());
}

namespace {
struct TraceCloser {
  Ref<Trace> trace;
  ~TraceCloser() { trace->close(); }
};
}  // namespace

namespace {
Traced traced(const Fn& f, std::span<const Aval> args, std::optional<StagedRegion::Records> staged) {
  const auto t = make_ref<Trace>();
  const TraceCloser closer{t};
  Arrays symbols;
  for (const Aval& a : args) symbols.push_back(t->symbol(a));
  Arrays outputs;
  {
    std::optional<StagedRegion> region;
    if (staged) region.emplace(t, *staged);
    outputs = f(symbols);
  }
  for (const Array& y : outputs)
    require<TypeError>(y.defined(), "trace: the function returned an undefined array");
  return GraphBuilder(t).build(symbols, outputs);
}
}  // namespace

Traced trace(const Fn& f, std::span<const Aval> args, bool staged) {
  return traced(f, args, staged ? std::optional(StagedRegion::Records::Everything) : std::nullopt);
}

// What holds data is computed now, and constant; what has an effect happens when the graph runs.
Ref<const Graph> trace_closed(const Fn& f, std::span<const Aval> args) {
  Traced t = traced(f, args, StagedRegion::Records::Effects);
  require<TraceError>(t.captures.empty(), "trace: the function uses an outside value ",
                      t.captures.empty() ? std::string() : std::string(describe(t.captures[0])),
                      " that is being differentiated or mapped; pass it as an argument");
  return t.graph;
}

Avals Graph::input_avals() const { return {values_.begin(), values_.begin() + num_inputs_}; }
Avals Graph::output_avals() const {
  Avals out;
  for (int k = 0; k < num_outputs(); ++k) out.push_back(output_aval(k));
  return out;
}

Arrays Graph::call(std::span<const Array> inputs) const {
  Arrays env(values_.size());
  std::copy(inputs.begin(), inputs.end(), env.begin());
  for (const auto& [id, a] : constants_) env[static_cast<size_t>(id)] = a;
  for (size_t e = 0; e < equations_.size(); ++e) {
    const Equation& eq = equations_[e];
    Arrays in;
    in.reserve(eq.in.size());
    for (int v : eq.in) in.push_back(env[static_cast<size_t>(v)]);
    const SourceScope line(eq.source);
    Arrays out = hesse::apply(eq.op, std::move(in));
    for (size_t k = 0; k < out.size(); ++k) env[static_cast<size_t>(eq.out[k])] = std::move(out[k]);
    for (int place : last_use(e)) {
      const auto i = static_cast<size_t>(place);
      env[static_cast<size_t>(i < eq.in.size() ? eq.in[i] : eq.out[i - eq.in.size()])] = Array();
    }
  }
  Arrays out;
  for (int v : outputs_) out.push_back(env[static_cast<size_t>(v)]);
  return out;
}

// An operand that is read for the last time is handed over: its memory may be used again.
Arrays Graph::run_owned(Arrays inputs) const {
  Arrays env = std::move(inputs);
  env.resize(values_.size());
  for (const auto& [id, a] : constants_) env[static_cast<size_t>(id)] = a;
  Arrays in;
  const bool debugging = debug_nans();
  for (size_t e = 0; e < equations_.size(); ++e) {
    const Equation& eq = equations_[e];
    const std::span<const int> done = last_use(e);
    auto last = done.begin();
    const auto end = done.end();
    in.clear();
    in.reserve(eq.in.size());
    for (size_t i = 0; i < eq.in.size(); ++i) {
      Array& a = env[static_cast<size_t>(eq.in[i])];
      if (last != end && static_cast<size_t>(*last) == i) {
        in.push_back(std::move(a));
        ++last;
      } else {
        in.push_back(a);
      }
    }
    const bool profiling = profile::active();
    const int64_t begin = profiling ? profile::now() : 0, read = profiling ? profile::bytes_of(in) : 0;
    Arrays out =
        with_memory_for(eq.op->name(), [&] { return debugging ? eq.op->eval(in) : eq.op->eval_owned(in); });
    if (profiling) profile::add_event(eq.op->name(), eq.source, begin, read + profile::bytes_of(out));
    locate_failure(eq.source);
    if (debugging) check_nans(*eq.op, in, out, eq.source);
    for (size_t k = 0; k < out.size(); ++k) env[static_cast<size_t>(eq.out[k])] = std::move(out[k]);
    for (; last != end; ++last)  // results that nobody reads
      env[static_cast<size_t>(eq.out[static_cast<size_t>(*last) - eq.in.size()])] = Array();
  }
  Arrays out;
  for (int v : outputs_) out.push_back(env[static_cast<size_t>(v)].detached());
  return out;
}

std::vector<bool> Graph::depends_on(const std::vector<bool>& marked) const {
  std::vector<bool> out(values_.size(), false);
  std::copy(marked.begin(), marked.end(), out.begin());
  for (const Equation& e : equations_) {
    bool any = false;
    for (int v : e.in) any = any || out[static_cast<size_t>(v)];
    for (int v : e.out) out[static_cast<size_t>(v)] = any;
  }
  return out;
}

bool Graph::is_linear_in(const std::vector<bool>& marked) const {
  const std::vector<bool> depends = depends_on(marked);
  for (const Equation& e : equations_) {
    std::vector<bool> in;
    bool any = false;
    for (int v : e.in) {
      in.push_back(depends[static_cast<size_t>(v)]);
      any = any || in.back();
    }
    if (any && !e.op->is_linear_in(in)) return false;
  }
  return true;
}

bool Graph::equals(const Graph& o) const {
  if (this == &o) return true;
  if (hash_ != o.hash_ || num_inputs_ != o.num_inputs_ || values_ != o.values_ || outputs_ != o.outputs_ ||
      equations_.size() != o.equations_.size() || constants_.size() != o.constants_.size())
    return false;
  for (size_t i = 0; i < constants_.size(); ++i)
    if (constants_[i].first != o.constants_[i].first ||
        !is_same_constant(constants_[i].second, o.constants_[i].second))
      return false;
  for (size_t e = 0; e < equations_.size(); ++e)
    if (equations_[e].in != o.equations_[e].in || equations_[e].out != o.equations_[e].out ||
        !equations_[e].op->equals(*o.equations_[e].op))
      return false;
  return true;
}

int64_t Graph::count() const {
  int64_t n = 0;
  for (const Equation& e : equations_) {
    ++n;
    for (const auto& [key, p] : e.op->params())
      if (const auto* g = std::get_if<Ref<const Graph>>(&p)) n += (*g)->count();
  }
  return n;
}

double Graph::flops() const {
  double n = 0;
  for (const Equation& eq : equations_) {
    Avals in, out;
    for (int v : eq.in) in.push_back(values_[static_cast<size_t>(v)]);
    for (int v : eq.out) out.push_back(values_[static_cast<size_t>(v)]);
    n += eq.op->flops(in, out);
  }
  return n;
}

int64_t Graph::count(std::string_view op) const {
  int64_t n = 0;
  for (const Equation& e : equations_) {
    n += e.op->name() == op;
    for (const auto& [key, p] : e.op->params())
      if (const auto* g = std::get_if<Ref<const Graph>>(&p)) n += (*g)->count(op);
  }
  return n;
}

std::string Graph::to_string(int indent) const {
  std::ostringstream out;
  const std::string pad(static_cast<size_t>(indent), ' ');
  const auto value = [&](int v) {
    return concat('%', v, ':',
                  describe(values_[static_cast<size_t>(v)].shape, values_[static_cast<size_t>(v)].dtype));
  };
  out << pad << "graph(";
  for (int i = 0; i < num_inputs_; ++i) out << (i ? ", " : "") << value(i);
  out << ")\n";
  for (const auto& [id, a] : constants_)
    out << pad << "  " << value(id) << " = constant " << (a.size() == 1 ? hesse::to_string(a) : "...")
        << '\n';
  for (const Equation& e : equations_) {
    out << pad << "  ";
    for (size_t k = 0; k < e.out.size(); ++k) out << (k ? ", " : "") << value(e.out[k]);
    out << " = " << e.op->name();
    std::vector<std::pair<std::string_view, Ref<const Graph>>> bodies;
    std::string sep = "[";
    for (const auto& [key, p] : e.op->params()) {
      if (const auto* g = std::get_if<Ref<const Graph>>(&p)) {
        bodies.emplace_back(key, *g);
        continue;
      }
      out << sep << key << '=';
      sep = ", ";
      std::visit(
          [&](const auto& v) {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::vector<std::string>>) {
              for (size_t i = 0; i < v.size(); ++i) out << (i ? " " : "") << v[i];
            } else if constexpr (std::is_same_v<T, bool>) {
              out << (v ? "true" : "false");
            } else if constexpr (!std::is_same_v<T, Ref<const Graph>>) {
              out << v;
            }
          },
          p);
    }
    if (sep == ", ") out << ']';
    for (int v : e.in) out << " %" << v;
    out << '\n';
    for (const auto& [key, g] : bodies) out << pad << "    " << key << ":\n" << g->to_string(indent + 4);
  }
  out << pad << "  return";
  for (int v : outputs_) out << " %" << v;
  out << '\n';
  return out.str();
}

std::ostream& operator<<(std::ostream& out, const Graph& g) { return out << g.to_string(); }

}  // namespace hesse
