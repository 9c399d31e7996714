"""What is painted on a head: skin, eyes, brows, lips, beard, hair, cloth; laid out flat over angle and height."""
import cv2
import numpy as np

from . import hair, shape

COLUMNS, ROWS = 416, 304
THETA = ((np.arange(COLUMNS) + 0.5) / COLUMNS * 2 * np.pi - np.pi).astype(np.float32)
Y = (shape.Y_HIGH - (np.arange(ROWS) + 0.5) / ROWS * (shape.Y_HIGH - shape.Y_LOW)).astype(np.float32)
S = THETA * shape.ARC
X_SCALE, Y_SCALE = COLUMNS / (2 * np.pi * shape.ARC), ROWS / (shape.Y_HIGH - shape.Y_LOW)


class Paint:
    """A flat picture (`colour` RGB float 0..255, `gloss` 0..1) that takes polygons in (s, y)."""

    def __init__(self, ground):
        self.colour = np.empty((ROWS, COLUMNS, 3), np.float32)
        self.colour[:] = ground
        self.gloss = np.full((ROWS, COLUMNS), 0.25, np.float32)

    def fill(self, points, colour, alpha=1.0, soft=0.0, gloss=None, clip=None):
        """Fills a polygon (N x 2); `soft` is the blur of its edge in units, `clip` another polygon to stay inside."""
        spots = _pixels(points)
        pad = int(3 * soft * X_SCALE) + 3
        x0, y0 = np.maximum(np.floor(spots.min(0)).astype(int) - pad, 0)
        x1, y1 = np.minimum(np.ceil(spots.max(0)).astype(int) + pad + 1, (COLUMNS, ROWS))
        if x1 <= x0 or y1 <= y0 or alpha < 0.02:
            return
        mask = _raster(spots, x0, y0, x1, y1)
        if soft:
            mask = cv2.GaussianBlur(mask, (0, 0), soft * X_SCALE)
        if clip is not None:
            mask = mask * _raster(_pixels(clip), x0, y0, x1, y1)
        self._blend(slice(y0, y1), slice(x0, x1), mask * np.float32(alpha), colour, gloss)

    def cover(self, share, colour, gloss=None):
        """Blends a colour (or a picture) over the whole with a share per pixel."""
        rows = np.flatnonzero(share.any(1))
        if len(rows):
            rows = slice(rows[0], rows[-1] + 1)
            colour = np.asarray(colour, np.float32)
            self._blend(rows, slice(None), share[rows].astype(np.float32), colour[rows] if colour.shape[:1] == share.shape[:1] and colour.ndim == 3 else colour, gloss)

    def _blend(self, rows, columns, share, colour, gloss):
        window = self.colour[rows, columns]
        window += share[..., None] * (np.asarray(colour, np.float32) - window)
        if gloss is not None:
            sheen = self.gloss[rows, columns]
            sheen += share * (np.float32(gloss) - sheen)


def _pixels(points):
    points = np.asarray(points, np.float32)
    return np.stack([points[:, 0] * X_SCALE + COLUMNS / 2 - 0.5, (shape.Y_HIGH - points[:, 1]) * Y_SCALE - 0.5], 1)


def _raster(spots, x0, y0, x1, y1):
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [np.round((spots - (x0, y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def ellipse(s, y, wide, high, tilt=0.0, count=20):
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    a, b = wide * np.cos(t), high * np.sin(t)
    return np.stack([s + a * np.cos(tilt) - b * np.sin(tilt), y + a * np.sin(tilt) + b * np.cos(tilt)], 1)


def ribbon(line, thick):
    """A polygon of varying thickness around a polyline (N x 2)."""
    line, thick = np.asarray(line, np.float32), np.asarray(thick, np.float32)[:, None] / 2
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    return np.concatenate([line + across * thick, (line - across * thick)[::-1]])


def texture(person, e, mask=None, hat=None):
    """The flat picture ROWS x COLUMNS x 4. `mask`, `hat`: colours of cloth, or None."""
    rng = np.random.default_rng(person.texture_seed)
    paint = Paint(person.skin)
    _complexion(paint, person, e, rng)
    for side in (-1, 1):
        _eye(paint, person, e, side)
    _nose(paint, person)
    if person.beard or person.moustache:
        _beard(paint, person, e, rng)
    _mouth(paint, person, e)
    for side in (-1, 1):
        _brow(paint, person, e, side)
    _hair(paint, person, rng)
    if mask is not None:
        _mask(paint, person, e, mask)
    if hat is not None:
        share = np.clip((Y - (0.44 if hat[1] else 0.40)) / 0.015, 0, 1)[:, None] * np.ones((1, COLUMNS), np.float32)
        ribs = 1 + 0.08 * np.sin(THETA * (40 if not hat[1] else 3))[None, :, None]
        paint.cover(share, np.asarray(hat[0], np.float32) * ribs, gloss=0.05)
    return np.dstack([paint.colour, paint.gloss])


def _complexion(paint, person, e, rng):
    skin, m = person.skin, person.m
    blotch = hair.waves(rng, (ROWS, COLUMNS), 40) + 0.6 * hair.waves(rng, (ROWS, COLUMNS), 110)
    paint.colour *= (0.955 + 0.055 * blotch)[..., None]
    warm = skin * np.array([1.06, 0.86, 0.84], np.float32)
    for side in (-1, 1):
        paint.fill(ellipse(side * 0.36, -0.27, 0.12, 0.10), warm, 0.35 * m["blush"] + 0.15 * e.cheeks, 0.05)
        paint.fill(ellipse(side * m["eye_x"], m["eye_y"] - 0.02, 0.15, 0.09), skin * 0.8, 0.25 + 0.3 * m["age"], 0.04)
        paint.fill(ellipse(side * 1.57 * shape.ARC, m["eye_y"] - 0.13, 0.035, 0.09), skin * [0.85, 0.7, 0.68], 0.6, 0.015)
        fold = min(1.0, 0.28 * m["age"] + 0.6 * e.cheeks)
        corner = shape.mouth_half(person, e) + 0.05
        line = [(side * (m["nose_width"] + 0.03), shape.nose_tip(person) + 0.02), (side * (corner + 0.02), shape.mouth_y(person) + 0.10), (side * (corner + 0.03), shape.mouth_y(person) - 0.02)]
        paint.fill(ribbon(line, [0.012, 0.02, 0.008]), skin * [0.72, 0.62, 0.6], 0.75 * fold, 0.006)
        for k in range(int(3 * m["age"])):
            s = side * (m["eye_x"] + 0.15)
            paint.fill(ribbon([(s, m["eye_y"] - 0.01 - 0.02 * k), (s + side * 0.06, m["eye_y"] + 0.02 - 0.035 * k)], [0.008, 0.004]), skin * 0.7, 0.5, 0.003)
    lines = m["age"] * 0.5 + max(0.0, e.brows) * 0.5
    for k in range(3):
        y = 0.36 + 0.08 * k
        paint.fill(ribbon([(-0.3, y - 0.01), (0, y + 0.012), (0.3, y - 0.01)], [0.005, 0.012, 0.005]), skin * 0.75, 0.55 * lines, 0.004)
    for side in (-1, 1):
        if e.inner < -0.3:
            s = side * 0.035
            paint.fill(ribbon([(s, 0.12), (s + side * 0.008, 0.26)], [0.006, 0.014]), skin * 0.62, -0.8 * e.inner, 0.004)
    for _ in range(person.freckles):
        s, y = rng.normal(0, 0.26), rng.normal(-0.18, 0.12)
        paint.fill(ellipse(s, y, 0.009, 0.008, count=8), skin * [0.75, 0.6, 0.5], 0.6)
    for s, y, r in person.moles:
        paint.fill(ellipse(s, y, r, r, count=10), skin * 0.35, 0.9, 0.002)


def _eye(paint, person, e, side):
    m = person.m
    s0, y0, w = side * m["eye_x"], m["eye_y"], m["eye_width"]
    h = m["eye_height"] * np.clip(1 + (0.75 if e.lids > 0 else 0.9) * e.lids, 0.06, 2.0)
    tilt = m["eye_tilt"] * side
    t = np.linspace(-1, 1, 11)
    upper = np.stack([s0 + w * t, y0 + h * 1.15 * (1 - np.abs(t) ** 2.2) + w * t * np.tan(tilt) * 0.6], 1)
    lower = np.stack([s0 + w * t, y0 - (h * 0.75 - 0.022 * e.cheeks) * (1 - np.abs(t) ** 2.0) + w * t * np.tan(tilt) * 0.6], 1)
    ball = np.concatenate([upper, lower[::-1]])
    paint.fill(ball, (234, 230, 226), 1.0, gloss=0.8)
    paint.fill(ball + [0, h * 0.9], (120, 110, 105), 0.45, 0.008, clip=ball)
    s, y, r = s0 + 0.035 * e.gaze[0], y0 + 0.012 + 0.02 * e.gaze[1], 0.052
    paint.fill(ellipse(s, y, r, r), person.iris * 0.55, 1, clip=ball, gloss=1.0)
    paint.fill(ellipse(s, y, r * 0.82, r * 0.82), person.iris, 1, clip=ball)
    paint.fill(ellipse(s, y, r * 0.45, r * 0.45), (10, 9, 9), 1, clip=ball)
    paint.fill(ellipse(s - 0.016, y + 0.018, 0.011, 0.011, count=8), (255, 255, 255), 0.9, clip=ball)
    dark = np.minimum(person.skin * 0.28, 50)
    paint.fill(ribbon(upper, 0.008 + 0.012 * (1 - np.abs(t) ** 3)), dark, 0.95)
    paint.fill(ribbon(lower, np.full(11, 0.007)), person.skin * [0.55, 0.42, 0.4], 0.8)
    crease = upper + [0, 1] * (m["lid"] * (1 - 0.5 * np.clip(e.lids, 0, 1)) * (1 - 0.6 * np.abs(t[:, None]) ** 2))
    paint.fill(ribbon(crease, 0.004 + 0.008 * (1 - t ** 2)), person.skin * [0.6, 0.5, 0.48], 0.7, 0.003)


def _brow(paint, person, e, side):
    m = person.m
    t = np.linspace(0, 1, 9)
    y = m["eye_y"] + m["brow_y"] + m["brow_arch"] * np.sin(np.pi * t ** 1.3) - (m["brow_tilt"] + 0.006) * t * 2
    y = y + 0.085 * e.brows * (0.6 + 0.4 * np.sin(np.pi * t)) + 0.11 * e.inner * (1 - t) ** 1.5 - 0.03 * max(0, e.inner) * t - 0.03 * max(0, -e.inner)
    inward = 0.03 * max(0.0, -e.inner)
    line = np.stack([side * (m["brow_gap"] - inward + (m["brow_length"] + inward) * t), y], 1)
    thick = m["brow_thick"] * 2.0 * np.interp(t, [0, 0.15, 0.6, 1], [0.65, 1.0, 0.9, 0.25])
    paint.fill(ribbon(line, thick), person.brow, 0.88, 0.006, gloss=0.1)


def _nose(paint, person):
    m, tip = person.m, shape.nose_tip(person)
    skin = person.skin
    for side in (-1, 1):
        paint.fill(ellipse(side * m["nose_width"] * 0.55, tip - 0.072, 0.033, 0.015, side * 0.3), skin * [0.3, 0.2, 0.18], 0.9, 0.004)
        paint.fill(ribbon([(side * (m["nose_width"] + 0.022), tip + 0.03), (side * (m["nose_width"] + 0.035), tip - 0.02), (side * (m["nose_width"] + 0.005), tip - 0.062)], [0.008, 0.014, 0.01]), skin * [0.6, 0.48, 0.45], 0.75, 0.006)
    paint.fill(ellipse(0, tip - 0.088, m["nose_width"] * 0.9, 0.018), skin * 0.62, 0.5, 0.012)


def _mouth(paint, person, e):
    m, half, y = person.m, shape.mouth_half(person, e), shape.mouth_y(person)
    gap, corner = shape.lip_gap(e), shape.corner_y(person, e)
    t = np.linspace(-1, 1, 15)
    arch = 1 - np.abs(t) ** 2
    thin = 1 - 0.6 * e.press - 0.25 * max(0.0, e.wide)
    bow = 1 + 0.16 * np.cos(t * 3 * np.pi) * (np.abs(t) < 0.6)
    side_line = corner + (y - corner) * arch
    inner_top = side_line - 0.004
    inner_low = corner + (y - gap - corner) * arch
    top = side_line + m["upper_lip"] * thin * arch ** 0.8 * bow * 1.15
    low = inner_low - m["lower_lip"] * thin * arch ** 0.8
    strip = lambda a, b: np.concatenate([np.stack([half * t, a], 1), np.stack([half * t, b], 1)[::-1]])
    lips = person.lips
    paint.fill(strip(top, inner_top), lips * 0.88, 0.95, 0.003, gloss=0.4)
    paint.fill(strip(inner_low, low), lips * 1.02, 0.95, 0.003, gloss=0.55)
    if gap > 0.008:
        opening = strip(inner_top, inner_low)
        paint.fill(opening, (52, 14, 16), 1.0, gloss=0.1)
        teeth = strip(inner_top, inner_top - min(0.055, gap * 0.75) * arch ** 0.5)
        paint.fill(teeth, (232, 228, 218), min(1.0, e.teeth), gloss=0.5, clip=opening)
        if gap > 0.1:
            paint.fill(ellipse(0, y - gap * 0.95, half * 0.5, gap * 0.28), (160, 70, 70), 0.8, 0.006, clip=opening)
    else:
        paint.fill(ribbon(np.stack([half * t, side_line], 1), 0.007 + 0.008 * arch), lips * 0.35, 0.95)
    for side in (-1, 1):
        paint.fill(ellipse(side * half, corner, 0.018, 0.012), person.skin * [0.5, 0.38, 0.36], 0.75, 0.006)
        if e.corners < -0.3:
            paint.fill(ribbon([(side * half, corner), (side * (half + 0.035), corner - 0.06)], [0.014, 0.006]), person.skin * 0.6, -0.7 * e.corners, 0.005)
    paint.fill(ellipse(0, y - gap - 0.125, 0.09, 0.016), person.skin * 0.72, 0.45, 0.012)


def _beard(paint, person, e, rng):
    y = shape.mouth_y(person)
    noise = hair.strands(rng, (ROWS, COLUMNS)) * 0.5 + hair.waves(rng, (ROWS, COLUMNS), 120)
    if person.beard:
        top = np.interp(np.abs(S), [0, 0.24, 0.34, 0.75, 1.0], [y - 0.1, y - 0.12, y + 0.10, 0.05, 0.15])
        share = np.clip((top[None] - Y[:, None]) / 0.05, 0, 1) * np.clip((Y[:, None] + 1.03 + shape.dropped(e)) / 0.06, 0, 1) * np.clip((1.12 - np.abs(S)) / 0.05, 0, 1)[None]
        paint.cover(np.clip(share * person.beard * (0.5 + 0.6 * noise), 0, 0.97), person.brow, gloss=0.08)
    if person.moustache:
        half = 0.26
        share = np.clip((half - np.abs(S)) / 0.05, 0, 1)[None] * np.clip((y + 0.145 - 0.10 * np.abs(S)[None] - Y[:, None]) / 0.02, 0, 1) * np.clip((Y[:, None] - y - 0.03 + 0.25 * np.abs(S)[None] ** 1.3) / 0.02, 0, 1)
        paint.cover(np.clip(share * person.moustache * (0.55 + 0.6 * noise), 0, 0.97), person.brow, gloss=0.08)


def _hair(paint, person, rng):
    lines = hair.strands(rng, (ROWS, COLUMNS))
    share = hair.cover(person, THETA, Y, lines)
    if person.style in ("curly", "afro"):
        lines = hair.waves(rng, (ROWS, COLUMNS), 70) * 2 - 1
    if person.style == "buzz":
        share = share * 0.8
    paint.cover(share, np.maximum(person.hair * (1 + 0.3 * lines[..., None]) + 7 * lines[..., None], 4).astype(np.float32), gloss=0.35)


def _mask(paint, person, e, colour):
    share = cv2.resize(shape.mask_cover(person, e), (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
    pleats = 1 - 0.10 * (np.abs(((Y + 0.97) / 0.16) % 1 - 0.5) < 0.08)[:, None, None]
    paint.cover(share, np.asarray(colour, np.float32) * pleats, gloss=0.05)
    for side in (-1, 1):
        for top, ear in ((shape.nose_tip(person) + 0.03, 0.02), (-0.72, -0.3)):
            paint.fill(ribbon([(side * 0.72, top), (side * 1.2, ear)], [0.016, 0.016]), np.asarray(colour) * 0.95, 0.9)
