"""Trains the detector on the shards of `make_scenes.py`: `train_detector.py BANK RUN --steps 6400`.

Resumable like `train_reader.py`: the newest state lies in RUN/detector.pt and the same command goes on from there.
"""
import time

import cv2
import numpy as np
import torch
from torch import nn

import detector_net
import schedule
from detector_net import STRIDE, decode

SIDE = 384
#: Parts of this size are learned first: four times as many plates for the same work.
PART, WHOLE_FROM = 192, 0.9375


class Bank:
    """Scenes in memory; new shards are taken in as they appear."""

    def __init__(self, folder, rng):
        self.folder, self.rng, self.shards, self.turn = folder, rng, {}, 0

    def refresh(self):
        for path in sorted(self.folder.glob("scenes-???.npz")):
            if path not in self.shards:
                loaded = np.load(path)
                self.shards[path] = tuple(loaded[k] for k in ("images", "quads", "rows"))

    def one(self, side):
        """A scene under a random shift and scale (uint8 image, quads, rows): whole at `SIDE`, else a part around a plate."""
        shards = list(self.shards.values())
        images, quads, rows = shards[self.rng.integers(len(shards))]
        i = self.rng.integers(len(images))
        base = images.shape[1]
        zoom = SIDE / base * np.exp(self.rng.normal(-0.04, 0.33))
        flip = -1.0 if self.rng.random() < 0.3 else 1.0
        shift = self.rng.uniform(-0.22, 0.22, 2) * side
        middle = np.array([base / 2, base / 2])
        count = int((rows[i] > 0).sum())
        if side < SIDE:
            middle = quads[i, self.rng.integers(count)].mean(0) if count and self.rng.random() < 0.8 else self.rng.uniform(0.2, 0.8, 2) * base
        turn = np.radians(self.rng.normal(0, 3))
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * zoom
        spin[:, 0] *= flip
        move = side / 2 + shift - spin @ middle
        matrix = np.hstack([spin, move[:, None]])
        how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[self.rng.choice(3, p=[0.75, 0.15, 0.10])]
        image = cv2.warpAffine(images[i], matrix, (side, side), flags=how, borderValue=(114, 114, 114))
        kept = rows[i] > 0
        moved = quads[i][kept] @ spin.T.astype(np.float32) + move.astype(np.float32)
        if flip < 0:
            moved = moved[:, [1, 0, 3, 2]]
        return image, moved, rows[i][kept]

    def batch(self, size, side):
        if self.turn % 100 == 0:
            self.refresh()
        self.turn += 1
        return [self.one(side) for _ in range(size)]


def targets(batch, side):
    """Heat N x HW (1 at plate centres, falling like a bell), weight of the corner loss, quads and rows per cell, ignored cells."""
    cells = side // STRIDE
    y, x = np.mgrid[0:cells, 0:cells].astype(np.float32) * STRIDE + STRIDE / 2
    heat = np.zeros((len(batch), cells, cells), np.float32)
    weight, ignore = np.zeros_like(heat), np.zeros_like(heat)
    quads = np.zeros((len(batch), cells, cells, 4, 2), np.float32)
    double = np.zeros_like(heat)
    for n, (_, plates, rows) in enumerate(batch):
        for quad, count in zip(plates, rows):
            (x0, y0), (x1, y1) = quad.min(0), quad.max(0)
            w, h = x1 - x0, y1 - y0
            if x0 < -0.1 * w or y0 < -0.1 * h or x1 > side + 0.1 * w or y1 > side + 0.1 * h or w < 9 or h < 3:
                inside = (x > x0 - STRIDE) & (x < x1 + STRIDE) & (y > y0 - STRIDE) & (y < y1 + STRIDE)
                ignore[n][inside] = 1
                continue
            cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
            sx, sy = max(0.11 * w, 3.2), max(0.13 * h, 3.2)
            bell = np.exp(-(((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2) / 2)
            best = np.unravel_index(bell.argmax(), bell.shape)
            bell[best] = 1.0
            chosen = (bell > 0.45) & (bell >= heat[n])
            np.maximum(heat[n], bell, out=heat[n])
            weight[n][chosen] = bell[chosen] / bell[chosen].sum() if chosen.any() else 0
            quads[n][chosen], double[n][chosen] = quad, count - 1
    flat = lambda a: torch.from_numpy(a.reshape(len(batch), -1, *a.shape[3:]))
    return flat(heat), flat(weight), flat(quads), flat(double), flat(ignore)


def loss_of(net, batch, side):
    images = np.stack([b[0] for b in batch])
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = (x * (1 + 0.1 * torch.randn(len(x), 3, 1, 1)) + 0.03 * torch.randn(len(x), 3, 1, 1)).clamp(0, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        raw = net(x.to(memory_format=torch.channels_last))
    logit, corners, rows = decode(raw.float())
    heat, weight, quads, double, ignore = targets(batch, side)
    count = max(1.0, float(weight.sum()))
    p = logit.sigmoid()
    peak = heat >= 0.85
    positive = nn.functional.logsigmoid(logit) * (1 - p) ** 2
    negative = nn.functional.logsigmoid(-logit) * p ** 2 * (1 - heat) ** 4 * (1 - ignore)
    heat_loss = -(torch.where(peak, positive, negative)).sum() / count
    chosen = weight > 0
    size = (quads.amax(2) - quads.amin(2)).clamp(min=4)
    reach = torch.stack([size[..., 0], (size[..., 1] * 1.5).clamp(min=6)], -1)[:, :, None]
    difference = nn.functional.smooth_l1_loss(corners / reach, quads / reach, reduction="none", beta=0.05)
    corner_loss = (difference.sum((2, 3))[chosen] * weight[chosen]).sum() / count
    row_loss = (nn.functional.binary_cross_entropy_with_logits(rows, double, pos_weight=torch.tensor(3.0), reduction="none")[chosen] * weight[chosen]).sum() / count
    return heat_loss + 4.0 * corner_loss + 0.5 * row_loss, (heat_loss, corner_loss, row_loss)


def main():
    args = schedule.arguments(6400, 8, 1.5e-3, "state whose averaged weights go on with whole scenes, on a schedule of its own")
    args.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    net = detector_net.Detector().to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.997), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=0.02, betas=(0.9, 0.98))
    state = args.run / "detector.pt"
    if args.start and not state.exists():
        schedule.begin_with(net, mean, args.start)
    step = schedule.resume(state, net, mean, optimiser)
    bank = Bank(args.bank, np.random.default_rng(args.seed + step))
    began, sums = time.time(), []
    while step < args.steps:
        rate = schedule.rate(args, step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        side = SIDE if args.start or step / args.steps > WHOLE_FROM else PART
        net.train()
        loss, parts = loss_of(net, bank.batch(args.batch if side == SIDE else 2 * args.batch, side), side)
        schedule.update(net, mean, optimiser, loss, 5.0)
        step += 1
        sums.append([loss.item()] + [p.item() for p in parts])
        if step % 50 == 0:
            print(f"step {step} loss {np.mean(sums, 0).round(4)} rate {rate:.5f} {50 * args.batch / (time.time() - began):.1f} scenes/s", flush=True)
            began, sums = time.time(), []
        if step % 200 == 0 or step == args.steps:
            schedule.save(state, net, mean, optimiser, step)


if __name__ == "__main__":
    main()
