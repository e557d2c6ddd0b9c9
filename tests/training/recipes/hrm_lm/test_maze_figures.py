"""What the UI draws of a gate that judged mazes."""

import pytest
from matplotlib import image

from assets_data.domains.text.maze_figures import _cells, depth_figure
from assets_data.lineage import Store, with_overrides
from assets_data.stage import load
from tests.training.recipes.hrm_lm.test_token_core import configured
from tests.training.triples import make_manifest
from training.recipes.hrm_lm import RECIPE
from training.stages import make_checkpoint, make_gate_report, make_preflight_report

ROWS = [{"depth": depth, "mazes": 9, **{f"segments_{n}": n / 10 for n in range(1, 9)}} for depth in range(1, 11)]


@pytest.mark.parametrize("memory", ["core+encoder", "encoder"])
def test_a_gate_report_draws_its_depths_and_its_mazes(tmp_path, memory):
    store = Store(tmp_path / "store")
    inputs = {"manifest": make_manifest(store)}
    config = with_overrides(configured(), {"model.memory": memory, "train.updates": 3, "train.validate_every": 0})
    preflight = make_preflight_report(store, RECIPE, inputs, config)
    assert preflight.read_json("registration.json")["ok"], preflight.read_json("preflight.json")["issues"]
    report = make_gate_report(store, RECIPE, inputs, preflight, make_checkpoint(store, RECIPE, inputs, preflight))
    drawn = load(RECIPE.figures)(report)
    assert list(drawn) == ["mazes, exact match by depth", "mazes, solved and failed"]
    assert all(picture.startswith(b"\x89PNG") for picture in drawn.values())


def test_each_number_of_segments_has_a_line(tmp_path):
    def drawn(rows):
        (tmp_path / "a.png").write_bytes(depth_figure(rows))
        return image.imread(tmp_path / "a.png")

    one = [{name: row[name] for name in ("depth", "mazes", "segments_1")} for row in ROWS]
    moved = [{**row, "segments_6": 1.0} for row in ROWS]
    assert (drawn(ROWS) != drawn(moved)).any() and (drawn(ROWS) != drawn(one)).any()
    unseen = [{**row, "segments_5": 1.0} for row in ROWS]
    assert (drawn(ROWS) == drawn(unseen)).all(), "5 segments have no line"


def test_a_maze_is_read_row_by_row():
    assert _cells("S.o".replace(".", "x") + "\n#oo\nx#x\n").tolist() == [[3, 1, 2], [0, 2, 2], [1, 0, 1]]
