"""Writes the banks of heads: `make_heads.py BANK [--people 48] [--heads 14] [--test 6] [--workers 2]`; each number counts shards.

`people-NNN.npz`: aligned crops of 64 persons, 15 pictures each, for the embedding and the expression net.
`heads-NNN.npz`: heads with shoulders, points and boxes, for the detector. `test-NNN.npz`: crops of 50 persons, 10 pictures each,
whom training never sees. A shard depends on the seed and its number alone; one that exists is left alone.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

import shards
from heads import draw, person, scenes

SEED = 20261122
#: Persons of a shard, expressions of each, pictures of each expression.
PEOPLE, KINDS, SHOTS = 64, 3, 5
TEST_PEOPLE = 50
HEADS = 128
SOURCES = {"people": 1, "heads": 2, "test": 3}


def people(rng):
    """Each person with three expressions, five poses and lights of each."""
    rows = []
    for who in range(PEOPLE):
        one = person.identity(rng)
        for kind in rng.choice(len(person.CLASSES), KINDS, replace=False):
            made = draw.head(rng, one, person.CLASSES[kind])
            rows += [(*draw.crop(rng, made), who, kind, made.worn) for _ in range(SHOTS)]
    return _table(rows)


def test(rng):
    """Each person with every expression under two poses and lights."""
    rows = []
    for who in range(TEST_PEOPLE):
        one = person.identity(rng)
        for kind in range(len(person.CLASSES)):
            made = draw.head(rng, one, person.CLASSES[kind])
            rows += [(*draw.crop(rng, made), who, kind, made.worn) for _ in range(2)]
    return _table(rows)


def _table(rows):
    images, yaws, who, kinds, worn = zip(*rows)
    return {"images": np.stack(images), "yaw": np.array(yaws, np.float32), "who": np.array(who, np.int32), "kind": np.array(kinds, np.int8),
            "mask": np.array([w.mask is not None for w in worn]), "dark": np.array([bool(w.glasses) and w.glasses["tint"] > 0.5 for w in worn])}


def heads(rng):
    rows = []
    for _ in range(HEADS):
        made = draw.head(rng, person.identity(rng), str(rng.choice(person.CLASSES)))
        rows += [scenes.patch_of(rng, made) for _ in range(3)]
    images, points, boxes = zip(*rows)
    return {"images": np.stack(images), "points": np.stack(points), "boxes": np.stack(boxes)}


def shard(job):
    bank, source, index = job
    path = bank / f"{source}-{index:03d}.npz"
    if path.exists():
        return
    cv2.setNumThreads(1)
    made = {"people": people, "heads": heads, "test": test}[source](np.random.default_rng([SEED, SOURCES[source], index]))
    shards.write(path, **made)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=Path)
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--heads", type=int, default=14)
    parser.add_argument("--test", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.bank.mkdir(parents=True, exist_ok=True)
    wanted = {"people": args.people, "heads": args.heads, "test": args.test}
    jobs = shards.in_turn(args.bank, wanted)
    shards.make(shard, jobs, args.workers)


if __name__ == "__main__":
    main()
