"""Train one adapter from a recipe: PEFT, and transformers' Trainer with our loss and our order of samples.

Trainer's checkpoints hold pickles of its own state beside the adapter's safetensors. We read back only what this
training wrote in its own folder, and Trainer reads those with `weights_only=True`, which runs no code.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training import checkpoints
from boxlist.adapters_training.base_traits import frames_of, stop_ids
from boxlist.adapters_training.collator import Collator, EncodedSamples
from boxlist.adapters_training.held_out import SPLIT, hold_out, keep_probe_log, probe_history, refuse_missing_tracker
from boxlist.adapters_training.launch import launch_plan, refuse_unfit_launch
from boxlist.adapters_training.lists import Teaching, samples
from boxlist.adapters_training.lora import Targets, attach_lora
from boxlist.adapters_training.optimizers import optimizer_here, refuse_missing_library
from boxlist.adapters_training.plan import training_plan
from boxlist.adapters_training.provenance import Provenance, read_provenance
from boxlist.adapters_training.recipe import Recipe, check_recipe, load_recipe
from boxlist.adapters_training.resizing import IMAGES, images_record
from boxlist.adapters_training.suffix_encoding import encoder_for
from boxlist.errors import InputError
from boxlist.models.loading import load_processor_and_model
from boxlist.models.prompts import open_rgb
from boxlist.processes import Processes
from boxlist.protocols import protocol_named
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.probes import Probe, probe_named

if TYPE_CHECKING:
    from typing import TextIO

    from boxlist.adapters_training.held_out import HeldOut
    from boxlist.adapters_training.probe_callback import ProbeCallback

ADAPTERS = Path("runs", "adapters")


class TrainedAdapter(NamedTuple):
    """A finished adapter: its folder, what it was made from, and the loss of every step."""

    folder: Path
    provenance: Provenance
    losses: list[float]


class _Job(NamedTuple):
    """What is trained: a recipe on images, as planned and launched, and where the adapter goes."""

    recipe: Recipe
    plan: dict[str, dict[str, Any]]
    launch: dict[str, Any]
    split: HeldOut
    folder: Path

    @property
    def work(self) -> Path:
        return checkpoints.training_folder(self.folder)

    @property
    def noted(self) -> dict[str, dict[str, Any]]:
        """All that a training which goes on must agree with."""
        return {**self.plan, "launch": self.launch}


class TrainingLog(NamedTuple):
    """The loss of every step, and the probe's figures by step."""

    losses: list[float]
    probe: list[dict[str, float]]


class _Session(NamedTuple):
    """What is loaded for one training."""

    model: Any
    targets: Targets
    data: EncodedSamples
    collator: Collator
    end_of_turn: str
    probe: ProbeCallback | None


def train(
    recipe: str | Path | Recipe,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    progress: TextIO = sys.stderr,
) -> TrainedAdapter:
    """Train the adapter of a recipe into the folder `out`, by default `runs/adapters/<recipe>`.

    With `resume` an interrupted training goes on from its last checkpoint, and a finished one is returned as it is;
    both only if recipe, base, prompt and data are the same. The resumed adapter equals the unbroken one, bit for bit
    on the same machine. Ctrl-C ends after the step under way, with a checkpoint, and then raises `KeyboardInterrupt`.
    Raises `InputError` for a wrong recipe, base or data set, or where `out` is taken.
    """
    processes = Processes.join()
    with processes.one_voice(), ExitStack() as held:
        if processes.rank:
            progress = held.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        job = processes.first(lambda: _job(recipe, out, processes, held, resume=resume))
        if isinstance(job, TrainedAdapter):
            return job
        probe = probe_named(job.recipe.task)
        session = processes.each(lambda: _open_session(job.recipe, probe, job.split, progress))
        last = processes.first(lambda: _start(job))
        try:
            log = _run(session, job, last, processes, progress)
        except InputError:  # the recipe is wrong: nothing there is worth going on from
            if processes.rank == 0:
                shutil.rmtree(job.work)
            raise
        return processes.first(lambda: _publish(session, job, log))


def _job(
    recipe: str | Path | Recipe, out: str | Path | None, processes: Processes, held: ExitStack, *, resume: bool
) -> _Job | TrainedAdapter:
    """What is to be trained, if nothing speaks against it, or the adapter if it is there; `held` gets the lock."""
    named = "adapter" if isinstance(recipe, Recipe) else Path(recipe).stem
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    check_recipe(chosen)
    folder = Path(out) if out is not None else ADAPTERS / named
    probe = probe_named(chosen.task)
    split = hold_out(probe, documents(probe.dataset, SPLIT), chosen.evaluate)
    job = _Job(chosen, training_plan(chosen, probe, split), launch_plan(chosen, processes), split, folder)
    if folder.exists():
        return _finished(job, resume=resume)
    refuse_missing_tracker(chosen.evaluate)
    refuse_missing_library(chosen)
    refuse_unfit_launch(chosen, processes)
    held.enter_context(checkpoints.alone(job.work))
    if folder.exists():  # another process finished it just now
        return _finished(job, resume=resume)
    checkpoints.check(job.work, job.noted, resume=resume)
    return job


def _finished(job: _Job, *, resume: bool) -> TrainedAdapter:
    """The adapter that lies in its folder already, if it is the one that is asked for."""
    folder, plan = job.folder, job.plan
    provenance = read_provenance(folder) if folder.is_dir() else None
    if provenance is None or not resume:
        raise InputError(
            str(folder),
            expected="a new folder for the adapter",
            got="one that exists",
            remedy="Give another --out, or delete it." if provenance is None else "Pass --resume to keep it as it is.",
        )
    per_step = "samples_per_step"
    made = {key: getattr(provenance, key) for key in plan} | {"launch": {per_step: provenance.training.get(per_step)}}
    checkpoints.require_same_plan(made, {**plan, "launch": {per_step: job.launch[per_step]}}, str(folder))
    return TrainedAdapter(folder, provenance, checkpoints.read_losses(folder))


def _open_session(recipe: Recipe, probe: Probe, split: HeldOut, progress: TextIO) -> _Session:
    """Load the base, find the end token, encode every sample, and attach LoRA."""
    import torch
    from transformers import set_seed

    gpu = torch.cuda.is_available()
    if gpu and recipe.dtype == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise InputError("dtype", expected="one that this GPU has", got="bfloat16", remedy="Use dtype: float32.")
    # On a CPU the weights stay float32 and only products are bfloat16 (autocast): about twice as fast as float32.
    weights = recipe.dtype if gpu else "float32"
    loaded = load_processor_and_model(
        recipe.base_location,
        dtype=weights,
        device="cpu",
        revision=recipe.revision,
        quantisation=recipe.quantisation,
    )
    tokenizer = loaded.processor.tokenizer
    encoder = encoder_for(loaded.processor, stop_ids(loaded.model, tokenizer), recipe.base, recipe.max_length)
    protocol = protocol_named(recipe.protocol)
    frame_of = frames_of(loaded.processor) if protocol.needs_frame else None
    teaching = Teaching(protocol, recipe.list_order, recipe.seed, frame_of, recipe.budgets, recipe.against)
    data = EncodedSamples(lambda epoch: samples(probe, split.trained, teaching, epoch), encoder)
    print(f"encoding {len(data)} images", file=progress, flush=True)
    for index in range(len(data)):  # all of them now, so that a sample that is too long is found before training
        data[index]
    text_config = loaded.model.config.get_text_config()
    if not getattr(text_config, "num_kv_shared_layers", 0):
        text_config.use_cache = False
    set_seed(recipe.seed)
    model, targets = attach_lora(loaded.model, recipe, recipe.revision)
    collator = Collator(tokenizer.pad_token_id)
    asking = _probe_callback(recipe, probe, split, loaded.processor, progress)
    return _Session(model, targets, data, collator, encoder.end.text, asking)


def _probe_callback(
    recipe: Recipe, probe: Probe, split: HeldOut, processor: Any, progress: TextIO
) -> ProbeCallback | None:
    """What asks the probe during training, where the recipe says so."""
    if recipe.evaluate is None:
        return None
    from boxlist.adapters_training.probe_callback import Dev, ProbeCallback

    asked = probe_named(recipe.evaluate.task) if recipe.evaluate.task else probe
    dev = Dev(recipe.evaluate, asked, split.asked, protocol_named(recipe.protocol))
    return ProbeCallback(dev, processor, recipe, progress)


def _start(job: _Job) -> tuple[int, Path] | None:
    """Note the plan; the step and the folder of the checkpoint from which the training goes on, if there is one."""
    checkpoints.begin(job.work, job.noted)
    return checkpoints.last_checkpoint(job.work)


def _run(
    session: _Session, job: _Job, last: tuple[int, Path] | None, processes: Processes, progress: TextIO
) -> TrainingLog:
    """Train, or go on from the last checkpoint; returns Trainer's log."""
    from transformers import TrainerState, set_seed

    from boxlist.adapters_training.progress import StopRequest, Watch
    from boxlist.adapters_training.trainer import list_trainer

    recipe = job.recipe
    if last is not None and last[0] >= recipe.steps:  # killed between the last step and the renaming
        return _log(TrainerState.load_from_json(str(last[1] / "trainer_state.json")))
    stop = StopRequest()
    trainer = list_trainer(session.model, recipe, session.data, session.collator, job.work)
    trainer.add_callback(Watch(progress, stop, processes))
    if session.probe is not None:
        session.probe.join(trainer, job.work if processes.rank == 0 else None)
    if processes.rank:
        set_seed(recipe.seed + processes.rank)  # each its own dropout
    with stop.on_signals(progress):
        trainer.train(resume_from_checkpoint=str(last[1]) if last else None)
    if trainer.state.global_step < recipe.steps:
        print(
            f"stopped at step {trainer.state.global_step} of {recipe.steps}; continue with --resume",
            file=progress,
            flush=True,
        )
        raise KeyboardInterrupt
    return _log(trainer.state)


def _log(state: Any) -> TrainingLog:
    log: list[dict[str, float]] = state.log_history
    return TrainingLog([entry["loss"] for entry in log if "loss" in entry], probe_history(log))


def _publish(session: _Session, job: _Job, log: TrainingLog) -> TrainedAdapter:
    """Put the finished adapter together inside the training's folder, and rename it into its place."""
    from boxlist.adapters_training.adapter_files import write_adapter
    from boxlist.adapters_training.trainer import LOSS_NORMALISATION

    losses, recipe, work, folder = log.losses, job.recipe, job.work, job.folder
    last = checkpoints.last_checkpoint(work)
    if last is None or last[0] < recipe.steps:
        raise AssertionError(f"{work}: no checkpoint of the last step")
    training = {
        "target_pattern": recipe.target_pattern,
        "matched_modules": session.targets.counts,
        "trainable_parameters": recipe.rank * session.targets.parameters_per_rank,
        "loss_normalisation": LOSS_NORMALISATION,
        **job.launch,
        "optimizer": optimizer_here(recipe),
        "device": _device(),
        "end_of_turn": session.end_of_turn,
        "longest_sample_tokens": session.data.longest,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        IMAGES: _first_image(session.data),
    }
    result = work / checkpoints.RESULT
    provenance = write_adapter(last[1], result, job.plan, training, losses)
    keep_probe_log(log.probe, work, result)
    folder.parent.mkdir(parents=True, exist_ok=True)
    result.rename(folder)
    shutil.rmtree(work)
    return TrainedAdapter(folder, provenance, losses)


def _first_image(data: EncodedSamples) -> dict[str, Any]:
    """How images were resized, and what became of the first."""
    first = data.samples[0]
    image = open_rgb(first.file, first.name)
    return images_record(data.encoder.processor, image.size, data[0].per_image)


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
