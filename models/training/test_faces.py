"""Stories about the rendered heads, the networks of `face-demo`, the showroom's files: `python -m pytest models/training`."""
import csv
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import face_nets
from heads import align, draw, person, scenes, shape, view

DEMO = Path(__file__).resolve().parents[1] / "demo"
sys.path.insert(0, str(DEMO))
import make_showroom  # noqa: E402


def rng(seed=1):
    return np.random.default_rng(seed)


def plain(seed=1, kind="neutral", **changes):
    made = person.identity(rng(seed))
    return view.Head(replace(made, **changes), person.expression(rng(seed), kind, strength=1.0))


def test_the_same_seed_gives_the_same_picture():
    one, two = (draw.crop(draws, draw.head(draws, person.identity(draws), "anger"))[0] for draws in (rng(5), rng(5)))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("yaw", [-50, -20, 0, 20, 50])
def test_points_keep_their_order_and_lie_on_the_head(yaw):
    made = plain(3)
    seen = view.View(yaw=yaw, pitch=5, roll=4, scale=50, centre=(80, 78), size=(160, 176))
    points, alpha = view.landmarks(made, seen), view.shoot(made, seen)[..., 3]
    assert points[0, 0] < points[1, 0] and points[3, 0] < points[4, 0]
    assert points[:2, 1].max() < points[2, 1] < points[3:, 1].min()
    assert all(alpha[int(y) - 1:int(y) + 2, int(x) - 1:int(x) + 2].max() > 0.5 for x, y in points)
    x0, y0, x1, y1 = view.box(made, seen)
    assert (points[:, 1] > y0).all() and (points[:, 1] < y1).all() and x0 < points[[0, 1, 3, 4], 0].mean() < x1


def test_yaw_turns_the_nose_to_the_right_and_pitch_turns_it_down():
    made, straight = plain(4), view.View()
    nose = lambda seen: view.landmarks(made, seen)[2] - view.landmarks(made, seen)[:2].mean(0)
    assert nose(replace(straight, yaw=30))[0] > nose(straight)[0] + 5
    assert nose(replace(straight, pitch=20))[1] > nose(straight)[1] + 3


def test_a_lamp_from_the_left_lights_the_left_cheek():
    made, seen = plain(6), view.View(scale=50, centre=(64, 64), size=(128, 128))
    picture = view.shoot(made, seen, view.Light(direction=(-1.0, 0.1, 0.4)))
    assert picture[60:80, 40:58, :3].mean() > picture[60:80, 70:88, :3].mean() * 1.2


def test_corners_of_the_mouth_rise_with_a_smile_and_fall_with_sorrow_and_surprise_opens_it():
    who = person.identity(rng(2))
    corner = {kind: shape.corner_y(who, person.expression(rng(8), kind, 1.0)) for kind in person.CLASSES}
    assert corner["happiness"] > corner["neutral"] + 0.02 and corner["sadness"] < corner["neutral"] - 0.02
    assert shape.lip_gap(person.expression(rng(8), "surprise", 1.0)) > 0.08 > shape.lip_gap(person.expression(rng(8), "neutral"))


def test_two_persons_differ_more_than_two_lights():
    seen = view.View(scale=50, centre=(64, 64), size=(128, 128))
    differ = lambda a, b: np.abs(a - b)[30:110, 35:93, :3].mean()
    for seed in range(3):
        one = view.shoot(plain(seed), seen)
        brighter = view.shoot(plain(seed), seen, view.Light(shine=0.1, direction=(0.2, 0.6, 0.8)))
        others = [view.shoot(plain(k), seen) for k in range(20, 24)]
        assert differ(one, brighter) < np.mean([differ(one, other) for other in others])


def test_the_similarity_undoes_a_turn_a_scale_and_a_shift_exactly():
    angle, scale = np.radians(17), 2.3
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = align.similarity(align.TEMPLATE @ turn.T + [40, -9])
    assert np.allclose((align.TEMPLATE @ turn.T + [40, -9]) @ matrix[:, :2].T + matrix[:, 2], align.TEMPLATE, atol=1e-3)


def test_an_aligned_view_brings_the_points_near_the_template():
    made = plain(7)
    seen, _ = draw.aligned_view(made, (8.0, 3.0, 20.0))
    assert np.abs(view.landmarks(made, seen) - draw.MARGIN - align.TEMPLATE).max() < 6


def test_a_mask_covers_the_mouth_and_leaves_the_points():
    who, rest = person.identity(rng(9)), person.Expression()
    bare, covered = view.Head(who, rest), view.Head(who, rest, view.Worn(mask=(150.0, 190.0, 215.0)))
    seen = view.View(scale=50, centre=(64, 64), size=(128, 128))
    assert np.allclose(view.landmarks(bare, seen), view.landmarks(covered, seen))
    x, y = view.landmarks(bare, seen)[3:].mean(0).astype(int)
    red, green, blue = view.shoot(covered, seen)[y, x, :3]
    assert blue > red and np.abs(view.shoot(bare, seen)[y, x, :3] - (red, green, blue)).max() > 20


def test_scenes_hold_their_faces_in_order_and_empty_ones_hold_none():
    patches = [scenes.patch(rng(k)) for k in range(3)]
    assert scenes.sample(rng(1), patches, empty=True)[1] == []
    count = 0
    for seed in range(12):
        picture, faces = scenes.sample(rng(seed), patches, empty=False)
        assert picture.shape == (192, 320, 3) and picture.dtype == np.uint8
        for box, points in faces:
            count += 1
            assert points[0, 0] < points[1, 0] and box[0] < box[2] and box[1] < box[3]
    assert count >= 12


def test_the_detector_decodes_a_cell_to_a_box_and_points_around_its_centre():
    raw = torch.zeros(1, face_nets.OUTPUTS, 4, 4)
    raw[0, 3:5, 1, 2] = float(np.log(4))
    raw[0, 5, 1, 2] = -0.5
    _, box, points = face_nets.decode(raw)
    assert box[0, 6].tolist() == [20, 12, 32, 32]
    assert points[0, 6, 0].tolist() == [12, 12] and points[0, 6, 1].tolist() == [20, 12]


def test_the_exported_detector_gives_rows_of_box_score_and_points():
    rows = face_nets.ExportedDetector(face_nets.Detector().eval())(torch.rand(1, 3, 192, 320))
    assert rows.shape == (1, 64, 15)
    assert (rows[..., 2] > rows[..., 0]).all() and ((rows[..., 4] > 0) & (rows[..., 4] < 1)).all()


def test_vectors_have_unit_length_and_the_classes_their_log_odds():
    assert torch.allclose(face_nets.Embedder().eval()(torch.rand(2, 3, 112, 112)).norm(dim=1), torch.ones(2), atol=1e-5)
    side = face_nets.EXPRESSION_SIDE
    assert face_nets.Expression(5).eval()(torch.rand(2, 3, side, side)).shape == (2, 5)


def showroom():
    return list(csv.DictReader((DEMO / "showroom.csv").open(encoding="utf-8")))


def test_the_member_stands_at_both_cars_for_different_times_and_leaves_smiling():
    stays = {row["zone"]: float(row["last_s"]) - float(row["first_s"]) for row in showroom() if row["member_ref"] == "M-1001" and row["zone"]}
    assert set(stays) == {"display-1", "display-2"} and min(stays.values()) > 4 and abs(stays["display-1"] - stays["display-2"]) > 2
    looks = {row["expression"] for row in showroom() if row["member_ref"] == "M-1001" and row["clip"] == "door" and row["expression"]}
    assert looks == {"happiness"}
    assert sum(row["clip"] == clip and not row["member_ref"] and not row["zone"] and not row["expression"] for row in showroom() for clip in ("showroom", "door")) >= 6


def test_whoever_is_shown_by_face_has_consented_and_has_photos():
    listed = {row["member_ref"]: row["consents"].split(";") for row in csv.DictReader((DEMO / "members.csv").open(encoding="utf-8"))}
    for member in {row["member_ref"] for row in showroom()} - {""}:
        assert {"face", "expression"} <= set(listed[member])
    photographed = {path.stem[:6] for path in (DEMO / "photos").glob("*.jpg")}
    assert photographed == {member for member, consents in listed.items() if "face" in consents}


def test_the_clips_are_as_long_as_the_script_says_and_small():
    for clip, length in make_showroom.LENGTHS_S.items():
        video = cv2.VideoCapture(str(DEMO / f"{clip}.mp4"))
        assert video.get(cv2.CAP_PROP_FRAME_COUNT) / video.get(cv2.CAP_PROP_FPS) == pytest.approx(length, abs=0.1)
        assert (DEMO / f"{clip}.mp4").stat().st_size < 1_500_000


def test_somebody_behind_another_is_hidden():
    walk = [w for w in make_showroom.WALKS if w[1] == "M-1001" and w[0] == "showroom"][0]
    near, far = (make_showroom.seen_at(walk, (400.0, 200.0, scale, 0.0, 0.0), 9.0) for scale in (70.0, 40.0))
    aside = make_showroom.seen_at(walk, (800.0, 200.0, 40.0, 0.0, 0.0), 9.0)
    assert [round(one.hidden, 1) for one in make_showroom.behind([far, aside, near])] == [1.0, 0.0, 0.0]
