"""Put an adapter on the Hugging Face hub, when it is asked for by name and never otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from boxlist.adapters_training.provenance import PROVENANCE_FILE
from boxlist.adapters_training.verification import WRONG, verify_adapter
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.errors import InputError
from boxlist.models.identity import ADAPTER_CONFIG

if TYPE_CHECKING:
    from pathlib import Path

PUSHED = (WEIGHTS_FILE, ADAPTER_CONFIG, PROVENANCE_FILE, "README.md", "losses.json", "probe.json")
"""What goes to the hub, where it is there; nothing else of the folder does."""

_REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")


def push_adapter(folder: Path, repository: str, *, public: bool = False) -> str:
    """Upload a verified adapter as one commit, and return its address; a repository that is missing is made, private.

    An existing repository keeps who may see it. Raises `InputError` for an adapter with a fault, for one without
    provenance, for a name that is none, and for what the hub refuses: no token, no right, no network.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    if not _REPOSITORY.fullmatch(repository):
        raise InputError(
            "adapter push: --to", expected="OWNER/NAME", got=repr(repository)[:80], remedy="Name a repository."
        )
    faults = [finding for finding in verify_adapter(folder) if finding.outcome == WRONG]
    if faults or not (folder / PROVENANCE_FILE).is_file():
        raise InputError(
            str(folder),
            expected="an adapter that verifies, with its provenance",
            got=f"{faults[0].matter}: {faults[0].words}"[:200] if faults else "no provenance",
            remedy=f"See boxlist adapter verify {folder}",
        )
    hub = HfApi()
    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[name for name in PUSHED if (folder / name).is_file()],
            commit_message="Adapter trained by boxlist",
        )
    except (HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError) as error:
        raise InputError(
            f"hub repository {repository}",
            expected="one that you may write to",
            got=" ".join(str(error).split())[:200].rstrip("."),
            remedy="Log in with: hf auth login; or set HF_TOKEN.",
        ) from error
    return str(commit.commit_url)
