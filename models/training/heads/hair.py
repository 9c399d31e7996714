"""Hair: where it lies, how far it stands off, how it looks; caps and hoods too."""
import cv2
import numpy as np

from . import shape

_ANGLES = (0.0, 0.35, 0.7, 1.05, 1.35, 1.75, 2.2, np.pi)

#: Lower edge of the hair over the angle, how far it stands off, how far it hangs over that.
STYLES = {
    "short": ((0.64, 0.62, 0.50, 0.22, -0.05, 0.02, -0.50, -0.60), 0.075),
    "buzz": ((0.64, 0.62, 0.52, 0.26, -0.02, 0.05, -0.48, -0.56), 0.02),
    "receding": ((0.80, 0.90, 0.80, 0.30, -0.03, 0.03, -0.50, -0.58), 0.045),
    "bald": ((1.5, 1.5, 1.5, 0.28, -0.03, 0.03, -0.48, -0.55), 0.03),
    "side": ((0.58, 0.58, 0.46, 0.20, -0.06, 0.02, -0.52, -0.62), 0.11),
    "fringe": ((0.30, 0.31, 0.33, 0.10, -0.55, -0.70, -0.80, -0.85), 0.10),
    "bob": ((0.62, 0.58, 0.40, -0.10, -0.72, -0.80, -0.85, -0.85), 0.12),
    "long": ((0.62, 0.58, 0.40, -0.20, -1.45, -1.55, -1.55, -1.55), 0.11),
    "bun": ((0.60, 0.56, 0.46, 0.30, 0.14, 0.16, -0.40, -0.55), 0.05),
    "curly": ((0.58, 0.56, 0.42, 0.15, -0.12, -0.15, -0.55, -0.65), 0.13),
    "afro": ((0.58, 0.56, 0.44, 0.16, -0.10, -0.10, -0.55, -0.65), 0.20),
}
BALD_TOP = 0.42


def edge(person, theta):
    """Lower edge of the hair (y) over the angle."""
    line = np.interp(np.abs(theta), _ANGLES, STYLES[person.style][0])
    line = line + person.m["hairline"] * np.clip(1.2 - np.abs(theta), 0, 1)
    if person.style in ("side", "bob", "long"):
        line = line + 0.09 * person.part * np.sin(theta) * (np.abs(theta) < 1.0)
    return line


def cover(person, theta=shape.THETA, y=shape.Y, ragged=None):
    """Share of hair 0..1 over a grid; `ragged` (rows x columns, about -1..1) breaks its edge into strands."""
    above = y[:, None] - edge(person, theta)[None]
    if ragged is not None:
        above = above + 0.045 * ragged
    share = np.clip(above / 0.05 + 0.5, 0, 1)
    if person.style == "bald":
        share = share * np.clip((BALD_TOP - y) / 0.08, 0, 1)[:, None]
    return share.astype(np.float32)


def stand_off(person, seed):
    """How far the hair lifts the surface, over the grid of `shape`."""
    style, volume = person.style, person.volume
    amount = STYLES[style][1] * (volume if style != "afro" else 0.6 + 0.4 * volume)
    lift = np.full((shape.ROWS, shape.COLUMNS), amount, np.float32)
    noise = waves(np.random.default_rng(seed), lift.shape, 34 if style in ("curly", "afro") else 12)
    lift *= 1 + (0.5 if style in ("curly", "afro") else 0.18) * (noise - 0.5) * np.clip((0.95 - shape.Y) / 0.4, 0, 1)[:, None]
    if style == "side":
        lift *= 1 + 0.55 * person.part * np.sin(shape.THETA)[None]
    return lift


def waves(rng, size, cells):
    """Smooth noise 0..1."""
    rows = max(2, cells * size[0] // max(size))
    small = rng.random((rows + 1, cells + 1), np.float32)
    small[:, -1] = small[:, 0]
    return cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def strands(rng, size):
    """Noise along the height, -1..1: single strands."""
    fine = rng.random((5, size[1] // 2), np.float32)
    coarse = rng.random((3, size[1] // 8), np.float32)
    mix = cv2.resize(fine, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) + cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return (mix - 1.0) * np.clip(np.linspace(0, 3.5, size[0], dtype=np.float32), 0.25, 1)[:, None]


def of(person):
    """(cover, stand-off) for `shape.surface`."""
    return cover(person), stand_off(person, person.texture_seed)


def cap(brim):
    """(cover, brim) of a cap or, without a brim, of a woollen hat."""
    share = np.clip((shape.Y - (0.44 if brim else 0.40)) / 0.03, 0, 1)[:, None]
    return np.broadcast_to(share, (shape.ROWS, shape.COLUMNS)).astype(np.float32), brim
