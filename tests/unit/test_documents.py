"""The documents: both READMEs say the same, links lead somewhere, and what they name is there to be used."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts.bootstrap.options import FLAGS
from scripts.cluster.config import ROOT, parse_cluster

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
TRANSLATED = {READMES[1]: READMES[0]} | {
    page: page.with_name(page.name.replace(".zh.md", ".md")) for page in (ROOT / "compose/reference").glob("*.zh.md")
}  # a page in Chinese: the one in English
PAGES = sorted(
    path
    for folder in ("", "compose", "nginx", "scripts", "worker", "tests")
    for path in ((ROOT / folder).rglob("*.md") if folder else ROOT.glob("*.md"))
    if "_vendor" not in path.parts and path.name not in ("CHANGELOG.md", "README.template.md")
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_README = 200  # lines: the rest belongs into the references


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_comments(kind: str, text: str) -> str:
    """Return the block without its comments, which each README has in its own language."""
    mark = "//" if kind == "js" else "#"
    return "\n".join(re.split(rf"\s+{mark} ", line)[0].rstrip() for line in text.splitlines())


def body(page: Path) -> str:
    """Return the text of a page that has a translation, without code and the line that leads to the other language."""
    head, _, _, rest = text_of(page).split("\n", 3)
    return BLOCK.sub("", f"{head}\n{rest}")


def sections(page: Path) -> list[tuple[str, list[str], int]]:
    """Return the mark of every heading, and below it the links, with the two languages made one, and the table rows.

    The links are sorted, since a sentence may name them in another order.
    """
    parts = re.split(r"^(#+) .+$", body(page), flags=re.MULTILINE)[1:]
    return [
        (mark, sorted(_neutral(page, link) for link in LINK.findall(text)), len(re.findall(r"^\|", text, re.MULTILINE)))
        for mark, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def _neutral(page: Path, link: str) -> str:
    """Return a link as both languages have it: its page in English, and of a heading its place in that page."""
    file, _, anchor = link.partition("#")
    place = f"#{anchors(page.parent / file).index(anchor)}" if anchor else ""
    return re.sub(r"\.(en|zh)\.png$", ".png", file.replace(".zh.md", ".md")) + place


# --- Both languages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TRANSLATED, ids=named)
def test_a_page_in_chinese_has_the_same_commands_code_and_output(page: Path) -> None:
    english, chinese = (
        [(kind, without_comments(kind, block)) for kind, block in BLOCK.findall(text_of(one))]
        for one in (TRANSLATED[page], page)
    )
    assert len(english) > 3
    assert chinese == english


@pytest.mark.parametrize("page", TRANSLATED, ids=named)
def test_a_page_in_chinese_has_the_same_sections_links_and_rows(page: Path) -> None:
    assert sections(page) == sections(TRANSLATED[page])


@pytest.mark.parametrize("page", TRANSLATED, ids=named)
def test_a_page_in_chinese_names_the_same_code(page: Path) -> None:
    """Between backquotes stand commands, variables, keys and addresses, which no language changes."""
    english, chinese = (
        {" ".join(span.split()) for span in re.findall(r"`([^`]+)`", body(one))} for one in (TRANSLATED[page], page)
    )
    assert chinese == english


def test_a_chinese_page_leads_to_chinese_pages_where_there_are_any() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve() for page in TRANSLATED for link in LINK.findall(body(page))
    }
    assert linked & {*TRANSLATED.values()} == set()


@pytest.mark.parametrize("page", READMES, ids=named)
def test_a_readme_is_short_and_begins_with_a_link_to_the_other_language(page: Path) -> None:
    lines = text_of(page).splitlines()
    (other,) = {*READMES} - {page}
    assert f"({other.name})" in lines[2]
    assert len(lines) <= LONGEST_README


@pytest.mark.parametrize("page", READMES, ids=named)
def test_the_servers_of_a_readme_are_a_valid_cluster_file(page: Path) -> None:
    models = re.search(r"^\[\[models\]\].*?\n\n", text_of(ROOT / "compose/cluster.toml"), re.MULTILINE | re.DOTALL)
    assert models
    (servers,) = [block for kind, block in BLOCK.findall(text_of(page)) if kind == "toml"]
    cluster = parse_cluster(models[0] + servers, page.name)
    assert [server.name for server in cluster.servers] == ["a", "b"]


# --- Links --------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> list[str]:
    """Return the anchors of the page's headings, as hosts of repositories make them."""
    found = re.findall(r"^#+ (.+)$", BLOCK.sub("", text_of(page)), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file_and_a_heading_in_it(page: Path) -> None:
    broken = []
    for link in LINK.findall(BLOCK.sub("", text_of(page))):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            broken.append(link)
    assert broken == []


# --- Commands and variables ---------------------------------------------------------------------------------------


def code(page: Path) -> Iterator[str]:
    """Yield every line of code of a page: of its blocks, without comments, and between backquotes."""
    text = text_of(page)
    for kind, block in BLOCK.findall(text):
        yield from without_comments(kind, block).splitlines()
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", BLOCK.sub("", text)))


@cache
def definitions() -> dict[str, str]:
    """Return the Makefile's own variables."""
    joined = MAKEFILE.replace("\\\n", " ")
    return dict(re.findall(r"^([A-Z_]+) \??= *(.*)$", joined, re.MULTILINE))


@cache
def variables(target: str) -> frozenset[str]:
    """Return the variables that a target's command reads."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert recipe, f"no target {target}"
    text, before = recipe[1], ""
    while text != before:
        before, text = (
            text,
            re.sub(r"\$\(([A-Z_]+)\)", lambda name: f"<{name[1]}>{definitions().get(name[1], '')}", text),
        )
    return frozenset(one or other for one, other in re.findall(r"call option,(\w+)|<(\w+)>", text))


def calls(page: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each call of make in a page: its target, and the variables that it sets."""
    for line in code(page):
        for target, rest in re.findall(r"(?<![\w-])make ([a-z][a-z0-9-]*)((?: [^&;|]*)?)", line):
            yield target, set(re.findall(r"(?<!\S)([A-Z][A-Z0-9_]*)=", rest))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_command_of_a_page_exists_and_reads_its_variables(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):(?!=)", MAKEFILE, re.MULTILINE))
    unknown = [
        f"make {target} {' '.join(given)}"
        for target, given in calls(page)
        if target not in targets or not given <= variables(target)
    ]
    assert unknown == []


def test_the_commands_of_the_pages_are_found() -> None:
    found = {target: given for page in PAGES for target, given in calls(page) if given}
    assert {"HOSTS", "JOIN"} in [given for page in PAGES for target, given in calls(page) if target == "init"]
    assert {"model-add", "bundle-verify", "classify", "drain", "use"} <= found.keys()
    assert variables("logs") >= {"FOLLOW", "CLUSTER", "RUN_DIR", "RUNTIME"}
    assert "NONSENSE" not in variables("init")


@cache
def names_in_sources() -> set[str]:
    """Return the names in capitals in all code that reads variables of the environment."""
    files = [path for part in ("scripts", "worker", "nginx") for path in (ROOT / part).rglob("*")]
    texts = [
        text_of(path)
        for path in files
        if path.suffix in (".py", ".sh", ".env", ".conf") and "_vendor" not in path.parts
    ]
    return {name for text in (*texts, MAKEFILE) for name in re.findall(r"\b[A-Z][A-Z0-9_]+\b", text)}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_environment_variable_of_a_page_is_read_by_the_code(page: Path) -> None:
    names = {span.rstrip("=") for span in code(page) if re.fullmatch(r"(WANWU|HF|MODELSCOPE|PIP)_[A-Z0-9_]+=?", span)}
    assert names - names_in_sources() == set()


def test_every_flag_of_init_server_that_a_page_names_is_one() -> None:
    used = {
        flag
        for page in PAGES
        for line in code(page)
        if "init-server.sh" in line
        for flag in re.findall(r"(?<!\S)(--[a-z-]+)", line)
    }
    assert {"--bundle", "--first", "--uninstall"} <= used <= {*FLAGS, "--help"}
