"""How far two flows are apart."""

import numpy as np


def error(flow, other):
    """End-point errors in pixels."""
    return np.hypot(*np.moveaxis(np.asarray(flow, float) - other, -1, 0))
