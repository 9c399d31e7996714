"""The kinds of mainland Chinese plates: what they say and where each character stands.

Geometry in millimetres after GA 36 (the public standard for vehicle plates). Kinds whose drawing we could
not check against the standard (armed police, emergency rescue, tractor, military) are approximations and say so.
"""
from dataclasses import dataclass, field

import numpy as np

PROVINCES = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新"
SUFFIXES = "学挂港澳使领警应急"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
CHARSET = PROVINCES + SUFFIXES + DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BLANK = len(CHARSET)
COLOURS = ["blue", "yellow", "green", "yellow-green", "white", "black", "unreadable"]
NEW_ENERGY = "DFABCEGHJK"
MILITARY = "BCGHJKLNSVZ"


@dataclass
class Cell:
    """One character: its symbol, box in mm (x, y, w, h) and ink."""

    symbol: str
    box: tuple
    ink: str = "main"


@dataclass
class Plate:
    """A plate before it is drawn: size in mm, cells in reading order, marks (dots, new-energy badge)."""

    kind: str
    colour: str
    size: tuple
    cells: list
    dots: list = field(default_factory=list)
    badge: tuple | None = None
    scale: float = 1.0

    def scaled(self, scale):
        """The same plate with every length times `scale` (pixels per millimetre)."""
        cells = [Cell(c.symbol, tuple(v * scale for v in c.box), c.ink) for c in self.cells]
        dots = [(x * scale, y * scale) for x, y in self.dots]
        badge = self.badge and (self.badge[0] * scale, self.badge[1] * scale)
        size = (round(self.size[0] * scale), round(self.size[1] * scale))
        return Plate(self.kind, self.colour, size, cells, dots, badge, scale)

    @property
    def text(self):
        return "".join(c.symbol for c in self.cells)

    @property
    def rows(self):
        return 1 if len({c.box[1] for c in self.cells}) == 1 else 2


def _pick(rng, symbols):
    return symbols[rng.integers(len(symbols))]


def _serial(rng, length, letters=None):
    """`length` symbols; `letters` of them letters at random places (default: as on the road, 0 to 2)."""
    count = rng.choice(3, p=[0.40, 0.40, 0.20]) if letters is None else letters
    places = set(rng.permutation(length)[: min(count, length)])
    return "".join(_pick(rng, LETTERS if i in places else DIGITS) for i in range(length))


def _digits(rng, length):
    return _serial(rng, length, 0)


def _row(text, y, width, height, gaps, plate_width, x=None, inks=None):
    total = width * len(text) + sum(gaps)
    x = (plate_width - total) / 2 if x is None else x
    cells = []
    for i, symbol in enumerate(text):
        cells.append(Cell(symbol, (x, y, width, height), inks[i] if inks else "main"))
        x += width + (gaps[i] if i < len(gaps) else 0)
    return cells


def _single(kind, colour, text, dot_after=2, inks=None):
    """440 x 140: seven cells of 45 x 90, gaps of 12, 34 at the dot."""
    gaps = [12] * (len(text) - 1)
    if dot_after:
        gaps[dot_after - 1] = 34
    width = 45 if len(text) <= 7 else 39
    cells = _row(text, 25, width, 90, gaps, 440, inks=inks)
    dots = []
    if dot_after:
        left = cells[dot_after - 1].box
        dots = [(left[0] + left[2] + 17, 70)]
    return Plate(kind, colour, (440, 140), cells, dots)


def _double(kind, colour, text, size=(440, 220), inks=None):
    """Upper row 80 x 60 with the dot between, lower row 65 x 110; scaled for smaller plates."""
    sx, sy = size[0] / 440, size[1] / 220
    top = _row(text[:2], 15 * sy, 80 * sx, 60 * sy, [60 * sx], size[0], inks=inks and inks[:2])
    low_w = 65 * sx if len(text) <= 7 else 54 * sx
    low = _row(text[2:], 90 * sy, low_w, 110 * sy, [15 * sx] * (len(text) - 3), size[0], inks=inks and inks[2:])
    return Plate(kind, colour, size, top + low, [(size[0] / 2, 45 * sy)])


def _head(rng):
    return _pick(rng, PROVINCES) + _pick(rng, LETTERS)


def blue(rng):
    return _single("blue", "blue", _head(rng) + _serial(rng, 5))


def yellow(rng):
    return _single("yellow", "yellow", _head(rng) + _serial(rng, 5))


def yellow_double(rng):
    return _double("yellow-double", "yellow", _head(rng) + _serial(rng, 5))


def trailer(rng):
    return _double("trailer", "yellow", _head(rng) + _serial(rng, 4) + "挂")


def learner(rng):
    return _single("learner", "yellow", _head(rng) + _serial(rng, 4) + "学")


def _green(kind, colour, text):
    """480 x 140: 45 then seven of 43, gaps of 9, 49 at the badge."""
    x, cells = 15.5, []
    for i, symbol in enumerate(text):
        width = 45 if i == 0 else 43
        cells.append(Cell(symbol, (x, 25, width, 90)))
        x += width + (49 if i == 1 else 9)
    return Plate(kind, colour, (480, 140), cells, badge=(137, 70))


def green_small(rng):
    mark = _pick(rng, "DF" if rng.random() < 0.6 else NEW_ENERGY)
    second = _pick(rng, LETTERS) if rng.random() < 0.35 else _pick(rng, DIGITS)
    return _green("green-small", "green", _head(rng) + mark + second + _digits(rng, 4))


def green_large(rng):
    mark = _pick(rng, "DF" if rng.random() < 0.6 else NEW_ENERGY)
    return _green("green-large", "yellow-green", _head(rng) + _digits(rng, 5) + mark)


def police(rng):
    inks = ["main"] * 6 + ["red"]
    return _single("police", "white", _head(rng) + _serial(rng, 4, rng.integers(2)) + "警", 1, inks)


def armed_police(rng):
    """WJ, the province, five symbols (approximate geometry)."""
    text = "WJ" + _pick(rng, PROVINCES) + _serial(rng, 5, rng.integers(2))
    inks = ["red"] * 3 + ["main"] * 5
    return _single("armed-police", "white", text, 3, inks)


def armed_police_double(rng):
    text = "WJ" + _pick(rng, PROVINCES) + _serial(rng, 5, rng.integers(2))
    top = _row(text[:3], 15, 70, 60, [20, 40], 440, inks=["red"] * 3)
    low = _row(text[3:], 90, 65, 110, [15] * 4, 440)
    return Plate("armed-police-double", "white", (440, 220), top + low)


def military(rng):
    text = _pick(rng, MILITARY) + _pick(rng, LETTERS) + _digits(rng, 5)
    return _single("military", "white", text, 2, ["red"] * 2 + ["main"] * 5)


def embassy(rng):
    if rng.random() < 0.5:
        return _single("embassy", "black", _digits(rng, 6) + "使", 3, ["main"] * 6 + ["red"])
    return _single("embassy", "black", "使" + _digits(rng, 6), 4, ["red"] + ["main"] * 6)


def consulate(rng):
    return _single("consulate", "black", _head(rng) + _digits(rng, 4) + "领", 2, ["main"] * 6 + ["red"])


def hong_kong_macau(rng):
    return _single("hk-macau", "black", "粤Z" + _serial(rng, 4) + _pick(rng, "港澳"))


def black_old(rng):
    """Foreign-owned vehicles of the older series: white on black, ordinary text."""
    return _single("black", "black", _head(rng) + _serial(rng, 5))


def rescue(rng):
    """Emergency rescue: province, X, four symbols, 应急 in red (approximate geometry)."""
    text = _pick(rng, PROVINCES) + "X" + _serial(rng, 4, rng.integers(2)) + "应急"
    return _single("rescue", "white", text, 2, ["main"] * 6 + ["red"] * 2)


def motorcycle(rng):
    colour = "yellow" if rng.random() < 0.7 else "blue"
    return _double("motorcycle", colour, _head(rng) + _serial(rng, 5), (220, 140))


def tractor(rng):
    """White on green, two rows: province and number above, five digits below (approximate geometry)."""
    text = _pick(rng, PROVINCES) + _digits(rng, 2) + _digits(rng, 5)
    top = _row(text[:3], 11, 50, 46, [16, 10], 300)
    low = _row(text[3:], 67, 44, 84, [10] * 4, 300)
    return Plate("tractor", "green", (300, 165), top + low)


#: kind → (maker, share in training)
KINDS = {
    "blue": (blue, 0.34),
    "yellow": (yellow, 0.09),
    "yellow-double": (yellow_double, 0.09),
    "trailer": (trailer, 0.03),
    "learner": (learner, 0.03),
    "green-small": (green_small, 0.17),
    "green-large": (green_large, 0.06),
    "police": (police, 0.04),
    "armed-police": (armed_police, 0.015),
    "armed-police-double": (armed_police_double, 0.01),
    "military": (military, 0.015),
    "embassy": (embassy, 0.02),
    "consulate": (consulate, 0.01),
    "hk-macau": (hong_kong_macau, 0.02),
    "black": (black_old, 0.01),
    "rescue": (rescue, 0.01),
    "motorcycle": (motorcycle, 0.03),
    "tractor": (tractor, 0.01),
}


def sample(rng, kind=None):
    """A random plate; `kind` from `KINDS` or, three times in four, drawn by its share, else any kind alike."""
    names = list(KINDS)
    if kind is None and rng.random() < 0.25:
        kind = names[rng.integers(len(names))]
    if kind is None:
        shares = np.array([KINDS[n][1] for n in names])
        kind = names[rng.choice(len(names), p=shares / shares.sum())]
    return KINDS[kind][0](rng)


def from_text(text, colour):
    """A plate that says `text`, for pictures whose content is given (the demo clip)."""
    makers = {("blue", 7): _single, ("yellow", 7): _single, ("white", 7): _single, ("black", 7): _single}
    if colour == "green":
        return _green("green-small", "green", text)
    if colour == "yellow-green":
        return _green("green-large", "yellow-green", text)
    if colour == "yellow-double":
        return _double("yellow-double", "yellow", text)
    return makers[(colour, len(text))](colour, colour, text)
