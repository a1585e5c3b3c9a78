"""How the results of `hfcli generate` look, and what is said about them afterwards."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hfcli.cli.console import Console

if TYPE_CHECKING:
    from hfcli.runtime.chunking import Finished
    from hfcli.runtime.decoding import Decoding
    from hfcli.runtime.prediction import Generator

_OWN_COLUMNS = ("generated_text", "new_tokens", "finish_reason", "sequences", "decoding", "error")


def own(console: Console, record: Mapping[str, Any] | None, ours: Collection[str]) -> dict[str, Any]:
    """A record's own columns; those with a name of ours give way, which is said once."""
    columns = dict(record or {})
    moved = {name: f"input_{name}" for name in columns if name in ours}
    for name in moved:
        while moved[name] in columns:
            moved[name] = f"input_{moved[name]}"
    if moved:
        console.note(f"the input's own {', '.join(moved)} moved to {', '.join(moved.values())}")
    return {moved.get(name, name): value for name, value in columns.items()}


class Results:
    """Turns finished records into lines, and counts what the summary tells.

    Args:
        console: Says what there is to say.
        json: Lines of JSON instead of texts; may be set until the first line is made.
        print0: Raw texts, which a NUL byte will end.
        on_long: What --on-long says.

    Attributes:
        raw: Texts keep their line breaks; there is one text only.
        failed: Records that got an error in their place.
    """

    def __init__(self, console: Console, json: bool, print0: bool, on_long: str) -> None:
        self.console, self.json, self.print0, self.on_long = console, json, print0, on_long
        self.raw = False
        self.tokens = 0
        self.cut_answers = 0
        self.cut_prompts = 0
        self.failed = 0

    def count(self, one: "Finished | None") -> None:
        """Count one in; None failed in an earlier run."""
        self.failed += one is None or one.error is not None
        if one is None:
            return
        self.cut_prompts += one.over_tokens > 0
        self.cut_answers += sum(answer["finish_reason"] == "length" for answer in one.answers)
        self.tokens += sum(answer["new_tokens"] for answer in one.answers)

    def lines(self, one: "Finished", decoding: "Decoding") -> Iterator[str]:
        """What stands for one record in the output, without the ends of the lines."""
        from hfcli.records import dumps

        if one.error is not None:
            yield dumps({**own(self.console, one.record, _OWN_COLUMNS), "error": one.error.message})
        elif self.json:
            answers = one.answers[0] if len(one.answers) == 1 else {"sequences": one.answers}
            yield dumps({**own(self.console, one.record, _OWN_COLUMNS), **answers, "decoding": decoding.settings()})
        else:
            for answer in one.answers:
                text = answer["generated_text"]
                if self.print0:
                    yield text.replace("\0", "\ufffd")  # a NUL of the model's would look like the end of its text
                else:
                    yield text if self.raw else text.replace("\r", "\\r").replace("\n", "\\n")

    def announce(self, finished: "Finished", decoding: "Decoding", asked_tokens: int) -> None:
        """Say what happened to the one text: what was cut from its prompt, and whether it was cut itself."""
        if finished.over_tokens:
            which = "last" if self.on_long == "truncate" else "first"
            self.console.note(
                f"the {which} {finished.over_tokens:,} tokens of the prompt were dropped (--on-long {self.on_long})"
            )
        cut = [answer for answer in finished.answers if answer["finish_reason"] == "length"]
        if cut:
            most = max(answer["new_tokens"] for answer in cut)
            full = most < decoding.max_new_tokens or most < asked_tokens
            rest = "the model's length is used up" if full else "--max-new-tokens raises it"
            self.console.note(f"cut at {most:,} new tokens; {rest}")

    def summary(self, count: int, seconds: float, decoding: "Decoding") -> None:
        """The line at the end of many records."""
        parts = [
            f"{count:,} record{'s' * (count != 1)} in {seconds:.1f} s",
            f"{self.tokens / max(seconds, 1e-9):,.0f} tokens/s",
        ]
        if self.cut_answers:
            parts.append(f"{self.cut_answers:,} cut at {decoding.max_new_tokens:,} new tokens (--max-new-tokens)")
        if self.cut_prompts:
            lost = "end" if self.on_long == "truncate" else "beginning"
            parts.append(f"{self.cut_prompts:,} prompts lost their {lost} (--on-long {self.on_long})")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        self.console.line(" · ".join(parts))

    def verbose(self, generator: "Generator", seconds: float, why: str) -> None:
        """Which model, settings and device it was; `why` says where the model's name came from."""
        loaded, decoding = generator.loaded, generator.decoding
        used = decoding.settings()
        mode = (
            "sampled"
            if used.pop("do_sample")
            else f"{decoding.num_beams} beams"
            if decoding.num_beams > 1
            else "greedy"
        )
        limit = used.pop("max_new_tokens")
        shown = "".join(f", {name} {value}" for name, value in used.items())
        adapter = f" + {loaded.adapter}" if loaded.adapter else ""
        line, placement = self.console.line, loaded.placement
        line(f"model   {loaded.location}{adapter}  ({why})")
        line(f"decode  {mode} ({decoding.source}){shown}, {self.tokens:,} new tokens, at most {limit:,} a text")
        rate = f"{self.tokens / max(seconds, 1e-9):,.0f} tokens/s"
        line(
            f"device  {placement.device}, {placement.dtype_name} ({placement.reason}) · "
            f"loaded in {loaded.load_seconds:.1f} s · {rate}"
        )
