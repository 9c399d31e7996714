"""From trained states to the pack: `export_faces.py RUN [--pack DIR]`.

Writes the three nets as ONNX (opset 17, averaged weights, one picture at a time), golden pictures with what the nets make of them, and
`pack.toml`. The figures under `likeness` are those of the last `evaluate_faces.py`, which writes them to RUN/likeness.json.
"""
import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

import face_nets
import face_runtime
from export import sha256, to_onnx
from heads import align, draw, person, scenes, view
from train_faces import averaged

LOOKS = {"neutral": "neutral", "happiness": "positive", "surprise": "none", "sadness": "negative", "anger": "negative"}
#: The detector's floor of scores, and the least distance of the eyes for a vector that can be trusted.
SCORE, NMS, MIN_EYES_PX = 0.45, 0.45, 14.0
#: Before the first evaluation; it writes better ones.
UNMEASURED = {"on": "not measured", "cosine": 0.4, "mean": 0.0, "deviation": 0.12}


def export(run, pack):
    steps = {}
    for name, wrap, size, output in (("detector", face_nets.ExportedDetector, scenes.SIZE[::-1], "faces"), ("embedding", nn.Sequential, (align.SIZE,) * 2, "vector"),
                                     ("expression", nn.Sequential, (face_nets.EXPRESSION_SIDE,) * 2, "classes")):
        net, steps[name] = averaged(run / f"{name}.pt")
        with torch.no_grad():
            to_onnx(wrap(net).eval(), size, pack / f"{name}.onnx", [output])
    return steps


def pictures():
    """(scene, two aligned crops of one person, one of another, a smile), uint8 RGB, the same on every machine."""
    rng = np.random.default_rng(4711)
    one, other = person.identity(rng), person.identity(rng)
    scene = draw.background(np.random.default_rng(8), (480, 288))
    for who, left, yaw in ((one, 110, -14), (other, 335, 18)):
        made = view.Head(who, person.expression(rng, "neutral"))
        seen = view.View(yaw, 3, 2, 52.0, (float(left), 105.0), (480, 288))
        rgba = draw.shoulders(view.shoot(made, seen), made, seen, rng)
        scene += rgba[..., 3:] * (rgba[..., :3] - scene)
    crops = []
    for who, kind, yaw in ((one, "neutral", 0.0), (one, "surprise", 20.0), (other, "neutral", 5.0), (one, "happiness", -6.0)):
        made = view.Head(who, person.expression(rng, kind, 1.0))
        seen, _ = draw.aligned_view(made, (yaw, 3.0, 0.0))
        rgba = draw.to_bytes(draw.shoulders(view.shoot(made, seen, draw.light(rng)), made, seen, rng))
        crops.append(draw.finished(rgba, rng, hard=0.0, jitter=False))
    return np.clip(scene, 0, 255).astype(np.uint8), *crops


def golden(pack):
    """Writes the golden pictures and returns the manifest's words for the three models."""
    names = ("golden-scene.png", "golden-one.png", "golden-one-again.png", "golden-other.png", "golden-smile.png")
    drawn = pictures()
    for name, image in zip(names, drawn):
        cv2.imwrite(str(pack / name), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    detector, embedder, expression, _ = face_runtime.ours(pack)
    boxes = ", ".join("[" + ", ".join(f"{v:.1f}" for v in box) + "]" for box, _, _ in detector(drawn[0]))
    vector = ", ".join(f"{v:.4f}" for v in embedder(drawn[1])[:8])
    words = [f'\n[[model.golden]]\nimage = "{names[0]}"\nboxes = [{boxes}]\n',
             f'\n[[model.golden]]\nimage = "{names[1]}"\nvector = [{vector}]\nlike = "{names[2]}"\nunlike = "{names[3]}"\n', ""]
    for name, image in ((names[2], drawn[2]), (names[4], drawn[4])):
        words[2] += f'\n[[model.golden]]\nimage = "{name}"\nexpression = "{person.CLASSES[int(expression(image).argmax())]}"\n'
    return words


def table(values):
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict))


def model(task, file, pack, size, output, rest, words=""):
    return f'''
[[model]]
task = "{task}"
file = "{file}"
sha256 = "{sha256(pack / file)}"

[model.input]
name = "input"
width = {size[0]}
height = {size[1]}
layout = "nchw"
colour = "rgb"
dtype = "f32"
mean = 0.0
std = 255.0
{"fit = 'letterbox'" if task == "face-detect" else "fit = 'stretch'"}
{"pad = 114.0" + chr(10) if task == "face-detect" else ""}resize = "area"

[model.output]
{table(output)}
{rest}{words}'''.replace("'", '"')


def manifest(pack, version, likeness, words=("", "", "")):
    spots = ",\n    ".join(f"[{x:.8f}, {y:.8f}]" for x, y in align.TEMPLATE / align.SIZE)
    aligned = f'\n[model.align]\nmethod = "points"\ntemplate = [\n    {spots},\n]\n'
    tail = "".join(f"\n[model.likeness.{key}]\n{table(value)}\n" for key, value in likeness.items() if isinstance(value, dict))
    return f'''# Faces of nobody: finds, tells apart and judges generated faces. No product for real ones; see MODEL_CARD.md.
format = 1
name = "face-demo"
version = "{version}"
licence = "Apache-2.0"
source = "models/training"
''' + model("face-detect", "detector.onnx", pack, scenes.SIZE, {"adaptor": "face-rows", "name": "faces"}, f"\n[model.thresholds]\nscore = {SCORE}\nnms_iou = {NMS}\n", words[0]) \
        + model("face-embed", "embedding.onnx", pack, (align.SIZE,) * 2, {"adaptor": "embedding", "name": "vector", "space": face_nets.SPACE, "min_eyes_px": MIN_EYES_PX},
                aligned + f"\n[model.likeness]\n{table(likeness)}\n{tail}", words[1]) \
        + model("face-expression", "expression.onnx", pack, (face_nets.EXPRESSION_SIDE,) * 2,
                {"adaptor": "expression", "name": "classes", "classes": list(person.CLASSES), "looks": [LOOKS[c] for c in person.CLASSES], "activation": "logits"}, aligned, words[2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--pack", type=Path, default=face_runtime.PACK)
    parser.add_argument("--version", default="0.1.0")
    args = parser.parse_args()
    args.pack.mkdir(parents=True, exist_ok=True)
    steps = export(args.run, args.pack)
    measured = args.run / "likeness.json"
    likeness = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else UNMEASURED
    path = args.pack / "pack.toml"
    path.write_text(manifest(args.pack, args.version, likeness), encoding="utf-8")
    path.write_text(manifest(args.pack, args.version, likeness, golden(args.pack)), encoding="utf-8")
    print(", ".join(f"{name} of step {step}" for name, step in steps.items()), "→", args.pack)


if __name__ == "__main__":
    main()
