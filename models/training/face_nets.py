"""The three networks of `face-demo`: where faces are, who it is, what the face expresses.

Detector: 3 x 192 x 320 (letterboxed, 0..1); one cell for every 8 x 8 px says how face-like it is, its box and five points.
Embedder: aligned 3 x 112 x 112 to 128 numbers of unit length. Expression: aligned 3 x 64 x 64 to log-odds of five classes.
About 59, 17 and 4.5 million multiply-adds.
"""
import torch
from torch import nn

from reader_net import Normalise, Residual, block

STRIDE, POINTS, OUTPUTS = 8, 5, 1 + 4 + 10
SPACE, NUMBERS = "face-demo-1", 128
EXPRESSION_SIDE = 64


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.normalise = Normalise()
        self.eighth = nn.Sequential(block(3, 16, 3, 2), block(16, 24, 3, 2), block(24, 48, 3, 2), Residual(48, 3), Residual(48, 3))
        self.sixteenth = nn.Sequential(block(48, 64, 3, 2), Residual(64, 3), Residual(64, 3))
        self.thirtysecond = nn.Sequential(block(64, 96, 3, 2), Residual(96, 5), Residual(96, 5))
        self.from32, self.from16, self.from8 = nn.Conv2d(96, 48, 1), nn.Conv2d(64, 48, 1), nn.Conv2d(48, 48, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.mix16, self.mix8 = Residual(48, 3), nn.Sequential(Residual(48, 3), Residual(48, 3))
        self.head = nn.Conv2d(48, OUTPUTS, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.head.bias.data[0] = -4.0
        self.head.bias.data[3:5] = 1.2

    def forward(self, image):
        """→ raw outputs N x 15 x H/8 x W/8."""
        x8 = self.eighth(self.normalise(image))
        x16 = self.sixteenth(x8)
        y16 = self.mix16(torch.relu(self.from16(x16) + self.up(self.from32(self.thirtysecond(x16)))))
        return self.head(self.mix8(torch.relu(self.from8(x8) + self.up(y16))))


def decode(raw):
    """Raw outputs → (face logit N x HW, centre and size N x HW x 4 in px, points N x HW x 5 x 2 in px)."""
    n, _, h, w = raw.shape
    raw = raw.flatten(2).transpose(1, 2)
    cell_y = torch.arange(h, dtype=raw.dtype).repeat_interleave(w) * STRIDE + STRIDE / 2
    cell_x = torch.arange(w, dtype=raw.dtype).repeat(h) * STRIDE + STRIDE / 2
    centre = torch.stack([cell_x, cell_y], -1) + raw[..., 1:3] * STRIDE
    size = torch.exp(raw[..., 3:5].clamp(-2, 4)) * STRIDE
    points = centre[:, :, None] + raw[..., 5:].reshape(n, h * w, POINTS, 2) * 0.5 * size[:, :, None]
    return raw[..., 0], torch.cat([centre, size], -1), points


class ExportedDetector(nn.Module):
    """Decoding and the best local maxima inside the graph: N x keep x 15.

    x1, y1, x2, y2, score, then x, y of left eye, right eye, nose, left and right corner of the mouth; input pixels.
    """

    def __init__(self, net, keep=64):
        super().__init__()
        self.net, self.keep = net, keep
        self.pool = nn.MaxPool2d(3, 1, 1)

    def forward(self, image):
        raw = self.net(image)
        score = raw[:, 0:1]
        peak = torch.where(score >= self.pool(score), score, score - 12.0)
        logit, box, points = decode(torch.cat([peak, raw[:, 1:]], 1))
        logit, best = logit.topk(self.keep, dim=1)
        pick = lambda values: torch.gather(values, 1, best[..., None].expand(-1, -1, values.shape[-1]))
        box = pick(box)
        return torch.cat([box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2, logit.sigmoid()[..., None], pick(points.flatten(2))], 2)


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.normalise = Normalise()
        self.body = nn.Sequential(
            block(3, 16, 3, 2), block(16, 32, 3, 2), Residual(32, 3), block(32, 64, 3, 2), Residual(64, 3), Residual(64, 3),
            block(64, 128, 3, 2), Residual(128, 3), Residual(128, 3))
        self.gather = nn.Sequential(nn.Conv2d(128, 128, 7, groups=128, bias=False), nn.BatchNorm2d(128), nn.Flatten(), nn.Linear(128, NUMBERS, bias=False), nn.BatchNorm1d(NUMBERS, affine=False))

    def forward(self, image):
        """→ N x 128, each of unit length."""
        return nn.functional.normalize(self.gather(self.body(self.normalise(image))).float(), dim=1)


class Expression(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.normalise = Normalise()
        self.body = nn.Sequential(
            block(3, 16, 3, 2), block(16, 32, 3, 2), Residual(32, 3), block(32, 64, 3, 2), Residual(64, 3), block(64, 96, 3, 2), Residual(96, 3))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(96 * (EXPRESSION_SIDE // 16) ** 2, classes))

    def forward(self, image):
        """→ N x classes, log-odds."""
        return self.head(self.body(self.normalise(image))).float()


class Margin(nn.Module):
    """CosFace: the cosine with the person's own direction must beat all others by a margin."""

    def __init__(self, persons, scale=24.0, margin=0.25):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(persons, NUMBERS))
        self.scale, self.margin = scale, margin

    def forward(self, vectors, who):
        cosine = vectors @ nn.functional.normalize(self.directions, dim=1).t()
        return self.scale * (cosine - self.margin * nn.functional.one_hot(who, cosine.shape[1]))
