"""The pocket models: real architectures of a few million parameters, trained from scratch in this repository."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = Path(__file__).resolve().parent / "qwen3vl"
