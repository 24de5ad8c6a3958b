"""Charts as SVG that is part of a page: in the page's colours, light and dark, and equal bytes for equal input.

matplotlib draws with stand-in colours, which become variables of the page's style; its identifiers get a prefix, so
that charts on one page do not clash.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

INK, FAINT, LINE, GROUND = "#010101", "#020202", "#030303", "#040404"
HIT, FALSE, REPEAT = "#050505", "#060606", "#070707"
SERIES = tuple(f"#0808{number:02x}" for number in range(8))
MARKERS = "osD^vPX*"
_VARIABLES: Final = {
    INK: "ink",
    FAINT: "faint",
    LINE: "line",
    GROUND: "card",
    HIT: "hit",
    FALSE: "false",
    REPEAT: "repeat",
    **{stand_in: f"s{number}" for number, stand_in in enumerate(SERIES)},
}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "boxlist",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": FAINT,
    "axes.titlesize": 9.0,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_STAND_IN = re.compile("#0[0-9a-f]{5}")
_REFERENCE = re.compile(r"url\(#")


def colour(number: int) -> str:
    """The stand-in for the colour of the run at that place."""
    return SERIES[number % len(SERIES)]


def marker(number: int) -> str:
    """Its marker: a second way to tell runs apart, and the only one after eight colours."""
    return MARKERS[(number + number // len(SERIES)) % len(MARKERS)]


@contextmanager
def charts() -> Iterator[None]:
    """The style that charts are drawn and written in. Letters that the measuring font lacks are the page's matter."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """A figure as an `<svg>` element; `name` is its own on the page, `description` what a screen reader says."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=_NO_METADATA)
    for prefix, space in (("", _SVG), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, space)
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - matplotlib wrote it just now
    for unwanted in ("metadata", "defs"):  # `defs` here is a style for the whole page; clip paths come later
        element = root.find(f"{{{_SVG}}}{unwanted}")
        if element is not None:
            root.remove(element)
    for element in root.iter():
        _adapt(element, f"{name}-")
    for attribute in ("width", "height"):
        root.attrib.pop(attribute)
    root.set("role", "img")
    root.set("aria-label", description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - every text in it is escaped by then


def _adapt(element: ElementTree.Element, prefix: str) -> None:
    for attribute, value in element.attrib.items():
        if attribute == "id":
            element.set(attribute, prefix + value)
        elif attribute == f"{{{_XLINK}}}href" and value.startswith("#"):
            element.set(attribute, f"#{prefix}{value[1:]}")
        elif attribute in {"style", "clip-path", "fill", "stroke"}:
            with_variables = _STAND_IN.sub(_variable, value)
            element.set(attribute, _REFERENCE.sub(f"url(#{prefix}", with_variables))


def _variable(match: re.Match[str]) -> str:
    name = _VARIABLES.get(match[0])
    return f"var(--{name})" if name else match[0]
