"""The command line of the demos."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence

from .. import _hesse
from . import burgers, inverse

__all__ = ["main"]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 0 to 2**63 - 1")
    return int(text)


def _noise(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on; 0.01 is one per cent")
    return value


def _add_common(parser: argparse.ArgumentParser, folder: str) -> None:
    parser.add_argument(
        "--out", default=folder, metavar="DIR", help="folder for the results (default: %(default)s)"
    )
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="weights and points (default: 0)")
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="threads to compute with (default: all cores)"
    )
    parser.add_argument("--adam", type=_positive, metavar="N", help="iterations of Adam")
    parser.add_argument("--lbfgs", type=_positive, metavar="N", help="iterations of L-BFGS after it")
    parser.add_argument(
        "--points", type=_positive, metavar="N", help="points where the equation is asked to hold"
    )
    parser.add_argument("--resume", action="store_true", help="go on where Ctrl-C stopped")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hesse.demo", description="Problems solved by physics-informed networks."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="PROBLEM")

    forward = commands.add_parser("burgers", help=burgers.TITLE, description=burgers.TITLE)
    _add_common(forward, "out/burgers")
    forward.add_argument(
        "--quick", action="store_true", help=f"well under a minute, to an error below {burgers.QUICK.bound:g}"
    )
    forward.add_argument(
        "--reference",
        metavar="FILE",
        help="compare with a stored solution (.h5 or .mat) instead of the exact one",
    )
    forward.add_argument(
        "--batch", type=_positive, metavar="N", help="points per iteration of Adam (default: all)"
    )
    forward.add_argument(
        "--resample", type=_positive, metavar="N", help="new points every N iterations (default: never)"
    )
    forward.set_defaults(run=burgers.run)

    backward = commands.add_parser("burgers-inverse", help=inverse.TITLE, description=inverse.TITLE)
    _add_common(backward, "out/burgers-inverse")
    backward.add_argument(
        "--noise",
        type=_noise,
        default=0.0,
        metavar="S",
        help="noise, in standard deviations of u (default: 0)",
    )
    backward.add_argument(
        "--samples", type=_positive, default=2000, metavar="N", help="measurements (default: 2000)"
    )
    backward.set_defaults(run=inverse.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a demo; returns the exit code: 0, 1 for an error above the bound, 2 for bad input, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    if options.threads is not None:
        _hesse.set_num_threads(options.threads)
    try:
        try:
            os.makedirs(options.out, exist_ok=True)
        except OSError as error:
            raise _hesse.FileError(
                f"--out {options.out}: no such folder can be made: {error.strerror}"
            ) from error
        return int(options.run(options))
    except (_hesse.Error, OSError, ImportError) as error:
        print(f"hesse.demo {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\nhesse.demo {options.command}: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
