"""A hook of mkdocs: formulas become MathML, which browsers draw by themselves, without scripts or a network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """The page with its formulas drawn."""
    return FORMULA.sub(_drawn, content)


def _drawn(found: re.Match[str]) -> str:
    """One formula, in its line or on one of its own."""
    alone = found[2] == "["
    return convert(html.unescape(found[3]).strip(), display="block" if alone else "inline")
