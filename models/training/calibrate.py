"""Fits what `pack.toml` says beside the weights, never on held-out pictures: `calibrate.py [PACK] [--score SCENES]`.

With `--score` the detector's score: the highest that costs at most `LOSS` of the plates of scenes made from the training photographs, with a
seed of their own. The reader's temperature: the one that makes the true strings of generated crops likeliest (CTC).
"""
import argparse
import re
from pathlib import Path

import cv2
import numpy as np
import torch

import runtime
from plates import crops, scenes
from plates.kinds import BLANK, CHARSET

SEED = 1234
LOSS = 0.004


def threshold(detector, count):
    """The score, and for some scores the share of plates found and of pictures without a plate in which something was."""
    rng = np.random.default_rng(SEED + 1)
    photographs = scenes.Photographs()
    detector.score = 0.1
    plates, empty = [], []
    for _ in range(count):
        image, truth = scenes.sample(rng, photographs, empty=False)
        hits = detector(image)
        for quad, _, _ in truth:
            if np.linalg.norm(quad[1] - quad[0]) >= 20:
                box = np.concatenate([quad.min(0), quad.max(0)])
                plates.append(max((h[3] for h in hits if runtime.iou(h[0], box) >= 0.5), default=0.0))
        empty.append(max((h[3] for h in detector(scenes.without_plate(rng, photographs))), default=0.0))
    plates, empty = np.array(plates), np.array(empty)
    tried = np.round(np.arange(0.15, 0.81, 0.05), 2)
    found = {float(t): float((plates >= t).mean()) for t in tried}
    best = max(t for t in tried if found[float(t)] >= max(found.values()) - LOSS)
    for t in tried:
        print(f"score {t:.2f}: {100 * found[float(t)]:.1f} % of {len(plates)} plates found, something in {100 * (empty >= t).mean():.1f} % of {count} pictures without one")
    return float(best)


def samples(reader, count):
    rng = np.random.default_rng(SEED)
    texts, logits = [], []
    while len(texts) < count:
        image, quad, plate, facts = crops.plate_in_view(rng)
        if facts["width"] >= 60:
            texts.append(torch.tensor([CHARSET.index(c) for c in plate.text]))
            logits.append(torch.from_numpy(reader.of_picture(image, quad, plate.rows)["log_probs"] * reader.temperature))
    return texts, torch.stack(logits, 1)


def loss(logits, texts, temperature):
    log_probs = (logits / temperature).log_softmax(2)
    steps = torch.full((len(texts),), logits.shape[0], dtype=torch.long)
    lengths = torch.tensor([len(t) for t in texts])
    each = torch.nn.functional.ctc_loss(log_probs, torch.cat(texts), steps, lengths, blank=BLANK, reduction="none")
    return float(each.clamp(max=30).mean())


def put(path, key, value):
    """Sets `key = …` in the manifest."""
    path.write_text(re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", path.read_text(encoding="utf-8")), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pack", type=Path, nargs="?", default=runtime.PACKS / "plate-cn")
    parser.add_argument("--crops", type=int, default=1500, help="crops for the temperature")
    parser.add_argument("--score", type=int, metavar="SCENES", help="also choose the detector's score, on so many scenes")
    args = parser.parse_args()
    folder = args.pack
    cv2.setNumThreads(1)
    detector, reader = runtime.ours(folder)
    texts, logits = samples(reader, args.crops)
    tried = {round(float(t), 2): loss(logits, texts, t) for t in np.arange(0.6, 3.01, 0.05)}
    best = min(tried, key=tried.get)
    put(folder / "pack.toml", "temperature", best)
    print(f"temperature {best}: mean -log p of the truth {tried[best]:.3f}, at 1.0 {tried[1.0]:.3f}, {len(texts)} crops")
    if args.score:
        score = threshold(detector, args.score)
        put(folder / "pack.toml", "score", score)
        print(f"score {score}")


if __name__ == "__main__":
    main()
