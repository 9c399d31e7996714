"""Writes the detector's training scenes as shards: `make_scenes.py BANK [--shards 12] [--workers 2]`.

A shard is one .npz of 512 scenes with up to 6 plates each; shard k depends only on the seed and k; a shard that exists is left alone.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

import shards
from plates import scenes

COUNT, MOST = 512, 6
SEED = 20261124


def shard(job):
    bank, index = job
    path = bank / f"scenes-{index:03d}.npz"
    if path.exists():
        return
    cv2.setNumThreads(1)
    rng = np.random.default_rng([SEED, index])
    photographs = scenes.Photographs()
    images = np.zeros((COUNT, scenes.SIDE, scenes.SIDE, 3), np.uint8)
    quads, rows = np.zeros((COUNT, MOST, 4, 2), np.float32), np.zeros((COUNT, MOST), np.int8)
    for i in range(COUNT):
        images[i], plates = scenes.sample(rng, photographs)
        for k, (quad, n, _) in enumerate(plates[:MOST]):
            quads[i, k], rows[i, k] = quad, n
    shards.write(path, images=images, quads=quads, rows=rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=Path)
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.bank.mkdir(parents=True, exist_ok=True)
    shards.make(shard, [(args.bank, k) for k in range(args.shards)], args.workers)


if __name__ == "__main__":
    main()
