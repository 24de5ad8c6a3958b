"""Every engine, loaded once, on the same two checkpoints. `boxlist_vllm` is among them where vLLM is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from boxlist.models.hf import BoxlistHF
from boxlist.models.openai.model import BoxlistOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..conftest import Recitations, Served

WITH_VLLM = find_spec("vllm") is not None
collect_ignore = [] if WITH_VLLM else ["test_vllm_engine.py"]  # `make test-vllm` collects it


class LoadModel(Protocol):
    """Load a checkpoint behind an engine."""

    def __call__(self, folder: Path, **arguments: Any) -> Any: ...


@pytest.fixture(scope="session")
def load_hf() -> LoadModel:
    return lambda folder, **arguments: BoxlistHF(str(folder), device="cpu", batch_size=4, **arguments)


@pytest.fixture(scope="session")
def load_openai(transformers_serve: Served) -> LoadModel:
    def load(folder: Path, **arguments: Any) -> BoxlistOpenAI:
        url = transformers_serve.base_url
        return BoxlistOpenAI(base_url=url, model=str(folder), concurrency=4, chunk_timeout=600, **arguments)

    return load


@pytest.fixture(scope="session")
def load_vllm() -> Iterator[LoadModel]:
    """On the CPU, in a corner of its memory. What is loaded is ended with the tests."""
    from boxlist.models.vllm.model import BoxlistVLLM

    loaded: list[BoxlistVLLM] = []
    small = {"gpu_memory_utilization": 0.05, "max_model_len": 2048, "enforce_eager": True, "concurrency": 16}

    def load(folder: Path, **arguments: Any) -> BoxlistVLLM:
        loaded.append(BoxlistVLLM(pretrained=str(folder), **{**small, **arguments}))
        return loaded[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        yield load
    for model in loaded:
        model.close()


ENGINES = ["boxlist_hf", "boxlist_openai", *(["boxlist_vllm"] if WITH_VLLM else [])]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def load(request: pytest.FixtureRequest, engine: str) -> LoadModel:
    loader: LoadModel = request.getfixturevalue(engine.replace("boxlist_", "load_"))
    return loader


@pytest.fixture(scope="session")
def reciting(load: LoadModel, recitations: Recitations) -> Any:
    """The reciting model behind the engine."""
    return load(recitations.folder)


@pytest.fixture(scope="session")
def seeing(load: LoadModel, pocket_base: Path) -> Any:
    """The pocket base behind the engine."""
    return load(pocket_base)


@pytest.fixture
def answers(ask: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Ask a model and give its answers in the order of asking: `answers(model, rows, pictures)`."""

    def answered(model: Any, rows: list[Any], pictures: list[Any] | None = None) -> list[Any]:
        requests = ask(model, rows)
        for document, picture in zip(model.task_dict["a"]["test"], pictures or [], strict=False):
            document["image"] = picture
        found = dict(model.answers(requests))
        assert sorted(found) == list(range(len(rows))), "every request is answered, once"
        return [found[index] for index in range(len(rows))]

    return answered
