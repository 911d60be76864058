"""How many functions of this package lie between a door and the arithmetic.

    python scripts/bench/call_chain.py [--source SRC]

A tiny training runs in this process; at every matrix product and convolution, the functions of the
package on the stack are counted. `--source SRC` is the folder `src` of another checkout.
"""

import argparse
import contextlib
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRAINING = (
    "experiment=quickstart trainer=cpu model.base_channels=4 recipe.epochs=1"
    " benchmark.synthetic.train_samples=24 benchmark.synthetic.val_samples=12"
)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Count the functions down to a product.")
    arguments.add_argument("--source", type=Path, default=Path(__file__).parents[2] / "src")
    source = arguments.parse_args().source.resolve()
    sys.path.insert(0, str(source))
    import torch
    import torch.nn.functional as F

    longest: dict[str, list[str]] = {}

    def counting(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*operands: Any, **settings: Any) -> Any:
            stack = traceback.extract_stack()
            ours = [one for one in stack if one.filename.startswith(str(source))]
            if len(ours) > len(longest.get(kind, [])):
                longest[kind] = [f"{Path(o.filename).relative_to(source)}: {o.name}" for o in ours]
            return function(*operands, **settings)

        return counted

    for module, name in ((F, "linear"), (F, "conv2d"), (torch, "conv2d"), (torch, "bmm")):
        setattr(module, name, counting(name, getattr(module, name)))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv = ["train", *TRAINING.split(), "hydra.run.dir=run"]
        with contextlib.suppress(SystemExit):
            runpy.run_module("stgcn_lightning.train", run_name="__main__", alter_sys=True)
        os.chdir("/")
    deepest = max(longest.values(), key=len)
    print(f"\n{len(deepest)} functions:", *deepest, sep="\n  ")


if __name__ == "__main__":
    main()
