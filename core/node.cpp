#include "core/node.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/allocator.h"
#include "core/debug.h"
#include "core/profile.h"
#include "core/status.h"

namespace hesse {
namespace {

std::atomic<uint64_t> g_number{0};
thread_local Ref<Trace> t_region;
thread_local StagedRegion::Records t_records = StagedRegion::Records::Everything;

size_t mix(size_t h, size_t v) { return h ^ (v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2)); }

class IdentityOp final : public Linear {
 public:
  std::string_view name() const override { return "identity"; }
  Avals infer(std::span<const Aval> x) const override { return {x[0]}; }
  Arrays eval(std::span<const Array> x) const override { return {x[0].detached()}; }
  bool is_view() const override { return true; }
  std::optional<View> alias(const View& x, int) const override { return x; }
  MaybeArrays jvp(std::span<const Array>, std::span<const Array>,
                  std::span<const MaybeArray> dx) const override {
    return {dx[0]};
  }
  MaybeArray transpose(std::span<const Array>, const Array& ct, int) const override { return ct; }
};

class InputOp final : public NonDifferentiable {
 public:
  std::string_view name() const override { return "input"; }
  Avals infer(std::span<const Aval> x) const override { return {x.begin(), x.end()}; }
};

class GivenAwayOp final : public NonDifferentiable {
 public:
  explicit GivenAwayOp(std::string why) : why_(std::move(why)) {}
  std::string_view name() const override { return "given away"; }
  Avals infer(std::span<const Aval> x) const override { return {x.begin(), x.end()}; }
  const std::string& why() const { return why_; }

 private:
  std::string why_;
};

// What identifies a value: the output of a node, or the handle of a constant.
struct Identity {
  const void* owner;
  int output;
  bool operator==(const Identity&) const = default;
};
Identity identity(const Array& a) {
  return a.node() ? Identity{a.node().get(), a.output_index()} : Identity{a.id(), -1};
}

void add_live_tapes(const Array& a, std::vector<Ref<Tape>>& tapes) {
  if (!a.node()) return;
  for (const Ref<Tape>& t : a.node()->tapes())
    if (t->live() && std::find(tapes.begin(), tapes.end(), t) == tapes.end()) tapes.push_back(t);
}

std::string made_at(const Array& symbol) {
  const SourceLine line = symbol.node() ? symbol.node()->source() : 0;
  return line ? ", made at " + source_text(line) + "," : "";
}

// The innermost trace among those of the inputs and the current region; null: evaluate.
Ref<Trace> innermost_trace(const OpRef& op, const Arrays& inputs) {
  Ref<Trace> trace;
  if (t_records == StagedRegion::Records::Everything || op->has_effect()) trace = t_region;
  for (const Array& a : inputs) {
    if (!a.is_symbol()) continue;
    const Trace* const t = a.node() ? a.node()->trace().get() : nullptr;
    if (!t || !t->open()) {
      refuse_given_away(a);
      throw TraceError(concat(
          op->name(), ": the operand ", describe(a), made_at(a),
          " is a symbol whose trace has ended; return it from the traced function instead of keeping it"));
    }
    if (!trace || t->level() > trace->level()) trace = a.node()->trace();
  }
  return trace;
}

}  // namespace

void retain(const Node* p) { p->retain(); }
void release(const Node* p) { p->release(); }

Node::Node(OpRef op, Arrays inputs, Avals outputs, std::vector<Ref<Tape>> tapes, Ref<Trace> trace)
    : number_(g_number.fetch_add(1, std::memory_order_relaxed)),
      op_(std::move(op)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      tapes_(std::move(tapes)),
      trace_(std::move(trace)),
      source_(trace_ ? current_source() : 0) {}
Node::~Node() = default;

Array Node::output(int k) const {
  const auto i = static_cast<size_t>(k);
  if (i < kept_.size() && kept_[i].defined()) return kept_[i].linked(Ref<Node>(const_cast<Node*>(this)), k);
  return Array::symbol(outputs_[i].shape, outputs_[i].dtype, Ref<Node>(const_cast<Node*>(this)), k);
}

Arrays Node::output_arrays() const {
  Arrays out;
  out.reserve(outputs_.size());
  for (int k = 0; k < num_outputs(); ++k) out.push_back(output(k));
  return out;
}

void Node::keep_output(int k, const Array& value) {
  kept_.resize(outputs_.size());
  kept_[static_cast<size_t>(k)] = value.detached();
}

void Node::drop_links() {
  inputs_.clear();
  kept_.clear();
}

Array Tape::fresh(const Array& x) {
  std::vector<Ref<Tape>> tapes{Ref<Tape>(this)};
  add_live_tapes(x, tapes);
  if (Ref<Trace> trace = innermost_trace(identity_op(), {x}))
    return trace->record_identity(x, std::move(tapes));
  auto node =
      make_ref<Node>(identity_op(), Arrays{is_tracked(x) ? x.without_data() : x.detached().without_data()},
                     Avals{aval(x)}, tapes, nullptr);
  for (const Ref<Tape>& t : tapes) t->record(node);
  return x.linked(node, 0);
}

void Tape::record(const Ref<Node>& node) {
  node->add_holder();
  const std::lock_guard lock(mutex_);
  nodes_.push_back(node);
}

void Tape::clear() {
  seal();
  std::vector<Ref<Node>> nodes;
  {
    const std::lock_guard lock(mutex_);
    nodes.swap(nodes_);
  }
  for (size_t i = nodes.size(); i-- > 0;)
    if (nodes[i]->remove_holder() && !nodes[i]->trace()) nodes[i]->drop_links();
}

Trace::Trace() : level_(g_number.fetch_add(1, std::memory_order_relaxed)) {}

Array Trace::symbol(const Aval& a) {
  auto node = make_ref<Node>(input_op(), Arrays{}, Avals{a}, std::vector<Ref<Tape>>{}, Ref<Trace>(this));
  nodes_.push_back(node);
  return Array::symbol(a.shape, a.dtype, node, 0);
}

void Trace::close() {
  open_ = false;
  equal_.clear();
  literals_.clear();
  values_.clear();
  for (size_t i = nodes_.size(); i-- > 0;) nodes_[i]->drop_links();
  nodes_.clear();
}

// Constants of one stored element are the same value whoever made them, and so are views of the same memory.
Array Trace::canonical(const Array& a) {
  if (a.node() && (a.is_symbol() || is_tracked(a))) return a;
  const Array c = a.detached();
  const Strides& strides = c.strides();
  bool one = c.size() > 0;
  for (size_t i = 0; i < strides.size(); ++i) one = one && (strides[i] == 0 || c.shape()[i] == 1);
  const View v = c.view();
  const auto n = one ? static_cast<size_t>(itemsize(c.dtype())) : 0;
  const std::string_view bytes(static_cast<const char*>(v.data), n);
  size_t h = mix(std::hash<std::string_view>{}(bytes), static_cast<size_t>(c.dtype()));
  if (!one) h = mix(h, std::hash<const void*>{}(v.data));
  for (int64_t d : c.shape()) h = mix(h, static_cast<size_t>(d));
  const auto [begin, end] = literals_.equal_range(h);
  for (auto it = begin; it != end; ++it) {
    const Array& o = it->second;
    if (o.dtype() != c.dtype() || o.shape() != c.shape()) continue;
    if (one ? std::memcmp(o.view().data, v.data, n) == 0 : o.view().data == v.data && o.strides() == strides)
      return o;
  }
  literals_.emplace(h, c);
  return c;
}

Arrays Trace::record(const OpRef& op, Arrays inputs, std::vector<Ref<Tape>> tapes) {
  for (Array& a : inputs) a = canonical(a);
  if (const MaybeArray same = op->simplify(inputs)) return {*same};
  if (op->is_commutative() && inputs.size() == 2) {
    const auto key = [](const Array& a) {
      return std::pair(a.node() ? a.node()->number() : 0, a.node() ? 0 : reinterpret_cast<uintptr_t>(a.id()));
    };
    if (key(inputs[1]) < key(inputs[0])) std::swap(inputs[0], inputs[1]);
  }
  size_t h = op->hash();
  for (const Array& a : inputs) {
    const Identity id = identity(a);
    h = mix(mix(h, std::hash<const void*>{}(id.owner)), static_cast<size_t>(id.output + 1));
  }
  if (!op->has_effect()) {
    const auto [begin, end] = equal_.equal_range(h);
    for (auto it = begin; it != end; ++it) {
      const Node& n = *it->second;
      if (n.inputs().size() == inputs.size() && n.op()->equals(*op) &&
          std::equal(inputs.begin(), inputs.end(), n.inputs().begin(),
                     [](const Array& a, const Array& b) { return identity(a) == identity(b); }))
        return n.output_arrays();
    }
  }
  Avals in;
  in.reserve(inputs.size());
  for (const Array& a : inputs) in.push_back(aval(a));
  auto node = make_ref<Node>(op, std::move(inputs), op->infer(in), tapes, Ref<Trace>(this));
  nodes_.push_back(node);
  if (!op->has_effect()) equal_.emplace(h, node);
  for (const Ref<Tape>& t : tapes) t->record(node);
  return node->output_arrays();
}

Array Trace::value(const Array& symbol) {
  std::vector<const Node*> needed{symbol.node().get()};
  std::unordered_map<const Node*, bool> seen;
  for (size_t i = 0; i < needed.size(); ++i) {
    const Node& n = *needed[i];
    if (n.trace().get() != this || n.op() == input_op() || n.op()->has_effect()) return {};
    if (values_.count(&n)) continue;
    for (const Array& a : n.inputs())
      if (a.is_symbol() && !seen[a.node().get()]) {
        seen[a.node().get()] = true;
        needed.push_back(a.node().get());
      }
  }
  std::sort(needed.begin(), needed.end(),
            [](const Node* a, const Node* b) { return a->number() < b->number(); });
  for (const Node* n : needed) {
    if (values_.count(n)) continue;
    Arrays in;
    for (const Array& a : n->inputs())
      in.push_back(a.is_symbol() ? values_.at(a.node().get())[static_cast<size_t>(a.output_index())]
                                 : a.detached());
    const FailureScope failures;
    Arrays out = n->op()->eval(in);
    failures.raise_if_failed();
    for (Array& y : out) y = y.detached();
    values_.emplace(n, std::move(out));
  }
  return values_.at(symbol.node().get())[static_cast<size_t>(symbol.output_index())];
}

Array Trace::record_identity(const Array& x, std::vector<Ref<Tape>> tapes) {
  auto node = make_ref<Node>(identity_op(), Arrays{canonical(x)}, Avals{aval(x)}, tapes, Ref<Trace>(this));
  nodes_.push_back(node);
  for (const Ref<Tape>& t : tapes) t->record(node);
  return node->output(0);
}

StagedRegion::StagedRegion(Ref<Trace> trace, Records what)
    : outer_(std::exchange(t_region, std::move(trace))), outer_what_(std::exchange(t_records, what)) {}
StagedRegion::~StagedRegion() {
  t_region = std::move(outer_);
  t_records = outer_what_;
}
const Ref<Trace>& current_region() {
  static const Ref<Trace> none;
  return t_records == StagedRegion::Records::Everything ? t_region : none;
}

const OpRef& identity_op() { return the<IdentityOp>(); }
const OpRef& input_op() { return the<InputOp>(); }

bool is_tracked(const Array& a) {
  if (!a.node()) return false;
  const auto& tapes = a.node()->tapes();
  return std::any_of(tapes.begin(), tapes.end(), [](const Ref<Tape>& t) { return t->live(); });
}

bool is_constant(const Array& a) { return a.has_data() && !is_tracked(a); }

bool is_literal(const Array& a, double v) {
  if (!is_constant(a) || a.size() == 0) return false;
  for (size_t i = 0; i < a.ndim(); ++i)
    if (a.strides()[i] != 0 && a.shape()[i] != 1) return false;
  const View view = a.view();
  return visit_dtype(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, Key>)
      return false;
    else if constexpr (std::is_same_v<T, complex64> || std::is_same_v<T, complex128>)
      return *view.as<T>() == T(static_cast<typename T::value_type>(v)) &&
             !std::signbit(view.as<T>()->imag());
    else
      return *view.as<T>() == static_cast<T>(v);
  });
}

OpRef given_away_op(std::string why) { return make_op<GivenAwayOp>(std::move(why)); }
Array given_away(const Array& a, const OpRef& why) {
  const Aval shape = aval(a);
  return Array::symbol(shape.shape, shape.dtype,
                       make_ref<Node>(why, Arrays{}, Avals{shape}, std::vector<Ref<Tape>>{}, Ref<Trace>()),
                       0);
}

void refuse_given_away(const Array& a) {
  if (!a.is_symbol() || !a.node()) return;
  if (const auto* op = dynamic_cast<const GivenAwayOp*>(a.node()->op().get())) throw ValueError(op->why());
}

namespace {

Arrays applied(const OpRef& op, Arrays inputs, bool owned) {
  std::vector<Ref<Tape>> tapes;
  for (const Array& a : inputs) {
    require<TypeError>(a.defined(), op->name(), ": an operand is undefined");
    add_live_tapes(a, tapes);
  }
  if (const Ref<Trace> trace = innermost_trace(op, inputs))
    return trace->record(op, std::move(inputs), std::move(tapes));

  Arrays outputs;
  {
    const FailureScope failures;
    const bool profiling = profile::active();
    const int64_t begin = profiling ? profile::now() : 0;
    const int64_t read = profiling ? profile::bytes_of(inputs) : 0;
    owned = owned && tapes.empty() && !debug_nans();
    outputs = with_memory_for(op->name(), [&] { return owned ? op->eval_owned(inputs) : op->eval(inputs); });
    if (profiling) profile::add_event(op->name(), current_source(), begin, read + profile::bytes_of(outputs));
    failures.raise_if_failed();
    if (!owned) check_nans(*op, inputs, outputs);
  }
  bool differentiable = false;
  for (const Array& y : outputs) differentiable = differentiable || is_inexact(y.dtype());
  if (tapes.empty() || !differentiable) {
    for (Array& y : outputs)
      if (y.node()) y = y.detached();
    return outputs;
  }
  Arrays kept;
  Avals avals;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Array a = is_tracked(inputs[i]) ? inputs[i] : inputs[i].detached();
    kept.push_back(op->reads_input(static_cast<int>(i)) ? a : a.without_data());
  }
  for (const Array& y : outputs) avals.push_back(aval(y));
  auto node = make_ref<Node>(op, std::move(kept), std::move(avals), tapes, nullptr);
  for (size_t k = 0; k < outputs.size(); ++k) {
    const int i = static_cast<int>(k);
    if (op->reads_output(i)) node->keep_output(i, outputs[k]);
    outputs[k] =
        is_inexact(outputs[k].dtype()) ? outputs[k].detached().linked(node, i) : outputs[k].detached();
  }
  for (const Ref<Tape>& t : tapes) t->record(node);
  return outputs;
}

}  // namespace

Arrays apply(const OpRef& op, Arrays inputs) { return applied(op, std::move(inputs), false); }
Arrays apply_owned(const OpRef& op, Arrays inputs) { return applied(op, std::move(inputs), true); }

Array apply1(const OpRef& op, Arrays inputs) { return std::move(hesse::apply(op, std::move(inputs))[0]); }

}  // namespace hesse
