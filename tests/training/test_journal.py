import json

from training.journal import Journal


def test_measurements_that_are_none_write_no_line_and_reach_no_listener(tmp_path):
    journal, told = Journal(tmp_path / "metrics.jsonl"), []
    journal.listeners.append(lambda update, points: told.append(update))
    journal.record(1, {})
    journal.record(2, {"val_loss": 0.5})
    journal.record(3, {})
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"update": 2, "monitor": {"val_loss": 0.5}}] and told == [2]
    assert journal.measured == {"val_loss": 2}
