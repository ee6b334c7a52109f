"""The page's own files agree: every import is exported, and what it translates is what the service says."""

import posixpath
import re

from nginx.gate.reasons import Reason
from scripts.cluster.config import ROOT
from worker.contract.error_codes import ErrorCode

WEB = ROOT / "nginx/web"
IMPORT = re.compile(r'^import (?:\{ (?P<names>[^}]*) \}|\* as \w+) from "(?P<path>[^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:const|let|function|class) (\w+)", re.MULTILINE)
WORDS = r'\["([^"\n]+)", "([^"\n]+)"\]'
ERROR = re.compile(
    rf"  (\w+): {{\n    users_zh: {WORDS},\n    users_en: {WORDS},\n"
    r'(?:    programmers_zh: "([^"\n]+)",\n)?  },\n'
)
TEXT = re.compile(r'^ {2}"?([^"\n]+?)"?:\s+"([^"\n]*)",$', re.MULTILINE)
CHINESE = re.compile("[一-鿿]")


def source(path: str) -> str:
    return (WEB / path).read_text(encoding="utf-8")


def test_every_import_of_a_module_is_exported_by_the_other() -> None:
    modules = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js"))
    found = 0
    for module in modules:
        for match in IMPORT.finditer(source(module)):
            other = posixpath.normpath(posixpath.join(posixpath.dirname(module), match["path"]))
            assert other in modules, f"{module} imports {match['path']}"
            names = {name.split(" as ")[0].strip() for name in (match["names"] or "").split(",")} - {""}
            assert names <= set(EXPORT.findall(source(other))), f"{module} imports from {other}"
            found += 1
    assert found > len(modules)


def test_every_id_of_the_page_is_used() -> None:
    html = source("index.html")
    files = [path.read_text(encoding="utf-8") for pattern in ("*.js", "*.css") for path in WEB.rglob(pattern)]
    text = "".join([*files, re.sub(r'\bid="[^"]+"', "", html)])
    ids = re.findall(r'\bid="([^"]+)"', html)
    unused = {one for one in ids if not re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", text)}
    assert unused == {"view-classify"}  # whose name views.js puts together


def errors(table: str) -> list[tuple[str, ...]]:
    """Return each error of a table of texts/errors.js: code, users_zh, users_en, programmers_zh."""
    text = source("texts/errors.js").partition(f"const {table} = {{\n")[2].partition("};\n")[0]
    assert text
    assert not ERROR.sub("", text)
    return ERROR.findall(text)


def test_every_error_code_is_explained_to_users_in_both_languages_and_to_programmers_in_chinese() -> None:
    assert [code for code, *_ in errors("ERRORS")] == [str(code) for code in ErrorCode]
    assert all(CHINESE.search(programmers) for *_, programmers in errors("ERRORS"))
    for _, *chinese, headline, remedy, _ in errors("ERRORS") + errors("OTHERS"):
        assert all(CHINESE.search(text) for text in chinese)
        assert not CHINESE.search(headline + remedy)


def test_every_reason_of_the_gate_is_translated_with_the_same_values() -> None:
    texts = dict(TEXT.findall(source("cluster/reasons.js").partition("};")[0]))
    assert list(texts) == [str(reason) for reason in Reason]
    for english, chinese in texts.items():
        assert CHINESE.search(chinese)
        assert set(re.findall(r"\{(\w+)\}", chinese)) == set(re.findall(r"\{(\w+)", english))
