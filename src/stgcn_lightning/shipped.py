"""What the package ships besides code: the configuration, and the skeletons in it."""

from pathlib import Path

from stgcn_lightning.errors import BadInput, nearest
from stgcn_lightning.skeleton import Skeleton

PACKAGE = Path(__file__).parent
# the wheel carries conf/ inside the package, a checkout has it at its top
CONF = PACKAGE / "conf" if (PACKAGE / "conf").exists() else PACKAGE.parents[1] / "conf"


def skeleton_named(name: str) -> Skeleton:
    """A skeleton of conf/skeleton.

    Raises:
        BadInput: there is none of this name.

    Example:
        >>> skeleton_named("coco17").num_joints
        17
    """
    import yaml

    known = sorted(file.stem for file in (CONF / "skeleton").glob("*.yaml"))
    if name not in known:
        raise BadInput(f"there is no skeleton {name}: {nearest(name, known)}")
    return Skeleton.from_dict(yaml.safe_load((CONF / "skeleton" / f"{name}.yaml").read_text()))
