"""Drawn vehicles seen from the front or behind, flat, in millimetres, with the place where the plate hangs.

Plain shapes with shading: no photograph of anybody's car is needed for scenes or for the demonstration clip.
"""
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass
class Vehicle:
    """`image` float32 RGB and `alpha` 0..1 at `scale` px per mm; `plate` = (x, y) of the plate's centre in mm."""

    image: np.ndarray
    alpha: np.ndarray
    plate: tuple
    scale: float
    size: tuple


def _polygon(image, points, colour, scale):
    cv2.fillPoly(image, [np.round(np.array(points) * scale * 16).astype(np.int32)], tuple(float(c) for c in colour), cv2.LINE_AA, 4)


def _mirror(points, width):
    return [(width - x, y) for x, y in points]


def _shade(image, alpha, rng):
    h, w = alpha.shape
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, w, dtype=np.float32)[None]
    shade = 1.12 - 0.35 * y - 0.22 * x ** 2 + 0.08 * np.sin(y * rng.uniform(6, 14) + rng.uniform(0, 6))
    return np.clip(image * shade[..., None], 0, 255)


def _lamps(image, box, rng, rear, scale, width):
    x, y, w, h = box
    lens = (rng.uniform(150, 215), rng.uniform(15, 40), 25) if rear else np.full(3, rng.uniform(190, 245))
    left = [(x, y + h * 0.15), (x + w, y), (x + w * 0.85, y + h), (x + w * 0.08, y + h * 0.9)]
    for points in (left, _mirror(left, width)):
        _polygon(image, points, (35, 35, 38), scale)
        centre = np.mean(points, 0)
        _polygon(image, [tuple(centre + (np.array(p) - centre) * 0.86) for p in points], lens, scale)


def _grille(image, box, rng, scale):
    x, y, w, h = box
    _polygon(image, [(x, y), (x + w, y), (x + w * 0.93, y + h), (x + w * 0.07, y + h)], (28, 28, 30), scale)
    bars = int(rng.integers(3, 8))
    vertical = rng.random() < 0.3
    for i in range(1, bars):
        if vertical:
            a, b = (x + w * i / bars, y + 8), (x + w * i / bars, y + h - 8)
        else:
            a, b = (x + w * 0.06, y + h * i / bars), (x + w * 0.94, y + h * i / bars)
        cv2.line(image, tuple(int(v * scale) for v in a), tuple(int(v * scale) for v in b), (120.0, 122.0, 126.0), max(1, int(9 * scale)), cv2.LINE_AA)
    cv2.circle(image, (int((x + w / 2) * scale), int((y + h / 2) * scale)), max(2, int(h * 0.3 * scale)), (200.0, 202.0, 205.0), max(1, int(12 * scale)), cv2.LINE_AA)


def car(rng, paint=None, rear=None, scale=0.35):
    """A car about 1800 mm wide and 1450 mm high."""
    width, height = 1800 + rng.uniform(-60, 80), 1450 + rng.uniform(-40, 260)
    rear = bool(rng.random() < 0.5) if rear is None else rear
    paint = rng.uniform(20, 235) + rng.normal(0, 30, 3) if paint is None else np.array(paint, float)
    paint = np.clip(paint, 12, 240)
    size = (int(width * scale) + 2, int(height * scale) + 2)
    image, alpha = np.zeros((size[1], size[0], 3), np.float32), np.zeros((size[1], size[0], 3), np.float32)
    waist, floor = height * rng.uniform(0.42, 0.48), height * 0.88
    roof_in, roof_y = width * rng.uniform(0.17, 0.22), height * 0.03
    body = [(roof_in, roof_y), (width - roof_in, roof_y), (width * 0.94, waist), (width - 8, waist + 90), (width - 8, floor), (8, floor), (8, waist + 90), (width * 0.06, waist)]
    for x in (0.05, 0.80):
        wheel = [(width * x, height * 0.7), (width * (x + 0.15), height * 0.7), (width * (x + 0.145), height - 4), (width * (x + 0.005), height - 4)]
        _polygon(image, wheel, (22, 22, 24), scale)
        _polygon(alpha, wheel, (1, 1, 1), scale)
    _polygon(image, body, paint, scale)
    _polygon(alpha, body, (1, 1, 1), scale)
    glass = [(roof_in + 50, roof_y + 50), (width - roof_in - 50, roof_y + 50), (width * 0.89, waist - 25), (width * 0.11, waist - 25)]
    _polygon(image, glass, np.full(3, rng.uniform(25, 90)) + (0, 6, 14), scale)
    _polygon(image, [glass[0], (width * 0.42, glass[0][1]), (width * 0.30, waist - 25), glass[3]], np.full(3, rng.uniform(70, 130)), scale)
    lamp_y = waist + rng.uniform(70, 130)
    _lamps(image, (width * 0.035, lamp_y, width * rng.uniform(0.17, 0.24), rng.uniform(110, 190)), rng, rear, scale, width)
    bumper = height * rng.uniform(0.66, 0.72)
    if rear:
        plate = (width / 2, lamp_y + rng.uniform(90, 260))
        panel = np.clip(paint * 0.85, 0, 255)
    else:
        _grille(image, (width * 0.29, lamp_y - 20, width * 0.42, rng.uniform(120, 200)), rng, scale)
        plate = (width / 2, bumper + rng.uniform(60, 110))
        panel = np.clip(paint * 0.8, 0, 255)
    cv2.line(image, (int(10 * scale), int(bumper * scale)), (int((width - 10) * scale), int(bumper * scale)), tuple(map(float, paint * 0.55)), max(1, int(14 * scale)), cv2.LINE_AA)
    _polygon(image, [(width * 0.12, floor - 110), (width * 0.88, floor - 110), (width * 0.84, floor - 12), (width * 0.16, floor - 12)], (38, 38, 40), scale)
    px, py = plate
    _polygon(image, [(px - 290, py - 105), (px + 290, py - 105), (px + 275, py + 105), (px - 275, py + 105)], panel, scale)
    image = _shade(image, alpha[..., 0], rng)
    return Vehicle(image, alpha, plate, scale, (width, height))


def lorry(rng, paint=None, scale=0.3):
    """A lorry or coach from the front, 2450 mm wide; room for a plate of two rows."""
    width, height = 2450.0, 2700 + rng.uniform(0, 300)
    paint = np.clip(rng.uniform(40, 235) + rng.normal(0, 40, 3) if paint is None else np.array(paint, float), 15, 240)
    size = (int(width * scale) + 2, int(height * scale) + 2)
    image, alpha = np.zeros((size[1], size[0], 3), np.float32), np.zeros((size[1], size[0], 3), np.float32)
    for x in (0.03, 0.82):
        wheel = [(width * x, height * 0.8), (width * (x + 0.15), height * 0.8), (width * (x + 0.15), height - 4), (width * x, height - 4)]
        _polygon(image, wheel, (20, 20, 22), scale)
        _polygon(alpha, wheel, (1, 1, 1), scale)
    body = [(90, 30), (width - 90, 30), (width - 10, height * 0.3), (width - 10, height * 0.92), (10, height * 0.92), (10, height * 0.3)]
    _polygon(image, body, paint, scale)
    _polygon(alpha, body, (1, 1, 1), scale)
    _polygon(image, [(190, 380), (width - 190, 380), (width - 140, height * 0.47), (140, height * 0.47)], (40, 48, 56), scale)
    _polygon(image, [(190, 380), (900, 380), (700, height * 0.47), (140, height * 0.47)], (95, 102, 110), scale)
    _grille(image, (560, height * 0.53, width - 1120, height * 0.13), rng, scale)
    _lamps(image, (110, height * 0.70, 380, 190), rng, False, scale, width)
    _polygon(image, [(10, height * 0.81), (width - 10, height * 0.81), (width - 60, height * 0.92), (60, height * 0.92)], (58, 58, 60), scale)
    image = _shade(image, alpha[..., 0], rng)
    return Vehicle(image, alpha, (width / 2, height * 0.76), scale, (width, height))


def place(canvas, vehicle, quad):
    """Puts the vehicle on the canvas at `quad` (its four corners, px) and returns the map from its mm to canvas px."""
    h, w = vehicle.alpha.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, quad.astype(np.float32))
    x0, y0 = np.maximum(np.floor(quad.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(quad.max(0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
    if x1 > x0 and y1 > y0:
        factor = np.linalg.norm(quad[1] - quad[0]) / w
        image, alpha = vehicle.image, vehicle.alpha
        if factor < 0.6:
            image, alpha = (cv2.GaussianBlur(v, (0, 0), 0.35 / max(factor, 0.05)) for v in (image, alpha))
        local = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]], np.float64) @ matrix
        size = (int(x1 - x0), int(y1 - y0))
        mask = cv2.warpPerspective(alpha, local, size, flags=cv2.INTER_LINEAR)[..., :1]
        paint = cv2.warpPerspective(image, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        part = canvas[y0:y1, x0:x1]
        part[:] = part * (1 - mask) + mask * paint
    return matrix @ np.diag([vehicle.scale, vehicle.scale, 1.0])


def plate_quad(vehicle, plate_size, to_canvas):
    """Canvas corners of a plate of `plate_size` mm hung on the vehicle."""
    (x, y), (w, h) = vehicle.plate, plate_size
    box = np.array([[[x - w / 2, y - h / 2], [x + w / 2, y - h / 2], [x + w / 2, y + h / 2], [x - w / 2, y + h / 2]]], np.float32)
    return cv2.perspectiveTransform(box, to_canvas)[0]
