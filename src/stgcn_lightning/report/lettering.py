"""Letters of the pictures that are drawn here: a font that has them, names cut to their room."""

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stgcn_lightning.errors import BadInput
from stgcn_lightning.terminal import plain

# files of fonts with many letters, which Pillow looks for where the system keeps fonts
SYSTEM_FONTS = (
    "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "Arial.ttf",
    "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "AppleSDGothicNeo.ttc", "msyh.ttc",
    "malgun.ttf",
)  # fmt: skip
NO_LETTER = "\uf8ff"  # for private use: no font here draws anything but its box for it
MORE = "…"


class Letters:
    """A font for some texts: Pillow's own if it has their letters, else one of the system.

    Args:
        texts: what will be drawn.
        file: a TrueType or OpenType font to take instead.

    Raises:
        BadInput: `file` is no font.
    """

    def __init__(self, texts: Iterable[str], file: Path | None = None):
        wanted = sorted({letter for text in texts for letter in composed(text)} - {" "})
        self._file: str | None = None
        if file is not None:
            self._file = str(file)
            if not _opens(self._file):
                raise BadInput(f"font={file} is no font: give a TrueType or OpenType file")
            return
        lacking = _lacking(None, wanted)
        for name in SYSTEM_FONTS if lacking else ():
            missing = _lacking(name, wanted) if _opens(name) else lacking
            if len(missing) < len(lacking):
                self._file, lacking = name, missing

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        """The font in a size, in pixels of the height of a line."""
        return _font(self._file, size)

    def has(self, text: str) -> bool:
        """Whether the font has all letters of a text."""
        return not _lacking(self._file, set(composed(text)) - {" "})

    def width(self, text: str, size: float) -> float:
        """Pixels that a text takes."""
        return self.font(size).getlength(composed(text))

    def fitting(self, text: str, size: float, room: float) -> str:
        """A text that takes at most `room` pixels, cut where it is longer."""
        text = composed(text)
        if self.width(text, size) <= room:
            return text
        low, high = 0, len(text)  # letters that fit, and that do not
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.width(text[:middle].rstrip() + MORE, size) <= room
            low, high = (middle, high) if fits else (low, middle)
        return text[:low].rstrip() + MORE


def composed(text: str) -> str:
    """A text in the form that fonts have letters for, in one line and one direction."""
    return plain(" ".join(unicodedata.normalize("NFC", text).split()))


@cache
def _font(file: str | None, size: float) -> ImageFont.FreeTypeFont:
    if file is not None:
        return ImageFont.truetype(file, size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise BadInput(
            "this Pillow draws no letters in a size: install one with FreeType, "
            "pip install --force-reinstall pillow"
        )
    return font


@cache
def _opens(file: str) -> bool:
    try:
        _font(file, 10)
    except OSError:
        return False
    return True


def _lacking(file: str | None, letters: Iterable[str]) -> tuple[str, ...]:
    nothing = _drawn(file, NO_LETTER)
    return tuple(letter for letter in letters if _drawn(file, letter) == nothing)


@cache
def _drawn(file: str | None, letter: str) -> bytes:
    picture = Image.new("L", (40, 40))
    ImageDraw.Draw(picture).text((5, 5), letter, fill=255, font=_font(file, 20))
    return picture.tobytes()
