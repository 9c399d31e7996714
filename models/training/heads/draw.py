"""Everything that is drawn by lot for a picture of a head: pose, light, what is worn, what stands in front, lens and coder.

Each is drawn without regard to the others and to who it is, so that none of them tells the person.
"""
from dataclasses import replace

import cv2
import numpy as np

from . import align, hair, person, view

MASKS = ((235, 238, 240), (150, 190, 215), (30, 30, 34), (205, 170, 170), (120, 130, 120))
CLOTHS = ((38, 42, 52), (190, 192, 196), (92, 34, 40), (40, 70, 110), (60, 84, 60), (214, 190, 150), (120, 116, 112), (220, 120, 60), (24, 24, 26))
MARGIN = 8


def pose(rng):
    """(yaw, pitch, roll) in degrees: mostly towards the camera, which hangs a little above the heads."""
    yaw = rng.normal(0, 20) if rng.random() < 0.75 else rng.uniform(-50, 50)
    return float(np.clip(yaw, -50, 50)), float(np.clip(rng.normal(4, 9), -25, 28)), float(np.clip(rng.normal(0, 7), -25, 25))


def light(rng):
    side, up = rng.normal(0, 0.8), rng.normal(0.5, 0.5)
    key = rng.uniform(0.15, 1.0)
    warmth = rng.normal(0, 0.07)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    total = rng.uniform(0.85, 1.35)
    return view.Light((side, up, 0.8), tuple(total * key * tint), tuple(total * (1.05 - 0.75 * key) * rng.normal(1, 0.03, 3)), rng.uniform(0, 0.7))


def glasses(rng, dark=None):
    dark = rng.random() < 0.15 if dark is None else dark
    shades = ((18, 18, 20), (60, 36, 22), (150, 150, 155), (130, 30, 30), (190, 160, 90))
    return {"colour": shades[rng.integers(len(shades))], "thick": float(rng.uniform(0.012, 0.04)), "square": float(rng.uniform(0.5, 1.0)), "apart": 0.285,
            "wide": float(rng.uniform(0.18, 0.22)), "high": float(rng.uniform(0.12, 0.18)), "tint": float(rng.uniform(0.7, 0.95) if dark else rng.choice([0.0, 0.1])),
            "lens": (20, 22, 26) if dark else (200, 215, 225)}


def worn(rng):
    colour = lambda choices: tuple(float(c) for c in np.clip(np.array(choices[rng.integers(len(choices))]) + rng.normal(0, 8, 3), 5, 250))
    return view.Worn(mask=colour(MASKS) if rng.random() < 0.06 else None, hat=(colour(CLOTHS), bool(rng.random() < 0.5)) if rng.random() < 0.07 else None,
                     glasses=glasses(rng) if rng.random() < 0.22 else None)


def head(rng, who, kind, plain=False):
    """A head made ready, of a person, with an expression; hair now and then another than usual."""
    if plain:
        return view.Head(who, person.expression(rng, kind))
    return view.Head(person.other_hair(who, rng) if rng.random() < 0.12 else who, person.expression(rng, kind), worn(rng))


def aligned_view(made, angles):
    """The view whose picture is the aligned crop itself, with `MARGIN` pixels around."""
    yaw, pitch, roll = angles
    first = view.View(yaw, pitch, 0.0, 100.0, (0.0, 0.0))
    matrix = align.similarity(view.landmarks(made, first))
    scale, turn = float(np.hypot(matrix[0, 0], matrix[1, 0])), float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    side = align.SIZE + 2 * MARGIN
    return view.View(yaw, pitch, turn, 100 * scale, tuple(matrix[:, 2] + MARGIN), (side, side)), roll


def crop(rng, made):
    """An aligned crop RGBA uint8 (112 + 2 * MARGIN square) under a pose and a light of its own, and the yaw."""
    seen, roll = aligned_view(made, pose(rng))
    lamp = light(rng)
    c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    x, y, z = lamp.direction
    rgba = view.shoot(made, seen, replace(lamp, direction=(c * x - s * y, s * x + c * y, z)))
    return to_bytes(shoulders(rgba, made, seen, rng)), seen.yaw


def to_bytes(rgba):
    out = np.clip(rgba, 0, 255)
    out[..., 3] = np.clip(rgba[..., 3], 0, 1) * 255
    return out.astype(np.uint8)


def shoulders(rgba, made, seen, rng, cloth=None):
    """Puts clothes below the neck, behind the head."""
    turn = 1 - 0.25 * abs(np.sin(np.radians(seen.yaw)))
    wide = 1.5 * turn * rng.uniform(0.9, 1.15)
    outline = np.array([[-0.34, -1.22], [0.34, -1.22], [wide * 0.75, -1.42], [wide, -1.75], [wide * 1.06, -14], [-wide * 1.06, -14], [-wide, -1.75], [-wide * 0.75, -1.42]])
    neck = view.project([[0.0, -1.2, -0.05]], seen)[0]
    spots = np.stack([neck[0] + seen.scale * outline[:, 0], neck[1] - seen.scale * (outline[:, 1] + 1.2)], 1)
    mask = np.zeros(rgba.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.clip(np.round(spots * 16), -60000, 60000).astype(np.int32)], 255, cv2.LINE_AA, 4)
    colour = np.array(CLOTHS[rng.integers(len(CLOTHS))] if cloth is None else cloth, np.float32) * rng.uniform(0.7, 1.1)
    under, over = mask.astype(np.float32) / 255, rgba[..., 3]
    collar = neck[1] + 0.13 * seen.scale
    hidden = np.arange(rgba.shape[0], dtype=np.float32)[:, None] > collar
    over = np.where(hidden & (under > 0) & (made.person.style not in ("long",)), 0.0, over)
    total = over + under * (1 - over)
    rgba[..., :3] = (rgba[..., :3] * over[..., None] + colour * (under * (1 - over))[..., None]) / np.maximum(total, 1e-3)[..., None]
    rgba[..., 3] = total
    return rgba


def background(rng, size):
    """Something behind a head: a gradient, blotches, edges; float32 RGB."""
    w, h = size
    ends = rng.uniform(15, 240, (2, 3)).astype(np.float32)
    t = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    image = np.repeat(ends[0] * (1 - t) + ends[1] * t, w, 1)
    image += ((hair.waves(rng, (h, w), int(rng.integers(2, 24))) - 0.5) * rng.uniform(0, 110))[..., None]
    for _ in range(int(rng.integers(0, 6))):
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        a, b = rng.uniform(0.05, 0.6, 2) * (w, h)
        cv2.rectangle(image, (int(x), int(y)), (int(x + a), int(y + b)), tuple(float(v) for v in rng.uniform(10, 245, 3)), -1)
    return image


def block_out(image, rng):
    """A hand, a telephone, a pillar in front of a part of the face."""
    h, w = image.shape[:2]
    middle, radius = rng.uniform(0, 1, 2) * (w, h), rng.uniform(0.12, 0.32) * w
    t = np.sort(rng.uniform(0, 2 * np.pi, 7))
    spots = middle + radius * np.stack([np.cos(t), np.sin(t)], 1) * rng.uniform(0.6, 1.2, (7, 1))
    colour = person.SKIN_TONES[rng.integers(len(person.SKIN_TONES))] if rng.random() < 0.5 else rng.uniform(10, 230, 3)
    cv2.fillPoly(image, [np.round(spots).astype(np.int32)], tuple(float(c) for c in colour), cv2.LINE_AA)
    return image


def over(rgba, ground):
    """A uint8 RGBA picture over a float32 ground."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return ground + alpha * (rgba[..., :3].astype(np.float32) - ground)


def camera(image, rng, hard=1.0):
    """What lens, sensor and coder do to a small crop: float32 in, uint8 out. `hard` 0..1 scales how bad it may be."""
    h, w = image.shape[:2]
    if rng.random() < 0.6 * hard:
        f = rng.uniform(0.28, 0.9)
        image = cv2.resize(cv2.resize(image, (max(12, int(w * f)), max(12, int(h * f))), interpolation=cv2.INTER_AREA), (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.35 * hard:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.10 * hard:
        n = int(rng.integers(3, 9))
        image = cv2.blur(image, (n, 1) if rng.random() < 0.7 else (1, n))
    gain = rng.uniform(0.55, 1.25) * rng.normal(1, 0.05, 3)
    image = image * gain.astype(np.float32) + np.float32(rng.uniform(-12, 18))
    if rng.random() < 0.05:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.6:
        image = image + cv2.resize(rng.standard_normal((h // 2, w // 2, 3), np.float32), (w, h)) * np.float32(rng.uniform(1, 9) * hard)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 92))])[1], cv2.IMREAD_COLOR)
    return image


def finished(rgba, rng, ground=None, hard=1.0, jitter=True):
    """A picture of `crop` as a camera and a detector would deliver it: 112 x 112 uint8 RGB."""
    image = over(rgba, background(rng, rgba.shape[1::-1]) if ground is None else ground)
    if rng.random() < 0.07 * hard:
        image = block_out(image, rng)
    side, middle = align.SIZE, align.SIZE / 2
    matrix = cv2.getRotationMatrix2D((middle + MARGIN, middle + MARGIN), rng.normal(0, 2.2), float(np.clip(rng.normal(1, 0.03), 0.94, 1.08))) if jitter else np.array([[1.0, 0, 0], [0, 1, 0]])
    matrix[:, 2] -= MARGIN - (np.clip(rng.normal(0, 1.6, 2), -4, 4) if jitter else 0)
    image = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return camera(image, rng, hard)
