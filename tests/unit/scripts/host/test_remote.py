"""What a batch of sftp is told."""

import pytest

from scripts.host.remote import quote_sftp


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("wanwu-bundle/packages/debian-12/make_4.3-4.1_amd64.deb",) * 2,
        ("models/万物", "models/万物"),
        ("""two "words" 'here'""", r"""two\ \"words\"\ \'here\'"""),
        (r"back\slash", r"back\\slash"),
        ("[a-z]*?", r"\[a-z\]\*\?"),
        ("$HOME #1", r"\$HOME\ \#1"),
    ],
)
def test_a_path_is_one_word_and_no_pattern(path: str, word: str) -> None:
    assert quote_sftp(path) == word
