"""What the stages write beside their tables, read in the shape that is declared for it."""

from assets_data.documents import read_layout
from assets_data.domains.genome.read import KINDS, SPLITS, Layout, open_members, open_trajectories, open_windows
from pipeline_defs.contract.trial import Trial


def test_every_layout_that_the_stages_write_is_read_as_one(tmp_path):
    with Trial(tmp_path) as trial:
        trial.run(["genome/dataset_manifest"], {})
        members = open_members(trial.store, trial.store.pointed("genome/dataset_manifest"))
    layouts = {name: read_layout(member, Layout) for name, member in members.items() if "layout.json" in member.files}
    assert {"windows", "trajectories"} < set(layouts) and any(name.startswith("variants/") for name in layouts)
    for split in SPLITS:
        rows = open_trajectories(members["trajectories"], split)
        assert set(layouts["trajectories"]["kinds"][split]) <= set(KINDS) and len(rows.row_keys)
        assert open_windows(members["windows"], split).codes_RW.shape[1] == layouts["windows"]["width"]
