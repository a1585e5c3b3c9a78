"""What an estimate of memory and time looks like, for people and for programs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hfcli.cli._format import rate, share, size, span

if TYPE_CHECKING:
    from hfcli.runtime.estimating import Estimating
    from hfcli.runtime.fitting import Way
    from hfcli.runtime.trial import Measured

_WIDTH = 80


class Estimated:
    """What was found.

    Args:
        found: What was estimated.
        records: How many there are to learn from, None where that is unknown.
        measured: What a step took, None without one.
        fits: The verdict.
    """

    def __init__(self, found: "Estimating", records: int | None, measured: "Measured | None", fits: bool) -> None:
        self.found, self.records, self.measured, self.fits = found, records, measured, fits
        self.plan = found.plan
        self.ways: list[Way] = []
        if not fits:
            from hfcli.runtime import fitting

            self.ways = fitting.ways(found)
        world, device = found.asked.world, found.device
        several = f"for each of {world} processes on cpu" if device == "cpu" else f"on each of {world} such as {device}"
        self._where = f"free on {device}" if world == 1 else f"free {several}"

    # for people

    def lines(self) -> list[str]:
        """Verdict first, evidence under it."""
        verdict = self._fitting() if self.fits else self._not_fitting()
        return [*verdict, "", *self._table(), "", *self._facts()]

    def _fitting(self) -> Iterator[str]:
        plan, free = self.plan, self.found.free
        if plan is None:
            yield f"fits   {_of(self.found.use.total, free)} {self._where} to use it"
            return
        taken = self.measured.bytes if self.measured else plan.estimate.total
        how = f"(measured on one step; estimated {_amount(plan.estimate.total, taken)})" if self.measured else ""
        said = f"{_of(taken, free)} {self._where}"
        if plan.pieces == 1:
            yield from _broken(f"fits   {said}", how)
            return
        yield f"fits   split into {plan.pieces} x {plan.rows} records (finetune does this itself, same result):"
        yield from _broken(f"       {said}; in one piece it would be {_amount(plan.whole.total)}", how)

    def _not_fitting(self) -> Iterator[str]:
        plan, free, helpful = self.plan, _amount(self.found.free), [way for way in self.ways if way.fits]
        if plan is None:
            taken = f"{_amount(self.found.use.total)} to use it"
        elif self.found.fits:
            taken = f"a step ran out of memory, though {_amount(plan.estimate.total)} were estimated"
        else:
            taken = f"{_amount(plan.estimate.total)} " + ("even for one record" if plan.rows == 1 else "at once")
        yield from _broken(f"does not fit   {taken}, {free} {self._where}.", "These do:" if helpful else "")
        for way in helpful:
            yield f"  {way.flags:<34}{_amount(way.bytes):>8}{' on each' * ('--num-processes' in way.flags)}"
        yield from self._useless()

    def _useless(self) -> Iterator[str]:
        """What is not enough, so that nobody tries it."""
        flags = [way.flags for way in self.ways if not way.fits]
        if self.plan:
            one = self.plan.estimate
            flags += ["a smaller --batch-size"] if self.plan.rows == 1 else []
            kept = one.total - one.activations
            alone = f"weights alone: {_amount(one.weights)}" if one.weights > self.found.free else ""
            alone = alone or (f"without activations {_amount(kept)}" if kept > self.found.free else "")
        else:
            weights = self.found.use.weights
            alone = f"weights alone: {_amount(weights)}" if weights > self.found.free else ""
        if flags:
            yield from _broken(f"  not: {', '.join(flags)}", f"({alone})" if alone else "")
        elif alone:
            yield f"  {alone}"

    def _table(self) -> Iterator[str]:
        found, plan, use = self.found, self.plan, self.found.use
        train, predict = found.placement.dtype_name, found.used_in.dtype_name
        largest = max(plan.estimate.total if plan else 0, use.total)
        one = plan.estimate if plan else None
        adam = "AdamW" if plan and plan.learning == plan.parameters else "AdamW, of what learns"
        computed = "" if train == "float32" else f", computed in {train}"
        tokens = f"{plan.rows if plan else found.batch} x {found.length:,} tokens{computed if plan else ''}"
        rows: list[tuple[str, int | None, int | None, str]] = [
            ("weights", one and one.weights, use.weights, f"float32 / {predict}" if plan else predict),
            ("gradients", one and one.gradients, None, ""),
            ("optimizer", one and one.optimizer, None, adam),
            ("activations", one and one.activations, use.activations, tokens),
            *([("KV cache", None, use.cache, tokens)] if use.cache else []),
            ("total", one and one.total, use.total, ""),
        ]
        yield f"{'':<14}" + (f"{'train':>10}" if plan else "") + f"{'predict':>11}"
        for label, learning, using, about in rows:
            if plan or using is not None:
                cells = f"{_cell(learning, largest):>10}" if plan else ""
                yield f"{label:<14}{cells}{_cell(using, largest):>11}     {about}".rstrip()

    def _facts(self) -> Iterator[str]:
        plan, task = self.plan, self.found.task.name
        if plan is None:
            yield f"model  {_count(self._parameters())} parameters · {task}, which finetune does not learn"
            return
        part = (
            "all of them" if plan.learning == plan.parameters else f"{share(plan.learning / plan.parameters)} of them"
        )
        yield f"model  {_count(plan.parameters)} parameters · {task} learns {part}"
        a_second, seconds = self._rate(), self._seconds()
        if a_second is not None:
            said = f"time   {rate(a_second)} records/s at {self.found.length:,} tokens"
            yield said + (f": {self._work()} in about {span(seconds)}" if seconds is not None else "")

    # for programs

    def json(self) -> dict[str, Any]:
        """The same; sizes in bytes, times in seconds."""
        found, plan, measured, use = self.found, self.plan, self.measured, self.found.use
        train = None
        if plan:
            train = {**plan.estimate._asdict(), "total": plan.estimate.total, "in_one_piece": plan.whole.total}
        return {
            "fits": self.fits,
            "model": str(found.location),
            "task": found.task.name,
            "device": found.device,
            "num_processes": found.asked.world,
            "free": found.free,
            "train_dtype": found.placement.dtype_name if plan else None,
            "predict_dtype": found.used_in.dtype_name,
            "parameters": self._parameters(),
            "learning": plan.learning if plan else 0,
            "batch_size": found.batch,
            "max_length": found.length,
            "split": {"pieces": plan.pieces, "records": plan.rows} if plan else None,
            "train": train,
            "predict": {**use._asdict(), "total": use.total},
            "measured": measured._asdict() if measured else None,
            "records_per_second": self._rate(),
            "seconds": self._seconds(),
            "ways": [way._asdict() for way in self.ways],
        }

    # numbers

    def _parameters(self) -> int:
        use = self.found.use
        return self.plan.parameters if self.plan else use.weights // self.found.used_in.dtype.itemsize

    def _rate(self) -> float | None:
        """Records a second, of all devices; processes on one CPU share it."""
        if self.measured is None:
            return None
        world = self.found.asked.world
        at_once = -(-self.found.batch // world) if self.found.device == "cpu" else self.found.batch
        return at_once / max(self.measured.seconds, 1e-9)

    def _epochs(self) -> float:
        return self.found.asked.training.num_train_epochs or float(self.found.task.defaults["num_train_epochs"])

    def _seconds(self) -> float | None:
        """Of the whole run."""
        a_second, steps = self._rate(), self.found.asked.training.max_steps
        if a_second is None or (steps is None and self.records is None):
            return None
        return (steps * self.found.batch if steps else (self.records or 0) * self._epochs()) / a_second

    def _work(self) -> str:
        steps, epochs = self.found.asked.training.max_steps, self._epochs()
        if steps:
            return f"{steps:,} step{'s' * (steps != 1)}"
        return f"{self.records:,} records x {epochs:g} epoch{'s' * (epochs != 1)}"


def _broken(line: str, more: str) -> Iterator[str]:
    """A line with something behind it, or under it where it would be too long."""
    if more and len(line) + len(more) + 1 > _WIDTH:
        yield from (line, f"       {more}")
    else:
        yield f"{line} {more}".rstrip()


def _amount(count: int, like: int | None = None) -> str:
    """Bytes, 122 GB or 22.1 GB; in the unit of another number where there is one."""
    if (count if like is None else like) < 1e9:
        return size(count)
    return f"{count / 1e9:.0f} GB" if count >= 99.95e9 else f"{count / 1e9:.1f} GB"


def _of(taken: int, free: int) -> str:
    """10.9 of 22.1 GB."""
    return f"{_amount(taken)} of {_amount(free)}" if taken < 1e9 else f"{taken / 1e9:.1f} of {_amount(free)}"


def _cell(count: int | None, largest: int) -> str:
    """A number of the table: all in the unit of the largest."""
    if count is None:
        return "-"
    unit, factor = next((each for each in (("GB", 1e9), ("MB", 1e6)) if largest >= each[1]), ("kB", 1e3))
    return f"{count / factor:.2f} {unit}"


def _count(number: int) -> str:
    for unit, factor in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}" if number < 10 * factor else f"{number / factor:.0f} {unit}"
    return str(number)
