"""A small study of its own, and a pool in a folder of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUDY = """\
title: Mine
asks: What happens?
columns: [target, duplicate_rate, trigger_rate]
models:
  small:
    pretrained: pocket:qwen3vl
    protocol: norm1000_xyxy
    batch_size: 2
    tasks: {dense: boxlist_dense_bbox_shapes, inventory: boxlist_inventory_shapes}
    adapters:
      quick: {title: q/v rank 8, recipe: pocket_shapes_random_qv_r8, changes: {rank: 4}}
      given: {title: from elsewhere}
    values: {budget: 8, budgets: [4, 5]}
blocks:
  - adapter: quick
    rows:
      - {row: base, adapter: none}
      - {row: "budget {n}", controls: "budget={n}", each: {n: budgets}}
      - {row: budget 4 + stop, controls: "budget=4,repeat_stop"}
      - {row: inventory, task: inventory, target: target_shape_valid}
"""


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., str]:
    """`write_study(old=new, ...)`: the study above, with pieces of its text replaced, as a file; returns its path."""

    def write(*changes: tuple[str, str], name: str = "mine.yaml") -> str:
        text = STUDY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / name
        file.write_text(text)
        return str(file)

    return write
