"""Keep what the libraries below say off the user's terminal; `boxlist --debug` leaves it there."""

from __future__ import annotations

import logging
import os
import warnings

_ENVIRONMENT = {
    "DATASETS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def quiet_libraries() -> None:
    """Silence progress bars, advice and warnings of other libraries; their errors stay. For a command line only.

    Call it before they are imported: most of them read their environment once.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    for name in ("accelerate", "datasets", "lmms-eval", "peft", "torch", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from loguru import logger

    logger.disable("lmms_eval")
