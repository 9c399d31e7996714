"""The labelled real pictures (`cn_crops`, `cn_scenes`, `cn_ccpd`): where they are, and which of them never train.

They lie beside the repository (`FORECOURT_SHARED`, else `../shared` seen from the repository) and are never committed.
Held out: every file whose name hashes into the first quarter, the same on every machine.
"""
import csv
import hashlib
import os
from pathlib import Path

import cv2
import numpy as np

SETS = ("cn_crops", "cn_scenes", "cn_ccpd")


def shared():
    default = Path(__file__).resolve().parents[3].parent / "shared"
    return Path(os.environ.get("FORECOURT_SHARED", default))


def held_out(name):
    """True for the quarter of the files that training never reads."""
    return hashlib.sha256(Path(name).name.encode()).digest()[0] < 64


def rows(dataset, part):
    """Labels of `dataset`; `part` is "train", "test" or "all". Corners are (TL, TR, BR, BL) or None."""
    table = shared() / "data" / dataset / "labels.csv"
    if not table.exists():
        print(f"no {table}: real pictures are left out")
        return []
    found = []
    for row in csv.DictReader(table.open(encoding="utf-8")):
        if part != "all" and held_out(row["file"]) != (part == "test"):
            continue
        quad = None
        if row["corners"]:
            quad = np.array([[float(v) for v in p.split(",")] for p in row["corners"].split()], np.float32)
        found.append({"file": table.parent / row["file"], "plate": row["plate"], "colour": row["colour"], "quad": quad})
    return found


def read(path):
    """The picture as RGB uint8."""
    data = np.fromfile(path, np.uint8)
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def scenes(part):
    """Whole pictures with all their labelled plates: (path, [row, …])."""
    grouped = {}
    for dataset in ("cn_scenes", "cn_ccpd"):
        for row in rows(dataset, part):
            grouped.setdefault(row["file"], []).append(row)
    return sorted(grouped.items())


def unmarked(name):
    """Boxes (x0, y0, x1, y1) of plates that the labels of this picture do not name (`unmarked.csv`, made by looking at them)."""
    table = Path(__file__).with_name("unmarked.csv")
    digest = hashlib.sha256(Path(name).name.encode()).hexdigest()
    boxes = [[float(row[k]) for k in ("x0", "y0", "x1", "y1")] for row in csv.DictReader(table.open()) if digest.startswith(row["file_sha256"])]
    return [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32) for x0, y0, x1, y1 in boxes]
