"""A timeline as a picture of pixels."""

from PIL import Image, ImageDraw

from stgcn_lightning.report.colours import Colours, rgb
from stgcn_lightning.report.lettering import Letters
from stgcn_lightning.report.timeline import LETTER, Timeline

LARGER = 2  # times: pictures of pixels are read on fine screens, too


def picture_of(chart: Timeline, colours: Colours, letters: Letters) -> Image.Image:
    """The chart, RGB, twice as large as its units."""
    size = (LARGER * chart.width, round(LARGER * chart.height))
    picture = Image.new("RGB", size, rgb(colours.paper))
    draw = ImageDraw.Draw(picture)
    font = letters.font(LARGER * LETTER)

    def box(left: float, top: float, right: float, base: float, colour: str) -> None:
        # a pixel belongs to what begins in it: areas side by side leave no gap and do not overlap
        x, y = round(LARGER * left), round(LARGER * top)
        end, low = round(LARGER * right) - 1, round(LARGER * base) - 1
        if end >= x and low >= y:
            draw.rectangle((x, y, end, low), fill=colour)

    def write(text: str, x: float, y: float, colour: str, anchor: str) -> None:
        draw.text((LARGER * x, LARGER * y), text, fill=colour, font=font, anchor=anchor)

    write(chart.title.text, chart.title.x, chart.title.y, colours.ink, "ls")
    for head in chart.heads:
        write(head.text, head.x, head.y, colours.ink, "ls")
    for row in chart.strips:
        box(chart.left, row.top, chart.right, row.base, colours.faint)
        for areas, colour in ((row.answered, colours.cool), (row.beside, colours.bone)):
            for area in areas:
                box(area.left, area.top, area.right, row.base, colour)
        colour = colours.ink if row.answered else colours.soft
        name = letters.fitting(row.name, LARGER * LETTER, LARGER * (chart.left - 12))
        write(name, chart.left - 8, (row.top + row.base) / 2, colour, "rm")
    base = chart.height - 2 * LETTER - 10
    for tick in chart.ticks:
        box(tick.x, base - 8, tick.x + 1, base - 2, colours.rule)
        write(tick.number, tick.x, base + LETTER, colours.soft, "ms")
    write(chart.unit, chart.right, base + 2 * LETTER + 4, colours.soft, "rs")
    return picture
