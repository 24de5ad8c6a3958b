"""One training in two processes, on CPUs (gloo): the curve of one with twice the batch, stopped, killed and resumed.

The first training is started by `accelerate launch`; the others by a fork server, which imports torch once for all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import runpy
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from safetensors.torch import load_file

from boxlist.adapters_training import launch
from boxlist.adapters_training.checkpoints import training_folder
from boxlist.adapters_training.provenance import read_provenance
from boxlist.adapters_training.recipe import change_recipe
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.errors import InputError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    import numpy as np

    from boxlist.adapters_training.recipe import Recipe
    from boxlist.adapters_training.train import TrainedAdapter

CONFIGS = Path(launch.__file__).parent / "accelerate"
SCRIPT = Path(__file__).with_name("few_images.py")
STEPS = 6
# Of eight images steps of six make two an epoch, the second filled up.
CHANGES = {"steps": STEPS, "checkpoint_every": 1}
PER_PROCESS = 3


class Pair(NamedTuple):
    """Two processes of one training, and what both say."""

    processes: list[multiprocessing.process.BaseProcess]
    output: Path

    def until(self, words: str) -> None:
        """Wait until they say it."""
        while words not in self.output.read_text():
            self.processes[0].join(0.01)
            assert self.processes[0].is_alive(), self.output.read_text()

    def end(self) -> list[int | None]:
        """Their exit statuses."""
        for process in self.processes:
            process.join()
        return [process.exitcode for process in self.processes]


def launch_arguments(config: Path) -> Namespace:
    """What `accelerate launch` makes of a configuration."""
    given = ["--config_file", str(config), "--num_processes", "2", "--main_process_port", "0", str(SCRIPT)]
    arguments: Namespace = _validate_launch_command(launch_command_parser().parse_args(given))[0]
    return arguments


@contextmanager
def started(config: str, words: list[str], output: Path) -> Iterator[Pair]:
    """Two processes in the environment that `accelerate launch` gives them; no test leaves any behind."""
    arguments = launch_arguments(CONFIGS / f"{config}.yaml")
    environment = {
        **{name: value for name, value in prepare_multi_gpu_env(arguments).items() if os.environ.get(name) != value},
        "BOXLIST_DATA": os.environ["BOXLIST_DATA"],
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": arguments.master_port,
        "WORLD_SIZE": "2",
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["boxlist.adapters_training.trainer", "boxlist.cli", "peft", "pytest"])
    output.write_text("")
    processes = []
    for rank in ("0", "1"):
        own = {**environment, "RANK": rank, "LOCAL_RANK": rank}
        how = {"init_globals": {"LAUNCHED": (own, words, output)}, "run_name": "__main__"}
        processes.append(context.Process(target=runpy.run_path, args=(str(SCRIPT),), kwargs=how))
    try:
        for process in processes:
            process.start()
        yield Pair(list(processes), output)
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def recipe(small_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of each of the two processes, as a file."""
    changed = change_recipe(small_recipe, {**CHANGES, "batch_size": PER_PROCESS}, "test")
    file = tmp_path_factory.mktemp("recipes") / "small.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in changed.to_dict().items() if value is not None}))
    return file


@pytest.fixture(scope="module")
def unbroken(recipe: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of two processes that nothing disturbed, under the real launcher."""
    out = tmp_path_factory.mktemp("pair") / "unbroken"
    launcher = [str(Path(sys.executable).with_name("accelerate")), "launch"]
    config = ["--config_file", str(CONFIGS / "ddp.yaml"), "--num_processes", "2", "--main_process_port", "0"]
    done = subprocess.run(
        [*launcher, *config, str(SCRIPT), "train", str(recipe), "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{out}: {STEPS} steps, loss \d\.\d{{3}}\n", done.stdout), "one process speaks"
    assert done.stderr.count(f"train {STEPS}/{STEPS}") == 1
    return out


def losses(adapter: Path) -> list[float]:
    found: list[float] = json.loads((adapter / "losses.json").read_text())["loss_per_step"]
    return found


def test_two_processes_train_what_one_does_with_twice_the_batch(
    unbroken: Path, train_small: Callable[..., TrainedAdapter], tmp_path: Path
) -> None:
    """In float32 the losses agree to 1e-5 of their size, and weights that moved by 1e-2 to 1e-4."""
    one = train_small(tmp_path / "one", **CHANGES, batch_size=2 * PER_PROCESS)
    assert losses(unbroken) == pytest.approx(one.losses, rel=1e-5)
    pair, single = (load_file(folder / WEIGHTS_FILE) for folder in (unbroken, one.folder))
    assert pair.keys() == single.keys()
    assert max(float(weight.abs().max()) for name, weight in single.items() if "lora_B" in name) > 5e-3
    for name, weight in single.items():
        torch.testing.assert_close(pair[name], weight, rtol=0, atol=1e-4)
    record = read_provenance(unbroken)
    assert record is not None
    assert (record.training["processes"], record.training["samples_per_step"]) == (2, 2 * PER_PROCESS)
    assert one.provenance.training["samples_per_step"] == 2 * PER_PROCESS


def test_stopped_and_killed_at_random_steps_it_ends_with_the_same_bytes(
    unbroken: Path, recipe: Path, train_small: Callable[..., TrainedAdapter], draw: np.random.Generator, tmp_path: Path
) -> None:
    out, work = tmp_path / "broken", training_folder(tmp_path / "broken")
    words = ["train", str(recipe), "--out", str(out), "--resume"]
    with started("ddp", words, tmp_path / "first") as pair:
        pair.until(f"train 1/{STEPS}")
        os.kill(pair.processes[1].pid or 0, signal.SIGINT)  # of one: both stop
        assert pair.end() == [130, 0]
    said = pair.output.read_text()
    assert said.count(f"of {STEPS}; continue with --resume") == 1
    assert said.count("boxlist: stopped") == 1
    with pytest.raises(InputError, match=r"launch\.processes was 2, now 1"):
        train_small(out, resume=True, **CHANGES, batch_size=PER_PROCESS)
    step = int(draw.integers(4, STEPS))
    with started("ddp", words, tmp_path / "second") as pair:
        pair.until(f"train {step}/{STEPS}")
        for process in pair.processes:
            process.kill()
        assert pair.end() == [-signal.SIGKILL, -signal.SIGKILL]
    assert not out.exists()
    assert work.is_dir()
    with started("ddp", words, tmp_path / "third") as pair:
        assert pair.end() == [0, 0], pair.output.read_text()
    assert not work.exists()
    assert {file.name: file.read_bytes() for file in out.iterdir()} == {
        file.name: file.read_bytes() for file in unbroken.iterdir()
    }


def test_weights_that_are_shared_out_train_the_same_adapter(unbroken: Path, recipe: Path, tmp_path: Path) -> None:
    """FSDP2, stopped once: what it saves is whole, and what it resumes is what it saved."""
    out = tmp_path / "sharded"
    words = ["train", str(recipe), "--out", str(out), "--resume"]
    with started("fsdp", words, tmp_path / "first") as pair:
        pair.until(f"train 1/{STEPS}")
        os.kill(pair.processes[0].pid or 0, signal.SIGTERM)
        assert pair.end() == [130, 0], pair.output.read_text()
    assert list(training_folder(out).glob("checkpoint-*/pytorch_model_fsdp.bin")), "it was sharded"
    with started("fsdp", words, tmp_path / "second") as pair:
        assert pair.end() == [0, 0], pair.output.read_text()
    assert losses(out) == pytest.approx(losses(unbroken), rel=1e-6)
    sharded, whole = (load_file(folder / WEIGHTS_FILE) for folder in (out, unbroken))
    assert sharded.keys() == whole.keys()
    for name, weight in whole.items():
        torch.testing.assert_close(sharded[name], weight, rtol=0, atol=1e-6)


def test_bad_input_is_told_once_and_leaves_nothing(recipe: Path, tmp_path: Path) -> None:
    """A fault that all processes find, each by itself."""
    short = tmp_path / "short.yaml"
    short.write_text(recipe.read_text().replace("max_length: 1024", "max_length: 150"))
    with started("ddp", ["train", str(short), "--out", str(tmp_path / "runs" / "a")], tmp_path / "said") as pair:
        assert pair.end() == [2, 0], pair.output.read_text()
    said = pair.output.read_text()
    assert said.count("boxlist: sample shapes image") == 1
    assert said.count("boxlist:") == 1
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def test_the_probe_is_asked_and_told_once(recipe: Path, tmp_path: Path) -> None:
    asking, out = tmp_path / "asking.yaml", tmp_path / "asked"
    told = {**yaml.safe_load(recipe.read_text()), "steps": 2, "evaluate": {"every": 2, "images": 2}}
    asking.write_text(yaml.safe_dump(told))
    with started("ddp", ["train", str(asking), "--out", str(out)], tmp_path / "said") as pair:
        assert pair.end() == [0, 0], pair.output.read_text()
    assert pair.output.read_text().count("probe 2/2") == 1
    assert len(list((out / "runs").iterdir())) == 1, "one process writes TensorBoard's file"


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_configurations_say_what_accelerate_can_read(config: Path) -> None:
    load_config_from_file(str(config))  # raises for a key that it does not know
    arguments = launch_arguments(config)
    assert arguments.mixed_precision == "no", "the recipe's dtype decides"
    if config.stem == "zero3":
        arguments.deepspeed_fields_from_accelerate_config = ""  # as the launcher sets it
        found = prepare_deepspeed_cmd_env(arguments)[1]
        assert found["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "3"
        assert found["ACCELERATE_DEEPSPEED_ZERO3_INIT"] == "false"
        assert found["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"
    elif config.stem == "fsdp":
        found = prepare_multi_gpu_env(arguments)
        assert (found["FSDP_VERSION"], found["FSDP_STATE_DICT_TYPE"]) == ("2", "FULL_STATE_DICT")
    else:
        assert arguments.multi_gpu
