"""Words of any script, for metrics that count them."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_REMEMBERED = 1 << 16  # words
_APART = frozenset('.,;:!?)"')  # what 13a takes off the end of a word, whatever the word
_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Scripts that put no spaces between words, by how the names of their letters start.
_WITHOUT_SPACES = (
    "CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "HENTAIGANA ", "BOPOMOFO ", "THAI ", "LAO ", "KHMER ", "MYANMAR ",
    "TAI ", "NEW TAI LUE ", "AHOM ",
)  # fmt: skip
# Soft hyphens and joiners stand inside words (Persian, Nepali, Sinhala) and say only how these are written.
_INVISIBLE = dict.fromkeys((0xAD, 0x200C, 0x200D))
_ALONE, _JOINED, _MARK, _BETWEEN = "ajm "
_WORD = re.compile("am*|j[jm]*")


class _Roles(dict[int, str]):
    """What each character is to words, found out when it first occurs."""

    def __missing__(self, code: int) -> str:
        self[code] = role = _role(chr(code))
        return role


def _role(character: str) -> str:
    kind = unicodedata.category(character)
    if kind[0] == "M":
        return _MARK
    if kind[0] not in "LN":
        return _BETWEEN
    apart = kind not in ("Nd", "No") and unicodedata.name(character, "").startswith(_WITHOUT_SPACES)
    return _ALONE if apart else _JOINED


_roles = _Roles()


def words(text: str) -> list[str]:
    """The words of a text in any script, without case and in Unicode's compatible form (NFKC).

    A word is a run of letters, digits and marks that begins with a letter or digit. In scripts without spaces (Chinese,
    Japanese, Thai, Lao, Khmer, Burmese and their relatives) each letter with its marks counts as a word; Korean has
    spaces. Everything else separates.

    Source: The Unicode Standard 17.0, section 3.13 (caseless matching); UAX 29, section 4, which leaves the words of
    the scripts without spaces open.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_INVISIBLE)
    folded = unicodedata.normalize("NFKC", folded)
    return [folded[each.start() : each.end()] for each in _WORD.finditer(folded.translate(_roles))]


def remembered_13a(tokenizer: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    """What BLEU's tokenizer 13a makes of what stands between white space: a third of the time for whole lines.

    None of its rules sees across white space, but for the one about lines that are broken behind a hyphen.

    Args:
        tokenizer: Lines to words with spaces between, as sacrebleu has it.
    """

    @lru_cache(_REMEMBERED)
    def words(word: str) -> tuple[str, ...]:
        if word.isalnum():
            return (word,)
        if word[-1] in _APART and word[:-1].isalnum():
            return word[:-1], word[-1]
        return tuple(tokenizer(word).split())

    return words
