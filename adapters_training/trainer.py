"""transformers' Trainer for lists: our loss, samples drawn anew each epoch, batches of like lengths where asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from boxlist.adapters_training.loss import loss_instead_of_logits
from boxlist.adapters_training.optimizers import optimizer_here, part_optimizer
from boxlist.adapters_training.recipe import ALL
from boxlist.adapters_training.step_order import StepOrder

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.adapters_training.collator import Collator, EncodedSamples
    from boxlist.adapters_training.recipe import Recipe

LOSS_NORMALISATION = "tokens: summed over the labelled tokens of a step, divided by their number"


class ListTrainer(Trainer):  # type: ignore[misc] # transformers is not typed
    """Trainer whose loss is summed over the labelled tokens of a whole step and divided by their number.

    So every token of a step weighs the same, however samples fall into micro-batches and processes; the models' own
    loss would be a mean of micro-batch means, in which short lists outweigh dense ones.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.model_accepts_loss_kwargs = True  # so that Trainer counts the tokens of a step and divides by nothing else

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The loss of a micro-batch; `num_items_in_batch` are the labelled tokens of the step, in all processes."""
        labels, weights = inputs.pop("labels"), inputs.pop("loss_weights")
        with loss_instead_of_logits(self.accelerator.unwrap_model(model), labels, weights):
            outputs = model(**inputs)
        loss = outputs["logits"] / num_items_in_batch * self.accelerator.num_processes  # which DDP averages
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> StepOrder:
        data, args = train_dataset or self.train_dataset, self.args
        per_step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        grouped = args.train_sampling_strategy == "group_by_length"
        lengths = [data[index].length for index in range(len(data))] if grouped else None
        return StepOrder(data, per_step, args.seed, lengths)


class _Epochs(TrainerCallback):  # type: ignore[misc]
    """Tells the training set which epoch begins, a resumed one included."""

    def __init__(self, data: EncodedSamples) -> None:
        self.data = data

    def on_epoch_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        self.data.begin_epoch(int((state.epoch or 0.0) + 1e-6))


def list_trainer(model: Any, recipe: Recipe, data: EncodedSamples, collator: Collator, work: Path) -> ListTrainer:
    """The trainer of a recipe; its checkpoints go into `work`."""
    arguments = _arguments(recipe, work)
    trainer = ListTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=collator,
        callbacks=[_Epochs(data)],
        optimizers=(part_optimizer(model, recipe, arguments), None),
    )
    trainer.remove_callback(PrinterCallback)
    _keep_sums_exact(trainer.accelerator)
    return trainer


def _keep_sums_exact(accelerator: Any) -> None:
    """Under FSDP let products be bfloat16 where the recipe says so, but neither the loss nor sums of gradients."""
    plugin: Any = getattr(accelerator.state, "fsdp_plugin", None)
    policy = getattr(plugin, "mixed_precision_policy", None)
    if policy is not None:
        plugin.mixed_precision_policy = replace(policy, output_dtype=None, reduce_dtype=torch.float32)


def _arguments(recipe: Recipe, work: Path) -> TrainingArguments:
    gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(work),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim=optimizer_here(recipe),
        seed=recipe.seed,
        bf16=recipe.dtype == "bfloat16",
        activation_checkpointing=recipe.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        train_sampling_strategy="group_by_length" if recipe.group_by_length else "random",
        use_cpu=not gpu,
        ddp_find_unused_parameters=recipe.targets == ALL,
        dataloader_pin_memory=gpu,
        remove_unused_columns=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_steps=recipe.checkpoint_every,
        save_total_limit=2,
        disable_tqdm=True,
        report_to="none",
    )
