#!/usr/bin/env python3
"""Draws the characters of plates as 24-row bitmaps: the font of `forecourt camera snapshot`.

    pip install pillow
    tools/make_glyphs.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc > src/commands/camera/font/glyphs.txt

The font file comes from Debian's package fonts-noto-cjk. A line is a character, a space, and 24 rows of hexadecimal
digits: three digits (12 pixels) a row for ASCII, six (24 pixels) for Chinese; the first digit is the left end.
"""
import sys

from PIL import Image, ImageDraw, ImageFont

FACE = "Noto Sans Mono CJK SC"
ROWS = 24
ASCII = [chr(code) for code in range(0x21, 0x7F)]
# Provinces, then what marks a kind of plate.
CHINESE = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新学挂警港澳台使领临试超民航应急消军空海北沈兰济南广成"


def face(path):
    """The monospaced face of the collection, at a size that fills the rows."""
    for index in range(64):
        font = ImageFont.truetype(path, 22, index=index)
        if font.getname()[0] == FACE:
            return font
    raise SystemExit(f"{path} holds no {FACE}")


def rows(font, character, width):
    """`ROWS` numbers of `width` bits."""
    image = Image.new("L", (width, ROWS), 0)
    ImageDraw.Draw(image).text((width / 2, ROWS - 5), character, font=font, fill=255, anchor="ms")
    pixels = image.load()
    return [sum((pixels[x, y] >= 110) << (width - 1 - x) for x in range(width)) for y in range(ROWS)]


def main():
    """Writes all characters to stdout."""
    font = face(sys.argv[1])
    print(f"# Drawn from {FACE} by tools/make_glyphs.py; licence: LICENSE-OFL.txt beside this file.")
    for characters, width in ((ASCII, 12), (CHINESE, 24)):
        for character in characters:
            print(character, "".join(f"{row:0{width // 4}x}" for row in rows(font, character, width)))


if __name__ == "__main__":
    main()
