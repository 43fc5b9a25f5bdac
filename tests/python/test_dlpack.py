"""The arguments of __dlpack__ and from_dlpack."""

import numpy as np
import pytest

import hesse as hs


@pytest.fixture
def x():
    return hs.array([[1.0, 2.0], [3.0, 4.0]])


def address(a):
    return np.asarray(a).__array_interface__["data"][0]


class Exporter:
    """Hands on an array's capsule, with chosen arguments of __dlpack__, and notes what it was asked."""

    def __init__(self, array, device=(1, 0), **options):
        self.array, self.device, self.options, self.asked = array, device, options, []

    def __dlpack__(self, **asked):
        self.asked.append(asked)
        return self.array.__dlpack__(**self.options)

    def __dlpack_device__(self):
        return self.device


@pytest.mark.parametrize("stream", [1, 2, -1, 0])
def test_a_stream_is_refused_in_main_memory(x, stream):
    with pytest.raises(BufferError, match="__dlpack__: stream must be None"):
        x.__dlpack__(stream=stream)
    assert "dltensor" in repr(x.__dlpack__(stream=None))


def test_dl_device(x):
    assert "dltensor" in repr(x.__dlpack__(dl_device=(1, 0)))
    assert "dltensor" in repr(x.__dlpack__(dl_device=x.__dlpack_device__()))
    with pytest.raises(BufferError, match="can only be exported there"):
        x.__dlpack__(dl_device=(2, 0))


def test_copy_on_the_way_out(x):
    for copy, same in ((None, True), (False, True), (True, False)):
        taken = hs.from_dlpack(Exporter(x, copy=copy))
        assert (address(taken) == address(x)) is same
        assert taken.tolist() == x.tolist()


def test_copy_on_the_way_in(x):
    data = np.arange(6.0).reshape(2, 3)
    for copy, same in ((None, True), (False, True), (True, False)):
        taken = hs.from_dlpack(data, copy=copy)
        assert (address(taken) == address(data)) is same
    copied = hs.from_dlpack(data, copy=True)
    data[0, 0] = 99.0
    assert copied.tolist()[0][0] == 0.0


def test_max_version_chooses_the_capsule(x):
    assert '"dltensor"' in repr(x.__dlpack__())
    assert '"dltensor"' in repr(x.__dlpack__(max_version=(0, 8)))
    assert '"dltensor_versioned"' in repr(x.__dlpack__(max_version=(1, 0)))
    assert '"dltensor_versioned"' in repr(x.__dlpack__(max_version=(2, 3)))
    for options in ({}, {"max_version": (1, 0)}):
        assert hs.from_dlpack(Exporter(x, **options)).tolist() == x.tolist()


def test_from_dlpack_asks_for_version_one(x):
    exporter = Exporter(x)
    hs.from_dlpack(exporter)
    assert exporter.asked[0]["max_version"] == (1, 0)


def test_from_dlpack_device(x):
    assert hs.from_dlpack(x, device="cpu").tolist() == x.tolist()
    with pytest.raises(ValueError, match="from_dlpack: unknown device"):
        hs.from_dlpack(x, device="cuda")
    with pytest.raises(ValueError, match="from_dlpack: the array is on a device of type 2"):
        hs.from_dlpack(Exporter(x, device=(2, 0)))


def test_memory_lives_as_long_as_the_borrower():
    taken = hs.from_dlpack(np.arange(1000.0) + 1.0)
    assert float(hs.sum(taken)) == 500500.0
    there = np.from_dlpack(hs.arange(1000.0) + 1.0)
    assert there.sum() == 500500.0
