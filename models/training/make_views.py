"""Writes the refiner's training pictures as shards: `make_views.py BANK [--shards 4] [--workers 2]`.

A shard is one .npz of 4096 plates with their surroundings, each squeezed into one size, with its corners and number of rows:
generated ones, a third of them of two rows, and every fifth from a real training photograph. Shards that exist are left alone.
"""
import argparse
import os
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np

from plates import crops, degrade, kinds, real

COUNT = 4096
SIZE = (224, 128)
SEED = 20261126
DOUBLE = [k for k in kinds.KINDS if kinds.sample(np.random.default_rng(0), k).rows == 2]


def generated(rng):
    kind = DOUBLE[rng.integers(len(DOUBLE))] if rng.random() < 0.3 else None
    canvas, _, plate, facts = crops.plate_in_view(rng, kind, margin=0.5)
    return canvas, facts["quad"], plate.rows


def photographed(rng, pool):
    image, quad = pool[rng.integers(len(pool))]
    if rng.random() < 0.6:
        image, _ = degrade.light(image.astype(np.float32), rng)
        image = degrade.sensor(degrade.lens(image, rng, 0.7), rng)
    return degrade.coder(image, rng), quad, 1


def squeezed(image, quad):
    """The quad's surroundings in `SIZE`, and the quad there."""
    span = np.ptp(quad, 0)
    low, high = quad.min(0) - span * (0.42, 0.75), quad.max(0) + span * (0.42, 0.75)
    scale = np.array(SIZE) / (high - low)
    matrix = np.array([[scale[0], 0, -low[0] * scale[0]], [0, scale[1], -low[1] * scale[1]]])
    how = cv2.INTER_AREA if scale.max() < 0.7 else cv2.INTER_LINEAR
    return cv2.warpAffine(image, matrix, SIZE, flags=how, borderMode=cv2.BORDER_REPLICATE), ((quad - low) * scale).astype(np.float32)


def photographs():
    pool = []
    for path, rows in real.scenes("train"):
        image = real.read(path)
        for row in rows:
            span = np.ptp(row["quad"], 0)
            low = np.maximum(row["quad"].min(0) - span, 0).astype(int)
            high = (row["quad"].max(0) + span).astype(int)
            pool.append((np.ascontiguousarray(image[low[1]:high[1], low[0]:high[0]]), row["quad"] - low.astype(np.float32)))
    return pool


def shard(job):
    bank, index = job
    path = bank / f"views-{index:03d}.npz"
    if path.exists():
        return
    cv2.setNumThreads(1)
    rng = np.random.default_rng([SEED, index])
    pool = photographs()
    images = np.zeros((COUNT, SIZE[1], SIZE[0], 3), np.uint8)
    quads, rows = np.zeros((COUNT, 4, 2), np.float32), np.zeros(COUNT, np.int8)
    for i in range(COUNT):
        image, quad, rows[i] = photographed(rng, pool) if pool and rng.random() < 0.2 else generated(rng)
        images[i], quads[i] = squeezed(image, quad)
    part = path.with_suffix(".part.npz")
    np.savez(part, images=images, quads=quads, rows=rows)
    os.replace(part, path)
    print(path.name, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=Path)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.bank.mkdir(parents=True, exist_ok=True)
    with Pool(args.workers) as workers:
        for _ in workers.imap(shard, [(args.bank, k) for k in range(args.shards)]):
            pass


if __name__ == "__main__":
    main()
