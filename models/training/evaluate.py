"""Measures a pack and the public models side by side: `evaluate.py [--pack DIR] [--card] [--quick]`.

Real pictures: only those that training never read. Generated ones: seeds that training never used. Prints the tables; `--card`
also puts them between the marks in MODEL_CARD.md and writes the reader's own errors to `confusions.csv`.
"""
import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

import runtime
from plates import crops, kinds, pose, real, scenes

SEED = 90210
MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")


class Tally:
    """Hits and trials by any key, and the table of them."""

    def __init__(self):
        self.counts = defaultdict(lambda: defaultdict(lambda: [0, 0]))

    def add(self, row, column, hit):
        cell = self.counts[row][column]
        cell[0] += bool(hit)
        cell[1] += 1

    def table(self, corner, rows=None):
        columns = list(dict.fromkeys(c for r in self.counts.values() for c in r))
        lines = [f"| {corner} | n | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
        for row in rows or self.counts:
            if row not in self.counts:
                continue
            cells = self.counts[row]
            n = max(c[1] for c in cells.values())
            lines.append(f"| {row} | {n} | " + " | ".join(percent(cells[c]) if c in cells else "–" for c in columns) + " |")
        return "\n".join(lines)


def percent(cell):
    return f"{100 * cell[0] / cell[1]:.1f}" if cell[1] else "–"


def real_crops(readers):
    tally = Tally()
    for row in real.rows("cn_crops", "test"):
        image = real.read(row["file"])
        for name, reader in readers.items():
            read = reader.of_tight(image)
            text = read["text"]
            if "legible" in read:
                tally.add("called unreadable", name, read["legible"] < 0.5)
            tally.add("whole plate exact", name, text == row["plate"])
            tally.add("without the province", name, text[1:] == row["plate"][1:])
            tally.add("province", name, text[:1] == row["plate"][0])
    return tally


def real_scenes(detectors, readers):
    """Held-out scenes: plates found, found and read, read from the labelled corners; and our failures in words."""
    found_tally, read_tally, corner_tally, misses = Tally(), Tally(), Tally(), []
    pairs = [(d, r) for d in detectors for r in readers if (d.startswith("ours")) == (r.startswith("ours"))]
    for path, rows in real.scenes("test"):
        image = real.read(path)
        for name, detector in detectors.items():
            hits = standing(detector, readers.get(name), image)
            found_tally.add("pictures with something else found", name, any(not known(h[0], path, rows) for h in hits))
            for row in rows:
                box = np.concatenate([row["quad"].min(0), row["quad"].max(0)])
                best = max(hits, key=lambda h: runtime.iou(h[0], box), default=None)
                ok = best is not None and runtime.iou(best[0], box) >= 0.5
                found_tally.add("found (IoU 0.5)", name, ok)
                for detector_name, reader_name in pairs:
                    if detector_name != name:
                        continue
                    text = readers[reader_name].of_picture(image, best[1], best[2])["text"] if ok else ""
                    read_tally.add("all", f"{name} + {reader_name}", text == row["plate"])
                    read_tally.add(row["colour"], f"{name} + {reader_name}", text == row["plate"])
                    if detector_name == reader_name == "ours" and text != row["plate"]:
                        misses.append(failure(row, text, ok, image))
                if name == "ours":
                    for reader_name, reader in readers.items():
                        corner_tally.add("all", reader_name, reader.of_picture(image, row["quad"], 1)["text"] == row["plate"])
    return found_tally, read_tally, corner_tally, misses


def standing(detector, reader, image):
    """What counts as a plate: the detector is certain, or the reader bears it out (as the firmware has it)."""
    hits = detector(image)
    if reader is None or not detector.certain:
        return hits
    return [h for h in hits if h[3] >= detector.certain or borne_out(reader.of_picture(image, h[1], h[2]))]


def borne_out(read):
    """Legible, five symbols or more, and more likely right than wrong."""
    return read["legible"] >= 0.5 and len(read["text"]) >= 5 and read["sure"] >= 0.5


def known(box, path, rows):
    """Whether a find touches a labelled plate, or one that the labels forgot."""
    quads = [r["quad"] for r in rows] + real.unmarked(path)
    return any(runtime.iou(box, np.concatenate([q.min(0), q.max(0)])) > 0.1 for q in quads)


def failure(row, text, found, image):
    """A missed plate in words, without saying the plate."""
    width = np.ptp(row["quad"][:, 0])
    x0, y0 = np.maximum(row["quad"].min(0).astype(int), 0)
    part = image[y0:int(row["quad"][:, 1].max()) + 1, x0:int(x0 + width) + 1]
    seen = f"{row['colour']}, {width:.0f} px wide in a picture of {image.shape[1]}, brightness {part.mean():.0f}, contrast {part.std():.0f}"
    if not found:
        return f"not found: {seen}"
    if len(text) != len(row["plate"]):
        return f"{len(text)} symbols read instead of {len(row['plate'])}: {seen}"
    wrong = ", ".join(f"{a} read as {b}" for a, b in zip(row["plate"], text) if a != b)
    return f"{wrong}: {seen}"


def band(value, edges):
    for low, high in zip(edges, edges[1:]):
        if value < high:
            return f"{low} to {high}"
    return f"{edges[-1]} and more"


def generated_crops(readers, per_kind, per_province, ordinary=True):
    """Reading of generated plates by kind, province, width, tilt and light; plates under 80 px count only in the width table."""
    tallies = {k: Tally() for k in ("kind", "province", "width", "tilt", "light")}
    colour, soft = Tally(), defaultdict(float)
    rng = np.random.default_rng(SEED)
    jobs = [(kind, None) for kind in kinds.KINDS for _ in range(per_kind)]
    jobs += [(("blue", "yellow", "green-small")[i % 3], p) for p in kinds.PROVINCES for i in range(per_province)]
    for kind, province in jobs:
        image, quad, plate, facts = _one(rng, kind, province, ordinary)
        text = plate.text
        tight = pose.rectify(image, quad, (188, 48)) if facts["box"] else None
        for name, reader in readers.items():
            read = reader.of_picture(image, quad, plate.rows) if tight is None else reader.of_tight(tight)
            hit = read["text"] == text
            if name == "ours" and facts["width"] >= 80:
                count_errors(soft, text, read["text"])
                if facts["light"] != "infrared":
                    colour.add(plate.colour, name, read["colour"] == plate.colour)
            if province is None:
                tallies["width"].add(band(facts["width"], [40, 60, 80, 120, 180, 260]) + " px", name, hit)
            if facts["width"] < 80:
                continue
            if province:
                tallies["province"].add(province, name, read["text"][:1] == province)
                continue
            tallies["kind"].add(facts["kind"], name, hit)
            tallies["tilt"].add(band(facts["tilt"], [0, 10, 20, 30, 40, 50]) + "°", name, hit)
            tallies["light"].add(facts["light"], name, hit)
    return tallies, colour, soft


def by_number(names):
    """Names that begin with a number in its order; others as they come."""
    return sorted(names, key=lambda name: int(name.split()[0]) if name[0].isdigit() else 0)


def _one(rng, kind, province, ordinary):
    if province is None:
        return crops.plate_in_view(rng, kind, ordinary=ordinary)
    maker = kinds.KINDS[kind][0]
    kept = kinds.KINDS[kind]

    def fixed(r):
        plate = maker(r)
        plate.cells[0].symbol = province
        return plate

    kinds.KINDS[kind] = (fixed, kept[1])
    try:
        return crops.plate_in_view(rng, kind, width=float(np.exp(rng.uniform(np.log(80), np.log(250)))), ordinary=ordinary)
    finally:
        kinds.KINDS[kind] = kept


def count_errors(counts, truth, read):
    """Counts which symbol was read for which where the lengths agree and at most two differ."""
    if len(truth) == len(read) and sum(a != b for a, b in zip(truth, read)) <= 2:
        for a, b in zip(truth, read):
            counts[a, b] += 1


def generated_scenes(detectors, readers, count):
    rng = np.random.default_rng(SEED + 1)
    photographs = scenes.Photographs("test")
    found, exact = Tally(), Tally()
    for _ in range(count):
        image, plates = scenes.sample(rng, photographs, empty=False)
        for name, detector in detectors.items():
            hits = detector(image)
            for quad, rows, facts in plates:
                if facts["kind"] == "real":
                    continue
                box = np.concatenate([quad.min(0), quad.max(0)])
                best = max(hits, key=lambda h: runtime.iou(h[0], box), default=None)
                ok = best is not None and runtime.iou(best[0], box) >= 0.5
                width = float(np.linalg.norm(quad[1] - quad[0]))
                row = band(width * 384 / scenes.SIDE, [0, 12, 20, 32, 64, 128]) + " px at 384"
                found.add(row, name, ok)
                if ok and width > 24:
                    exact.add("one row" if rows == 1 else "two rows", name, best[2] == rows)
    return found, exact


def negatives(detectors, readers, count):
    """Pictures without a plate: ordinary ones and ones full of plate-like lettering; found by the detector, counted, and read as a plate."""
    rng = np.random.default_rng(SEED + 2)
    photographs = scenes.Photographs("test")
    tally = Tally()
    makers = {"ordinary": lambda: scenes.without_plate(rng, photographs), "plate-like signs": lambda: scenes.sample(rng, photographs, empty=True)[0]}
    for kind, make in makers.items():
        for _ in range(count):
            image = make()
            for name, detector in detectors.items():
                hits = detector(image)
                tally.add(f"{kind}: a box of the detector", name, hits)
                if name in readers:
                    tally.add(f"{kind}: counted as a plate", name, standing(detector, readers[name], image))
                    read = [readers[name].of_picture(image, quad, rows) for _, quad, rows, _ in hits]
                    tally.add(f"{kind}: read as a plate", name, any(like_a_plate(r) for r in read))
    return tally


def like_a_plate(read):
    """Legible, seven or eight symbols, a province first: what the firmware's grammar would let through."""
    return read["legible"] >= 0.5 and len(read["text"]) in (7, 8) and read["text"][0] in kinds.PROVINCES


def clip(detectors, readers, every=3):
    """The demo's clip: of the pictures in which a plate is at least 60 px wide, in how many it is found and read exactly."""
    folder = Path(__file__).resolve().parents[1] / "demo"
    truth = list(csv.DictReader((folder / "gate.csv").open(encoding="utf-8")))
    pairs = [p for p in (("ours", "ours"), ("y5fu-320", "lprnet0007")) if p[0] in detectors and p[1] in readers]
    film, tally, index = cv2.VideoCapture(str(folder / "gate.mp4")), Tally(), 0
    rate = film.get(cv2.CAP_PROP_FPS)
    while film.grab():
        index += 1
        if index % every:
            continue
        image, now = np.ascontiguousarray(film.retrieve()[1][..., ::-1]), (index - 1) / rate
        due = [t for t in truth if float(t["first_s"]) <= now <= float(t["last_s"])]
        for d, r in pairs:
            texts = {readers[r].of_picture(image, quad, rows)["text"] for _, quad, rows, _ in detectors[d](image)}
            for row in due:
                tally.add(row["plate"], f"{d} + {r}", row["plate"] in texts)
    return tally


def speed(detectors, readers, rounds):
    """Median and 10th percentile of processor time per run, in turns."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    line = rng.integers(0, 255, (32, 160, 3), dtype=np.uint8)
    for timed in [m.run for m in (*detectors.values(), *readers.values())]:
        timed.ms.clear()
    for _ in range(rounds):
        for detector in detectors.values():
            detector(image)
        for reader in readers.values():
            reader.of_tight(line)
    rows = ["| model | median ms | best tenth ms | file kB |", "|---|---|---|---|"]
    for name, model in [*((f"detector {n}", m) for n, m in detectors.items()), *((f"reader {n}", m) for n, m in readers.items())]:
        ms = np.array(model.run.ms[3:])
        rows.append(f"| {name} | {np.median(ms):.2f} | {np.percentile(ms, 10):.2f} | {model.run.path.stat().st_size / 1000:.0f} |")
    return "\n".join(rows)


def write_confusions(path, counts, least=1):
    """`truth,read,count`: the pairs that were mistaken, and every symbol that was read at all."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["truth", "read", "count"])
        for (truth, read), n in sorted(counts.items()):
            if n >= least:
                table.writerow([truth, read, int(n)])


def gather(pack):
    """Ours (and its other precision, when its files lie beside it) and the public models."""
    detector, reader = runtime.ours(pack)
    detectors, readers = {"ours": detector}, {"ours": reader}
    import tomllib

    table = {m["task"]: m for m in tomllib.loads((pack / "pack.toml").read_text(encoding="utf-8"))["model"]}
    chosen = table["plate-ocr"]["file"]
    other = "float" if "int8" in chosen else "int8"
    paths = {n: pack / (f"{n}-int8.onnx" if other == "int8" else f"{n}.onnx") for n in ("detector", "reader")}
    if paths["detector"].exists() and paths["detector"].name != table["plate-detect"]["file"]:
        detectors[f"ours-{other}"] = runtime.Detector(paths["detector"], detector.side, detector.pad, detector.score, detector.nms, detector.resize)
        detectors[f"ours-{other}"].certain = detector.certain
    if paths["reader"].exists():
        readers[f"ours-{other}"] = runtime.OurReader(paths["reader"], table["plate-ocr"])
    more_detectors, more_readers = runtime.public()
    return {**detectors, **more_detectors}, {**readers, **more_readers}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pack", type=Path, default=runtime.PACKS / "plate-cn")
    parser.add_argument("--card", action="store_true")
    parser.add_argument("--quick", action="store_true", help="real pictures and speed alone")
    parser.add_argument("--per-kind", type=int, default=150)
    parser.add_argument("--per-province", type=int, default=100)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--negatives", type=int, default=400)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    began = time.time()
    detectors, readers = gather(args.pack)
    parts = []

    def show(title, text):
        parts.append(f"### {title}\n\n{text}\n")
        print(parts[-1], flush=True)

    show("Held-out real crops (percent)", real_crops(readers).table("cn_crops, held out"))
    found, read, cornered, misses = real_scenes(detectors, readers)
    show("Held-out real scenes: plates found (percent)", found.table("cn_scenes and cn_ccpd, held out"))
    show("Held-out real scenes: found and read exactly (percent)", read.table("plates"))
    show("Held-out real scenes: read exactly from the labelled corners (percent)", cornered.table("plates"))
    show("Held-out real scenes: what ours did not read", "\n".join(f"- {m}" for m in misses) or "Nothing.")
    show("The demo's clip, every third picture: found and read exactly (percent)", clip(detectors, readers).table("plate"))
    show("Speed, one thread, in turns", speed(detectors, readers, 40))
    if not args.quick:
        tallies, colour, soft = generated_crops(readers, args.per_kind, args.per_province)
        show("Generated crops, ordinary light and blur, 80 px and wider, by kind: exact (percent)", tallies["kind"].table("kind"))
        show("The same: first character right (percent)", tallies["province"].table("province"))
        for key in ("width", "tilt", "light"):
            show(f"The same by {key}: exact (percent)", tallies[key].table(key, by_number(tallies[key].counts)))
        hard, _, more = generated_crops(readers, args.per_kind // 3, 0, ordinary=False)
        show("Generated crops of the training's full range of light and blur (some nobody can read): exact (percent)", hard["width"].table("width", by_number(hard["width"].counts)))
        for pair, n in more.items():
            soft[pair] += n
        show("Colour of generated plates, 80 px and wider (percent)", colour.table("colour"))
        found, exact = generated_scenes(detectors, readers, args.scenes)
        show("Generated scenes by plate width: found (percent)", found.table("width", by_number(found.counts)))
        show("Generated scenes: number of rows right (percent)", exact.table("plates"))
        show("Pictures without a plate in which one was found (percent)", negatives(detectors, readers, args.negatives).table("pictures"))
        if args.card:
            write_confusions(args.pack / "confusions.csv", soft)
    if args.card:
        card = args.pack / "MODEL_CARD.md"
        text = card.read_text(encoding="utf-8")
        before, rest = text.split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        card.write_text(before + MARKS[0] + "\n\n" + "\n".join(parts) + "\n" + MARKS[1] + after, encoding="utf-8")
    print(f"took {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
