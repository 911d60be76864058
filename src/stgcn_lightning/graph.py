"""Skeleton -> adjacency (K, V, V): which joints a joint receives from, in K subsets.

Axes: K neighbour subsets, V joints; `adjacency[k, v, w]` is what joint w receives from joint v.

Source: Yan et al., AAAI 2018 (arXiv:1801.07455) for the idea; the numbers are those of MMAction2
1.2.0, with which the published weights were trained, not the paper's.
"""

import numpy as np

from stgcn_lightning.errors import BadInput
from stgcn_lightning.skeleton import Skeleton

GRAPH_MODES = ("stgcn_spatial", "spatial", "binary_adj", "none")


def adjacency(skeleton: Skeleton, mode: str) -> np.ndarray:
    """The graph of a skeleton, in one of `GRAPH_MODES`.

    `stgcn_spatial` (K = 3): a joint receives from itself, from neighbours at least as far from the
    centre as the joint itself, and from nearer ones; all these weights together sum to one.
    `spatial` (K = 3): from itself, from its parent, from its children; each subset sums to one.
    `binary_adj` (K = 1): from parent and children, each with weight one.
    `none` (K = 0): from nobody; for families that start from no graph.

    Returns:
        (K, V, V) float64.

    Raises:
        BadInput: the mode is not one of `GRAPH_MODES`.

    Example:
        >>> leg = Skeleton("leg", ("hip", "knee", "foot"), ((1, 0), (2, 1)), 0, (0, 0, 1), (), None)
        >>> adjacency(leg, "binary_adj").astype(int).tolist()
        [[[0, 1, 0], [1, 0, 1], [0, 1, 0]]]
    """
    children, parents = np.array(skeleton.edges, dtype=int).reshape(-1, 2).T
    identity = np.eye(skeleton.num_joints)
    inward = np.zeros_like(identity)
    inward[parents, children] = 1
    outward = inward.T
    if mode == "stgcn_spatial":
        return _by_distance(_columns_to_one(identity + np.maximum(inward, outward)), skeleton)
    if mode == "spatial":
        return np.stack([identity, _columns_to_one(inward), _columns_to_one(outward)])
    if mode == "binary_adj":
        return (inward + outward)[None]
    if mode == "none":
        return identity[None][:0]
    raise BadInput(f"there is no graph mode `{mode}`: choose one of {', '.join(GRAPH_MODES)}.")


def _columns_to_one(weights: np.ndarray) -> np.ndarray:
    """Divide every column by its sum; columns of zeros stay."""
    sums = weights.sum(0)
    return weights / np.where(sums > 0, sums, 1)


def _by_distance(weights: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Split weights (V, V) by the sender: the joint itself, one at least as far out, a nearer one.

    The reference measures distances of one step only: beyond the centre's neighbours every joint is
    infinitely far, so that among these both directions of an edge fall into the second subset.

    Returns:
        (3, V, V).
    """
    centre = skeleton.graph_centre
    distance = np.where(weights[centre] > 0, 1, np.inf)
    distance[centre] = 0
    itself = np.eye(len(weights), dtype=bool)
    outer = (distance[:, None] >= distance[None, :]) & ~itself
    return np.stack([np.where(subset, weights, 0) for subset in (itself, outer, ~outer & ~itself)])
