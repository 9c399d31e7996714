"""Trains the reader on the shards of `make_crops.py`: `train_reader.py BANK RUN --steps 7600`.

Resumable: the newest state lies in RUN/reader.pt (weights, averaged weights, optimiser, step); the same command goes on
from there. Shards that appear while it runs are taken in. The state with `--steps` done is final.
"""
import time

import numpy as np
import torch
from torch import nn

import reader_net
import schedule
from plates.kinds import BLANK

MIX = {"generated": 0.58, "real": 0.34, "nothing": 0.05, "mistaken": 0.03}


class Bank:
    """Batches from the shards on disk: its sources in fixed shares, a few shards of each in memory at a time."""

    def __init__(self, folder, rng, resident=5):
        self.folder, self.rng, self.resident = folder, rng, resident
        self.data, self.turn = {}, 0

    def refresh(self):
        for source in MIX:
            paths = sorted(self.folder.glob(f"{source}-???.npz"))
            held = self.data.setdefault(source, {})
            for path in self.rng.permutation(paths)[: self.resident]:
                if path not in held:
                    loaded = np.load(path)
                    held[path] = tuple(loaded[k] for k in ("images", "texts", "colours"))
                    while len(held) > self.resident * 3:
                        held.pop(next(iter(held)))

    def batch(self, size):
        if self.turn % 500 == 0:
            self.refresh()
        self.turn += 1
        sources = [s for s in MIX if self.data[s]]
        shares = np.array([MIX[s] for s in sources])
        parts = []
        for source, n in zip(sources, self.rng.multinomial(size, shares / shares.sum())):
            shards = list(self.data[source].values())
            chosen = shards[self.rng.integers(len(shards))]
            index = self.rng.integers(0, len(chosen[0]), n)
            parts.append([a[index] for a in chosen])
        return [np.concatenate(a) for a in zip(*parts)]


def warp(x):
    """Half of the pictures are stretched, shifted and sheared a little more, as a coarse detector would cut them."""
    n = len(x)
    on = (torch.rand(n) < 0.5).float()
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = 1 + on * (0.03 + 0.05 * torch.randn(n)).clamp(-0.06, 0.14)
    theta[:, 1, 1] = 1 + on * (0.04 + 0.09 * torch.randn(n)).clamp(-0.08, 0.25)
    theta[:, 0, 1], theta[:, 1, 0] = on * 0.012 * torch.randn(n), on * 0.08 * torch.randn(n)
    theta[:, 0, 2], theta[:, 1, 2] = on * 0.03 * torch.randn(n).clamp(-2, 2), on * 0.08 * torch.randn(n).clamp(-2, 2)
    grid = nn.functional.affine_grid(theta, x.shape, align_corners=False)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def augment(images):
    """Cheap changes on the batch (N x H x W x 3 uint8 → N x 3 x H x W in 0..1): shift, gain, bias, noise, grey, holes."""
    n = len(images)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    dy, dx = int(torch.randint(-1, 2, ())), int(torch.randint(-3, 4, ()))
    x = torch.roll(nn.functional.pad(x, (4, 4, 2, 2), mode="replicate"), (dy, dx), (2, 3))[:, :, 2:-2, 4:-4]
    x = warp(x)
    gain = 1 + 0.15 * torch.randn(n, 1, 1, 1) + 0.06 * torch.randn(n, 3, 1, 1)
    x = x * gain + 0.05 * torch.randn(n, 3, 1, 1) * (torch.rand(n, 1, 1, 1) < 0.5)
    noisy = torch.rand(n) < 0.25
    x[noisy] += torch.randn(int(noisy.sum()), 1, *x.shape[2:]) * 0.04 * torch.rand(int(noisy.sum()), 1, 1, 1)
    grey = (torch.rand(n) < 0.06)
    x[grey] = x[grey].mean(1, keepdim=True)
    return x.clamp(0, 1), grey


def loss_of(net, images, texts, colours):
    x, grey = augment(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, colour_logits = net(x.to(memory_format=torch.channels_last))
    log_probs = logits.float().log_softmax(2).transpose(0, 1)
    texts = torch.from_numpy(texts.astype(np.int64))
    lengths = (texts >= 0).sum(1)
    steps = torch.full((len(texts),), log_probs.shape[0], dtype=torch.long)
    ctc = nn.functional.ctc_loss(log_probs, texts[texts >= 0], steps, lengths, blank=BLANK, reduction="none", zero_infinity=True)
    ctc = (ctc / lengths.clamp(min=4)).mean()
    target = torch.from_numpy(colours.astype(np.int64))
    target = torch.where(grey & (target != 6), -1, target)
    colour = nn.functional.cross_entropy(colour_logits.float(), target, ignore_index=-1, label_smoothing=0.02)
    return ctc + 0.15 * colour, ctc


def main():
    args = schedule.arguments(7600, 48, 2e-3, "state whose averaged weights a new schedule begins with")
    args.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    net = reader_net.Reader().to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=0.02, betas=(0.9, 0.98))
    state = args.run / "reader.pt"
    if args.start and not state.exists():
        schedule.begin_with(net, mean, args.start)
    step = schedule.resume(state, net, mean, optimiser)
    bank = Bank(args.bank, np.random.default_rng(args.seed + step))
    began, sums = time.time(), []
    while step < args.steps:
        rate = schedule.rate(args, step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        net.train()
        loss, ctc = loss_of(net, *bank.batch(args.batch))
        schedule.update(net, mean, optimiser, loss, 2.0)
        step += 1
        sums.append((loss.item(), ctc.item()))
        if step % 100 == 0:
            print(f"step {step} loss {np.mean(sums, 0).round(4)} rate {rate:.5f} {100 * args.batch / (time.time() - began):.0f} crops/s", flush=True)
            began, sums = time.time(), []
        if step % 250 == 0 or step == args.steps:
            schedule.save(state, net, mean, optimiser, step)


if __name__ == "__main__":
    main()
