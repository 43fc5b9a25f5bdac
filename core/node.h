#pragma once
#include <atomic>
#include <memory_resource>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/op.h"
#include "core/source.h"

namespace hesse {

class Tape;
class Trace;

/// One equation of a live history: outputs = op(inputs). Numbered from one counter; inputs are older than
/// outputs.
class Node : public RefCounted<Node> {
 public:
  Node(OpRef op, Arrays inputs, Avals outputs, std::vector<Ref<Tape>> tapes, Ref<Trace> trace);
  ~Node();
  uint64_t number() const { return number_; }
  const OpRef& op() const { return op_; }
  const Arrays& inputs() const { return inputs_; }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  const Aval& output_aval(int k) const { return outputs_[static_cast<size_t>(k)]; }
  /// Output k again, with its data if it was kept.
  Array output(int k) const;
  Arrays output_arrays() const;
  /// The tapes of derivatives that this node depends on; closed ones are to be ignored.
  const std::vector<Ref<Tape>>& tapes() const { return tapes_; }
  /// The trace that recorded it; null for an eager node.
  const Ref<Trace>& trace() const { return trace_; }
  /// The line that recorded it; 0 for an eager node.
  SourceLine source() const { return source_; }
  void keep_output(int k, const Array& value);
  /// How many tapes hold it.
  void add_holder() { holders_.fetch_add(1, std::memory_order_relaxed); }
  bool remove_holder() { return holders_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  /// Forgets inputs and kept values: nothing can need them any more.
  void drop_links();

 private:
  uint64_t number_;
  OpRef op_;
  Arrays inputs_;
  Avals outputs_;
  std::vector<Array> kept_;
  std::vector<Ref<Tape>> tapes_;
  Ref<Trace> trace_;
  SourceLine source_;
  std::atomic<int> holders_{0};
};

/// The history of one derivative: the nodes younger than its leaves that reach them, in order of number.
/// Owned by a TapeOwner: when that goes, nodes that no other tape holds drop their links, newest first,
/// without recursion.
class Tape : public RefCounted<Tape> {
 public:
  /// A fresh identity of x: derivatives are taken with respect to it, so nested ones never mix.
  Array fresh(const Array& x);
  /// Ends recording; what was recorded stays until the tape goes.
  void seal() { live_.store(false, std::memory_order_release); }
  bool live() const { return live_.load(std::memory_order_acquire); }
  const std::vector<Ref<Node>>& nodes() const { return nodes_; }
  void record(const Ref<Node>& node);
  void clear();

 private:
  std::atomic<bool> live_{true};
  std::mutex mutex_;
  std::vector<Ref<Node>> nodes_;
};

/// Holds a tape open; the end of its life is the end of the history.
class TapeOwner {
 public:
  TapeOwner() : tape_(make_ref<Tape>()) {}
  ~TapeOwner() { tape_->clear(); }
  TapeOwner(const TapeOwner&) = delete;
  TapeOwner& operator=(const TapeOwner&) = delete;
  Tape* operator->() const { return tape_.get(); }

 private:
  Ref<Tape> tape_;
};

/// A function being recorded on symbols. Equal equations are merged as they are built.
class Trace : public RefCounted<Trace> {
 public:
  Trace();
  Array symbol(const Aval& a);
  /// Inner traces have higher levels.
  uint64_t level() const { return level_; }
  bool open() const { return open_; }
  /// Ends recording and forgets the equations; symbols still held raise TraceError when used.
  void close();
  const std::vector<Ref<Node>>& nodes() const { return nodes_; }
  /// Records op(inputs) or finds the equal equation.
  Arrays record(const OpRef& op, Arrays inputs, std::vector<Ref<Tape>> tapes);
  /// The value of one of its symbols that depends on constants alone, computed when first asked for;
  /// undefined where it depends on an argument or an effect.
  Array value(const Array& symbol);
  /// A fresh identity of x, never merged.
  Array record_identity(const Array& x, std::vector<Ref<Tape>> tapes);

 private:
  Array canonical(const Array& a);
  uint64_t level_;
  bool open_ = true;
  std::vector<Ref<Node>> nodes_;
  std::pmr::monotonic_buffer_resource memory_;  // of the two below, which only grow
  std::pmr::unordered_multimap<size_t, Ref<Node>> equal_{&memory_};
  std::pmr::unordered_multimap<size_t, Array> literals_{&memory_};
  std::unordered_map<const Node*, Arrays> values_;
};

/// Makes a trace the current staged region of this thread for its lifetime: every op is recorded, also those
/// whose inputs hold data; or, of those, what has an effect, and the others are computed.
class StagedRegion {
 public:
  enum class Records : uint8_t { Everything, Effects };
  explicit StagedRegion(Ref<Trace> trace, Records what = Records::Everything);
  ~StagedRegion();
  StagedRegion(const StagedRegion&) = delete;
  StagedRegion& operator=(const StagedRegion&) = delete;

 private:
  Ref<Trace> outer_;
  Records outer_what_;
};
/// The current staged region in which everything is recorded, or null.
const Ref<Trace>& current_region();

/// The identity op: fresh leaves of derivatives. Linear; its own transpose.
const OpRef& identity_op();
/// The op of a symbol that is an argument.
const OpRef& input_op();
/// Whether `a` is a constant all of whose entries are `v`, stored as one element.
bool is_literal(const Array& a, double v);

/// As apply; where nothing is recorded, operands that nobody else holds may be overwritten.
Arrays apply_owned(const OpRef& op, Arrays inputs);
/// What stands in the place of an array whose memory was given away: shape and dtype, and for whoever wants
/// its value, an error that says `why`.
OpRef given_away_op(std::string why);
Array given_away(const Array& a, const OpRef& why);
/// Throws ValueError with that text, if `a` is such an array.
void refuse_given_away(const Array& a);

/// Whether a derivative that is still open depends on `a`.
bool is_tracked(const Array& a);
/// Whether `a` is neither a symbol nor tracked: a plain constant.
bool is_constant(const Array& a);

}  // namespace hesse
