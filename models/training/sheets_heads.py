"""Contact sheets of generated heads, to be looked at: `sheets_heads.py OUT_DIR`."""
import sys
from pathlib import Path

import cv2
import numpy as np

from heads import draw, person, scenes, view


def sheet(tiles, columns, path):
    rows = [np.hstack(tiles[i:i + columns]) for i in range(0, len(tiles) - columns + 1, columns)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def frontal(rng, who, kind, yaw=0.0):
    made = draw.head(rng, who, kind, plain=True)
    seen = view.View(yaw=yaw, scale=52, centre=(72, 74), size=(144, 160))
    rgba = draw.to_bytes(draw.shoulders(view.shoot(made, seen), made, seen, rng))
    return np.clip(draw.over(rgba, np.full((160, 144, 3), 150, np.float32)), 0, 255).astype(np.uint8)


def marked(image, faces):
    image = np.ascontiguousarray(image)
    for box, points in faces:
        x0, y0, x1, y1 = (int(round(float(v))) for v in box)
        cv2.rectangle(image, (x0, y0), (x1, y1), (255, 255, 0), 1)
        for x, y in points:
            cv2.circle(image, (int(round(float(x))), int(round(float(y)))), 1, (0, 255, 0), -1)
    return image


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    sheet([frontal(rng, person.identity(rng), "neutral") for _ in range(40)], 10, out / "people.png")
    rows = []
    for _ in range(4):
        who = person.identity(rng)
        rows += [frontal(rng, who, kind) for kind in person.CLASSES] + [frontal(rng, who, "neutral", yaw) for yaw in (-50, -25, 25, 50)]
    sheet(rows, 9, out / "expressions_and_turns.png")
    rows = []
    for _ in range(6):
        who = person.identity(rng)
        rows += [draw.finished(draw.crop(rng, draw.head(rng, who, str(rng.choice(person.CLASSES))))[0], rng) for _ in range(12)]
    sheet(rows, 12, out / "aligned.png")
    patches = [scenes.patch(rng) for _ in range(30)]
    sheet([marked(*scenes.sample(rng, patches)) for _ in range(20)], 5, out / "scenes.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
