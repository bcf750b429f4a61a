"""Owns the type's guidance: Markdown in, safe HTML out. Payloads never come here; they are text."""

from functools import lru_cache
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

TAGS: Final = {
    "p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "h3", "h4", "h5", "h6", "a", "hr", "br",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")


@lru_cache(maxsize=256)
def guidance_html(markdown: str) -> Markup:
    """Safe markup: no raw HTML, no images, links to http(s) only; headings begin below the page's own."""
    tokens = _MARKDOWN.parse(markdown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return Markup(  # noqa: S704 - cleaned just here
        nh3.clean(
            html, tags=TAGS, attributes={"a": {"href"}}, url_schemes={"http", "https"}, link_rel="noopener noreferrer"
        )
    )
