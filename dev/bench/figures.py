"""What was measured, as a table and as JSON."""

import json
import os
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

    def met(self, ratio: float, service: float) -> bool:
        value = service if self.of_service else ratio
        return value <= self.value if self.at_most else value >= self.value

    def text(self, unit: str) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"{sign} {self.value:g} {unit}" if self.of_service else f"{sign} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """One row. `bare` and `service` are in `unit`; `aim` is None for what only explains another."""

    key: str
    what: str
    bare: float
    service: float
    unit: str
    aim: Aim | None
    limits: str
    details: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.service / self.bare

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.aim.met(self.ratio, self.service)


def as_json(figures: Sequence[Figure]) -> str:
    rows: list[dict[str, Any]] = []
    for figure in figures:
        row = asdict(figure) | {"ratio": figure.ratio, "met": figure.met}
        rows.append(row)
    return json.dumps({"cores": os.cpu_count(), "figures": rows}, indent=2, ensure_ascii=False)


def print_table(figures: Sequence[Figure], place: str) -> None:
    console = Console(width=max(100, Console().width), highlight=False)
    table = Table(title=f"{os.cpu_count()} cores · {place}", box=box.SIMPLE, title_justify="left")
    table.add_column("")
    table.add_column("what")
    for name in ("bare", "service", "ratio", "aim", "met"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        table.add_row(
            figure.key,
            figure.what,
            f"{figure.bare:.4g} {figure.unit}",
            f"{figure.service:.4g} {figure.unit}",
            f"{figure.ratio:.3g}",
            figure.aim.text(figure.unit) if figure.aim else "",
            {True: "yes", False: "no", None: ""}[figure.met],
        )
    console.print(table)
    console.print("What limits each", style="bold")
    for figure in figures:
        console.print(f"  {figure.key:3} {figure.limits}", soft_wrap=True)
