"""Run one case with its traceback, or list the wrong ones by what is wrong."""

import collections
import re
import sys
import time
import warnings

import torch

from .judge import find_case, pair_cases, run, single_cases
from .targets import TARGETS


def chosen(pattern: str, n_pairs: int) -> list:
    """Return the cases of the targets whose names a pattern matches."""
    return [
        case
        for name, target in TARGETS.items()
        if re.match(pattern, name)
        for case in single_cases(target) + pair_cases(target, n_pairs)
    ]


def report(pattern: str, n_pairs: int) -> None:
    """Print the wrong cases, grouped by what is wrong, where, and with what."""
    begun, wrong = time.perf_counter(), collections.defaultdict(list)
    cases = chosen(pattern, n_pairs)
    for case in cases:
        fault = run(case)
        if fault is not None:
            key = (fault.kind, fault.place, ", ".join(case.bad))
            wrong[key].append((case, fault))
    seconds = time.perf_counter() - begun
    n_wrong = sum(map(len, wrong.values()))
    print(f"{n_wrong} of {len(cases)} cases are wrong; {seconds:.0f} s.")
    for key in sorted(wrong, key=lambda key: (key[2], key[1], key[0])):
        show(key, wrong[key])


def show(key: tuple[str, str, str], faults: list) -> None:
    """Print one group."""
    kind, place, names = key
    case, fault = faults[0]
    values = dict.fromkeys(value for case, _ in faults for value in case.bad.values())
    targets = dict.fromkeys(case.target.name for case, _ in faults)
    print(f"\n[{names}] {kind} in {place or 'the result'}, {len(faults)} cases")
    print(f"    {case}: {fault.text}")
    print(f"    values: {' '.join(values)}")
    print(f"    targets: {' '.join(targets)}")


warnings.simplefilter("ignore")
torch.set_num_threads(1)
argument = sys.argv[1] if len(sys.argv) > 1 else ""
if "=" in argument:
    print(run(find_case(argument), reraise=True) or "right")
else:
    report(argument, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
