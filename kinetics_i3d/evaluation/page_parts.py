"""`table`, `percent`, `jpeg_uri`: the parts that report.html is made of."""

import base64
import io
from html import escape

from kinetics_i3d.core.canvas import pillow

QUALITY = 85  # of JPEG


def percent(share, digits=1):
    """A share of 0 to 1 as text, such as `54.8 %`."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def table(head, rows, *, numbers=(), kind="", caption):
    """A table as HTML, in a box that scrolls where the page is too narrow.

    Args:
        head: Names of the columns, plain text.
        rows: A list of cells each; a cell is HTML, or (HTML, the value that it is sorted by). The
            first one is the row's head.
        numbers: Columns whose cells stand at the right.
        kind: The table's class in the style.
        caption: What it is called where it cannot be seen.

    Returns:
        The HTML.

    Example:

    >>> "<td>4</td>" in table(["Class", "videos"], [["sit", "4"]], caption="Classes")
    True
    """

    def cell(column, content):
        content, value = content if isinstance(content, tuple) else (content, None)
        tag = 'th scope="row"' if column == 0 else "td"
        style = ' class="number"' if column in numbers else ""
        sort = "" if value is None else f' data-value="{escape(str(value))}"'
        return f"<{tag}{style}{sort}>{content}</{tag[:2]}>"

    heads = "".join(
        f'<th scope="col"{" class=" + chr(34) + "number" + chr(34) if n in numbers else ""}>'
        f"{escape(text)}</th>"
        for n, text in enumerate(head)
    )
    lines = "\n".join(
        f"<tr>{''.join(cell(column, content) for column, content in enumerate(row))}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">\n'
        f'<table class="{kind}">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n'
        "</table>\n</div>\n"
    )


def jpeg_uri(pixels):
    """A uint8 picture (height, width, 3) as the URI of a JPEG inside the page."""
    image_module, _, _ = pillow()
    data = io.BytesIO()
    image_module.fromarray(pixels).save(data, format="JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def size_attributes(pixels):
    """A picture's width and height as attributes, so that the page does not jump when it shows."""
    height, width = pixels.shape[:2]
    return f'width="{width}" height="{height}"'
