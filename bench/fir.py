# SPDX-License-Identifier: MIT
"""Show how much of the core's multiply-add peak the FIR kernel reaches.

221 taps over 10 s of stereo sound at 48 kHz, in blocks of 32 to 512 frames.  *kernel* is the
compiled plugin called block by block through its C entry, *chain* the same inside a chain.  The
peak is that of a loop that does nothing but multiply and add in registers, measured in the same
run.  Pedalboard convolves with the same block size; scipy's lfilter is called once for each block
and its oaconvolve once for the whole signal.  Medians of interleaved repetitions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.signal
from _blocks import player
from _common import arguments, interleave, table, write_json
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from rtcore import Chain
from rtcore.dsp.vector import INDEX, multiply_add, spread
from rtcore.plugins import FIR

try:
    import pedalboard
except ImportError:
    pedalboard = None

TAPS = 221
RATE_HZ = 48000
FRAMES = 938 * 512  # 10 s, in whole blocks of any of the sizes
CHANNELS = 2
BLOCKS = (32, 64, 128, 512)
FLOPS = 2 * TAPS * FRAMES * CHANNELS

NO_BOARD = ("float32 only", "not installed")

PEAK_WIDTHS = (16, 32, 64)  # bytes; the best counts
PEAK_CHAINS = 12  # independent sums, more than a core has multiply-adds under way
PEAK_ROUNDS = 200_000


def _peak_loop(vector_bytes: int) -> Any:
    """Compile a loop of multiply-adds on vectors of a width."""

    @intrinsic
    def loop(typing_context: Any, rounds: Any, out: Any) -> Any:
        del typing_context, rounds

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            number = context.get_value_type(out.dtype)
            vector = ir.VectorType(number, vector_bytes * 8 // out.dtype.bitwidth)
            place = context.make_array(sig.args[1])(context, builder, args[1]).data
            factor = spread(builder, builder.load(place), vector)
            zero = ir.Constant(vector, None)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(PEAK_CHAINS)]
            with cgutils.for_range(builder, args[0]):
                for total in sums:
                    value = multiply_add(context, builder, builder.load(total), factor, factor)
                    builder.store(value, total)
            result = zero
            for total in sums:
                result = builder.fadd(result, builder.load(total))
            builder.store(builder.extract_element(result, ir.Constant(INDEX, 0)), place)
            return context.get_dummy_value()

        return types.void(types.int64, out), codegen

    @njit(nogil=True)
    def run(rounds: int, out: np.ndarray) -> None:
        loop(rounds, out)

    return run


def peaks(dtype: str) -> dict[str, Callable[[], None]]:
    """Make the functions whose fastest is the peak."""
    functions: dict[str, Callable[[], None]] = {}
    for width in PEAK_WIDTHS:
        compiled, factor = _peak_loop(width), np.full(1, 0.5, dtype)
        functions[f"peak {width}"] = lambda run=compiled, out=factor: run(PEAK_ROUNDS, out)
    return functions


def ours(x: np.ndarray, taps: np.ndarray, block: int) -> dict[str, Callable[[], Any]]:
    """Make the kernel alone, and a chain with it."""
    chain = Chain(
        [FIR(taps=taps)], sample_rate=RATE_HZ, channels=CHANNELS, dtype=x.dtype, max_frames=block
    )
    return {f"kernel {block}": player(chain, x), f"chain {block}": lambda: chain.process(x)}


def pedalboards(x: np.ndarray, taps: np.ndarray, block: int) -> Callable[[], Any]:
    """Make pedalboard's convolution, looping over blocks in its own C++."""
    plugin = pedalboard.Convolution(taps.astype(np.float32), mix=1.0, sample_rate=RATE_HZ)
    return lambda: plugin.process(x, RATE_HZ, buffer_size=block, reset=False)


def lfilters(x: np.ndarray, taps: np.ndarray, block: int) -> Callable[[], Any]:
    """Make scipy's direct filter, called for each block with its state."""
    one = np.ones(1, x.dtype)

    def run() -> None:
        state = np.zeros((CHANNELS, TAPS - 1), x.dtype)
        for start in range(0, FRAMES, block):
            _, state = scipy.signal.lfilter(taps, one, x[:, start : start + block], zi=state)

    return run


def measure(dtype: str, repeats: int) -> list[dict[str, Any]]:
    """Time everything for one real type; give a row for each block size."""
    random = np.random.default_rng(1)
    x = random.normal(0.0, 0.1, (CHANNELS, FRAMES)).astype(dtype)
    taps = (random.normal(size=TAPS) * np.hanning(TAPS)).astype(dtype)
    functions = peaks(dtype)
    functions["oaconvolve"] = lambda: scipy.signal.oaconvolve(x, taps[np.newaxis], axes=1)
    for block in BLOCKS:
        functions |= ours(x, taps, block)
        if pedalboard is not None and dtype == "float32":
            functions[f"pedalboard {block}"] = pedalboards(x, taps, block)
        functions[f"lfilter {block}"] = lfilters(x, taps, block)
    seconds = interleave(functions, repeats)
    return [_row(dtype, block, seconds) for block in BLOCKS]


def _peak_gflops(dtype: str, seconds: dict[str, float]) -> float:
    lanes = {width: width // np.dtype(dtype).itemsize for width in PEAK_WIDTHS}
    per_lane = 2 * PEAK_CHAINS * PEAK_ROUNDS
    return max(n * per_lane / seconds[f"peak {width}"] for width, n in lanes.items()) / 1e9


def _row(dtype: str, block: int, seconds: dict[str, float]) -> dict[str, Any]:
    kernel, chain = seconds[f"kernel {block}"], seconds[f"chain {block}"]
    peak = _peak_gflops(dtype, seconds)
    board = seconds.get(f"pedalboard {block}")
    return {
        "dtype": dtype,
        "block": block,
        "kernel GFLOP/s": FLOPS / kernel / 1e9,
        "peak GFLOP/s": peak,
        "% of peak": 100 * FLOPS / kernel / 1e9 / peak,
        "chain GFLOP/s": FLOPS / chain / 1e9,
        "pedalboard / chain": board / chain if board else NO_BOARD[pedalboard is None],
        "lfilter / chain": seconds[f"lfilter {block}"] / chain,
        "oaconvolve / chain": seconds["oaconvolve"] / chain,
    }


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__, repeats=15)
    rows = [row for dtype in ("float32", "float64") for row in measure(dtype, options.repeats)]
    table(rows, f"FIR, {TAPS} taps, {CHANNELS} channels (x / chain: times our time that x takes)")
    write_json(options.json, {"shows": (__doc__ or "").splitlines()[0], "rows": rows})


if __name__ == "__main__":
    main()
