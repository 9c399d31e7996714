"""Who a head belongs to and what it expresses: plain numbers, drawn from a seed.

Lengths are in half heads: the chin is at y = -1, the crown at y = +1, the axis of the head is x = z = 0, +z looks at the
camera and +x is right in the picture of a frontal head. An identity stays; an expression is drawn for each picture.
"""
from dataclasses import dataclass, field, replace

import numpy as np

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger")
HAIR_STYLES = ("short", "buzz", "receding", "bald", "side", "fringe", "bob", "long", "bun", "curly", "afro")
HAIR_COLOURS = ((22, 18, 16), (44, 30, 22), (74, 48, 30), (110, 72, 40), (150, 104, 58), (196, 160, 100), (126, 50, 24),
                (120, 118, 116), (205, 203, 200), (60, 58, 60))
SKIN_TONES = ((250, 219, 196), (240, 200, 170), (228, 180, 145), (210, 160, 122), (184, 132, 96), (150, 102, 70),
              (118, 78, 54), (86, 56, 40))
IRIS_COLOURS = ((58, 36, 20), (88, 56, 28), (36, 24, 16), (70, 104, 140), (84, 120, 96), (110, 100, 70), (110, 130, 150))

#: Numbers of a face: mean, standard deviation. Each is cut at 2.2 deviations.
MEASURES = {
    "width": (0.66, 0.035), "depth": (0.80, 0.03), "forehead": (0.0, 0.03), "jaw": (0.49, 0.045), "chin_width": (0.22, 0.04),
    "chin": (0.02, 0.022), "cheek": (0.03, 0.025), "hollow": (0.0, 0.02), "brow_ridge": (0.03, 0.018),
    "eye_x": (0.275, 0.022), "eye_y": (0.0, 0.03), "eye_width": (0.125, 0.014), "eye_height": (0.058, 0.011), "eye_tilt": (0.06, 0.10),
    "lid": (0.035, 0.014), "socket": (0.06, 0.018), "nose_length": (0.42, 0.045), "nose_width": (0.11, 0.02), "nose_height": (0.22, 0.045),
    "bridge": (0.05, 0.025), "nose_hump": (0.0, 0.018), "nose_turn": (0.0, 0.02), "mouth_gap": (0.20, 0.025), "mouth_width": (0.215, 0.026),
    "upper_lip": (0.042, 0.012), "lower_lip": (0.056, 0.014), "lip_depth": (0.045, 0.015), "ear": (0.13, 0.035), "ear_size": (0.22, 0.03),
    "brow_y": (0.175, 0.022), "brow_thick": (0.024, 0.008), "brow_arch": (0.03, 0.02), "brow_tilt": (0.0, 0.018), "brow_gap": (0.115, 0.018),
    "brow_length": (0.30, 0.03), "neck": (0.34, 0.035), "hairline": (0.0, 0.045), "age": (0.35, 0.25), "blush": (0.3, 0.2),
}


@dataclass(frozen=True)
class Identity:
    """A person: `m` holds the numbers of `MEASURES`."""

    m: dict
    skin: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    hair: np.ndarray
    brow: np.ndarray
    style: str
    volume: float
    part: float
    beard: float
    moustache: float
    freckles: int
    moles: tuple
    texture_seed: int


def identity(rng):
    """Draws a person."""
    m = {key: float(mean + spread * np.clip(rng.standard_normal(), -2.2, 2.2)) for key, (mean, spread) in MEASURES.items()}
    m["age"], m["blush"] = float(np.clip(m["age"], 0, 1)), float(np.clip(m["blush"], 0, 1))
    tone = rng.uniform(0, len(SKIN_TONES) - 1.001)
    low = int(tone)
    skin = np.array(SKIN_TONES[low]) * (1 - tone + low) + np.array(SKIN_TONES[low + 1]) * (tone - low) + rng.normal(0, 5, 3)
    hair = np.array(HAIR_COLOURS[rng.choice(len(HAIR_COLOURS), p=[0.24, 0.18, 0.14, 0.1, 0.07, 0.07, 0.05, 0.06, 0.05, 0.04])]) + rng.normal(0, 5, 3)
    male = rng.random() < 0.5
    weights = {True: [0.28, 0.13, 0.13, 0.09, 0.18, 0.04, 0.0, 0.03, 0.02, 0.06, 0.04], False: [0.06, 0.01, 0.0, 0.0, 0.08, 0.15, 0.2, 0.24, 0.14, 0.08, 0.04]}[male]
    style = str(rng.choice(HAIR_STYLES, p=weights))
    lips = skin * rng.uniform(0.62, 0.9, 3) * [1.08, 0.78, 0.8] + ([0, 0, 0] if male or rng.random() < 0.5 else [40, -18, -8])
    bearded = male and rng.random() < 0.4
    moles = tuple((float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.9, 0.5)), float(rng.uniform(0.009, 0.02))) for _ in range(rng.choice([0, 0, 1, 1, 2, 3])))
    return Identity(
        m=m, skin=_colour(skin), lips=_colour(lips), iris=_colour(np.array(IRIS_COLOURS[rng.integers(len(IRIS_COLOURS))]) + rng.normal(0, 8, 3)),
        hair=_colour(hair), brow=_colour(hair * rng.uniform(0.55, 0.95)), style=style, volume=float(rng.uniform(0.7, 1.4)),
        part=float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)), beard=float(rng.uniform(0.25, 1.0)) if bearded else 0.0,
        moustache=float(rng.uniform(0.3, 1.0)) if male and rng.random() < (0.75 if bearded else 0.12) else 0.0,
        freckles=int(rng.integers(20, 90)) if rng.random() < 0.15 else 0, moles=moles, texture_seed=int(rng.integers(1 << 31)))


def _colour(values):
    return np.clip(np.asarray(values, np.float32), 6, 250)


def other_hair(person, rng):
    """The same person with another haircut and perhaps another colour."""
    colour = np.array(HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))]) if rng.random() < 0.4 else person.hair
    return replace(person, style=str(rng.choice(HAIR_STYLES)), hair=_colour(colour), volume=float(rng.uniform(0.7, 1.4)))


@dataclass(frozen=True)
class Expression:
    """What the muscles do; 0 is rest."""

    #: Corners of the mouth up (+) or down (-), -1..1.
    corners: float = 0.0
    #: Width of the mouth, -1..1.
    wide: float = 0.0
    #: Opening of the mouth, 0..1.
    open: float = 0.0
    #: Upper teeth that show in the opening, 0..1.
    teeth: float = 0.0
    #: Lips pressed together, 0..1.
    press: float = 0.0
    #: Brows up as a whole, -1..1.
    brows: float = 0.0
    #: Inner ends of the brows up (+, sad) or down and together (-, angry), -1..1.
    inner: float = 0.0
    #: Eyelids: 0 rest, +1 wide, -1 closed.
    lids: float = 0.0
    #: Cheeks up, 0..1.
    cheeks: float = 0.0
    #: Where the eyes look, -1..1 each.
    gaze: tuple = field(default=(0.0, 0.0))


def expression(rng, kind, strength=None):
    """Draws an expression of a class; `strength` 0..1 from faint to full, random when not given."""
    s = rng.uniform(0.6, 1.0) if strength is None else strength
    u = rng.uniform
    made = {
        "neutral": dict(corners=u(-0.08, 0.18), wide=u(-0.1, 0.1), open=u(0, 0.06), brows=u(-0.15, 0.2), inner=u(-0.12, 0.12), lids=u(-0.25, 0.2)),
        "happiness": dict(corners=s * u(0.75, 1.0), wide=s * u(0.4, 1.0), open=s * u(0, 0.5) * (u() < 0.7), teeth=1.0, cheeks=s * u(0.6, 1), lids=-s * u(0.1, 0.5),
                          brows=u(-0.1, 0.3), inner=u(-0.1, 0.15)),
        "surprise": dict(corners=u(-0.15, 0.1), wide=-s * u(0.2, 0.6), open=s * u(0.5, 1.0), teeth=u(0, 0.5), brows=s * u(0.7, 1.0), inner=u(-0.1, 0.3), lids=s * u(0.6, 1.0)),
        "sadness": dict(corners=-s * u(0.6, 1.0), wide=-s * u(0, 0.3), open=u(0, 0.1), brows=s * u(-0.1, 0.3), inner=s * u(0.65, 1.0), lids=-s * u(0.2, 0.5)),
        "anger": dict(corners=-s * u(0.2, 0.6), wide=u(-0.2, 0.3), open=s * u(0, 0.35) * (u() < 0.4), teeth=1.0, press=s * u(0.3, 1.0), brows=-s * u(0.4, 0.9),
                      inner=-s * u(0.75, 1.0), lids=-s * u(-0.1, 0.35)),
    }[kind]
    return Expression(gaze=(float(u(-0.6, 0.6)), float(u(-0.4, 0.4))), **{k: float(v) for k, v in made.items()})
