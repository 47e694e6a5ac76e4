"""A page of HTML that stands alone: styles and pictures inside, nothing fetched.

Plain Python strings, since a template engine would be a dependency for one page. Whatever is not `Html` is escaped.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from physics_twin.report.style import CSS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARP = 160
"""Dots per inch of what is drawn as dots inside a picture (clouds of draws)."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def safe(text: object) -> Html:
    """Return text as HTML: escaped, unless it is `Html`."""
    return text if isinstance(text, Html) else Html(html.escape(str(text)))


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Return pieces of text and HTML as one piece of HTML."""
    return Html(between.join(safe(part) for part in parts))


def tag(name: str, *content: object, css: str = "", **attributes: str) -> Html:
    """Return an element."""
    given = {"class": css, **attributes} if css else attributes
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in given.items())
    return Html(f"<{name}{written}>{joined(content)}</{name}>")


def paragraph(*content: object, css: str = "") -> Html:
    """Return a paragraph."""
    return tag("p", *content, css=css)


def bullets(items: Iterable[object], css: str = "") -> Html:
    """Return a list; nothing for no items."""
    rows = [tag("li", item) for item in items]
    return tag("ul", *rows, css=css) if rows else Html("")


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = (), caption: str = ""
) -> Html:
    """Return a table; the columns `numbers` are set to the right, columns without any entry are left out."""
    body = [list(row) for row in rows]
    kept = [i for i in range(len(head)) if i == 0 or not body or any(str(row[i]) for row in body)]

    def line(name: str, row: Sequence[object]) -> Html:
        return tag("tr", *(tag(name, row[i], css="number" if i in numbers else "") for i in kept))

    inside = [tag("caption", caption)] if caption else []
    inside += [tag("thead", line("th", head)), tag("tbody", *(line("td", row) for row in body))]
    return tag("div", tag("table", *inside), css="scroll")


def facts(pairs: Iterable[tuple[object, object]]) -> Html:
    """Return names and what they are, as a narrow table; empty ones are left out."""
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in pairs if str(value)]
    return tag("table", tag("tbody", *rows), css="facts")


def flag(text: str, kind: str) -> Html:
    """Return a mark that is read without its color; kind: good, doubt, bad."""
    sign = {"good": "✓", "doubt": "!", "bad": "✗"}[kind]
    return tag("span", f"{sign} {text}", css=f"flag {kind}")


def note(*content: object, kind: str = "doubt") -> Html:
    """Return a framed remark; kind: good, doubt, bad, plain."""
    return tag("div", *content, css=f"note {kind}")


@dataclass(frozen=True)
class Picture:
    """A figure with its caption; `alt` says what it shows to those who cannot see it."""

    data: str
    caption: Html
    alt: str

    @classmethod
    def of(cls, figure: "Figure", caption: object, alt: str) -> "Picture":
        """Draw a matplotlib figure as SVG and close it."""
        from matplotlib import pyplot as plt

        from physics_twin import plot_style

        drawn = io.BytesIO()
        with plot_style.style():
            figure.savefig(drawn, format="svg", dpi=SHARP, metadata={"Date": None, "Creator": "physics_twin"})
        plt.close(figure)
        # As the source of an image and not inline: the ids of two drawings in one page would clash.
        data = base64.b64encode(drawn.getvalue()).decode("ascii")
        return cls(f"data:image/svg+xml;base64,{data}", safe(caption), alt)


class Numbering:
    """Counts the pictures of one page."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, picture: Picture) -> Html:
        """Return a picture with the next number."""
        self.n += 1
        image = Html(f'<img src="{picture.data}" alt="{html.escape(picture.alt)}">')
        return tag("figure", image, tag("figcaption", tag("b", f"Figure {self.n}. "), picture.caption))


@dataclass(frozen=True)
class Section:
    """A chapter of the page; one without content is left out."""

    key: str
    title: str
    content: Html


def page(title: str, subtitle: object, sections: Sequence[Section], footer: object) -> str:
    """Return the whole document."""
    shown = [section for section in sections if section.content]
    contents = tag("ol", *(tag("li", tag("a", section.title, href=f"#{section.key}")) for section in shown))
    body = [
        tag("header", tag("h1", title), paragraph(subtitle, css="subtitle")),
        tag("nav", tag("h2", "Contents"), contents),
        *(
            tag("section", tag("h2", f"{k}. {section.title}"), section.content, id=section.key)
            for k, section in enumerate(shown, start=1)
        ),
        tag("footer", footer),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


__all__ = [
    "Html",
    "Numbering",
    "Picture",
    "Section",
    "bullets",
    "facts",
    "flag",
    "joined",
    "note",
    "page",
    "paragraph",
    "safe",
    "table",
    "tag",
]
