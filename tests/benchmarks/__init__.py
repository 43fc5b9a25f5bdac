"""Timings of Hesse beside other libraries: ``./run bench`` (``./run bench --help`` lists the options).

`workloads` says what is timed, `data` makes the same numbers for every library, `hesse_cases` and ``peers`` do the
work, `worker` runs one of them in a process of its own, `driver` lets the processes take turns, `report` writes the
table.
"""
