"""debug.print inside loops, branches and maps: what it prints and in which order."""

import pytest

import hesse as hs


def shown(capsys, f, *args):
    capsys.readouterr()
    f(*args)
    return capsys.readouterr().out.splitlines()


def printed(x, label=""):
    hs.debug.print(label + "{}", x)
    return x


@pytest.fixture(params=["eager", "compiled"])
def run(request):
    return hs.compile if request.param == "compiled" else lambda f: f


def test_scan(run, capsys):
    def body(carry, x):
        hs.debug.print("{} {}", carry, x)
        return carry + x, carry

    f = run(lambda xs: hs.scan(body, 0.0, xs))
    assert shown(capsys, f, hs.array([1.0, 2.0, 3.0])) == ["0.0 1.0", "1.0 2.0", "3.0 3.0"]


def test_while_loop(run, capsys):
    f = run(lambda x: hs.while_loop(lambda x: x < 10.0, lambda x: 2.0 * printed(x), x))
    assert shown(capsys, f, hs.array(1.0)) == ["1.0", "2.0", "4.0", "8.0"]


def test_loops_print_in_their_turn(run, capsys):
    def loop(x, label):
        return hs.while_loop(lambda c: c[1] < 2, lambda c: (2.0 * printed(c[0], label), c[1] + 1), (x, 0))[0]

    def f(x):
        late = printed(hs.sin(hs.cos(hs.sin(x))), "first ")
        y = loop(x, "a ")
        printed(x, "between ")
        return late + hs.scan(lambda c, _: (c + printed(c, "b "), None), y, length=2)[0]

    for g in (f, hs.grad(f)):
        lines = [line.split()[0] for line in shown(capsys, run(g), hs.array(1.0))]
        first_time = [k for i, k in enumerate(lines) if lines.index(k) == i]
        assert first_time == ["first", "a", "between", "b"], lines


def test_only_the_chosen_branch_prints(run, capsys):
    f = run(lambda x: hs.cond(x > 0.0, lambda x: printed(x, "yes "), lambda x: printed(x, "no "), x))
    assert shown(capsys, f, hs.array(2.0)) == ["yes 2.0"]
    assert shown(capsys, f, hs.array(-2.0)) == ["no -2.0"]


@pytest.mark.parametrize("n", [1, 3, 200])
def test_vmap_prints_once_per_example_in_order(run, capsys, n):
    f = run(hs.vmap(lambda x: 2.0 * printed(x)))
    assert shown(capsys, f, hs.arange(float(n))) == [f"{k}.0" for k in range(n)]


def test_loops_and_branches_inside_vmap(run, capsys):
    def steps(x):
        return hs.scan(lambda c, y: (c + printed(y, "c "), c), x, hs.array([1.0, 2.0]))[0]

    assert shown(capsys, run(hs.vmap(steps)), hs.array([10.0, 20.0])) == ["c 1.0", "c 2.0"] * 2
    branch = hs.vmap(lambda x: hs.cond(x > 0.0, lambda x: printed(x, "+"), lambda x: printed(x, "-"), x))
    assert shown(capsys, run(branch), hs.array([1.0, -2.0, 3.0])) == ["+1.0", "--2.0", "+3.0"]


def test_the_printed_value_is_not_differentiated(run, capsys):
    """Forward mode prints the value; the gradient is that of the function without the print."""
    f = run(hs.grad(lambda x: printed(x) * x))
    assert float(f(hs.array(3.0))) == 6.0
    assert set(capsys.readouterr().out.split()) == {"3.0"}
