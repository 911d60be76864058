"""What a joint is, whatever a file calls it: `LeftShoulder`, `shoulder_left`, `LShoulder`, ...

`concepts` gives every joint one plain name, side first: `left_shoulder`. Words that mean the same
joint in every skeleton are exchanged for one (`SAME`). A word that means different joints to
different authors is read as its own naming means it: to animators `LeftShoulder` is the collar bone
and `LeftArm` the shoulder, and Human3.6M calls the ankle a foot (`ANIMATION`, `OF_SKELETON`).

Sources: MMPose's data set files, OpenPose's, MediaPipe's and SMPL's own lists; Autodesk's HumanIK
naming, which Mixamo, CMU's .bvh files and Human3.6M's 32 joints follow.
"""

import re
from collections.abc import Sequence

SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
# words that name one joint in every skeleton
SAME = {
    **dict.fromkeys(
        (
            *("hip", "hips", "mid_hip", "middle_hip", "hip_centre", "hip_center", "center_hip"),
            *("centre_hip", "spine_base", "root", "c_hip", "body_center", "body_centre"),
        ),
        "pelvis",
    ),
    **dict.fromkeys(
        ("spine_shoulder", "shoulder_centre", "shoulder_center", "thorax", "mid_shoulder"), "thorax"
    ),
    "neck_base": "neck",
    **dict.fromkeys(("spine_mid", "mid_spine", "spine_middle"), "spine"),
    "head_centre": "head",
}
# words of one side's joints
SAME_OF_A_SIDE = {
    "big_toe": "toe",
    "foot_index": "toe",  # MediaPipe's tip of the foot
    "toe_base": "toe",
    "bigtoe": "toe",
    "smalltoe": "small_toe",
    "clavicle": "collar",
}
# What animators call the joints of limbs: the word is that of the bone that begins there.
ANIMATION = {
    "shoulder": "collar",
    "arm": "shoulder",
    "upper_arm": "shoulder",
    "fore_arm": "elbow",
    "forearm": "elbow",
    "hand": "wrist",
    "up_leg": "hip",
    "upleg": "hip",
    "leg": "knee",
    "foot": "ankle",
    "toe_base": "toe",
}
# joints that a skeleton names differently from all others
OF_SKELETON = {"h36m17": {"left_foot": "left_ankle", "right_foot": "right_ankle"}}
_GLUED = (
    *("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot", "heel", "bigtoe"),
    *("smalltoe", "eye", "ear", "collar", "toe", "thumb", "pinky", "index"),
)


def plain(name: str) -> str:
    """Words of a name in small letters, joined by `_`, the side first.

    Example:
        >>> plain("LeftShoulder"), plain("shoulder_left"), plain("RBigToe"), plain("lknee")
        ('left_shoulder', 'left_shoulder', 'right_big_toe', 'left_knee')
        >>> plain("mixamorig:LeftUpLeg"), plain("NOSE"), plain("Shoulder.L")
        ('left_up_leg', 'nose', 'left_shoulder')
    """
    name = name.rsplit(":", 1)[-1].strip()
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name.lower()) if word]
    if len(words) == 1:
        words = _apart(words[0])
    side = next((SIDES[word] for word in words if word in SIDES), None)
    rest = [word for word in words if word not in SIDES]
    return "_".join([side, *rest] if side else rest)


def _apart(word: str) -> list[str]:
    """`lknee`, `leftknee` and `kneeleft` as two words."""
    for part in _GLUED:
        for side in SIDES:
            if word in (side + part, part + side):
                return [side, part]
    return [word]


def concepts(joints: Sequence[str], skeleton: str | None = None) -> tuple[str, ...]:
    """One name for every joint, the same for the same joint in all skeletons.

    Args:
        joints: names, as a file or a skeleton has them.
        skeleton: the skeleton they are of, if that is known.

    Example:
        >>> concepts(["RHip", "MidHip", "LBigToe"])
        ('right_hip', 'pelvis', 'left_toe')
        >>> concepts(["Hips", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"])
        ('pelvis', 'left_collar', 'left_shoulder', 'left_elbow', 'left_wrist')
    """
    found = [plain(name) for name in joints]
    own = OF_SKELETON.get(skeleton or "", {})
    animated = any({f"left_{bone}", f"right_{bone}"} <= set(found) for bone in ("arm", "up_leg"))

    def concept(name: str) -> str:
        side, _, part = name.partition("_")
        if side not in ("left", "right"):
            return SAME.get(name, name)
        if name in own:
            return own[name]
        if animated and part in ANIMATION:
            return f"{side}_{ANIMATION[part]}"
        return f"{side}_{SAME_OF_A_SIDE.get(part, part)}"

    return tuple(concept(name) for name in found)
