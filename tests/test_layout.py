"""The house: links, one-way imports, light imports, and what a wheel holds."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "boxlist"
FOLDERS = ("adapters_training", "controls", "metrics", "tasks")

# a module may import from the lines above its own, and from its own package
LAYERS = (
    {"errors"},
    {"folder_lock", "whole_files", "strict_yaml", "progress", "processes"},
    {"records"},
    {"list_writing"},
    {"protocol"},
    {"protocols"},
    {"found", "list_schema"},
    {"json_list", "loc_list", "point_list"},
    {"line_list", "nested_list", "plain_list"},
    {"scanner"},
    {"metrics"},
    {"tasks", "controls"},
    {"models"},
    {"adapters_training"},
    {"runs"},
    {"reports"},
    {"demo", "studies"},
    {"commands"},
    {"cli"},
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "transformers", "lmms_eval", "peft", "datasets")


def modules() -> list[Path]:
    """Every module under src/boxlist, through the links, as a path relative to it; `boxlist` itself is left out."""
    found = [
        Path(folder, name).relative_to(PACKAGE)
        for folder, _, names in os.walk(PACKAGE, followlinks=True)
        for name in names
        if name.endswith(".py")
    ]
    return sorted(found)


def imported_names(source: str, module: Path) -> set[str]:
    """The parts of boxlist that a module imports, at any depth: in functions and under TYPE_CHECKING too."""
    package = ("boxlist", *module.parent.parts)
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{origin}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("boxlist.")} & RANKS.keys()


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_point_one_way(module: Path) -> None:
    own = module.parts[0].removesuffix(".py")
    allowed = RANKS.keys() if own == "__init__" else {own, *(n for n, rank in RANKS.items() if rank < RANKS[own])}
    source = (PACKAGE / module).read_text(encoding="utf-8")
    assert imported_names(source, module) <= (set() if own == "__init__" else allowed)


def test_every_module_has_a_layer() -> None:
    names = {module.parts[0].removesuffix(".py") for module in modules()} - {"__init__"}
    assert names == RANKS.keys(), "add the module to LAYERS, and say in DESIGN where it belongs"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import boxlist.cli", {"cli"}),
        ("import boxlist", set()),
        ("from boxlist import cli, __version__", {"cli"}),
        ("from boxlist.runs.run import run", {"runs"}),
        ("def f():\n    from boxlist.models import hf", {"models"}),
        ("if TYPE_CHECKING:\n    from boxlist.metrics.table import Metric", {"metrics"}),
        ("from . import table", {"metrics"}),
        ("from ..tasks.probes import Probe", {"tasks"}),
        ("from json import cli", set()),
    ],
)
def test_imported_names_sees_every_kind_of_import(source: str, found: set[str]) -> None:
    assert imported_names(source, Path("metrics", "boxes.py")) == found


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_are_real_and_linked_from_within_the_repository(name: str) -> None:
    link = PACKAGE / name
    assert (ROOT / name).is_dir()
    assert not (ROOT / name).is_symlink()
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == (ROOT / name).resolve()


def test_no_other_links_lead_out_of_the_repository() -> None:
    for folder in ("src", "tests", "benchmarks", "docs", *FOLDERS):
        for path in (ROOT / folder).rglob("*"):
            assert path.resolve().is_relative_to(ROOT.resolve()), path


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code], cwd="/", capture_output=True, text=True, check=False, timeout=120
    )


def test_bare_folder_names_do_not_resolve() -> None:
    done = run_python(f"import importlib.util\nprint([n for n in {FOLDERS} if importlib.util.find_spec(n)])")
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.mark.parametrize("module", ["boxlist", "boxlist.scanner", "boxlist.cli"])
def test_importing_needs_no_heavy_library(module: str) -> None:
    done = run_python(f"import sys, {module}\nprint([n for n in {HEAVY} if n in sys.modules])")
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.fixture(scope="module")
def names_in_wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build a wheel from a copy, so that nothing is left in the checkout and nothing old gets in."""
    copy = tmp_path_factory.mktemp("wheel")
    for name in ("src", *FOLDERS):
        shutil.copytree(
            ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet", "--wheel-dir", "out"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "."],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (copy / "out").glob("boxlist-*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_wheel_holds_one_package(names_in_wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in names_in_wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"boxlist"}


def test_wheel_holds_every_file_of_the_package(names_in_wheel: list[str]) -> None:
    missing = {
        path.as_posix()
        for folder, _, names in os.walk(PACKAGE, followlinks=True)
        for path in (Path(folder, name).relative_to(PACKAGE.parent) for name in names)
        if "__pycache__" not in path.parts
    } - set(names_in_wheel)
    assert missing == set()


@pytest.mark.parametrize(
    "name",
    [
        "boxlist/py.typed",
        "boxlist/tasks/dense_bbox/_dense_bbox",
        "boxlist/tasks/dense_bbox/boxlist_dense_bbox_shapes.yaml",
        "boxlist/adapters_training/pocket/qwen3vl/model.safetensors",
        "boxlist/adapters_training/pocket/qwen3vl/chat_template.jinja",
    ],
)
def test_wheel_holds_what_is_no_code(name: str, names_in_wheel: list[str]) -> None:
    assert name in names_in_wheel
