"""Scenes for the detector: real pictures with other plates put over their own, drawn scenes, and pictures without a plate.

A sample is (picture uint8 448x448x3 RGB, plates [(corners 4x2 px TL TR BR BL, rows, facts)]).
"""
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import crops, degrade, glyphs, kinds, pose, real, template, vehicles

SIDE = 448
PAD = 114


SHRINKS = [cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC]


def letterbox(image, side=SIDE, pad=PAD, how=cv2.INTER_AREA):
    """The picture scaled into a square, centred, and the map of its points (scale, dx, dy)."""
    h, w = image.shape[:2]
    scale = side / max(h, w)
    nw, nh = max(1, round(w * scale)), max(1, round(h * scale))
    dx, dy = (side - nw) // 2, (side - nh) // 2
    resized = cv2.resize(image, (nw, nh), interpolation=how if scale < 1 else cv2.INTER_LINEAR)
    out = np.full((side, side, 3), pad, image.dtype)
    out[dy:dy + nh, dx:dx + nw] = resized
    return out, (scale, dx, dy)


def _stamp(rng):
    """What a camera writes into its picture."""
    date = "20%02d-%02d-%02d" % tuple(rng.integers((10, 1, 1), (27, 13, 29)))
    clock = "%02d:%02d:%02d" % tuple(rng.integers((0, 0, 0), (24, 60, 60)))
    number = "%04d/%05d" % tuple(rng.integers((0, 0), (20, 100)))
    return str(rng.choice([f"{date} {clock}", date.replace("-", "/"), clock, number, "CAM %02d" % rng.integers(99), "入口 " + clock]))


def _write(image, rng, text, high, place, fill, edge=None, embossed=False):
    """Lettering straight onto the picture (float32, in place); `edge`: colour of an outline, `embossed`: as on bodywork."""
    font = glyphs.fonts(True)[rng.integers(len(glyphs.fonts(True)))] if any(ord(c) > 127 for c in text) else glyphs.fonts(False)[rng.integers(len(glyphs.fonts(False)))]
    face = ImageFont.truetype(font[0], max(6, int(high)), index=font[1])
    stroke = max(1, int(high) // 14) if edge is not None else 0
    box = face.getbbox(text, stroke_width=stroke)
    wide, tall = int(box[2] - box[0] + 4), int(box[3] - box[1] + 4)
    inner, outer = Image.new("L", (wide, tall)), Image.new("L", (wide, tall))
    ImageDraw.Draw(inner).text((2 - box[0], 2 - box[1]), text, font=face, fill=255)
    ImageDraw.Draw(outer).text((2 - box[0], 2 - box[1]), text, font=face, fill=255, stroke_width=stroke)
    x, y = (int(v) for v in place)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + wide, image.shape[1]), min(y + tall, image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cut = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    part = image[y0:y1, x0:x1]
    alpha = np.array(inner, np.float32)[cut][..., None] / 255
    if edge is not None:
        rim = np.array(outer, np.float32)[cut][..., None] / 255
        part[:] = part * (1 - rim) + rim * np.array(edge, np.float32)
    if embossed:
        soft = cv2.GaussianBlur(alpha, (0, 0), 1.0)[..., None] if alpha.ndim == 3 else alpha
        part += (soft - np.roll(soft, (1, 1), (0, 1))) * rng.uniform(80, 260)
        alpha = alpha * rng.uniform(0.0, 0.8)
    part[:] = part * (1 - alpha) + alpha * np.array(fill, np.float32)


BRANDS = ["TOYOTA", "NISSAN", "FORD", "JETTA", "SANTANA", "GOLF", "HONDA", "BYD", "HAVAL", "JAC", "DONGFENG", "CHANGAN", "ISUZU", "FOTON", "SCANIA", "MAN",
          "DISCOVERY", "RANGE ROVER", "PASSAT", "一汽大众", "上海大众", "长安铃木", "东风日产", "广汽本田", "江淮汽车", "福田", "解放", "比亚迪", "TSI", "2.0T", "4WD", "HYBRID"]


def lettering(image, rng, choice=None):
    """Something with characters that is no plate: time stamps, signs, stickers, adverts, badges, taxi signs, brands, grilles."""
    h, w = image.shape[:2]
    choice = int(rng.integers(8)) if choice is None else choice
    white = rng.choice([[255, 255, 255], [255, 255, 255], [20, 20, 20], [240, 220, 40], [250, 60, 50]])
    if choice == 0:
        high = rng.uniform(0.018, 0.06) * h
        place = (rng.uniform(0, 0.8) * w, rng.choice([0.01, 0.03, 0.9, 0.94, rng.random()]) * h)
        _write(image, rng, _stamp(rng), high, place, white, [0, 0, 0] if rng.random() < 0.4 and white[0] > 200 else None)
        return
    if choice == 1:
        shade = rng.uniform(0, 255)
        _write(image, rng, str(rng.choice(BRANDS)), rng.uniform(0.012, 0.09) * h, rng.uniform((0, 0), (0.9 * w, 0.95 * h)), [shade] * 3, embossed=True)
        return
    width = int(np.exp(rng.uniform(np.log(16), np.log(0.5 * w))))
    height = max(5, int(width * rng.uniform(0.15, 0.9 if choice < 7 else 0.4)))
    grounds = [(20, 70, 190), (235, 170, 20), (60, 170, 100), (240, 240, 240), (25, 25, 28), (190, 30, 30)]
    tile = np.ones((height, width, 3), np.uint8) * np.array(template._jitter(rng, grounds[rng.integers(6)], 20), np.uint8)
    if choice == 5:
        tile[:, :: max(2, width // int(rng.integers(6, 20)))] = rng.integers(0, 256)
    elif choice == 6:
        tile[:] = rng.integers(0, 256, 3)
        cv2.ellipse(tile, (width // 2, height // 2), (max(2, width // 3), max(2, height // 3)), 0, 0, 360, tuple(int(v) for v in rng.integers(0, 256, 3)), -1, cv2.LINE_AA)
    else:
        art = Image.fromarray(tile)
        draw = ImageDraw.Draw(art)
        lines = int(rng.integers(1, 4)) if choice < 7 else 1
        high = max(5, int(height / lines * 0.75))
        alphabet = [kinds.PROVINCES + "停车场入口出请慢行大众汽车小心公司电话", kinds.LETTERS.lower() + kinds.LETTERS, kinds.DIGITS + "- "][rng.integers(3)]
        chinese = alphabet[0] == kinds.PROVINCES[0] or choice == 7
        faces = glyphs.fonts(bool(chinese or rng.random() < 0.3))
        font = faces[rng.integers(len(faces))]
        face = ImageFont.truetype(font[0], high, index=font[1])
        ink = tuple(int(v) for v in rng.integers(0, 256, 3))
        if tile.mean() < 120 and rng.random() < 0.6:
            ink = (245, 245, 245)
        for i in range(lines):
            text = "".join(rng.choice(list(alphabet), int(rng.integers(1, 12))))
            if choice == 7:
                text = str(rng.choice(["TAXI", "出租", "出租车", "TAXI " + text[:2], "空车", "教练车", "SOS", "POLICE", "公务", "巡逻"]))
            draw.text((int(rng.uniform(0, 0.2) * width), int(i * height / lines)), text, font=face, fill=ink)
        tile = np.array(art)
    quad, _ = pose.corners((width, height), width, rng, 25)
    pose.paste(image, tile.astype(np.float32), quad + (rng.uniform(0, w), rng.uniform(0, h)))


#: Kinds that a detector fails on first, drawn more often in scenes than on the road.
SCARCE = ["green-small", "green-small", "green-small", "green-large", "yellow-double", "yellow-double", "trailer", "yellow", "yellow", "police", "black", "motorcycle", "tractor", "hk-macau"]


def any_plate(rng):
    return kinds.sample(rng, SCARCE[rng.integers(len(SCARCE))] if rng.random() < 0.4 else None)


def hang(image, rng, centre, width, near=None, quad=None):
    """Draws a random plate into `image` (float32); returns (corners, rows, facts)."""
    plate = any_plate(rng)
    art = template.draw(plate, rng, width=width)
    art, lamp = degrade.light(art, rng, rng.choice(["day", "dim", "night", "glare"], p=[0.6, 0.2, 0.12, 0.08]))
    if near is not None:
        level = near / max(20.0, float(art.mean())) * np.exp(rng.normal(0.0, 0.25))
        art = art * np.clip(level, 0.25, 1.9)
    tilt = 0.0
    if quad is None:
        quad, tilt = pose.corners(plate.size, width, rng)
        quad = quad + centre
    if rng.random() < 0.4:
        crops.frame(image, quad, rng, plate.size)
    pose.paste(image, np.clip(art, 0, 255), quad)
    return quad, plate.rows, {"kind": plate.kind, "width": float(width), "tilt": tilt, "light": lamp}


def cover(image, quad, rng):
    """Takes a plate away: the region is filled from its surroundings, in one of several ways."""
    grown = pose.grow(quad, 0.12, 0.45)
    x0, y0 = np.maximum(grown.min(0).astype(int) - 6, 0)
    x1, y1 = grown.max(0).astype(int) + 6
    part = image[y0:y1, x0:x1]
    if part.size == 0:
        return
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, (grown - (x0, y0)).astype(np.int32), 255)
    edge = part[mask == 0]
    way = rng.random()
    if way < 0.35 and 12 < part.shape[1] < 700:
        fill = cv2.inpaint(np.clip(part, 0, 255).astype(np.uint8), mask, 3, cv2.INPAINT_TELEA).astype(np.float32)
    elif way < 0.6 and y0 - (y1 - y0) > 0:
        fill = image[2 * y0 - y1:y0, x0:x1][: part.shape[0], : part.shape[1]].copy()
    elif way < 0.75 and y1 + (y1 - y0) < image.shape[0]:
        fill = image[y1:2 * y1 - y0, x0:x1][: part.shape[0], : part.shape[1]].copy()
    else:
        fill = edge.mean(0) if len(edge) else part.mean((0, 1))
        if rng.random() < 0.5:
            fill = fill + rng.standard_normal(part.shape, np.float32) * rng.uniform(1, 8)
    if isinstance(fill, np.ndarray) and fill.ndim == 3 and fill.shape != part.shape:
        fill = part.mean((0, 1))
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, rng.uniform(0.01, 0.05) * (x1 - x0))).astype(np.float32)[..., None] / 255
    part[:] = part * (1 - soft) + soft * fill


def decoys(image, rng, plates):
    """Smears places where no plate was, so that the trace of `cover` tells nothing."""
    h, w = image.shape[:2]
    for _ in range(int(rng.integers(0, 4))):
        width = np.exp(rng.uniform(np.log(0.03), np.log(0.4))) * w
        quad, _ = pose.corners((440, 140), width, rng, 25)
        quad = quad + rng.uniform((0, 0), (w, h)).astype(np.float32)
        if all(np.abs(q.mean(0) - quad.mean(0)).max() > (np.ptp(q[:, 0]) + width) * 0.9 for q, _, _ in plates):
            cover(image, quad, rng)


class Photographs:
    """The real scenes of one part ("train" or "test"), at most 1400 px long, with their labelled corners and the plates nobody labelled."""

    def __init__(self, part="train"):
        self.items = []
        for path, rows in real.scenes(part):
            image = real.read(path)
            scale = min(1.0, 1400 / max(image.shape[:2]))
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            self.items.append((image, [r["quad"] * scale for r in rows], [q * scale for q in real.unmarked(path)]))

    def window(self, rng):
        """A part of a picture (float32) around one of its plates, or the whole of it, and the labelled and the unmarked quads in it."""
        image, quads, unmarked = self.items[rng.integers(len(self.items))]
        h, w = image.shape[:2]
        if rng.random() < 0.35:
            return image.astype(np.float32), [q.copy() for q in quads], [q.copy() for q in unmarked]
        target = quads[rng.integers(len(quads))]
        span = np.ptp(target[:, 0])
        side = int(np.clip(span / np.exp(rng.uniform(np.log(0.05), np.log(0.45))), 100, max(h, w)))
        cw, ch = min(w, side), min(h, int(side * rng.uniform(0.6, 1.0)))
        cx, cy = target.mean(0)
        x0 = int(np.clip(cx - rng.uniform(0.1, 0.9) * cw, 0, w - cw))
        y0 = int(np.clip(cy - rng.uniform(0.1, 0.9) * ch, 0, h - ch))

        def inside(quads):
            moved = [q - (x0, y0) for q in quads]
            return [q for q in moved if ((q[:, 0] > -3) & (q[:, 0] < cw + 3) & (q[:, 1] > -3) & (q[:, 1] < ch + 3)).any()]

        return image[y0:y0 + ch, x0:x0 + cw].astype(np.float32), inside(quads), inside(unmarked)


def photograph(rng, photographs, empty=False):
    """A real picture; its plates kept, replaced or (with `empty`) taken away; more may be hung elsewhere."""
    image, quads, unmarked = photographs.window(rng)
    image = np.ascontiguousarray(image)
    plates = []
    for quad in unmarked:
        cover(image, quad, rng)
    for quad in quads:
        cut = quad.min() < 0 or (quad[:, 0] > image.shape[1]).any() or (quad[:, 1] > image.shape[0]).any()
        if not empty and not cut and rng.random() < 0.5:
            plates.append((quad, 1, {"kind": "real", "width": float(np.ptp(quad[:, 0])), "tilt": 0.0, "light": "real"}))
            continue
        x0, y0 = np.maximum(quad.min(0).astype(int), 0)
        near = float(image[y0:int(quad[:, 1].max()), x0:int(quad[:, 0].max())].mean()) if not cut else 90.0
        if empty or cut or rng.random() < 0.7:
            cover(image, quad, rng)
        if not empty and not cut:
            width = np.linalg.norm(quad[1] - quad[0]) * rng.uniform(1.0, 1.25)
            plates.append(hang(image, rng, quad.mean(0), width, near))
    for _ in range(0 if empty else int(rng.choice(3, p=[0.65, 0.25, 0.10]))):
        plates += stray(image, rng, plates)
    if empty or rng.random() < 0.5:
        decoys(image, rng, plates)
    return image, plates


def stray(image, rng, plates):
    """A plate somewhere in the picture, where none stands yet."""
    h, w = image.shape[:2]
    width = np.exp(rng.uniform(np.log(0.035), np.log(0.5))) * w
    centre = rng.uniform((width * 0.5, width * 0.2), (max(w - width * 0.5, width * 0.51), max(h - width * 0.2, width * 0.21)))
    if any(np.abs(q.mean(0) - centre).max() < (np.ptp(q[:, 0]) + width) * 0.7 for q, _, _ in plates):
        return []
    if rng.random() < 0.5:
        reach = np.array([width * rng.uniform(0.6, 1.5), width * rng.uniform(0.3, 1.0)])
        x0, y0 = np.maximum(centre - reach, 0).astype(int)
        x1, y1 = (centre + reach).astype(int)
        part = image[y0:y1, x0:x1]
        if part.size:
            part[:] = crops.backdrop(rng, part.shape[0], part.shape[1])
    hung = hang(image, rng, centre, width, float(image.mean()))
    return [hung] if hung[0].min() > -2 and hung[0][:, 0].max() < w + 2 and hung[0][:, 1].max() < h + 2 else []


def drawn(rng, empty=False, signs=3):
    """A drawn scene: ground, walls, lettering and drawn vehicles with plates."""
    h, w = (int(v) for v in rng.integers((260, 300), (449, 560)))
    image = crops.backdrop(rng, h, w)
    image[int(h * rng.uniform(0.3, 0.6)):] *= rng.uniform(0.4, 1.2)
    image += (template.smooth_noise(rng, (h, w), int(rng.integers(10, 120)))[..., None] - 0.5) * rng.uniform(5, 60)
    for _ in range(int(rng.integers(0, signs)) if signs else 0):
        lettering(image, rng)
    plates = []
    for _ in range(int(rng.integers(1, 4))):
        vehicle = vehicles.lorry(rng, scale=0.22) if rng.random() < 0.25 else vehicles.car(rng, scale=0.3)
        vw = np.exp(rng.uniform(np.log(0.15), np.log(1.1))) * w
        quad, _ = pose.corners(vehicle.size, vw, rng, 30)
        quad = quad + rng.uniform((0.1 * w, 0.3 * h), (0.9 * w, 0.85 * h))
        to_canvas = vehicles.place(image, vehicle, quad)
        plates = [p for p in plates if not cv2.pointPolygonTest(quad.astype(np.float32), tuple(map(float, p[0].mean(0))), False) >= 0]
        plate = any_plate(rng)
        spot = vehicles.plate_quad(vehicle, plate.size, to_canvas)
        width = float(np.linalg.norm(spot[1] - spot[0]))
        if empty or width < 10 or spot.min() < 0 or spot[:, 0].max() > w or spot[:, 1].max() > h:
            continue
        art, lamp = degrade.light(template.draw(plate, rng, width=width), rng, "day" if rng.random() < 0.7 else "dim")
        pose.paste(image, np.clip(art, 0, 255), spot)
        plates.append((spot, plate.rows, {"kind": plate.kind, "width": width, "tilt": 0.0, "light": lamp}))
    if not empty and rng.random() < 0.4:
        plates += stray(image, rng, plates)
    return image, plates


def without_plate(rng, photographs):
    """An ordinary picture without a plate: a photograph whose labelled plates were taken away, or a drawn scene; perhaps a time stamp."""
    if photographs.items and rng.random() < 0.8:
        image, _ = photograph(rng, photographs, True)
    else:
        image, _ = drawn(rng, True, signs=0)
    if rng.random() < 0.5:
        lettering(image, rng, choice=0)
    image, _ = _finish(image, rng)
    return letterbox(image)[0]


def sample(rng, photographs=None, empty=None):
    """One letterboxed scene; a fifth of them hold no plate, or all or none as `empty` says."""
    empty = bool(rng.random() < 0.2) if empty is None else empty
    if photographs and photographs.items and rng.random() < 0.72:
        image, plates = photograph(rng, photographs, empty)
    else:
        image, plates = drawn(rng, empty)
    if empty or rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 6 if empty else 4))):
            before = image.copy() if plates else None
            lettering(image, rng)
            for quad, _, _ in plates:
                _restore(image, before, quad)
    image, scale = _finish(image, rng)
    boxed, (s, dx, dy) = letterbox(image)
    return boxed, [((q * scale * s + (dx, dy)).astype(np.float32), rows, facts) for q, rows, facts in plates]


def _restore(image, before, quad):
    grown = pose.grow(quad, 0.08, 0.25)
    x0, y0 = np.maximum(grown.min(0).astype(int), 0)
    x1, y1 = grown.max(0).astype(int) + 1
    image[y0:y1, x0:x1] = before[y0:y1, x0:x1]


def _finish(image, rng):
    """Light, lens, sensor and coder over the whole picture, at no more than 448 px."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=SHRINKS[rng.choice(3, p=[0.4, 0.5, 0.1])])
    if rng.random() < 0.6:
        image, _ = degrade.light(image, rng)
    if rng.random() < 0.3:
        image = degrade.lens(image, rng, rng.uniform(0.5, 1.0))
    if rng.random() < 0.5:
        image = degrade.sensor(image, rng)
    image = np.clip(image, 0, 255).astype(np.uint8)
    return degrade.coder(image, rng) if rng.random() < 0.5 else image, scale
