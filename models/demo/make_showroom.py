"""Makes the demo's clips with people, their truth and the enrolment photos: `make_showroom.py [OUT_DIR]`.

`showroom.mp4`: a drawn showroom with two cars; the member M-1001, whose car comes to the gate in `gate.mp4`, walks in, stands at both
cars and walks on, beside strangers. `door.mp4`: the way out; he leaves with a smile, strangers leave too. Both clips begin when `gate.mp4`
begins. Every head is rendered by `../training/heads`; nobody's photograph is in them. `showroom.csv` is the truth: who is where, when, with which
expression; an empty `member_ref` is a stranger. Every number that shapes the clips is in `WALKS`; seeds are fixed. Needs ffmpeg with libx264.
"""
import csv
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
from heads import draw, person, view  # noqa: E402
from plates import template, vehicles  # noqa: E402

SIZE, RATE = (960, 540), 15
LENGTHS_S = {"showroom": 32.0, "door": 36.0}
LIGHTS = {"showroom": view.Light((-0.35, 0.75, 0.7), (0.62, 0.61, 0.58), (0.60, 0.60, 0.62), 0.3), "door": view.Light((0.6, 0.45, 0.7), (0.68, 0.66, 0.62), (0.50, 0.51, 0.54), 0.3)}
#: Display zones of the showroom's camera as shares of width and height: a tall rectangle each, head and feet inside.
ZONES = {"display-1": (0.04, 0.40), "display-2": (0.60, 0.96)}
#: Seeds of the persons.
PEOPLE = {"M-1001": 517, "M-1004": 510, "stranger-1": 502, "stranger-2": 521, "stranger-3": 511, "stranger-4": 503, "stranger-5": 520, "stranger-6": 501}
CLOTHS = {"M-1001": (44, 62, 96), "stranger-1": (120, 44, 40), "stranger-2": (70, 74, 78), "stranger-3": (200, 190, 168), "stranger-4": (48, 84, 62), "stranger-5": (30, 30, 34), "stranger-6": (150, 120, 70)}

#: Who walks in which clip: way points (time s, x of the head, y of the head, px to half a head, yaw), and moods (time s, class, strength).
WALKS = [
    ("showroom", "M-1001", [(5.4, -90, 205, 58, 42), (7.8, 215, 196, 60, 24), (8.3, 225, 196, 60, -6), (11.0, 235, 196, 60, 12), (14.3, 232, 196, 60, -10), (14.9, 250, 196, 60, 34),
                            (17.6, 715, 200, 61, 36), (18.2, 735, 200, 61, -8), (22.0, 742, 200, 61, 10), (27.0, 738, 200, 61, -12), (27.6, 760, 200, 61, 38), (29.8, 1060, 206, 62, 45)],
     [(0, "neutral", 1.0), (10.0, "neutral", 1.0), (10.5, "happiness", 0.45), (12.5, "happiness", 0.45), (13.0, "neutral", 1.0), (19.5, "neutral", 1.0), (20.2, "happiness", 0.75), (26.0, "happiness", 0.75), (27.5, "happiness", 0.5)]),
    ("showroom", "stranger-1", [(0.6, 1030, 178, 43, -42), (5.0, 470, 176, 43, -36), (9.4, -70, 178, 43, -44)], [(0, "neutral", 1.0)]),
    ("showroom", "stranger-2", [(2.0, 1050, 196, 55, -38), (4.2, 790, 192, 55, -20), (5.0, 780, 192, 55, 8), (12.5, 786, 192, 55, -6), (13.2, 800, 192, 55, 36), (15.6, 1050, 194, 55, 44)], [(0, "neutral", 1.0), (8, "surprise", 0.5), (10, "neutral", 1.0)]),
    ("showroom", "stranger-3", [(15.2, 1030, 180, 45, -40), (22.4, 120, 178, 45, -34), (24.4, -80, 180, 45, -40)], [(0, "neutral", 1.0)]),
    ("showroom", "stranger-4", [(20.0, -80, 190, 53, 40), (22.6, 200, 188, 53, 20), (23.2, 208, 188, 53, -4), (30.6, 214, 188, 53, 10), (32.5, 300, 190, 53, 30)], [(0, "sadness", 0.5)]),
    ("door", "stranger-5", [(3.0, 430, 215, 30, 6), (7.2, 330, 200, 66, -10), (8.0, 210, 190, 92, -24), (8.8, -180, 180, 100, -30)], [(0, "anger", 0.8)]),
    ("door", "stranger-1", [(11.0, 520, 215, 30, -6), (15.4, 640, 200, 68, 10), (16.2, 780, 190, 92, 22), (17.0, 1160, 180, 100, 30)], [(0, "neutral", 1.0)]),
    ("door", "stranger-6", [(20.5, 470, 215, 30, 4), (25.0, 380, 205, 66, -8), (26.2, 150, 195, 90, -26), (27.0, -180, 190, 98, -30)], [(0, "sadness", 0.9)]),
    ("door", "M-1001", [(30.2, 500, 212, 31, -5), (31.4, 512, 210, 42, 4), (34.0, 560, 196, 76, 6), (34.8, 700, 190, 90, 22), (35.7, 1180, 180, 100, 32)], [(0, "happiness", 0.7), (31.2, "happiness", 1.0)]),
]
#: Enrolment photos: member, yaw, pitch, class, light.
PHOTOS = [("M-1001", 0, 2, "neutral", ((0.2, 0.4, 0.9), 0.55)), ("M-1001", 22, 4, "neutral", ((-0.5, 0.5, 0.8), 0.65)), ("M-1001", -18, 6, "happiness", ((0.6, 0.6, 0.7), 0.6)),
          ("M-1004", 0, 2, "neutral", ((0.2, 0.4, 0.9), 0.55)), ("M-1004", -16, 3, "happiness", ((-0.4, 0.6, 0.8), 0.6))]


@dataclass(frozen=True)
class Seen:
    """Somebody in a picture: box and points in px, class of the expression, share of the face behind somebody nearer."""

    who: str
    box: np.ndarray
    points: np.ndarray
    mood: str
    hidden: float = 0.0


@lru_cache
def identity(who):
    return person.identity(np.random.default_rng(PEOPLE[who]))


def mood(moods, now):
    """(expression class, Expression) at a time: parameters go smoothly from one mood to the next."""
    later = next((k for k, m in enumerate(moods) if m[0] > now), len(moods))
    before, after = moods[max(0, later - 1)], moods[min(later, len(moods) - 1)]
    share = 0.0 if after[0] <= before[0] else round(float(np.clip((now - before[0]) / (after[0] - before[0]), 0, 1)) * 6) / 6
    one, two = (person.expression(np.random.default_rng(17), m[1], m[2]) for m in (before, after))
    mixed = {key: (1 - share) * getattr(one, key) + share * getattr(two, key) for key in ("corners", "wide", "open", "teeth", "press", "brows", "inner", "lids", "cheeks")}
    if (now * 0.31) % 1 < 0.035:
        mixed["lids"] = -0.95
    return (after if share > 0.5 else before)[1], replace(person.Expression(), **mixed)


@lru_cache(maxsize=64)
def ready(who, expression):
    return view.Head(identity(who), expression)


def where(way, now):
    """(x, y, scale, yaw, walking) at a time, or None before the first and after the last way point."""
    times = [point[0] for point in way]
    if not times[0] <= now <= times[-1]:
        return None
    k = min(int(np.searchsorted(times, now, side="right")), len(way) - 1)
    a, b = np.array(way[k - 1]), np.array(way[k])
    t = (now - a[0]) / (b[0] - a[0])
    speed = np.hypot(b[1] - a[1], 3 * (b[3] - a[3])) / (b[0] - a[0])
    walking = min(1.0, speed / 60)
    x, y, scale, yaw = a[1:] + (b[1:] - a[1:]) * t
    return x, y - walking * 3.0 * abs(np.sin(now * 5.2)), scale, yaw + 3 * np.sin(now * 1.3), walking


def pose(at, now):
    """The view of a head at a place and a time, in a picture of its own, and where that lies in the clip's."""
    x, y, scale, yaw, _ = at
    half = int(2.3 * scale)
    corner = np.array([int(x) - half, int(y - 1.6 * scale)])
    return view.View(float(yaw), float(3.0 + 2 * np.sin(now * 0.9)), float(2.0 * np.sin(now * 1.7)), float(scale), (float(x - corner[0]), float(y - corner[1])), (2 * half, int(SIZE[1] - corner[1]))), corner


def seen_at(walk, at, now):
    """Who is seen at a place and a time, not yet knowing who stands before him."""
    kind, expression = mood(walk[3], now)
    (seen, corner), made = pose(at, now), ready(walk[1], expression)
    return Seen(walk[1], view.box(made, seen) + np.tile(corner, 2), view.landmarks(made, seen) + corner, kind)


def shot(canvas, walk, at, now, light):
    """Draws somebody on the canvas."""
    who, (seen, corner) = walk[1], pose(at, now)
    made = ready(who, mood(walk[3], now)[1])
    rgba = draw.shoulders(view.shoot(made, seen, light), made, seen, np.random.default_rng(PEOPLE[who]), CLOTHS[who])
    arms(rgba, seen, now, at[4])
    x0, y0 = np.maximum(corner, 0)
    x1, y1 = np.minimum(corner + seen.size, SIZE)
    if x1 > x0 and y1 > y0:
        part = rgba[y0 - corner[1]:y1 - corner[1], x0 - corner[0]:x1 - corner[0]]
        canvas[y0:y1, x0:x1] += part[..., 3:] * (part[..., :3] - canvas[y0:y1, x0:x1])


def behind(seen):
    """Fills in `hidden`; the farthest comes first."""
    told = []
    for k, one in enumerate(seen):
        x0, y0, x1, y1 = one.box
        covered = [0.0]
        for near in seen[k + 1:]:
            wide, high = near.box[2] - near.box[0], near.box[3] - near.box[1]
            left, top, right = near.box[0] - 0.4 * wide, near.box[1] - 0.25 * high, near.box[2] + 0.4 * wide
            covered.append(max(0.0, min(x1, right) - max(x0, left)) * max(0.0, y1 - max(y0, top)) / ((x1 - x0) * (y1 - y0)))
        told.append(replace(one, hidden=float(min(1.0, max(covered)))))
    return told


def arms(rgba, seen, now, walking):
    """Shading of the body and the lines of the arms, which swing with the steps."""
    h, w = rgba.shape[:2]
    neck = view.project([[0.0, -1.2, -0.05]], seen)[0]
    below = np.clip((np.arange(h) - neck[1]) / (0.6 * seen.scale), 0, 1)[:, None]
    across = (np.arange(w)[None] - neck[0]) / (1.5 * seen.scale)
    rgba[..., :3] *= (1 - below * np.clip(0.10 + 0.35 * across ** 2, 0, 0.5))[..., None]
    lines = np.zeros((h, w), np.uint8)
    for side in (-1, 1):
        swing = side * walking * 0.25 * np.sin(now * 5.2)
        elbow = neck + seen.scale * np.array([side * 0.98 + swing, 2.6])
        start, end = neck + seen.scale * np.array([side * 0.86, 1.1]), neck + seen.scale * np.array([side * 0.92 + 2 * swing, 5.0])
        cv2.polylines(lines, [np.array([start, elbow, end]).astype(np.int32)], False, 255, max(2, int(0.07 * seen.scale)), cv2.LINE_AA)
    shade = cv2.GaussianBlur(lines, (0, 0), 0.05 * seen.scale).astype(np.float32)[..., None] / 255
    rgba[..., :3] *= 1 - 0.5 * shade * below[..., None]
    hip, middle = int(neck[1] + 5.0 * seen.scale), neck[0] + walking * 0.2 * seen.scale * np.sin(now * 5.2)
    if hip < h:
        legs = np.abs(np.arange(w) - middle) / seen.scale
        rgba[hip:, :, :3] = np.array([52.0, 54.0, 62.0], np.float32) * (0.75 + 0.35 * np.clip(np.abs(legs - 0.55), 0, 1))[None, :, None]
        rgba[hip:, :, 3] *= ((legs > 0.05) & (legs < 1.15))[None]


def showroom(rng):
    """Windows, floor, lamps and two cars on their stages."""
    w, h = SIZE
    image = np.zeros((h, w, 3), np.float32)
    image[:300] = np.linspace(226, 206, 300)[:, None, None] * np.array([0.98, 0.99, 1.0])
    for x in range(-40, w, 200):
        cv2.rectangle(image, (x + 18, 52), (x + 182, 262), (186.0, 204.0, 216.0), -1)
        cv2.rectangle(image, (x + 18, 188), (x + 182, 262), (150.0, 168.0, 150.0), -1)
        cv2.rectangle(image, (x + 8, 40), (x + 192, 266), (116.0, 120.0, 126.0), 5)
        cv2.ellipse(image, (x + 100, 14), (46, 8), 0, 0, 360, (255.0, 252.0, 240.0), -1)
    y = np.linspace(0, 1, h - 300, dtype=np.float32)[:, None, None]
    image[300:] = (186 - 34 * y) * np.array([1.0, 0.985, 0.96])
    for k in range(-14, 15):
        cv2.line(image, (480 + 45 * k, 300), (480 + 190 * k, h), (158.0, 155.0, 150.0), 1)
    for d in (312, 332, 366, 424):
        cv2.line(image, (0, d), (w, d), (160.0, 157.0, 152.0), 1)
    for middle, paint in ((212, (176, 34, 36)), (748, (38, 88, 160))):
        cv2.ellipse(image, (middle, 446), (208, 46), 0, 0, 360, (112.0, 112.0, 116.0), -1)
        cv2.ellipse(image, (middle, 438), (208, 46), 0, 0, 360, (206.0, 206.0, 210.0), -1)
        car = vehicles.car(np.random.default_rng(3), paint, False, 0.3)
        high = 330 * car.size[1] / car.size[0]
        quad = np.array([[middle - 165, 446 - high], [middle + 165, 446 - high], [middle + 165, 446], [middle - 165, 446]], np.float32)
        cv2.ellipse(image, (middle, 444), (170, 16), 0, 0, 360, (70.0, 70.0, 74.0), -1)
        board = vehicles.plate_quad(car, (440, 110), vehicles.place(image, car, quad))
        cv2.fillPoly(image, [board.astype(np.int32)], (240.0, 240.0, 238.0), cv2.LINE_AA)
    return finish(image, rng)


def doorway(rng):
    """The way out: a corridor towards glass doors behind, seen from above the exit."""
    w, h = SIZE
    image = np.zeros((h, w, 3), np.float32)
    image[:] = np.linspace(214, 190, w)[None, :, None] * np.array([0.97, 0.96, 0.93])
    cv2.rectangle(image, (330, 60), (640, 330), (150.0, 166.0, 180.0), -1)
    cv2.rectangle(image, (330, 60), (640, 330), (84.0, 86.0, 92.0), 7)
    cv2.line(image, (485, 60), (485, 330), (84.0, 86.0, 92.0), 7)
    floor = np.array([[330, 330], [640, 330], [w + 160, h], [-160, h]])
    cv2.fillPoly(image, [floor], (142.0, 128.0, 112.0), cv2.LINE_AA)
    mat = np.array([[400, 352], [570, 352], [680, 500], [290, 500]])
    cv2.fillPoly(image, [mat], (84.0, 88.0, 94.0), cv2.LINE_AA)
    for points in ((330, 60, -160, -60), (640, 60, w + 160, -60), (330, 330, -160, h), (640, 330, w + 160, h)):
        cv2.line(image, points[:2], points[2:], (130.0, 128.0, 122.0), 3, cv2.LINE_AA)
    cv2.rectangle(image, (760, 150), (862, 292), (60.0, 96.0, 150.0), -1)
    cv2.putText(image, "EXIT", (776, 232), cv2.FONT_HERSHEY_DUPLEX, 0.9, (240.0, 240.0, 240.0), 2, cv2.LINE_AA)
    return finish(image, rng)


def finish(image, rng):
    image += (template.smooth_noise(rng, image.shape[:2], 50)[..., None] - 0.5) * 8
    return cv2.GaussianBlur(image, (0, 0), 0.7)


STAGES = {"showroom": showroom, "door": doorway}


def people_at(clip, now):
    """(walk, place) of everybody in the clip at a time, the farthest first."""
    found = [(walk, where(walk[2], now)) for walk in WALKS if walk[0] == clip]
    return sorted((f for f in found if f[1]), key=lambda f: f[1][2])


def frame(clip, stage, now, noise, rng):
    """The picture at a time, uint8 RGB."""
    canvas = stage.copy()
    for walk, at in people_at(clip, now):
        shot(canvas, walk, at, now, LIGHTS[clip])
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.55) + np.roll(noise, tuple(rng.integers(0, 500, 2)), (0, 1))
    return np.clip(canvas, 0, 255).astype(np.uint8)


def truth(clip, now):
    """Everybody who is seen at a time, the farthest first."""
    return behind([seen_at(walk, at, now) for walk, at in people_at(clip, now)])


def times(clip, step=1):
    """Times of every `step`-th picture of a clip."""
    return [index / RATE for index in range(0, int(LENGTHS_S[clip] * RATE), step)]


def encode(clip, path):
    """Writes the clip and returns its rows of truth."""
    encoder = subprocess.Popen(
        ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "%dx%d" % SIZE, "-r", str(RATE), "-i", "-", "-threads", "1",
         "-c:v", "libx264", "-preset", "medium", "-crf", "25", "-pix_fmt", "yuv420p", "-g", "30", "-movflags", "+faststart", str(path)], stdin=subprocess.PIPE)
    rng, spans = np.random.default_rng(20261122), {}
    stage = STAGES[clip](rng)
    noise = rng.normal(0, 2.5, (SIZE[1], SIZE[0], 3)).astype(np.float32)
    for now in times(clip):
        encoder.stdin.write(frame(clip, stage, now, noise, rng).tobytes())
        for one in truth(clip, now):
            note(spans, clip, one, now)
    encoder.stdin.close()
    if encoder.wait():
        raise SystemExit("ffmpeg failed; see its words above")
    return spans


def note(spans, clip, one, now):
    """Adds to the spans (clip, who, zone, mood) → [first, last, least height, greatest height] when the whole face is in the picture."""
    x0, y0, x1, y1 = one.box
    if one.hidden > 0.3 or x0 < 0 or y0 < 0 or x1 > SIZE[0] or y1 > SIZE[1]:
        return
    middle, high = (x0 + x1) / 2 / SIZE[0], y1 - y0
    inside = [zone for zone, (left, right) in ZONES.items() if clip == "showroom" and left <= middle <= right]
    for key in [(clip, one.who, "", "")] + [(clip, one.who, zone, "") for zone in inside] + [(clip, one.who, "", one.mood)]:
        span = spans.setdefault(key, [now, now, high, high])
        span[1], span[2], span[3] = now, min(span[2], high), max(span[3], high)


def photo(index, member, yaw, pitch, kind, lamp):
    """An enrolment photo as a telephone takes it, 420 x 520."""
    rng = np.random.default_rng([PEOPLE[member], index])
    made = view.Head(identity(member), person.expression(rng, kind, 0.8))
    seen = view.View(yaw, pitch, float(rng.normal(0, 2)), 128.0, (210.0, 225.0), (420, 520))
    light = view.Light(lamp[0], (lamp[1],) * 3, (1.15 - lamp[1],) * 3, 0.25)
    rgba = draw.shoulders(view.shoot(made, seen, light), made, seen, rng, CLOTHS.get(member, (96, 70, 60)))
    ground = np.linspace(214, 188, 520, dtype=np.float32)[:, None, None] * np.ones((1, 420, 3), np.float32)
    image = ground + rgba[..., 3:] * (rgba[..., :3] - ground)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def main(out):
    cv2.setNumThreads(1)
    (out / "photos").mkdir(parents=True, exist_ok=True)
    for index, wanted in enumerate(PHOTOS):
        number = 1 + sum(earlier[0] == wanted[0] for earlier in PHOTOS[:index])
        cv2.imwrite(str(out / "photos" / f"{wanted[0]}-{number}.jpg"), photo(index, *wanted)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    with (out / "showroom.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow("clip,who,member_ref,zone,expression,first_s,last_s,face_px_min,face_px_max".split(","))
        for clip in LENGTHS_S:
            for (_, who, zone, kind), (first, last, low, high) in encode(clip, out / f"{clip}.mp4").items():
                table.writerow([clip, who, who if who.startswith("M-") else "", zone, kind, f"{first:.2f}", f"{last:.2f}", round(low), round(high)])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
