"""The gate report for people: a page that needs nothing else, and markdown for a pull request."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from assets_data.lineage import Store
from pipeline_defs.answers.report.drawings import curve
from pipeline_defs.answers.report.facts import Facts, gather, margin_row
from pipeline_defs.answers.report.markdown import markdown_lines
from pipeline_defs.answers.report.page import page
from tests.chain import stemma
from training.trainer import train


@pytest.fixture
def root(finished_chain, tmp_path):
    shutil.copytree(finished_chain, tmp_path / "root")
    return tmp_path / "root"


class Outside(HTMLParser):
    """What a page would load or run."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.found += [(tag, name) for name, _ in attributes if name in ("src", "href") or name.startswith("on")]
        self.found += [(tag, "")] if tag in ("script", "link", "iframe", "img", "object") else []
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def criteria(root):
    report = Store(root / "store").pointed("walk_lm/gate_report")
    return report, report.read_json("result.json")["gate"]["criteria"]


def test_the_page_says_every_criterion_and_loads_nothing(root):
    result = stemma(root, "report", "walk_lm/checkpoint", "--json")
    told = json.loads(result.stdout)
    assert result.returncode == 0 and told["verdict"] == "pass" and told["intact"] is True
    report, rows = criteria(root)
    path = root / "store" / "reports" / f"{report.id.removeprefix('sha256:')}.html"
    assert told["report"] == str(path)
    text, outside = path.read_text(), Outside()
    outside.feed(text)
    assert outside.found == [] and outside.open == [] and "url(" not in text and "@import" not in text
    assert all(row["name"] in text for row in rows) and "prefers-color-scheme: dark" in text
    assert text.count("<polyline") == 5 and "stemma rebuild" in text and "text/raw_slice" in text
    kind = stemma(root, "report", "text/tokenizer")
    assert kind.returncode == 1 and "[REPORT_OF_WHAT]" in kind.stderr


def test_the_markdown_has_intervals_margins_champion_and_lineage(root):
    store = Store(root / "store")
    assert stemma(root, "promote", "walk_lm").returncode == 0
    assert "this is the champion" in stemma(root, "report", "walk_lm/promoted_checkpoint", "--markdown").stdout
    worse = train("walk_lm", store=store, preset="smoke", overrides={"train.updates": 60})
    worse.evaluate()
    result = stemma(root, "report", "walk_lm/checkpoint", "--markdown")
    _, rows = criteria(root)
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and lines[0].endswith("gate fail")
    table = [line for line in lines if line.startswith(f"| {rows[1]['name'].replace('_', chr(92) + '_')} ")]
    low, high = rows[1]["interval"]
    assert f"{low:.4g} to {high:.4g}" in table[0] and f"{rows[1]['value'] - rows[1]['threshold']:+.4g}" in table[0]
    assert len(table) == 2 and table[1].endswith("worse |"), "the second is the change against the champion"
    assert "**Lineage:** intact" in result.stdout
    broken = store.pointed("text/tokenizer").file("tokenizer.json")
    broken.write_bytes(broken.read_bytes().replace(b"a", b"b", 1))
    result = stemma(root, "report", "walk_lm/checkpoint", "--markdown")
    assert result.returncode == 1 and "**Lineage:** BROKEN" in result.stdout


def test_names_from_data_are_shown_and_never_rendered(root):
    facts = gather(Store(root / "store"), criteria(root)[0], hashed=False)
    evil = "<script>x</script>|[a](http://b)@c"
    row = {**facts.rows[0], "name": evil}
    members = {name: getattr(facts, name) for name in Facts.__slots__}
    forged = Facts(**{**members, "rows": [row], "gate": {**facts.gate, "reasons": [evil]}, "lineage": [evil]})
    outside = Outside()
    outside.feed(page(forged))
    assert outside.found == [] and "not hashed for this page" in facts.lineage_verdict
    table = next(line for line in markdown_lines(forged) if "script" in line)
    assert len(re.findall(r"(?<!\\)\|", table)) == 7 and not re.search(r"(?<!\\)[<\[@]", table)


def test_a_margin_counts_towards_the_right_side_and_a_curve_leaves_out_what_is_not_finite():
    low = {"value": 2.0, "threshold": 2.5, "direction": "below"}
    assert margin_row(low)["margin"] == 0.5 and margin_row({**low, "direction": "above"})["margin"] == -0.5
    assert margin_row({**low, "value": None})["margin"] is None
    assert curve("x", [1, 2, 3], [1.0, None, float("nan")]).count(",") >= 1 and curve("x", [1], [None]) == ""
