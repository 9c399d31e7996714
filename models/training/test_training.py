"""Stories about the generator, the networks and the demo's files: `python -m pytest models/training`."""
import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import detector_net
import reader_net
import refiner_net
import schedule
import train_refiner
from plates import crops, kinds, mistakes, pose, real, scenes, template

DEMO = Path(__file__).resolve().parents[1] / "demo"


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_kind_fits_on_its_plate_and_into_the_charset(kind):
    for seed in range(30):
        plate = kinds.sample(rng(seed), kind)
        assert set(plate.text) <= set(kinds.CHARSET)
        assert 7 <= len(plate.text) <= 8
        for x, y, w, h in (c.box for c in plate.cells):
            assert x >= 0 and y >= 0 and x + w <= plate.size[0] and y + h <= plate.size[1]


def test_characters_of_a_blue_plate_stand_where_ga36_puts_them():
    cells = kinds.sample(rng(), "blue").cells
    assert [round(c.box[0], 1) for c in cells] == [15.5, 72.5, 151.5, 208.5, 265.5, 322.5, 379.5]
    assert all(c.box[1:] == (25, 45, 90) for c in cells)


def test_a_new_energy_plate_has_eight_characters_and_its_letter_in_its_place():
    for seed in range(50):
        assert kinds.sample(rng(seed), "green-small").text[2] in kinds.NEW_ENERGY
        assert kinds.sample(rng(seed), "green-large").text[7] in kinds.NEW_ENERGY


def test_serials_hold_neither_i_nor_o():
    texts = "".join(kinds.sample(rng(seed)).text for seed in range(400))
    assert not set("IO") & set(texts)


def test_provinces_are_equally_frequent():
    draw = rng(3)
    first = [kinds.sample(draw, "blue").text[0] for _ in range(6200)]
    counts = [first.count(p) for p in kinds.PROVINCES]
    assert len(counts) == 31 and min(counts) > 130 and max(counts) < 280


def test_the_same_seed_gives_the_same_crop():
    a, b = crops.generated(rng(5)), crops.generated(rng(5))
    assert a[1:3] == b[1:3] and np.array_equal(a[0], b[0])


def test_a_rectified_plate_shows_its_own_colour():
    plate = kinds.sample(rng(2), "blue")
    canvas = np.full((300, 500, 3), 128, np.float32)
    quad = np.array([[100, 80], [380, 110], [370, 200], [95, 165]], np.float32)
    pose.paste(canvas, template.draw(plate, rng(2), clean=True), quad)
    line = crops.line(canvas.astype(np.uint8), quad, 1)
    assert line.shape == (32, 160, 3)
    middle = line[10:22, 8:152].reshape(-1, 3).mean(0)
    assert middle[2] > middle[0] + 20


def test_both_rows_of_a_double_plate_reach_the_line():
    image = np.zeros((220, 440, 3), np.uint8)
    image[:70] = 255
    quad = np.array([[0, 0], [440, 0], [440, 220], [0, 220]], np.float32)
    line = crops.line(image, quad, 2)
    assert line[16, 40].mean() > 200 and line[16, 120].mean() < 50


class Told(torch.nn.Module):
    """Stands where the refiner stands and says what it is told."""

    def __init__(self, corners, double):
        super().__init__()
        self.answer = torch.tensor(corners)[None], torch.tensor([double])

    def forward(self, image):
        return self.answer


@pytest.mark.parametrize("rows", [1, 2])
def test_the_graph_cuts_the_same_line_as_the_generator(rows):
    image = np.clip(template.draw(kinds.sample(rng(4), "yellow-double"), rng(4), clean=True), 0, 255).astype(np.uint8)
    picture = np.full((300, 600, 3), 90, np.uint8)
    picture[40:260, 80:520] = image
    picture = cv2.GaussianBlur(picture, (0, 0), 5)  # half a pixel of difference must not matter
    quad = np.array([[80, 40], [520, 40], [520, 260], [80, 260]], np.float32)
    expected = crops.line(picture, quad, rows).astype(np.float32)
    cutter = refiner_net.Cutter(Told((quad / [600, 300]).astype(np.float32), 1.0 if rows == 2 else -1.0))
    line = cutter(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    assert line.shape == expected.shape
    other = crops.line(picture, quad, 3 - rows).astype(np.float32)
    assert np.abs(line - expected).mean() < 8 < 16 < np.abs(line - other).mean()


def test_an_empty_scene_has_no_plates_and_others_lie_in_the_picture():
    image, plates = scenes.sample(rng(1), None, empty=True)
    assert image.shape == (scenes.SIDE, scenes.SIDE, 3) and plates == []
    count = 0
    for seed in range(6):
        for quad, rows, _ in scenes.sample(rng(seed), None, empty=False)[1]:
            count += 1
            assert rows in (1, 2) and quad.min() > -4 and quad.max() < scenes.SIDE + 4
    assert count > 3


def test_the_detector_decodes_a_cell_to_a_box_around_its_centre():
    raw = torch.zeros(1, detector_net.OUTPUTS, 4, 4)
    raw[0, 3, 1, 2], raw[0, 4, 1, 2] = float(np.log(10)), float(np.log(3))
    _, corners, _ = detector_net.decode(raw)
    assert corners[0, 1 * 4 + 2].tolist() == [[-20, 0], [60, 0], [60, 24], [-20, 24]]


def test_the_exported_detector_speaks_the_yolov5_corner_layout():
    out = detector_net.Exported(detector_net.Detector().eval(), keep=20)(torch.rand(1, 3, 64, 64))
    assert out.shape == (1, 20, 15)
    row = out[0, 0].detach().numpy()
    assert row[0] == pytest.approx((row[5:13:2].min() + row[5:13:2].max()) / 2, abs=1e-3)
    assert row[13] + row[14] == pytest.approx(1, abs=1e-5)


def test_the_reader_has_a_step_for_every_four_columns():
    logits, colour = reader_net.Reader().eval()(torch.rand(2, 3, 32, 160))
    assert logits.shape == (2, reader_net.STEPS, len(kinds.CHARSET) + 1) and colour.shape == (2, len(kinds.COLOURS))


def test_a_longer_and_wider_network_goes_on_where_a_shorter_one_stood(tmp_path):
    torch.manual_seed(1)
    net = reader_net.Residual(8, 3).eval()
    torch.nn.init.normal_(net.body[2].weight)
    torch.save({"mean": {f"module.0.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "old.pt")
    longer = torch.nn.Sequential(reader_net.Residual(8, 3), reader_net.Residual(8, 5)).eval()
    schedule.begin_with(longer, torch.optim.swa_utils.AveragedModel(longer), tmp_path / "old.pt")
    picture = torch.rand(1, 8, 6, 6)
    assert torch.allclose(net(picture), longer(picture), atol=1e-6)


def test_the_rate_is_held_and_then_falls():
    args = argparse.Namespace(rate=1e-3, steps=1000, hold=0.5)
    assert schedule.rate(args, 0) < 1e-5 and schedule.rate(args, 300) == schedule.rate(args, 500) == 1e-3
    assert 4e-4 < schedule.rate(args, 750) < 6e-4 and schedule.rate(args, 1000) < 1e-5


def test_a_covered_plate_is_gone_and_the_rest_of_the_picture_is_not():
    for seed in range(12):
        image = np.full((120, 200, 3), 90, np.float32)
        quad = np.array([[70, 50], [130, 50], [130, 70], [70, 70]], np.float32)
        image[50:70, 70:130] = 250
        scenes.cover(image, quad, rng(seed))
        assert image[52:68, 74:126].mean() < 130 and (image[:30] == 90).all() and (image[95:] == 90).all()


def test_two_real_plates_are_joined_in_the_gap_and_so_is_their_text():
    texts, seen = ("皖A12345", "皖BCDEFG"), set()
    dark, light = (np.full((40, 120, 3), v, np.uint8) for v in (60, 200))
    for seed in range(30):
        crop, text = crops.splice(dark, texts[0], light, texts[1], rng(seed))
        cut = next(k for k in range(1, 8) if text == texts[0][:k] + texts[1][k:])
        seen.add(cut)
        assert crop.shape == (48, 188, 3)
    assert seen == {1, 2, 3, 4, 5, 6}


def test_gaps_lie_between_the_characters_of_ga36():
    for kind, count in (("blue", 7), ("green-small", 8)):
        plate = kinds.sample(rng(1), kind)
        for gap, left, right in zip(crops.GAPS[count], plate.cells, plate.cells[1:]):
            x = gap * plate.size[0]
            assert left.box[0] + left.box[2] <= x <= right.box[0]


def test_a_slanted_plate_keeps_its_middle():
    quad = np.array([[10, 10], [110, 10], [110, 42], [10, 42]], np.float32)
    for seed in range(10):
        moved = cv2.perspectiveTransform(quad[None], train_refiner.slanted(quad, rng(seed)))[0]
        assert np.allclose(moved.mean(0), quad.mean(0), atol=1e-3) and not np.allclose(moved, quad, atol=0.5)


def test_what_touches_a_plate_is_no_mistake():
    box = lambda x, y, w, h: np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)
    plates = [box(100, 100, 80, 25)]
    assert mistakes.touches(box(110, 105, 40, 12), plates) and mistakes.touches(box(60, 90, 80, 25), plates)
    assert not mistakes.touches(box(200, 100, 80, 25), plates) and not mistakes.touches(box(110, 105, 40, 12), [])


def test_a_quarter_of_the_names_is_held_out():
    share = np.mean([real.held_out(f"{n}.jpg") for n in range(4000)])
    assert 0.22 < share < 0.28


def test_the_demo_lists_members_for_some_of_the_vehicles_and_one_stays():
    truth = list(csv.DictReader((DEMO / "gate.csv").open(encoding="utf-8")))
    listed = {r["plate"] for r in csv.DictReader((DEMO / "members.csv").open(encoding="utf-8"))}
    seen = {r["plate"] for r in truth}
    assert seen & listed and seen - listed and listed - seen
    assert max(float(r["last_s"]) - float(r["first_s"]) for r in truth if r["plate"] in listed) >= 8
