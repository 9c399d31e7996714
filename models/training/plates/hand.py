"""Characters cut from the real training photographs: the official face as cameras see it, which no free font has.

Only when the real pictures are at hand, and only from the part that trains. A character is a mask like those of `glyphs`.
"""
import functools

import cv2
import numpy as np

from . import kinds, pose, real

CELL = (90, 180)
LEAST_WIDTH, LEAST_CONTRAST = 110, 45


def _mask(patch, han):
    """The character in a patch (grey, bright on dark, cell with a margin) as a mask of the whole cell, or None where it is not clear."""
    high, width = patch.shape
    level, binary = cv2.threshold(patch, 0, 255, cv2.THRESH_OTSU)
    ink, ground = patch[binary > 0], patch[binary == 0]
    if len(ink) == 0 or len(ground) == 0 or float(np.median(ink)) - float(np.median(ground)) < LEAST_CONTRAST:
        return None
    count, labels, stats, centres = cv2.connectedComponentsWithStats(binary)
    kept = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 0.004 * binary.size and abs(centres[i][0] / width - 0.5) < 0.36]
    kept = [i for i in kept if 0.1 < centres[i][1] / high < 0.9 and stats[i, cv2.CC_STAT_WIDTH] < 0.95 * width]
    if not kept:
        return None
    x0 = min(stats[i, cv2.CC_STAT_LEFT] for i in kept)
    y0 = min(stats[i, cv2.CC_STAT_TOP] for i in kept)
    x1 = max(stats[i, cv2.CC_STAT_LEFT] + stats[i, cv2.CC_STAT_WIDTH] for i in kept)
    y1 = max(stats[i, cv2.CC_STAT_TOP] + stats[i, cv2.CC_STAT_HEIGHT] for i in kept)
    if not (0.76 if han else 0.68) * high < y1 - y0 < 0.98 * high or han and x1 - x0 < 0.66 * width:
        return None
    low, top = np.median(ground), np.percentile(ink, 70)
    alpha = np.clip((patch[y0:y1, x0:x1].astype(np.float32) - low) / (top - low), 0, 1)
    alpha = np.clip((alpha - 0.5) * 1.7 + 0.5, 0, 1) * 255
    return alpha, (x1 - x0) / (y1 - y0)


@functools.lru_cache(maxsize=1)
def characters():
    """symbol → masks (uint8, 180 x 90)."""
    found = {}
    for path, rows in real.scenes("train"):
        image = None
        for row in rows:
            if len(row["plate"]) != 7 or row["colour"] not in ("blue", "yellow") or not _frontal(row["quad"]):
                continue
            image = real.read(path) if image is None else image
            flat = pose.rectify(image, row["quad"], (880, 280))[..., 0]
            flat = flat if row["colour"] == "blue" else 255 - flat
            for cell in kinds._single("blue", "blue", row["plate"]).cells:
                x, y, w, h = (int(2 * v) for v in cell.box)
                cut = _mask(flat[y - 20:y + h + 20, max(0, x - 10):x + w + 10], ord(cell.symbol) > 127)
                if cut is not None and (cut[1] > 0.36 or cell.symbol == "1") and _crisp(cut[0], cell.symbol):
                    found.setdefault(cell.symbol, []).append(_fitted(*cut))
    return found


def _frontal(quad):
    """Wide enough, and seen nearly from the front."""
    across, down = quad[1] - quad[0], quad[3] - quad[0]
    width, height = np.linalg.norm(across), np.linalg.norm(down)
    return width >= LEAST_WIDTH and 2.2 < width / height < 4.2 and abs(across[1]) < 0.2 * width and abs(down[0]) < 0.35 * height


def _crisp(alpha, symbol):
    """No blot: little ink, and for Han characters few half tones."""
    share = float((alpha > 127).mean())
    half = float(((alpha > 40) & (alpha < 215)).mean())
    return share < 0.58 and half < 0.34 if ord(symbol) > 127 else share < 0.75


def _fitted(alpha, aspect):
    width = int(np.clip(aspect * CELL[1], 18, CELL[0])) if aspect < 0.36 else CELL[0]
    mask = cv2.resize(alpha, (width, CELL[1]), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    pad = CELL[0] - width
    return cv2.copyMakeBorder(mask, 0, 0, pad // 2, pad - pad // 2, cv2.BORDER_CONSTANT, value=0)
