"""From trained states to a pack: `export.py RUN_DETECTOR RUN_READER RUN_REFINER [--pack DIR] [--int8 SCENES]`.

Writes ONNX files (opset 17, averaged weights, one picture at a time) as float and, with `--int8`, as calibrated 8-bit
versions (per channel, weights and activations), temperature, thresholds and `pack.toml` with the hashes.
"""
import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

import detector_net
import reader_net
import refiner_net
import schedule
from plates.kinds import CHARSET, COLOURS

HERE = Path(__file__).resolve().parent


class ExportedReader(nn.Module):
    """Coarse crop → line → logits, colour logits without "unreadable", and readable/unreadable logits."""

    def __init__(self, refiner, net, doubt):
        super().__init__()
        self.cutter, self.net, self.doubt = refiner_net.Cutter(refiner), net, doubt

    def forward(self, image):
        logits, colour = self.net(self.cutter(image))
        seen = colour[:, :-1]
        legible = torch.cat([torch.logsumexp(seen, 1, keepdim=True), colour[:, -1:] - self.doubt], 1)
        return logits, seen, legible


def to_onnx(net, size, path, outputs):
    torch.onnx.export(net, torch.rand(1, 3, *size), str(path), opset_version=17, input_names=["input"], output_names=outputs, dynamo=False)
    model = onnx.load(path)
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, path)


def to_int8(source, target, pictures, keep_float):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self):
            self.left = iter(pictures)

        def get_next(self):
            picture = next(self.left, None)
            return None if picture is None else {"input": (picture.astype(np.float32) / 255).transpose(2, 0, 1)[None]}

    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    nodes = onnx.load(prepared).graph.node
    excluded = [n.name for n in nodes if keep_float(n)]
    quantize_static(
        str(prepared), str(target), Pictures(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax, nodes_to_exclude=excluded,
        op_types_to_quantize=["Conv", "Add", "Relu", "Resize", "MaxPool"],
        extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.05})
    prepared.unlink()


def calibration(bank, pattern, count):
    """Pictures from the first shards of a bank."""
    taken = []
    for path in sorted(Path(bank).glob(pattern))[:2]:
        images = np.load(path)["images"]
        taken += list(images[:: max(1, len(images) // (count // 2))][: count // 2])
    return taken


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reader_only_scope(node):
    return not any(part in node.name for part in ("/net/body/", "/net/fold/", "/net/sequence/", "/refiner/body/"))


def detector_only_scope(node):
    return "/net/" not in node.name or "/head/" in node.name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("detector", type=Path)
    parser.add_argument("reader", type=Path)
    parser.add_argument("refiner", type=Path)
    parser.add_argument("--pack", type=Path, default=HERE.parent / "packs" / "plate-cn")
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--doubt", type=float, default=1.0, help="log-odds by which 'unreadable' must win")
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--certain", type=float, default=0.8, help="score from which a plate counts even where nothing can be read")
    parser.add_argument("--resize", choices=["area", "bilinear"], default="area", help="how the firmware shrinks a picture for the detector")
    parser.add_argument("--int8", type=Path, metavar="SCENES", help="bank to calibrate on")
    parser.add_argument("--choose", choices=["float", "int8"], default="float")
    parser.add_argument("--version", default="0.3.0")
    args = parser.parse_args()
    args.pack.mkdir(parents=True, exist_ok=True)
    net, steps = schedule.averaged(args.detector / "detector.pt", detector_net.Detector())
    to_onnx(detector_net.Exported(net).eval(), (args.side, args.side), args.pack / "detector.onnx", ["output"])
    net, read_steps = schedule.averaged(args.reader / "reader.pt", reader_net.Reader())
    refiner, _ = schedule.averaged(args.refiner / "refiner.pt", refiner_net.Refiner())
    to_onnx(ExportedReader(refiner, net, args.doubt).eval(), (refiner_net.SIZE[1], refiner_net.SIZE[0]), args.pack / "reader.onnx", ["logits", "colour", "legible"])
    if args.int8:
        import cv2

        import train_refiner

        scenes = [cv2.resize(i, (args.side, args.side), interpolation=cv2.INTER_AREA) for i in calibration(args.int8, "scenes-???.npz", 120)]
        plates = train_refiner.Bank(args.int8, np.random.default_rng(3))
        lines = [cv2.resize(plates.one()[0], refiner_net.SIZE) for _ in range(400)]
        to_int8(args.pack / "detector.onnx", args.pack / "detector-int8.onnx", scenes, detector_only_scope)
        to_int8(args.pack / "reader.onnx", args.pack / "reader-int8.onnx", lines, reader_only_scope)
    suffix = "-int8" if args.choose == "int8" else ""
    write_pack(args, f"detector{suffix}.onnx", f"reader{suffix}.onnx")
    print(f"detector of step {steps}, reader of step {read_steps} → {args.pack}")


def write_pack(args, detector, reader):
    """`pack.toml`, first without and then with what the models say of the golden pictures."""
    import golden
    import runtime

    path = args.pack / "pack.toml"
    path.write_text(manifest(args, detector, reader), encoding="utf-8")
    expected = golden.write(args.pack, *runtime.ours(args.pack))
    path.write_text(manifest(args, detector, reader, *expected), encoding="utf-8")


def manifest(args, detector, reader, golden_detector="", golden_reader=""):
    return f'''# Mainland China: our own detector and reader. Made by models/training; figures in MODEL_CARD.md.
format = 1
name = "plate-cn"
version = "{args.version}"
licence = "Apache-2.0"
source = "models/training"
region = "cn"

[[model]]
task = "plate-detect"
file = "{detector}"
sha256 = "{sha256(args.pack / detector)}"

[model.input]
name = "input"
width = {args.side}
height = {args.side}
layout = "nchw"
colour = "rgb"
dtype = "f32"
mean = 0.0
std = 255.0
fit = "letterbox"
pad = 114.0
resize = "{args.resize}"

[model.output]
adaptor = "yolov5-corners"
name = "output"
classes = ["single", "double"]
corners = "tl-tr-br-bl"

[model.thresholds]
score = {args.score}
nms_iou = 0.5
certain = {args.certain}
{golden_detector}
[[model]]
task = "plate-ocr"
file = "{reader}"
sha256 = "{sha256(args.pack / reader)}"
confusions = "confusions.csv"

[model.input]
name = "input"
width = {refiner_net.SIZE[0]}
height = {refiner_net.SIZE[1]}
layout = "nchw"
colour = "rgb"
dtype = "f32"
mean = 0.0
std = 255.0
fit = "stretch"
resize = "area"

[model.output]
adaptor = "ctc"
name = "logits"
charset = "{CHARSET}"
blank = "last"
layout = "tc"
activation = "logits"
temperature = {args.temperature}

[model.crop]
margin = [{refiner_net.MARGIN[0]}, {refiner_net.MARGIN[1]}]

[model.double_row]
method = "whole"

[model.colour]
name = "colour"
classes = [{", ".join(f'"{c}"' for c in COLOURS[:-1])}]
activation = "logits"

[model.legible]
name = "legible"
classes = ["readable", "unreadable"]
activation = "logits"
{golden_reader}'''


if __name__ == "__main__":
    main()
