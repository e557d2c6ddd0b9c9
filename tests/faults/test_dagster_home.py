"""F39: Dagster's home deleted. The store answers alone, and a new home learns of every asset without any work."""

import json
import shutil

import dagster as dg
import pytest

from tests.chain import published_ids, run_chain, stemma

TOPS = ("walk_lm/gate_report",)  # all of the chain is below it


@pytest.mark.slow  # a whole chain, if no other test has run one, and two explanations in processes of their own
def test_f39_without_the_dagster_home_explain_answers_in_full_and_a_new_home_registers_all_without_recomputing(
    finished_chain, tmp_path
):
    root = tmp_path / "root"
    shutil.copytree(finished_chain, root)
    with_home = explained(root)
    shutil.rmtree(root / "dagster")
    (root / "dagster.yaml").unlink()
    assert explained(root) == with_home
    files = made_files(root / "store")
    run_chain(root)
    assert made_files(root / "store") == files
    ids = published_ids(finished_chain)
    assert materialised(finished_chain) == {name: (ids[name], False) for name in ids}
    assert materialised(root) == {name: (ids[name], True) for name in ids}


def explained(root):
    """What `explain` says of the whole chain; every node of it must be verified."""
    stories = {}
    for top in TOPS:
        result = stemma(root, "explain", top, "--json")
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr
        stories[top] = json.loads(result.stdout)
    nodes = {node["id"]: node for explanation in stories.values() for node in explanation["nodes"]}
    assert set(nodes) >= set(published_ids(root).values())
    assert all(node["ok"] and node["receipts"] for node in nodes.values())
    return stories


def made_files(store):
    """Every file that making anything would add or write again: inode, time of the last write, bytes."""
    folders = [store / name for name in ("snapshots", "receipts", "stages", "runs")]
    facts = {path: path.stat() for folder in folders for path in folder.rglob("*") if path.is_file()}
    return {path: (fact.st_ino, fact.st_mtime_ns, fact.st_size) for path, fact in facts.items()}


def materialised(root):
    """``(data version, reused)`` of the newest materialisation of every asset and slice in the Dagster home."""
    found = {}
    with dg.DagsterInstance.from_config(str(root)) as instance:
        for key in instance.all_asset_keys():
            for record in instance.fetch_materializations(key, limit=100).records:  # the newest first
                name = "/".join([*key.path, *filter(None, [record.partition_key])])
                event = record.asset_materialization
                assert event and event.tags
                found.setdefault(name, (event.tags["dagster/data_version"], event.metadata["reused"].value))
    return found
