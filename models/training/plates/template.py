"""Draws a plate flat, up to one pixel per millimetre: ground, frame line, characters, relief, screws, dirt, wear."""
import cv2
import numpy as np

from .glyphs import Face

INKS = {"blue": (240, 240, 240), "yellow": (25, 25, 25), "green": (25, 28, 25), "yellow-green": (25, 28, 25),
        "white": (28, 28, 28), "black": (235, 235, 235)}
GROUNDS = {"blue": (20, 70, 190), "yellow": (235, 170, 20), "white": (235, 235, 235), "black": (25, 25, 28)}


def _jitter(rng, colour, amount):
    return np.clip(np.array(colour, np.float32) + rng.normal(0, amount, 3), 0, 255)


def smooth_noise(rng, shape, cells):
    """Low-frequency noise in 0..1, `cells` bumps along the longer side."""
    h, w = shape
    small = rng.random((max(2, cells * h // max(h, w) + 1), max(2, cells * w // max(h, w) + 1))).astype(np.float32)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)


def ground(plate, rng):
    w, h = plate.size
    if plate.kind == "tractor":
        return np.ones((h, w, 3), np.float32) * _jitter(rng, (20, 120, 60), 12)
    if plate.colour in GROUNDS:
        return np.ones((h, w, 3), np.float32) * _jitter(rng, GROUNDS[plate.colour], 14)
    green = _jitter(rng, (70, 190, 110), 16)
    if plate.colour == "yellow-green":
        image = np.ones((h, w, 3), np.float32) * green
        image[:, : int((128 + rng.integers(-8, 9)) * plate.scale)] = _jitter(rng, (235, 200, 40), 14)
        return image
    t = np.clip(np.linspace(rng.uniform(-0.25, 0.1), rng.uniform(0.9, 1.2), h), 0, 1)[:, None, None].astype(np.float32)
    return np.ones((1, w, 1), np.float32) * ((1 - t) * _jitter(rng, (225, 240, 228), 8) + t * green)


def ink(plate, cell, rng):
    if plate.kind == "tractor":
        return _jitter(rng, (238, 238, 238), 6)
    if cell.ink == "red":
        return _jitter(rng, (190, 25, 30), 15)
    return _jitter(rng, INKS[plate.colour], 8)


def _marks(plate, mask, rng):
    w, h = plate.size
    s = plate.scale
    inset = int(rng.integers(3, 8) * s)
    if rng.random() < 0.9:
        cv2.rectangle(mask, (inset, inset), (w - inset, h - inset), 255, max(1, int(rng.integers(2, 4) * s)))
    for x, y in plate.dots:
        if rng.random() < 0.85:
            cv2.circle(mask, (int(x + rng.normal(0, 2) * s), int(y)), max(1, int(rng.integers(4, 7) * s)), 255, -1, cv2.LINE_AA)
    if plate.badge:
        x, y = int(plate.badge[0]), int(plate.badge[1])
        cv2.ellipse(mask, (x, y), (int(18 * s), int(13 * s)), 0, 30, 330, 255, max(1, int(3 * s)), cv2.LINE_AA)
        cv2.line(mask, (int(x - 8 * s), y), (int(x + 16 * s), y), 255, max(1, int(3 * s)))


def _screws(plate, image, rng):
    w, h = plate.size
    s = plate.scale
    places = [(w * 0.25, 13 * s), (w * 0.75, 13 * s)]
    if rng.random() < 0.5:
        places += [(w * 0.25, h - 13 * s), (w * 0.75, h - 13 * s)]
    shade = rng.uniform(60, 220)
    for x, y in places:
        if rng.random() < 0.85:
            centre = (int(x + rng.normal(0, 4) * s), int(y + rng.normal(0, 2) * s))
            radius = max(1, int(rng.integers(5, 11) * s))
            cv2.circle(image, centre, radius, (shade,) * 3, -1, cv2.LINE_AA)
            cv2.circle(image, (centre[0] + 1, centre[1] + 1), radius, (shade * 0.4,) * 3, 1, cv2.LINE_AA)


def _wear(plate, image, rng):
    shape = image.shape[:2]
    if rng.random() < 0.6:
        fade = smooth_noise(rng, shape, int(rng.integers(3, 24)))[..., None]
        image = image * (1 - rng.uniform(0.05, 0.35) * fade)
    if rng.random() < 0.18:
        dirt = smooth_noise(rng, shape, int(rng.integers(8, 40)))
        alpha = np.clip((dirt - rng.uniform(0.6, 0.85)) * 6, 0, 1)[..., None] * rng.uniform(0.3, 0.8)
        image = image * (1 - alpha) + alpha * _jitter(rng, (110, 95, 75), 15)
    if rng.random() < 0.10:
        for _ in range(rng.integers(1, 5)):
            a, b = rng.integers(0, shape[1], 2), rng.integers(0, shape[0], 2)
            cv2.line(image, (int(a[0]), int(b[0])), (int(a[1]), int(b[1])), tuple(map(float, _jitter(rng, (150, 150, 150), 50))), 1, cv2.LINE_AA)
    if rng.random() < 0.06:
        x, y = int(rng.integers(shape[1])), int(rng.choice([8, shape[0] - 8]))
        cv2.rectangle(image, (x, y - 7), (x + int(rng.integers(10, 50)), y + 7), tuple(map(float, rng.uniform(0, 255, 3))), -1)
    return image


def draw(plate, rng, clean=False, width=None):
    """The plate as float32 RGB, height x width x 3, 0..255, fine enough to be shown `width` px wide.

    `clean` leaves dirt and wear out, and takes free fonts alone; without `width` it is one pixel per millimetre.
    """
    if width:
        plate = plate.scaled(float(np.clip(1.5 * width / plate.size[0], 0.35, 1.0)))
    w, h = plate.size
    image = ground(plate, rng)
    face = Face(rng, free=clean)
    relief = np.zeros((h, w), np.uint8)
    _marks(plate, relief, rng)
    main = ink(plate, plate.cells[0].__class__("0", (0, 0, 1, 1)), rng)
    alpha = relief.astype(np.float32)[..., None] / 255
    image = image * (1 - alpha) + alpha * main
    for cell in plate.cells:
        x, y, cw, ch = cell.box
        mask = face.mask(cell.symbol, (cw, ch), rng)
        colour = main if cell.ink == "main" else ink(plate, cell, rng)
        x, y = int(round(x)), int(round(y))
        mh, mw = min(mask.shape[0], h - y), min(mask.shape[1], w - x)
        mask = mask[:mh, :mw]
        np.maximum(relief[y:y + mh, x:x + mw], mask, out=relief[y:y + mh, x:x + mw])
        alpha = mask.astype(np.float32)[..., None] / 255
        part = image[y:y + mh, x:x + mw]
        part[:] = part * (1 - alpha) + alpha * colour
    if rng.random() < 0.6:
        blurred = cv2.GaussianBlur(relief, (0, 0), 0.5 + plate.scale).astype(np.float32)
        dx, dy = int(rng.integers(-2, 3)), int(rng.integers(1, 3))
        image += ((blurred - np.roll(blurred, (dy, dx), (0, 1))) * rng.uniform(0.05, 0.3))[..., None]
    if not clean:
        _screws(plate, image, rng)
        image = _wear(plate, image, rng)
    return np.clip(image, 0, 255).astype(np.float32)
