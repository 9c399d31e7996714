"""Makes the demonstration clip `gate.mp4`, its truth `gate.csv` and its member list `members.csv`: `make_clip.py [OUT_DIR]`.

A drawn gate lane: vehicles of the generator drive up, stop or park, and leave. No photograph and nobody's car is in it.
Every number that shapes it is in `STORY`; the seed is fixed. Needs ffmpeg with libx264.
"""
import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "training"))
from plates import kinds, pose, template, vehicles  # noqa: E402

SIZE, RATE, LENGTH_S = (1280, 720), 15, 30.0
FOCAL, CAMERA_MM, HORIZON, CENTRE_X = 1500.0, 1900.0, 120.0, 700.0

# plate, colour, body, paint, enters at s, seconds of approach, stops at mm, stays s, then leaves "back" or "past", member
STORY = [
    ("沪A62F85", "blue", "car", (168, 28, 32), 0.3, 3.0, 5200, 8.6, "back", "M-1001"),
    ("浙B7K319", "blue", "car", (225, 226, 228), 13.6, 2.4, 4600, 0.8, "past", ""),
    ("苏ED53816", "green", "car", (40, 92, 150), 17.6, 2.4, 4600, 1.0, "past", "M-1002"),
    ("鲁H83E57", "yellow-double", "lorry", (196, 160, 60), 21.5, 2.6, 6200, 0.9, "past", "M-1003"),
    ("京N5Q862", "blue", "car", (70, 74, 80), 25.7, 2.3, 4600, 0.7, "past", ""),
]
#: What members agreed to beyond plate and dwell; those who agree to `face` have photos in `photos/`, see make_showroom.py.
CONSENTS = {"M-1001": "plate;face;dwell;expression", "M-1004": "plate;face;dwell"}
FAR_MM, NEAR_MM = 14000.0, 3300.0
#: Listed members whose vehicles do not come by, so that the list is longer than the clip.
ABSENT = [("M-1004", "粤B39T52"), ("M-1005", "沪A62F35")]


def backdrop(rng):
    """The lane without vehicles: sky, wall, asphalt with lane marks, kerbs, a gate post and a sign."""
    w, h = SIZE
    image = np.zeros((h, w, 3), np.float32)
    image[: int(HORIZON) + 60] = np.linspace(225, 205, int(HORIZON) + 60)[:, None, None] * np.array([0.93, 0.97, 1.0])
    cv2.rectangle(image, (0, 60), (w, 230), (148.0, 142.0, 134.0), -1)
    for x in range(0, w, 160):
        cv2.rectangle(image, (x + 20, 85), (x + 120, 165), (92.0, 104.0, 116.0), -1)
        cv2.line(image, (x, 60), (x, 230), (126.0, 120.0, 112.0), 2)
    y = np.linspace(0, 1, h - 225, dtype=np.float32)[:, None, None]
    image[225:] = 112 - 22 * y
    image[225:] += (template.smooth_noise(rng, (h - 225, w), 60)[..., None] - 0.5) * 14
    for side in (-1, 1):
        for z in np.arange(4200, 15000, 1400):
            quad = [project(side * 1900 + dx, 0, z + dz) for dx, dz in ((-60, 0), (60, 0), (60, 700), (-60, 700))]
            cv2.fillPoly(image, [np.array(quad, np.int32)], (205.0, 205.0, 200.0), cv2.LINE_AA)
    cv2.rectangle(image, (60, 150), (120, 640), (200.0, 90.0, 30.0), -1)
    cv2.rectangle(image, (48, 120), (132, 165), (70.0, 70.0, 74.0), -1)
    cv2.rectangle(image, (1090, 240), (1210, 330), (30.0, 80.0, 160.0), -1)
    cv2.putText(image, "P", (1128, 310), cv2.FONT_HERSHEY_DUPLEX, 2.2, (240.0, 240.0, 240.0), 5, cv2.LINE_AA)
    return image + rng.normal(0, 2.0, image.shape).astype(np.float32)


def project(x, y, z):
    """Millimetres right of the lane's middle, above the ground, away from the camera → pixels."""
    return CENTRE_X + FOCAL * x / z, HORIZON + FOCAL * (CAMERA_MM - y) / z * 0.9


def smoothstep(t):
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def pose_at(entry, now):
    """(distance mm, offset mm) of the entry's vehicle at `now`, or None when it is not in the picture."""
    _, _, _, _, start, approach, stop, stay, leaves, _ = entry
    if now < start:
        return None
    if now < start + approach:
        t = (now - start) / approach
        return FAR_MM + (stop - FAR_MM) * (1 - (1 - t) ** 2), 500 * (1 - smoothstep(t))
    if now < start + approach + stay:
        return stop, 0.0
    t = (now - start - approach - stay) / (2.4 if leaves == "back" else 1.3)
    if t > 1:
        return None
    if leaves == "back":
        return stop + (FAR_MM - stop) * t * t, 500 * smoothstep(t)
    return stop + (NEAR_MM - stop) * t * t, -2600 * t * t


def actors(rng):
    made = []
    for entry in STORY:
        text, colour, body, paint = entry[:4]
        plate = kinds.from_text(text, colour)
        art = template.draw(plate, rng, clean=True)
        vehicle = vehicles.lorry(rng, paint, 0.45) if body == "lorry" else vehicles.car(rng, paint, False, 0.55)
        made.append((entry, plate, art, vehicle))
    return made


def shot(canvas, actor, where):
    """Draws one vehicle and its plate; returns the plate's width in px."""
    _, plate, art, vehicle = actor
    distance, offset = where
    w, h = vehicle.size
    turn = 0.05 * offset / 500
    quad = np.array([project(offset - w / 2, h, distance * (1 + turn)), project(offset + w / 2, h, distance * (1 - turn)),
                     project(offset + w / 2, 0, distance * (1 - turn)), project(offset - w / 2, 0, distance * (1 + turn))], np.float32)
    shade = quad[[3, 2]] + [[-12, 8], [12, 8]]
    cv2.ellipse(canvas, tuple(int(v) for v in shade.mean(0)), (int((shade[1, 0] - shade[0, 0]) / 2), max(4, int(26000 / distance * 4))), 0, 0, 360, (52.0, 52.0, 54.0), -1, cv2.LINE_AA)
    to_canvas = vehicles.place(canvas, vehicle, quad)
    spot = vehicles.plate_quad(vehicle, plate.size, to_canvas)
    pose.paste(canvas, art, spot)
    return spot


def frame(stage, cast, now, noise, rng):
    """The picture at `now` (two exposures mixed: motion blur), and the plates seen: {text: corner points}."""
    seen, total = {}, None
    for shift in (0.0, 0.012):
        canvas = stage.copy()
        order = [(pose_at(a[0], now + shift), a) for a in cast]
        for where, actor in sorted((o for o in order if o[0]), key=lambda o: -o[0][0]):
            seen[actor[1].text] = shot(canvas, actor, where)
        total = canvas if total is None else total + canvas
    picture = total / 2 * (1.0 + 0.03 * np.sin(now * 0.7))
    picture = cv2.GaussianBlur(picture, (0, 0), 0.6) + np.roll(noise, tuple(rng.integers(0, 700, 2)), (0, 1))
    return np.clip(picture, 0, 255).astype(np.uint8), seen


def inside(quad):
    return quad.min() >= 0 and (quad[:, 0] < SIZE[0]).all() and (quad[:, 1] < SIZE[1]).all()


def main(out):
    rng = np.random.default_rng(20261122)
    stage, cast = backdrop(rng), actors(rng)
    encoder = subprocess.Popen(
        ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "%dx%d" % SIZE, "-r", str(RATE), "-i", "-",
         "-c:v", "libx264", "-preset", "slow", "-crf", "27", "-pix_fmt", "yuv420p", "-g", "30", "-movflags", "+faststart", str(out / "gate.mp4")],
        stdin=subprocess.PIPE)
    noise = rng.normal(0, 3.0, (SIZE[1], SIZE[0], 3)).astype(np.float32)
    spans = {}
    for index in range(int(LENGTH_S * RATE)):
        now = index / RATE
        picture, seen = frame(stage, cast, now, noise, rng)
        for text, quad in seen.items():
            if inside(quad) and np.ptp(quad[:, 0]) >= 60:
                spans.setdefault(text, [now, now])[1] = now
        encoder.stdin.write(picture.tobytes())
    encoder.stdin.close()
    if encoder.wait():
        raise SystemExit("ffmpeg failed; see its words above")
    with (out / "gate.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["plate", "colour", "first_s", "last_s"])
        for entry in STORY:
            first, last = spans[entry[0]]
            table.writerow([entry[0], entry[1].split("-")[0], f"{first:.2f}", f"{last:.2f}"])
    members(out / "members.csv")


def members(path):
    """Members for some of the vehicles, and two who stay away (one a character beside a member who comes)."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow("member_ref,plate,tier,list,organisation,valid_from,valid_until,consents,external_ids".split(","))
        for entry in STORY:
            if entry[-1]:
                table.writerow([entry[-1], entry[0], "gold", "member", "demo-store", "", "", CONSENTS.get(entry[-1], "plate;dwell"), ""])
        for member_ref, plate in ABSENT:
            table.writerow([member_ref, plate, "silver", "member", "demo-store", "", "", CONSENTS.get(member_ref, "plate;dwell"), ""])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
