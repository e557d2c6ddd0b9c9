"""What `stemma run` does, but to the text domain's manifest instead of a gate, over a folder whose files are slices.

A process to kill. Its last line is the most memory that it had, in MiB.
"""

import re
import sys
from pathlib import Path

from pipeline_defs.commands.chain import plan_stages
from pipeline_defs.commands.run import finish_chain

MANIFEST = "text/dataset_manifest"


def main(folder: str) -> None:
    """A slice per file: they are spread over so many shards that no two share one. Odd rows are left out."""
    source = {"source": "files", "files.root": folder, "files.patterns": ["*.jsonl"], "shards": 2**40}
    source |= {"extract.skip_missing": True, "extract.max_malformed": 1}
    finish_chain(plan_stages("many", [MANIFEST], "smoke", {f"text.raw_slice.{k}": v for k, v in source.items()}))
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(int(peak) // 1024)


if __name__ == "__main__":
    main(sys.argv[1])
