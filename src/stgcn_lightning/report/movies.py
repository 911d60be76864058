"""Moving skeletons, as report.js reads them."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOVIE_FRAMES = 300  # longer samples show every second, third, ... frame
UNSEEN = -32768  # stands for a joint that was not seen; report.js has the same number


def movie_data(frames: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """(M, T, V, 2 or 3) as JSON values: integers of two bytes, little-endian, in base64.

    Joints that were not seen are NaN. The integers are centred on the body and scaled to 32,000;
    `shape` is that of the integers, `every` how many frames of `frames` one of them stands for.
    """
    every = -(-frames.shape[1] // MOVIE_FRAMES)
    frames = frames[:, ::every].astype(np.float64)
    seen = frames[np.isfinite(frames).all(-1)]
    middle = np.quantile(seen, (0.01, 0.99), axis=0).mean(0) if len(seen) else 0  # without outliers
    reach = max(float(np.abs(seen - middle).max(initial=0)), 1e-6)
    scaled = np.round((frames - middle) / reach * 32000)
    integers = np.where(np.isfinite(scaled).all(-1, keepdims=True), scaled, UNSEEN).astype("<i2")
    text = base64.b64encode(integers.tobytes()).decode()
    return {"shape": frames.shape, "every": every, "points": text}
