"""Upload the policy of a run to the hub: what would be uploaded, and the upload itself."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rftcore.errors import HubError, RunError, one_line
from rftcore.models.fingerprint import fingerprint
from rftcore.pipeline.card import HERE
from rftcore.runs import PHASES, RunFolder

LEFT_OUT = ("training_args.bin",)  # a pickle with paths of this machine, which nothing reads


@dataclass(frozen=True)
class Upload:
    """What is uploaded where. warnings: why the run would be rejected without `anyway`."""

    repo: str
    private: bool
    folder: Path
    files: Sequence[str]
    card: str | None
    warnings: Sequence[str]

    def lines(self) -> list[str]:
        """The upload for a person to read, a line per file."""
        sizes = [(name, (self.folder / name).stat().st_size) for name in self.files]
        total = sum(size for _, size in sizes)
        listed = [f"  {_size(size):>9}  {name}" for name, size in sizes]
        who = "private" if self.private else "public: everyone can download it"
        return [
            f"from {self.folder}",
            f"to   {self.repo} on the hub ({who})",
            *listed,
            f"  {_size(total):>9}  in all",
            *(f"note: {warning}" for warning in self.warnings),
        ]


def prepare_upload(
    path: str | Path,
    repo: str,
    *,
    phase: str | None = None,
    public: bool = False,
    anyway: bool = False,
) -> Upload:
    """The upload of a run's policy, of its last phase or the named one.

    anyway: also of a run that has not ended, and of a smoke run.
    Raises: RunError if the run has no such policy, or should not be published; HubError for a
    name that the hub does not take.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repo, re.ASCII):
        raise HubError(f"{repo!r} is not a name on the hub: give ORG/NAME, such as me/my-model")
    run = RunFolder.open(path)
    trained = [name for name in PHASES if run.done(name)]
    if phase not in (None, *trained):
        raise RunError(f"run {run.path} has no policy of {phase}: it has {_listed(trained)}")
    if not trained:
        raise RunError(f"run {run.path} has no policy to upload: no phase has ended")
    chosen = phase or trained[-1]
    folder = run.policy(chosen)
    if run.phase(chosen).get("model_sha256") != fingerprint(folder):
        raise RunError(
            f"{folder} is not what {chosen} wrote (model_sha256 in {chosen}.json), so its card "
            "would be wrong: restore it from a copy, or upload it yourself by `hf upload`"
        )
    warnings = list(_doubts(run, chosen))
    if warnings and not anyway:
        raise RunError(f"{'; '.join(warnings)}. To upload it anyway, give --anyway")
    card = run.card(chosen).read_text(encoding="utf-8") if run.card(chosen).is_file() else None
    return Upload(repo, not public, folder, _files(folder), card, warnings)


def upload(what: Upload) -> str:
    """Upload in one commit; the address of the model.

    A repository that exists must be as private as requested.
    Raises: HubError for whatever the hub answers.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api: Any = HfApi()
    try:
        api.whoami()
    except Exception as error:  # no token, a wrong one, no network: each its own exception
        raise HubError(
            f"the hub does not let you in ({one_line(error, 160)}): log in by `hf auth login`"
        ) from error
    try:
        address = str(api.create_repo(what.repo, private=what.private, exist_ok=True))
        if (found := bool(api.model_info(what.repo).private)) != what.private:
            raise HubError(
                f"{what.repo} exists and is {'private' if found else 'public'}: "
                + ("leave --public out" if found else "give --public")
                + ", or choose another name"
            )
        operations = [CommitOperationAdd(name, _content(what, name)) for name in what.files]
        message = f"Upload a policy trained with rft ({what.folder.parent.name})"
        api.create_commit(what.repo, operations, commit_message=message)
    except HubError:
        raise
    except Exception as error:
        reason = one_line(error, 300)
        raise HubError(f"the hub did not take the upload to {what.repo}: {reason}") from error
    return address


def _doubts(run: RunFolder, phase: str) -> list[str]:
    found = []
    if run.manifest().get("smoke"):
        found.append(f"{run.path} is a smoke run, whose model means nothing")
    if not run.ended():
        found.append(
            f"run {run.path} has not ended, so there is no table of its accuracy: continue it by "
            f"rft train --resume {run.path}"
        )
    if not run.card(phase).is_file():
        found.append("the policy has no model card, which a run writes at its end")
    return found


def _files(folder: Path) -> list[str]:
    found = (file for file in sorted(folder.iterdir()) if file.is_file())
    return [f.name for f in found if f.name not in LEFT_OUT and not f.name.startswith(".")]


def _content(what: Upload, name: str) -> str | bytes:
    """A file's path; of the card its text, with the model's name on the hub in the example."""
    if what.card is None or what.folder / name != what.folder / "README.md":
        return str(what.folder / name)
    return what.card.replace(HERE, f"source = {json.dumps(what.repo)}").encode()


def _listed(phases: Sequence[str]) -> str:
    return " and ".join(phases) if phases else "none"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
