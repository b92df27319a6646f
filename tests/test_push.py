"""`rft push` shows what it uploads, refuses what should not be published, and uploads no more."""

import re
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rftcore.cli import main
from rftcore.errors import HubError, RunError
from rftcore.models.fingerprint import fingerprint
from rftcore.pipeline.card import HERE
from rftcore.pipeline.push import prepare_upload, upload
from rftcore.runs import RunFolder

huggingface_hub = pytest.importorskip("huggingface_hub")


class Hub:
    """Stands in for `HfApi`: repositories with their files, and what fails."""

    def __init__(self, private=None, fails=""):
        self.repos = {} if private is None else {"me/net": private}
        self.fails, self.files, self.calls = fails, {}, []

    def _call(self, name):
        self.calls.append(name)
        if name == self.fails:
            raise OSError("no network\nhere")

    def whoami(self):
        self._call("whoami")

    def create_repo(self, repo, *, private, exist_ok):
        self._call("create_repo")
        assert exist_ok
        self.repos.setdefault(repo, private)
        return f"https://hub/{repo}"

    def model_info(self, repo):
        return SimpleNamespace(private=self.repos[repo])

    def create_commit(self, repo, operations, *, commit_message):
        self._call("create_commit")
        assert "rft" in commit_message
        for each in operations:
            with each.as_file() as file:
                self.files[each.path_in_repo] = file.read()


@pytest.fixture
def hub(monkeypatch):
    made = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
    return made


def run(folder, *, smoke=False, ended=True, phases=("sft", "grpo")):
    made = RunFolder.create(folder, {"smoke": smoke, "command": ["secret"]}, "task: x")
    for phase in phases:
        made.write_text(f"{phase}/model/config.json", '{"architectures": []}')
        made.write_text(f"{phase}/model/model.safetensors", f"weights of {phase}")
        made.write_text(f"{phase}/model/training_args.bin", "/home/me and a token")
        made.write_text(f"{phase}/model/.cache", "hidden")
        made.write_phase(phase, {"model_sha256": fingerprint(made.model_folder(phase))})
        made.mark_done(phase)
        if ended:
            made.write_card(phase, f"# card of {phase}\n{HERE}  # the folder\n")
    if ended:
        made.write_summary({}, "the table")
    made.unlock()
    return made


FILES = {"README.md", "config.json", "model.safetensors"}


def test_the_policy_of_the_last_phase_is_uploaded_with_its_card(hub, tmp_path):
    what = prepare_upload(run(tmp_path / "r").path, "me/net")

    assert upload(what) == "https://hub/me/net"
    assert hub.files.keys() == FILES
    assert hub.files["model.safetensors"] == b"weights of grpo"
    assert hub.files["README.md"] == b'# card of grpo\nsource = "me/net"  # the folder\n'
    assert hub.repos == {"me/net": True}
    assert hub.calls == ["whoami", "create_repo", "create_commit"]


def test_what_is_listed_is_what_is_uploaded(hub, tmp_path):
    what = prepare_upload(run(tmp_path / "r").path, "me/net", phase="sft", public=True)
    text = "\n".join(what.lines())
    upload(what)

    assert set(re.findall(r"B  (\S+)$", text, re.M)) == {*hub.files} == FILES
    assert "public: everyone can download it" in text
    assert hub.repos == {"me/net": False}
    assert hub.files["model.safetensors"] == b"weights of sft"


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ({"smoke": True}, "is a smoke run"),
        ({"ended": False}, "has not ended.*rft train --resume.*no model card"),
    ],
)
def test_a_run_that_should_not_be_published_is_refused_unless_told(made, named, hub, tmp_path):
    path = run(tmp_path / "r", **made).path
    with pytest.raises(RunError, match=f"{named}.*--anyway"):
        prepare_upload(path, "me/net")

    what = prepare_upload(path, "me/net", anyway=True)
    assert "note: " in "\n".join(what.lines())
    assert upload(what)


def test_a_policy_that_was_changed_is_refused(tmp_path):
    made = run(tmp_path / "r")
    made.write_text("grpo/model/model.safetensors", "other weights")

    with pytest.raises(RunError, match=r"is not what grpo wrote \(model_sha256"):
        prepare_upload(made.path, "me/net", anyway=True)


@pytest.mark.parametrize(
    ("phases", "phase", "named"),
    [((), None, "no phase has ended"), (("sft",), "grpo", "has no policy of grpo: it has sft")],
)
def test_a_phase_that_has_not_ended_has_nothing_to_upload(phases, phase, named, tmp_path):
    with pytest.raises(RunError, match=named):
        prepare_upload(run(tmp_path / "r", phases=phases).path, "me/net", phase=phase)


@pytest.mark.parametrize("repo", ["net", "me/", "/net", "a/b/c", "me/ne t", "../x", "me/..x"])
def test_a_name_that_the_hub_does_not_take_is_an_error(repo, tmp_path):
    with pytest.raises(HubError, match="give ORG/NAME"):
        prepare_upload(run(tmp_path / "r").path, repo)


@pytest.mark.parametrize(("exists", "public"), [(True, True), (False, False)])
def test_a_repository_is_never_more_or_less_public_than_requested(
    exists, public, tmp_path, monkeypatch
):
    hub = Hub(private=exists)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    what = prepare_upload(run(tmp_path / "r").path, "me/net", public=public)

    with pytest.raises(HubError, match=r"exists and is (private: leave|public: give) --?public"):
        upload(what)
    assert hub.files == {}


@pytest.mark.parametrize(
    ("fails", "named"), [("whoami", "hf auth login"), ("create_commit", "did not take the upload")]
)
def test_what_the_hub_answers_is_one_message(fails, named, hub, tmp_path):
    hub.fails = fails

    with pytest.raises(HubError, match=f"no network here.*{named}|{named}.*no network here"):
        upload(prepare_upload(run(tmp_path / "r").path, "me/net"))


@pytest.mark.parametrize(
    ("answer", "options", "uploaded"), [("n\n", [], 0), ("y\n", [], 3), ("", ["--yes"], 3)]
)
def test_the_command_asks_before_it_uploads(answer, options, uploaded, hub, tmp_path):
    path = str(run(tmp_path / "r").path)
    done = CliRunner().invoke(main, ["push", path, "me/net", *options], input=answer)

    assert done.exit_code == 0, done.output
    assert len(hub.files) == uploaded
    assert ("uploaded: https://hub/me/net" in done.output) == bool(uploaded)


def test_where_nobody_can_answer_nothing_is_uploaded(hub, tmp_path):
    done = CliRunner().invoke(main, ["push", str(run(tmp_path / "r").path), "me/net"], input="")

    assert (done.exit_code, hub.files) == (2, {})
    assert "--yes" in done.stderr
