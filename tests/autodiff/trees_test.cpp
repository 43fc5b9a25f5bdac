#include "autodiff/trees.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/nn/layers.h"

namespace hesse {
namespace {

double value(const Array& a) { return a.item<double>(); }
std::vector<double> values(const Array& a) { return a.to_vector<double>(); }
Array vec(std::initializer_list<double> v) { return Array::from<double>(v); }

struct Model {
  std::vector<std::pair<Array, std::optional<Array>>> layers;
  std::map<std::string, Array> extra;
  int64_t width = 3;  // static
  auto fields() { return hesse::fields("layers", layers, "extra", extra); }
};
Model sample() { return {{{Array(2.0), Array(3.0)}, {Array(5.0), {}}}, {{"a", Array(7.0)}}, 9}; }

const auto product = [](Array x, Array y) { return sin(x) * y; };

TEST(Trees, GradientsOfAnyArgument) {
  EXPECT_DOUBLE_EQ(value(grad(product)(0.5, 2.0)), 2 * std::cos(0.5));
  EXPECT_DOUBLE_EQ(value(grad<1>(product)(0.5, 2.0)), std::sin(0.5));
  const auto [y, both] = value_and_grad<1, 0>(product)(0.5, 2.0);
  EXPECT_DOUBLE_EQ(value(y), 2 * std::sin(0.5));
  EXPECT_DOUBLE_EQ(value(std::get<0>(both)), 2 * std::cos(0.5)) << "in the order of the arguments";
  EXPECT_DOUBLE_EQ(value(std::get<1>(both)), std::sin(0.5));
}

TEST(Trees, GradientOfAStruct) {
  const auto loss = [](const Model& m, const Array& scale) {
    return scale * m.layers[0].first * *m.layers[0].second * m.extra.at("a");
  };
  const auto [y, g] = value_and_grad(loss)(sample(), 10.0);
  EXPECT_EQ(value(y), 420.0);
  EXPECT_EQ(value(g.layers[0].first), 210.0);
  EXPECT_EQ(value(*g.layers[0].second), 140.0);
  EXPECT_EQ(value(g.layers[1].first), 0.0);
  EXPECT_FALSE(g.layers[1].second);
  EXPECT_EQ(value(g.extra.at("a")), 60.0);
  EXPECT_EQ(g.width, 9);
}

TEST(Trees, AuxiliaryOutputs) {
  const auto f = [](Array x) { return std::pair(x * x, std::map<std::string, Array>{{"x", x + 1}}); };
  const auto [y, g] = value_and_grad(f)(3.0);
  EXPECT_EQ(value(y.first), 9.0);
  EXPECT_EQ(value(y.second.at("x")), 4.0);
  EXPECT_EQ(value(g), 6.0);
}

TEST(Trees, NestedInAnyOrder) {
  const auto f = [](Array x) { return x * x * x; };
  EXPECT_EQ(value(grad(grad(grad(f)))(2.0)), 6.0);
  EXPECT_EQ(values(vmap(grad(grad(f)))(vec({1, 2}))), (std::vector<double>{6, 12}));
  EXPECT_EQ(value(grad([&](Array x) { return sum(vmap(grad(f))(x)); })(vec({2}))), 12.0);
  EXPECT_EQ(value(jvp(grad(f), 2.0, 1.0).second), 12.0);
  EXPECT_EQ(value(grad(compile(grad(checkpoint(f))))(2.0)), 12.0);
  // Perturbations are not confused: d/dx [x d/dy (x y)] = 2x.
  const auto outer = [](Array x) { return x * grad([&](Array y) { return x * y; })(5.0); };
  EXPECT_EQ(value(grad(outer)(3.0)), 6.0);
}

TEST(Trees, JvpAndVjpOfSeveralArguments) {
  const auto [y, dy] = jvp(product, std::tuple(0.5, 2.0), {1.0, 10.0});
  EXPECT_DOUBLE_EQ(value(dy), 2 * std::cos(0.5) + 10 * std::sin(0.5));
  const auto [z, pull_back] = vjp(product, 0.5, 2.0);
  const auto [gx, gy] = pull_back(3.0);
  EXPECT_EQ(value(y), value(z));
  EXPECT_DOUBLE_EQ(value(gx), 6 * std::cos(0.5));
  EXPECT_DOUBLE_EQ(value(gy), 3 * std::sin(0.5));
}

TEST(Trees, HigherDerivatives) {
  const auto f = [](Array x) { return sum(x * x * x); };
  const Array x = vec({1, 2});
  EXPECT_EQ(values(jacobian([](Array x) { return x * x; })(x)), (std::vector<double>{2, 0, 0, 4}));
  EXPECT_EQ(values(hessian(f)(x)), (std::vector<double>{6, 0, 0, 12}));
  EXPECT_EQ(values(hvp(f, x, vec({1, -1}))), (std::vector<double>{6, -12}));
  EXPECT_EQ(value(laplacian(f, x).second), 18.0);
  const auto [u, u_x, u_tx] =
      partials([](Array t, Array x) { return t * x * x; }, {2.0, 3.0}, {{}, {1}, {0, 1}});
  EXPECT_EQ(value(u), 18.0);
  EXPECT_EQ(value(u_x), 12.0);
  EXPECT_EQ(value(u_tx), 6.0);
}

TEST(Trees, VmapOverTreesAndAxes) {
  const nn::MLP net = nn::MLP::create(random::key(0), {2, 3, 1});
  const Array points = random::normal(random::key(1), {4, 2});
  const Array y =
      vmap([](const nn::MLP& net, const Array& x) { return net(x); }, {std::nullopt, 0})(net, points);
  EXPECT_EQ(y.shape(), (Shape{4, 1}));
  EXPECT_LT(value(max(abs(y - net(points)))), 1e-15);
  const auto both = [](std::pair<Array, Array> p) { return std::tuple(p.first + p.second, p.second); };
  const auto [total, second] = vmap(both, {1}, 1)(std::pair(ones({3, 2}), zeros({3, 2})));
  EXPECT_EQ(total.shape(), (Shape{3, 2}));
  EXPECT_EQ(second.shape(), (Shape{3, 2}));
  EXPECT_THROW((void)vmap(product, {0})(points, points), ValueError);
}

TEST(Trees, CompileRecordsOncePerSignature) {
  int recorded = 0;
  const auto f = compile([&](const Model& m, const Array& x) {
    ++recorded;
    return std::pair(m.layers[0].first * x, x + 1.0);
  });
  Model m = sample();
  EXPECT_EQ(value(f(m, 3.0).first), 6.0);
  m.layers[0].first = Array(4.0);
  EXPECT_EQ(value(f(m, 5.0).first), 20.0);
  EXPECT_EQ(recorded, 1);
  EXPECT_EQ(values(f(m, vec({1, 2})).first), (std::vector<double>{4, 8}));
  EXPECT_EQ(recorded, 2) << "another shape";
  m.layers.pop_back();
  (void)f(m, 5.0);
  EXPECT_EQ(recorded, 3) << "another structure";
}

TEST(Trees, CompiledClosuresOverLiveArrays) {
  // The captured a is differentiated: a recording that was kept would refer to the derivative before.
  const auto f = [](Array a) {
    const auto g = compile([&](Array x) { return a * x; });
    return g(a) + g(2.0 * a);
  };
  EXPECT_EQ(value(grad(f)(3.0)), 18.0);
  EXPECT_EQ(value(grad(grad(f))(3.0)), 6.0);
}

TEST(Trees, Loops) {
  const Array xs = vec({1, 2, 3});
  const auto step = [](const std::pair<Array, Array>& carry, const Array& x) {
    return std::pair(std::pair(carry.first + x, carry.second * x), carry.first);
  };
  const auto run = [&](Array scale) { return scan(step, std::pair(Array(0.0), Array(1.0)), scale * xs); };
  const auto [last, before] = run(1.0);
  EXPECT_EQ(value(last.first), 6.0);
  EXPECT_EQ(value(last.second), 6.0);
  EXPECT_EQ(values(before), (std::vector<double>{0, 1, 3}));
  EXPECT_EQ(value(grad([&](Array s) { return run(s).first.second; })(2.0)), 72.0) << "d/ds 6 s^3";
  EXPECT_EQ(value(scan(step, std::pair(Array(0.0), Array(1.0)), xs, true).first.first), 6.0);
  const auto [end, path] = scan([](Array y) { return std::pair(2.0 * y, y); }, 1.0, 4);
  EXPECT_EQ(value(end), 16.0);
  EXPECT_EQ(values(path), (std::vector<double>{1, 2, 4, 8}));

  const auto squares = [](Array x) {
    return while_loop([](Array x) { return x < 100.0; }, [](Array x) { return x * x; }, x);
  };
  EXPECT_EQ(value(squares(3.0)), 6561.0);
  EXPECT_EQ(value(grad(squares)(3.0)), 8 * std::pow(3.0, 7));
  const auto powers = [](Array x) {
    return fori_loop(
        0, 5, [&](Array i, Array p) { return p * x + 0.0 * i; }, 1.0);
  };
  EXPECT_EQ(value(grad(powers)(2.0)), 80.0);
  const auto branch = [](Array x) {
    return cond(
        x > 0.0, [](Array x) { return x * x; }, [](Array x) { return -x; }, x);
  };
  EXPECT_EQ(values(vmap(grad(branch))(vec({-1, 3}))), (std::vector<double>{-1, 6}));
}

TEST(Trees, FlatFunctionsAreStillThere) {
  // The same names with lists of arrays mean autodiff/autodiff.h and core/ops/control.h.
  const auto f = [](std::span<const Array> x) { return Arrays{x[0] * x[1]}; };
  const Arrays x{Array(2.0), Array(3.0)};
  EXPECT_EQ(value(*vjp(f, x).second({Array(1.0)})[1]), 2.0);
  EXPECT_EQ(value(hvp(f, x, x)[0]), 3.0);
  const auto body = [](const Array&, std::span<const Array> c) { return Arrays{c[0] * 2.0}; };
  EXPECT_EQ(value(fori_loop(Array(0), Array(3), body, Arrays{Array(1.0)})[0]), 8.0);
  const auto add = [](std::span<const Array> c) { return Arrays{c[0] + 1.0}; };
  const auto small = [](std::span<const Array> c) { return Arrays{c[0] < 5.0}; };
  EXPECT_EQ(value(while_loop(small, add, Arrays{Array(0.0)})[0]), 5.0);
  EXPECT_EQ(value(cond(Array(true), add, add, Arrays{Array(1.0)})[0]), 2.0);
}

TEST(Trees, CustomRules) {
  const auto cube =
      custom_jvp([](Array x, Array y) { return x * x * x + y; },
                 [](auto primals, auto tangents) {
                   const auto [x, y] = primals;
                   const auto [dx, dy] = tangents;
                   return std::pair(x * x * x + y, 30.0 * x * x * dx + dy);  // ten times too much
                 });
  EXPECT_EQ(value(cube(2.0, 1.0)), 9.0);
  EXPECT_EQ(value(grad(cube)(2.0, 1.0)), 120.0);
  EXPECT_EQ(value(grad(grad(cube))(2.0, 1.0)), 120.0);
  EXPECT_EQ(value(jvp(cube, std::tuple(2.0, 1.0), {0.0, 1.0}).second), 1.0);

  const auto clipped = custom_vjp([](Array x) { return x * x; },
                                  [](Array x) {
                                    return std::pair(x * x, std::map<std::string, Array>{{"x", x}});
                                  },
                                  [](auto kept, Array ct) { return std::tuple(200.0 * kept.at("x") * ct); });
  EXPECT_EQ(value(grad(clipped)(3.0)), 600.0);
  EXPECT_EQ(value(jvp(clipped, 3.0, 2.0).second), 1200.0);
  EXPECT_EQ(values(vmap(grad(clipped))(vec({1, 2}))), (std::vector<double>{200, 400}));
}

TEST(Trees, NothingIsLeaked) {
  const int64_t before = Buffer::live_count();
  {
    const auto f = compile(value_and_grad([](const nn::MLP& net, Array x) { return sum(net(x)); }));
    const nn::MLP net = nn::MLP::create(random::key(0), {2, 3, 1});
    (void)f(net, ones({5, 2}));
    (void)f(net, ones({5, 2}));
    (void)vjp(product, 0.5, 2.0).second(1.0);
  }
  EXPECT_EQ(Buffer::live_count(), before);
}

}  // namespace
}  // namespace hesse
