# SPDX-License-Identifier: MIT
"""Draw figures as SVG that takes its colours and its font from the page around it.

Matplotlib draws; what it writes is then made fit to stand in an HTML page: the colours of
:data:`THEME` become variables of the page's style sheet, so that one drawing serves a light and a
dark page, ids get a prefix of their own, and a title and a description are added for those who
listen to the page.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colour to draw with to the name of the page's variable.
THEME = {
    "#010101": "--ink",
    "#010102": "--muted",
    "#010103": "--line",
    "#010104": "--good",
    "#010105": "--bad",
    "#010106": "--doubt",
    "#010107": "--paper",
    **{f"#0102{k:02x}": f"--c{k}" for k in range(8)},
}
INK, MUTED, LINE, GOOD, BAD, DOUBT, PAPER = list(THEME)[:7]
COLOURS = tuple(list(THEME)[7:])

#: Widths in inches: of a sheet of paper or a screen, and of a phone.
WIDE, NARROW = 9.0, 4.3

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Drawing:
    """One figure, drawn for two widths.

    Attributes
    ----------
    name : str
        Unique in its page; a prefix of all ids.
    title, caption : str
        What is seen, in words; the caption also says how to read it.
    wide, narrow : str
        Two ``<svg>`` elements, for screens and paper and for phones.
    """

    name: str
    title: str
    caption: str
    wide: str
    narrow: str


def draw(
    name: str, title: str, caption: str, paint: Callable[[Figure, bool], None], rows: float
) -> Drawing:
    """Make a drawing.

    Parameters
    ----------
    name : str
        Letters only.
    title, caption : str
        Plain text.
    paint : callable
        Fills a figure; its second argument tells whether there is little room.
    rows : float
        Height in inches.
    """
    wide, narrow = (_svg(name, title, caption, paint, rows, small) for small in (False, True))
    return Drawing(name, title, caption, wide, narrow)


def _svg(
    name: str,
    title: str,
    caption: str,
    paint: Callable[[Figure, bool], None],
    height: float,
    small: bool,
) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    prefix = f"{name}-{'n' if small else 'w'}"
    target = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context(), warnings.catch_warnings():
        # Only the page's own font counts, which Matplotlib does not know.
        warnings.filterwarnings("ignore", message="Glyph")
        mpl.rcdefaults()  # a user's own style must not change the report
        settings: Any = {**_SETTINGS, "svg.hashsalt": prefix}
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(NARROW if small else WIDE, height), layout="constrained")
        paint(figure, small)
        figure.savefig(target, format="svg", metadata=nothing)
    return _embedded(target.getvalue(), prefix, title, caption)


def _embedded(svg: str, prefix: str, title: str, caption: str) -> str:
    """Make an SVG file part of a page."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", svg)
    svg = re.sub(r"font: (.*?)px [^;\"]*", r"font: \1px var(--sans)", svg)
    svg = re.sub(r"<[^>]*>", _rounded, svg)
    for colour, variable in THEME.items():
        svg = svg.replace(colour, f"var({variable})")
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    head = (
        f'<svg {names} {box[0]} role="img" aria-labelledby="{prefix}-t {prefix}-d">'
        f'<title id="{prefix}-t">{escape(title)}</title>'
        f'<desc id="{prefix}-d">{escape(caption)}</desc>'
    )
    return head + svg[svg.index(">") + 1 :]


def _rounded(tag: re.Match[str]) -> str:
    """Write coordinates to a hundredth of a point; text between the tags stays as it is."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", tag[0])
