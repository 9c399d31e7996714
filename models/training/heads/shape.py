"""The surface of a head: its distance from the upright axis, for every direction and height.

A head is a distance map rho(theta, y): theta is the angle about the axis (0 faces the camera, +pi/2 is right in the picture), y the
height. Skull, neck, features, hair and a hat are added up in it; exact positions of landmarks are read from it.
"""
import cv2
import numpy as np

COLUMNS, ROWS = 224, 168
Y_LOW, Y_HIGH = -1.62, 1.26
#: Features are laid out flat: s = ARC * theta.
ARC = 0.78

THETA = ((np.arange(COLUMNS) + 0.5) / COLUMNS * 2 * np.pi - np.pi).astype(np.float32)
Y = (Y_HIGH - (np.arange(ROWS) + 0.5) / ROWS * (Y_HIGH - Y_LOW)).astype(np.float32)
S = THETA * ARC
SIN, COS = np.abs(np.sin(THETA))[None], np.cos(THETA)[None]


def bump(rho, s, y, wide, high, amount):
    """Adds a soft hill with its middle at (s, y)."""
    rho += np.exp(-((Y - y) / high) ** 2 / 2)[:, None] * (amount * np.exp(-((S - s) / wide) ** 2 / 2))[None]


def profile(heights, values, y=Y, smooth=5):
    """A smooth curve over y through (height, value) points given from top to bottom."""
    line = np.interp(y, heights[::-1], values[::-1]).astype(np.float32)
    return cv2.GaussianBlur(line[:, None], (1, 2 * smooth + 1), smooth / 2, borderType=cv2.BORDER_REPLICATE)


def dome(y, start, end):
    """1 up to `start`, round to 0 at `end`."""
    t = np.clip((y - start) / (end - start), 0, 1)
    return np.sqrt(1 - t * t)[:, None]


def dropped(expression):
    """How far the open mouth moves the chin down."""
    return 0.13 * expression.open


def skull(person, expression, lift=0.0):
    """Head without features; `lift` grows it on all sides, for hair."""
    m, drop = person.m, dropped(expression)
    y = np.where(Y < -0.55, -0.55 + (Y + 0.55) * 0.45 / (0.45 + drop), Y)
    width = profile([1.0, 0.6, 0.3, 0.0, -0.25, -0.55, -0.75, -0.9, -1.0],
                    [m["width"] * 0.97, m["width"], m["width"], m["width"] * 0.985, m["width"] * 0.93, m["jaw"] + 0.03, (m["jaw"] + m["chin_width"]) / 2 + 0.06, m["chin_width"] + 0.05, m["chin_width"]], y)
    depth = m["depth"]
    front = profile([1.0, 0.55, 0.3, 0.05, -0.3, -0.6, -0.85, -1.0], [depth, depth + m["forehead"], depth + 0.01 + m["forehead"] / 2, depth - 0.02, depth, depth, depth - 0.02 + m["chin"], depth - 0.05], y)
    back = profile([1.0, 0.5, 0.1, -0.3, -0.6, -1.0], [0.86, 0.92, 0.9, 0.74, 0.4, 0.2], y)
    depths = np.where(COS > 0, front + lift, back + lift)
    power = 2.35
    rho = ((SIN / (width + lift)) ** power + (np.abs(COS) / depths) ** power) ** (-1 / power)
    return rho * dome(y, 0.30, 1.0 + lift) * dome(-y, 0.74, 1.0 + 0.6 * lift)


def neck(person):
    r, shift = person.m["neck"], -0.14
    flare = np.clip((-1.25 - Y) / 0.4, 0, 1)[:, None] ** 2 * 0.25
    rho = shift * COS + np.sqrt(np.maximum((r + flare) ** 2 - (shift * SIN) ** 2, 1e-4))
    return rho * (Y < 0)[:, None]


def features(rho, person, e):
    """Nose, eyes, brows, cheeks, lips, chin, ears: added to `rho` in place."""
    m = person.m
    eye, tip = m["eye_y"], nose_tip(person)
    down = np.clip((eye + 0.10 - Y) / (eye + 0.10 - tip), 0, 1)
    height = np.interp(down, [0, 0.25, 0.55, 0.9, 1.0], [0.0, m["bridge"], (m["bridge"] + m["nose_height"]) / 2 + m["nose_hump"], m["nose_height"], m["nose_height"]])
    under = np.clip((Y - (tip - 0.085)) / 0.07, 0, 1)
    half = np.interp(down, [0, 0.5, 1], [0.05, 0.055, m["nose_width"] * 0.68])
    rho += np.exp(-(S[None] / half[:, None]) ** 2 / 1.6) * (height * under * (Y < eye + 0.1))[:, None]
    for side in (-1, 1):
        bump(rho, side * m["nose_width"], tip - 0.02, 0.035, 0.04, 0.055)
        bump(rho, side * m["eye_x"], eye, 0.13, 0.085, -m["socket"])
        bump(rho, side * m["eye_x"], eye, 0.07, 0.05, 0.035)
        bump(rho, side * (m["eye_x"] + 0.02), m["brow_y"] + eye + 0.04 * e.brows, 0.15, 0.045, m["brow_ridge"])
        bump(rho, side * 0.43, -0.2 + 0.05 * e.cheeks, 0.13, 0.12, m["cheek"] + 0.015)
        bump(rho, side * 0.30, -0.33 + 0.03 * e.cheeks, 0.09, 0.08, 0.045 * e.cheeks)
        bump(rho, side * 0.42, -0.55, 0.12, 0.14, -m["hollow"])
        bump(rho, side * 1.57 * ARC, eye - 0.13, 0.05, m["ear_size"] * 0.6, m["ear"])
    mouth = mouth_y(person)
    bump(rho, 0, mouth + 0.04, 0.13, 0.035, m["lip_depth"])
    bump(rho, 0, mouth - 0.05 - 0.5 * lip_gap(e), 0.11, 0.035, m["lip_depth"] * 1.1)
    bump(rho, 0, mouth - 0.5 * lip_gap(e), 0.10, 0.02 + 0.4 * lip_gap(e), -0.02 - 0.07 * e.open)
    bump(rho, 0, mouth - 0.135 - lip_gap(e), 0.10, 0.03, -0.025)
    bump(rho, 0, -0.86 - dropped(e), 0.13, 0.08, 0.03 + m["chin"])


def lip_gap(e):
    """Height of the opening between the lips."""
    return 0.21 * e.open


def nose_tip(person):
    return person.m["eye_y"] + 0.04 - person.m["nose_length"] + person.m["nose_turn"]


def mouth_y(person):
    return nose_tip(person) - 0.03 - person.m["mouth_gap"]


def mouth_half(person, e):
    return person.m["mouth_width"] * (1 + 0.28 * e.wide - 0.12 * e.open)


def corner_y(person, e):
    return mouth_y(person) + 0.092 * e.corners + 0.004 - 0.45 * lip_gap(e)


def surface(person, e, hair, mask=False, hat=None):
    """(rho, the same without hair and cloth, occlusion of the ambient light 0..1), each ROWS x COLUMNS; `hair` and `hat` as from `hair`."""
    bare = skull(person, e)
    features(bare, person, e)
    throat = neck(person)
    bare = _smooth_max(bare, throat, 0.05 * (Y < -0.3)[:, None])
    rho = bare
    if mask:
        cloth = skull(person, e, 0.035)
        bump(cloth, 0, nose_tip(person) + 0.06, 0.12, 0.16, 0.15)
        inside = mask_cover(person, e)
        rho = rho * (1 - inside) + np.maximum(rho, cloth) * inside
    cover, lift = hair
    if lift.max() > 0:
        rho = rho + np.maximum(0, lifted(person, e, lift, rho) - rho) * cover
    if hat is not None:
        shell = np.maximum(skull(person, e, 0.09), rho * (Y < 0.95)[:, None])
        bump(shell, 0, 0.47, 0.42, 0.025, 0.42 if hat[1] else 0.0)
        rho = rho * (1 - hat[0]) + shell * hat[0]
    soft = cv2.GaussianBlur(rho, (0, 0), 7)
    shade = 1 - 3.2 * np.clip(soft - rho - 0.004, 0, 0.12)
    shade *= 1 - 0.45 * np.clip((-0.86 - dropped(e) - Y) / 0.12, 0, 1)[:, None] * np.clip((rho < throat + 0.3) * 1.0, 0.35, 1)
    rho = np.where(rho < 1e-3, -0.1, rho)
    return np.ascontiguousarray(rho, np.float32), np.ascontiguousarray(bare, np.float32), shade.astype(np.float32)


def lifted(person, e, lift, rho):
    """The outside of the hair; below the jaw it hangs from where it left the head."""
    shell = skull(person, e, min(float(lift.max()), 0.2))
    edge = shell[(Y < -0.15).argmax()][None]
    hanging = np.maximum(shell, edge * np.clip(1.0 - 0.12 * np.maximum(-0.15 - Y, 0), 0.6, 1)[:, None])
    return rho + np.maximum(np.where((Y < -0.15)[:, None], hanging, shell) - rho, 0) * (lift / max(float(lift.max()), 1e-6))


def mask_cover(person, e):
    """Where a face mask lies, 0..1."""
    top = nose_tip(person) + 0.17 - 0.10 * np.abs(S) / 0.5
    rows = np.clip((top[None] - Y[:, None]) / 0.03, 0, 1) * np.clip((Y[:, None] + 0.97 + dropped(e)) / 0.05, 0, 1)
    return (rows * np.clip((0.78 - np.abs(S)) / 0.05, 0, 1)[None]).astype(np.float32)


def _smooth_max(a, b, k):
    h = np.clip(0.5 + 0.5 * (a - b) / np.maximum(k, 1e-6), 0, 1)
    return b + (a - b) * h + k * h * (1 - h)


def at(rho, s, y):
    """The point of the surface at flat coordinates (arrays): N x 3 in the head's own frame."""
    s, y = np.atleast_1d(np.asarray(s, np.float32)), np.atleast_1d(np.asarray(y, np.float32))
    theta = s / ARC
    u, v = to_grid(theta, y, rho.shape)
    r = cv2.remap(rho, u[None], v[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.stack([r * np.sin(theta), y, r * np.cos(theta)], 1)


def to_grid(theta, y, shape):
    """(column, row) of a map of `shape` for the direction and the height."""
    u = (theta + np.pi) * (shape[1] / (2 * np.pi)) - 0.5
    v = (Y_HIGH - y) * (shape[0] / (Y_HIGH - Y_LOW)) - 0.5
    return u.astype(np.float32), v.astype(np.float32)


def landmarks(rho, person, e):
    """Eyes, nose, corners of the mouth (left in the picture first): 5 x 3."""
    m = person.m
    half, corner = mouth_half(person, e), corner_y(person, e)
    tip = nose_tip(person) + 0.05  # where the ridge is highest; below it the nose turns back to the lip
    return at(rho, [-m["eye_x"], m["eye_x"], 0.0, -half, half], [m["eye_y"], m["eye_y"], tip, corner, corner])


def outline(rho, e):
    """Points of the face, for its box: forehead to chin, cheek to cheek."""
    s, y = np.meshgrid(np.linspace(-1.35, 1.35, 9) * ARC, np.linspace(0.62, -0.99 - dropped(e), 9))
    return at(rho, s.ravel(), y.ravel())
