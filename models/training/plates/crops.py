"""Rectified plate crops for the reader: generated ones and real ones with augmentation.

A sample is (picture uint8 HxWx3 RGB, text, colour index or -1 where colour cannot be seen, facts about it).
The margins and the double-row cut here are the reader's own and are repeated in `pack.toml`.
"""
import cv2
import numpy as np

from . import degrade, kinds, pose, real, template

SIZE = (160, 32)
MARGIN = (0.015, 0.05)
TOP, BOTTOM = (0.0, 0.40), (0.37, 1.0)
UNREADABLE = kinds.COLOURS.index("unreadable")


def _band(image, quad, span, size):
    """The part `span` of the quad's height, rectified to `size`."""
    w, h = size
    start, end = span
    y0, y1 = -start / (end - start) * h, (1 - start) / (end - start) * h
    target = np.array([[0, y0], [w, y0], [w, y1], [0, y1]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def line(image, quad, rows, size=SIZE, margin=MARGIN):
    """The plate at `quad` as the reader wants it: one line; two rows are put side by side."""
    quad = pose.grow(quad, *margin)
    if rows == 1:
        return pose.rectify(image, quad, size)
    half = (size[0] // 2, size[1])
    return np.hstack([_band(image, quad, TOP, half), _band(image, quad, BOTTOM, half)])


def backdrop(rng, h, w):
    """Something like bodywork around a plate: shaded paint, edges, bars."""
    paint = rng.uniform(10, 235, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(10, 240))
    image = np.ones((h, w, 3), np.float32) * paint.astype(np.float32)
    image += ((template.smooth_noise(rng, (h, w), 3) - 0.5) * rng.uniform(10, 120))[..., None]
    for _ in range(int(rng.integers(0, 5))):
        a = (int(rng.integers(-w // 4, w)), int(rng.integers(-h // 4, h)))
        b = (a[0] + int(rng.integers(w // 8, w)), a[1] + int(rng.integers(2, max(3, h // 2))))
        cv2.rectangle(image, a, b, tuple(map(float, rng.uniform(0, 255, 3))), -1 if rng.random() < 0.6 else 2)
    return image


def frame(image, quad, rng, size):
    """A holder around the plate, sometimes with lettering below it."""
    border = rng.uniform(0.01, 0.06)
    grown = pose.grow(quad, border * 0.4, border * 1.6)
    cv2.fillConvexPoly(image, grown.astype(np.int32), tuple(map(float, np.full(3, rng.uniform(5, 230)) + rng.normal(0, 8, 3))), cv2.LINE_AA)


def jitter(quad, rng, strength=1.0):
    """Corners as a detector would find them."""
    w = np.linalg.norm(quad[1] - quad[0])
    h = np.linalg.norm(quad[3] - quad[0])
    common = rng.normal(0, [0.008 * w, 0.03 * h])
    own = np.stack([rng.normal(0, 0.011 * w, 4), rng.normal(0, 0.04 * h, 4)], 1)
    spread = rng.normal(0, 0.012), rng.normal(0.0, 0.045)
    return pose.grow((quad + strength * (common + own)).astype(np.float32), strength * spread[0], strength * spread[1])


def upright(quad, rng):
    """The corners' upright box with a little play: how ready-made crop sets are cut."""
    (x0, y0), (x1, y1) = quad.min(0), quad.max(0)
    w, h = x1 - x0, y1 - y0
    x0, x1 = x0 - w * rng.normal(0.005, 0.012), x1 + w * rng.normal(0.005, 0.012)
    y0, y1 = y0 - h * rng.normal(0.01, 0.035), y1 + h * rng.normal(0.01, 0.035)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def plate_in_view(rng, kind=None, width=None, ordinary=False, margin=0.15):
    """A generated plate on a bit of bodywork: picture, where a detector or a crop set would cut it, the plate, facts.

    `width`: plate width in px (default 46 to 250, small ones more often). `ordinary`: light, blur and noise of a well-sited
    camera; otherwise up to what nobody can read. `margin`: bodywork around it, as a share of the width. The cut is four corners, or, where `facts["box"]`, an upright box.
    """
    plate = kinds.sample(rng, kind)
    width = width or float(np.exp(rng.uniform(np.log(46), np.log(250))))
    image = template.draw(plate, rng, width=width)
    quad, tilt = pose.corners(plate.size, width, rng)
    box_crop = bool(plate.rows == 1 and rng.random() < 0.42 and tilt < 32)
    pad = 8 + margin * width
    low, high = quad.min(0) - pad, quad.max(0) + pad
    w, h = np.ceil(high - low).astype(int)
    quad = quad - low
    canvas = backdrop(rng, h, w)
    if rng.random() < 0.4:
        frame(canvas, quad, rng, plate.size)
    pose.paste(canvas, image, quad)
    character = 90 / 440 * width
    if ordinary:
        canvas, lamp = degrade.ordinary(canvas, rng, min(2.0, character / 16))
    else:
        canvas, lamp = degrade.light(canvas, rng)
        canvas = degrade.lens(canvas, rng, min(2.0, character / 16))
        canvas = degrade.coder(degrade.sensor(canvas, rng), rng)
        canvas = degrade.resample(canvas, rng)
    cut = upright(quad, rng) if box_crop else jitter(quad, rng)
    facts = {"kind": plate.kind, "width": width, "tilt": tilt, "light": lamp, "rows": plate.rows, "box": box_crop, "quad": quad}
    return canvas, cut, plate, facts


def generated(rng, kind=None, width=None, ordinary=False):
    """One generated crop, as the reader's line; arguments of `plate_in_view`."""
    canvas, cut, plate, facts = plate_in_view(rng, kind, width, ordinary)
    box_crop, lamp = facts["box"], facts["light"]
    crop = line(canvas, cut, plate.rows, margin=(0, 0) if box_crop else MARGIN)
    if box_crop and rng.random() < 0.6:
        crop = cv2.resize(pose.rectify(canvas, cut, (94, 24)), SIZE, interpolation=cv2.INTER_LINEAR)
    colour = -1 if lamp == "infrared" or (lamp == "night" and crop.mean() < 25) else kinds.COLOURS.index(plate.colour)
    return crop, plate.text, colour, facts


def nothing(rng):
    """A crop without a readable plate: bodywork, lettering, or a plate lost in blur or darkness."""
    choice = rng.random()
    if choice < 0.35:
        plate = kinds.sample(rng)
        image = template.draw(plate, rng, width=150)
        crop = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(7, 14)) * rng.uniform(0.1, 1)
    elif choice < 0.55:
        crop = backdrop(rng, SIZE[1], SIZE[0])
        mark = "".join(rng.choice(list("ABDEGLMNORSTUVXY0257:/- "), int(rng.integers(3, 12))))
        cv2.putText(crop, mark, (int(rng.integers(0, 40)), int(rng.integers(18, 30))), int(rng.integers(0, 4)), rng.uniform(0.4, 0.9),
                    tuple(map(float, rng.uniform(0, 255, 3))), int(rng.integers(1, 3)), cv2.LINE_AA)
    else:
        crop = backdrop(rng, SIZE[1], SIZE[0])
        if rng.random() < 0.5:
            step = int(rng.integers(3, 12))
            crop[:, ::step] *= rng.uniform(0.2, 0.8)
    crop, lamp = degrade.light(crop, rng)
    crop = degrade.coder(degrade.sensor(degrade.lens(crop, rng), rng), rng)
    return crop, "", UNREADABLE, {"kind": "nothing", "width": 0, "tilt": 0, "light": lamp, "rows": 1}


def province_strip(crop, rng, colour):
    """Puts a generated province in place of the real one, so that 'looks real' does not come to mean one province."""
    kind = {"blue": "blue", "yellow": "yellow"}[colour]
    plate = kinds.sample(rng, kind)
    image = template.draw(plate, rng, clean=True, width=150)
    small = cv2.resize(image, (188, 48), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.4, 1.8))
    small = cv2.resize(small, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_AREA)
    cut = int(round(0.152 * crop.shape[1] + rng.normal(0, 0.8)))
    old, new = crop[:, :cut].astype(np.float32), small[:, :cut]
    scale = (old.std((0, 1)) + 4) / (new.std((0, 1)) + 4)
    new = (new - new.mean((0, 1))) * np.clip(scale, 0.1, 1.5) + old.mean((0, 1))
    shift = int(round(rng.normal(0, 0.04) * crop.shape[0]))
    new = np.roll(new, shift, 0)
    alpha = np.clip((cut - np.arange(cut)) / 3.0, 0, 1)[None, :, None]
    result = crop.astype(np.float32).copy()
    result[:, :cut] = old * (1 - alpha) + new * alpha
    return np.clip(result, 0, 255).astype(np.uint8), plate.text[0]


#: Middle of the gap after each character but the last, as a share of the plate's width (GA 36: seven characters, or eight of new energy).
GAPS = {7: (0.151, 0.306, 0.460, 0.590, 0.719, 0.849), 8: (0.136, 0.290, 0.430, 0.538, 0.647, 0.755, 0.863)}


def splice(left, left_text, right, right_text, rng):
    """The beginning of one real plate and the end of another of the same colour, so that no whole plate is learned by heart."""
    h, w = 48, 188
    left, right = (cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR).astype(np.float32) for c in (left, right))
    k = int(rng.integers(1, len(left_text)))
    cut = int(round(GAPS[len(left_text)][k - 1] * w))
    old, new = left[:, cut:], right[:, cut:]
    new = (new - new.mean((0, 1))) * np.clip((old.std((0, 1)) + 4) / (new.std((0, 1)) + 4), 0.4, 2.0) + old.mean((0, 1))
    right[:, cut:] = new
    alpha = np.clip((np.arange(w) - cut) / 3.0 + 0.5, 0, 1)[None, :, None]
    return np.clip(left * (1 - alpha) + right * alpha, 0, 255).astype(np.uint8), left_text[:k] + right_text[k:]


def _augment(crop, rng):
    """Another view of a real crop: small shift and shear, light, blur, noise, coder."""
    h, w = crop.shape[:2]
    quad = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    quad += np.stack([rng.normal(0, 0.011 * w, 4), rng.normal(0, 0.04 * h, 4)], 1) + rng.normal(0, [0.008 * w, 0.03 * h])
    image = pose.rectify(crop, quad.astype(np.float32), SIZE).astype(np.float32)
    if rng.random() < 0.6:
        image, _ = degrade.light(image, rng, rng.choice(["day", "dim", "glare"], p=[0.75, 0.15, 0.10]))
    if rng.random() < 0.35:
        image = degrade.lens(image, rng, rng.uniform(0.5, 1.2))
    if rng.random() < 0.6:
        image = degrade.sensor(image, rng)
    return degrade.coder(np.clip(image, 0, 255).astype(np.uint8), rng)


def slanted(quad):
    """Whether the upright box of the corners holds much that is not the plate."""
    (x0, y0), (x1, y1) = quad.min(0), quad.max(0)
    return (x1 - x0) * (y1 - y0) > 1.5 * cv2.contourArea(quad.astype(np.float32))


class Real:
    """Draws augmented crops of the training part of the real pictures; scarce provinces more often.

    `find` gives the corners of the plate in a ready-made crop; without it such a crop is taken as it is.
    """

    def __init__(self, find=None):
        self.items = []
        for row in real.rows("cn_crops", "train"):
            image = real.read(row["file"])
            self.items.append((image, find(image) if find else None, row))
        for dataset in ("cn_scenes", "cn_ccpd"):
            for row in real.rows(dataset, "train"):
                image = real.read(row["file"])
                low = np.maximum(row["quad"].min(0) - 60, 0).astype(int)
                high = row["quad"].max(0).astype(int) + 60
                self.items.append((image[low[1]:high[1], low[0]:high[0]].copy(), row["quad"] - low, row))
        if not self.items:
            return
        count = {}
        for _, _, row in self.items:
            count[row["plate"][0]] = count.get(row["plate"][0], 0) + 1
        weight = np.array([1.0 / count[row["plate"][0]] ** 0.55 for _, _, row in self.items])
        self.weight = weight / weight.sum()
        self.alike = {}
        for i, (_, _, row) in enumerate(self.items):
            self.alike.setdefault((row["colour"], len(row["plate"])), []).append(i)

    def cut(self, index, rng):
        """One real crop as it is, in RGB."""
        image, quad, row = self.items[index]
        ready_made = row["file"].parent.parent.name == "cn_crops"
        if quad is None or (ready_made and rng.random() < 0.35):
            return image
        if ready_made or rng.random() < 0.75 or slanted(quad):
            return line(image, jitter(quad, rng, 0.7), 1, (188, 40))
        return pose.rectify(image, upright(quad, rng), (94, 24))

    def draw(self, rng):
        first = rng.choice(len(self.items), p=self.weight)
        row = self.items[first][2]
        crop, text = self.cut(first, rng), row["plate"]
        alike = self.alike[row["colour"], len(text)]
        if rng.random() < 0.5 and len(text) in GAPS and len(alike) > 1:
            second = alike[rng.integers(len(alike))]
            crop, text = splice(crop, text, self.cut(second, rng), self.items[second][2]["plate"], rng)
        if rng.random() < 0.45 and row["colour"] in ("blue", "yellow"):
            crop, province = province_strip(crop, rng, row["colour"])
            text = province + text[1:]
        colour = kinds.COLOURS.index(row["colour"])
        return _augment(crop, rng), text, colour, {"kind": "real", "width": 0, "tilt": 0, "light": "real", "rows": 1}
