"""Text in English and Chinese on one page; a choice at its top, without a script, shows one of them."""

from scripts.models.tools.evaluate.html import text

STYLE = """
.languages { float: right; }
body:has(#zh:checked) span[lang=en], body:has(#en:checked) span[lang=zh] { display: none; }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .right { fill: rgb(var(--right)); } svg .wrong { fill: rgb(var(--wrong)); } svg .ground { fill: var(--ground); }
svg .middle { text-anchor: middle; } svg .frame { fill: none; stroke: var(--line); }
svg circle.curve { fill: rgb(var(--right)); } svg polyline { fill: none; stroke: rgb(var(--right)); stroke-width: 2; }
svg .more { stroke-dasharray: 6 5; }
.pair { display: flex; gap: .25rem; } .pair img { width: 50%; }
"""


def both(english: str, chinese: str) -> str:
    """Return a text in both languages as HTML."""
    return f'<span lang="en">{text(english)}</span><span lang="zh">{text(chinese)}</span>'


def choice(chinese_first: bool) -> str:
    """Return the choice between the languages as HTML."""
    options = [("en", "English", not chinese_first), ("zh", "中文", chinese_first)]
    inputs = "".join(
        f'<label><input type="radio" name="language" id="{code}"{" checked" if checked else ""}>{name}</label> '
        for code, name, checked in options
    )
    return f'<p class="languages">{inputs}</p>'
