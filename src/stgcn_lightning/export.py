"""Give a checkpoint to other programs: ONNX, safetensors, MMAction2 or PYSKL.

python -m stgcn_lightning.export --help
"""

from functools import partial

from stgcn_lightning.launching.doors import open_door

main = partial(open_door, "export")

if __name__ == "__main__":
    main()
