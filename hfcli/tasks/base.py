"""The contract between tasks and verbs: a task is a row of data, the verbs of `hfcli.runtime` do the rest.

    records --encode--> features --model--> outputs --decode--> predictions
                                              \\--reference--> what the metrics compare them with

Nothing here or in a task imports torch: encode and decode are numpy and a tokenizer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Record = Mapping[str, Any]
"""What one line of input says: column names to values."""


class Feature(NamedTuple):
    """One encoded window of one record; a long record may have several.

    Attributes:
        inputs: Model inputs by name, each int32 of shape `(seq,)`.
        labels: Targets by name, {} without one. Shape and dtype decide how they are stacked and which loss applies.
        notes: What decode needs to find its way back to the record, such as character offsets. Never cached.
    """

    inputs: "dict[str, np.ndarray]"
    labels: "dict[str, np.ndarray]"
    notes: Any = None


@dataclass(frozen=True)
class Settings:
    """How a task reads its records: chosen when a model is finetuned, stored with it, the default ever after.

    Attributes:
        task: Name of the task.
        columns: The column of each field, by the field's name; None for a field that is not used.
        problem_type: As in `config.problem_type`; None where it means nothing.
        max_length: Most tokens of one window, special tokens included.
        on_long: What happens to a text of more tokens.
        doc_stride: Tokens that neighbouring windows share.
        threshold: Probability from which a label of several is given.
        max_answer_length: Most tokens of an answer that is found in a text.
        null_threshold: Probability above which a question has no answer; None where every question gets one.
        null_scale: That probability is sigmoid(null_scale * difference + null_shift), the difference being the score
            of no answer minus that of the best span.
        null_shift: See `null_scale`.
    """

    task: str
    columns: Mapping[str, str | None]
    problem_type: str | None = None
    max_length: int = 512
    on_long: Literal["truncate", "window", "error"] = "truncate"
    doc_stride: int = 128
    threshold: float = 0.5
    max_answer_length: int = 30
    null_threshold: float | None = None
    null_scale: float = 1.0
    null_shift: float = 0.0


class Setup(NamedTuple):
    """Everything encode and decode may look at.

    Attributes:
        tokenizer: The model's tokenizer. Its own truncation and padding are never used (both are shared state).
        config: The model's config.
        options: The option group of the command, or the Settings of a model that was finetuned.
        labels: Label names in the order of the model's outputs, () where the task has none.
        max_tokens: The longest input the model takes, in tokens.
    """

    tokenizer: Any
    config: Any
    options: Any
    labels: tuple[str, ...]
    max_tokens: int


class Field(NamedTuple):
    """A column a task reads.

    Attributes:
        name: Its name.
        aliases: Other names it goes by.
        required: Whether a record must have it.
        by_content: Whether it may be found by what columns hold, where no name says it.
    """

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = True
    by_content: bool = True


@dataclass(frozen=True)
class Task:
    """A task: what to load, how records become inputs, how outputs become answers, what judges them.

    Attributes:
        name: The Hub's name of the task; the file's name with dashes.
        auto_model: Name of the Auto class, a string so that tasks need no torch.
        fields: The columns it reads.
        encode: A batch of records to the features of each, lazily; a batch so that the tokenizer can run in parallel.
        decode: One record, its features and their outputs to the prediction the user sees.
        kind: What the model is asked for: logits, generated tokens, likelihoods or hidden states.
        example: A record that works, for tests, doctor and the README.
        target: The column it learns from, None where there is none.
        outputs: Names of the model outputs decode needs; nothing else is brought back from the device.
        prepare: Targets and options to overrides of the model's config, such as `num_labels`.
        reference: A record to what the metrics compare its prediction with.
        corrupt: A feature, the setup and a random generator to a masked or noised feature, redrawn every epoch.
        generation: A record and the setup to arguments of `generate`, such as `forced_bos_token_id`.
        metrics: Names of its metrics; the first one picks the best checkpoint.
        defaults: Training defaults that differ from finetune's own.
    """

    name: str
    auto_model: str
    fields: tuple[Field, ...]
    encode: Callable[[Sequence[Record], Setup], Iterator[list[Feature]]]
    decode: Callable[[Record, list[Feature], Any, Setup], Any]
    kind: Literal["logits", "tokens", "nll", "hidden"]
    example: Record
    target: Field | None = None
    outputs: tuple[str, ...] = ()
    prepare: Callable[[Sequence[Any], Any], dict[str, Any]] | None = None
    reference: Callable[[Record], Any] | None = None
    corrupt: Callable[[Feature, Setup, Any], Feature] | None = None
    generation: Callable[[Record, Setup], dict[str, Any]] | None = None
    metrics: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
