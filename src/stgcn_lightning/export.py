"""Give a checkpoint to other programs: ONNX, safetensors or MMAction2.

python -m stgcn_lightning.export --help
"""

from stgcn_lightning.jobs.exporting import export
from stgcn_lightning.launching.doors import open_door


def main() -> None:
    """Run the door."""
    open_door(export, "export")


if __name__ == "__main__":
    main()
