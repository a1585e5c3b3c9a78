"""Who may import whom, and how long things may get: the picture in CONTRIBUTING.md, checked over every file of hfcli.

Nothing is imported here; the sources are read with `ast`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "hfcli").rglob("*.py"))

# A part of hfcli, and the other parts it may import. The root, hfcli/__init__.py with the version, is open to all.
MAY_IMPORT = {
    "root": set(),
    "__main__": {"cli"},
    "cli": {
        *("runtime", "tasks", "metrics", "options", "records", "writing", "recipes", "history", "launch", "events"),
        "errors",
    },
    "runtime": {"tasks", "metrics", "options", "records", "writing", "recipes", "launch", "events", "errors"},
    "tasks": {"options", "errors"},
    "metrics": {"errors"},
    "options": {"errors"},
    "records": {"errors"},
    "writing": {"records", "errors"},
    "recipes": {"errors"},
    "launch": {"errors"},
    "history": {"errors"},
    "events": {"errors"},
    "errors": set(),
}
# Parts that a command imports inside its body only, so that --help and a mistyped flag answer at once.
CLI_LATE = {"runtime", "tasks", "metrics"}

HEAVY = {"torch", "transformers", "datasets", "accelerate", "evaluate", "peft", "safetensors"}
HEAVY_IN = {"runtime"}
TYPER_IN = {"cli", "options"}
SLOW = {"numpy", "yaml", "rich"}  # each costs `hfcli --help` tens of milliseconds
QUICK_PARTS = {"cli", "options", "records", "events", "errors"}

PRINTS = "hfcli/cli/console.py"
MAY_EXIT = {"cli", "__main__"}

FILE_LINES = 330
FUNCTION_LINES = 60


class Import(NamedTuple):
    line: int
    module: str  # absolute, e.g. hfcli.runtime.loading
    late: bool  # inside a function's body
    typing: bool  # under `if TYPE_CHECKING:`, so never run


def part_of(module: str) -> str:
    """`cli` for hfcli.cli.train; `root` for hfcli itself and for the names in hfcli/__init__.py."""
    name = f"{module}.".split(".")[1]
    return name if name in MAY_IMPORT else "root"


def imports(path: str, source: str) -> Iterator[Import]:
    """Every import of a file, the ones written as `import_module("...")` too."""
    module = path.removesuffix(".py").replace("/", ".")
    package = module.removesuffix(".__init__") if path.endswith("__init__.py") else module.rpartition(".")[0]
    yield from _imports(ast.parse(source), package, late=False, typing=False)


def _imports(node: ast.AST, package: str, late: bool, typing: bool) -> Iterator[Import]:
    for module in _modules(node, package):
        yield Import(node.lineno, module, late, typing)
    late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
        for child in node.body:
            yield from _imports(child, package, late, typing=True)
        rest = node.orelse
    else:
        rest = list(ast.iter_child_nodes(node))
    for child in rest:
        yield from _imports(child, package, late, typing)


def _modules(node: ast.AST, package: str) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            origin = ".".join([*above, *([module] if module else [])])
            return [f"hfcli.{alias.name}" for alias in names] if origin == "hfcli" else [origin]
        case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(name)), *_]):
            return [name]
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            return [name]
    return []


def _import_problem(part: str, found: Import) -> str | None:
    top = found.module.split(".")[0]
    at_start = not (found.late or found.typing)
    if top == "hfcli":
        other = part_of(found.module)
        if other not in {part, "root"} | MAY_IMPORT[part]:
            allowed = ", ".join(sorted(MAY_IMPORT[part])) or "nothing of hfcli"
            return f"which {part} may not (it may import {allowed})"
        if part == "cli" and other in CLI_LATE and at_start:
            return f"at module level; cli imports {other} inside a function's body only"
    elif top == "click":
        return "and Typer is not Click any more; use what typer exports"
    elif top == "typer" and part not in TYPER_IN:
        return f"which {part} may not (only {', '.join(sorted(TYPER_IN))} may)"
    elif top in HEAVY and part not in HEAVY_IN:
        return f"which {part} may not (only {', '.join(sorted(HEAVY_IN))} may)"
    elif top in SLOW and part in QUICK_PARTS and at_start:
        return f"at module level; {part} imports {top} inside a function's body only"
    return None


def _call_problem(path: str, part: str, node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id="print")) if path != PRINTS:
            return f"calls print(), which only {PRINTS} may"
        case ast.Call(func=ast.Name(id="input")) if path != PRINTS:
            return f"calls input(), which only {PRINTS} may"
        case ast.Call(func=ast.Name(id="exit" | "quit" | "SystemExit")) if part not in MAY_EXIT:
            return f"exits, which {part} may not; raise one of hfcli/errors.py"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="sys"), attr="exit")) if part not in MAY_EXIT:
            return f"exits, which {part} may not; raise one of hfcli/errors.py"
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            length = node.end_lineno - node.lineno + 1
            return f"{name}() has {length} lines, over {FUNCTION_LINES}" if length > FUNCTION_LINES else None
    return None


def problems(path: str, source: str) -> list[str]:
    """What a file does that its place does not allow, as `file:line what`."""
    name = path.removesuffix(".py").split("/")[1]
    if name not in MAY_IMPORT and name != "__init__":
        return [f"{path}:1 is of no known part; give {name} a line in MAY_IMPORT here and a place in CONTRIBUTING.md"]
    part = part_of(f"hfcli.{name}")
    found = []
    for each in imports(path, source):
        if problem := _import_problem(part, each):
            found.append((each.line, f"imports {each.module}, {problem}"))
    for node in ast.walk(ast.parse(source)):
        if problem := _call_problem(path, part, node):
            found.append((node.lineno, problem))
    lines = source.count("\n")
    if lines > FILE_LINES:
        found.append((lines, f"is over {FILE_LINES} lines; a file that does two things is two files"))
    return [f"{path}:{line} {what}" for line, what in sorted(found)]


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_to_its_layer(path: str) -> None:
    found = problems(path, (ROOT / path).read_text(encoding="utf-8"))
    assert not found, "\n" + "\n".join(found)


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * FUNCTION_LINES
LONG_FILE = "x = 1\n" * (FILE_LINES + 1)


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("hfcli/runtime/a.py", "from hfcli.cli import console", "imports hfcli.cli, which runtime may not"),
        ("hfcli/runtime/a.py", "from ..cli.console import say", "imports hfcli.cli.console, which runtime may not"),
        ("hfcli/runtime/a.py", "from hfcli import cli", "imports hfcli.cli, which runtime may not"),
        ("hfcli/runtime/__init__.py", "from .. import cli", "imports hfcli.cli, which runtime may not"),
        ("hfcli/tasks/a.py", "def f():\n    import hfcli.runtime.plan", ":2 imports hfcli.runtime.plan, which tasks"),
        ("hfcli/tasks/a.py", "from hfcli.metrics import compute", "imports hfcli.metrics, which tasks may not"),
        ("hfcli/metrics/a.py", "from hfcli.tasks import base", "imports hfcli.tasks, which metrics may not"),
        ("hfcli/metrics/a.py", "import hfcli.records as r", "metrics may not (it may import errors)"),
        ("hfcli/errors.py", "from .records import read", "errors may not (it may import nothing of hfcli)"),
        ("hfcli/__init__.py", "from hfcli.errors import Exit", "imports hfcli.errors, which root may not"),
        ("hfcli/cli/a.py", "from hfcli.runtime import loading", "imports hfcli.runtime, at module level"),
        ("hfcli/cli/a.py", "class A:\n    from hfcli.tasks import get", ":2 imports hfcli.tasks, at module level"),
        ("hfcli/cli/a.py", "try:\n    import numpy\nexcept ImportError: ...", ":2 imports numpy, at module level"),
        ("hfcli/records.py", "import pyarrow\nfrom yaml import safe_load", ":2 imports yaml, at module level"),
        ("hfcli/cli/a.py", "def f():\n    import torch", "imports torch, which cli may not (only runtime may)"),
        ("hfcli/tasks/a.py", "if TYPE_CHECKING:\n    import torch", ":2 imports torch, which tasks may not"),
        ("hfcli/tasks/a.py", "importlib.import_module('transformers.models')", "imports transformers.models, which"),
        ("hfcli/tasks/a.py", "async def f(): from safetensors.numpy import load", "imports safetensors.numpy, which"),
        ("hfcli/cli/a.py", "from click import echo", "imports click, and Typer is not Click"),
        ("hfcli/runtime/a.py", "import typer", "imports typer, which runtime may not (only cli, options may)"),
        ("hfcli/runtime/a.py", "def f():\n    print(1)", ":2 calls print(), which only hfcli/cli/console.py may"),
        ("hfcli/cli/a.py", "print(1)", "calls print(), which only hfcli/cli/console.py may"),
        ("hfcli/records.py", "input('sure?')", "calls input()"),
        ("hfcli/recipes.py", "import sys\nsys.exit(2)", ":2 exits, which recipes may not"),
        ("hfcli/runtime/a.py", "raise SystemExit(2)", "exits, which runtime may not"),
        ("hfcli/runtime/a.py", LONG_FUNCTION, f":1 f() has {FUNCTION_LINES + 1} lines, over {FUNCTION_LINES}"),
        ("hfcli/runtime/a.py", LONG_FILE, f"is over {FILE_LINES} lines"),
        ("hfcli/utils.py", "", "hfcli/utils.py:1 is of no known part"),
    ],
)
def test_checker_catches(path: str, source: str, expected: str) -> None:
    found = problems(path, source)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:")
    assert expected in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("hfcli/cli/a.py", "def f():\n    from hfcli.runtime import loading\n    import numpy, yaml, rich"),
        ("hfcli/cli/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hfcli.runtime import a"),
        ("hfcli/cli/a.py", "import typer\nfrom . import console\nfrom hfcli import __version__, errors, options"),
        ("hfcli/cli/console.py", "import sys\nprint(1)\nsys.exit(0)"),
        ("hfcli/runtime/a.py", "import torch\nfrom hfcli.tasks.base import Task\nfrom ..errors import ModelError"),
        ("hfcli/tasks/a.py", "import numpy as np\nfrom .base import Task\nfrom hfcli.errors import DataError"),
        ("hfcli/metrics/a.py", "import sacrebleu\nimport_module(name)"),
        ("hfcli/recipes.py", "import yaml"),
        ("hfcli/runtime/a.py", LONG_FUNCTION.replace("    x = 1\n", "", 1)),
        ("hfcli/runtime/a.py", LONG_FILE.replace("x = 1\n", "", 1)),
    ],
)
def test_checker_allows(path: str, source: str) -> None:
    assert problems(path, source) == []
