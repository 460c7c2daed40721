"""Measure several contestants fairly: interleaved rounds, and what their samples say.

A machine gets slower and faster while it is measured. Every round therefore runs every
contestant once, and a contestant is only ever compared with a sample of its own round. Every
second round goes backwards, so that nobody always follows the same one.
"""

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """How much one run of a benchmark does: rounds, and tests or requests in each."""

    rounds: int
    size: int


@dataclass(frozen=True)
class Spread:
    """What the rounds said, in three numbers."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = sorted(values)
        return cls(statistics.median(values), values[0], values[-1])

    def scaled(self, factor: float) -> "Spread":
        return Spread(self.median * factor, self.low * factor, self.high * factor)


def measure_interleaved(
    contestants: Mapping[str, Callable[[], float]], *, rounds: int, is_warm: bool = False
) -> Samples:
    """Run `A B C C B A A B C …` and return each contestant's samples, one per round."""
    if not is_warm:
        show_progress(f"warming up {len(contestants)} contestants")
        for measure in contestants.values():
            measure()  # Fills caches: byte code, the file system, the libraries' own.
    samples: Samples = {name: [] for name in contestants}
    forwards = list(contestants)
    for number in range(1, rounds + 1):
        show_progress(f"round {number} of {rounds}")
        for name in forwards if number % 2 else reversed(forwards):
            samples[name].append(contestants[name]())
    show_progress("")
    return samples


def show_progress(text: str) -> None:
    """Say on stderr what happens now, on one line that overwrites itself."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def differences(values: Iterable[float], baseline: Iterable[float]) -> list[float]:
    """Subtract the baseline's sample of the same round from every sample."""
    return [mine - other for mine, other in zip(values, baseline, strict=True)]


def ratios(values: Iterable[float], baseline: Iterable[float]) -> list[float]:
    """Divide every sample by the baseline's sample of the same round."""
    return [mine / other for mine, other in zip(values, baseline, strict=True)]
