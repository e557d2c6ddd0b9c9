"""The built package, away from the checkout, in an environment that has its dependencies from another."""

import json
import shutil
import site
import subprocess
import sys
import urllib.request
import venv

import pytest

from assets_data.lineage.receipts.code import ROOT
from tests.chain import environment
from tests.dagster_server import served


@pytest.mark.slow  # builds, installs and starts three processes
def test_the_wheel_brings_what_its_commands_and_servers_need(tmp_path):
    python = install(tmp_path)
    away = tmp_path / "away"
    away.mkdir()
    variables = environment(away / "root")
    where = [python, "-c", "import pipeline_defs; print(pipeline_defs.__file__)"]
    assert str(tmp_path / "venv") in subprocess.check_output(where, cwd=away, env=variables, text=True)
    command = [python.with_name("stemma")]
    assert b"stemma 0." in subprocess.check_output([*command, "--version"], cwd=away, env=variables)
    assert b"0 fresh" in subprocess.check_output([*command, "status"], cwd=away, env=variables)
    with served(command, away, variables) as address, urllib.request.urlopen(f"{address}/server_info") as answer:
        assert "dagster_webserver_version" in json.load(answer)


def install(tmp_path):
    """The interpreter of an environment with the wheel; everything else it sees in this one's folders."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("assets_data", "training", "pipeline_defs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    pip = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, *pip, "-w", str(tmp_path), str(source)], check=True)
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("stemma-*.whl")
    target = subprocess.check_output([python, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    seen = [path for path in sys.path if path.endswith("site-packages")] + site.getsitepackages()
    with open(f"{target}/seen.pth", "w") as file:
        file.write("\n".join(dict.fromkeys(seen)))  # a .pth in those is not read: the checkout stays unseen
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--force-reinstall", "--ignore-installed"]
    subprocess.run([python, *install, str(wheel)], check=True)
    return python
