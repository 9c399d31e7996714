"""The detector: a picture 3xSxS (letterboxed, 0..1) to plates with four corners and one or two rows, in one pass.

One output cell for every 8x8 px says how plate-like it is, where the plate's centre is, how wide and high it is, and how
the four corners differ from an upright box; coarser levels see the vehicle around it. About 220 million multiply-adds at 384.
"""
import torch
from torch import nn

from reader_net import Residual, block

STRIDE = 8
OUTPUTS = 1 + 4 + 8 + 1


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.quarter = nn.Sequential(block(3, 16, 3, 2), block(16, 32, 3, 2))
        self.eighth = nn.Sequential(block(32, 48, 3, 2), Residual(48, 3), Residual(48, 3))
        self.sixteenth = nn.Sequential(block(48, 96, 3, 2), Residual(96, 3), Residual(96, 3), Residual(96, 3))
        self.thirtysecond = nn.Sequential(block(96, 128, 3, 2), Residual(128, 5), Residual(128, 5), Residual(128, 5))
        self.from32, self.from16, self.from8 = nn.Conv2d(128, 64, 1), nn.Conv2d(96, 64, 1), nn.Conv2d(48, 64, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.mix16, self.mix8 = Residual(64, 3), nn.Sequential(Residual(64, 3), Residual(64, 3), Residual(64, 5))
        self.head = nn.Conv2d(64, OUTPUTS, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.head.bias.data[0] = -4.6
        self.head.bias.data[3], self.head.bias.data[4] = 1.5, 0.5

    def forward(self, image):
        """→ raw outputs N x 14 x S/8 x S/8."""
        x8 = self.eighth(self.quarter(image))
        x16 = self.sixteenth(x8)
        x32 = self.thirtysecond(x16)
        y16 = self.mix16(torch.relu(self.from16(x16) + self.up(self.from32(x32))))
        y8 = self.mix8(torch.relu(self.from8(x8) + self.up(y16)))
        return self.head(y8)


def placed(cells, column, row):
    """Outputs of cells (N x K x 14) at their columns and rows (N x K) → corners N x K x 4 x 2 in px, double-row logit N x K."""
    centre = (torch.stack([column, row], -1) + 0.5 + cells[..., 1:3]) * STRIDE
    size = torch.exp(cells[..., 3:5].clamp(-3, 5)) * STRIDE
    unit = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]], dtype=cells.dtype)
    offset = cells[..., 5:13].reshape(*cells.shape[:2], 4, 2) * 0.25
    return centre[:, :, None] + (unit + offset) * size[:, :, None], cells[..., 13]


def decode(raw):
    """Raw outputs → (objectness logit N x HW, corners N x HW x 4 x 2 in px, double-row logit N x HW)."""
    n, _, h, w = raw.shape
    row = torch.arange(h, dtype=raw.dtype).repeat_interleave(w).expand(n, -1)
    column = torch.arange(w, dtype=raw.dtype).repeat(h).expand(n, -1)
    cells = raw.flatten(2).transpose(1, 2)
    return cells[..., 0], *placed(cells, column, row)


class Exported(nn.Module):
    """The detector with decoding and the best `keep` cells inside the graph: N x keep x 15.

    cx, cy, w, h, objectness, corners x, y (TL, TR, BR, BL), single, double; lengths in input pixels.
    """

    def __init__(self, net, keep=100):
        super().__init__()
        self.net, self.keep = net, keep
        self.pool = nn.MaxPool2d(3, 1, 1)

    def forward(self, image):
        raw = self.net(image)
        score = raw[:, 0:1]
        peak = torch.where(score >= self.pool(score), score, score - 12.0).flatten(1)
        logit, best = peak.topk(self.keep, dim=1)
        cells = torch.gather(raw.flatten(2), 2, best[:, None].expand(-1, OUTPUTS, -1)).transpose(1, 2)
        column = (best % raw.shape[3]).to(raw.dtype)
        row = torch.div(best, raw.shape[3], rounding_mode="floor").to(raw.dtype)
        corners, double = placed(cells, column, row)
        corners, objectness, double = corners.flatten(2), logit.sigmoid()[..., None], double.sigmoid()[..., None]
        x, y = corners[..., 0::2], corners[..., 1::2]
        x0, x1 = x.amin(2, keepdim=True), x.amax(2, keepdim=True)
        y0, y1 = y.amin(2, keepdim=True), y.amax(2, keepdim=True)
        return torch.cat([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, objectness, corners, 1 - double, double], 2)
