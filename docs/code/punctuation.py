"""For Sphinx: a sign that stands beside maths stays on its line.

Browsers may break a line on either side of a picture, whatever stands there, and in the site maths is
pictures. Without this, lines begin with commas.
"""

import re
from typing import Any

from docutils import nodes

OPENING = re.compile(r"[(\[“]$")
CLOSING = re.compile(r"\S{1,4}(?!\S)")  # ",", ").", "-th"


def keep_signs(app: Any, page: nodes.document, name: str) -> None:
    """Put maths and the signs at its sides into one span, class ``unbroken`` of ``book.css``."""
    for maths in list(page.findall(nodes.math)):
        parent, whole = maths.parent, nodes.inline(classes=["unbroken"])
        place = parent.index(maths)
        parent[place] = whole
        whole += maths
        before, after = parent[:place][-1:], parent[place + 1 :][:1]
        if before and isinstance(before[0], nodes.Text) and (sign := OPENING.search(before[0])):
            whole.insert(0, nodes.Text(sign[0]))
            parent[place - 1] = nodes.Text(before[0][: sign.start()])
        if after and isinstance(after[0], nodes.Text) and (sign := CLOSING.match(after[0])):
            whole += nodes.Text(sign[0])
            parent[place + 1] = nodes.Text(after[0][sign.end() :])
