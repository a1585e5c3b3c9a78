"""Text generation: a prompt or a conversation in, text out."""

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hfcli.errors import DataError, ModelError, UsageError, did_you_mean
from hfcli.tasks import _text
from hfcli.tasks._nested import column_names, look_up
from hfcli.tasks.base import Feature, Field, Record, Setup, Task

if TYPE_CHECKING:
    from hfcli.options import PromptOptions

_ROLES = ("system", "user", "assistant", "tool", "developer", "model", "function", "ipython")
_SENTINEL = "\U000f0f0f{}\U000f0f0e"  # private-use characters around a number: no chat template touches them


class Prompt(NamedTuple):
    """What decode needs to know of a prompt.

    Attributes:
        cut_tokens: How many tokens were dropped from its end or its beginning.
        tail: Its last ids, where the text goes on from them without a break; () where a new text begins.
    """

    cut_tokens: int
    tail: tuple[int, ...]


class Answer(NamedTuple):
    """What a model gave for a prompt: new token ids, and the texts and tokens at which a text ends."""

    token_ids: Sequence[int]
    end_token_ids: frozenset[int]
    stop: tuple[str, ...]


class TextStream:
    """Turns tokens into text piece by piece: whole characters only, and nothing of a stop text.

    Concatenated pieces are what decoding all tokens at once gives. A window of the last tokens is decoded with each
    new one, because what a token reads as depends on those before it (leading spaces, bytes of one character).
    """

    def __init__(self, tokenizer: Any, tail: Sequence[int] = (), stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._ids = list(tail)
        self._start = 0
        self._read = len(self._ids)
        self._stop = stop
        self._held = ""

    def push(self, token_ids: Sequence[int]) -> str:
        """Text that has become certain through these tokens."""
        self._ids += token_ids
        before = self._decode(self._ids[self._start : self._read])
        now = self._decode(self._ids[self._start :])
        if now.endswith("\ufffd") or len(now) <= len(before):
            return ""  # in the middle of a character, or a token without text
        self._start, self._read = self._read, len(self._ids)
        return self._without_stop(now[len(before) :])

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def finish(self) -> str:
        """What was held back, now that no token follows."""
        before = self._decode(self._ids[self._start : self._read])
        text = self._without_stop(self._decode(self._ids[self._start :])[len(before) :])
        held, self._held = self._held, ""
        return text if self.stopped else text + held

    def _without_stop(self, text: str) -> str:
        text, self._held = self._held + text, ""
        found = [text.find(stop) for stop in self._stop if stop in text]
        if found:
            self.stopped = True
            return text[: min(found)]
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                self._held = text[-length:]
                return text[:-length]
        return text


def ask(record: Record, options: "PromptOptions") -> dict[str, Any]:
    """What a record asks of the model: `{"prompt": text}` or `{"messages": [...]}`.

    Raises:
        DataError: The record has no such column, or what stands there is no text.
    """
    if options.template is not None:
        return {"prompt": _prompt(fill(options.template, record), "the prompt made from --template")}
    column = options.prompt_column or ("messages" if "messages" in record and "prompt" not in record else "prompt")
    try:
        value = look_up(record, column)
    except KeyError:
        named = f"no column {column}" if options.prompt_column else "no column prompt or messages"
        there = ", ".join(column_names(record)) or "nothing"
        near = did_you_mean(column, column_names(record)) if options.prompt_column else None
        hint = near or "--prompt-column NAME, or --template '... {NAME} ...'"
        raise DataError(f"{named}; there is {there}", hint) from None
    if isinstance(value, list):
        return {"messages": [_message(message, column) for message in value] or _prompt("", f"column {column}")}
    return {"prompt": _prompt(value, f"column {column}")}


def check_template(template: str) -> None:
    """Refuse a template that names anything but plain columns.

    Raises:
        UsageError: A brace does not close, or a field is not a name.
    """
    try:
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise UsageError(f"--template: {error}", "{{ and }} stand for braces in the text") from None
    if not parts:
        raise UsageError("--template names no column", "--template 'Summarise: {text}'")
    for _, column, form, conversion in parts:
        if not re.fullmatch(r"[^\[\]{}]+", column or "") or form or conversion:
            raise UsageError(f"--template: {{{column}}} is not a column name", "{{ and }} stand for braces in the text")


def fill(template: str, record: Record) -> str:
    """The template with the record's columns in it; {a.b} is b of the object in the column a."""
    parts = []
    for text, field, _, _ in string.Formatter().parse(template):
        parts.append(text)
        if field is None:
            continue
        try:
            value = look_up(record, field)
        except KeyError:
            there = ", ".join(column_names(record)) or "nothing"
            near = did_you_mean(field, column_names(record))
            raise DataError(f"no column {field}, which --template names; there is {there}", near) from None
        parts.append(value if isinstance(value, str) else str(value))
    return "".join(parts)


def _prompt(value: Any, where: str) -> str:
    text = _text.check(value, where)
    if not text:
        raise DataError(f"{where} is empty", "a prompt has at least one character")
    return text


def _message(message: Any, column: str) -> dict[str, Any]:
    if not isinstance(message, Mapping) or "role" not in message or "content" not in message:
        raise DataError(f'column {column} is not a conversation; each message is {{"role": ..., "content": ...}}')
    if message["role"] not in _ROLES:
        raise DataError(f"column {column} has a message of role {message['role']!r}; there is {', '.join(_ROLES)}")
    if message.get("tool_calls") and not message["content"]:
        return dict(message)  # a call instead of words
    return {**message, "content": _prompt(message["content"], f"a message in column {column}")}


def encode(records: Sequence[Record], setup: Setup) -> Iterator[list[Feature]]:
    """One feature a record, `input_ids` of shape `(seq,)`.

    The chat template is applied when the tokenizer has one. What a user writes stays text: special tokens in a prompt
    are split unless `--no-split-special-tokens` says otherwise.

    Args:
        records: As `ask` returns them.
        setup: Its options are PromptOptions.

    Raises:
        UsageError: A conversation or a system message, and no chat template to put it into.
        DataError: The chat template refuses the conversation.
    """
    options: PromptOptions = setup.options
    tokenizer = setup.tokenizer
    chat = options.chat_template and bool(tokenizer.chat_template)
    if chat:
        conversations = [_conversation(record, options) for record in records]
        rendered = [_render(tokenizer, messages, options.split_special_tokens) for messages in conversations]
        encoded = [_encode_rendered(tokenizer, text, hidden) for text, hidden in rendered]
    else:
        if options.system or any("messages" in record for record in records):
            what = "--system needs" if options.system else "messages need"
            raise UsageError(
                f"{what} a chat template, and this model has none in use", "a chat model, or plain prompts"
            )
        texts = [record["prompt"] for record in records]
        encoded = tokenizer(texts, split_special_tokens=options.split_special_tokens)["input_ids"]
        bos = tokenizer.bos_token_id  # a prompt that was written with its <s> gets no second one
        encoded = [ids[1:] if bos is not None and ids[:2] == [bos, bos] else ids for ids in encoded]
    for ids in encoded:
        if not ids:
            raise DataError("the prompt has no tokens")
        new_text = chat or setup.config.is_encoder_decoder
        yield [Feature({"input_ids": np.asarray(ids, dtype=np.int32)}, {}, Prompt(0, _tail(ids, new_text)))]


def _tail(ids: Sequence[int], new_text: bool) -> tuple[int, ...]:
    """Enough of the prompt's end to decode what follows; more than a character's bytes, less than it costs."""
    return () if new_text else tuple(ids[-8:])


def _conversation(record: Record, options: "PromptOptions") -> list[dict[str, Any]]:
    messages = list(record.get("messages") or [{"role": "user", "content": record["prompt"]}])
    if options.system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": options.system})
    return messages


def _render(tokenizer: Any, messages: list[dict[str, Any]], split: bool) -> tuple[str, list[str]]:
    """The conversation as one text, with special tokens that the user wrote replaced by numbered sentinels."""
    hidden: list[str] = []

    def hide(found: re.Match[str]) -> str:
        hidden.append(found[0])
        return _SENTINEL.format(len(hidden) - 1)

    # Only special ones: templates look for others, such as </think>, in what was said before.
    flagged = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    special = sorted((flagged | set(tokenizer.all_special_tokens)) - {""}, key=len, reverse=True)
    if split:
        pattern = re.compile("|".join([*map(re.escape, special), f"[{_SENTINEL.format('')}]"]))
        messages = [{**message, "content": pattern.sub(hide, message["content"] or "")} for message in messages]
    try:
        return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False), hidden
    except Exception as error:  # templates are programs: jinja's errors, and whatever they raise themselves
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"the model's chat template refuses this conversation: {reason}", "--no-chat-template"
        ) from error


def _encode_rendered(tokenizer: Any, text: str, hidden: list[str]) -> list[int]:
    if not hidden:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    ids: list[int] = []
    pattern = _SENTINEL.format(r"(\d+)")
    for i, part in enumerate(re.split(pattern, text)):  # text, number, text, number, ...
        split = i % 2 == 1
        piece = hidden[int(part)] if split else part
        ids += tokenizer(piece, add_special_tokens=False, split_special_tokens=split)["input_ids"] if piece else []
    return ids


def fit(feature: Feature, setup: Setup, max_new_tokens: int, vocabulary: int) -> Feature:
    """The feature within the model's length; cut only where `--on-long` says so.

    Raises:
        DataError: The prompt is too long.
        ModelError: The tokenizer gave ids the model has no embedding for.
    """
    ids = feature.inputs["input_ids"]
    if int(ids.max()) >= vocabulary:
        raise ModelError(
            f"the tokenizer gives token id {int(ids.max()):,}, the model has {vocabulary:,}; they do not match",
            "copy or fetch model and tokenizer again, both from the same place",
        )
    encoder_decoder = setup.config.is_encoder_decoder
    room = setup.max_tokens if encoder_decoder else setup.max_tokens - 1
    if len(ids) <= room:
        return feature
    if setup.options.on_long == "error":
        raise DataError(
            f"the prompt is {len(ids):,} tokens, the model takes {setup.max_tokens:,} with the answer"
            if not encoder_decoder
            else f"the prompt is {len(ids):,} tokens, the model takes {setup.max_tokens:,}",
            "--on-long truncate drops its end" if encoder_decoder else "--on-long truncate-left drops its beginning",
        )
    if setup.options.on_long == "truncate":
        last = int(ids[-1]) in set(setup.tokenizer.all_special_ids)
        kept = np.concatenate([ids[: room - 1], ids[-1:]]) if last else ids[:room]
        return Feature({"input_ids": kept}, {}, feature.notes._replace(cut_tokens=len(ids) - len(kept)))
    keep = room if encoder_decoder else max(setup.max_tokens - max_new_tokens, setup.max_tokens // 2)
    first = int(ids[0]) in set(setup.tokenizer.all_special_ids)
    kept = np.concatenate([ids[:1], ids[len(ids) - keep + 1 :]]) if first else ids[len(ids) - keep :]
    notes = feature.notes._replace(cut_tokens=len(ids) - len(kept))
    return Feature({"input_ids": kept}, {}, notes)


def decode(record: Record, features: list[Feature], outputs: Answer, setup: Setup) -> dict[str, Any]:
    """`generated_text`, `new_tokens` (the end token counts) and `finish_reason`: `stop` or `length`."""
    stream = TextStream(setup.tokenizer, features[0].notes.tail, outputs.stop)
    text, used = [], 0
    ended = False
    body: list[int] = []
    for token in outputs.token_ids:
        used += 1
        if token in outputs.end_token_ids:
            ended = True
            break
        if not outputs.stop:
            body.append(token)
            continue
        text.append(stream.push([token]))  # one by one, so that a stop text is found where streaming finds it
        if stream.stopped:
            break
    if body:
        text.append(stream.push(body))
    if not stream.stopped:
        text.append(stream.finish())
    reason = "stop" if ended or stream.stopped else "length"
    return {"generated_text": "".join(text), "new_tokens": used, "finish_reason": reason}


TASK = Task(
    name="text-generation",
    auto_model="AutoModelForCausalLM",
    fields=(Field("prompt", required=False), Field("messages", required=False)),
    encode=encode,
    decode=decode,
    kind="tokens",
    example={"prompt": "Once upon a time"},
)
