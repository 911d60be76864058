"""From which share on data are called implausible, each bound with its reason.

The embedded data, J-HMDB and MSR Action3D stay well below every bound. Importing this file imports
nothing.
"""

# Pictures
SCALED = 2.0  # pixels: a body within two pixels of the corner is none; [-1, 1] with room to spare
SCALED_WRONG = 0.5  # of the samples: as many cannot be odd ones among pixels
SMALLEST_PICTURE = 20.0  # pixels: in a smaller one, the bound above says nothing
BORDER = 0.05  # of a side: estimators put joints of bodies that the border cuts a little beyond it
OUTSIDE = 0.05  # of the key points: what the border cuts in ordinary recordings is less
OUTSIDE_WRONG = 0.5  # of the key points: more than the picture holds cannot have been found in it
EXCHANGED = 0.02  # of the key points: less suffices where exchanging the sides puts them inside
CURED = 0.1  # of those outside: what may stay outside when the sides are exchanged
REACH = 0.25  # of both sides: bodies come farther in some sample of every set
MIXED = 0.01  # of the samples: fewer are single faults, not a kind of sample

# Streams
FARTHEST = 1e6  # pixels, metres: float32 sums of a network keep what else is there beside that

# Scores
SCORE_MOST = 1.5  # heat maps peak slightly above 1; visibility flags reach 2, percentages 100
SCORE_LEAST = -0.2  # heat maps go slightly below 0
SCORES_ODD = 0.001  # of the scores

# Frames
REPEATED = 0.3  # of the steps: slowed down footage has half; by hand, J-HMDB has 15 % alike
FROZEN = 0.05  # of the samples: a body that is still is measured with noise
EMPTY = 0.2  # of the frames of 2D samples: detectors lose people for less
LONGEST = 100_000  # frames: about an hour
STILL_PERSONS = 8  # persons in every sample of one frame: a recording's frames taken for persons

# Joints
MISSING = 0.02  # of the joints of present persons
BODIES = 2000  # samples whose middle frame is looked at
BODIES_LEAST = 8  # fewer bodies say nothing of a skeleton
LARGEST_BODY = 20.0  # metres
CONFIDENCE_BESIDE = 10.0  # x and y beyond this while z stays in [0, 1]: pixels with a confidence
ASSEMBLED = 0.5  # shortest tree of a body's joints over the mean distance: above, it is no body
MISPLACED = 0.8  # edges of another skeleton are about 1; those of the right one 0.33 to 0.44

# Labels and splits
LABELS_FROM_ONE = 0.8  # of the labels 1 to `classes` occur
SUBJECTS_SHARED = 0.3  # of the samples validated on: more is a protocol that is not by subject
