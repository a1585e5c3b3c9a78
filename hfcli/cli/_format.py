"""Numbers, times, bars and columns as people read them."""

import math
import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ASCII = str.maketrans(
    {"·": "-", "…": "~", "±": "+/-", **dict.fromkeys("▏▎▍▌▋▊▉█", "#"), **dict(zip("▁▂▃▄▅▆▇", "_.:-=+*", strict=True))}
)


def visible(text: str) -> str:
    """Control characters as escapes, so that what a model or a file says cannot steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def ascii_glyphs(text: str) -> str:
    """The same with what a terminal without UTF-8 has for our dots, bars and curves."""
    return text.translate(_ASCII)


def size(count: int, of: int | None = None) -> str:
    """Bytes for people, in the unit of the total where there is one; that unit is then left out."""
    scale = of if of is not None else count
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if scale >= factor:
            number = f"{count / factor:.1f}" if scale < 10 * factor else f"{count / factor:.0f}"
            return number if of is not None else f"{number} {unit}"
    return f"{count}" if of is not None else f"{count} bytes"


def span(seconds: float) -> str:
    """A duration as one thinks of it: 12 s, 3 min, 1.6 h."""
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def left(seconds: float) -> str:
    return f"~{span(max(seconds, 1))} left"


def clock(seconds: float) -> str:
    """Time since the beginning, in five characters: 0:24, 12:07, 1h02, 120h."""
    minutes = int(seconds) // 60
    hours = minutes // 60
    if not hours:
        return f"{minutes}:{int(seconds) % 60:02}"
    return f"{hours}h{minutes % 60:02}" if hours < 100 else f"{hours}h"


def share(part: float) -> str:
    """A share between 0 and 1 in percent; what there is is never rounded to nothing."""
    if 0 < part < 0.001:
        return "under 0.1%"
    return f"{part:.0%}" if part >= 0.0995 or not part else f"{part:.1%}"


def rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 9.95 else f"{per_second:.1f}"


def decimal(value: float, digits: int) -> str:
    """A loss or a score: so many digits after the point, or five in all where it is large."""
    return f"{value:.{digits}f}" if not abs(value) >= 1000 else f"{value:.5g}"


def interval(low: float, high: float) -> str:
    """Both ends, in as many digits as 14 characters hold, three after the point at most."""
    texts = (f"[{low:.{digits}f}, {high:.{digits}f}]" for digits in (3, 2, 1, 0))
    return next((text for text in texts if len(text) <= 14), f"[{low:.3g}, {high:.3g}]")


def blocks(done: float, width: int = 24) -> str:
    """A bar, `width` characters long at any share."""
    eighths = round(min(max(done, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + "▏▎▍▌▋▊▉"[eighths % 8 - 1] * (eighths % 8 > 0)).ljust(width)


class Curve:
    """The course of the loss over about the last half of a run, however long: means of ever more steps."""

    def __init__(self, width: int = 15) -> None:
        self._width = width
        self._means: list[float] = []
        self._steps = 1
        self._sum, self._count = 0.0, 0

    def add(self, value: float) -> None:
        self._sum, self._count = self._sum + value, self._count + 1
        if self._count == self._steps:
            self._means.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self._means) == 2 * self._width:
            pairs = zip(self._means[::2], self._means[1::2], strict=True)
            self._means = [(first + second) / 2 for first, second in pairs]
            self._steps *= 2

    def drawn(self) -> str:
        """A small bar for each mean, from the lowest to the highest; what is no number stands highest."""
        means = self._means[-self._width :]
        finite = [mean for mean in means if math.isfinite(mean)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
        heights = [6 * (mean - low) / (high - low or 1) if math.isfinite(mean) else 6 for mean in means]
        return "".join("▁▂▃▄▅▆▇"[round(height)] for height in heights).ljust(self._width)


def cells(text: str) -> int:
    """How many columns of a terminal a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def one_line(text: str) -> str:
    """What a file says, so that it can stand in a table."""
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")


def fit(text: str, width: int) -> str:
    """The text in exactly `width` columns: cut with a mark, or filled up."""
    if cells(text) > width:
        while cells(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cells(text))
