"""What light, lens, motion, sensor and coder do to a picture (RGB float32 0..255 in, uint8 out)."""
import cv2
import numpy as np

from .template import smooth_noise

LIGHTS = ["day", "dim", "night", "infrared", "glare"]


def light(image, rng, kind=None):
    """Applies a kind of light; returns the picture and the kind."""
    kind = kind or rng.choice(LIGHTS, p=[0.55, 0.18, 0.12, 0.05, 0.10])
    h, w = image.shape[:2]
    gain, bias = rng.uniform(0.65, 1.25), rng.uniform(-15, 30)
    if kind == "dim":
        gain, bias = rng.uniform(0.25, 0.6), rng.uniform(0, 20)
    if kind == "night":
        gain, bias = rng.uniform(0.10, 0.4), rng.uniform(0, 12)
    cast = rng.normal(1.0, 0.10, 3).clip(0.7, 1.35)
    if rng.random() < 0.12:
        cast = rng.normal(1.0, 0.28, 3).clip(0.4, 1.6)
    image = image * (gain * cast).astype(np.float32) + bias
    if rng.random() < 0.30:
        flat = rng.uniform(0.35, 0.9)
        image = image * flat + (1 - flat) * rng.uniform(60, 220)
    if rng.random() < 0.35:
        image = image * shadow(rng, h, w)
    if kind == "infrared":
        grey = image @ np.array([0.35, 0.45, 0.20], np.float32)
        image = np.repeat(grey[..., None], 3, 2) * rng.uniform(0.9, 1.5)
    if kind in ("glare", "night") and rng.random() < (1.0 if kind == "glare" else 0.5):
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        cx, cy = rng.uniform(-0.1, 1.1) * w, rng.uniform(-0.2, 1.2) * h
        radius = rng.uniform(0.15, 0.5) * w
        spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius ** 2))
        image = image + (spot * rng.uniform(40, 190))[..., None]
    return image, str(kind)


def shadow(rng, h, w):
    """A straight shadow edge or a smooth change of light over the picture, as a factor."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    field = (x / w - 0.5) * np.cos(angle) + (y / h - 0.5) * np.sin(angle) - rng.uniform(-0.3, 0.3)
    soft = rng.uniform(0.01, 0.6)
    depth = rng.uniform(0.25, 0.75)
    return (1 - depth / (1 + np.exp(-np.clip(field / soft * 4, -30, 30))))[..., None]


def motion(image, rng, length):
    """Motion blur of `length` pixels in a random direction, mostly along the horizontal."""
    n = int(max(3, round(length))) | 1
    kernel = np.zeros((n, n), np.float32)
    angle = rng.normal(0, 25) if rng.random() < 0.7 else rng.uniform(0, 180)
    dx, dy = np.cos(np.radians(angle)) * n / 2, np.sin(np.radians(angle)) * n / 2
    cv2.line(kernel, (int(round(n / 2 - dx)), int(round(n / 2 - dy))), (int(round(n / 2 + dx)), int(round(n / 2 + dy))), 1.0, 1)
    return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-6))


def lens(image, rng, scale=1.0):
    """Defocus and motion; `scale` is the height of a character in pixels over 16, so small plates blur less."""
    if rng.random() < 0.55:
        image = cv2.GaussianBlur(image, (0, 0), max(0.15, rng.uniform(0.2, 1.0) * scale))
    if rng.random() < 0.22:
        image = motion(image, rng, rng.uniform(2, 6) * scale)
    if rng.random() < 0.18:
        soft = cv2.GaussianBlur(image, (0, 0), 1.2)
        image = image + (image - soft) * rng.uniform(0.4, 1.6)
    return image


def sensor(image, rng):
    if rng.random() < 0.7:
        sigma = rng.uniform(1, 8) if rng.random() < 0.85 else rng.uniform(8, 20)
        noise = rng.standard_normal(image.shape[:2] + (1 if rng.random() < 0.5 else 3,), np.float32)
        image = image + noise * sigma
    if rng.random() < 0.04:
        image = rain(image, rng)
    image = np.clip(image, 0, 255)
    if rng.random() < 0.3:
        image = 255 * (image / 255) ** rng.uniform(0.6, 1.6)
    return image.astype(np.uint8)


def rain(image, rng):
    layer = np.zeros(image.shape[:2], np.float32)
    for _ in range(int(rng.integers(5, 30))):
        x, y = int(rng.integers(layer.shape[1])), int(rng.integers(layer.shape[0]))
        cv2.line(layer, (x, y), (x + int(rng.integers(-2, 3)), y + int(rng.integers(4, 14))), 1.0, 1, cv2.LINE_AA)
    return image + layer[..., None] * rng.uniform(20, 70)


def coder(image, rng):
    """JPEG at a random quality; low qualities also stand for the block artefacts of H.264."""
    if rng.random() < 0.75:
        quality = int(rng.integers(25, 95))
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return image


def resample(image, rng):
    """Through a smaller size and back, as scaled streams do."""
    if rng.random() < 0.2:
        h, w = image.shape[:2]
        f = rng.uniform(0.5, 0.95)
        image = cv2.resize(image, (max(8, int(w * f)), max(8, int(h * f))), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (w, h), interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.6, 0.35, 0.05])))
    return image


def ordinary(image, rng, scale):
    """What a well-sited camera sees: daylight or street light, little blur and noise, a stream of fair quality."""
    kind = str(rng.choice(["day", "dim", "night", "infrared"], p=[0.6, 0.2, 0.1, 0.1]))
    gain = {"day": rng.uniform(0.7, 1.2), "dim": rng.uniform(0.45, 0.7), "night": rng.uniform(0.25, 0.45), "infrared": rng.uniform(0.7, 1.2)}[kind]
    image = image * (gain * rng.normal(1.0, 0.07, 3).clip(0.8, 1.2)).astype(np.float32) + rng.uniform(-5, 20)
    if kind == "infrared":
        image = np.repeat((image @ np.array([0.35, 0.45, 0.20], np.float32))[..., None], 3, 2)
    if rng.random() < 0.25:
        image = image * shadow(rng, *image.shape[:2])
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), max(0.15, rng.uniform(0.2, 0.6) * scale))
    if rng.random() < 0.1:
        image = motion(image, rng, rng.uniform(2, 3) * scale)
    image = image + rng.standard_normal(image.shape, np.float32) * rng.uniform(1, 5)
    image = np.clip(image, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], kind
