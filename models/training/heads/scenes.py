"""Pictures for the detector: heads of all sizes before drawn places, with their boxes and points; and places without heads."""
import cv2
import numpy as np

from . import draw, person, view

SIZE = (320, 192)


def patch(rng, who=None):
    """A head with shoulders: (RGBA uint8 160 wide 176 high, points 5 x 2, box)."""
    who = who or person.identity(rng)
    made = draw.head(rng, who, str(rng.choice(person.CLASSES)))
    return patch_of(rng, made)


def patch_of(rng, made):
    seen = view.View(*draw.pose(rng), scale=50.0, centre=(80.0, 78.0), size=(160, 176))
    rgba = draw.to_bytes(draw.shoulders(view.shoot(made, seen, draw.light(rng)), made, seen, rng))
    return rgba, view.landmarks(made, seen).astype(np.float32), view.box(made, seen).astype(np.float32)


def place(rng, size=SIZE):
    """A drawn place: floor, walls, window, pillars, things of the colour of skin that are no heads."""
    w, h = size
    image = draw.background(rng, size)
    if rng.random() < 0.7:
        cv2.rectangle(image, (0, int(h * rng.uniform(0.5, 0.9))), (w, h), tuple(float(v) for v in rng.uniform(40, 200, 3)), -1)
    for _ in range(int(rng.integers(0, 14))):
        x, y = int(rng.uniform(-0.1, 1) * w), int(rng.uniform(-0.1, 1) * h)
        colour = np.array(person.SKIN_TONES[rng.integers(8)]) + rng.normal(0, 12, 3) if rng.random() < 0.4 else rng.uniform(5, 250, 3)
        colour = tuple(float(c) for c in np.clip(colour, 0, 255))
        a, b = int(rng.gamma(2, 12)) + 2, int(rng.gamma(2, 14)) + 2
        how = rng.integers(5)
        if how == 0:
            cv2.rectangle(image, (x, y), (x + a, y + 2 * b), colour, -1 if rng.random() < 0.7 else 2)
        elif how == 1:
            cv2.ellipse(image, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        elif how == 2:
            cv2.line(image, (x, y), (int(rng.uniform(0, w)), int(rng.uniform(0, h))), colour, int(rng.integers(1, 6)), cv2.LINE_AA)
        elif how == 3:
            _car(image, rng, x, y, 3 * a + 20, colour)
        else:
            cv2.putText(image, "".join(chr(int(c)) for c in rng.integers(65, 91, 5)), (x, y), cv2.FONT_HERSHEY_DUPLEX, rng.uniform(0.3, 1.5), colour, int(rng.integers(1, 4)), cv2.LINE_AA)
    return image


def _car(image, rng, x, y, length, colour):
    """The side of a car, roughly; its wheels and lamps are round like heads."""
    high = length * 0.28
    body = np.array([[0, 0], [0.02, -0.5], [0.22, -0.62], [0.36, -1.0], [0.68, -1.0], [0.84, -0.58], [0.99, -0.45], [1.0, 0]]) * (length, high) + (x, y)
    cv2.fillPoly(image, [body.astype(np.int32)], colour, cv2.LINE_AA)
    glass = np.array([[0.26, -0.6], [0.38, -0.92], [0.66, -0.92], [0.79, -0.58]]) * (length, high) + (x, y)
    cv2.fillPoly(image, [glass.astype(np.int32)], (60.0, 70.0, 80.0), cv2.LINE_AA)
    for at in (0.2, 0.8):
        spot = (int(x + at * length), int(y))
        cv2.circle(image, spot, max(2, int(0.3 * high)), (25.0, 25.0, 27.0), -1, cv2.LINE_AA)
        cv2.circle(image, spot, max(1, int(0.17 * high)), (170.0, 172.0, 176.0), -1, cv2.LINE_AA)
    cv2.circle(image, (int(x + 0.96 * length), int(y - 0.35 * high)), max(1, int(0.08 * high)), (250.0, 240.0, 210.0), -1, cv2.LINE_AA)


def sample(rng, patches, size=SIZE, empty=None):
    """(picture uint8, [(box, points)]): up to five heads, the smallest about 9 px high."""
    w, h = size
    image, found = place(rng, size), []
    count = 0 if (rng.random() < 0.15 if empty is None else empty) else int(rng.choice([1, 1, 2, 2, 3, 4, 5]))
    sizes = sorted(float(np.exp(rng.uniform(np.log(10), np.log(130)))) for _ in range(count))
    for high in sizes:
        rgba, points, box = patches[rng.integers(len(patches))]
        factor = high / (box[3] - box[1])
        x, y = rng.uniform(0.02, 0.98) * w, rng.uniform(0.08, 0.85) * h
        offset = np.array([x, y]) - factor * (box[:2] + box[2:]) / 2
        mirror = rng.random() < 0.5
        put = _paste(image, rgba, points, box, factor, offset, mirror)
        found = [f for f in found if _hidden(f[0], _grown(put[0])) < 0.45] + [put]
    if rng.random() < 0.1:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    inside = [f for f in found if _hidden(f[0], np.array([0, 0, w, h], np.float32)) > 0.6]
    return draw.camera(image, rng, 0.5), inside


def _paste(image, rgba, points, box, factor, offset, mirror):
    h, w = image.shape[:2]
    if mirror:
        rgba = rgba[:, ::-1]
        wide = rgba.shape[1] - 1
        points = np.stack([wide - points[[1, 0, 2, 4, 3], 0], points[[1, 0, 2, 4, 3], 1]], 1)
        box = np.array([wide - box[2], box[1], wide - box[0], box[3]])
    small = cv2.resize(rgba, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    x, y = int(round(offset[0])), int(round(offset[1]))
    below = h - (y + small.shape[0])
    if below > 0:
        small = np.vstack([small, np.repeat(small[-1:], below, 0)])
    x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + small.shape[1]), min(h, y + small.shape[0])
    if x1 > x0 and y1 > y0:
        image[y0:y1, x0:x1] = draw.over(small[y0 - y:y1 - y, x0 - x:x1 - x], image[y0:y1, x0:x1])
    return (box * factor + [x, y, x, y]).astype(np.float32), (points * factor + [x, y]).astype(np.float32)


def _grown(box):
    """A face's box with hair and shoulders."""
    wide, high = box[2] - box[0], box[3] - box[1]
    return box + np.array([-0.3 * wide, -0.35 * high, 0.3 * wide, 0.8 * high])


def _hidden(a, b):
    """Share of box `a` inside box `b`."""
    inner = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return inner / max((a[2] - a[0]) * (a[3] - a[1]), 1e-6)
