"""Names that the configuration chooses from. Importing this file imports nothing."""

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
MODES = ("2d", "3d", "none")  # of normalisation
FRAME_ORDERS = ("ordered", "shuffled", "single")
MISSING = ("error", "zero", "interpolate")  # what becomes of joints that were not found
