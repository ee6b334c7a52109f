"""Codes of languages: what is one, and how it is written."""

import pytest

from worker.contract.languages import FORM, canonical, fault, is_language, primary


@pytest.mark.parametrize("code", ["en", "zh", "ja", "gsw", "zh-Hant", "pt-BR", "zh-Hant-HK", "x2", "es-419", "klingon"])
def test_any_code_in_the_form_of_a_tag_is_a_language(code: str) -> None:
    assert is_language(code)
    assert fault(code) is None


@pytest.mark.parametrize(
    "code", ["", "e", "e-n", "en_GB", "en-", "-en", "ninechars", "en-ninechars", "中文", "both", "BOTH"]
)
def test_any_other_code_is_refused(code: str) -> None:
    assert not is_language(code)
    assert fault(code) == f"is not {FORM}"


@pytest.mark.parametrize(
    ("code", "written"), [("EN", "en"), ("zh-hant", "zh-Hant"), ("PT-br", "pt-BR"), ("zh-hant-hk", "zh-Hant-HK")]
)
def test_a_code_has_one_canonical_spelling(code: str, written: str) -> None:
    assert canonical(code) == written
    assert fault(code) == f"must be written {written}"
    assert primary(code) == written[:2]
