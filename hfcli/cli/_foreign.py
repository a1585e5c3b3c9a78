"""`hfcli eval --metric evaluate:NAME`: stored outputs, measured by somebody else's code."""

from typing import TYPE_CHECKING, Any

from hfcli import __version__
from hfcli.cli import _measure, _outcome
from hfcli.cli._outcome import Outcome
from hfcli.cli._outputs import Outputs
from hfcli.cli._scores import file_name
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.options import LoadingOptions
from hfcli.options.evaluating import FOREIGN, MetricOptions, ShowOptions, StoredOptions

if TYPE_CHECKING:
    from hfcli.metrics.results import Result

_PREDICTION = ("prediction", "predictions", "label", "answer", "generated_text", "output", "text")
_REFERENCE = ("reference", "references", "gold", "target", "label", "answers", "text")


def measure(
    console: Console, stored: StoredOptions, loading: LoadingOptions, options: MetricOptions, show: ShowOptions
) -> Outcome:
    """Score stored outputs by metrics of `evaluate`.

    Raises:
        UsageError: The code may not run, or flags ask for what only hfcli's own metrics have.
        DataError: A file cannot be read, or holds what cannot be measured.
        ModelError: A metric cannot be loaded.
    """
    _refuse(stored, loading, options, show)
    from hfcli.runtime import environment
    from hfcli.runtime.foreign import Foreign

    environment.silence()
    names = [name.removeprefix(FOREIGN) for name in options.metric]
    found = [Foreign(name, loading.offline, options.confidence_level) for name in names]
    predictions: list[list[Any]] = [[] for _ in stored.predictions]
    references: list[Any] = []
    with Outputs(stored.predictions, stored.references) as outputs:
        for place in outputs:
            for cells, record in zip(predictions, place.predictions, strict=True):
                cells.append(_cell(record, stored.prediction_column, _PREDICTION, place.where))
            column = next(iter(stored.reference_column), None)
            references.append(_cell(place.references[0], column, _REFERENCE, place.where))
        data = file_name(stored.references[0], outputs.digests[0])
    systems = _measure.system_names(stored.predictions)
    pairs = zip(systems, predictions, strict=True)
    level = options.confidence_level
    results = [_result(name, found, cells, references, data, level) for name, cells in pairs]
    return Outcome(results, [], _outcome.counted(len(references)))


def _refuse(stored: StoredOptions, loading: LoadingOptions, options: MetricOptions, show: ShowOptions) -> None:
    if not all(name.startswith(FOREIGN) for name in options.metric):
        raise UsageError("metrics of evaluate and of hfcli are measured apart", "ask for them one after the other")
    if FOREIGN in options.metric:
        raise UsageError(f"--metric {FOREIGN} names no metric", f"--metric {FOREIGN}./folder/metric.py")
    if not loading.trust_remote_code:
        raise UsageError(f"{options.metric[0]} runs code that is not hfcli's", "read it, then add --trust-remote-code")
    usual = MetricOptions()
    for flag, differs in (
        ("--resamples", options.resamples != usual.resamples),
        ("--seed", options.seed != usual.seed),
    ):
        if differs:
            raise UsageError(
                f"{flag} is about hfcli's own metrics; intervals of others are jackknives", f"leave out {flag}"
            )
    if show.fail_under:
        raise UsageError(
            "--fail-under: whether more is better is not known of metrics of evaluate", "leave out --fail-under"
        )
    for flag, used in (("-o", show.output), ("--details", show.details), ("--group-by", options.group_by)):
        if used is not None:
            raise UsageError(
                f"{flag} needs statistics of every record, which evaluate does not give", f"leave out {flag}"
            )
    if len(stored.references) != 1:
        raise UsageError(f"{options.metric[0]} needs one --references FILE", "--references ref.txt")


def _cell(record: Any, given: str | None, candidates: tuple[str, ...], where: str) -> Any:
    column = given or next((name for name in candidates if name in record), None)
    if column is None or column not in record:
        there = ", ".join(record)
        said = f"no column {column}" if column else "no column with a known name"
        raise DataError(f"{where} has {said}; there is {there}", did_you_mean(column or "", record))
    return record[column]


def _result(
    name: str, metrics: Any, predictions: list[Any], references: list[Any], data: str, level: float
) -> "Result":
    from hfcli.metrics.base import Family, Statistics
    from hfcli.metrics.results import Part, Result, Scored

    parts, scores = [], []
    intervals = "jackknife20" if level == 0.95 else f"jackknife20-{100 * level:g}"
    for at, metric in enumerate(metrics):
        measured = metric.scores(predictions, references)
        signature = f"data:{data}|n:{len(references)}|ci:{intervals}|evaluate:{metric.version}|hfcli:{__version__}"
        family = Family("foreign", "texts", lambda *_: Statistics({}), lambda *_: None)  # type: ignore[arg-type]
        parts.append(Part(family, None, tuple(each for each, _ in measured), Statistics({}), signature))
        scores += [Scored(each, score, at) for each, score in measured]
    return Result(name, "", parts, scores, [])
