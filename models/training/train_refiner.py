"""Trains the refiner on coarse crops of the scenes of `make_scenes.py`: `train_refiner.py BANK RUN --steps 14000`. Resumable."""
import time

import cv2
import numpy as np
import torch
from torch import nn

import refiner_net
import schedule
from plates import crops, pose


def slanted(quad, rng):
    """Turns and shears about the plate's middle (3 x 3), as plates seen from the side lie in the upright boxes of crop sets."""
    middle = quad.mean(0)
    turn, shear, stretch = np.radians(rng.normal(0, 9)), rng.normal(0, 0.22), np.exp(rng.normal(0, 0.15))
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array([[1, shear], [0, stretch]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = spin, middle - spin @ middle
    return matrix


class Bank:
    """Plates of the scenes with their corners; two-row ones are drawn three times as often."""

    def __init__(self, folder, rng):
        self.rng, self.images, self.items = rng, [], []
        for path in sorted(folder.glob("scenes-???.npz")):
            loaded = np.load(path)
            images, quads, rows = (loaded[k] for k in ("images", "quads", "rows"))
            for i in range(len(images)):
                for quad, n in zip(quads[i][rows[i] > 0], rows[i][rows[i] > 0]):
                    if np.linalg.norm(quad[1] - quad[0]) >= 26:
                        low = np.maximum(quad.min(0) - 0.5 * np.ptp(quad, 0) - 8, 0).astype(int)
                        high = (quad.max(0) + 0.5 * np.ptp(quad, 0) + 8).astype(int)
                        part = images[i][low[1]:high[1], low[0]:high[0]].copy()
                        self.items += [(part, (quad - low).astype(np.float32), int(n))] * (3 if n == 2 else 1)
        if not self.items:
            raise SystemExit(f"no scenes in {folder}; run make_scenes.py first")

    def one(self):
        image, quad, rows = self.items[self.rng.integers(len(self.items))]
        rng = self.rng
        turned = slanted(quad, rng) if rng.random() < 0.5 else np.eye(3)
        quad = cv2.perspectiveTransform(quad[None], turned)[0]
        if rng.random() < 0.4:
            coarse = crops.upright(quad, rng)
        else:
            size = np.array([np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[0])])
            strength = rng.uniform(0.2, 1.3)
            moved = quad + strength * (rng.normal(0, [0.035, 0.07]) + rng.normal(0, 1, (4, 2)) * [0.02, 0.04]) * size
            grow = strength * rng.normal(0, [0.045, 0.08])
            coarse = pose.grow(moved.astype(np.float32), refiner_net.MARGIN[0] + grow[0], refiner_net.MARGIN[1] + grow[1])
        w, h = refiner_net.SIZE[0] // 2, refiner_net.SIZE[1] // 2
        target = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        matrix = cv2.getPerspectiveTransform(coarse.astype(np.float32), target)
        crop = cv2.warpPerspective(image, matrix @ turned, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        corners = cv2.perspectiveTransform(quad[None].astype(np.float32), matrix)[0] / [w, h]
        return crop, corners.astype(np.float32), rows

    def batch(self, size):
        return [np.stack(a) for a in zip(*(self.one() for _ in range(size)))]


def loss_of(net, images, corners, rows):
    n = len(images)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = (x * (1 + 0.15 * torch.randn(n, 3, 1, 1)) + 0.05 * torch.randn(n, 3, 1, 1)).clamp(0, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, double = net.find(x.to(memory_format=torch.channels_last))
    weight = torch.tensor([2.0, 1.0])
    corner = (nn.functional.smooth_l1_loss(found.float(), torch.from_numpy(corners), reduction="none", beta=0.01) * weight).sum((1, 2)).mean()
    row = nn.functional.binary_cross_entropy_with_logits(double.float(), torch.from_numpy(rows - 1).float())
    return corner + 0.05 * row, (corner, row)


def main():
    args = schedule.arguments(14000, 64, 2e-3, "state whose averaged weights a new schedule begins with")
    args.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    net = refiner_net.Refiner().to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=0.02)
    state = args.run / "refiner.pt"
    if args.start and not state.exists():
        schedule.begin_with(net, mean, args.start)
    step = schedule.resume(state, net, mean, optimiser)
    bank = Bank(args.bank, np.random.default_rng(args.seed + step))
    print(f"{len(bank.items)} plates", flush=True)
    began, sums = time.time(), []
    while step < args.steps:
        rate = schedule.rate(args, step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        net.train()
        loss, parts = loss_of(net, *bank.batch(args.batch))
        schedule.update(net, mean, optimiser, loss, 2.0)
        step += 1
        sums.append([p.item() for p in parts])
        if step % 100 == 0:
            print(f"step {step} corners, rows {np.mean(sums, 0).round(4)} {100 * args.batch / (time.time() - began):.0f} crops/s", flush=True)
            began, sums = time.time(), []
        if step % 250 == 0 or step == args.steps:
            schedule.save(state, net, mean, optimiser, step)


if __name__ == "__main__":
    main()
