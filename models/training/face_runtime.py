"""Runs the nets of `face-demo` with ONNX Runtime as the firmware does: one thread, letterbox, suppression, five-point alignment."""
import tomllib
from pathlib import Path

import cv2
import numpy as np

from heads import align
from runtime import Timed, iou

PACK = Path(__file__).resolve().parents[1] / "packs" / "face-demo"


def tensor(image):
    return np.ascontiguousarray((image.astype(np.float32) / 255).transpose(2, 0, 1)[None])


class Detector:
    """Faces of a picture (uint8 RGB) as (box x0 y0 x1 y1, points 5 x 2, score) in its pixels, the surest first."""

    def __init__(self, path, size, pad, score, nms):
        self.run, self.size, self.pad, self.score, self.nms = Timed(path), size, pad, score, nms

    def __call__(self, image):
        (w, h), (high, wide) = self.size, image.shape[:2]
        scale = min(w / wide, h / high)
        inner = max(1, round(wide * scale)), max(1, round(high * scale))
        left, top = (w - inner[0]) // 2, (h - inner[1]) // 2
        boxed = np.full((h, w, 3), self.pad, np.float32)
        boxed[top:top + inner[1], left:left + inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        rows = self.run(tensor(boxed))[0][0]
        move, factor = np.array([left, top]), np.array([wide / inner[0], high / inner[1]])
        found = []
        for row in rows[np.argsort(-rows[:, 4])]:
            if row[4] < self.score:
                break
            if all(iou(row[:4], other[0]) < self.nms for other in found):
                found.append((row[:4], row[5:].reshape(5, 2), float(row[4])))
        back = lambda points: (points.reshape(-1, 2) - move) * factor
        return [(back(box).ravel(), back(points).astype(np.float32), score) for box, points, score in found]


class Embedder:
    """An aligned crop 112 x 112 → 128 numbers of unit length."""

    def __init__(self, path):
        self.run = Timed(path)

    def __call__(self, crop):
        vector = self.run(tensor(crop))[0][0]
        return vector / np.linalg.norm(vector)


class Expression:
    """An aligned crop → probabilities of the classes."""

    def __init__(self, path, side):
        self.run, self.side = Timed(path), side

    def __call__(self, crop):
        logits = self.run(tensor(cv2.resize(crop, (self.side, self.side), interpolation=cv2.INTER_AREA)))[0][0]
        shares = np.exp(logits - logits.max())
        return shares / shares.sum()


def ours(pack=PACK):
    """(detector, embedder, expression) as `pack.toml` describes them, and its tables by task."""
    tables = {model["task"]: model for model in tomllib.loads((pack / "pack.toml").read_text(encoding="utf-8"))["model"]}
    find, embed, express = (tables[task] for task in ("face-detect", "face-embed", "face-expression"))
    given = find["input"]
    detector = Detector(pack / find["file"], (given["width"], given["height"]), given["pad"], find["thresholds"]["score"], find["thresholds"]["nms_iou"])
    return detector, Embedder(pack / embed["file"]), Expression(pack / express["file"], express["input"]["width"]), tables


def read(image, detector, embedder, expression):
    """Every face of a picture: (box, points, score, vector, probabilities)."""
    found = []
    for box, points, score in detector(image):
        crop = align.aligned(image, points)
        found.append((box, points, score, embedder(crop), expression(crop)))
    return found
