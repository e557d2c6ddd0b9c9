"""Regions in splits: arcs, folds, sequences and BED files; what two splits share is in none."""

import pytest

from assets_data.domains.genome.config import ReferenceConfig, SplitConfig
from assets_data.domains.genome.fasta import read_reference
from assets_data.domains.genome.split import _merged, assign, read_bed
from assets_data.lineage import ConfigError, DataError

ARCS = [f"MT/{arc}" for arc in range(20)]


def split_of(fold=0, seed=7):
    found = assign(ARCS, SplitConfig(fold=fold, seed=seed))
    return {split: {arc for arc in ARCS if found[arc] == split} for split in ("train", "validation", "test")}


def test_twenty_arcs_are_14_2_and_4_and_folds_share_no_test_arc():
    folds = [split_of(fold) for fold in range(5)]
    assert all([len(fold[s]) for s in ("train", "validation", "test")] == [14, 2, 4] for fold in folds)
    assert len(set().union(*(fold["test"] for fold in folds))) == 20
    assert split_of(seed=8) != split_of(seed=7)


def test_what_two_splits_share_is_taken_from_both_and_neighbours_of_one_are_joined():
    regions = [("c", 0, 100, "train"), ("c", 80, 200, "test"), ("c", 200, 300, "test"), ("d", 0, 50, "train")]
    assert _merged(regions) == [("c", 0, 80, "train"), ("c", 100, 300, "test"), ("d", 0, 50, "train")]
    inside = [("c", 0, 100, "train"), ("c", 40, 60, "test")]
    assert _merged(inside) == [("c", 0, 40, "train"), ("c", 60, 100, "train")]


def test_a_bed_file_names_what_stays_together_and_may_say_a_split(tmp_path):
    path, references = tmp_path / "r.bed", read_reference(ReferenceConfig())
    path.write_text('#genes\ntrack x\nMT\t10\t20\t"ND1"\r\nMT\t30\t40\tND1\nMT\t50\t60\ttest\n\nMT\t70\t80\n')
    found = read_bed(path, references)
    assert found == [("MT", 10, 20, "ND1"), ("MT", 30, 40, "ND1"), ("MT", 50, 60, "test"), ("MT", 70, 80, "line 7")]
    assert assign((name for *_, name in found), SplitConfig())["test"] == "test"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MT\t20\t10", "BED_FORMAT"),
        ("MT\t1\t99999", "BED_FORMAT"),
        ("MT 1 2", "CONTIG_UNKNOWN"),
        ("chrM\t1\t2", "CONTIG_UNKNOWN"),
        ("MT\tx\t2", "BED_FORMAT"),
    ],
)
def test_a_line_that_is_no_region_is_refused_with_its_number(tmp_path, line, code):
    path = tmp_path / "r.bed"
    path.write_text(f"MT\t10\t20\n{line}\n")
    with pytest.raises(DataError, match=rf"{code}.*line 2"):
        read_bed(path, read_reference(ReferenceConfig()))


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ConfigError, match="GENOME_SPLIT"):
        SplitConfig(by="bed")
    with pytest.raises(ConfigError, match="GENOME_SPLIT"):
        SplitConfig(bed="x.bed")
