"""The usual alignment: the similarity that brings five points nearest to the template of 112 x 112 pixels."""
import cv2
import numpy as np

SIZE = 112
#: Eyes, nose, corners of the mouth; as published with ArcFace (insightface).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32)


def similarity(points, target=TEMPLATE):
    """2 x 3 matrix of the least-squares turn, scale and shift of `points` onto `target` (no mirroring)."""
    p, q = np.asarray(points, np.float64), np.asarray(target, np.float64)
    pm, qm = p.mean(0), q.mean(0)
    a, b = p - pm, q - qm
    spread = (a * a).sum()
    cos, sin = (a * b).sum() / spread, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, qm - turn @ pm])


def aligned(image, points, size=SIZE):
    """The aligned crop of a picture, `size` x `size`."""
    return cv2.warpAffine(image, similarity(points) * (size / SIZE), (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
