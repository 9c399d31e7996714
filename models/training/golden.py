"""Golden vectors of a pack: small generated pictures and what its models make of them, for `forecourt models verify`."""
import cv2
import numpy as np

import runtime
from plates import kinds, pose, template, vehicles

SEED = 4711


def pictures():
    """(scene, one-row crop, two-row crop), uint8 RGB, the same on every machine."""
    rng = np.random.default_rng(SEED)
    scene = np.full((270, 480, 3), 118, np.float32)
    scene[:90] = 190
    for text, colour, left, width in (("苏ED53816", "green", 40, 170), ("沪A62F85", "blue", 260, 190)):
        vehicle = vehicles.car(rng, rear=False, scale=0.3)
        high = width * vehicle.size[1] / vehicle.size[0]
        quad = np.array([[left, 250 - high], [left + width, 250 - high], [left + width, 250], [left, 250]], np.float32)
        to_canvas = vehicles.place(scene, vehicle, quad)
        plate = kinds.from_text(text, colour)
        pose.paste(scene, template.draw(plate, rng, clean=True), vehicles.plate_quad(vehicle, plate.size, to_canvas))
    single = template.draw(kinds.from_text("粤B7K319", "blue"), rng, clean=True)
    double = template.draw(kinds.from_text("鲁H83E57", "yellow-double"), rng, clean=True)
    shrink = lambda image, size: np.clip(cv2.resize(image, size, interpolation=cv2.INTER_AREA), 0, 255).astype(np.uint8)
    return np.clip(scene, 0, 255).astype(np.uint8), shrink(single, (200, 64)), shrink(double, (200, 100))


def save(path, image):
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


def write(folder, detector, reader):
    """Writes the pictures into the pack and returns the manifest's words for detector and reader."""
    scene, single, double = pictures()
    save(folder / "golden-scene.png", scene)
    boxes = ", ".join("[" + ", ".join(f"{v:.1f}" for v in box) + "]" for box, *_ in detector(scene))
    words = [f'\n[[model.golden]]\nimage = "golden-scene.png"\nboxes = [{boxes}]\n', ""]
    for name, image, rows in (("golden-single.png", single, 1), ("golden-double.png", double, 2)):
        save(folder / name, image)
        read = reader.of_tight(image)
        words[1] += f'\n[[model.golden]]\nimage = "{name}"\ntext = "{read["text"]}"\ncolour = "{read["colour"]}"\n'
        words[1] += "double_row = true\n" if rows == 2 else ""
    return words
