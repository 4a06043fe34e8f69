#!/usr/bin/env python3
"""Turns a data set in Parquet into the JSON lines that `expunge tokenize` reads.

    python3 parquet_to_jsonl.py INPUT OUTPUT

INPUT/<domain>/<split>.parquet, or the Hub's <split>-00000-of-0000N.parquet, becomes OUTPUT/<domain>/<split>.jsonl with every
text column kept under its name. OUTPUT may be INPUT: the files then lie side by side, and the JSON lines are read.
Needs pyarrow (pip install pyarrow). Works row group by row group, so memory does not grow with the files.
"""
import argparse
import json
import os
import pathlib
import re
import sys
import tempfile

try:
    import pyarrow.parquet
except ImportError:
    sys.exit("pyarrow is missing; install it with: pip install pyarrow")


def find_splits(folder):
    """{(domain, split): its files in order}"""
    splits = {}
    for path in sorted(folder.glob("*/*.parquet")):
        split = re.sub(r"-\d{5}-of-\d{5}$", "", path.stem)
        splits.setdefault((path.parent.name, split), []).append(path)
    return splits


def convert(files, target):
    """Writes the rows of `files` to `target`, under a name of its own until it is whole. Returns their number."""
    rows = 0
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        temporary = pathlib.Path(folder) / target.name
        rows = write(files, temporary)
        os.link(temporary, target)  # fails where a file came to be there meanwhile
    return rows


def write(files, temporary):
    """Writes the rows of `files` and flushes them to disk. Returns their number."""
    rows = 0
    with open(temporary, "x", encoding="utf-8", newline="\n") as output:
        for path in files:
            table = pyarrow.parquet.ParquetFile(path)
            texts = [f.name for f in table.schema_arrow if f.type in (pyarrow.string(), pyarrow.large_string())]
            if not texts:
                sys.exit(f"{path}: no column of text (columns: {', '.join(table.schema_arrow.names)})")
            for batch in table.iter_batches(batch_size=256, columns=texts):
                for row in batch.to_pylist():
                    output.write(json.dumps(row, ensure_ascii=False) + "\n")
                    rows += 1
        output.flush()
        os.fsync(output.fileno())
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=pathlib.Path, help="folder of the data set")
    parser.add_argument("output", type=pathlib.Path, help="folder to write")
    arguments = parser.parse_args()
    splits = find_splits(arguments.input)
    if not splits:
        sys.exit(f"{arguments.input} holds no <domain>/<split>.parquet")
    for (domain, split), files in splits.items():
        target = arguments.output / domain / f"{split}.jsonl"
        if target.exists():
            sys.exit(f"{target} exists already; remove it or choose another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        print(f"{target}: {convert(files, target)} rows")


if __name__ == "__main__":
    main()
