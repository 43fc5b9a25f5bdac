"""Python threads that trace, differentiate and compile at once."""

import threading

import numpy as np

import hesse as hs


def at_once(*works):
    """Runs functions on threads of their own and raises what they raise."""
    failures = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(w,)) for w in works]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=60)
    assert not any(t.is_alive() for t in threads)
    if failures:
        raise failures[0]


def test_two_threads_inside_traces_at_once():
    """Each waits inside its trace until the other is in its own: the traces overlap for certain."""
    both = threading.Barrier(2, timeout=30)
    results = {}

    def work(name, factor):
        def body(x):
            both.wait()
            assert hs.in_trace()
            y = hs.sin(x) * factor
            both.wait()
            z = y + x
            both.wait()
            return z

        results[name] = hs.compile(body)(hs.array(0.5))

    at_once(lambda: work("a", 2.0), lambda: work("b", 3.0))
    assert not hs.in_trace()
    for name, factor in (("a", 2.0), ("b", 3.0)):
        np.testing.assert_allclose(float(results[name]), np.sin(0.5) * factor + 0.5, rtol=1e-15)


def test_two_threads_inside_derivatives_of_a_shared_array():
    both = threading.Barrier(2, timeout=30)
    shared = hs.array([1.0, 2.0, 3.0])
    results = {}

    def work(name, power):
        def f(x):
            both.wait()
            y = hs.sum(x**power * shared)
            both.wait()
            return y

        results[name] = hs.grad(f)(shared)

    at_once(lambda: work("a", 2), lambda: work("b", 3))
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(results["a"], 2 * x * x)
    np.testing.assert_allclose(results["b"], 3 * x**2 * x)


def test_a_trace_does_not_reach_another_thread():
    """While one thread records, operations on another run at once and give data."""
    recording, done = threading.Event(), threading.Event()

    def records():
        def body(x):
            recording.set()
            assert done.wait(30)
            return x + 1.0

        assert float(hs.compile(body)(1.0)) == 2.0

    def computes():
        try:
            assert recording.wait(30)
            assert not hs.in_trace()
            y = hs.array([1.0, 2.0]) * 2.0
            assert not y.is_symbol and y.tolist() == [2.0, 4.0]
        finally:
            done.set()

    at_once(records, computes)


def test_threads_share_a_compiled_function():
    f = hs.compile(lambda x: hs.sum(hs.vmap(lambda v: hs.sin(v) * v)(x)))
    wrong = []

    def work(n):
        for k in range(20):
            x = np.linspace(0.0, 1.0, n) + k
            if not np.isclose(float(f(hs.asarray(x))), np.sum(np.sin(x) * x), rtol=1e-12):
                wrong.append((n, k))

    at_once(*(lambda n=n: work(n) for n in (5, 5, 100, 1000, 1000)))
    assert not wrong
