"""Draws what a program printed as a picture: text from stdin, SVG to stdout. Usage: terminal.py TITLE < text > picture.svg

Nothing but the text goes in, so that a picture in the manual cannot show what the program did not say. Long lines are
folded; the words OK, NOTE and FAIL at the beginning of a line get a colour.
"""

import sys
import textwrap
import unicodedata
from xml.sax.saxutils import escape

COLUMNS, STEP, HEIGHT, EDGE = 100, 8.4, 19, 16
COLOURS = {"OK": "#7ee787", "NOTE": "#e3b341", "FAIL": "#ff7b72", "ALL": "#7ee787", "SOMETHING": "#ff7b72", "$": "#79c0ff"}


def width(text):
    """In columns; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def folded(line):
    indent = " " * min(22, len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, COLUMNS, subsequent_indent=indent, drop_whitespace=False) if width(line) > COLUMNS else [line]


def main():
    lines = [part for line in sys.stdin.read().rstrip("\n").split("\n") for part in folded(line.rstrip("\r"))]
    wide = max(max(map(width, lines)), 60) * STEP + 2 * EDGE
    high = len(lines) * HEIGHT + 2 * EDGE + 26
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high}" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">')
    print(f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/><text x="{EDGE}" y="22" fill="#8b949e" font-size="12">{escape(sys.argv[1])}</text>')
    for number, line in enumerate(lines):
        words = line.split(" ", 1)
        colour = COLOURS.get(words[0], "#e6edf3")
        y = EDGE + 26 + (number + 0.6) * HEIGHT
        print(f'<text x="{EDGE}" y="{y:.0f}" fill="{colour}" xml:space="preserve">{escape(line)}</text>')
    print("</svg>")


main()
