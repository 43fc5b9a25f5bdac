// Views, movement, indexing and sorting on cases a person can check.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autodiff/autodiff.h"
#include "core/graph.h"
#include "core/ops.h"

namespace hesse {
namespace {

using Values = std::vector<double>;
const double kNaN = std::nan(""), kInf = std::numeric_limits<double>::infinity();

Array f64(const Values& v, const Shape& shape) { return Array::from<double>(v, shape); }
Array f64(const Values& v) { return f64(v, {static_cast<int64_t>(v.size())}); }
Array ints(const std::vector<int64_t>& v, const Shape& shape) { return Array::from<int64_t>(v, shape); }
Array ints(const std::vector<int64_t>& v) { return ints(v, {static_cast<int64_t>(v.size())}); }
Array count(const Shape& shape) {  // 0, 1, 2, ...
  Values v(static_cast<size_t>(num_elements(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(i);
  return f64(v, shape);
}
Array mask(const std::vector<int>& v, const Shape& shape) {
  return astype(ints({v.begin(), v.end()}, shape), kBool);
}

void expect_equal(const Array& a, const Shape& shape, const Values& values) {
  EXPECT_EQ(a.shape(), shape);
  const Values got = astype(a, kFloat64).to_vector<double>();
  ASSERT_EQ(got.size(), values.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_TRUE(got[i] == values[i] || (got[i] != got[i] && values[i] != values[i]))
        << "entry " << i << ": " << got[i] << ", expected " << values[i];
}

template <class E, class F>
void expect_error(F&& f, const std::string& part) {
  try {
    f();
    ADD_FAILURE() << "nothing thrown, expected: " << part;
  } catch (const E& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

/// The cotangent of x under ct = 1, 2, 3, ... of f(x).
Array pulled_back(const std::function<Array(const Array&)>& f, const Array& x) {
  const auto [y, pull] = vjp([&](std::span<const Array> a) { return Arrays{f(a[0])}; }, {x});
  return *pull({add(count(y[0].shape()), 1.0)})[0];
}

TEST(View, ReshapeAliasesWhereStridesAllow) {
  const Array x = count({2, 3});
  EXPECT_EQ(reshape(x, {3, -1}).buffer().get(), x.buffer().get());
  expect_equal(reshape(transpose(x), {6}), {6}, {0, 3, 1, 4, 2, 5});
  EXPECT_EQ(reshape(transpose(x), {3, 1, 2}).buffer().get(), x.buffer().get());
  expect_equal(reshape(count({0, 3}), {0}), {0}, {});
  expect_equal(reshape(f64({7}, {}), {1, 1}), {1, 1}, {7});
  expect_error<ValueError>([&] { reshape(x, {4}); }, "reshape: cannot reshape (2, 3) to (4,)");
  expect_error<ValueError>([&] { reshape(x, {-1, -1}); }, "more than one -1");
  expect_error<ValueError>([&] { reshape(count({0, 3}), {0, -1}); }, "reshape: cannot find the length of -1");
}

TEST(View, BroadcastIsAViewAndItsTransposeSums) {
  const Array x = f64({1, 2}, {2, 1});
  const Array y = broadcast_to(x, {3, 2, 2});
  EXPECT_EQ(y.buffer().get(), x.buffer().get());
  expect_equal(y, {3, 2, 2}, {1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2});
  expect_equal(pulled_back([](const Array& a) { return broadcast_to(a, {3, 2, 2}); }, x), {2, 1}, {33, 45});
  expect_equal(pulled_back([](const Array& a) { return broadcast_to(a, {0, 2, 1}); }, x), {2, 1}, {0, 0});
  expect_error<ValueError>([&] { broadcast_to(x, {3}); },
                           "broadcast_to: cannot broadcast shape (2, 1) to (3,)");
}

TEST(View, AxesMove) {
  const Array x = count({2, 3, 4});
  EXPECT_EQ(transpose(x).shape(), Shape({4, 3, 2}));
  EXPECT_EQ(moveaxis(x, {0}, {-1}).shape(), Shape({3, 4, 2}));
  EXPECT_EQ(moveaxis(x, {0, 1}, {2, 0}).shape(), Shape({3, 4, 2}));
  EXPECT_EQ(swapaxes(x, 0, -1).shape(), Shape({4, 3, 2}));
  EXPECT_EQ(expand_dims(x, {0, -1}).shape(), Shape({1, 2, 3, 4, 1}));
  EXPECT_EQ(squeeze(expand_dims(x, {0, -1})).shape(), x.shape());
  expect_equal(matrix_transpose(count({2, 2})), {2, 2}, {0, 2, 1, 3});
  expect_equal(pulled_back(
                   [](const Array& a) {
                     return transpose(a, Axes{1, 2, 0});
                   },
                   count({1, 2, 2})),
               {1, 2, 2}, {1, 2, 3, 4});
  expect_error<ValueError>(
      [&] {
        transpose(x, Axes{0, 1});
      },
      "transpose: axes=(0, 1) must name each of the 3 axes");
  expect_error<ValueError>([&] { transpose(x, Axes{0, 1, 1}); }, "names axis 1 twice");
  expect_error<ValueError>([&] { squeeze(x, Axes{1}); },
                           "squeeze: axis 1 of x of shape (2, 3, 4) has length 3");
  expect_error<IndexError>([&] { swapaxes(x, 0, 3); }, "swapaxes: axis 3 is out of range");
}

TEST(Movement, SlicesAndTheirTranspose) {
  const Array x = count({5});
  expect_equal(slice(x, {4}, {0}, {-2}), {2}, {4, 2});
  expect_equal(flip(count({2, 2})), {2, 2}, {3, 2, 1, 0});
  expect_equal(flip(count({0, 2})), {0, 2}, {});
  expect_equal(pulled_back([](const Array& a) { return slice(a, {4}, {0}, {-2}); }, x), {5}, {0, 0, 2, 0, 1});
  const Arrays parts = split(x, std::vector<int64_t>{1, -1});
  expect_equal(parts[1], {3}, {1, 2, 3});
  expect_error<ValueError>([&] { split(x, 2); },
                           "split: axis 0 of length 5 does not divide into 2 equal sections");
  expect_equal(unstack(count({2, 2}), 1)[1], {2}, {1, 3});
}

TEST(Movement, JoinsRepeatsPads) {
  const Array x = count({2, 2});
  expect_equal(concatenate({x, f64({9}, {1, 1})}, {}), {5}, {0, 1, 2, 3, 9});
  expect_equal(concatenate({x, f64({8, 9}, {2, 1})}, 1), {2, 3}, {0, 1, 8, 2, 3, 9});
  expect_equal(stack({f64({1, 2}), f64({3, 4})}, -1), {2, 2}, {1, 3, 2, 4});
  EXPECT_EQ(stack({Array(1.0), astype(Array(2.0), kFloat32)}).dtype(), kFloat32);
  expect_error<ValueError>(
      [&] {
        concatenate({x, count({3})});
      },
      "concatenate: operand 1 of shape (3,) does not fit");
  expect_error<ValueError>([&] { concatenate({Array(1.0), Array(2.0)}); }, "use stack for scalars");
  expect_equal(pulled_back(
                   [](const Array& a) {
                     return concatenate({a, f64({5}), a}, 0);
                   },
                   count({2})),
               {2}, {5, 7});
  expect_equal(roll(count({5}), {2}), {5}, {3, 4, 0, 1, 2});
  expect_equal(roll(x, {1, -1}, Axes{0, 1}), {2, 2}, {3, 2, 1, 0});
  expect_equal(tile(f64({1, 2}), {2, 2}), {2, 4}, {1, 2, 1, 2, 1, 2, 1, 2});
  expect_equal(repeat(x, 2, 1), {2, 4}, {0, 0, 1, 1, 2, 2, 3, 3});
  expect_equal(repeat(f64({1, 2}), 2), {4}, {1, 1, 2, 2});
  expect_equal(pad(f64({1, 2}), {{1, 2}}), {5}, {0, 1, 2, 0, 0});
  expect_equal(pad(f64({1, 2}), {{1, 0}}, 7.0), {3}, {7, 1, 2});
  expect_equal(pad(count({3}), {{2, 4}}, 0.0, "reflect"), {9}, {2, 1, 0, 1, 2, 1, 0, 1, 2});
  expect_equal(pad(count({3}), {{2, 2}}, 0.0, "edge"), {7}, {0, 0, 0, 1, 2, 2, 2});
  expect_equal(pad(count({3}), {{4, 1}}, 0.0, "wrap"), {8}, {2, 0, 1, 2, 0, 1, 2, 0});
  expect_equal(pulled_back(
                   [](const Array& a) {
                     return pad(a, {{2, 2}}, 0.0, "edge");
                   },
                   count({2})),
               {2}, {6, 15});
  expect_error<ValueError>([&] { pad(count({0}), {{1, 1}}, 0.0, "edge"); }, "has nothing to repeat");
}

TEST(Index, BasicIndexing) {
  const Array x = count({3, 4});
  expect_equal(getitem(x, {int64_t{-1}}), {4}, {8, 9, 10, 11});
  expect_equal(getitem(x, {Slice{{}, {}, -2}, int64_t{1}}), {2}, {9, 1});
  expect_equal(getitem(x, {Ellipsis{}, NewAxis{}, Slice{1, -1, {}}}), {3, 1, 2}, {1, 2, 5, 6, 9, 10});
  expect_equal(getitem(x, {Slice{5, {}, {}}}), {0, 4}, {});
  expect_equal(getitem(x, {Slice{-100, 100, 100}, Slice{100, -100, -3}}), {1, 2}, {3, 0});
  expect_equal(getitem(x, {}), {3, 4}, count({3, 4}).to_vector<double>());
  expect_error<IndexError>([&] { getitem(x, {int64_t{3}}); },
                           "getitem: index 3 is out of range for axis 0 of length 3");
  expect_error<IndexError>(
      [&] {
        getitem(x, {Slice{}, Slice{}, Slice{}});
      },
      "getitem: too many indices: 3 for the 2 axes");
  expect_error<IndexError>([&] { getitem(x, {Ellipsis{}, Ellipsis{}}); }, "only one '...'");
  expect_error<ValueError>([&] { getitem(x, {Slice{{}, {}, 0}}); }, "step of a slice is zero");
}

TEST(Index, ArraysStandWhereNumPyPutsThem) {
  const Array x = count({2, 3, 4}), i = ints({1, 0}), j = ints({2, 0});
  expect_equal(getitem(x, {i, j, int64_t{3}}), {2}, {23, 3});
  EXPECT_EQ(getitem(x, {Slice{}, j, ints({0, 1, 3}, {3, 1})}).shape(), Shape({2, 3, 2}));
  EXPECT_EQ(getitem(x, {i, Slice{}, j}).shape(), Shape({2, 3}));
  EXPECT_EQ(getitem(x, {int64_t{0}, Slice{}, j}).shape(), Shape({2, 3}));  // the integer counts as an array
  EXPECT_EQ(getitem(x, {Slice{}, j, NewAxis{}, i}).shape(),
            Shape({2, 2, 1}));  // apart: the arrays come first
  expect_equal(getitem(x, {int64_t{0}, Slice{}, j}), {2, 3}, {2, 6, 10, 0, 4, 8});
  expect_equal(getitem(count({2, 2}), {mask({1, 0, 0, 1}, {2, 2})}), {2}, {0, 3});
  expect_equal(getitem(count({3, 2}), {mask({1, 0, 1}, {3}), int64_t{1}}), {2}, {1, 5});
  EXPECT_EQ(getitem(x, {Array(true)}).shape(), Shape({1, 2, 3, 4}));
  EXPECT_EQ(getitem(x, {Array(false)}).shape(), Shape({0, 2, 3, 4}));
  expect_error<IndexError>(
      [&] {
        getitem(x, {i, ints({0, 3})});
      },
      "getitem: index 3 at position 1 is out of range for axis 1 of length 3");
  expect_error<IndexError>([&] { getitem(x, {f64({1})}); },
                           "getitem: an index must be integers or bools, got float64[1]");
  expect_error<IndexError>([&] { getitem(x, {mask({1}, {1})}); },
                           "boolean mask of shape (1,) does not fit axis 0");
  expect_equal(pulled_back(
                   [&](const Array& a) {
                     return getitem(a, {ints({0, 1, 0})});
                   },
                   count({2})),
               {2}, {4, 2});
}

TEST(Index, AMaskThatIsASymbolNamesTheRemedy) {
  const auto f = [](std::span<const Array> a) { return Arrays{getitem(a[0], {greater(a[0], Array(0.0))})}; };
  const Avals args{{Shape{3}, kFloat64}};
  expect_error<TraceError>([&] { trace(f, args, false); }, "use where(mask, x, y)");
  const auto g = [](std::span<const Array> a) { return nonzero(a[0]); };
  expect_error<TraceError>([&] { trace(g, args, false); }, "nonzero: x is a symbol, float64[3]");
}

TEST(Index, UpdatesWithRepeatedIndices) {
  const Array x = count({3}), i = ints({0, 2, 0}), y = f64({10, 20, 30});
  expect_equal(at_update(x, {i}, y, Update::Set), {3}, {30, 1, 20});
  expect_equal(at_update(x, {i}, y, Update::Add), {3}, {40, 1, 22});
  expect_equal(at_update(add(x, 1.0), {i}, y, Update::Multiply), {3}, {300, 2, 60});
  expect_equal(at_update(x, {i}, f64({-1, 1, -2}), Update::Min), {3}, {-2, 1, 1});
  expect_equal(at_update(x, {i}, f64({4, 1, 3}), Update::Max), {3}, {4, 1, 2});
  expect_equal(at_update(count({2, 3}), {Slice{}, int64_t{-1}}, Array(7.0), Update::Set), {2, 3},
               {0, 1, 7, 3, 4, 7});
  expect_equal(at_update(count({2, 3}), {Slice{1, {}, {}}, ints({2, 0})}, f64({7, 8}), Update::Set), {2, 3},
               {0, 1, 2, 8, 4, 7});
  expect_equal(at_update(x, {mask({1, 0, 1}, {3})}, Array(-1), Update::Set), {3}, {-1, 1, -1});
  expect_error<IndexError>(
      [&] {
        at_update(x, {ints({1, -4})}, f64({1}), Update::Add);
      },
      "at[].add: index -4 at position 1 is out of range for axis 0 of length 3");
  expect_error<ValueError>(
      [&] {
        at_update(x, {Slice{1, {}, {}}}, y, Update::Set);
      },
      "at[].set: values of shape (3,) do not broadcast to the indexed shape (2,)");
  expect_error<TypeError>([&] { at_update(ints({1}), {int64_t{0}}, f64({1.5}, {}), Update::Set); },
                          "at[].set: values of dtype float64 do not fit an array of dtype int64");
}

TEST(Index, DerivativesOfUpdates) {
  const Array i = ints({0, 2, 0}), y = f64({10, 20, 30}), x = f64({1, 2, 3});
  const auto of_x = [&](Update how) { return [=](const Array& a) { return at_update(a, {i}, y, how); }; };
  const auto of_y = [&](Update how) { return [=](const Array& a) { return at_update(x, {i}, a, how); }; };
  expect_equal(pulled_back(of_x(Update::Set), x), {3}, {0, 2, 0});
  expect_equal(pulled_back(of_y(Update::Set), y), {3}, {0, 3, 1});  // the last alone
  expect_equal(pulled_back(of_x(Update::Add), x), {3}, {1, 2, 3});
  expect_equal(pulled_back(of_y(Update::Add), y), {3}, {1, 3, 1});
  expect_equal(pulled_back(of_x(Update::Multiply), x), {3}, {300, 2, 60});
  expect_equal(pulled_back(of_y(Update::Multiply), f64({0, 5, 4})), {3}, {4, 9, 0});
  expect_equal(pulled_back(of_y(Update::Max), f64({10, 1, 10})), {3}, {0.5, 0, 0.5});
  expect_equal(pulled_back(of_x(Update::Max), f64({9, kNaN, 20})), {3}, {0, 2, 1.5});
}

TEST(Index, TakeAndItsTranspose) {
  const Array x = count({2, 3});
  expect_equal(take(x, ints({2, 0, -1}), 1), {2, 3}, {2, 0, 2, 5, 3, 5});
  expect_equal(take(x, ints({4, 0}, {2, 1})), {2, 1}, {4, 0});
  expect_equal(take_along_axis(x, ints({1, 0}, {2, 1}), 1), {2, 1}, {1, 3});
  expect_equal(pulled_back(
                   [](const Array& a) {
                     return take(a, ints({2, 2, 0}), 1);
                   },
                   x),
               {2, 3}, {3, 0, 3, 6, 0, 9});
  expect_equal(pulled_back(
                   [](const Array& a) {
                     return take_along_axis(a, ints({1, 1}, {1, 2}), 1);
                   },
                   x),
               {2, 3}, {0, 3, 0, 0, 7, 0});
  expect_error<IndexError>(
      [&] {
        take(count({5}), ints({0, 7}), 0);
      },
      "take: index 7 at position 1 is out of range for axis 0 of length 5");
  expect_error<IndexError>([&] { take(count({0}), ints({0}), 0); }, "out of range for axis 0 of length 0");
}

TEST(Index, Segments) {
  const Array x = f64({1, 2, 3, 4, 5, 6}, {3, 2}), ids = ints({1, 1, 3});
  expect_equal(segment_sum(x, ids, 4), {4, 2}, {0, 0, 4, 6, 0, 0, 5, 6});
  expect_equal(segment_max(x, ids, 4), {4, 2}, {-kInf, -kInf, 3, 4, -kInf, -kInf, 5, 6});
  expect_equal(
      pulled_back([&](const Array& a) { return segment_max(a, ids, 4); }, f64({1, 4, 3, 4, 5, 6}, {3, 2})),
      {3, 2}, {0, 2, 3, 2, 7, 8});
  expect_error<IndexError>(
      [&] {
        segment_sum(x, ints({0, 7, 1}), 5);
      },
      "segment_sum: index 7 at position 1 is out of range for 5 segments; did you mean num_segments=8?");
  expect_error<IndexError>(
      [&] {
        segment_sum(x, ints({0, -1, 1}), 5);
      },
      "index -1 at position 1 is negative");
  expect_error<ValueError>([&] { segment_sum(x, ints({0}), 5); },
                           "must be one-dimensional with an entry for each row");
}

TEST(Sort, OrderIsStableAndNaNComesLast) {
  const Array x = f64({2, kNaN, 1, 2, -kInf});
  expect_equal(sort(x), {5}, {-kInf, 1, 2, 2, kNaN});
  expect_equal(sort(x, -1, true), {5}, {2, 2, 1, -kInf, kNaN});
  expect_equal(argsort(x), {5}, {4, 2, 0, 3, 1});
  expect_equal(argsort(x, 0, true), {5}, {0, 3, 2, 4, 1});
  expect_equal(sort(f64({3, 1, 2, 0}, {2, 2}), 0), {2, 2}, {2, 0, 3, 1});
  expect_equal(sort(count({0, 2}), 0), {0, 2}, {});
  expect_equal(sort(mask({1, 0, 1}, {3})), {3}, {0, 1, 1});
  expect_equal(pulled_back([](const Array& a) { return sort(a); }, f64({3, 1, 2})), {3}, {3, 1, 2});
  const auto [values, where_from] = topk(f64({5, 9, 7}), 2);
  expect_equal(values, {2}, {9, 7});
  expect_equal(where_from, {2}, {1, 2});
  expect_error<ValueError>([&] { topk(x, 6); }, "topk: k=6 must be between 0 and the length 5 of axis 0");
  expect_error<TypeError>([&] { sort(astype(x, kComplex128)); }, "sort: complex128 values have no order");
}

TEST(Sort, SearchUniqueNonzero) {
  const Array sorted = f64({1, 2, 2, 4});
  expect_equal(searchsorted(sorted, f64({2, 5, 0, kNaN}, {2, 2})), {2, 2}, {1, 4, 0, 4});
  expect_equal(searchsorted(sorted, f64({2}, {}), "right"), {}, {3});
  const Arrays u = unique(f64({3, 1, 3, 0}, {2, 2}));
  expect_equal(u[0], {3}, {0, 1, 3});
  expect_equal(u[1], {3}, {3, 1, 0});
  expect_equal(u[2], {2, 2}, {2, 1, 2, 0});
  expect_equal(u[3], {3}, {1, 1, 2});
  const Arrays at = nonzero(f64({0, 1, 2, 0}, {2, 2}));
  expect_equal(at[0], {2}, {0, 1});
  expect_equal(at[1], {2}, {1, 0});
}

TEST(View, ViewsOfViewsAndOfConstantsAreMerged) {
  const auto equations = [](const std::function<Array(const Array&)>& f) {
    const Avals args{{Shape{2, 3}, kFloat64}};
    return trace([&](std::span<const Array> a) { return Arrays{f(a[0])}; }, args, true).graph->count();
  };
  EXPECT_EQ(equations([](const Array& a) { return transpose(transpose(a)); }), 0);
  EXPECT_EQ(equations([](const Array& a) { return reshape(reshape(a, {6}), {3, 2}); }), 1);
  EXPECT_EQ(equations([](const Array& a) {
              return broadcast_to(broadcast_to(a, {4, 2, 3}), {5, 4, 2, 3});
            }),
            1);
  EXPECT_EQ(equations([](const Array& a) { return slice(pad(a, {{1, 1}}), {1, 1}, {3, 4}, {1, 1}); }), 0);
  const Array constant = count({3, 2});
  EXPECT_EQ(equations([&](const Array& a) { return add(a, transpose(constant)); }), 1);
}

// A tile: two lanes innermost; the index the same in both, then one of its own for each.
TEST(Lanes, GatherWithUniformAndVaryingIndices) {
  const auto graph = trace_closed([](std::span<const Array> a) { return Arrays{take(a[0], a[1], 0)}; },
                                  Avals{{Shape{3}, kFloat64}, {Shape{2}, kInt64}});
  const Op& op = *graph->equations()[0].op;
  const Array x = f64({0, 10, 1, 11, 2, 12}, {3, 2}), y = Array::uninitialized({2, 2}, kFloat64);
  const Array uniform = broadcast_to(ints({2, 0}, {2, 1}), {2, 2}), varying = ints({0, 1, 2, -1}, {2, 2});
  const std::vector<View> out{y.view()};
  op.kernel(std::vector<View>{x.view(), uniform.view()}, out, 1);
  expect_equal(y, {2, 2}, {2, 12, 0, 10});
  op.kernel(std::vector<View>{x.view(), varying.view()}, out, 1);
  expect_equal(y, {2, 2}, {0, 11, 2, 12});
}

TEST(Lanes, ReshapeOfFeaturesKeepsTheLaneAxis) {
  const auto graph = trace_closed([](std::span<const Array> a) { return Arrays{reshape(a[0], {6})}; },
                                  Avals{{Shape{2, 3}, kFloat64}});
  const Op& op = *graph->equations()[0].op;
  const Array tile = count({2, 3, 4});
  const auto view = op.alias(tile.view(), 1);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->shape, Shape({6, 4}));
  EXPECT_EQ(view->strides, Strides({4, 1}));
  EXPECT_FALSE(op.alias(transpose(count({3, 2, 4}), Axes{1, 0, 2}).view(), 1).has_value());
}

}  // namespace
}  // namespace hesse
