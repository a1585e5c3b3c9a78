"""A run of a recipe: its steps one after the other, what they reach, and what is left for another time."""

import os
import signal
import sys
import time
from collections.abc import Sequence

import typer

from hfcli.cli import _lock, _process, _reached, _written
from hfcli.cli._format import one_line
from hfcli.cli._lock import Entry, Lock
from hfcli.cli._steps import Checked
from hfcli.cli.console import Console
from hfcli.errors import Exit, Terminated, UsageError
from hfcli.options.recipes import StepsOptions
from hfcli.recipes import Recipe

_MEASURES = ("eval",)  # what they write is about what was made before


class Running:
    """One run.

    Args:
        console: Prints.
        recipe: What is run.
        checked: All its steps.
        chosen: Those that are run, with the revisions that they take.
        lock: What was run before.
        options: How.
        line: What was typed, for hints.
    """

    def __init__(
        self,
        console: Console,
        recipe: Recipe,
        checked: Sequence[Checked],
        chosen: Sequence[Checked],
        lock: Lock,
        options: StepsOptions,
        line: str,
    ) -> None:
        self.console, self.recipe, self.chosen, self.lock = console, recipe, chosen, lock
        self.options, self.line, self.steps = options, line, len(checked)
        self.all_written = [each.path for step in checked for each in _written.written(step)]
        self.whole = len(chosen) == self.steps
        self.width = max(10, *(len(step.step.label) for step in checked))
        self.scores: list[_reached.Score] = []
        self.judged: dict[str, float | None] = {}  # by metric, what the last step that measured it should reach
        self.worse: list[str] = []
        self.out = ""  # what the last step that measures has written to standard output

    def go(self) -> None:
        """Run the steps.

        Raises:
            typer.Exit: A step has failed, with its exit code; or a score is worse than expected, with --fail-under.
            KeyboardInterrupt: Ctrl-C came.
            Terminated: SIGTERM came.
        """
        for step in self.chosen:
            self._not_over(step)
        self.console.line(self._head())
        try:
            for step in self.chosen:
                self._step(step)
        except (KeyboardInterrupt, Terminated):
            self._goes_on()
            raise
        wanted = {} if self.chosen[-1].number < self.steps else self._wanted()
        for verdict in _reached.verdicts(wanted, self.scores):
            if self.whole or verdict.word != "missing":
                self._verdict(verdict)
        self._answer()
        if self.worse and self.options.fail_under:
            for text in self.worse:
                self.console.fail(text)
            raise typer.Exit(Exit.BELOW_THRESHOLD)

    def _wanted(self) -> dict[str, float]:
        """What the recipe expects in the end, but for what a step has been judged by already."""
        return {name: value for name, value in self.recipe.scores.items() if self.judged.get(name) != value}

    def _head(self) -> str:
        recipe = self.recipe
        parts = [recipe.name, f"{self.steps} step{'s' * (self.steps != 1)}"]
        parts += [f"expects {_reached.expected(recipe.scores)}"] if recipe.scores else []
        return " · ".join([*parts, *filter(None, [recipe.expects.get("takes")])])

    def _begins(self, step: Checked) -> str:
        return f"{step.number}/{self.steps} {step.step.label:<{self.width}} "

    def _indented(self, text: str) -> None:
        digits = len(f"{self.steps}/{self.steps} ")
        self.console.line(" " * (digits + self.width + 1) + text)

    def _verdict(self, verdict: _reached.Verdict) -> None:
        self.console.line(f"{verdict.word:<14} {verdict.text}")
        if verdict.worse:
            self.worse.append(verdict.text)

    # one step

    def _step(self, step: Checked) -> None:
        _written.refuse_outputs(step)  # an earlier one, or somebody else, may have made links meanwhile
        key = f"{step.number} {step.step.label}"
        now = Entry(_lock.identity(step), _lock.inputs(step, self.all_written), {})
        before = self.lock.before(key, now.identity)
        if before is not None and not self.options.force and self._unchanged(step, now, before):
            self.console.line(f"{self._begins(step)}unchanged, skipped (--force runs it)")
            return self._done(step, before, None)
        self._not_over(step)
        self.console.line(f"{self._begins(step)}{one_line(step.step.about or '')}".rstrip())
        launched = self._launched(step, now, before)
        now.outputs = {each.path: None for each in _written.written(step)}
        self.lock.put(key, now)
        self.lock.save()
        began = time.monotonic()
        ended = _process.run(launched.argv, step.step.stdin, self._keeps(step), self._out(step))
        now.seconds = round(time.monotonic() - began, 1)
        now.scores = self._measured(step, ended)
        now.out = ended.out if step.step.command in _MEASURES else ""
        if ended.code == Exit.OK:
            now.outputs = _lock.outputs(step, self.all_written)
            now.finished = True
            self.lock.save()
        if ended.code == Exit.OK or now.scores:
            self._done(step, now, now.seconds)
        self._stop(step, ended)

    def _unchanged(self, step: Checked, now: Entry, before: Entry) -> bool:
        """Whether a step has been run already, and nothing that it depends on, or has made, is another thing now."""
        same = before.finished and (before.identity, before.inputs) == (now.identity, now.inputs)
        whole = before.outputs == _lock.outputs(step, self.all_written) and None not in before.outputs.values()
        return same and whole and bool(before.outputs or before.scores)

    def _launched(self, step: Checked, now: Entry, before: Entry | None) -> Checked:
        """The step with what else it needs to know: whether it goes on with what is there, or replaces it."""
        step = step.adding(**{flag: True for flag in ("quiet", "offline") if getattr(self.options, flag)})
        cut = before is not None and not before.finished and not self.options.force
        goes_on = cut and before is not None and (before.identity, before.inputs) == (now.identity, now.inputs)
        for each in _written.written(step):
            os.makedirs(os.path.dirname(os.path.abspath(each.path)), exist_ok=True)
            begun = each.folder and _there(each.path) and step.step.command == "finetune"
            left = os.path.exists(f"{each.path}.partial") and (step.step.command, each.flag) != ("eval", "output")
            if (begun or left) and self.lock.owns(each.path):
                step = step.adding(**{"resume" if goes_on else "overwrite": True})
        return step

    def _not_over(self, step: Checked) -> None:
        """Refuse to write over what this recipe has not made."""
        for each in _written.written(step):
            if _there(each.path) and not self.lock.owns(each.path):
                raise UsageError(
                    f"{step.where}: {each.path} is there already, and this recipe has not made it",
                    self._elsewhere(each.path),
                )

    def _elsewhere(self, path: str) -> str:
        """How to have something written to another place."""
        variables = self.recipe.variables.items()
        name = next((name for name, value in variables if value and path.startswith(value)), None)
        return "move it away" if name is None else f"move it away, or {self.line} --set {name}=ELSEWHERE"

    def _keeps(self, step: Checked) -> bool:
        """Whether its standard output is for the run itself: scores, or the name of a folder."""
        if step.step.command == "eval":
            return not step.values["list_metrics"]
        return step.step.command == "finetune" and bool(_written.written(step))

    def _out(self, step: Checked) -> int | None:
        """Where its standard output goes: only that of the last step is the run's."""
        return None if step is self.chosen[-1] else sys.stderr.fileno()

    def _measured(self, step: Checked, ended: _process.Ended) -> list[_reached.Score]:
        if step.step.command == "eval":
            return _reached.printed(ended.out)
        if step.step.command == "finetune" and ended.code == Exit.OK:
            wanted = {**self.recipe.scores, **step.step.expects}
            return [score for each in _written.written(step) for score in _reached.learnt(each.path, wanted)]
        return []

    def _done(self, step: Checked, entry: Entry, seconds: float | None) -> None:
        """Show what it has reached."""
        took = "" if seconds is None else f"   {_took(seconds)}"
        made = [each.path for each in _written.written(step)]
        shown = [_reached.line(score) for score in entry.scores]
        if not shown and seconds is not None:
            shown = [f"made {', '.join(made)}"] if made else ["done"]
        for at, text in enumerate(shown):
            self._indented(text + took * (at == 0))
        self.scores += entry.scores
        self.judged |= {score["metric"]: step.step.expects.get(score["metric"]) for score in entry.scores}
        self.out = entry.out
        for verdict in _reached.verdicts(step.step.expects, entry.scores, step.step.label):
            self._verdict(verdict)

    def _stop(self, step: Checked, ended: _process.Ended) -> None:
        """End the run where the step has failed, or where it was to end."""
        interrupted = {Exit.INTERRUPTED: signal.SIGINT, Exit.TERMINATED: signal.SIGTERM}
        number = ended.signal or interrupted.get(Exit(ended.code) if ended.code in set(Exit) else Exit.OK)
        if number is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            if number == signal.SIGTERM:
                raise Terminated
            self._goes_on()
            raise typer.Exit(128 + number)
        if ended.code != Exit.OK:
            killed = f"was killed (signal {ended.code - 128})" if ended.code > 128 else f"failed (exit {ended.code})"
            self.console.fail(f"step {step.number} of {self.steps}, {step.step.label}, {killed}")
            if self.options.offline and ended.code == Exit.MODEL:
                self.console.hint(f"where there is internet: {self.line} --prefetch")
            else:
                self._goes_on()
            raise typer.Exit(ended.code)

    def _goes_on(self) -> None:
        self.console.hint(f"{self.line}     goes on there; finished steps are skipped")

    # the end

    def _answer(self) -> None:
        """What standard output gets: what the recipe has made."""
        last = self.chosen[-1]
        if not self._keeps(last) and not _written.written(last):
            return  # it has written that itself
        makes = [step for step in self.chosen if step.step.command not in _MEASURES and _written.written(step)]
        made = _written.written(makes[-1] if makes else last)
        if made:
            self.console.data(f"{made[0].path}\n")
        elif not self.console.terminal:  # there the scores were shown
            self.console.data(self.out)


def _there(path: str) -> bool:
    """Whether there is a file, or a folder with something in it."""
    return bool(os.listdir(path)) if os.path.isdir(path) else os.path.lexists(path)


def _took(seconds: float) -> str:
    """A duration, to the second: 0.4 s, 6 s, 8 min 41 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
