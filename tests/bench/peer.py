"""The peer's side of a comparison: PyTorch and transformers' LlamaForCausalLM, asked for line by line.

Started with one argument, the work as JSON; to each line "run" it answers with one line of JSON. With "once" it does
20 steps of a tiny model from the start of the process to a saved checkpoint and ends. With "version" it says what it is.
"""
import json
import resource
import sys
import time

import torch
import transformers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY = 32000


def make_model(work, vocabulary=VOCABULARY):
    torch.manual_seed(1)
    dtype = torch.bfloat16 if work["dtype"] == "bfloat16" else torch.float32
    config = LlamaConfig(hidden_size=work["dim"], intermediate_size=work["mlp"], num_hidden_layers=work["layers"],
                         num_attention_heads=work["heads"], num_key_value_heads=work.get("kv_heads", work["heads"]),
                         vocab_size=vocabulary, max_position_embeddings=8192, use_cache=False,
                         tie_word_embeddings=work.get("tied", False), attn_implementation="sdpa")
    model = LlamaForCausalLM(config).to(dtype)
    return torch.compile(model) if work.get("compile") else model


def update(model, optimizer):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


class Training:
    """One optimizer step on sequences of one length, in one batch."""

    def __init__(self, work):
        self.model = make_model(work)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=work["tuned"] or None)
        self.ids = torch.randint(3, VOCABULARY, (len(work["lengths"]), work["lengths"][0]))

    def run(self):
        self.model(input_ids=self.ids, labels=self.ids).loss.backward()
        update(self.model, self.optimizer)


class Unlearning:
    """One optimizer step as the study's code makes it: each sequence padded to the maximal length, a batch by itself, and its
    loss, with a factor of -1 for forget and 1 for retain, computed from whole logits; gradients are accumulated."""

    def __init__(self, work):
        self.model = make_model(work)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=work["tuned"] or None)
        self.batches = []
        for number, length in enumerate(work["lengths"]):
            ids = torch.zeros(1, work["padded_length"], dtype=torch.long)
            ids[0, :length] = torch.randint(3, VOCABULARY, (length,))
            mask = (torch.arange(work["padded_length"]) < length).long()[None]
            labels = ids.masked_fill(mask == 0, -100)
            self.batches.append((ids, mask, labels, -1.0 if number < len(work["lengths"]) // 2 else 1.0))

    def run(self):
        for ids, mask, labels, factor in self.batches:
            logits = self.model(input_ids=ids, attention_mask=mask).logits
            shifted, targets = logits[..., :-1, :].contiguous(), labels[..., 1:].contiguous()
            losses = cross_entropy(shifted.view(-1, VOCABULARY), targets.view(-1), reduction="none").view(targets.size())
            valid = (targets != -100).sum(dim=-1)
            (factor * (losses.sum(dim=-1) / valid).mean() / len(self.batches)).backward()
        update(self.model, self.optimizer)


class Evaluation:
    """Each target's log-probability and whether it is the arg-max, over a split."""

    def __init__(self, work):
        self.model = make_model(work).eval()
        self.batches = torch.randint(3, VOCABULARY, (len(work["lengths"]), work["lengths"][0])).split(work["batch"])

    def run(self):
        figures = []
        with torch.inference_mode():
            for ids in self.batches:
                logits = self.model(input_ids=ids).logits[:, :-1].float()
                targets = ids[:, 1:]
                log_prob = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
                figures.append((log_prob, logits.argmax(-1) == targets))


def once(work):
    model = make_model(work, work["vocabulary"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=work["tuned"] or None)
    ids = torch.randint(3, work["vocabulary"], (20, work["batch"], work["length"]))
    for batch in ids:
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        print(f"loss {loss.item():.4f}")
        update(model, optimizer)
    model.save_pretrained(work["output"])
    torch.save(optimizer.state_dict(), work["output"] + "/optimizer.pt")


def main():
    work = json.loads(sys.argv[1])
    if work["task"] == "version":
        print(f"PyTorch {torch.__version__}, transformers {transformers.__version__}")
        return
    if work["task"] == "once":
        once(work)
        return
    task = {"train": Training, "unlearn": Unlearning, "evaluate": Evaluation}[work["task"]](work)
    for _ in sys.stdin:
        began = time.perf_counter()
        task.run()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)


main()
