#!/usr/bin/env python3
"""Turns a data set in Parquet into the JSON lines that `expunge tokenize` reads.

    python3 parquet_to_jsonl.py INPUT OUTPUT

INPUT/<domain>/<split>.parquet, or the Hub's <split>-00000-of-0000N.parquet, becomes OUTPUT/<domain>/<split>.jsonl with every
text column kept under its name. OUTPUT may be INPUT: the files then lie side by side, and the JSON lines are read.
Text is every type of string that Arrow has, also behind a dictionary (a categorical of pandas), and what a column named text
or content holds as bytes. A row is left out, and counted, where its text is null: that of the column text, else of content,
else of all text columns. Empty texts are kept; tokenize drops and counts them.
Either all files appear or, after an error or a signal, none. A file that exists is never replaced.
Needs pyarrow (pip install pyarrow). Works row group by row group, so memory does not grow with the files.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import sys
import tempfile

try:
    import pyarrow.parquet
except ImportError:
    pyarrow = None  # what is no Parquet file is named without it

DOCUMENT_COLUMNS = ("text", "content")  # where tokenize looks for a document, in its order
STRINGS = ("string", "large_string", "string_view")
BYTES_OR_NULL = ("binary", "large_binary", "binary_view", "null")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")


def check_kind(path):
    """Names what a file is that only bears the name of a Parquet file."""
    with open(path, "rb") as file:
        begin = file.read(512)
    if not begin:
        found = "an empty one (0 bytes); download it again"
    elif begin.startswith(b"version https://git-lfs.github.com/spec/"):
        found = "a Git LFS pointer, which stands for it; run `git lfs pull` in its repository, or download the file"
    elif begin.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        found = "an HTML page, perhaps of a failed download; download the file again"
    else:
        return
    sys.exit(f"{path}: expected a Parquet file, found {found}")


def find_splits(folder):
    """{(domain, split): its files in order}"""
    splits = {}
    for path in sorted(folder.glob("*/*.parquet")):
        splits.setdefault((path.parent.name, SHARD.sub("", path.stem)), []).append(path)
    if not splits:
        sys.exit(f"{folder}: expected <domain>/<split>.parquet, found none; name the folder that holds the domains' folders")
    for files in splits.values():
        check_shards(files)
        for path in files:
            check_kind(path)
    return splits


def check_shards(files):
    """One file, or each of a whole number of shards once."""
    shards = [SHARD.search(path.stem) for path in files]
    if shards == [None]:
        return
    found = [tuple(map(int, shard.groups())) if shard else None for shard in shards]
    if found != [(i, len(files)) for i in range(len(files))]:
        names = ", ".join(path.name for path in files)
        sys.exit(f"{files[0].parent}: expected one file or all shards of the split, found {names}; add or remove what is wrong")


def kind(field):
    """The name of what a column's values are, behind a dictionary or a type of a library's own."""
    type = getattr(field.type, "storage_type", field.type)
    return str(getattr(type, "value_type", type) if pyarrow.types.is_dictionary(type) else type)


def text_columns(path, schema):
    """Names of the columns that hold text."""
    names = [field.name for field in schema]
    # Other columns of bytes hold images and the like. A column of type null holds texts of which none is there.
    texts = [field.name for field in schema
             if kind(field) in STRINGS or (field.name in DOCUMENT_COLUMNS and kind(field) in BYTES_OR_NULL)]
    if not texts:
        found = ", ".join(f"{field.name} ({field.type})" for field in schema)
        sys.exit(f"{path}: expected a column of text, found the columns {found or 'none'}; convert one to string")
    for name in texts:
        if names.count(name) > 1:
            sys.exit(f"{path}: expected each column once, found '{name}' {names.count(name)} times; rename or remove one")
    return texts


def texts_of(column, where, row):
    """The texts of a column, as str or None. `row` is the number of the first."""
    try:
        return [value.decode("utf-8") if isinstance(value, bytes) else value for value in column.to_pylist()]
    except UnicodeDecodeError as error:
        last = row + len(column) - 1
        sys.exit(f"{where}, rows {row} to {last}: expected UTF-8, found bytes that are none ({error.reason}); convert the column")


def rows_of(path):
    """The columns of text of each row, or None where it has no text."""
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            texts = text_columns(path, table.schema_arrow)
            document = next(([name] for name in DOCUMENT_COLUMNS if name in texts), texts)
            number = 0
            for batch in table.iter_batches(batch_size=256, columns=texts):
                columns = {name: texts_of(batch.column(name), f"{path}: column '{name}'", number) for name in texts}
                for i in range(batch.num_rows):
                    row = {name: values[i] for name, values in columns.items()}
                    yield row if any(row[name] is not None for name in document) else None
                number += batch.num_rows
    except (OSError, pyarrow.ArrowException) as error:
        sys.exit(f"{path}: expected a Parquet file, found one that cannot be read ({error}); fetch it again")


def write(files, path):
    """Writes the rows of `files` and flushes them to disk. Returns how many, and how many were left out."""
    rows = left_out = 0
    with open(path, "x", encoding="utf-8", newline="\n") as output:
        for file in files:
            for row in rows_of(file):
                if row is None:
                    left_out += 1
                    continue
                output.write(json.dumps(row, ensure_ascii=False) + "\n")
                rows += 1
        output.flush()
        os.fsync(output.fileno())
    return rows, left_out


class NewPaths:
    """Folders and files made so far, removed again unless all is done. Folders that hold other things stay."""

    def __enter__(self):
        self.folders, self.files = [], []
        return self

    def __exit__(self, error, *_):
        if error is None:
            return
        for file in self.files:
            file.unlink()
        for folder in reversed(self.folders):
            try:
                folder.rmdir()
            except OSError:
                pass

    def make_folder(self, folder):
        if folder.is_dir():
            return
        if os.path.lexists(folder):
            sys.exit(f"{folder}: expected a folder, found a file; remove it or choose another folder")
        self.make_folder(folder.parent)
        folder.mkdir()
        self.folders.append(folder)

    def link(self, whole, target):
        os.link(whole, target)  # fails where a file came to be there meanwhile
        self.files.append(target)


def convert(splits, output):
    """Writes all splits under a folder of their own, and then under their names."""
    targets = {key: output / key[0] / f"{key[1]}.jsonl" for key in splits}
    for target in targets.values():
        if target.exists() or target.is_symlink():
            sys.exit(f"{target} exists already; remove it or choose another folder")
    with NewPaths() as made:
        made.make_folder(output)
        with tempfile.TemporaryDirectory(prefix=".parquet_to_jsonl.", dir=output) as folder:
            parts = {key: pathlib.Path(folder) / str(i) for i, key in enumerate(splits)}
            counts = {key: write(files, parts[key]) for key, files in splits.items()}
            for key, target in targets.items():
                made.make_folder(target.parent)
                made.link(parts[key], target)
    for key, (rows, left_out) in counts.items():
        print(f"{targets[key]}: {rows} rows" + (f", {left_out} without a text left out" if left_out else ""))


def end(number, _):
    """Ends the program by way of what cleans up, which another signal must not end."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    print(f"ended by signal {number}; nothing was written", file=sys.stderr)
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=pathlib.Path, help="folder of the data set")
    parser.add_argument("output", type=pathlib.Path, help="folder to write")
    arguments = parser.parse_args()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, end)
    try:
        splits = find_splits(arguments.input)
        if pyarrow is None:
            sys.exit("pyarrow is missing; install it with: pip install pyarrow")
        convert(splits, arguments.output)
    except OSError as error:
        sys.exit(f"{error}; nothing was written")


if __name__ == "__main__":
    main()
