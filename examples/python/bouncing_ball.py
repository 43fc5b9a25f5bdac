"""A bouncing ball: every bounce ends a solve, and the next one starts there with the velocity turned around.

The time of an event is differentiable, so that the whole flight is: which height and which restitution did a ball have that
was heard to bounce at these times? The fit is by Levenberg and Marquardt, through five solves and their events.
"""

import math

import hesse as hs

GRAVITY = 9.81
BOUNCES = 5

ground = hs.solvers.Event(lambda t, ball: ball["height"], terminal=True, direction=-1)


def flight(t, ball):
    return {"height": ball["velocity"], "velocity": -GRAVITY}


@hs.compile
def bounces(height, restitution):
    """The times of the first bounces."""

    def fall(carry, _):
        t, ball = carry
        sol = hs.solvers.solve_ivp(
            flight, (t, t + 100.0), ball, t_eval=[], events=ground, rtol=1e-9, atol=1e-12
        )
        after = {
            "height": sol.y_end["height"],
            "velocity": -restitution * sol.y_end["velocity"],
        }
        return (sol.t_end, after), sol.t_end

    start = {"height": height, "velocity": 0.0}
    return hs.scan(fall, (0.0, start), length=BOUNCES)[1]


def exact(height, restitution):
    """sqrt(2 h / g) (1 + 2 r + 2 r^2 + ...)"""
    first = math.sqrt(2 * height / GRAVITY)
    return [first * (1 + 2 * sum(restitution**i for i in range(1, k + 1))) for k in range(BOUNCES)]


times = bounces(2.0, 0.7)
off = max(abs(float(t) - e) for t, e in zip(times, exact(2.0, 0.7), strict=True))
print(f"bounces at {', '.join(f'{float(t):.3f}' for t in times)}, {off:.0e} off the exact times")

# The last bounce, later by so much for a higher and for a more elastic ball.
later = hs.grad(lambda height, restitution: bounces(height, restitution)[-1], argnums=(0, 1))(2.0, 0.7)
print(f"d t / d height = {float(later[0]):.6f}, d t / d restitution = {float(later[1]):.6f}")

heard = hs.array(exact(1.5, 0.8)) + 0.002 * hs.random.normal(hs.random.key(0), (BOUNCES,))


@hs.compile
def fit(height, restitution):
    found = hs.solvers.least_squares(lambda x: bounces(x[0], x[1]) - heard, hs.stack([height, restitution]))
    return found.x


height, restitution = (float(x) for x in fit(3.0, 0.5))
print(f"heard: a ball from {height:.3f} m with restitution {restitution:.4f} (in truth 1.5 and 0.8)")
if not (off < 1e-9 and abs(height - 1.5) < 0.05 and abs(restitution - 0.8) < 0.01):
    raise SystemExit("the bounces should be exact, and the ball be found from them")
