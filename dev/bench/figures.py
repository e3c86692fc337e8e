"""What was measured, as a table and as JSON."""

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Aim:
    """What a value should be. `of_service`: the service's own figure counts, not the ratio."""

    value: float
    at_most: bool
    of_service: bool = False

    def met(self, ratio: float | None, service: float) -> bool:
        value = service if self.of_service or ratio is None else ratio
        return value <= self.value if self.at_most else value >= self.value

    def text(self, unit: str) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"{sign} {self.value:g} {unit}" if self.of_service else f"{sign} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """One row. `bare` and `service` are in `unit`.

    `bare` is None where there is no bare work, `aim` for what only explains another figure.
    `ratios` are those of paired rounds: their median counts, and their spread is shown.
    """

    key: str
    what: str
    bare: float | None
    service: float
    unit: str
    aim: Aim | None
    limits: str
    details: dict[str, float] = field(default_factory=dict)
    ratios: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        if self.ratios:
            return statistics.median(self.ratios)
        return None if self.bare is None else self.service / self.bare

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.aim.met(self.ratio, self.service)

    @property
    def spread(self) -> str:
        """`1.24 (1.15 to 1.31)`: the median of the rounds, and the least and largest."""
        if self.ratio is None:
            return "-"
        if not self.ratios:
            return f"{self.ratio:.3g}"
        return f"{self.ratio:.3g} ({min(self.ratios):.3g} to {max(self.ratios):.3g})"


def as_json(figures: Sequence[Figure]) -> str:
    rows: list[dict[str, Any]] = []
    for figure in figures:
        row = asdict(figure) | {"ratio": figure.ratio, "met": figure.met}
        rows.append(row)
    return json.dumps({"cores": os.cpu_count(), "figures": rows}, indent=2, ensure_ascii=False)


def print_table(figures: Sequence[Figure], place: str) -> None:
    console = Console(width=max(110, Console().width), highlight=False)
    table = Table(title=f"{os.cpu_count()} cores · {place}", box=box.SIMPLE, title_justify="left")
    table.add_column("")
    table.add_column("what")
    for name in ("bare", "service", "ratio", "aim", "met"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        table.add_row(
            figure.key,
            figure.what,
            "-" if figure.bare is None else f"{figure.bare:.4g} {figure.unit}",
            f"{figure.service:.4g} {figure.unit}",
            figure.spread,
            figure.aim.text(figure.unit) if figure.aim else "",
            {True: "yes", False: "no", None: ""}[figure.met],
        )
    console.print(table)
    console.print("What limits each", style="bold")
    for figure in figures:
        console.print(f"  {figure.key:3} {figure.limits}", soft_wrap=True)
