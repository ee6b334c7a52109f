"""What the view shows by code, and by the words of a command, is what this service and the commands say."""

import re

from scripts.cluster.config import ROOT
from scripts.teach_page import KEY_HEADER, PREFIX, SOCKET, uploads
from scripts.teach_page.errors import STATUS, Code
from scripts.teach_page.jobs import STAGES

TEXTS = (ROOT / "nginx/web/teach/texts.js").read_text(encoding="utf-8")
OF_THE_PAGE = {"off", "away", "unreachable"}


def keys(name: str) -> list[set[str]]:
    """Return the keys of the object `name` in each language."""
    blocks = re.findall(rf"^    {name}: \{{(.*?)^    \}},$", TEXTS, re.MULTILINE | re.DOTALL)
    return [set(re.findall(r'(?:^|[{,])\s*(\w+|""): ["(]', block, re.MULTILINE)) for block in blocks]


def test_every_error_has_a_status_and_a_text_in_both_languages() -> None:
    assert STATUS.keys() == {*Code}
    assert keys("errors") == [{*Code} | OF_THE_PAGE] * 2


def test_every_stage_has_a_text_and_is_one_that_commands_print() -> None:
    assert keys("stages") == [{*STAGES.values()} | {'""'}] * 2
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "scripts").rglob("*.py")]
    printed = {word for text in sources for word in re.findall(r'\bstep\(f?"([^"]+)', text)}
    assert [words for words in STAGES if not any(each.startswith(words) for each in printed)] == []


def test_the_page_and_nginx_use_the_same_names() -> None:
    assert KEY_HEADER in (ROOT / "nginx/web/teach/service.js").read_text(encoding="utf-8")
    routes = (ROOT / "nginx/routes.conf").read_text(encoding="utf-8")
    assert f"location {PREFIX} {{" in routes
    assert f"proxy_pass http://unix:{SOCKET};" in routes
    limits = f"at most {uploads.MAX_CLASSES:,} classes, {uploads.MAX_IMAGES:,} images and {uploads.MAX_BYTES >> 30} GB"
    assert limits in TEXTS
