"""Names that the configuration chooses from. Importing this file imports nothing."""

FOUR_STREAMS = ("joint", "bone", "joint_motion", "bone_motion")  # of every published model
K_STREAMS = ("k_bone", "k_bone_motion")
STREAMS = (*FOUR_STREAMS, *K_STREAMS)
MODES = ("2d", "3d", "3d_centred", "none")  # of normalisation
TEST_SAMPLINGS = ("mmaction2", "pyskl", "dgstgcn")  # whose laws the frames of a test follow
FRAME_ORDERS = ("ordered", "shuffled", "single")
MISSING = ("error", "zero", "interpolate")  # what becomes of joints that were not found
