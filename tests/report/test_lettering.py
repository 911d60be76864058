import pytest

pytest.importorskip("PIL")
from PIL import ImageFont

from stgcn_lightning.errors import BadInput
from stgcn_lightning.report import lettering
from stgcn_lightning.report.lettering import Letters


@pytest.fixture
def dejavu():
    try:
        return ImageFont.truetype("DejaVuSans.ttf", 10).path
    except OSError:
        pytest.skip("this system has no DejaVu Sans")


def test_plain_letters_are_drawn_by_pillow_s_own_font():
    letters = Letters(["wave", "sit down…"])
    assert letters.has("sit down")
    assert letters.font(20).getname()[0] == "Aileron"
    assert letters.width("wave", 20) == pytest.approx(2 * letters.width("wave", 10), rel=0.1)


def test_other_letters_are_looked_for_in_the_system_s_fonts(dejavu):
    letters = Letters(["Поднять руки", "geöffnet"])
    assert letters.has("Поднять")
    assert letters.has("geo\u0308ffnet")  # composed before it is drawn


def test_letters_that_no_font_has_are_known_to_be_missing(monkeypatch):
    monkeypatch.setattr(lettering, "SYSTEM_FONTS", ("no font.ttf",))
    letters = Letters(["手を振る"])
    assert not letters.has("手を振る")
    assert letters.has("wave")


def test_a_font_of_the_user_is_taken(dejavu, tmp_path):
    assert Letters([], dejavu).font(12).getname()[0] == "DejaVu Sans"
    (tmp_path / "a.ttf").write_text("no font")
    for file in (tmp_path / "a.ttf", tmp_path / "none.ttf"):
        with pytest.raises(BadInput, match="is no font: give a TrueType or OpenType file"):
            Letters([], file)


@pytest.mark.parametrize("room", [0, 10, 50, 120, 1000])
def test_a_name_is_cut_where_its_room_ends(room):
    letters, name = Letters([]), "a name of a class that goes on"
    shown = letters.fitting(name, 12, room)
    assert letters.width(shown, 12) <= max(room, letters.width("…", 12))
    assert shown == name or shown.endswith("…")
    assert name.startswith(shown.rstrip("…"))
