// Random numbers as ops of a key; what they compute is specified in core/random.h.
#include "core/random.h"
#include "core/op_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/cpu/threads.h"
#include "core/op.h"
#include "core/ops.h"
#include "core/ops/elementwise.h"

namespace hesse {
namespace {

void require_key(std::string_view function, const Aval& key) {
  require<TypeError>(key.dtype == kKey, "random.", function, ": the first argument must be a key, got ",
                     describe(key.shape, key.dtype), "; make one with random.key(seed)");
  require(key.shape.empty(), "random.", function, ": expected one key, got ", describe(key.shape, key.dtype),
          "; index the keys, or map over them with vmap");
}

void require_shape(std::string_view function, const Shape& shape) {
  for (const int64_t n : shape) require(n >= 0, "random.", function, ": negative length in shape ", shape);
}

/// The entries of one result, `step` apart: those of one lane.
template <class T>
struct Line {
  T* data;
  int64_t size, step;
  T& operator[](int64_t i) const { return data[i * step]; }
};

/// Calls f(key, line of the output) for every lane, or once.
template <class T, class F>
void for_each_key(const View& key, const View& out, int lane_axes, F&& f) {
  const size_t lanes = static_cast<size_t>(lane_axes), features = out.shape.size() - lanes;
  Line<T> line{out.as<T>(), 1, features == 0 ? 1 : out.strides[features - 1]};
  int64_t count = 1;
  for (size_t d = 0; d < out.shape.size(); ++d) (d < features ? line.size : count) *= out.shape[d];
  Dims index(lanes, 0);
  for (int64_t l = 0; l < count; ++l) {
    int64_t from = 0, to = 0;
    for (size_t d = 0; d < lanes; ++d) {
      from += index[d] * key.strides[d];
      to += index[d] * out.strides[features + d];
    }
    line.data = out.as<T>() + to;
    f(key.as<Key>()[from], line);
    for (size_t d = lanes; d-- > 0;) {
      if (++index[d] < out.shape[features + d]) break;
      index[d] = 0;
    }
  }
}

/// line[i] = value(word i), in parallel pieces of a fixed size.
template <class T, class F>
void fill_from_words(Key key, const Line<T>& line, F value) {
  constexpr int64_t kPiece = 1 << 15, kChunk = 256;
  parallel_for((line.size + kPiece - 1) / kPiece, [&](int64_t piece) {
    uint64_t words[kChunk];
    const int64_t end = std::min(line.size, (piece + 1) * kPiece);
    for (int64_t i = piece * kPiece; i < end; i += kChunk) {
      const int64_t n = std::min(kChunk, end - i);
      rng::words(key, static_cast<uint64_t>(i), {words, static_cast<size_t>(n)});
      for (int64_t k = 0; k < n; ++k) line[i + k] = value(words[k]);
    }
  });
}

/// line[i] = value(32-bit entry i): two entries for every word.
template <class T, class F>
void fill_from_halves(Key key, const Line<T>& line, F value) {
  constexpr int64_t kPiece = 1 << 16, kChunk = 256;
  parallel_for((line.size + kPiece - 1) / kPiece, [&](int64_t piece) {
    uint64_t words[kChunk];
    const int64_t end = std::min(line.size, (piece + 1) * kPiece);
    for (int64_t i = piece * kPiece; i < end; i += 2 * kChunk) {
      const int64_t n = std::min(2 * kChunk, end - i);
      rng::words(key, static_cast<uint64_t>(i / 2), {words, static_cast<size_t>((n + 1) / 2)});
      for (int64_t k = 0; k < n; ++k)
        line[i + k] = value(static_cast<uint32_t>(words[k / 2] >> (k % 2 ? 0 : 32)));
    }
  });
}

/// An op from one key to an array of a given shape and dtype.
class Draw : public NonDifferentiable {
 public:
  Draw(Shape shape, DType dtype) : shape_(std::move(shape)), dtype_(dtype) {}
  Params params() const override { return {{"shape", shape_}, {"dtype", dtype_}}; }
  Avals infer(std::span<const Aval> x) const override {
    require_key(name(), x[0]);
    require_shape(name(), shape_);
    return {{shape_, dtype_}};
  }
  bool has_lane_kernel() const override { return true; }

 protected:
  Shape shape_;
  DType dtype_;
};

class SplitKey final : public Draw {
 public:
  explicit SplitKey(int64_t num) : Draw({num}, kKey) {}
  std::string_view name() const override { return "split"; }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    for_each_key<Key>(x[0], out[0], lane_axes, [](Key key, const Line<Key>& line) {
      for (int64_t i = 0; i < line.size; ++i) line[i] = rng::split(key, static_cast<uint64_t>(i));
    });
  }
};

class RandomBits final : public Draw {
 public:
  using Draw::Draw;
  std::string_view name() const override { return "bits"; }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    visit_dtype(dtype_, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_integer(dtype_of<T>))
        for_each_key<T>(x[0], out[0], lane_axes, [](Key key, const Line<T>& line) {
          if constexpr (sizeof(T) == 8)
            fill_from_words(key, line, [](uint64_t w) { return static_cast<T>(w); });
          else
            fill_from_halves(key, line, [](uint32_t w) { return static_cast<T>(w); });
        });
    });
  }
};

/// float64 from value(word), float32 from value(32-bit entry).
template <class Derived>
class DrawReal : public Draw {
 public:
  using Draw::Draw;
  std::string_view name() const final { return Derived::kName; }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const final {
    if (dtype_ == kFloat64)
      for_each_key<double>(x[0], out[0], lane_axes, [](Key key, const Line<double>& line) {
        fill_from_words(key, line, [](uint64_t w) { return Derived::value(w); });
      });
    else
      for_each_key<float>(x[0], out[0], lane_axes, [](Key key, const Line<float>& line) {
        fill_from_halves(key, line, [](uint32_t w) { return Derived::value(w); });
      });
  }
};

/// Never 0 nor 1.
double open_unit(uint64_t word) { return (static_cast<double>(word >> 12) + 0.5) * 0x1p-52; }
double open_unit(uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

class Uniform final : public DrawReal<Uniform> {
 public:
  using DrawReal::DrawReal;
  static constexpr std::string_view kName = "uniform";
  static double value(uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }
  static float value(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }
};

class Normal final : public DrawReal<Normal> {
 public:
  using DrawReal::DrawReal;
  static constexpr std::string_view kName = "normal";
  static double value(uint64_t word) { return rng::normal_quantile(open_unit(word)); }
  static float value(uint32_t word) { return static_cast<float>(rng::normal_quantile(open_unit(word))); }
};

class Gumbel final : public DrawReal<Gumbel> {
 public:
  using DrawReal::DrawReal;
  static constexpr std::string_view kName = "gumbel";
  static double value(uint64_t word) { return -std::log(-std::log(open_unit(word))); }
  static float value(uint32_t word) { return static_cast<float>(-std::log(-std::log(open_unit(word)))); }
};

class Integers final : public Draw {
 public:
  Integers(int64_t lo, uint64_t range, Shape shape, DType dtype)
      : Draw(std::move(shape), dtype), lo_(lo), range_(range) {}
  std::string_view name() const override { return "integers"; }
  Params params() const override {
    return {{"lo", lo_}, {"range", static_cast<int64_t>(range_)}, {"shape", shape_}, {"dtype", dtype_}};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    visit_dtype(dtype_, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (is_integer(dtype_of<T>))
        for_each_key<T>(x[0], out[0], lane_axes, [this](Key key, const Line<T>& line) {
          fill_from_words(key, line, [this](uint64_t w) {
            return static_cast<T>(static_cast<uint64_t>(lo_) + rng::below(w, range_));
          });
        });
    });
  }

 private:
  int64_t lo_;
  uint64_t range_;
};

class Permutation final : public Draw {
 public:
  explicit Permutation(int64_t n) : Draw({n}, kInt64) {}
  std::string_view name() const override { return "permutation"; }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    for_each_key<int64_t>(x[0], out[0], lane_axes, [](Key key, const Line<int64_t>& line) {
      for (int64_t i = 0; i < line.size; ++i) line[i] = i;
      for (int64_t i = line.size - 1; i > 0; --i) {
        const uint64_t j = rng::below(rng::word(key, static_cast<uint64_t>(i)), static_cast<uint64_t>(i) + 1);
        std::swap(line[i], line[static_cast<int64_t>(j)]);
      }
    });
  }
};

class FoldIn final : public NonDifferentiable {
 public:
  std::string_view name() const override { return "fold_in"; }
  Avals infer(std::span<const Aval> x) const override {
    require_key(name(), x[0]);
    require<TypeError>(is_integer(x[1].dtype), "random.fold_in: data must be an integer, got ",
                       describe(x[1].shape, x[1].dtype));
    require(x[1].shape.empty(), "random.fold_in: data must be one integer, got ",
            describe(x[1].shape, x[1].dtype), "; map over several with vmap");
    return {x[0]};
  }
  void kernel(std::span<const View> x, std::span<const View> out, int lane_axes) const override {
    const int64_t count = out[0].size();
    Dims index(static_cast<size_t>(lane_axes), 0);
    const auto at = [&](const View& v) {
      int64_t offset = 0;
      for (size_t d = 0; d < index.size(); ++d) offset += index[d] * v.strides[d];
      return offset;
    };
    for (int64_t l = 0; l < count; ++l) {
      const int64_t data = x[1].as<int64_t>()[at(x[1])];
      out[0].as<Key>()[at(out[0])] = rng::fold_in(x[0].as<Key>()[at(x[0])], static_cast<uint64_t>(data));
      for (size_t d = index.size(); d-- > 0;) {
        if (++index[d] < out[0].shape[d]) break;
        index[d] = 0;
      }
    }
  }
  bool has_lane_kernel() const override { return true; }
};

DType floating(std::string_view function, DType dtype) {
  require<TypeError>(is_floating(dtype), "random.", function, ": dtype must be float32 or float64, got ",
                     dtype);
  return dtype;
}

/// Throws ValueError for weights that cannot be probabilities, where they hold data.
void require_weights(const Array& p, int64_t needed) {
  if (!p.has_data()) return;
  int64_t positive = 0;
  for (const double w : astype(p.detached(), kFloat64).to_vector<double>()) {
    require(w >= 0 && std::isfinite(w), "random.choice: p must not be negative, infinite or NaN, got ", w);
    positive += w > 0;
  }
  require(positive >= needed, "random.choice: p has ", positive, " positive entries, but ", needed,
          " different ones are to be chosen");
}

}  // namespace

namespace random {

Array key(uint64_t seed) { return Array(rng::from_seed(seed)); }

Array split(const Array& key, int64_t num) {
  require(num >= 0, "random.split: num must not be negative, got ", num);
  return apply1(make_op<SplitKey>(num), {key});
}

Array fold_in(const Array& key, const Array& data) {
  require<TypeError>(is_integer(data.dtype()), "random.fold_in: data must be an integer, got ",
                     describe(data));
  return apply1(the<FoldIn>(), {key, converted(data, kInt64)});
}

Array bits(const Array& key, const Shape& shape, DType dtype) {
  require<TypeError>(is_integer(dtype), "random.bits: dtype must be an integer type, got ", dtype);
  return apply1(make_op<RandomBits>(shape, dtype), {key});
}

Array uniform(const Array& key, const Shape& shape, const Array& lo, const Array& hi, OptDType dtype) {
  const Arrays bounds{lo, hi};
  DType t = dtype.value_or(common_dtype("random.uniform", bounds));
  if (!dtype && (!is_inexact(t) || (lo.is_weak() && hi.is_weak()))) t = default_dtype();
  floating("uniform", t);
  const Array unit = apply1(make_op<Uniform>(shape, t), {key});
  const std::optional<double> a = literal_value(lo), b = literal_value(hi);
  require(!a || !b || *a <= *b, "random.uniform: the range [lo, hi) = [", a.value_or(0), ", ", b.value_or(0),
          ") is empty");
  if (a == 0.0 && b == 1.0 && lo.ndim() == 0 && hi.ndim() == 0) return unit;
  const Array low = converted(lo, t), width = converted(hi, t) - low;
  const Array out = low + width * unit;
  require(out.shape() == shape, "random.uniform: lo ", describe(lo), " and hi ", describe(hi),
          " do not broadcast to the shape ", shape);
  return out;
}

Array normal(const Array& key, const Shape& shape, OptDType dtype) {
  const DType t = dtype.value_or(default_dtype());
  if (!is_complex(t)) return apply1(make_op<Normal>(shape, floating("normal", t)), {key});
  // Real and imaginary part of variance 1/2, from entries 2i and 2i + 1.
  Shape pairs = shape;
  pairs.push_back(2);
  const Array parts = apply1(make_op<Normal>(pairs, real_dtype(t)), {key}) * std::sqrt(0.5);
  const Arrays both = unstack(parts, -1);
  return make_complex(both[0], both[1]);
}

Array gumbel(const Array& key, const Shape& shape, OptDType dtype) {
  return apply1(make_op<Gumbel>(shape, floating("gumbel", dtype.value_or(default_dtype()))), {key});
}

Array integers(const Array& key, int64_t lo, int64_t hi, const Shape& shape, DType dtype) {
  require<TypeError>(is_integer(dtype), "random.integers: dtype must be an integer type, got ", dtype);
  require(lo < hi, "random.integers: the range [lo, hi) = [", lo, ", ", hi, ") is empty");
  visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (is_integer(dtype_of<T>))
      require(std::in_range<T>(lo) && std::in_range<T>(hi - 1), "random.integers: [", lo, ", ", hi,
              ") does not fit ", dtype);
  });
  return apply1(make_op<Integers>(lo, static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo), shape, dtype),
                {key});
}

Array permutation(const Array& key, int64_t n) {
  require(n >= 0, "random.permutation: n must not be negative, got ", n);
  return apply1(make_op<Permutation>(n), {key});
}

Array choice(const Array& key, int64_t n, const Shape& shape, bool replace, const std::optional<Array>& p) {
  require_shape("choice", shape);
  const int64_t count = num_elements(shape);
  require(n > 0 || (n == 0 && count == 0), "random.choice: nothing to choose from, n = ", n);
  require(replace || count <= n, "random.choice: ", count, " different ones of ", n,
          " are asked for; use replace=true");
  if (!p)
    return replace ? integers(key, 0, std::max<int64_t>(n, 1), shape)
                   : reshape(slice(permutation(key, n), {0}, {count}, {1}), shape);
  const Array weights = inexact("random.choice", *p);
  require(weights.shape() == Shape{n} && is_floating(weights.dtype()),
          "random.choice: p must be real, of shape (", n, ",), got ", describe(*p));
  require_weights(weights, replace ? std::min<int64_t>(count, 1) : count);
  if (!replace) {  // the largest of log p + Gumbel noise: as drawing one after the other
    const Array scores = log(stop_gradient(weights)) + gumbel(key, {n}, weights.dtype());
    return reshape(slice(argsort(scores, -1, true), {0}, {count}, {1}), shape);
  }
  const Array steps = cumsum(stop_gradient(weights)), total = slice(steps, {n - 1}, {n}, {1});
  const Array at = uniform(key, shape, 0.0, 1.0, weights.dtype()) * reshape(total, {});
  return minimum(searchsorted(steps, at, "right"), Array(n - 1));
}

Array categorical(const Array& key, const Array& logits, const std::optional<Shape>& shape) {
  const Array scores = inexact("random.categorical", stop_gradient(logits));
  require<TypeError>(is_floating(scores.dtype()), "random.categorical: logits must be real, got ",
                     describe(logits));
  require(scores.ndim() >= 1 && scores.dim(-1) > 0,
          "random.categorical: logits need the categories along the last axis, got ", describe(logits));
  Shape batch = scores.shape();
  batch.pop_back();
  Shape draws = shape.value_or(batch);
  require(broadcast_shapes("random.categorical", draws, batch) == draws, "random.categorical: the batch ",
          batch, " of the logits does not broadcast to the shape ", draws);
  draws.push_back(scores.dim(-1));
  return argmax(scores + gumbel(key, draws, scores.dtype()), -1);
}

}  // namespace random
OpFamily families::random_numbers() {
  return {{"split",
           [](const ReadParams& p) {
             const Shape shape = p["shape"];
             require(shape.size() == 1, "split: shape is ", shape);
             return make_op<SplitKey>(shape[0]);
           }},
          listed<RandomBits>("bits", "shape", "dtype"),
          listed<Uniform>("uniform", "shape", "dtype"),
          listed<Normal>("normal", "shape", "dtype"),
          listed<Gumbel>("gumbel", "shape", "dtype"),
          {"integers",
           [](const ReadParams& p) {
             return make_op<Integers>(p["lo"], static_cast<uint64_t>(int64_t{p["range"]}), p["shape"],
                                      p["dtype"]);
           }},
          {"permutation",
           [](const ReadParams& p) {
             const Shape shape = p["shape"];
             require(shape.size() == 1, "permutation: shape is ", shape);
             return make_op<Permutation>(shape[0]);
           }},
          listed<FoldIn>()};
}

}  // namespace hesse
