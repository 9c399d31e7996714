"""Runs detectors and readers with ONNX Runtime as the firmware does: one thread, letterbox, suppression, rectifying, greedy CTC.

Packs are described by `pack.toml` (ours) or by the built-in descriptions of the public models it is compared with.
"""
import os
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort  # noqa: E402

import refiner_net  # noqa: E402
from plates import crops, pose, real  # noqa: E402

PACKS = Path(__file__).resolve().parents[1] / "packs"


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Timed:
    """A session that keeps the processor time of each run."""

    def __init__(self, path):
        self.session, self.path = session(path), Path(path)
        self.ms = []

    def __call__(self, tensor):
        began = time.thread_time()
        out = self.session.run(None, {self.session.get_inputs()[0].name: tensor})
        self.ms.append((time.thread_time() - began) * 1e3)
        return out


def iou(a, b):
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    inner = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    outer = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    return inner / outer if outer > 0 else 0.0


class Detector:
    """`yolov5-corners` output: plates as (box x0 y0 x1 y1, corners or None, rows, score) in picture pixels."""

    def __init__(self, path, side, pad, score, nms=0.5, resize="area"):
        self.run, self.side, self.pad, self.score, self.nms, self.resize = Timed(path), side, pad, score, nms, resize
        self.certain = 0.0

    def __call__(self, image):
        h, w = image.shape[:2]
        scale = self.side / max(h, w)
        nw, nh = max(1, round(w * scale)), max(1, round(h * scale))
        dx, dy = (self.side - nw) // 2, (self.side - nh) // 2
        boxed = np.full((self.side, self.side, 3), self.pad, np.float32)
        how = cv2.INTER_AREA if scale < 1 and self.resize == "area" else cv2.INTER_LINEAR
        boxed[dy:dy + nh, dx:dx + nw] = cv2.resize(image, (nw, nh), interpolation=how)
        rows = self.run((boxed / 255).transpose(2, 0, 1)[None].astype(np.float32))[0][0]
        return self._suppress(rows, np.array([dx, dy]), np.array([nw / w, nh / h]))

    def _suppress(self, rows, move, scale):
        score = rows[:, 4] * rows[:, 13:].max(1)
        found = []
        for i in np.argsort(-score):
            if score[i] < self.score:
                break
            centre, size = rows[i, :2], rows[i, 2:4]
            box = np.concatenate([centre - size / 2, centre + size / 2])
            if all(iou(box, f[0]) < self.nms for f in found):
                found.append((box, rows[i, 5:13].reshape(4, 2), 1 + int(rows[i, 13:].argmax()), float(score[i])))
        out = []
        for box, quad, count, s in found:
            corner = ((box.reshape(2, 2) - move) / scale).ravel()
            out.append((corner, ((quad - move) / scale).astype(np.float32), count, s))
        return out


def decode(log_probs, charset, blank):
    """Greedy CTC: (string, mean probability of its symbols)."""
    best, last, text, sure = log_probs.argmax(1), blank, [], []
    for code, share in zip(best, np.exp(np.minimum(log_probs.max(1), 0))):
        if code != blank and code == last:
            sure[-1] = max(sure[-1], share)
        elif code != blank:
            text.append(charset[code])
            sure.append(share)
        last = code
    return "".join(text), float(np.mean(sure)) if sure else 0.0


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class OurReader:
    """The pack's reader: text, colour, legibility; one or two rows."""

    def __init__(self, path, table):
        self.run = Timed(path)
        output = table["output"]
        self.charset, self.temperature = output["charset"], output.get("temperature", 1.0)
        self.colours = table["colour"]["classes"]
        names = [o.name for o in self.run.session.get_outputs()]
        self.order = [names.index(n) for n in (output["name"], table["colour"]["name"], table["legible"]["name"])]

    def of_tight(self, image):
        """A picture that is the plate and no more than a little around it."""
        tensor = (sized(image).astype(np.float32) / 255).transpose(2, 0, 1)[None]
        out = self.run(tensor)
        logits, colour, legible = (out[i][0] for i in self.order)
        log_probs = log_softmax(logits / self.temperature)
        text, sure = decode(log_probs, self.charset, len(self.charset))
        return {"text": text, "sure": sure, "colour": self.colours[int(colour.argmax())], "legible": float(np.exp(log_softmax(legible))[0]), "log_probs": log_probs}

    def of_picture(self, image, quad, rows):
        """A plate at four corners; the network finds its rows itself."""
        return self.of_tight(coarse(image, quad))


def sized(image, size=refiner_net.SIZE):
    if image.shape[1::-1] == size:
        return image
    shrinks = image.shape[1] > size[0] or image.shape[0] > size[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def coarse(image, quad):
    """The crop that the reader takes: the plate with the pack's margin, rectified; the mean where the plate is larger."""
    grown = pose.grow(quad, *refiner_net.MARGIN)
    factor = int(np.clip(np.ceil(np.linalg.norm(grown[1] - grown[0]) / refiner_net.SIZE[0]), 1, 4))
    w, h = refiner_net.SIZE
    return sized(pose.rectify(image, grown, (w * factor, h * factor)))


class LprNet:
    """A public LPRNet: 94x24 BGR; two rows are read one after the other."""

    def __init__(self, path, charset, mean, scale, classes_first):
        self.run, self.charset, self.mean, self.scale, self.classes_first = Timed(path), charset, mean, scale, classes_first

    def of_tight(self, image):
        small = cv2.resize(image, (94, 24), interpolation=cv2.INTER_LINEAR)[..., ::-1].astype(np.float32)
        out = self.run(((small - self.mean) * self.scale).transpose(2, 0, 1)[None].astype(np.float32))[0][0]
        return {"text": decode(out.T if self.classes_first else out, self.charset, len(self.charset))[0]}

    def of_picture(self, image, quad, rows):
        if rows == 1:
            return self.of_tight(pose.rectify(image, quad, (188, 48)))
        parts = [crops._band(image, quad, span, (188, 48)) for span in ((0.0, 0.4), (0.4, 1.0))]
        return {"text": "".join(self.of_tight(p)["text"] for p in parts)}


CHARSET_0007 = "0123456789皖京渝闽甘粤桂贵琼冀黑豫港鄂湘蒙苏赣吉辽澳宁青陕鲁沪晋川津藏新云浙警ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARSET_SIRIUS = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新0123456789ABCDEFGHJKLMNPQRSTUVWXYZIO"


def public():
    """The public detectors and readers that are at hand: two dictionaries by name."""
    root = real.shared() / "packs"
    y5, l7, ls = root / "plate-detect-y5fu", root / "plate-ocr-cn-lprnet0007", root / "plate-ocr-cn-lprnet-sirius"
    detectors, readers = {}, {}
    if y5.exists():
        detectors["y5fu-320"] = Detector(y5 / "y5fu_320x_sim.onnx", 320, 0, 0.25)
        detectors["y5fu-640"] = Detector(y5 / "y5fu_640x_sim.onnx", 640, 0, 0.25)
    if l7.exists():
        readers["lprnet0007"] = LprNet(l7 / "lprnet_0007.onnx", CHARSET_0007, 0.0, 1.0, False)
    if ls.exists():
        readers["lprnet-sirius"] = LprNet(ls / "lprnet_sirius.onnx", CHARSET_SIRIUS, 127.5, 0.0078125, True)
    if not (detectors and readers):
        print(f"no public packs under {root}: nothing to compare with")
    return detectors, readers


def ours(folder=PACKS / "plate-cn"):
    """The detector and reader of a pack of this repository."""
    pack = tomllib.loads((folder / "pack.toml").read_text(encoding="utf-8"))
    models = {m["task"]: m for m in pack["model"]}
    found, read = models["plate-detect"], models["plate-ocr"]
    limits, given = found["thresholds"], found["input"]
    detector = Detector(folder / found["file"], given["width"], given["pad"], limits["score"], limits["nms_iou"], given["resize"])
    detector.certain = limits.get("certain", 0.0)
    return detector, OurReader(folder / read["file"], read)
