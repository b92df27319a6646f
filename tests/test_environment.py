"""`rft doctor`: devices, packages and folders of this machine."""

import json
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from rftcore import cli
from rftcore.errors import ModelError
from rftcore.models import processors
from rftcore.pipeline import environment
from rftcore.plugins.doctor import report
from rftcore.plugins.doctor.installed import Finding
from rftcore.testing.families import tiny_paligemma, tiny_qwen2_vl


@pytest.fixture
def installed(monkeypatch):
    """Replaces the installed version of a package."""
    versions = {}
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: versions.get(name) or real(name))
    return versions


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    """Findings of `rft plugins doctor`, in place of examining each plugin in its own process."""
    found = []
    monkeypatch.setattr(report, "examine", lambda: list(found))
    return found


def doctor(*words):
    return CliRunner().invoke(cli.main, ["doctor", *words])


def test_the_versions_are_the_installed_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("RFT_CACHE", str(tmp_path / "not" / "there"))
    found = json.loads(doctor("--json").output)

    versions = {one["name"]: one["version"] for one in found["packages"]}
    assert versions["torch"] == metadata.version("torch")
    assert {place["what"]: place["path"] for place in found["places"]}["RFT_CACHE"] == str(
        tmp_path / "not" / "there"
    )
    assert all(place["free"] > 0 for place in found["places"])


@pytest.mark.parametrize(
    ("name", "version", "state"),
    [
        ("vllm", "0.30.0", "ok"),
        ("vllm", "0.99.0", "fault"),
        ("vllm", "0.21.3", "fault"),
        ("trl", "2.0.0", "fault"),
        ("deepspeed", "0.18.6", "ok"),
    ],
)
def test_a_version_is_compared_with_what_trl_and_rftcore_support(name, version, state, installed):
    installed[name] = version
    found = environment.examine()
    (package,) = [one for one in found.packages if one.name == name]

    assert (package.version, package.state) == (version, state)
    assert bool(found.faults) == (state == "fault")


def test_every_package_of_an_extra_that_users_install_is_listed():
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    of_users = [extras[name] for name in extras if name not in {"dev", "docs", "testing"}]
    names = {Requirement(need).name for needs in of_users for need in needs}

    assert names - {"rftcore"} <= set(environment.OPTIONAL)


def test_what_is_missing_and_optional_is_no_fault(monkeypatch):
    monkeypatch.setattr(environment, "_version", lambda name: "" if name == "vllm" else "1000")
    (vllm,) = [one for one in environment._optional() if one.name == "vllm"]

    assert (vllm.state, vllm.supported) == ("missing", "<=0.31.0,>=0.22.0")


def test_a_fault_has_the_command_that_repairs_it(installed):
    installed["vllm"] = "0.99.0"
    done = doctor()

    assert done.exit_code == 1
    assert "fault: vllm 0.99.0: " in done.output
    assert "pip install 'vllm<=0.31.0,>=0.22.0'" in done.output


def test_without_a_fault_the_exit_code_is_zero():
    done = doctor()

    assert (done.exit_code, done.output.endswith("Nothing is wrong.\n")) == (0, True)


def test_a_fault_of_a_plugin_is_one_of_the_machine(plugins):
    finding = Finding("cubes", "has no hook", "add one")
    plugins.append(report.Checkup("cubes", "1", ">=0.1", 0.1, (), (finding,)))
    done = doctor()

    assert done.exit_code == 1
    assert "plugins: 1 distributions, 1 faults" in done.output
    assert "fault: plugin cubes: has no hook; add one" in done.output


def test_a_model_is_named_with_its_family(tmp_path):
    folder = tiny_qwen2_vl(tmp_path / "qwen")
    done = doctor("--model", str(folder))

    assert done.exit_code == 0
    assert f"model: {folder}, of family qwen2_vl (Qwen2-VL, " in done.output


@pytest.mark.parametrize("package", ["torchvision", "num2words"])
def test_what_the_processor_of_a_model_lacks_is_a_fault(package, monkeypatch, tmp_path):
    folder = tiny_qwen2_vl(tmp_path / "qwen")

    def missing(source, *_):
        raise ModelError(f"its processor needs the package {package}: pip install {package}")

    monkeypatch.setattr(processors, "load_processor", missing)
    done = doctor("--model", str(folder))

    assert done.exit_code == 1
    assert f"fault: model {folder}: its processor needs the package {package}" in done.output


def test_a_model_that_does_not_exist_is_named_once():
    (fault,) = [line for line in doctor("--model", "toyy").output.splitlines() if "fault" in line]

    assert fault.startswith("fault: no model named 'toyy'")
    assert fault.count("toyy") == 1


def test_a_refused_family_is_a_fault_with_the_reason(tmp_path):
    done = doctor("--model", str(tiny_paligemma(tmp_path / "paligemma")))

    assert done.exit_code == 1
    assert "rft does not train it: its processor requires images with every text" in done.output
