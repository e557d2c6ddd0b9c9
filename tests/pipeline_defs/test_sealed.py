"""Sealed stages: what was declared can be read, whatever else cannot, by Python and by native readers alike."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets_data.lineage import StemmaError, Store
from assets_data.lineage.receipts.code import ROOT
from assets_data.lineage.receipts.reader import read_receipt
from pipeline_defs.catalogue import catalogue
from pipeline_defs.sealed import landlock
from pipeline_defs.sealed.launch import seal
from tests.assets_data.sources.http.corpus import config_of, put_corpus, texts_of
from tests.chain import environment, published_ids, run_chain, stemma
from tests.loopback import serving

pytestmark = pytest.mark.skipif(landlock.abi() < landlock.LEAST_ABI, reason="this kernel has no Landlock to seal with")

STAGES = '''
import os, socket
from dataclasses import dataclass
from pathlib import Path

from assets_data.lineage import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is tried."""

    what: str = option("nothing", "the probe")
    target: str = option("", "what it is tried on")


def make_raw_slice(store, slice_name, config):
    def build(writer):
        writer.write_json("rows.json", [slice_name])
    return store.run_stage(name="planted/raw_slice", module=__name__, config=config, parents={},
                           arguments={"slice": slice_name}, build=build)


def make_dataset_manifest(store, raw_slice, config):
    def build(writer):
        found = PROBES[config.what](config.target, raw_slice)
        writer.write_json("found.json", [str(found)])
    return store.run_stage(name="planted/dataset_manifest", module=__name__, config=config, parents=raw_slice,
                           build=build)


def _parquet(target, parents):
    import pyarrow.parquet as pq
    return pq.read_table(target).num_rows


def _mapped(target, parents):
    import pyarrow as pa
    return pa.memory_map(target).size()


def _polars(target, parents):
    import polars as pl
    return pl.scan_parquet(target).collect().height


def _tokenizers(target, parents):
    from tokenizers import Tokenizer
    return Tokenizer.from_file(target)


def _safetensors(target, parents):
    from safetensors import safe_open
    return safe_open(target, "np")


def _torch(target, parents):
    import torch
    return torch.load(target)


def _caught(target, parents):
    try:
        open(target).read()
    except OSError as error:
        raise RuntimeError("something went wrong") from error


def _parent(target, parents):
    return parents["north"].read_json("rows.json")


def _temporary(target, parents):
    import tempfile
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    return Path(os.environ["HOME"]) == Path(tempfile.gettempdir())


PROBES = {
    "nothing": lambda target, parents: 0,
    "open": lambda target, parents: open(target).read(),
    "list": lambda target, parents: os.listdir(target),
    "write": lambda target, parents: open(target, "w").write("x"),
    "run": lambda target, parents: __import__("subprocess").run(["cat", target], check=True, capture_output=True),
    "tcp": lambda target, parents: socket.create_connection(("127.0.0.1", int(target))),
    "udp": lambda target, parents: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": lambda target, parents: socket.socket(socket.AF_UNIX).connect(target),
    "proc": lambda target, parents: open(f"/proc/{os.getppid()}/environ").read(),
    "variable": lambda target, parents: os.environ[target],
    "getenv": lambda target, parents: os.getenv(target, "another"),
    "parquet": _parquet, "mapped": _mapped, "polars": _polars, "tokenizers": _tokenizers,
    "safetensors": _safetensors, "torch": _torch, "caught": _caught,
    "parent": _parent, "temporary": _temporary,
}
'''
DOMAIN = """
from assets_data.domain import Domain
from assets_data.stage import Many, Stage
from planted.stages import Config

PRESETS = {"demo": Config}
COMMON = {"presets": PRESETS, "unchecked": "a test's", "learns": "nothing"}
DOMAIN = Domain(name="planted", slices="planted.stages:slices", stages=(
    Stage(kind="planted/raw_slice", make="planted.stages:make_raw_slice", says="", sliced=True, source=True, **COMMON),
    Stage(kind="planted/dataset_manifest", make="planted.stages:make_dataset_manifest", says="",
          inputs={"raw_slice": Many("planted/raw_slice")}, **COMMON)))
"""
DRIVER = """
import json, sys
from pathlib import Path
from assets_data.lineage import StemmaError, Store
from pipeline_defs.catalogue import catalogue
from pipeline_defs.sealed.launch import seal
from planted.stages import Config

store = seal(Store(Path(sys.argv[1])))
stages = catalogue().stages
parents = {n: stages["planted/raw_slice"].call(store, {}, Config(), n) for n in ("north", "south")}
told = []
for what, target in json.loads(sys.argv[2]):
    given = {"raw_slice": {"north": parents["north"]}}
    target = str(parents["south"].file("rows.json")) if target == "sibling" else target
    try:
        made = stages["planted/dataset_manifest"].call(store, given, Config(what=what, target=target))
        told.append(["made", made.read_json("found.json")[0], made.id])
    except StemmaError as error:
        told.append([error.code, str(error.found), target])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An installed plug-in whose manifest tries what its config says."""
    site = tmp_path_factory.mktemp("site")
    (site / "planted").mkdir()
    (site / "planted" / "__init__.py").write_text("")
    (site / "planted" / "stages.py").write_text(STAGES)
    (site / "planted" / "domain.py").write_text(DOMAIN)
    info = site / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stemma.domains]\nplanted = planted.domain:DOMAIN\n")
    return site


def tried(site, root, *probes):
    variables = environment(root) | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "PLANTED": "secret"}
    command = [sys.executable, "-c", DRIVER, str(root / "store"), json.dumps(probes)]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


def test_whatever_was_not_declared_is_refused_by_name_and_nothing_is_published(site, tmp_path):
    root = tmp_path / "root"
    table, text, home = tmp_path / "table.parquet", tmp_path / "notes.json", str(Path.home())
    pq.write_table(pa.table({"x": [1]}), table)
    text.write_text("{}")
    server = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "s"))
    unix.listen()
    probes = [
        *[(what, str(text)) for what in ("open", "caught", "tokenizers", "safetensors", "torch", "run")],
        *[(what, str(table)) for what in ("parquet", "mapped", "polars")],
        ("open", "sibling"),
        ("list", home),
        ("write", str(tmp_path / "new")),
        ("tcp", str(server.getsockname()[1])),
        ("udp", ""),
        ("unix", str(tmp_path / "s")),
        ("proc", ""),
        ("variable", "PLANTED"),
        ("getenv", "PLANTED"),
        ("open", "/etc/passwd"),
        ("open", str(ROOT / "README.md")),
    ]
    told = tried(site, root, *probes)
    codes = {f"{what} {target}": answer[0] for (what, target), answer in zip(probes, told, strict=True)}
    wrong = {probe: code for probe, code in codes.items() if code != "SEAL_DENIED" and not probe.startswith("run ")}
    assert wrong == {}, told
    assert told[5][0] in ("SEAL_DENIED", "SEAL_STAGE_FAILED"), "another program sees no more than the stage"
    assert "ermission denied" in told[2][1], "a reader that does not say which file"
    for place in (0, 1, 3, 4, 6, 7, 8, 9, 10, 11, 18, 19):
        assert told[place][1] == told[place][2], "the refusal names what was asked for"
    assert "PLANTED" in told[16][1] and "PLANTED" in told[17][1]
    store = Store(root / "store")
    assert {store.opened(key).kind for key in store.snapshot_ids()} == {"planted/raw_slice"}
    assert not (tmp_path / "new").exists()


def test_what_was_declared_is_read_and_the_receipt_says_what_was_enforced(site, tmp_path):
    told = tried(site, tmp_path, ("parent", ""), ("temporary", ""), ("getenv", "NEVER_SET"))
    assert [answer[:2] for answer in told] == [["made", "['north']"], ["made", "True"], ["made", "another"]]
    store = Store(tmp_path / "store")
    enforced = read_receipt(store.receipts(told[0][2])[0]).environment["sealed"]
    assert enforced["landlock_abi"] == landlock.abi() and enforced["network"] == "none"
    assert enforced["rules"].startswith("sha256:") and "PLANTED" not in enforced["variables"]
    assert "PATH" in enforced["variables"] and enforced["devices"] == []
    assert not list((tmp_path / "store" / "snapshots").glob("*sealed*"))


def test_a_slice_is_fetched_sealed_through_the_address_filter_and_the_receipt_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CORPUS_AUTH", "Bearer s3cret")
    with serving() as server:
        put_corpus(server, 2)
        stage, fetched = catalogue().stages["text/raw_slice"], {}
        for name, sealed in (("open", False), ("shut", True)):
            store = Store(tmp_path / name / "store")
            config = config_of(server, auth_env="CORPUS_AUTH", allowed_hosts=(f"127.0.0.1:{server.server_port}",))
            fetched[name] = stage.call(seal(store) if sealed else store, {}, config, "http-0")
        asked = [headers.get("authorization") for path, headers in server.requests if path.startswith("/corpus/train")]
        refused = stage_error(stage, seal(Store(tmp_path / "other" / "store")), config_of(server, private_hosts=()))
    assert fetched["open"].id == fetched["shut"].id and texts_of(fetched["shut"])
    assert set(asked) == {"Bearer s3cret"} and refused == "FETCH_PRIVATE"
    enforced = read_receipt(fetched["shut"].receipt).environment["sealed"]
    assert enforced["network"] == "through the address filter" and enforced["secrets"] == ["CORPUS_AUTH"]
    assert "CORPUS_AUTH" not in enforced["variables"]


def stage_error(stage, store, config):
    with pytest.raises(StemmaError) as refused:
        stage.call(store, {}, config, "http-0")
    return refused.value.code


ENDINGS = """
import json, os, signal, sys
from pathlib import Path
from assets_data.lineage import StemmaError, Store
from pipeline_defs.catalogue import catalogue
from pipeline_defs.sealed.launch import seal
from planted.stages import Config

store, told = seal(Store(Path(sys.argv[1]))), []
stage = catalogue().stages["planted/raw_slice"]
for name, what in (("north", "nothing"), ("south", "kill"), ("west", "nothing")):
    if what == "kill":
        [server] = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        os.kill(int(server), signal.SIGKILL)
    try:
        told.append(stage.call(store, {}, Config(), name).id)
    except StemmaError as error:
        told.append(error.code)
print(json.dumps(told))
"""


def test_where_the_process_that_forks_dies_the_stage_fails_with_a_code_and_the_next_one_is_built(site, tmp_path):
    variables = environment(tmp_path) | {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    command = [sys.executable, "-c", ENDINGS, str(tmp_path / "store")]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    north, south, west = json.loads(result.stdout)
    assert south == "SEAL_ENDED" and north.startswith("sha256:") and west.startswith("sha256:") and north != west


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["hrm_lm", "cell_mlm", "world_model", "geno_lewm", "geno_hf"])
def test_a_recipe_of_every_domain_has_the_same_ids_sealed(recipe, tmp_path):
    for name, sealed in (("open", ()), ("shut", ("--sealed",))):
        run_chain(tmp_path / name, "--recipe", recipe, *sealed)
    assert published_ids(tmp_path / "shut") == published_ids(tmp_path / "open")
    verified = stemma(tmp_path / "shut", "verify", f"{recipe}/gate_report", "--sealed")
    assert verified.returncode == 0 and "nodes made sealed" in verified.stdout, verified.stdout


@pytest.mark.slow
def test_the_chain_has_the_same_ids_sealed_and_verify_requires_it_of_the_whole_tree(finished_chain, tmp_path):
    refused = stemma(finished_chain, "verify", "walk_lm/gate_report", "--sealed")
    assert refused.returncode == 1 and "[SEAL_MISSING]" in refused.stdout
    output = run_chain(tmp_path, "--sealed")
    assert f"sealed: Landlock ABI {landlock.abi()}" in output
    assert published_ids(tmp_path) == published_ids(finished_chain)
    verified = stemma(tmp_path, "verify", "walk_lm/gate_report", "--sealed")
    assert verified.returncode == 0 and "nodes made sealed" in verified.stdout, verified.stdout
    explained = stemma(tmp_path, "explain", "walk_lm/gate_report", "--json")
    assert all(node["sealed"] for node in json.loads(explained.stdout)["nodes"])
    again = run_chain(tmp_path, "--sealed")
    assert "reused" in again and "made " not in again


def test_without_landlock_the_run_says_so_and_seals_nothing(tmp_path):
    code = (
        "import sys; from pipeline_defs.sealed import landlock; landlock.abi = lambda: 3; "
        "from pipeline_defs.commands.cli import main; sys.exit(main(['run', '--preset', 'smoke', '--sealed']))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True)
    assert result.returncode == 1 and "[SEAL_UNAVAILABLE]" in result.stderr and "nothing was sealed" in result.stderr
    assert not (tmp_path / "store").exists()
