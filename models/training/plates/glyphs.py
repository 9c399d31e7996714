"""Glyphs from the free fonts of Debian, stretched to the plate's cell, with jitter of stroke and shape.

The official face is not free; it is a narrow grotesque with even strokes. Several fonts of that family, stretched to
the cell and made bolder or lighter, surround it; half of the plates take the characters that `hand` cut from real pictures,
where there are some. Packages: see README.md.
"""
import functools
import os

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import hand

ROOT = os.environ.get("FONT_ROOT", "/usr/share/fonts")
HAN = [
    ("opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("opentype/noto/NotoSansCJK-Medium.ttc", 2),
    ("opentype/noto/NotoSansCJK-Bold.ttc", 2),
    ("opentype/noto/NotoSansCJK-DemiLight.ttc", 2),
    ("truetype/wqy/wqy-zenhei.ttc", 0),
    ("truetype/wqy/wqy-microhei.ttc", 0),
    ("truetype/droid/DroidSansFallbackFull.ttf", 0),
]
LATIN = [
    ("truetype/opendin/OSP-DIN.ttf", 0),
    ("truetype/roadgeek/RG2014C.ttf", 0),
    ("truetype/roadgeek/RG2014D.ttf", 0),
    ("truetype/roboto/unhinted/RobotoCondensed-Bold.ttf", 0),
    ("truetype/roboto/unhinted/RobotoTTF/Roboto-Medium.ttf", 0),
    ("truetype/liberation/LiberationSansNarrow-Bold.ttf", 0),
    ("truetype/liberation/LiberationSansNarrow-Regular.ttf", 0),
    ("truetype/liberation/LiberationSans-Bold.ttf", 0),
    ("truetype/dejavu/DejaVuSansCondensed-Bold.ttf", 0),
    ("truetype/freefont/FreeSansBold.ttf", 0),
    ("opentype/noto/NotoSansCJK-Medium.ttc", 2),
    ("opentype/bebas-neue/BebasNeue-Regular.otf", 0),
    ("truetype/lato/Lato-Bold.ttf", 0),
    ("truetype/wqy/wqy-zenhei.ttc", 0),
]
CELL = (90, 180)
NARROW = {"1": 0.36, "I": 0.30}


def _usable(fonts):
    found = [(os.path.join(ROOT, p), i) for p, i in fonts if os.path.exists(os.path.join(ROOT, p))]
    if len(found) < 4:
        raise SystemExit(f"too few fonts under {ROOT}; install the packages that README.md names")
    return found


@functools.lru_cache(maxsize=None)
def fonts(han):
    return _usable(HAN if han else LATIN)


@functools.lru_cache(maxsize=8192)
def glyph(symbol, font):
    """The symbol as a mask of the full cell (height 180, width 90), tightly stretched."""
    face = ImageFont.truetype(font[0], 200, index=font[1])
    canvas = Image.new("L", (400, 400))
    ImageDraw.Draw(canvas).text((100, 60), symbol, font=face, fill=255)
    box = canvas.getbbox()
    if box is None:
        raise SystemExit(f"{font[0]} has no glyph for {symbol}")
    mask = np.array(canvas.crop(box))
    width = int(CELL[0] * NARROW.get(symbol, 1.0))
    mask = cv2.resize(mask, (width, CELL[1]), interpolation=cv2.INTER_AREA)
    pad = CELL[0] - width
    return cv2.copyMakeBorder(mask, 0, 0, pad // 2, pad - pad // 2, cv2.BORDER_CONSTANT, value=0)


@functools.lru_cache(maxsize=4)
def bar(flag):
    """The plate's own 1: a bar with a small flag."""
    mask = np.zeros((CELL[1], CELL[0]), np.uint8)
    mask[:, 36:56] = 255
    if flag:
        cv2.fillPoly(mask, [np.array([[36, 0], [36, 30], [22, 40], [22, 26]])], 255)
    return mask


class Face:
    """The hand of one plate: one Latin and one Han font, one stroke change, shared by all its characters; `free`: fonts alone."""

    def __init__(self, rng, free=False):
        latin, han = fonts(False), fonts(True)
        near = rng.random() < 0.65
        self.latin = latin[rng.integers(6 if near else len(latin))]
        self.han = han[rng.integers(len(han))]
        self.stroke = int(rng.integers(-2, 4))
        self.han_stroke = int(rng.integers(-1, 3))
        self.bar = rng.random() < 0.6
        self.flag = bool(rng.random() < 0.6)
        self.real = hand.characters() if not free and rng.random() < 0.5 else {}

    def mask(self, symbol, size, rng):
        """The symbol at `size` (width, height in px) with a small shape of its own."""
        han = ord(symbol) > 127
        cut = self.real.get(symbol)
        if cut:
            image = cut[rng.integers(len(cut))]
        elif symbol == "1" and self.bar:
            image = bar(self.flag)
        else:
            image = glyph(symbol, self.han if han else self.latin)
        stroke = 0 if cut else self.han_stroke if han else self.stroke
        if stroke:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(stroke) + 1,) * 2)
            image = (cv2.dilate if stroke > 0 else cv2.erode)(image, kernel)
        w, h = size
        sx, sy = w / CELL[0], h / CELL[1]
        scale = rng.normal(1.0, 0.012, 2)
        shear = rng.normal(0, 0.012)
        shift = rng.normal(0, 0.012, 2) * (w, h)
        cx, cy = w / 2, h / 2
        matrix = np.array([
            [sx * scale[0], shear * sx, cx - sx * scale[0] * CELL[0] / 2 - shear * sx * CELL[1] / 2 + shift[0]],
            [0, sy * scale[1], cy - sy * scale[1] * CELL[1] / 2 + shift[1]],
        ])
        return cv2.warpAffine(image, matrix, (int(round(w)), int(round(h))), flags=cv2.INTER_LINEAR)
