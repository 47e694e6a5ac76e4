"""Prints ratios at the end of a run: times of one machine mean little, ratios within one run travel."""

from collections import defaultdict
from typing import Any


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    groups: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for bench in session.benchmarks:
        groups[bench.group or ""].append((bench.name, bench.stats.median, bench.extra_info.get("units_of_work", 1.0)))
    terminalreporter.section("ratios to physics_twin in this run (time per unit of work, medians)")
    for group, rows in groups.items():
        ours = next((median / work for name, median, work in rows if "physics_twin" in name), None)
        terminalreporter.write_line(group)
        for name, median, work in sorted(rows, key=lambda row: row[1] / row[2]):
            ratio = f"{median / work / ours:8.2f}" if ours else ""
            terminalreporter.write_line(f"  {ratio}  {median / work * 1e3:12.4f} ms  {name}")
