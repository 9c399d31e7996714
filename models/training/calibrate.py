"""Fits the reader's temperature on generated crops of a seed of its own and writes it into `pack.toml`: `calibrate.py [PACK]`.

The temperature that makes the true strings likeliest (CTC) is taken; the firmware divides the logits by it.
"""
import re
import sys
from pathlib import Path

import numpy as np
import torch

import runtime
from plates import crops
from plates.kinds import BLANK, CHARSET

SEED = 1234


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


def main(folder, count=1500):
    _, reader = runtime.ours(folder)
    texts, logits = samples(reader, count)
    tried = {round(t, 2): loss(logits, texts, t) for t in np.arange(0.6, 3.01, 0.05)}
    best = min(tried, key=tried.get)
    path = folder / "pack.toml"
    text = re.sub(r"(?m)^temperature = .*$", f"temperature = {best}", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    print(f"temperature {best}: mean -log p of the truth {tried[best]:.3f}, at 1.0 {tried[1.0]:.3f}, {len(texts)} crops")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else runtime.PACKS / "plate-cn")
