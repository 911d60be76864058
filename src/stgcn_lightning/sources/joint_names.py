"""The joints of the skeletons that key-point files do not name, in the files' order.

They are those of ``conf/skeleton`` under the same names, which a test states; a file in which the
number of joints says enough needs no configuration to be read. Left and right are the person's own.
Sources: COCO, OpenPose's 02_output.md, Halpe Full-Body, COCO-WholeBody, MediaPipe's PoseLandmark.
"""

from collections.abc import Sequence

from stgcn_lightning.errors import BadInput

FACE = "nose left_eye right_eye left_ear right_ear"
COCO17 = (
    f"{FACE} left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip "
    "right_hip left_knee right_knee left_ankle right_ankle"
)
OPENPOSE18 = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear "
    "left_ear"
)
OPENPOSE25 = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear "
    "left_ear left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
)
HALPE26 = (
    f"{COCO17} head neck hip left_big_toe right_big_toe left_small_toe right_small_toe left_heel "
    "right_heel"
)
MEDIAPIPE33 = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer "
    "left_ear right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_pinky right_pinky left_index right_index left_thumb right_thumb "
    "left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel right_heel "
    "left_foot_index right_foot_index"
)
H36M17 = (
    "root right_hip right_knee right_foot left_hip left_knee left_foot spine thorax neck_base head "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
)
NTU25 = (
    "spine_base spine_mid neck head left_shoulder left_elbow left_wrist left_hand right_shoulder "
    "right_elbow right_wrist right_hand left_hip left_knee left_ankle left_foot right_hip "
    "right_knee right_ankle right_foot spine_shoulder left_hand_tip left_thumb right_hand_tip "
    "right_thumb"
)
HAND21 = "wrist thumb_cmc thumb_mcp thumb_ip thumb_tip " + " ".join(
    f"{finger}_mcp {finger}_pip {finger}_dip {finger}_tip"
    for finger in ("index_finger", "middle_finger", "ring_finger", "pinky")
)
FEET = "left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"
FACE68 = " ".join(f"face-{i}" for i in range(68))
HANDS = " ".join(  # of COCO-WholeBody and Halpe
    f"{side}_hand_root "
    + " ".join(
        f"{side}_{finger}{i}"
        for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
        for i in (1, 2, 3, 4)
    )
    for side in ("left", "right")
)

JOINTS: dict[str, tuple[str, ...]] = {
    name: tuple(joints.split())
    for name, joints in {
        "coco17": COCO17,
        "openpose18": OPENPOSE18,
        "openpose25": OPENPOSE25,
        "halpe26": HALPE26,
        "halpe136": f"{HALPE26} {FACE68} {HANDS}",
        "coco_wholebody133": f"{COCO17} {FEET} {FACE68} {HANDS}",
        "mediapipe33": MEDIAPIPE33,
        "h36m17": H36M17,
        "ntu25": NTU25,
        "hand21": HAND21,
    }.items()
}


def joints_of(
    V: int, usual: Sequence[str], given: str | None, about: str
) -> tuple[str | None, tuple[str, ...]]:
    """The skeleton of V joints that a file does not name, and the joints' names.

    Args:
        V: number of joints.
        usual: skeletons that the format has, of different numbers of joints.
        given: by the user, ``reading.skeleton``; it need not be one of `JOINTS`.
        about: the file, for the sentence of an error.

    Raises:
        BadInput: the format has no skeleton of V joints and the user names none, or names one of
            another number.
    """
    if given is not None:
        if len(names := JOINTS.get(given, ())) not in (0, V):
            raise BadInput(
                f"{about} has {V} key points a person but reading.skeleton={given} has "
                f"{len(names)}; name the skeleton of the file"
            )
        return given, names or numbered(V)
    for name in usual:
        if len(JOINTS[name]) == V:
            return name, JOINTS[name]
    known = ", ".join(f"{len(JOINTS[name])} ({name})" for name in usual)
    raise BadInput(
        f"{about} has {V} key points a person, where the format has {known}; set "
        "reading.skeleton=NAME if the joints are of another skeleton"
    )


def skeleton_of(joints: Sequence[str]) -> str | None:
    """The skeleton whose joints these are, in its order; None: of none that is known here."""
    plain = tuple(plain_name(joint) for joint in joints)
    return next((name for name, names in JOINTS.items() if names == plain), None)


def plain_name(joint: str) -> str:
    """A joint's name as skeletons write it: ``LEFT_SHOULDER`` and `left shoulder` are one."""
    return "_".join(joint.strip().lower().replace(".", " ").replace("_", " ").split())


def numbered(V: int) -> tuple[str, ...]:
    """Names of joints that nobody has named."""
    return tuple(map(str, range(V)))
