"""Where a plate stands in the picture: perspective to 50 degrees and the four corners."""
import cv2
import numpy as np


def corners(size, width_px, rng, max_tilt=50.0):
    """Corners (TL, TR, BR, BL) in pixels around the origin for a plate about `width_px` wide, and the tilt in degrees."""
    w, h = size
    gentle = rng.random() < 0.6
    yaw = rng.normal(0, 10) if gentle else rng.uniform(-max_tilt, max_tilt)
    pitch = rng.normal(0, 8) if gentle else rng.uniform(-35, 35)
    roll = rng.normal(0, 3) if rng.random() < 0.75 else rng.uniform(-18, 18)
    ry, rp, rr = np.radians(np.clip([yaw, pitch, roll], -max_tilt, max_tilt))
    points = np.array([[-w / 2, -h / 2, 0], [w / 2, -h / 2, 0], [w / 2, h / 2, 0], [-w / 2, h / 2, 0]])
    about_y = np.array([[np.cos(ry), 0, np.sin(ry)], [0, 1, 0], [-np.sin(ry), 0, np.cos(ry)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(rp), -np.sin(rp)], [0, np.sin(rp), np.cos(rp)]])
    about_z = np.array([[np.cos(rr), -np.sin(rr), 0], [np.sin(rr), np.cos(rr), 0], [0, 0, 1]])
    points = points @ (about_z @ about_x @ about_y).T
    distance = w * rng.uniform(3, 14)
    flat = points[:, :2] * (distance / (distance + points[:, 2:]))
    if rng.random() < 0.3:
        flat[:, 1] += flat[:, 0] * rng.normal(0, 0.08)
    tilt = float(np.degrees(np.arccos(np.clip(np.cos(ry) * np.cos(rp), -1, 1))))
    span = np.linalg.norm(flat[1] - flat[0])
    return (flat * (width_px / span)).astype(np.float32), max(tilt, abs(float(np.degrees(rr))))


def paste(canvas, image, quad):
    """Warps `image` onto `canvas` (both float32) at `quad`, anti-aliased; in place."""
    h, w = image.shape[:2]
    x0, y0 = np.floor(quad.min(0)).astype(int) - 2
    x1, y1 = np.ceil(quad.max(0)).astype(int) + 3
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, canvas.shape[1]), min(y1, canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    target = np.linalg.norm(quad[1] - quad[0])
    factor = min(1.0, 1.4 * target / w)
    if factor < 0.95:
        image = cv2.resize(image, (max(8, int(w * factor)), max(6, int(h * factor))), interpolation=cv2.INTER_AREA)
        h, w = image.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, (quad - (x0, y0)).astype(np.float32))
    size = (int(x1 - x0), int(y1 - y0))
    warped = cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((size[1] * 4, size[0] * 4), np.uint8)
    cv2.fillConvexPoly(mask, ((quad - (x0, y0)) * 4).astype(np.int32), 255)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    part = canvas[y0:y1, x0:x1]
    part[:] = part * (1 - mask) + mask * warped


def grow(quad, margin_x, margin_y):
    """The quad grown by fractions of its own size on each side."""
    tl, tr, br, bl = quad
    ax, bx = (tr - tl) * margin_x, (br - bl) * margin_x
    ay, by = (bl - tl) * margin_y, (br - tr) * margin_y
    return np.array([tl - ax - ay, tr + ax - by, br + bx + by, bl - bx + ay], np.float32)


def rectify(image, quad, size):
    """The quad as an upright picture of `size` (width, height), bilinear."""
    target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
