"""The stock `lmms-eval` command gives the figures that `boxlist run` gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from boxlist.tasks.probes import tasks_path

DENSE = "boxlist_dense_bbox_shapes"


def test_stock_lmms_eval_gives_the_same_scores(unbroken: Path, pocket_base: Path, tmp_path: Path) -> None:
    words = [
        *(str(Path(sys.executable).with_name("lmms-eval")), "--model", "boxlist_hf"),
        *("--model_args", f"pretrained={pocket_base},device=cpu", "--include_path", str(tasks_path())),
        *("--tasks", DENSE, "--limit", "8", "--gen_kwargs", "max_new_tokens=48", "--output_path", str(tmp_path)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    files = list(tmp_path.rglob("*_results.json"))
    assert len(files) == 1, done.stdout[-2000:] + done.stderr[-2000:]
    stock = json.loads(files[0].read_text())["results"][DENSE]
    ours = json.loads((unbroken / "scores.json").read_text())["tasks"][DENSE]["metrics"]
    compared = 0
    for name, figure in ours.items():
        for key, value in ((name, figure["value"]), (f"{name}_ci_low", figure["ci_low"])):
            if f"{key},none" in stock and value is not None:
                assert stock[f"{key},none"] == value, key
                compared += 1
    assert compared >= 15
    assert stock["f1@0.3,none"] == ours["f1@0.3"]["value"]
