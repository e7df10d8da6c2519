"""`measure_ratios` and `compare`: times relative to a fixed reference, and which of them moved.

A ratio is the time of a benchmark divided by the time of its reference in the same round. A slow
processor or a busy machine slows down both, so that ratios of two runs can be compared where
seconds cannot. Each is taken of the processor time, which other programs disturb least, and of the
wall clock, which alone shows work that waits or has lost its threads.
"""

import statistics

CLOCKS = ("processor", "wall")
RULE = (
    "A benchmark has moved if each of the two medians lies outside the range, smallest to largest "
    "round, of the other"
)


def measure_ratios(program, reference, *, rounds):
    """Ratios of two functions that return (processor, wall) seconds, taken in turn.

    Args:
        program: Function without arguments that runs the benchmark once and returns its seconds.
        reference: The same for the reference, which runs before and after each `program`.
        rounds: Number of ratios.

    Returns:
        {"processor": {"ratios": [ratio], "seconds": median of the program, "reference_seconds":
        median of the reference}, "wall": the same}. Both run once before, which is not counted.
    """
    program()
    reference()
    references, times = [reference()], []
    for _ in range(rounds):
        times.append(program())
        references.append(reference())
    results = {}
    for index, clock in enumerate(CLOCKS):
        seconds = [pair[index] for pair in times]
        others = [pair[index] for pair in references]
        results[clock] = {
            "ratios": [
                2 * second / (before + after)
                for second, before, after in zip(seconds, others[:-1], others[1:], strict=True)
            ],
            "seconds": statistics.median(seconds),
            "reference_seconds": statistics.median(others),
        }
    return results


def has_moved(before, after):
    """Whether two lists of ratios differ by more than their noise, by `RULE`."""
    first, second = statistics.median(before), statistics.median(after)
    return not min(after) <= first <= max(after) and not min(before) <= second <= max(before)


def compare(record, results):
    """Rows of a table of two runs, two for each benchmark.

    Args:
        record: {benchmark: {"reference": text, "processor": {"ratios": [number]}, "wall": the
            same}} of the last record; it may be empty.
        results: The same of this run.

    Returns:
        A list of {"benchmark", "time", "ratio", "range", "record", "its range", "change",
        "result"}. The result is "slower", "faster", "within the noise", "no record", "another
        reference" or "did not run".
    """
    rows = []
    for name in [*results, *(name for name in record if name not in results)]:
        before, after = record.get(name), results.get(name)
        for clock in CLOCKS:
            row = {"benchmark": name, "time": clock}
            row["ratio"], row["range"] = cells(after and after[clock]["ratios"])
            row["record"], row["its range"] = cells(before and before[clock]["ratios"])
            row["change"], row["result"] = _result(before, after, clock)
            rows.append(row)
    return rows


def cells(ratios):
    """(median, range) of ratios as texts."""
    if ratios is None:
        return "–", "–"
    return f"{statistics.median(ratios):.3g}", f"{min(ratios):.3g} to {max(ratios):.3g}"


def _result(before, after, clock):
    """(change of the median, result) as texts."""
    if after is None:
        return "–", "did not run"
    if before is None:
        return "–", "no record"
    if before["reference"] != after["reference"]:
        return "–", "another reference"
    old, new = before[clock]["ratios"], after[clock]["ratios"]
    change = statistics.median(new) / statistics.median(old) - 1
    if not has_moved(old, new):
        return f"{change:+.0%}", "within the noise"
    return f"{change:+.0%}", "slower" if change > 0 else "faster"
