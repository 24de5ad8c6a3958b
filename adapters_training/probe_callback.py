"""Ask a probe while an adapter trains, and log F1, duplicate rate and max repeat. The training does not feel it.

Answers are greedy. Random states, train mode and generation config are put back as they were, so the adapter is the
same, bit for bit, with and without it.
"""

from __future__ import annotations

import random
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from transformers import TrainerCallback

from boxlist.adapters_training.held_out import LOGS, PREFIX
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import summarise
from boxlist.models.hf import BoxlistHF
from boxlist.tasks.probes import score_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from boxlist.adapters_training.held_out import Evaluate
    from boxlist.adapters_training.recipe import Recipe
    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document
    from boxlist.tasks.probes import Probe

LOGGED = ("f1@0.3", "duplicate_rate", "max_repeat", "parse_valid", "target_shape_valid", "count_exact")
_RESAMPLES = 2  # intervals are not shown, and made all the same


class Dev(NamedTuple):
    """What is asked during training: the option of the recipe, its probe, and images that are not trained on."""

    evaluate: Evaluate
    probe: Probe
    documents: Sequence[Document]
    protocol: Protocol


class _Request(NamedTuple):
    """One question in the form of lmms-eval's requests."""

    args: tuple[str, Any, Mapping[str, Any], int, str, str]


class ProbeCallback(TrainerCallback):  # type: ignore[misc] # transformers is not typed
    """Asks the probe every so many steps, and after the last. `join` makes it a part of a training."""

    def __init__(self, dev: Dev, processor: Any, recipe: Recipe, out: TextIO) -> None:
        self.dev, self.processor, self.out = dev, processor, out
        self.trainer: Any = None
        self._bfloat16 = recipe.dtype == "bfloat16"

    def join(self, trainer: Any, work: Path | None) -> None:
        """Become a callback of the trainer, and so does the tracker, whose files go below `work`: of several processes
        only the first has one."""
        self.trainer = trainer
        trainer.add_callback(self)
        tracker = None if work is None else reporter(self.dev.evaluate.report_to, work)
        if tracker is not None:
            trainer.add_callback(tracker)

    def on_step_end(self, _args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        step, total = state.global_step, state.max_steps
        if step % self.dev.evaluate.every and step != total:
            return
        with undisturbed(model), torch.autocast(model.device.type, torch.bfloat16, enabled=self._bfloat16):
            figures = ask(self.dev, self.processor, model)
        due = control.should_log
        self.trainer.log({f"{PREFIX}{name}": value for name, value in figures.items()})
        control.should_log = due  # Trainer takes any log for the one of the loss, which is still to come
        words = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"probe {step}/{total}  {words}", file=self.out, flush=True)


def ask(dev: Dev, processor: Any, model: Any) -> dict[str, float]:
    """The logged figures of the probe's dev images; figures that are undefined are left out."""
    answering = BoxlistHF.of_loaded(processor, model, protocol=dev.protocol.name, batch_size=dev.evaluate.batch_size)
    task, documents = dev.probe.task, dev.documents
    answering.task_dict[task] = {"train": documents}
    requests = [
        _Request((dev.probe.prompt, lambda document: _messages(dev.probe, document), kwargs, index, task, "train"))
        for kwargs in [dev.probe.generation_kwargs]
        for index in range(len(documents))
    ]
    given = [
        GivenAnswer(documents[index]["image_id"], answer.text, answer.triggered, answer.frame_wh_px, answer.tokens)
        for index, answer in answering.answers(requests)
    ]
    rows = score_rows(dev.probe, given, documents, dev.protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)
        figures = summarise(rows, [name for name in LOGGED if name in dev.probe.metrics], resamples=_RESAMPLES)
    return {name: figure["value"] for name, figure in figures.items() if figure["value"] is not None}


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Evaluate in between: afterwards modes, random states and generation config are what they were."""
    modes = {module: module.training for module in model.modules()}
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    generation_config = base.generation_config
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - Trainer's own generator
    devices = [model.device] if model.device.type == "cuda" else []
    model.eval()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        base.generation_config = generation_config
        for module, training in modes.items():
            module.training = training


def reporter(name: str, work: Path) -> Any | None:
    """transformers' callback for a tracker, None for `none`; `held_out.refuse_missing_tracker` was asked before."""
    if name == "none":
        return None
    from transformers import integrations

    if name == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        return integrations.TensorBoardCallback(SummaryWriter(str(work / LOGS)))
    return {"wandb": integrations.WandbCallback, "trackio": integrations.TrackioCallback}[name]()


def _messages(probe: Probe, document: Document) -> list[dict[str, Any]]:
    """The question as evaluation asks it."""
    words = {"type": "text", "text": probe.prompt, "template": probe.prompt, "question": document["question"]}
    return [{"role": "user", "content": [{"type": "image", "url": document["file"]}, words]}]
