"""The options of `hfcli eval`."""

import math
import os
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

import typer

from hfcli.errors import UsageError
from hfcli.options import DecodingOptions, LoadingOptions, ModelOptions
from hfcli.options._numbers import number, whole
from hfcli.options.reading import DataOptions

ANSWERS = ("squad", "squad_v2")
"""Measured by ids, in the forms that SQuAD has."""
FOREIGN = "evaluate:"
"""How metrics of the package `evaluate` begin."""
# Measured on a model and texts, with names that are known before metrics are imported.
LIKELIHOODS = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "mean_perplexity")
_EXAMPLE = "hfcli eval --metric bleu --predictions out.txt --references ref.txt"


@dataclass(frozen=True)
class MetricOptions:
    """What is measured, and how sure it is."""

    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            metavar="NAME",
            help="Metric, may be repeated; bleu:tokenize=intl sets an option of it. --list-metrics shows all.",
            show_default="what fits",
        ),
    ] = field(default_factory=list)
    group_by: Annotated[
        str | None, typer.Option("--group-by", metavar="COLUMN", help="Also for each group of records, and the gap.")
    ] = None
    confidence_level: Annotated[
        float,
        typer.Option("--confidence-level", parser=number(0, 1, above=True), metavar="P", help="Of the intervals."),
    ] = 0.95
    resamples: Annotated[
        int,
        typer.Option("--resamples", parser=whole(1), metavar="N", help="Resamples of the bootstrap."),
    ] = 1000
    seed: Annotated[int, typer.Option("--seed", parser=whole(0, 2**63), metavar="N", help="Seed of the resamples.")] = (
        12345
    )

    list_metrics: Annotated[bool, typer.Option("--list-metrics", help="List them, and what they read.")] = False

    def check(self) -> None:
        """Refuse what cannot be meant."""
        if self.confidence_level >= 1:
            raise UsageError("--confidence-level 1 would take in everything", "--confidence-level 0.95")


@dataclass(frozen=True)
class StoredOptions:
    """Outputs that are there already, and what they should be."""

    predictions: Annotated[
        list[str],
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Outputs: a text a line, or records (JSONL, JSON, CSV, TSV, Parquet, .gz); - is stdin. "
            "Repeated: several systems.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    references: Annotated[
        list[str],
        typer.Option(
            "--references",
            metavar="FILE",
            help="What they should be, line by line; repeated: several for each. Without it, a column of "
            "the predictions.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    prediction_column: Annotated[
        str | None,
        typer.Option("--prediction-column", metavar="NAME", help="Its column.", show_default="found by name"),
    ] = None
    reference_column: Annotated[
        list[str],
        typer.Option(
            "--reference-column",
            "--label-column",
            "--answers-column",
            metavar="NAME",
            help="Column of what is right, also of --dataset; repeated: several.",
            show_default="found by name",
        ),
    ] = field(default_factory=list)

    @property
    def stored(self) -> bool:
        """Whether outputs were named."""
        return bool(self.predictions or self.references or self.prediction_column is not None)

    def check(self) -> None:
        """Refuse what is not whole or contradicts itself, before anything is read."""
        for name in ("predictions", "references", "reference_column"):
            if "" in getattr(self, name):
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} is empty", f"give it a value, or leave out {flag}")
        if self.stored and not self.predictions:
            given = "--references" if self.references else "--prediction-column"
            raise UsageError(f"{given} needs --predictions FILE", _EXAMPLE)
        twice = next((path for path in self.predictions if self.predictions.count(path) > 1 and path != "-"), None)
        if twice is not None:
            raise UsageError(f"--predictions {twice} was given twice", "leave out one of them")
        inputs = [*self.predictions, *self.references]
        if inputs.count("-") > 1:
            both = "both --predictions and --references" if "-" in self.references else "two of --predictions"
            raise UsageError(f"standard input cannot be {both}", "put one into a file")


@dataclass(frozen=True)
class MeasuredData:
    """... or what a model is measured on."""

    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Hub name, file (JSONL, CSV, Parquet, SQuAD's JSON, .gz), folder, or -."),
    ] = None
    subset: Annotated[
        str | None, typer.Option("--subset", "--dataset-config", help="Configuration of a Hub data set.")
    ] = None
    dataset_revision: Annotated[
        str | None, typer.Option("--dataset-revision", help="Branch, tag or commit of a Hub data set.")
    ] = None
    split: Annotated[
        str | None,
        typer.Option("--split", "--eval-split", help="Split to measure on.", show_default="test, else validation"),
    ] = None
    max_samples: Annotated[
        int | None,
        typer.Option("--max-samples", "--max-eval-samples", parser=whole(1), metavar="N", help="N records only."),
    ] = None

    def data(self) -> DataOptions:
        """The same for reading."""
        return DataOptions(
            self.dataset, self.subset, self.dataset_revision, eval_split=self.split, max_eval_samples=self.max_samples
        )


@dataclass(frozen=True)
class ModelNames:
    """Which models."""

    model: Annotated[
        list[str],
        typer.Option(
            "-m",
            "--model",
            metavar="NAME",
            help="Hub name, folder or builtin/NAME; repeated: a table of them.",
            show_default="HFCLI_MODEL",
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True)
class ModelsOptions(LoadingOptions, ModelNames):
    """Which models, from where, and on what they run."""

    def each(self, default: str) -> list[ModelOptions]:
        """The same for one model after the other."""
        shared = {each.name: getattr(self, each.name) for each in fields(LoadingOptions)}
        # Not by the option itself: of several values, Typer would cut a path at its spaces.
        names = self.model or [os.environ.get("HFCLI_MODEL") or default]
        return [ModelOptions(model=name, **shared) for name in names]


@dataclass(frozen=True)
class PerplexityOptions:
    """How texts are cut into windows, and what is predicted in each."""

    file: Annotated[
        str | None,
        typer.Option("--file", help="Texts for perplexity, one a line or a record a line, .gz too; - is stdin."),
    ] = None
    slurp: Annotated[bool, typer.Option("--slurp", help="Take the whole input as one text.")] = False
    protocol: Annotated[
        Literal["stride", "disjoint", "full", "lm-eval", "hf-evaluate"] | None,
        typer.Option(
            "--protocol",
            help="As in transformers' documentation, without overlap, one token at a time, as in lm-eval, in evaluate.",
            show_default="stride",
        ),
    ] = None
    stride: Annotated[
        int | None,
        typer.Option(
            "--stride", parser=whole(1), metavar="N", help="Tokens a window moves on.", show_default="512, or half"
        ),
    ] = None
    bos: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option("--bos", help="Begin each text with the begin token; auto: as the protocol has it."),
    ] = "auto"


@dataclass(frozen=True)
class PromptedOptions:
    """What a model that writes is asked."""

    prompt_column: Annotated[
        str | None,
        typer.Option("--prompt-column", help="Column that holds the prompt.", show_default="prompt, messages"),
    ] = None
    template: Annotated[
        str | None, typer.Option("--template", help="Prompt made from columns: 'Summarise: {document}'; {{ is a brace.")
    ] = None
    system: Annotated[str | None, typer.Option("--system", help="System message, for chat models.")] = None
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", parser=whole(1), metavar="N", help="Longest answer, in tokens.")
    ] = 256
    min_new_tokens: Annotated[
        int | None, typer.Option("--min-new-tokens", parser=whole(0), metavar="N", help="Shortest answer, in tokens.")
    ] = None
    num_beams: Annotated[
        int | None, typer.Option("--num-beams", parser=whole(1), metavar="N", help="Beam search with N beams.")
    ] = None
    length_penalty: Annotated[
        float | None,
        typer.Option("--length-penalty", parser=number(-10, 10), metavar="L", help="Above 1 beams prefer long texts."),
    ] = None
    no_repeat_ngram_size: Annotated[
        int | None,
        typer.Option("--no-repeat-ngram-size", parser=whole(1), metavar="N", help="No N tokens in a row twice."),
    ] = None

    def decoding(self) -> DecodingOptions:
        """The same for writing."""
        return DecodingOptions(
            max_new_tokens=self.max_new_tokens,
            min_new_tokens=self.min_new_tokens,
            num_beams=self.num_beams,
            length_penalty=self.length_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
        )


@dataclass(frozen=True)
class FairnessOptions:
    """What else a classifier is asked."""

    scorer: Annotated[
        str | None,
        typer.Option("--scorer", metavar="MODEL", help="Classifier that says how toxic outputs are, for toxicity."),
    ] = None
    scorer_label: Annotated[
        str | None,
        typer.Option("--scorer-label", metavar="NAME", help="Its label for that.", show_default="found by name"),
    ] = None
    swap: Annotated[
        str | None,
        typer.Option(
            "--swap", metavar="A=B,...", help="Words to swap for counterfactual: he=she,his=her; or a file of such."
        ),
    ] = None


@dataclass(frozen=True)
class ShowOptions:
    """What becomes of the scores."""

    fail_under: Annotated[
        list[str],
        typer.Option(
            "--fail-under",
            metavar="METRIC=X",
            help="Exit 7 where a score is worse; may be repeated.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Keep scores and statistics, for hfcli compare."),
    ] = None
    details: Annotated[
        str | None,
        typer.Option("--details", metavar="FILE", help="A line of JSON for each record: prediction, reference, score."),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished --details.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start an unfinished --details again.")] = False
    json: Annotated[bool, typer.Option("--json", help="One JSON object, on a terminal too.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors and scores only.")] = (
        False
    )
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say where values that were not typed came from.")
    ] = False

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is read."""
        if self.quiet and self.verbose:
            raise UsageError("--quiet says nothing and --verbose more", "leave one of them out")
        if self.resume and self.overwrite:
            raise UsageError("--resume goes on, --overwrite starts again", "leave one of them out")
        if (self.resume or self.overwrite) and not self.details:
            flag = "--resume" if self.resume else "--overwrite"
            raise UsageError(f"{flag} needs --details FILE", "only what it holds can be taken up again")
        self.limits()

    def limits(self) -> dict[str, float]:
        """--fail-under: by metric, the score that is still good enough."""
        found = {}
        for text in self.fail_under:
            name, _, limit = text.rpartition("=")  # a name may have options: bleu:tokenize=intl=30
            try:
                found[name.strip()] = float(limit)
            except ValueError:
                limit = "nan"
            if not name or not math.isfinite(float(limit)):
                raise UsageError(f"--fail-under {text} is no METRIC=NUMBER", "--fail-under accuracy=0.9")
        return found
