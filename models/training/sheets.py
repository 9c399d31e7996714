"""Contact sheets of generated crops and scenes, to be looked at beside real ones: `sheets.py OUT_DIR`."""
import sys
from pathlib import Path

import cv2
import numpy as np

from plates import crops


def sheet(samples, columns, path):
    rows = [np.hstack(samples[i:i + columns]) for i in range(0, len(samples) - columns + 1, columns)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    pad = lambda image: cv2.copyMakeBorder(cv2.resize(image, (200, 40)), 3, 3, 3, 3, cv2.BORDER_CONSTANT)
    sheet([pad(crops.generated(rng)[0]) for _ in range(108)], 6, out / "generated.png")
    sheet([pad(crops.generated(rng, ordinary=True)[0]) for _ in range(108)], 6, out / "ordinary.png")
    sheet([pad(crops.nothing(rng)[0]) for _ in range(24)], 6, out / "nothing.png")
    pool = crops.Real()
    if pool.items:
        sheet([pad(pool.draw(rng)[0]) for _ in range(108)], 6, out / "real.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
