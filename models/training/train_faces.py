"""Trains a network of `face-demo`: `train_faces.py detector|embedding|expression BANK RUN [--steps N]`.

Fixed seeds; the state is kept every 100 steps, and the same command goes on from it. The averaged weights are what is exported.
"""
import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

import face_banks
import face_nets
import schedule
from heads import person

#: Places for persons in the embedding's training, so that a bank may still grow while it runs.
PERSONS = 4096
#: How badly aligned the detector's points leave a face, as a share of its size; the net for expressions must live with that.
LOOSE = 0.09
#: The same for the embedding: it is asked about faces seen well.
CLOSE = 0.03
#: Steps, batch, highest rate.
PLANS = {"detector": (6000, 12, 2.5e-3), "embedding": (7000, 48, 2.5e-3), "expression": (3000, 48, 2e-3)}


class DetectorTask:
    def __init__(self, bank):
        self.data, self.net = face_banks.Heads(bank), face_nets.Detector()

    def loss(self, net, size, rng):
        images, faces = self.data.batch(size, rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            raw = net(images.to(memory_format=torch.channels_last))
        logit, box, points = face_nets.decode(raw.float())
        heat, weight, boxes, spots = targets(faces, raw.shape[2:])
        count = max(1.0, float(weight.sum()))
        p, peak = logit.sigmoid(), heat >= 0.85
        positive = nn.functional.logsigmoid(logit) * (1 - p) ** 2
        negative = nn.functional.logsigmoid(-logit) * p ** 2 * (1 - heat) ** 4
        found = -torch.where(peak, positive, negative).sum() / count
        size = boxes[..., 2:].clamp(min=4)
        chosen = weight > 0
        centre = nn.functional.smooth_l1_loss(box[..., :2] / size, boxes[..., :2] / size, reduction="none", beta=0.05).sum(2)
        extent = nn.functional.smooth_l1_loss(box[..., 2:].log(), size.log(), reduction="none", beta=0.05).sum(2)
        place = nn.functional.smooth_l1_loss(points / size[:, :, None], spots / size[:, :, None], reduction="none", beta=0.03).sum((2, 3))
        shape = ((centre + extent + 1.2 * place)[chosen] * weight[chosen]).sum() / count
        return found + 3 * shape, (found, shape)


def targets(batch, grid):
    """Per cell: heat 0..1, weight, box (cx cy w h), points."""
    h, w = grid
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) * face_nets.STRIDE + face_nets.STRIDE / 2
    heat, weight = np.zeros((len(batch), h, w), np.float32), np.zeros((len(batch), h, w), np.float32)
    boxes, spots = np.ones((len(batch), h, w, 4), np.float32), np.zeros((len(batch), h, w, 5, 2), np.float32)
    for n, faces in enumerate(batch):
        for (x0, y0, x1, y1), points in sorted(faces, key=lambda f: -(f[0][2] - f[0][0])):
            cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
            reach = [max(0.13 * side, 3.2) for side in (x1 - x0, y1 - y0)]
            bell = np.exp(-(((x - cx) / reach[0]) ** 2 + ((y - cy) / reach[1]) ** 2) / 2)
            bell[np.unravel_index(bell.argmax(), bell.shape)] = 1.0
            chosen = (bell > 0.45) & (bell >= heat[n])
            np.maximum(heat[n], bell, out=heat[n])
            weight[n][chosen] = bell[chosen] / max(bell[chosen].sum(), 1e-6)
            boxes[n][chosen], spots[n][chosen] = (cx, cy, x1 - x0, y1 - y0), points
    flat = lambda a: torch.from_numpy(a.reshape(len(batch), h * w, *a.shape[3:]))
    return flat(heat), flat(weight), flat(boxes), flat(spots)


class EmbeddingTask:
    def __init__(self, bank):
        self.data = face_banks.Crops(bank)
        self.net = nn.ModuleDict({"net": face_nets.Embedder(), "margin": face_nets.Margin(max(PERSONS, self.data.persons))})

    def loss(self, net, size, rng):
        chosen = rng.integers(len(self.data.images), size=size)
        images, who = self.data.batch(chosen, rng, loose=CLOSE), torch.from_numpy(self.data.who[chosen])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            vectors = net["net"](images.to(memory_format=torch.channels_last))
        logits = net["margin"](vectors.float(), who)
        loss = nn.functional.cross_entropy(logits, who)
        return loss, ((logits.argmax(1) == who).float().mean(),)


class ExpressionTask:
    def __init__(self, bank):
        self.data, self.net = face_banks.Crops(bank), face_nets.Expression(len(person.CLASSES))
        self.seen = np.flatnonzero(~self.data.mask & ~self.data.dark)

    def loss(self, net, size, rng):
        chosen = rng.choice(self.seen, size)
        images, kind = self.data.batch(chosen, rng, face_nets.EXPRESSION_SIDE, LOOSE), torch.from_numpy(self.data.kind[chosen].astype(np.int64))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = net(images.to(memory_format=torch.channels_last))
        return nn.functional.cross_entropy(logits.float(), kind, label_smoothing=0.03), ((logits.argmax(1) == kind).float().mean(),)


TASKS = {"detector": DetectorTask, "embedding": EmbeddingTask, "expression": ExpressionTask}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("net", choices=TASKS)
    parser.add_argument("bank", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(args.seed)
    steps, size, highest = PLANS[args.net]
    train(TASKS[args.net](args.bank), args.run / f"{args.net}.pt", args.steps or steps, size, highest, args.seed)


def train(task, state, steps, size, highest, seed):
    net = task.net.to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=highest, weight_decay=0.02, betas=(0.9, 0.98))
    began, sums = time.process_time(), []
    step = schedule.resume(state, net, mean, optimiser)
    rng = np.random.default_rng([seed, step])
    net.train()
    while step < steps:
        for group in optimiser.param_groups:
            group["lr"] = highest * min(1.0, (step + 1) / 60) * max(0.01, 0.5 * (1 + np.cos(np.pi * step / steps)))
        loss, parts = task.loss(net, size, rng)
        schedule.update(net, mean, optimiser, loss, 5.0)
        step += 1
        sums.append([loss.item()] + [part.item() for part in parts])
        if step % 50 == 0:
            print(f"step {step} loss {np.mean(sums, 0).round(4)} {(time.process_time() - began) / 50:.2f} s of processor a step", flush=True)
            began, sums = time.process_time(), []
        if step % 100 == 0 or step == steps:
            schedule.save(state, net, mean, optimiser, step)


def averaged(state):
    """(network with averaged weights, step) of a state file."""
    net = {"detector": face_nets.Detector, "embedding": face_nets.Embedder, "expression": lambda: face_nets.Expression(len(person.CLASSES))}[state.stem]()
    return schedule.averaged(state, net, "net." if state.stem == "embedding" else "")


if __name__ == "__main__":
    main()
