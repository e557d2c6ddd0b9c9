"""Pictures in the UI: drawn from what a real chain published."""

from assets_data.domains.text.plots import quality_figures
from assets_data.domains.text.quality_summary import make_quality_summary
from assets_data.lineage import Store


def test_the_quality_summary_of_all_slices_is_drawn(finished_chain, tmp_path):
    store = Store(finished_chain / "store")
    slices = {kind: {f"stdlib-{n}": store.pointed(f"text/{kind}/stdlib-{n}") for n in range(4)} for kind in KINDS}
    summary = make_quality_summary(Store(tmp_path), slices["raw_slice"], slices["triples"])
    assert summary.stats["slices"] == 4 and summary.stats["documents"] > 500
    ((title, png),) = quality_figures(summary).items()
    assert title and png.startswith(b"\x89PNG") and len(png) > 10_000


KINDS = ("raw_slice", "triples")


def test_triples_of_every_slice_were_made_under_the_drop_lists_of_all(finished_chain):
    store = Store(finished_chain / "store")
    listed = store.pointed("text/duplicates").read_json("slices.json")
    assert set(listed) == {f"stdlib-{number}" for number in range(4)}
    for number in range(4):
        own = store.pointed(f"text/drops/stdlib-{number}").read_json("slice.json")["documents"]
        assert own == store.pointed(f"text/documents/stdlib-{number}").id == listed[f"stdlib-{number}"]["documents"]
