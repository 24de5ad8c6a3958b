"""`boxlist adapter push` against a stand-in for the hub, which takes what a commit brings and keeps it."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import huggingface_hub
import pytest

from boxlist import cli
from boxlist.adapters_training.provenance import PROVENANCE_FILE
from boxlist.adapters_training.pushing import push_adapter
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from boxlist.adapters_training.train import TrainedAdapter


class FakeHub:
    """Repositories made, with what was asked for them, and the files of the last commit."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.refuses = False
        self.address = ""

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.refuses:
            return 403, {"error": "You have no right to write here"}
        if path == "/api/repos/create":
            self.made.append(json.loads(body))
            return 200, {"url": f"{self.address}/me/mine"}
        if path == "/api/validate-yaml":  # the head of the card
            return 200, {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return 200, {"files": files}
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        oid = "a" * 40
        return 200, {"commitUrl": f"{self.address}/me/mine/commit/{oid}", "commitOid": oid, "success": True}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, answer = fake.answer(self.path, self._body())
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _body(self) -> bytes:
            if "Content-Length" in self.headers:
                return self.rfile.read(int(self.headers["Content-Length"]))
            body = b""  # in chunks, each with its size before it and a line's end behind
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", fake.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def adapter(trained: TrainedAdapter, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(trained.folder, tmp_path / "adapter")


def test_what_verifies_goes_there_and_nothing_else(
    hub: FakeHub, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (adapter / "notes.txt").write_text("mine")
    assert cli.main(["adapter", "push", str(adapter), "--to", "me/mine"]) == 0
    assert capsys.readouterr().out == f"{hub.address}/me/mine/commit/{'a' * 40}\n"
    assert [(made["name"], made["organization"], made["visibility"]) for made in hub.made] == [
        ("mine", "me", "private")
    ]
    assert set(hub.files) == {"README.md", "adapter_config.json", PROVENANCE_FILE, WEIGHTS_FILE, "losses.json"}
    assert all(content == (adapter / name).read_bytes() for name, content in hub.files.items())


def test_a_public_one_is_public(hub: FakeHub, adapter: Path) -> None:
    push_adapter(adapter, "me/mine", public=True)
    assert [made["visibility"] for made in hub.made] == ["public"]


def test_a_faulty_adapter_never_leaves(hub: FakeHub, adapter: Path) -> None:
    (adapter / "old.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match=r"expected an adapter that verifies, .*old\.bin: a pickle can run code"):
        push_adapter(adapter, "me/mine")
    (adapter / "old.bin").unlink()
    (adapter / PROVENANCE_FILE).unlink()
    with pytest.raises(InputError, match="got no provenance"):
        push_adapter(adapter, "me/mine")
    assert (hub.made, hub.files) == ([], {})


@pytest.mark.parametrize("name", ["mine", "../x", "me/mine/more", "me/", ""])
def test_a_name_that_is_none_is_refused(adapter: Path, name: str) -> None:
    with pytest.raises(InputError, match="adapter push: --to: expected OWNER/NAME"):
        push_adapter(adapter, name)


def test_what_the_hub_refuses_is_said_in_one_line(hub: FakeHub, adapter: Path) -> None:
    hub.refuses = True
    with pytest.raises(InputError, match=r"hub repository me/mine: expected one that you may write to, got .*403"):
        push_adapter(adapter, "me/mine")


def test_without_a_network_it_is_one_line(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"hub repository me/mine: expected one that you may write to, got .*offline"):
        push_adapter(adapter, "me/mine")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    with pytest.raises(InputError, match=r"hub repository me/mine: expected one that you may write to"):
        push_adapter(adapter, "me/mine")


def test_it_must_be_told_whereto(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adapter", "push", str(adapter)]) == 2
    assert (
        capsys.readouterr().err
        == "boxlist: adapter push: expected --to, a hub repository OWNER/NAME, got none. Add it.\n"
    )
