"""Stories about the pack `face-demo` as it ships: `python -m pytest models/training`."""
import numpy as np
import pytest

import face_runtime
from export import sha256
from heads import draw, person, view
from test_faces import plain, rng


@pytest.fixture(scope="module")
def nets():
    return face_runtime.ours()[:3]


def test_the_pack_finds_a_new_person_and_knows_him_again_from_the_side(nets):
    vectors = {}
    for name, seed, yaw, kind in (("one", 9001, 0, "neutral"), ("again", 9001, 25, "happiness"), ("other", 9002, 0, "neutral")):
        made = plain(seed, kind)
        seen = view.View(yaw, 3, 0, 60.0, (160.0, 110.0), (320, 240))
        rgba = draw.shoulders(view.shoot(made, seen), made, seen, rng())
        image = np.clip(150 + rgba[..., 3:] * (rgba[..., :3] - 150), 0, 255).astype(np.uint8)
        (box, points, score, vectors[name], _), = face_runtime.read(image, *nets)
        assert score > 0.5 and np.abs(points - view.landmarks(made, seen)).max() < 0.15 * (box[3] - box[1])
    assert vectors["one"] @ vectors["again"] > vectors["one"] @ vectors["other"] + 0.1


def test_the_pack_sees_a_smile_and_a_frown(nets):
    looks = [person.CLASSES[int(nets[2](draw.finished(draw.crop(rng(4), plain(77, kind))[0], rng(2), hard=0.0, jitter=False)).argmax())] for kind in ("happiness", "anger")]
    assert looks == ["happiness", "anger"]


def test_the_manifest_names_files_with_their_hashes():
    for model in face_runtime.ours()[3].values():
        assert sha256(face_runtime.PACK / model["file"]) == model["sha256"]
