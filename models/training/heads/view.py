"""Looks at a head: rays into its surface, light, what is worn in front of it; exact landmarks in the picture.

Weak perspective. For every pixel a ray is followed to the first point of the distance map (`shape`), which gives a true
silhouette and hidden parts; the flat picture (`skin`) is looked up there and lit.
"""
from dataclasses import dataclass, field

import cv2
import numpy as np

from . import hair, shape, skin

_STEPS, _NEAR, _FAR = 28, 1.35, -1.3


@dataclass(frozen=True)
class View:
    """Where the head is and how it is turned: degrees; yaw > 0 turns the nose to the right of the picture, pitch > 0 down."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    #: Pixels to half a head's height.
    scale: float = 40.0
    #: Middle of the head in pixels.
    centre: tuple = (64.0, 60.0)
    #: (width, height) of the picture.
    size: tuple = (128, 128)


@dataclass(frozen=True)
class Light:
    """Lamp and surroundings."""

    #: Towards the lamp, camera frame (x right, y up, z to the camera).
    direction: tuple = (0.3, 0.5, 0.8)
    key: tuple = (0.72, 0.72, 0.72)
    ambient: tuple = (0.52, 0.52, 0.52)
    shine: float = 0.35


@dataclass(frozen=True)
class Worn:
    """What hides parts of the face: colours of a mask and a hat, glasses as from `draw.glasses`."""

    mask: tuple | None = None
    hat: tuple | None = None
    glasses: dict | None = None


@dataclass
class Head:
    """A head made ready: surface and flat picture. Any number of views may be taken of it."""

    person: object
    expression: object
    worn: Worn = field(default_factory=Worn)

    def __post_init__(self):
        person, e, worn = self.person, self.expression, self.worn
        cap = hair.cap(worn.hat[1]) if worn.hat else None
        self.rho, self.bare, shade = shape.surface(person, e, hair.of(person), worn.mask is not None, cap)
        self.normals = _normals(self.rho)
        self.flat = skin.texture(person, e, worn.mask, worn.hat)
        self.flat[..., :3] *= cv2.resize(shade, (skin.COLUMNS, skin.ROWS), interpolation=cv2.INTER_LINEAR)[..., None]


def _normals(rho):
    """Outward normals of the surface in the head's frame, ROWS x COLUMNS x 3."""
    sin, cos = np.sin(shape.THETA)[None], np.cos(shape.THETA)[None]
    wrapped = np.concatenate([rho[:, -1:], rho, rho[:, :1]], 1)
    turn = (wrapped[:, 2:] - wrapped[:, :-2]) * (shape.COLUMNS / (4 * np.pi))
    rise = -np.gradient(rho, (shape.Y_HIGH - shape.Y_LOW) / shape.ROWS, axis=0)
    radius = np.maximum(rho, 0.02)
    n = np.stack([sin - turn / radius * cos, -rise, cos + turn / radius * sin], 2)
    return (n / np.linalg.norm(n, axis=2, keepdims=True)).astype(np.float32)


def rotation(view):
    """Head frame → camera frame."""
    a, b, c = np.radians([view.yaw, view.pitch, view.roll])
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    roll = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (roll @ pitch @ yaw).astype(np.float32)


def project(points, view):
    """N x 3 in the head's frame → N x 2 pixels."""
    seen = np.asarray(points, np.float32) @ rotation(view).T
    return np.stack([view.centre[0] + view.scale * seen[:, 0], view.centre[1] - view.scale * seen[:, 1]], 1)


def landmarks(head, view):
    """Five points in the picture, 5 x 2: eyes, nose, corners of the mouth, left in a frontal picture first."""
    return project(shape.landmarks(head.bare, head.person, head.expression), view)


def box(head, view):
    """x0 y0 x1 y1 of the face."""
    points = project(shape.outline(head.bare, head.expression), view)
    return np.concatenate([points.min(0), points.max(0)])


def shoot(head, view, light=Light()):
    """RGBA float32 (0..255, alpha 0..1) of `view.size`, premultiplied nothing; the head, its hair and its neck."""
    turn = rotation(view)
    w, h = view.size
    reach = 1.75 * view.scale
    x0, x1 = max(0, int(view.centre[0] - reach)), min(w, int(view.centre[0] + reach) + 1)
    y0, y1 = max(0, int(view.centre[1] - reach)), min(h, int(view.centre[1] + 1.15 * reach) + 1)
    out = np.zeros((h, w, 4), np.float32)
    if x1 <= x0 or y1 <= y0:
        return out
    x = (np.arange(x0, x1, dtype=np.float32) - view.centre[0]) / view.scale
    y = (view.centre[1] - np.arange(y0, y1, dtype=np.float32)) / view.scale
    grid = np.stack(np.meshgrid(x, y), 2).astype(np.float32)
    depth, gap = _march(head.rho, turn, grid)
    point = grid[..., :1] * turn[0] + grid[..., 1:] * turn[1] + depth[..., None] * turn[2]
    theta = np.arctan2(point[..., 0], point[..., 2])
    colour = _lit(head, view, light, turn, theta, point[..., 1])
    alpha = np.clip(1 - gap * view.scale, 0, 1)
    window = np.dstack([colour, alpha])
    if head.worn.glasses:
        _glasses(window, head, view, depth, (x0, y0))
    out[y0:y1, x0:x1] = window
    return out


def _march(rho, turn, grid):
    """Depth of the first hit for every ray, else of the nearest miss; the distance to the surface there (negative: hit)."""
    ahead = turn[2]
    base = grid[..., :1] * turn[0] + grid[..., 1:] * turn[1]
    bx, by, bz = (np.ascontiguousarray(base[..., k]) for k in range(3))
    rows, columns = rho.shape
    u_scale, v_scale = columns / (2 * np.pi), rows / (shape.Y_HIGH - shape.Y_LOW)
    t = np.sqrt(np.clip(_NEAR ** 2 - (grid[..., 0] / 1.2) ** 2, 0, None)).astype(np.float32)
    least, nearest, outside, inside = np.full_like(t, 9.0), t.copy(), t.copy(), np.full_like(t, np.nan)
    for _ in range(_STEPS):
        x, z = bx + t * ahead[0], bz + t * ahead[2]
        u = (np.arctan2(x, z) + np.pi) * u_scale - 0.5
        v = (shape.Y_HIGH - (by + t * ahead[1])) * v_scale - 0.5
        away = np.sqrt(x * x + z * z) - cv2.remap(rho, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        np.copyto(nearest, t, where=away < least)
        np.minimum(least, away, out=least)
        hit = away < 0
        inside[hit] = t[hit]
        np.copyto(outside, t, where=~hit)
        found = inside < 9
        t = np.where(found, (outside + inside) / 2, np.maximum(t - np.clip(0.65 * away, 0.045, 0.30), _FAR))
    return np.where(found, t, nearest), np.where(found, -1.0, least)


def _lit(head, view, light, turn, theta, y):
    u, v = shape.to_grid(theta, y, head.rho.shape)
    normal = cv2.remap(head.normals, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    source = head.flat
    u, v = shape.to_grid(theta, y, source.shape)
    paint = cv2.remap(source, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    towards = np.asarray(light.direction, np.float32)
    towards = towards / np.linalg.norm(towards)
    half = towards + [0, 0, 1]
    half = half / np.linalg.norm(half)
    diffuse = np.clip((normal @ (towards @ turn).astype(np.float32) + 0.22) / 1.22, 0, 1)[..., None]
    upward = 0.85 + 0.15 * (normal @ turn[1])[..., None]
    shine = np.clip(normal @ (half @ turn).astype(np.float32), 0, 1) ** 24
    colour = paint[..., :3] * (np.asarray(light.ambient, np.float32) * upward + np.asarray(light.key, np.float32) * diffuse)
    return colour + (shine * paint[..., 3] * (light.shine * 200))[..., None] * np.asarray(light.key, np.float32)


def _glasses(window, head, view, depth, corner):
    """Rims, bridge and the visible parts of the temples; tinted lenses."""
    g, person, e = head.worn.glasses, head.person, head.expression
    m = person.m
    t = np.linspace(0, 2 * np.pi, 25)
    power = g["square"]
    unit = np.stack([np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power, np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power], 1)
    front = float(shape.at(head.bare, [0.0], [m["eye_y"] + 0.05])[0, 2]) + 0.06
    rims, thick = [], max(1, round(g["thick"] * view.scale))
    for side in (-1, 1):
        rim = np.column_stack([side * g["apart"] + unit[:, 0] * g["wide"], m["eye_y"] - 0.02 + unit[:, 1] * g["high"], front - 0.10 * np.abs(side * g["apart"] + unit[:, 0] * g["wide"]) ** 2 * 2])
        rims.append(project(rim, view) - corner)
        arm = np.linspace([side * (g["apart"] + g["wide"]), m["eye_y"] + 0.02, front - 0.2], [side * (m["width"] + 0.05), m["eye_y"], 0.0], 14)
        _arm(window, arm, head, view, depth, corner, g["colour"], thick)
    bridge = project([[-g["apart"] + g["wide"], m["eye_y"] + 0.02, front], [0, m["eye_y"] + 0.05, front + 0.02], [g["apart"] - g["wide"], m["eye_y"] + 0.02, front]], view) - corner
    for rim in rims:
        if g["tint"] > 0:
            mask = np.zeros(window.shape[:2], np.uint8)
            cv2.fillPoly(mask, [np.round(rim * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            share = (mask.astype(np.float32) / 255 * g["tint"])[..., None]
            window[..., :3] += share * (np.asarray(g["lens"], np.float32) - window[..., :3])
            window[..., 3] = np.maximum(window[..., 3], share[..., 0])
        _stroke(window, rim, g["colour"], thick)
    _stroke(window, bridge, g["colour"], thick)


def _arm(window, arm, head, view, depth, corner, colour, thick):
    seen = arm @ rotation(view).T
    spots = project(arm, view) - corner
    inner = np.clip(np.round(spots).astype(int), 0, [window.shape[1] - 1, window.shape[0] - 1])
    visible = (seen[:, 2] > depth[inner[:, 1], inner[:, 0]] - 0.10) | (window[inner[:, 1], inner[:, 0], 3] < 0.5)
    for k in range(len(arm) - 1):
        if visible[k] and visible[k + 1]:
            _stroke(window, spots[k:k + 2], colour, thick)


def _stroke(window, line, colour, thick):
    mask = np.zeros(window.shape[:2], np.uint8)
    cv2.polylines(mask, [np.round(line * 16).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)
    share = mask.astype(np.float32)[..., None] / 255
    window[..., :3] += share * (np.asarray(colour, np.float32) - window[..., :3])
    window[..., 3] = np.maximum(window[..., 3], share[..., 0])
