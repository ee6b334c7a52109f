"""Decode a file of text: UTF-8, UTF-16, or the language's own encoding on Windows where the bytes leave no doubt."""

import re
import unicodedata
from pathlib import Path

from worker.contract.languages import primary
from worker.contract.toml_reader import ModelError

MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# What Windows programs write, by language, and how the Unicode names of its letters start.
CENTRAL_EUROPEAN = dict.fromkeys(("cs", "hr", "hu", "pl", "ro", "sk", "sl"), "cp1250")
CYRILLIC = dict.fromkeys(("be", "bg", "mk", "ru", "sr", "uk"), "cp1251")
ENCODINGS = CENTRAL_EUROPEAN | CYRILLIC | {
    "zh": "gb18030", "zh-Hant": "cp950", "zh-TW": "cp950", "zh-HK": "cp950", "ja": "cp932", "ko": "cp949",
    "el": "cp1253", "tr": "cp1254",
}  # fmt: skip
WESTERN = "cp1252"
SCRIPTS = {
    "gb18030": ("CJK UNIFIED",), "cp950": ("CJK UNIFIED",), "cp932": ("CJK UNIFIED", "HIRAGANA", "KATAKANA"),
    "cp949": ("HANGUL", "CJK UNIFIED"), "cp1250": ("LATIN",), "cp1251": ("CYRILLIC",), "cp1252": ("LATIN",),
    "cp1253": ("GREEK",), "cp1254": ("LATIN",),
}  # fmt: skip
MAX_ASCII = 127
PUNCTUATION = "‘’“”–—…·、。，（）《》「」・ー　°"
NAMES = {"gb18030": "GB18030", "cp950": "Big5", "cp932": "Shift-JIS", "cp949": "EUC-KR"}
COMMON_SHARE = 0.9  # of the characters of a Chinese text that GB2312 has, too; of a text misread as Chinese far fewer
SINGLE_SHARE = 0.5  # of the letters beyond ASCII in a Western text that have none beside them


def read_text(file: Path, language: str) -> tuple[str, str]:
    """Return the text in `file`, which is in `language` (a code), and its encoding's name, "" for UTF-8.

    Raise ModelError if its encoding is not certain.
    """
    data = file.read_bytes()
    if encoding := next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), _without_mark(data)):
        if text := _decoded(data, encoding):
            return text, encoding[:6].upper()
        raise ModelError(f"{file}: is cut short or damaged {encoding.upper()}: save the file as UTF-8")
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        fault = f"{file}: byte {error.start} is not UTF-8: save the file as UTF-8"
    own = ENCODINGS.get(language) or ENCODINGS.get(primary(language), WESTERN)
    certain = [encoding for encoding in dict.fromkeys((own, "gb18030", WESTERN)) if _is_certain(data, encoding)]
    if certain[:1] == [own]:
        return _decoded(data, own), _name(own)
    if certain:
        fault += f", with `iconv -f {certain[0]} -t utf-8` if it is in {_name(certain[0])}, as it seems"
    raise ModelError(fault)


def _without_mark(data: bytes) -> str:
    """Return the encoding of UTF-16 without a byte order mark, "" if `data` is something else."""
    if b"\0" not in data:
        return ""
    return "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"


def _decoded(data: bytes, encoding: str) -> str:
    """Return the text, "" if `data` is not in `encoding`."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return ""


def _is_certain(data: bytes, encoding: str) -> bool:
    """Return whether `data` makes sense in `encoding`: only letters of its script, as its languages use them."""
    letters = [character for character in _decoded(data, encoding) if ord(character) > MAX_ASCII]
    letters = [character for character in letters if character not in PUNCTUATION]
    if not letters or not all(unicodedata.name(letter, "").startswith(SCRIPTS[encoding]) for letter in letters):
        return False
    if encoding == "gb18030":
        return sum(map(_is_common, letters)) >= COMMON_SHARE * len(letters)
    if encoding == WESTERN:
        runs = re.findall(rb"[\x80-\xff]+", data)
        return sum(len(run) == 1 for run in runs) >= SINGLE_SHARE * len(runs)
    return True


def _is_common(letter: str) -> bool:
    try:
        return bool(letter.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _name(encoding: str) -> str:
    return NAMES.get(encoding, encoding.replace("cp", "Windows-"))
