"""How many tokens are read at once, and how many of them twice."""

from hfcli.errors import UsageError


def fit(length: int, max_tokens: int, model: str) -> int:
    """The length.

    Raises:
        UsageError: The model takes less.
    """
    if length > max_tokens:
        raise UsageError(f"--max-length {length:,}: {model} takes {max_tokens:,} tokens", f"--max-length {max_tokens}")
    return length


def check_stride(stride: int, length: int, on_long: str | None) -> None:
    """Refuse windows that overlap by as much as they hold.

    Raises:
        UsageError: They do.
    """
    if stride >= length and on_long == "window":
        raise UsageError(
            f"--doc-stride {stride} is how much windows of --max-length {length} overlap; it must be smaller",
            f"--doc-stride {length // 4}",
        )


def overlap(asked: int | None, stored: int | None, length: int) -> int:
    """How many tokens the windows of a long text share: as asked for, else as stored, else a third, 128 at most.

    Raises:
        UsageError: As many as they hold.
    """
    if asked is None:
        asked = stored if stored is not None and stored < length / 2 else min(128, length // 3)
    check_stride(asked, length, "window")
    return asked
