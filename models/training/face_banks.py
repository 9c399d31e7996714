"""Batches for the training of `face-demo`, from the shards that `make_heads.py` wrote."""
from collections import deque
from pathlib import Path

import cv2
import numpy as np
import torch

from face_nets import EXPRESSION_SIDE
from heads import draw, scenes


def shards(bank, source, limit=None):
    """The shards of a source as dictionaries, in order."""
    paths = sorted(Path(bank).glob(f"{source}-???.npz"))[:limit]
    if not paths:
        raise SystemExit(f"no {source}-NNN.npz in `{bank}`; run make_heads.py first")
    return [dict(np.load(path)) for path in paths]


class Crops:
    """Aligned crops of all persons; `who` counts through all shards."""

    def __init__(self, bank, source="people", limit=None):
        parts = shards(bank, source, limit)
        step = max(int(part["who"].max()) + 1 for part in parts)
        self.images = np.concatenate([part["images"] for part in parts])
        self.who = np.concatenate([part["who"].astype(np.int64) + k * step for k, part in enumerate(parts)])
        self.persons = step * len(parts)
        for key in ("kind", "yaw", "mask", "dark"):
            setattr(self, key, np.concatenate([part[key] for part in parts]))
        self.grounds = [draw.background(np.random.default_rng([5, k]), self.images.shape[2:0:-1]) for k in range(200)]

    def picture(self, index, rng, hard=1.0):
        """A crop before a random ground, as camera and detector deliver it; 112 x 112 RGB."""
        return draw.finished(self.images[index], rng, self.grounds[rng.integers(len(self.grounds))], hard)

    def batch(self, indices, rng, side=None, loose=0.0):
        """N x 3 x side x side in 0..1; `loose`: as badly aligned as a coarse detector's points leave a face, as a share of its size."""
        images = [displaced(self.picture(i, rng), rng, loose) for i in indices]
        images = [image[:, ::-1] if rng.random() < 0.5 and side else image for image in images]
        return tensor([shrink(image, side) for image in images])


def displaced(image, rng, loose):
    """The crop turned, scaled and shifted a little at random."""
    if not loose:
        return image
    h, w = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), rng.normal(0, 60 * loose), np.exp(rng.normal(0, loose)))
    matrix[:, 2] += rng.normal(0, loose * w / 2, 2)
    return cv2.warpAffine(image, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def shrink(image, side=EXPRESSION_SIDE):
    return image if side is None else cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def tensor(images):
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))).float() / 255


class Heads:
    """Heads with shoulders for the detector's scenes."""

    def __init__(self, bank, limit=None):
        parts = shards(bank, "heads", limit)
        self.kept = deque(maxlen=1200)
        self.patches = [row for part in parts for row in zip(part["images"], part["points"], part["boxes"])]

    def batch(self, count, rng):
        """(N x 3 x 192 x 320, [faces of each]): a third is new, the rest was seen before, half of that mirrored."""
        for _ in range(count if len(self.kept) < 4 * count else (count + 2) // 3):
            self.kept.append(scenes.sample(rng, self.patches))
        fresh = (count + 2) // 3
        made = list(self.kept)[-fresh:] + [self.kept[rng.integers(len(self.kept))] for _ in range(count - fresh)]
        made = [mirrored(*one) if rng.random() < 0.5 else one for one in made]
        return tensor([image for image, _ in made]), [faces for _, faces in made]


def mirrored(image, faces):
    """A scene as in a mirror; left stays left in the picture."""
    wide = image.shape[1]
    turn = lambda box, points: (np.array([wide - box[2], box[1], wide - box[0], box[3]]), (points * (-1, 1) + (wide, 0))[[1, 0, 2, 4, 3]])
    return image[:, ::-1], [turn(*face) for face in faces]
