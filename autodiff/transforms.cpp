#include <algorithm>
#include <map>
#include <mutex>

#include "autodiff/arguments.h"
#include "autodiff/autodiff.h"
#include "core/ops.h"

/// What users call, built on jvp, vjp and map.
namespace hesse {
namespace {

Array zeros_like_value(const Array& x) { return broadcast_to(astype(Array(0.0), x.dtype()), x.shape()); }
Array ones_like_value(const Array& x) { return broadcast_to(astype(Array(1.0), x.dtype()), x.shape()); }

// The n unit arrays of x's shape, stacked: [n, shape...].
Array basis(const Array& x) {
  const int64_t n = x.size();
  Shape shape = x.shape();
  shape.insert(0, n);
  return reshape(eye(n, {}, 0, x.dtype()), shape);
}

Shape joined(const Shape& a, const Shape& b) {
  Shape out = a;
  for (int64_t d : b) out.push_back(d);
  return out;
}

}  // namespace

std::pair<Arrays, Arrays> value_and_grad(const Fn& f, const Arrays& args, const std::vector<int>& argnums) {
  check_argnums("grad", args, argnums);
  const Arrays x = chosen(args, argnums);
  auto [y, pull] = vjp(restricted(f, args, argnums), x);
  check_scalar("grad", y);
  MaybeArrays ct(y.size());
  ct[0] = ones_like_value(y[0]);
  const MaybeArrays g = pull(ct);
  Arrays grads;
  for (size_t k = 0; k < x.size(); ++k) grads.push_back(g[k] ? *g[k] : zeros_like_value(x[k]));
  return {std::move(y), std::move(grads)};
}

std::function<Array(const Array&)> grad(std::function<Array(const Array&)> f) {
  return [f = std::move(f)](const Array& x) {
    return value_and_grad([&](std::span<const Array> a) { return Arrays{f(a[0])}; }, {x}, {0}).second[0];
  };
}

std::vector<Arrays> jacobian(const Fn& f, const Arrays& args, const std::vector<int>& argnums, Mode mode) {
  check_argnums("jacobian", args, argnums);
  const Arrays x = chosen(args, argnums);
  const Fn g = restricted(f, args, argnums);
  auto [y, pull] = vjp(g, x);
  int64_t rows = 0, cols = 0;
  for (size_t k = 0; k < y.size(); ++k) {
    require<TypeError>(is_inexact(y[k].dtype()), "jacobian: output ", k, " has dtype ", y[k].dtype(),
                       "; integers and booleans have no derivative, leave it out or return it as aux");
    rows += y[k].size();
  }
  for (const Array& a : x) cols += a.size();
  if (mode == Mode::Auto) mode = cols < rows ? Mode::Forward : Mode::Reverse;
  std::vector<Arrays> out(y.size());
  if (mode == Mode::Reverse) {
    for (size_t k = 0; k < y.size(); ++k) {
      if (y[k].size() == 0) {
        for (const Array& a : x) out[k].push_back(zeros(joined(y[k].shape(), a.shape()), y[k].dtype()));
        continue;
      }
      const Arrays rows_k = vmap(
          [&, &pull = pull](std::span<const Array> e) {
            MaybeArrays ct(y.size());
            ct[k] = e[0];
            Arrays result;
            const MaybeArrays pulled = pull(ct);
            for (size_t i = 0; i < x.size(); ++i)
              result.push_back(pulled[i] ? *pulled[i] : zeros_like_value(x[i]));
            return result;
          },
          {basis(y[k])}, {0}, {0});
      for (size_t i = 0; i < x.size(); ++i)
        out[k].push_back(reshape(rows_k[i], joined(y[k].shape(), x[i].shape())));
    }
    return out;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i].size() == 0) {
      for (size_t k = 0; k < y.size(); ++k)
        out[k].push_back(zeros(joined(y[k].shape(), x[i].shape()), y[k].dtype()));
      continue;
    }
    const Arrays columns = vmap(
        [&](std::span<const Array> e) {
          MaybeArrays dx(x.size());
          dx[i] = e[0];
          auto [value, dy] = jvp(g, x, dx);
          Arrays result;
          for (size_t k = 0; k < value.size(); ++k)
            result.push_back(dy[k] ? *dy[k] : zeros_like_value(value[k]));
          return result;
        },
        {basis(x[i])}, {0}, {-1});
    for (size_t k = 0; k < columns.size(); ++k)
      out[k].push_back(reshape(columns[k], joined(y[k].shape(), x[i].shape())));
  }
  return out;
}

// Forward over reverse.
std::vector<Arrays> hessian(const Fn& f, const Arrays& args, const std::vector<int>& argnums) {
  check_argnums("hessian", args, argnums);
  const Arrays x = chosen(args, argnums);
  std::vector<int> all;
  for (size_t i = 0; i < x.size(); ++i) all.push_back(static_cast<int>(i));
  const Fn g = checked_scalar("hessian", restricted(f, args, argnums));
  return jacobian(
      [&](std::span<const Array> v) { return value_and_grad(g, Arrays(v.begin(), v.end()), all).second; }, x,
      all, Mode::Forward);
}

Arrays hvp(const Fn& f, const Arrays& args, const Arrays& v) {
  require(args.size() == v.size(), "hvp: ", args.size(), " arguments but ", v.size(), " directions");
  std::vector<int> all;
  for (size_t i = 0; i < args.size(); ++i) all.push_back(static_cast<int>(i));
  const MaybeArrays dx(v.begin(), v.end());
  const Fn g = checked_scalar("hvp", f);
  const auto [gradient, hv] =
      jvp([&](std::span<const Array> x) { return value_and_grad(g, Arrays(x.begin(), x.end()), all).second; },
          args, dx);
  Arrays out;
  for (size_t k = 0; k < gradient.size(); ++k) out.push_back(hv[k] ? *hv[k] : zeros_like_value(gradient[k]));
  return out;
}

// Each order is one more jvp of the function before; recorded, so that equal equations merge and nesting
// costs what Taylor mode costs.
std::vector<Arrays> partials(const Fn& f, const Arrays& args, const std::vector<std::vector<int>>& orders) {
  Avals avals;
  for (size_t i = 0; i < args.size(); ++i) avals.push_back(aval(args[i]));
  for (const auto& order : orders)
    for (int i : order) {
      require<IndexError>(i >= 0 && i < static_cast<int>(args.size()), "partials: argument ", i,
                          " is out of range for ", args.size(), " argument(s)");
      const Array& a = args[static_cast<size_t>(i)];
      require(a.ndim() == 0, "partials: argument ", i, " has shape ", a.shape(),
              "; derivatives are taken in scalar arguments (vmap over the points)");
      require<TypeError>(is_inexact(a.dtype()), "partials: argument ", i, " has dtype ", a.dtype(),
                         ", expected floating");
    }
  size_t num_outputs = 0;
  const Traced t = trace(
      [&](std::span<const Array> x) {
        const Arrays at(x.begin(), x.end());
        // Derivatives by sorted multi-index: "tx" and "xt" are one computation.
        std::map<std::vector<int>, Arrays> known;
        const std::function<Fn(std::vector<int>)> derivative = [&](std::vector<int> order) -> Fn {
          if (order.empty()) return f;
          const int i = order.back();
          order.pop_back();
          return [inner = derivative(order), i](std::span<const Array> v) {
            MaybeArrays dx(v.size());
            dx[static_cast<size_t>(i)] = ones_like_value(v[static_cast<size_t>(i)]);
            auto [y, dy] = jvp(inner, Arrays(v.begin(), v.end()), dx);
            Arrays out;
            for (size_t k = 0; k < y.size(); ++k) out.push_back(dy[k] ? *dy[k] : zeros_like_value(y[k]));
            return out;
          };
        };
        Arrays out;
        for (std::vector<int> order : orders) {
          std::sort(order.begin(), order.end());
          auto it = known.find(order);
          if (it == known.end()) it = known.emplace(order, derivative(order)(at)).first;
          num_outputs = it->second.size();
          out.insert(out.end(), it->second.begin(), it->second.end());
        }
        return out;
      },
      avals, false);
  Arrays in = args;
  in.insert(in.end(), t.captures.begin(), t.captures.end());
  const Arrays flat = t.graph->call(in);
  std::vector<Arrays> out;
  for (size_t k = 0; k < orders.size(); ++k)
    out.emplace_back(flat.begin() + static_cast<int64_t>(k * num_outputs),
                     flat.begin() + static_cast<int64_t>((k + 1) * num_outputs));
  return out;
}

// sum_i d2f/dx_i2 = sum over unit directions e of d2/ds2 f(x + s e): a map over directions whose result is a
// sum, with the value and what does not depend on the direction computed once.
std::pair<Arrays, Arrays> laplacian(const Fn& f, const Array& x) {
  require<TypeError>(is_floating(x.dtype()), "laplacian: the argument has dtype ", x.dtype(),
                     ", expected float32 or float64");
  const Arrays y = f(std::span<const Array>(&x, 1));
  const int64_t n = x.size();
  Arrays zero;
  for (const Array& v : y) zero.push_back(zeros_like_value(v));
  if (n == 0) return {y, zero};
  const Arrays lap = map(
      [&](std::span<const Array> e) {
        const Fn first = [&](std::span<const Array> v) {
          auto [value, d] = jvp(f, {v[0]}, {e[0]});
          Arrays out;
          for (size_t k = 0; k < value.size(); ++k) out.push_back(d[k] ? *d[k] : zeros_like_value(value[k]));
          return out;
        };
        auto [value, d] = jvp(first, {x}, {e[0]});
        Arrays out;
        for (size_t k = 0; k < value.size(); ++k) out.push_back(d[k] ? *d[k] : zeros_like_value(value[k]));
        return out;
      },
      n, {basis(x)}, {Access::each()}, [](size_t k) { return std::vector<Result>(k, Result::sum()); });
  return {y, lap};
}

// g(s) = f(x + s x1 + s^2/2 x2 + ...), differentiated k times in the scalar s at 0.
std::vector<Arrays> taylor(const Fn& f, const Arrays& primals, const std::vector<MaybeArrays>& series) {
  for (size_t k = 0; k < series.size(); ++k) {
    require(series[k].size() == primals.size(), "taylor: term ", k + 1, " has ", series[k].size(),
            " entries for ", primals.size(), " primals");
    for (size_t i = 0; i < primals.size(); ++i)
      if (series[k][i])
        require(series[k][i]->shape() == primals[i].shape(), "taylor: term ", k + 1, " of argument ", i,
                " has shape ", series[k][i]->shape(), ", expected ", primals[i].shape());
  }
  DType t = default_dtype();
  for (const Array& p : primals)
    if (is_inexact(p.dtype())) t = real_dtype(p.dtype());
  std::vector<std::vector<int>> orders;
  for (size_t k = 0; k <= series.size(); ++k) orders.emplace_back(k, 0);
  const Fn path = [&](std::span<const Array> s) {
    Arrays x = primals;
    for (size_t i = 0; i < x.size(); ++i) {
      Array power = s[0];
      double factorial = 1.0;
      for (size_t k = 0; k < series.size(); ++k) {
        factorial *= static_cast<double>(k + 1);
        if (series[k][i]) x[i] = add(x[i], multiply(*series[k][i], divide(power, Array(factorial))));
        if (k + 1 < series.size()) power = multiply(power, s[0]);
      }
    }
    return f(x);
  };
  return partials(path, {zeros({}, t)}, orders);
}

}  // namespace hesse
