"""The terminal: the console, and how paths, counts and values are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    console: Console


def __getattr__(name: str) -> Any:
    """`console`, made when it is first asked for: importing rich takes longer than `--help` may.

    File and sample names are printed as they are, not read as markup; rank 0 alone prints.
    """
    if name != "console":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from rich.console import Console

    from stgcn_lightning.ranks import global_rank

    made = Console(soft_wrap=True, markup=False, highlight=False, quiet=global_rank() > 0)
    globals()["console"] = made
    return made


def shown(path: Path) -> Path:
    """`path` as it is printed: relative to the working directory if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def counted(number: int, one: str, many: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{number} {one if number == 1 else many}"


def shown_value(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
