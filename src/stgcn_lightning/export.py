"""Give a checkpoint to other programs: ONNX, safetensors or MMAction2.

python -m stgcn_lightning.export --help
"""

from stgcn_lightning.launching.doors import open_door

if __name__ == "__main__":
    open_door("export")
