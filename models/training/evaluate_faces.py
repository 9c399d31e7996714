"""Measures `face-demo` on persons that training never saw: `evaluate_faces.py BANK [--pack DIR] [--run RUN] [--card] [--clips]`.

Verification and open-set identification on the `test` shards of BANK, expression by class, the detector on scenes of new heads, speed; with
`--clips` also the demo's clips against their truth. `--card` puts the tables between the marks in MODEL_CARD.md; `--run` writes what
`pack.toml` says of the likeness of strangers to RUN/likeness.json.
"""
import argparse
import json
import sys
import time
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np

import face_banks
import face_runtime
from evaluate import MARKS, Tally, band, by_number
from heads import align, draw, person, scenes
from runtime import iou

SEED = 90210
#: Enrolled persons at most, and pictures of each that are enrolled; the rest of the persons are strangers.
ENROLLED, PHOTOS = 200, 3
DEMO = Path(__file__).resolve().parents[1] / "demo"


def vectors(data, embedder, hard):
    """The vector of every test picture, each seen by a camera of its own; `hard` as in `draw.camera`."""
    rng = np.random.default_rng(SEED)
    return np.stack([embedder(data.picture(k, rng, hard)) for k in range(len(data.images))])


def pairs(seen, who, rng, count=300_000):
    """(cosines of the same person, of different persons)."""
    same = np.concatenate([(seen[k] @ seen[k].T)[np.triu_indices(len(k), 1)] for k in (np.flatnonzero(who == p) for p in np.unique(who))])
    a, b = rng.integers(len(who), size=(2, count))
    other = who[a] != who[b]
    return same, np.einsum("ij,ij->i", seen[a[other]], seen[b[other]])


def auc(positive, negative):
    """Share of pairs in which the positive scores higher."""
    order = np.argsort(np.concatenate([negative, positive]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    return (ranks[len(negative):].sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative))


def verify(same, other):
    rows = {"pairs of one person": f"{len(same)}", "AUC": f"{auc(same, other):.4f}"}
    for rate in (1e-2, 1e-3, 1e-4):
        rows[f"TAR at FAR {rate:g}"] = f"{(same >= np.quantile(other, 1 - rate)).mean():.3f}"
    return rows


def identify(seen, who, pool, count):
    """TPIR at stated FPIR with `count` persons of `PHOTOS` pictures; probes are means over `pool` pictures of one person."""
    names = np.unique(who)
    unit = lambda v: v / np.linalg.norm(v)
    enrolled = names[:count]
    gallery = np.stack([unit(seen[np.flatnonzero(who == p)[:PHOTOS]].mean(0)) for p in enrolled])
    known, strange = [], []
    for p in names:
        rows = np.flatnonzero(who == p)
        rows = rows[PHOTOS:] if p in enrolled else rows
        for first in range(0, len(rows) - pool + 1, pool):
            scores = gallery @ unit(seen[rows[first:first + pool]].mean(0))
            best = int(scores.argmax())
            (known if p in enrolled else strange).append((scores[best], enrolled[best] == p))
    scores, right = np.array([k[0] for k in known]), np.array([k[1] for k in known])
    return {f"TPIR at FPIR {rate:g} %": f"{(right & (scores >= np.quantile([s[0] for s in strange], 1 - rate / 100))).mean():.3f}" for rate in (1, 0.1)}, len(known), len(strange)


def likeness(other, persons):
    """What the pack says of strangers' cosines: mean, deviation, the upper end, the cosine of FAR 1e-3."""
    other = np.sort(other)
    first = int(len(other) * 0.99)
    tail = {"from": round(float(other[first]), 4), "share": 0.01, "scale": round(float((other[first:] - other[first]).mean()), 4)}
    return {"on": f"{persons} generated persons that training never saw", "cosine": round(float(np.quantile(other, 0.999)), 4), "mean": round(float(other.mean()), 4),
            "deviation": round(float(other.std()), 4), "tail": tail}


def expressions(data, expression):
    """(by class, by yaw, AUC of happiness) on unmasked test pictures without dark glasses."""
    rng, shares, kinds = np.random.default_rng(SEED), [], []
    tally, turned = Tally(), Tally()
    for k in np.flatnonzero(~data.mask & ~data.dark):
        share, kind = expression(data.picture(k, rng, 0.7)), int(data.kind[k])
        tally.add(person.CLASSES[kind], "right", share.argmax() == kind)
        turned.add(band(abs(data.yaw[k]), (0, 15, 30, 50)) + "°", "right", share.argmax() == kind)
        tally.add("all", "right", share.argmax() == kind)
        shares.append(share[1])
        kinds.append(kind == 1)
    shares, kinds = np.array(shares), np.array(kinds)
    return tally, turned, auc(shares[kinds], shares[~kinds])


def detections(detector, count):
    """(recall by height of the face at 320 px, error of the points, false faces) on scenes of new heads."""
    rng = np.random.default_rng(SEED)
    patches = [scenes.patch(rng) for _ in range(60)]
    tally, off, false = Tally(), [], 0
    for index in range(count):
        image, faces = scenes.sample(rng, patches, empty=index % 4 == 0)
        found = detector(image)
        for box, points in faces:
            best = max(found, key=lambda f: iou(f[0], box), default=None)
            hit = best is not None and iou(best[0], box) >= 0.5
            tally.add(band(box[3] - box[1], (8, 16, 24, 48, 140)) + " px", "found", hit)
            tally.add("all", "found", hit)
            if hit:
                off.append(np.linalg.norm(best[1] - points, axis=1).mean() / (box[3] - box[1]))
        false += sum(all(iou(f[0], box) < 0.3 for box, _ in faces) for f in found)
    return tally, float(np.median(off)), false / count


def clips(detector, embedder, expression, threshold, every):
    """The demo: faces found, member and strangers told apart by the enrolment photos, expressions, every `every`-th picture."""
    sys.path.insert(0, str(DEMO))
    import make_showroom as demo

    unit = lambda v: v / np.linalg.norm(v)
    gallery = {}
    for path in sorted((DEMO / "photos").glob("*.jpg")):
        read = face_runtime.read(cv2.imread(str(path))[..., ::-1], detector, embedder, expression)
        gallery.setdefault(path.stem[:6], []).append(read[0][3])
    gallery = {name: unit(np.mean(photos, 0)) for name, photos in gallery.items()}
    tally = Tally()
    for clip in demo.LENGTHS_S:
        for now, image in zip(demo.times(clip, every), pictures(DEMO / f"{clip}.mp4", every)):
            read = face_runtime.read(image, detector, embedder, expression)
            for one in demo.truth(clip, now):
                if one.box[:2].min() < 0 or (one.box[2:] > demo.SIZE).any() or one.hidden > 0.3:
                    continue
                best = max(read, key=lambda f: iou(f[0], one.box), default=None)
                hit = best is not None and iou(best[0], one.box) > 0.4
                tally.add(f"{clip}, {one.who}", "found", hit)
                if hit:
                    scores = {name: float(best[3] @ v) for name, v in gallery.items()}
                    name = max(scores, key=scores.get)
                    called = name if scores[name] >= threshold else "stranger"
                    tally.add(f"{clip}, {one.who}", "called rightly", called == (one.who if one.who in gallery else "stranger"))
                    tally.add(f"{clip}, {one.who}", "expression", person.CLASSES[int(best[4].argmax())] == one.mood)
    return tally


def pictures(path, every):
    """Every `every`-th picture of a clip, RGB."""
    capture = cv2.VideoCapture(str(path))
    for index in range(1 << 30):
        going, image = capture.read()
        if not going:
            return
        if index % every == 0:
            yield image[..., ::-1]


def speed(detector, embedder, expression, rounds=60):
    scene, crop = np.zeros((540, 960, 3), np.uint8), np.zeros((align.SIZE,) * 2 + (3,), np.uint8)
    nets = {"detector": (detector, scene), "embedding": (embedder, crop), "expression": (expression, crop)}
    for net, _ in nets.values():
        net.run.ms.clear()
    for _ in range(rounds):
        for net, image in nets.values():
            net(image)
    lines = ["| net | median ms | best tenth ms | file kB |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {np.median(net.run.ms):.2f} | {np.quantile(net.run.ms, 0.1):.2f} | {net.run.path.stat().st_size // 1000} |" for name, (net, _) in nets.items()])


def listing(rows):
    return "\n".join(["| what | figure |", "|---|---|"] + [f"| {key} | {value} |" for key, value in rows.items()])


def who_it_is(nets, args, hard, words):
    data = face_banks.Crops(args.bank, "test")
    seen = vectors(data, nets[1], hard)
    same, other = pairs(seen, data.who, np.random.default_rng(SEED))
    rows = verify(same, other)
    persons = len(np.unique(data.who))
    enrolled = min(ENROLLED, 2 * persons // 3)
    for pool in (1, 3):
        rates, known, strange = identify(seen, data.who, pool, enrolled)
        rows |= {f"{key}, {enrolled} enrolled, {pool} picture{'s' * (pool > 1)} a probe ({known} of members, {strange} of strangers)": value for key, value in rates.items()}
    if hard == 1.0 and args.run:
        (args.run / "likeness.json").write_text(json.dumps(likeness(other, persons), indent=1) + "\n", encoding="utf-8")
    return f"Who it is, {persons} persons, {words}", listing(rows)


def how_he_looks(nets, args):
    tally, turned, area = expressions(face_banks.Crops(args.bank, "test"), nets[2])
    return "Expression (percent)", "\n\n".join([tally.table("class"), f"AUC of happiness against the rest: {area:.3f}.", turned.table("yaw", by_number(turned.counts))])


def where_they_are(nets, args):
    found, off, false = detections(nets[0], args.scenes)
    return "Faces found in generated scenes, by height at 320 px (percent)", found.table("height", by_number([k for k in found.counts if k != "all"]) + ["all"]) \
        + f"\n\nMedian error of the points: {100 * off:.1f} % of the face's height. False faces: {false:.2f} a picture."


def in_the_clips(nets, args):
    return "The demo's clips, every tenth picture (percent)", clips(*nets[:3], nets[3]["face-embed"]["likeness"]["cosine"], 10).table("who") \
        + "\n\nOne picture at a time against the mean of the enrolment photos, at the cosine that `pack.toml` names. The firmware pools pictures."


def job(wanted):
    """One table: (title, text)."""
    what, args, rest = wanted
    cv2.setNumThreads(1)
    return what(face_runtime.ours(args.pack), args, *rest)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=Path)
    parser.add_argument("--pack", type=Path, default=face_runtime.PACK)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--card", action="store_true")
    parser.add_argument("--clips", action="store_true")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    began, parts = time.time(), []
    jobs = [(who_it_is, args, (0.5, "ordinary pictures")), (who_it_is, args, (1.0, "the training's full range of blur, noise and occlusion")), (how_he_looks, args, ()), (where_they_are, args, ())]
    with Pool(args.workers) as workers:
        for title, text in workers.imap(job, jobs + [(in_the_clips, args, ())] * args.clips):
            parts.append(f"### {title}\n\n{text}\n")
            print(parts[-1], flush=True)
    parts.append(f"### Speed, one thread\n\n{speed(*face_runtime.ours(args.pack)[:3])}\n")
    print(parts[-1])
    if args.card:
        card = args.pack / "MODEL_CARD.md"
        before, rest = card.read_text(encoding="utf-8").split(MARKS[0])
        card.write_text(before + MARKS[0] + "\n\n" + "\n".join(parts) + "\n" + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")
    print(f"took {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
