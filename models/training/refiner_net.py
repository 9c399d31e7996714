"""Finds the plate inside a coarse crop and cuts the reader's line from it, inside the reader's own graph.

A small detector's corners are a few per cent off, which costs characters at the ends. The refiner looks at the coarse crop
(plate with a generous margin, 3x72x224), gives four corners and one or two rows, and samples the line of 3x32x160 that the
reader was trained on; two rows come side by side. About 4 million multiply-adds.
"""
import torch
from torch import nn

from plates import crops
from reader_net import Normalise, block

SIZE = (224, 72)
#: Added around the detector's corners, as shares of the plate's width and height; repeated in `pack.toml`.
MARGIN = (0.12, 0.28)


class Refiner(nn.Module):
    def __init__(self):
        super().__init__()
        self.shrink = nn.AvgPool2d(2)
        self.normalise = Normalise()
        self.body = nn.Sequential(block(3, 16, 3, 2), block(16, 32, 3, 2), block(32, 48, 3, 2), block(48, 64, 3), block(64, 24, 1))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(24 * 14 * 5, 96), nn.ReLU(inplace=True), nn.Linear(96, 9))
        x, y = MARGIN[0] / (1 + 2 * MARGIN[0]), MARGIN[1] / (1 + 2 * MARGIN[1])
        self.register_buffer("expected", torch.tensor([x, y, 1 - x, y, 1 - x, 1 - y, x, 1 - y]))

    def forward(self, image):
        """image N x 3 x 72 x 224 in 0..1 → corners N x 4 x 2 as shares of the crop, double-row logit N."""
        return self.find(self.shrink(image))

    def find(self, small):
        """The same for a picture of half the size."""
        out = self.head(self.body(self.normalise(small)))
        return (self.expected + 0.2 * out[:, :8]).view(-1, 4, 2), out[:, 8]


def places(rows):
    """Where each pixel of the line lies in the plate (u, v; the plate is 0..1): 32 x 160 x 2."""
    w, h = crops.SIZE
    v, u = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    if rows == 2:
        lower = u >= 0.5
        u = torch.where(lower, 2 * u - 1, 2 * u)
        top, bottom = crops.TOP, crops.BOTTOM
        v = torch.where(lower, bottom[0] + v * (bottom[1] - bottom[0]), top[0] + v * (top[1] - top[0]))
    mx, my = crops.MARGIN
    return torch.stack([u * (1 + 2 * mx) - mx, v * (1 + 2 * my) - my], -1)


def spread(rows):
    """For each pixel of the line the weights of 1, u, v and uv: with them its place is one product with the corners' differences."""
    u, v = places(rows).flatten(0, 1).unbind(1)
    return torch.stack([torch.ones_like(u), u, v, u * v], 1)


class Cutter(nn.Module):
    """Coarse crop → the reader's line; a place on the plate is bilinear between its four corners."""

    def __init__(self, refiner):
        super().__init__()
        self.refiner = refiner
        self.register_buffer("one", spread(1)[None])
        self.register_buffer("two", spread(2)[None])

    def forward(self, image):
        corners, double = self.refiner(image)
        tl, tr, br, bl = (2 * corners - 1).unbind(1)
        base = torch.stack([tl, tr - tl, bl - tl, tl - tr + br - bl], 1)
        weights = torch.where((double > 0).view(-1, 1, 1), self.two, self.one)
        point = torch.matmul(weights, base).view(-1, crops.SIZE[1], crops.SIZE[0], 2)
        return nn.functional.grid_sample(image, point, padding_mode="border", align_corners=False)
