"""`boxlist run --model boxlist_openai` against the faulty server: the run folder, resuming, identity and secrets."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.cli import main
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.probes import probe_named

from .conftest import FaultyServer, Reply, event, good, list_for

if TYPE_CHECKING:
    from collections.abc import Callable

DENSE = "boxlist_dense_bbox_shapes"
N = 6
QUICK = "retries=3,backoff=0.001,concurrency=3"


def words(server: FaultyServer, out: Path, *more: str, arguments: str = QUICK, model: str = "toy") -> list[str]:
    given = f"base_url={server.base_url},model={model},{arguments}"
    run = ["run", "--model", "boxlist_openai", "--model-args", given, "--tasks", DENSE, "--limit", str(N)]
    return [*run, "--out", str(out), "--name", "night", *more]


def stored(out: Path) -> dict[int, dict[str, Any]]:
    """The answers on disk by image id; each image once."""
    path = out / "night" / "answers.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found = {line["image_id"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def refusal(capsys: pytest.CaptureFixture[str], given: list[str]) -> str:
    """The one line that a refused command says, without what it said before."""
    assert main(given) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("boxlist: ")


@pytest.fixture
def finished(faulty: FaultyServer, tmp_path: Path) -> Path:
    """A run that nothing disturbed."""
    assert main(words(faulty, tmp_path)) == 0
    return tmp_path


def test_what_is_sent_and_what_is_written(faulty: FaultyServer, finished: Path) -> None:
    run = json.loads((finished / "night" / "run.json").read_text())
    assert (run["status"], run["model"], run["answers"], run["tokens"]) == ("complete", "boxlist_openai", N, 7 * N)
    assert run["base"] == {
        "path": "toy", "base_url": faulty.base_url, "model": "toy",
        "weights": "as the server says; boxlist cannot hash them", "served": {"id": "toy", "max_model_len": 4096},
    }  # fmt: skip
    assert (run["adapter"], run["dtype"], run["device"], run["dtype_used"], run["options"]) == (*[None] * 4, {})
    assert run["versions"].keys() == {"python", "boxlist", "httpx", "lmms-eval", "numpy", "pillow"}
    texts = {image_id: answer["text"] for image_id, answer in stored(finished).items()}
    assert len(texts) == N
    assert set(texts.values()) == {list_for(body) for body in faulty.bodies}
    assert (finished / "night" / "scores.json").exists()
    probe = probe_named(DENSE)
    chosen = {Path(document["file"]).read_bytes() for document in documents(probe.dataset, "test")[:N]}
    for body in faulty.bodies:
        ((image, text),) = [message["content"] for message in body.pop("messages")]
        assert text["text"].startswith("Detect every object in the image.")
        media, _, content = image["image_url"]["url"].partition(";base64,")
        assert media in {"data:image/png", "data:image/jpeg"}
        assert base64.b64decode(content) in chosen
        limit = probe.generation_kwargs["max_new_tokens"]
        assert body == {
            "model": "toy", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": limit,
            "temperature": 0.0,
        }  # fmt: skip


def test_a_finished_run_asks_nothing(faulty: FaultyServer, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    before = stored(finished)
    asked = len(faulty.bodies)
    assert main([*words(faulty, finished, arguments="concurrency=1"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["computed"] == 0
    assert len(faulty.bodies) == asked
    assert stored(finished) == before


def test_a_server_that_dies_and_comes_back_later(
    faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answers three questions and then cuts every answer; the same command continues once it is well again."""
    answered: list[str] = []

    def dying(body: dict[str, Any], _nth: int) -> Reply:
        if len(answered) == 3:
            return Reply((event(list_for(body)[:40]),), then="cut")
        answered.append(list_for(body))
        return good(answered[-1])

    faulty.behave = dying
    line = refusal(capsys, words(faulty, tmp_path))
    assert line.startswith(f"{faulty.base_url}: {DENSE}, document ")
    assert line.endswith("after 4 attempts. The same command continues once the server is well.")
    before = stored(tmp_path)
    assert {answer["text"] for answer in before.values()} == set(answered)
    faulty.behave = lambda body, _nth: good(list_for(body))
    asked = len(faulty.bodies)
    assert main(words(faulty, tmp_path)) == 0
    after = stored(tmp_path)
    assert len(faulty.bodies) - asked == N - 3
    assert dict(list(after.items())[:3]) == before
    assert {answer["text"] for answer in after.values()} == {list_for(body) for body in faulty.bodies}


def test_ctrl_c_leaves_a_folder_that_continues(faulty: FaultyServer, tmp_path: Path, data_root: Path) -> None:
    faulty.behave = lambda body, _nth: (
        good(list_for(body)) if len(faulty.bodies) <= 3 else Reply((event(list_for(body)[:40]),), then="hang")
    )
    command = [str(Path(sys.executable).with_name("boxlist")), *words(faulty, tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BOXLIST_DATA": str(data_root)}
    with subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE) as process:
        while len(stored(tmp_path)) < 3:
            try:
                process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"it ended early: {process.communicate()[1]}")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == (
        f"boxlist: {tmp_path / 'night'}: stopped with 3 of {N} answers kept; the same command continues"
    )
    assert "Traceback" not in errors
    before = stored(tmp_path)
    assert len(before) == 3
    faulty.behave = lambda body, _nth: good(list_for(body))
    assert main(words(faulty, tmp_path)) == 0
    after = stored(tmp_path)
    assert {key: after[key] for key in before} == before
    assert {answer["text"] for answer in after.values()} == {list_for(body) for body in faulty.bodies}


def test_the_key_is_sent_and_written_nowhere(
    faulty: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-secret-0123")
    arguments = f"{QUICK},api_key_env=TOY_KEY"
    echo = Reply(('{"error": "no quota for sk-secret-0123"}',), status=429, kind="application/json")
    faulty.behave = lambda body, _nth: good(list_for(body)) if len(faulty.bodies) <= 3 else echo
    line = refusal(capsys, ["--debug", *words(faulty, tmp_path, arguments=arguments)])
    assert "got status 429: no quota for (key), after 4 attempts" in line
    assert {headers["authorization"] for headers in faulty.headers} == {"Bearer sk-secret-0123"}
    faulty.behave = lambda body, _nth: good(list_for(body))
    assert main(words(faulty, tmp_path, arguments=arguments)) == 0
    captured = capsys.readouterr()
    written = b"".join(path.read_bytes() for path in (tmp_path / "night").iterdir())
    assert b"TOY_KEY" in written
    assert "secret" not in captured.out + captured.err + written.decode()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"max_model_len": 8192}, "base served max_model_len: 4096 -> 8192"),
        ({"root": "org/other"}, "base served root: none -> org/other"),
        ({"created": 2, "permission": [{"id": "modelperm-2"}]}, None),
    ],
)
def test_another_model_behind_the_name_refuses_reuse(
    faulty: FaultyServer, finished: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], told: str | None
) -> None:
    faulty.models[0] |= change
    if told is None:
        assert main(words(faulty, finished)) == 0
        return
    assert refusal(capsys, words(faulty, finished)) == (
        f"{finished / 'night'}: expected the inputs that its answers were made from, got {told}. "
        "Take another --name, or delete its answers and start again with --fresh."
    )


def test_another_address_refuses_reuse(
    faulty: FaultyServer, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = faulty.base_url
    faulty.stop()
    faulty.port = 0
    faulty.start()
    assert f"base base_url: {before[:44]}" in refusal(capsys, words(faulty, finished))


BAD: dict[str, tuple[Any, str]] = {
    "401": (
        Reply((), status=401),
        (
            "{url}/models: expected a key that this server takes, got 401 with no key. "
            "Name its variable: api_key_env=OPENAI_API_KEY"
        ),
    ),
    "loading": (
        Reply((), status=503),
        "{url}/models: expected a server that is ready, got 503. Try again in a while.",
    ),
    "page": (
        Reply(("<html>",), kind="text/html"),
        (
            "{url}/models: expected a list of models as JSON, got no JSON object: '<html>'. "
            "Check base_url; it usually ends with /v1."
        ),
    ),
    "other JSON": (Reply(('{"data": 5}',), kind="application/json"), "got JSON without data."),
    "redirect": (
        Reply((), status=302, headers=(("location", "http://169.254.169.254/"),)),
        "got a redirect to http://169.254.169.254/. boxlist follows none: give the right base_url.",
    ),
    "other model": (
        [{"id": "zoo"}, {"id": "toys"}],
        "model 'toy': expected one of those that {url} serves: toys, zoo, got another. Give model= one of them.",
    ),
    "cut": (Reply(('{"data"',), then="cut"), "{url}/models: expected a server that answers, got peer closed"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_servers_are_told_before_anything_is_written(
    faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    faulty.models, message = BAD[kind]
    assert message.format(url=faulty.base_url) in refusal(capsys, words(faulty, tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert faulty.bodies == []


def test_no_server(faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty.stop()
    line = refusal(capsys, words(faulty, tmp_path))
    faulty.start()
    assert line.startswith(f"{faulty.base_url}/models: expected a server that answers, got ")
    assert line.endswith("Start it, or correct base_url.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "models", [Reply((), status=404), Reply(("oops",), status=500), []], ids=["404", "500", "none"]
)
def test_a_server_without_a_list_of_models(
    faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], models: Any
) -> None:
    """Then only a question shows whether the model is there."""
    faulty.models = models
    missing = Reply(('{"error": {"message": "no such model"}}',), status=404, kind="application/json")
    faulty.behave = lambda _body, _nth: missing
    assert refusal(capsys, words(faulty, tmp_path)) == (
        f"model 'toy': expected one that {faulty.base_url} serves: (nothing that it lists), "
        "got status 404: no such model. Give model= one that it serves."
    )
    assert not list(tmp_path.rglob("answers.jsonl"))
    faulty.behave = lambda body, _nth: good(list_for(body))
    assert main(words(faulty, tmp_path)) == 0
    assert json.loads((tmp_path / "night" / "run.json").read_text())["base"]["served"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--controls", "no_repeat_ngram_size=3"],
            "boxlist_openai: no_repeat_ngram_size: expected options that servers",
        ),
        (["--gen-kwargs", "num_beams=2"], "boxlist_openai: num_beams: expected options that servers have"),
        (["--model-args", "model=toy"], "boxlist_openai: expected base_url=http://127.0.0.1:8000/v1, got none."),
        (["--model-args", "base_url=http://127.0.0.1:1/v1"], "--model-args: expected model=NAME, got none."),
    ],
)
def test_wrong_words(
    faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert message in refusal(capsys, words(faulty, tmp_path, *more))
    assert faulty.bodies == []
    assert list(tmp_path.iterdir()) == []


def test_batch_size_is_concurrency_s(faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, words(faulty, tmp_path, "--batch-size", "4"))
    assert line.startswith("boxlist_openai: batch_size: expected 1, got 4. concurrency= says how many images")
    assert list(tmp_path.iterdir()) == []


def test_lmms_eval_finds_it_and_gets_sealed_texts(faulty: FaultyServer, ask: Callable[..., list[Any]]) -> None:
    from lmms_eval.models.registry_v2 import ModelRegistryV2

    from boxlist.models.openai.model import BoxlistOpenAI
    from boxlist.tasks.sealed import unseal

    registry = ModelRegistryV2()
    registry.load_entrypoint_manifests()
    assert registry.get_model_class("boxlist_openai") is BoxlistOpenAI
    model = BoxlistOpenAI.create_from_arg_string(
        f"base_url={faulty.base_url},model=toy,protocol=norm1_xyxy,concurrency=2",
        {"batch_size": "1", "max_batch_size": None, "device": None},
    )
    faulty.behave = lambda body, _nth: (
        good("[]") if "1." in json.dumps(body["messages"]) else Reply((event("[]", finish="stop"),))
    )
    requests = ask(model, [(f"Question {row}.", {"max_new_tokens": 9}, "a") for row in range(2)])
    sealed = [unseal(text) for text in model.generate_until(requests)]
    assert [(s.text, s.finish, s.tokens) for s in sealed] == [("[]", "eos", None), ("[]", "eos", 7)]
    assert {s.protocol for s in sealed} == {model.protocol}
    model.clean()
    assert len(model.generate_until(requests)) == 2
