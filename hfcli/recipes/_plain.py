"""The part of YAML that recipes are written in.

Read at the level of nodes, not of objects: so that text stays as it stands there, a key that stands there twice is
found, and a file of a stranger makes nothing but what is listed here, in a bounded amount.
"""

from typing import Any

from hfcli.errors import DataError

_VALUES = 50_000
_DEPTH = 6
_PLAIN = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS = {"scalar": "tag:yaml.org,2002:str", "sequence": "tag:yaml.org,2002:seq", "mapping": "tag:yaml.org,2002:map"}


def plain(text: str, source: str) -> Any:
    """YAML as mappings, lists, text, True, False and None.

    Args:
        text: The YAML.
        source: Where it is from, for errors.

    Raises:
        DataError: It is not YAML, or holds more than that; the sentence says in which line.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return None if node is None else _Reader(source).value(node, 0)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise DataError(f"{source} is not a recipe: {line}{error.problem or error}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{source} is not a recipe: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise DataError(f"{source} is not a recipe: it is nested too deeply") from error


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._left = _VALUES

    def value(self, node: Any, depth: int) -> Any:
        self._left -= 1  # an alias may stand for many values, and each of them for as many again
        if self._left < 0:
            raise self._wrong(f"it has more than {_VALUES:,} values", node)
        if node.tag != _TAGS[node.id]:
            raise self._wrong(f"the tag {node.tag} means nothing here", node)
        if depth > _DEPTH:  # also where an alias stands inside what it is an alias of
            raise self._wrong("it is nested too deeply", node)
        if node.id == "scalar":
            return _PLAIN.get(node.value, node.value) if node.style is None else node.value
        if node.id == "sequence":
            return [self.value(each, depth + 1) for each in node.value]
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise self._wrong("a key is a word", key)
            if key.value in found:
                raise self._wrong(f"{key.value} stands there twice", key)
            found[key.value] = self.value(value, depth + 1)
        return found

    def _wrong(self, what: str, node: Any) -> DataError:
        return DataError(f"{self._source} is not a recipe: line {node.start_mark.line + 1}: {what}")
