"""How many tokens are read at once: as asked for, within what the model takes."""

from hfcli.errors import UsageError


def fit(length: int, max_tokens: int, model: str) -> int:
    """The length.

    Raises:
        UsageError: The model takes less.
    """
    if length > max_tokens:
        raise UsageError(f"--max-length {length:,}: {model} takes {max_tokens:,} tokens", f"--max-length {max_tokens}")
    return length
