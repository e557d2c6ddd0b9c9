"""Pictures in the UI: drawn from what a real chain published."""

from assets_data.lineage import Store
from pipeline_defs.dagster.plots import quality_figure


def test_the_quality_summary_of_all_slices_is_drawn(finished_chain):
    summary = Store(finished_chain / "store").pointed("text/quality_summary")
    assert summary.stats["slices"] == 4 and summary.stats["documents"] > 500
    png = quality_figure(summary)
    assert png.startswith(b"\x89PNG") and len(png) > 10_000


def test_triples_of_every_slice_were_made_under_the_drop_lists_of_all(finished_chain):
    store = Store(finished_chain / "store")
    listed = store.pointed("text/duplicates").read_json("slices.json")
    assert set(listed) == {store.pointed(f"text/raw_slice/stdlib-{n}").id for n in range(4)}
