"""The reader: a plate line 3x32x160 to 40 steps of log-odds over the characters, and the plate's colour.

About 38 million multiply-adds. Light differs more than anything else between pictures, so the first thing the
network does is to bring each picture to zero mean and unit spread (over all its pixels and channels: colour stays).
"""
import torch
from torch import nn

from plates.kinds import CHARSET, COLOURS

CLASSES = len(CHARSET) + 1
STEPS = 40


def block(inputs, outputs, kernel=3, stride=1, groups=1):
    padding = kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Depthwise, then pointwise, added to the input; begins as nothing added, so that a trained network can be given more of them."""

    def __init__(self, width, kernel):
        super().__init__()
        self.body = nn.Sequential(block(width, width, kernel, groups=width), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))
        nn.init.zeros_(self.body[2].weight)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(x + self.body(x))


class Normalise(nn.Module):
    def forward(self, x):
        x = x - x.mean((1, 2, 3), keepdim=True)
        return x * torch.rsqrt((x * x).mean((1, 2, 3), keepdim=True) + 1e-4)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        a, b, c, d, e = 32, 48, 64, 96, 160
        self.normalise = Normalise()
        self.body = nn.Sequential(
            block(3, a, 3, 2),
            block(a, b, 3, 2),
            block(b, c, 3, 1),
            Residual(c, 3),
            block(c, d, 3, (2, 1)),
            Residual(d, 3),
            Residual(d, 3),
            Residual(d, 3),
            Residual(d, 5),
        )
        self.fold = nn.Sequential(nn.Conv2d(d, e, (4, 1), bias=False), nn.BatchNorm2d(e), nn.ReLU(inplace=True))
        self.sequence = nn.Sequential(Residual(e, (1, 7)), Residual(e, (1, 7)), Residual(e, (1, 9)))
        self.head = nn.Conv2d(e, CLASSES, 1)
        self.colour = nn.Sequential(nn.Linear(d, 48), nn.ReLU(inplace=True), nn.Linear(48, len(COLOURS)))

    def forward(self, image):
        """image N x 3 x 32 x 160 in 0..1 → logits N x 40 x classes, colour logits N x 7."""
        features = self.body(self.normalise(image))
        steps = self.head(self.sequence(self.fold(features)))
        return steps.squeeze(2).transpose(1, 2), self.colour(features.mean((2, 3)))
