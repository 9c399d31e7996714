"""Crops of what a detector takes for a plate and is none: the reader has to learn to call them unreadable.

And the corners that a refiner finds in ready-made crops, so that the reader is trained on the same cut of them that it is given later.
"""
import cv2
import numpy as np
import torch

import detector_net
import refiner_net
import schedule
from . import crops, degrade, pose

#: Lowest score of what is taken for a mistake, and how much of a true plate it may touch.
SCORE, TOUCH = 0.08, 0.02


def tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


class Finder:
    """Corners of the plate in a tight crop, by a trained refiner."""

    def __init__(self, run):
        torch.set_num_threads(1)
        self.net, _ = schedule.averaged(run / "refiner.pt", refiner_net.Refiner())

    def __call__(self, image):
        h, w = image.shape[:2]
        with torch.no_grad():
            corners, _ = self.net(tensor(cv2.resize(image, refiner_net.SIZE, interpolation=cv2.INTER_LINEAR)))
        return (corners[0].numpy() * [w, h]).astype(np.float32)


def touches(quad, plates):
    """Whether the quad's upright box shares more than a trace with the box of a true plate."""
    low, high = quad.min(0), quad.max(0)
    for plate in plates:
        inner = np.minimum(high, plate.max(0)) - np.maximum(low, plate.min(0))
        if (inner > 0).all() and inner.prod() > TOUCH * (high - low).prod():
            return True
    return False


class Mistakes:
    """Lines cut, as the reader is given them, where a trained detector was wrong in the scenes of a bank."""

    def __init__(self, bank, detector, refiner, side=384):
        torch.set_num_threads(1)
        found, _ = schedule.averaged(detector / "detector.pt", detector_net.Detector())
        refined, _ = schedule.averaged(refiner / "refiner.pt", refiner_net.Refiner())
        find, cut = detector_net.Exported(found, keep=12).eval(), refiner_net.Cutter(refined).eval()
        self.items = []
        for path in sorted(bank.glob("scenes-???.npz")):
            loaded = np.load(path)
            images, quads, rows = (loaded[k] for k in ("images", "quads", "rows"))
            for image, quad, count in zip(images, quads, rows):
                self.items += self.found(image, quad[count > 0], find, cut, side)
        if not self.items:
            raise SystemExit(f"the detector makes no mistake in {bank}, or it holds no scenes")

    def found(self, image, plates, find, cut, side):
        scale = side / image.shape[0]
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        lines = []
        with torch.no_grad():
            for row in find(tensor(small))[0].numpy():
                quad = row[5:13].reshape(4, 2) / scale
                if row[4] < SCORE or touches(quad, plates):
                    continue
                grown = pose.grow(quad.astype(np.float32), *refiner_net.MARGIN)
                line = cut(tensor(pose.rectify(image, grown, refiner_net.SIZE)))[0]
                lines.append((line.permute(1, 2, 0).numpy() * 255).astype(np.uint8))
        return lines

    def draw(self, rng):
        image = self.items[rng.integers(len(self.items))].astype(np.float32)
        if rng.random() < 0.5:
            image, _ = degrade.light(image, rng, rng.choice(["day", "dim"], p=[0.7, 0.3]))
        if rng.random() < 0.4:
            image = degrade.sensor(image, rng)
        return np.clip(image, 0, 255).astype(np.uint8), "", crops.UNREADABLE, {"kind": "nothing", "width": 0, "tilt": 0, "light": "real", "rows": 1}
