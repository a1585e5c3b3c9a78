"""What is shipped: the wheel and the sdist, built as for a release, and the dependencies they declare."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from hfcli import __version__

ROOT = Path(__file__).parents[1]
IMPORTED_AS = {"yaml": "pyyaml", "huggingface_hub": "huggingface-hub"}


def imported_packages() -> set[str]:
    """The top-level modules outside Python and hfcli that any file of hfcli imports."""
    found = set()
    for path in (ROOT / "hfcli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"hfcli"}


def requirements(*extras: str) -> set[str]:
    """The names of what pyproject.toml asks for, with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {re.match(r"[\w-]+", line)[0].lower() for line in lines} - {"hfcli"}


def test_imported_packages_are_declared() -> None:
    imported = {IMPORTED_AS.get(name, name) for name in imported_packages()}
    assert imported - requirements("peft") == set()


def test_declared_dependencies_are_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert requirements("peft", "dev") - pinned == set()


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and with the wheel that was built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_wheel_contents(dist: Path) -> None:
    with zipfile.ZipFile(dist / f"hfcli-{__version__}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        entry_points = wheel.read(f"hfcli-{__version__}.dist-info/entry_points.txt").decode()
    assert "hfcli = hfcli.__main__:run" in entry_points
    assert f"hfcli-{__version__}.dist-info/licenses/LICENSE" in names
    assert "hfcli/builtin/story/model.safetensors" in names
    assert "hfcli/builtin/reviews/hfcli_settings.json" in names
    assert {f"hfcli/_recipes/{path.name}" for path in (ROOT / "recipes").glob("*.yaml")} <= names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "hfcli").rglob("*.py")} <= names
    assert {name.split("/")[0] for name in names} == {"hfcli", f"hfcli-{__version__}.dist-info"}


@pytest.mark.slow
def test_sdist_builds_and_tests(dist: Path) -> None:
    with tarfile.open(dist / f"hfcli-{__version__}.tar.gz") as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "constraints.txt", "Makefile", "README.md", "LICENSE", ".ci/run"} <= names
    for folder in ("tests", "recipes", "benchmarks", "builtin"):
        kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert {name for name in kept if "__pycache__" not in name} <= names


@pytest.mark.slow
def test_installed_wheel_runs(dist: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    wheel = dist / f"hfcli-{__version__}-py3-none-any.whl"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, timeout=120)

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(site)}  # comes before the checkout that is installed as editable
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(python("-c", "import hfcli; print(hfcli.__file__)").strip()).is_relative_to(site)
    assert __version__ in python("-m", "hfcli", "--version")
    assert "generate" in python("-m", "hfcli", "--help")
