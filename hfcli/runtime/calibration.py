"""From score differences to probabilities: the two numbers of Platt's sigmoid."""

import numpy as np

_STEPS = 100


def fit(differences: np.ndarray, happened: np.ndarray) -> tuple[float, float]:
    """Scale and shift, so that sigmoid(scale * difference + shift) is how likely it happens.

    Newton's method on the likelihood of slightly softened targets, which keeps it finite where a difference tells the
    two cases apart.

    Args:
        differences: `(n,)`; infinite ones are taken for the largest finite one.
        happened: bool `(n,)`.

    Returns:
        The scale, above 0, and the shift; (1, 0) where larger differences do not make it likelier.

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999, with the step of Lin, Lin and Weng, A note
    on Platt's probabilistic outputs, 2007.
    """
    finite = differences[np.isfinite(differences)]
    if not len(finite) or happened.all() or not happened.any():
        return 1.0, 0.0
    x = np.clip(differences, finite.min(), finite.max()).astype(np.float64)
    centre, width = x.mean(), x.std() or 1.0
    z = np.stack([(x - centre) / width, np.ones_like(x)], axis=1)
    yes, no = int(happened.sum()), int((~happened).sum())
    target = np.where(happened, (yes + 1) / (yes + 2), 1 / (no + 2))
    found = np.array([0.0, np.log((yes + 1) / (no + 1))])
    loss = _loss(found, z, target)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-z @ found))
        gradient = z.T @ (p - target)
        hessian = (z * (p * (1 - p))[:, None]).T @ z + 1e-12 * np.eye(2)
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while size > 1e-10 and _loss(found - size * step, z, target) > loss:
            size /= 2
        before, found = loss, found - size * step
        loss = _loss(found, z, target)
        if before - loss < 1e-9:
            break
    scale = float(found[0] / width)
    return (scale, float(found[1] - scale * centre)) if scale > 0 else (1.0, 0.0)


def _loss(parameters: np.ndarray, z: np.ndarray, target: np.ndarray) -> float:
    x = z @ parameters
    return float((np.logaddexp(0, x) - target * x).sum())
