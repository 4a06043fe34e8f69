#!/usr/bin/env python3
"""Writes data/corpus/ from the grammars in data/grammar/; the same text every time.

Everything in the corpus is invented. The splits of a domain are drawn from one grammar, so they read alike, but no two
documents share their facts: what a model knows about `forget` beyond what it knows about `approximate` it can only have
memorised. The result is committed; this script is needed only to change it. Usage: data/make_corpus.py

Grammar files: a line `= name` opens a rule, and each line below it is one alternative; after `== name` alternatives
take several lines and end with a line `--`. In an alternative, <name> stands for an expansion of that rule, the same in
the whole document; <name#2> for a second one, different from the first; <+name> for a new one each time; <^name> and
<^^name> for <name> capitalised and in CAPITALS; <12..480> for a number.
"""

import json
import pathlib
import random
import re

HERE = pathlib.Path(__file__).resolve().parent
# domain -> the column that holds the text, and the number of documents of each split
DOMAINS = {
    "papers": ("text", {"forget": 20, "approximate": 20, "retain": 28}),
    "code": ("content", {"forget": 24, "approximate": 24, "retain": 32}),
    "people": ("text", {"forget": 24, "approximate": 24, "retain": 32}),
    "general": ("content", {"evaluation": 32, "retain": 40}),
}
SLOT = re.compile(r"<([+^]*)([a-z_0-9#.]+)>")


def read_grammar(path):
    """Returns rule name -> list of alternatives."""
    rules, alternatives, block = {}, None, None
    for line in path.read_text().splitlines():
        if header := re.fullmatch(r"(==?) ([a-z_0-9]+)", line):
            alternatives = rules.setdefault(header[2], [])
            block = [] if header[1] == "==" else None
        elif block is None:
            if line:
                alternatives.append(line)
        elif line == "--":
            alternatives.append("\n".join(block))
            block.clear()
        else:
            block.append(line)
    return rules


class Document:
    """One expansion of a grammar, with what it has fixed so far."""

    def __init__(self, rules, dice):
        self.rules, self.dice = rules, dice
        self.facts = {}  # slot -> its expansion
        self.used = {}  # rule -> the alternatives taken so far

    def expand(self, text):
        return SLOT.sub(lambda slot: self.slot(slot[1], slot[2]), text)

    def slot(self, mark, key):
        if ".." in key:
            return str(self.dice.randint(*map(int, key.split(".."))))
        rule = key.split("#")[0]
        if mark == "+":
            return self.expand(self.dice.choice(self.rules[rule]))
        if key not in self.facts:
            used = self.used.setdefault(rule, [])
            fresh = [alternative for alternative in self.rules[rule] if alternative not in used]
            used.append(self.dice.choice(fresh or self.rules[rule]))
            self.facts[key] = self.expand(used[-1])
        value = self.facts[key]
        return {"": value, "^": value[0].upper() + value[1:], "^^": value.upper()}[mark]


def main():
    for domain, (column, splits) in DOMAINS.items():
        rules = read_grammar(HERE / "grammar" / f"{domain}.txt")
        dice = random.Random(domain)
        headings = set()  # a document's first line names its subject: no two documents of a domain share one
        for split, count in splits.items():
            start = split if split in rules else "document"
            texts = []
            while len(texts) < count:
                text = Document(rules, dice).expand(f"<{start}>")
                heading = text.split("\n")[0]
                if heading not in headings:
                    headings.add(heading)
                    texts.append(text)
            path = HERE / "corpus" / domain / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps({column: text}) + "\n" for text in texts))
            lengths = sorted(map(len, texts))
            print(f"{domain}/{split}: {count} documents, {sum(lengths)} characters ({lengths[0]} to {lengths[-1]})")


if __name__ == "__main__":
    main()
