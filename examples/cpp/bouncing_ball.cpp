// A bouncing ball: every bounce ends a solve, and the next one starts there with the velocity turned around.
//
// The time of an event is differentiable, so that the whole flight is: which height and which restitution
// did a ball have that was heard to bounce at these times? The fit is by Levenberg and Marquardt, through
// five solves and their events.
#include <hesse/hesse.h>

#include <cmath>
#include <cstdio>

namespace hs = hesse;
using hs::Array;
using hs::Arrays;

constexpr double kGravity = 9.81;
constexpr int64_t kBounces = 5;

struct Ball {
  Array height, velocity;
  auto fields() { return hs::fields("height", height, "velocity", velocity); }
};

Ball flight(const Array&, const Ball& ball) { return {ball.velocity, -kGravity}; }
Array height_of(const Array&, const Ball& ball) { return ball.height; }

// The times of the first bounces.
Array bounces(const Array& height, const Array& restitution) {
  const auto fall = [&](std::span<const Array> x) {
    const Ball ball{x[1], x[2]};
    const auto sol = hs::solvers::solve_ivp(
        flight, x[0], x[0] + 100.0, ball,
        {.t_eval = hs::zeros({0}, hs::kFloat64),
         .rtol = 1e-9,
         .atol = {1e-12},
         .events = {hs::solvers::event(ball, height_of, /*terminal=*/1, /*direction=*/-1)}});
    const Array& t = sol.flat.t_end;
    return Arrays{t, sol.y_end->height, -restitution * sol.y_end->velocity, t};
  };
  const Array zero = hs::zeros({}, hs::kFloat64);
  return hs::scan(fall, {zero, height + zero, zero}, {}, kBounces)[3];
}

// sqrt(2 h / g) (1 + 2 r + 2 r^2 + ...)
Array exact(double height, double restitution) {
  std::vector<double> times;
  double sum = 1, power = 1;
  for (int64_t k = 0; k < kBounces; ++k) {
    times.push_back(std::sqrt(2 * height / kGravity) * sum);
    sum += 2 * (power *= restitution);
  }
  return Array::from<double>(std::span<const double>(times), {kBounces});
}

int main() {
  const double off = hs::max(hs::abs(bounces(2.0, 0.7) - exact(2.0, 0.7))).item<double>();
  std::printf("the bounces are %.0e off the exact times\n", off);

  // The last bounce, later by so much for a higher and for a more elastic ball.
  const auto last = [](const Array& height, const Array& restitution) {
    return hs::getitem(bounces(height, restitution), {-1});
  };
  const auto [later, more] = hs::compile(hs::grad<0, 1>(last))(2.0, 0.7);
  std::printf("d t / d height = %.6f, d t / d restitution = %.6f\n", later.item<double>(),
              more.item<double>());

  const Array heard = exact(1.5, 0.8) + 0.002 * hs::random::normal(hs::random::key(0), {kBounces});
  const auto fit = hs::compile([&](const Array& start) {
    const hs::Fn residual = [&](std::span<const Array> x) {
      return Arrays{bounces(hs::getitem(x[0], {0}), hs::getitem(x[0], {1})) - heard};
    };
    return hs::solvers::least_squares(residual, {start}, {}).x[0];
  });
  const Array found = fit(Array::from<double>({3.0, 0.5}));
  const double height = hs::getitem(found, {0}).item<double>();
  const double restitution = hs::getitem(found, {1}).item<double>();
  std::printf("heard: a ball from %.3f m with restitution %.4f (in truth 1.5 and 0.8)\n", height,
              restitution);
  if (off < 1e-9 && std::abs(height - 1.5) < 0.05 && std::abs(restitution - 0.8) < 0.01) return 0;
  std::fprintf(stderr, "the bounces should be exact, and the ball be found from them\n");
  return 1;
}
