"""Writes the reader's training crops as shards: `make_crops.py BANK [--generated 24] [--real 4] [--nothing 1] [--workers 2]`.

With `--refiner RUN`, ready-made crops are cut a second time at the corners that a trained refiner finds in them; with
`--scenes BANK --detector RUN` also, `--mistaken N` shards hold what that detector takes for a plate and is none.

A shard is one .npz of 8192 crops; shard k of a source depends only on the seed and k, and a shard that exists
is left alone, so the command can be stopped, repeated and asked for more.
"""
import argparse
import zlib
from pathlib import Path

import cv2
import numpy as np

import shards
from plates import crops, mistakes

COUNT = 8192
LONGEST = 8
SEED = 20261125


def encode(text):
    from plates.kinds import CHARSET

    codes = [CHARSET.index(c) for c in text][:LONGEST]
    return codes + [-1] * (LONGEST - len(codes))


def shard(job):
    bank, source, index, trained = job
    path = bank / f"{source}-{index:03d}.npz"
    if path.exists():
        return
    cv2.setNumThreads(1)
    rng = np.random.default_rng([SEED, zlib.crc32(source.encode()), index])
    if source == "real":
        pool = crops.Real(trained["refiner"] and mistakes.Finder(trained["refiner"]))
        if not pool.items:
            return
        draw = pool.draw
    elif source == "mistaken":
        draw = mistakes.Mistakes(trained["scenes"], trained["detector"], trained["refiner"]).draw
    else:
        draw = {"generated": crops.generated, "nothing": crops.nothing}[source]
    images = np.zeros((COUNT, crops.SIZE[1], crops.SIZE[0], 3), np.uint8)
    texts, colours = np.zeros((COUNT, LONGEST), np.int8), np.zeros(COUNT, np.int8)
    for i in range(COUNT):
        image, text, colour, _ = draw(rng)
        images[i], texts[i], colours[i] = image, encode(text), colour
    shards.write(path, images=images, texts=texts, colours=colours)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=Path)
    parser.add_argument("--generated", type=int, default=24)
    parser.add_argument("--real", type=int, default=4)
    parser.add_argument("--nothing", type=int, default=1)
    parser.add_argument("--mistaken", type=int, default=0)
    parser.add_argument("--scenes", type=Path, help="bank of make_scenes.py")
    parser.add_argument("--detector", type=Path, help="run of train_detector.py")
    parser.add_argument("--refiner", type=Path, help="run of train_refiner.py")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if args.mistaken and not (args.scenes and args.detector and args.refiner):
        parser.error("--mistaken needs --scenes, --detector and --refiner")
    args.bank.mkdir(parents=True, exist_ok=True)
    wanted = {"generated": args.generated, "real": args.real, "nothing": args.nothing, "mistaken": args.mistaken}
    trained = {name: getattr(args, name) for name in ("scenes", "detector", "refiner")}
    jobs = [(*job, trained) for job in shards.in_turn(args.bank, wanted)]
    shards.make(shard, jobs, args.workers)


if __name__ == "__main__":
    main()
