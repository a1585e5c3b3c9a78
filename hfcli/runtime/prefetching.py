"""What a job needs from the Hub, brought to this machine before the job begins."""

from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.options.reading import DataOptions
from hfcli.runtime import counting, data, environment, hub
from hfcli.runtime.texts import USUAL


def model(options: ModelOptions, tell: Tell) -> str | None:
    """A model with its tokenizer, and its adapter; what a load reads, and nothing else.

    Args:
        options: Which.
        tell: Gets Downloading, and a Note where the full name is another one.

    Returns:
        The model's commit, None for what is not from the Hub.

    Raises:
        ModelError: It is nowhere, or cannot be fetched.
    """
    if options.adapter is not None:
        hub.locate(options.adapter, options, tell, "adapter")
    return hub.locate(str(options.model), options, tell).commit


def tokenizer(name: str | None, tell: Tell) -> None:
    """What `hfcli data check` counts with; None is the usual one.

    Raises:
        ModelError: It is nowhere, or cannot be fetched.
    """
    counting.find(name, False, tell)


def datasets(options: DataOptions, tell: Tell) -> dict[str, str]:
    """The files of a data set, and of the other one to measure on; without a name, the usual text for perplexity.

    Returns:
        By name as it was given: the commit.

    Raises:
        DataError: It is not there, or cannot be read.
        ModelError: The Hub, or the way to it.
    """
    environment.silence()
    return data.fetch(options if options.dataset is not None else USUAL, tell)
