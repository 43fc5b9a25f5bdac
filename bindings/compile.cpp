#include <algorithm>
#include <list>
#include <set>

#include "bindings/bindings.h"
#include "bindings/convert.h"
#include "bindings/function.h"
#include "bindings/tree.h"
#include "core/node.h"
#include "core/ops/control.h"
#include "core/program/program_file.h"

/// Recorded versions of a compiled function and how a call finds its own, without Python in between.
namespace hesse::python {

using namespace py::literals;

namespace {

/// What decides whether a recorded program fits a call: structures, shapes, dtypes, static arguments.
struct Signature {
  TreeDef args, captured;
  Avals avals;
  std::vector<bool> weak;
  DType dtype = DType::Float64;
  py::object fixed;  // compared by ==
  size_t hash = 0;

  void finish() {
    hash = args.hash() * 31 + captured.hash();
    for (const Aval& a : avals) {
      for (const int64_t d : a.shape) hash = hash * 1000003 + static_cast<size_t>(d);
      hash = hash * 1000003 + static_cast<size_t>(a.dtype) + 1;
    }
    if (!fixed.is_none()) hash = hash * 1000003 + static_cast<size_t>(py::hash(fixed));
  }
  bool operator==(const Signature& o) const {
    return hash == o.hash && avals == o.avals && weak == o.weak && dtype == o.dtype && args == o.args &&
           captured == o.captured && (fixed.is(o.fixed) || fixed.equal(o.fixed));
  }
};

/// The arrays of a call, and what Python holds of them.
struct Inputs {
  Arrays arrays;
  std::vector<py::object> leaves;

  void convert() {
    arrays.reserve(leaves.size());
    for (const py::object& leaf : leaves) arrays.push_back(require_array(leaf.ptr(), "compile"));
  }
  /// Whether this is a call as `s` says; if so, its inputs. False also where only the long way can tell.
  bool follow(const Signature& s, py::handle args, py::handle captured, py::handle fixed) {
    leaves.reserve(s.avals.size());
    if (s.dtype != default_dtype() || !s.args.follow(args, TreeDef::Leaves::Numeric, leaves) ||
        !s.captured.follow(captured, TreeDef::Leaves::Arrays, leaves) ||
        !(s.fixed.is(fixed) || s.fixed.equal(fixed)))
      return false;
    convert();
    for (size_t i = 0; i < arrays.size(); ++i) {
      const Array& a = arrays[i];
      if (a.dtype() != s.avals[i].dtype || a.is_weak() != s.weak[i] || !(a.shape() == s.avals[i].shape))
        return false;
    }
    return true;
  }
};

/// One call: its inputs and its signature. Arrays and numbers among the arguments are inputs, and the arrays
/// that were captured; everything else is part of the structure.
struct Call : Inputs {
  Signature signature;
  Call(py::handle args, py::handle captured, py::handle fixed) {
    signature.args = TreeDef::flatten(args, leaves, TreeDef::Leaves::Numeric);
    signature.captured = TreeDef::flatten(captured, leaves, TreeDef::Leaves::Arrays);
    signature.dtype = default_dtype();
    signature.fixed = py::reinterpret_borrow<py::object>(fixed);
    convert();
    signature.avals.reserve(leaves.size());
    signature.weak.reserve(leaves.size());
    for (const Array& a : arrays) {
      signature.avals.push_back(aval(a));
      signature.weak.push_back(a.is_weak());
    }
    signature.finish();
  }
};

struct Program {
  Compiled compiled;
  TreeDef out;
  std::optional<TreeDef> in = {};  ///< of a program from a file: that of (args, kwargs)

  /// Arrays that nobody else holds may be overwritten: numbers and NumPy arrays that were converted for the
  /// call, and what was donated.
  py::object operator()(Arrays arrays) const {
    Arrays values = [&] {
      const py::gil_scoped_release unlocked;
      return compiled.donating(std::move(arrays));
    }();
    std::vector<py::object> leaves;
    leaves.reserve(values.size());
    for (Array& v : values) {
      leaves.push_back(py::reinterpret_steal<py::object>(new_array(std::move(v))));
      if (!leaves.back()) throw py::error_already_set();
    }
    return out.unflatten(leaves);
  }
};

/// Which positional arguments are donated, and what becomes of their arrays: an op whose text says so to
/// whoever uses them again.
class Donation {
 public:
  Donation(const std::string& function, const std::vector<std::pair<int, std::string>>& arguments) {
    for (const auto& [i, label] : arguments)
      args_.emplace_back(
          i, given_away_op(concat("an array was donated to ", function, " as ", label,
                                  ", and its memory was used for the results; go on with what ", function,
                                  " returned, or give it a copy: hs.array(x)")));
  }

  /// `args` is the structure of the arguments.
  py::object run(const Program& program, Inputs& call, const TreeDef& args) const {
    // Under a derivative or a trace, arguments are kept: for the tape, or for the program that is recorded.
    const bool live =
        current_region() || !program.compiled.captures.empty() ||
        !std::all_of(call.arrays.begin(), call.arrays.end(), [](const Array& a) { return is_constant(a); });
    if (!live) {
      for (const auto& [i, why] : args_) take(call, args, i, why);
      call.leaves.clear();
    }
    return program(std::move(call.arrays));
  }

 private:
  static void take(const Inputs& call, const TreeDef& args, int i, const OpRef& why) {
    const std::vector<TreeDef>& positional = args.children()[0].children();
    const auto n = static_cast<int>(positional.size());
    require(-n <= i && i < n, "compile: donate_argnums ", i, " is out of range for ", n,
            " positional argument(s); donated arguments are passed by position");
    size_t begin = 0;
    const auto place = static_cast<size_t>(i < 0 ? i + n : i);
    for (size_t k = 0; k < place; ++k) begin += static_cast<size_t>(positional[k].num_leaves());
    for (size_t k = begin; k < begin + static_cast<size_t>(positional[place].num_leaves()); ++k) {
      PyObject* const leaf = call.leaves[k].ptr();
      if (!is_array(leaf)) continue;  // what was converted is a copy already
      Array& held = reinterpret_cast<ArrayObject*>(leaf)->array;
      if (held.has_data()) held = given_away(held, why);
    }
  }

  std::vector<std::pair<int, OpRef>> args_;
};

/// A call of a program from a file, or ... where the arguments are not exactly what it was saved for.
py::object call_loaded(const Program& p, py::handle args) {
  std::vector<py::object> leaves;
  if (!(TreeDef::flatten(args, leaves, TreeDef::Leaves::Numeric) == *p.in)) return py::ellipsis();
  Arrays arrays;
  arrays.reserve(leaves.size());
  for (const py::object& leaf : leaves) {
    arrays.push_back(require_array(leaf.ptr(), "load_program"));
    if (!(aval(arrays.back()) == p.compiled.graph->input_aval(static_cast<int>(arrays.size()) - 1)))
      return py::ellipsis();
  }
  return p(std::move(arrays));
}

/// Programs by signature, the one that was used last in front. Beyond `most`, the last in the row goes.
class Programs {
  struct Known {
    Signature signature;
    std::shared_ptr<const Program> program;
  };
  using Entry = std::shared_ptr<const Known>;

 public:
  explicit Programs(size_t most) : most_(most) {}
  std::shared_ptr<const Program> find(const Signature& s) {
    const Entry known = same(s);
    if (!known) return nullptr;
    const auto place = std::find(known_.begin(), known_.end(), known);
    if (place != known_.end()) known_.splice(known_.begin(), known_, place);
    return known->program;
  }
  /// The result, or nullopt when there is no program for these arguments.
  std::optional<py::object> run(py::handle args, py::handle captured, py::handle fixed,
                                const Donation* donation) {
    const auto with = [&](const Program& program, Inputs& call, const TreeDef& structure) {
      return donation ? donation->run(program, call, structure) : program(std::move(call.arrays));
    };
    if (!known_.empty()) {
      const Entry latest = known_.front();  // kept while it runs: another thread may clear the table
      if (Inputs call; call.follow(latest->signature, args, captured, fixed))
        return with(*latest->program, call, latest->signature.args);
    }
    Call call(args, captured, fixed);
    const auto program = find(call.signature);
    if (!program) return std::nullopt;
    return with(*program, call, call.signature.args);
  }
  void add(const Signature& s, std::shared_ptr<const Program> program) {
    if (const Entry known = same(s)) known_.remove(known);
    last_ = known_.emplace_front(std::make_shared<const Known>(Known{s, std::move(program)}));
    if (known_.size() > most_) known_.pop_back();
  }
  void clear() { known_.clear(); }
  size_t distinct() const {
    std::set<const Program*> programs;
    for (const auto& k : known_) programs.insert(k->program.get());
    return programs.size();
  }
  /// What is not as at the last recording.
  std::string difference(const Signature& s) const {
    if (!last_) return "nothing was recorded before";
    const Entry kept = last_;
    const Signature& last = kept->signature;
    if (!(s.args == last.args))
      return "the structure of the arguments, or a value that is not an array, changed";
    if (!(s.captured == last.captured)) return "what the function captured changed";
    if (!(s.fixed.is(last.fixed) || s.fixed.equal(last.fixed))) return "a static argument changed";
    if (s.dtype != last.dtype) return "the default dtype changed";
    const std::vector<std::string> paths = s.args.paths();
    for (size_t i = 0; i < s.avals.size(); ++i) {
      const Aval &now = s.avals[i], &was = last.avals[i];
      if (now == was && s.weak[i] == last.weak[i]) continue;
      // The tree is (args, kwargs).
      const std::string what = i >= paths.size() ? "a captured array"
                                                 : concat(paths[i].starts_with("[0]") ? "args" : "kwargs",
                                                          std::string_view(paths[i]).substr(3));
      if (now == was)
        return concat(what,
                      s.weak[i] ? " is a Python number, was an array" : " is an array, was a Python number");
      return concat(what, " is ", describe(now.shape, now.dtype), ", was ", describe(was.shape, was.dtype));
    }
    return "it was recorded before and forgotten since";
  }

 private:
  /// Compared outside of the table: == of a static argument may run Python code, and so another thread.
  Entry same(const Signature& s) const {
    std::vector<Entry> candidates;
    for (const Entry& k : known_)
      if (k->signature.hash == s.hash) candidates.push_back(k);
    for (Entry& k : candidates)
      if (k->signature == s) return std::move(k);
    return nullptr;
  }

  std::list<Entry> known_;
  Entry last_;  ///< recorded last
  size_t most_;
};

}  // namespace

void init_compile(py::module_& m) {
  py::class_<Call>(m, "_Call")
      .def(py::init<py::handle, py::handle, py::handle>(), "args"_a, "captured"_a, "fixed"_a, py::pos_only())
      .def_property_readonly("arrays", [](const Call& c) { return c.arrays; })
      .def_property_readonly(
          "args", [](const Call& c) { return c.signature.args; }, "The structure of the arguments.")
      .def_property_readonly(
          "captured", [](const Call& c) { return c.signature.captured; },
          "The structure of what was captured.");
  py::class_<Program, std::shared_ptr<Program>>(m, "_Program")
      .def_property_readonly("graph", [](const Program& p) { return GraphObject{p.compiled.graph}; })
      .def_property_readonly("program", [](const Program& p) { return GraphObject{p.compiled.program()}; })
      .def_property_readonly("num_captures", [](const Program& p) { return p.compiled.captures.size(); })
      .def(
          "__call__", [](const Program& p, const Call& c) { return p(c.arrays); }, "call"_a, py::pos_only())
      .def_property_readonly("out", [](const Program& p) { return p.out; })
      .def("call_loaded", &call_loaded, "args"_a, py::pos_only())
      .def(
          "save",
          [](const Program& p, py::handle path, const std::string& name, const Arrays& captured,
             std::map<std::string, std::string> notes) {
            for (const Array& a : captured)
              require<TraceError>(is_constant(a), "save_program: the function ", name, " captured an array ",
                                  describe(a),
                                  " that is being differentiated or traced; save it outside of that");
            require<TraceError>(p.compiled.captures.empty(), "save_program: the function ", name,
                                " uses an outside array that is being differentiated or traced; save it "
                                "outside of that");
            const SavedProgram saved{with_constants(p.compiled.graph, captured), name, std::move(notes), {}};
            const std::filesystem::path to = path_of(path);
            const py::gil_scoped_release unlocked;
            save_program(to, saved);
          },
          "path"_a, "name"_a, "captured"_a, "notes"_a, py::pos_only());
  py::class_<Donation>(m, "_Donation")
      .def(py::init<const std::string&, const std::vector<std::pair<int, std::string>>&>(), "function"_a,
           "arguments"_a, py::pos_only())
      .def(
          "run", [](const Donation& d, const Program& p, Call& c) { return d.run(p, c, c.signature.args); },
          "program"_a, "call"_a, py::pos_only());
  m.def(
      "_read_program",
      [](py::handle path) {
        const std::filesystem::path from = path_of(path);
        SavedProgram saved = [&] {
          const py::gil_scoped_release unlocked;
          return read_program(from);
        }();
        return std::tuple(std::move(saved.name), saved.library, std::move(saved.notes),
                          GraphObject{std::move(saved.graph)});
      },
      "path"_a, py::pos_only());
  m.def(
      "_loaded_program",
      [](const GraphObject& graph, const TreeDef& in, const TreeDef& out) {
        require(
            in.num_leaves() == graph.graph->num_inputs() && out.num_leaves() == graph.graph->num_outputs(),
            "load_program: the trees of arguments and results do not fit the program");
        return std::make_shared<Program>(Program{compile(graph.graph), out, in});
      },
      "graph"_a, "args"_a, "out"_a, py::pos_only());
  m.def(
      "_record",
      [](const Fn& f, const Call& call, py::function structure) {
        Compiled compiled = [&] {
          const py::gil_scoped_release unlocked;
          return compile(f, call.signature.avals);
        }();
        return std::make_shared<Program>(Program{std::move(compiled), structure().cast<const TreeDef&>()});
      },
      "f"_a, "call"_a, "structure"_a, py::pos_only(),
      "Records f; structure() is asked for that of its output afterwards.");
  py::class_<Programs>(m, "_Programs")
      .def(py::init<size_t>(), "most"_a, py::pos_only())
      .def(
          "run",
          [](Programs& p, py::handle args, py::handle captured, py::handle fixed, py::handle donation) {
            // Taken apart here: pybind11 looks for another module's type before it takes None for a pointer,
            // which took a fifth of a small call.
            const auto* const given = donation.is_none() ? nullptr : donation.cast<const Donation*>();
            return p.run(args, captured, fixed, given).value_or(py::ellipsis());
          },
          "args"_a, "captured"_a, "fixed"_a, "donation"_a, py::pos_only(),
          "The result, or ... when there is no program for this call.")
      .def(
          "find",
          [](Programs& p, const Call& call) {
            return std::const_pointer_cast<Program>(p.find(call.signature));
          },
          "call"_a, py::pos_only())
      .def(
          "add",
          [](Programs& p, const Call& call, const std::shared_ptr<Program>& program) {
            p.add(call.signature, program);
          },
          "call"_a, "program"_a, py::pos_only())
      .def(
          "difference", [](const Programs& p, const Call& call) { return p.difference(call.signature); },
          "call"_a, py::pos_only(), "In what the call differs from the one recorded last.")
      .def("clear", &Programs::clear)
      .def("__len__", &Programs::distinct);
}

}  // namespace hesse::python
