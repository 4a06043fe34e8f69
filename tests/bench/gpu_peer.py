"""The peer's side of the comparison on one GPU: PyTorch and transformers' LlamaForCausalLM in bfloat16.

Parameters, gradients and both moments of its fused AdamW are bfloat16, 8 bytes a parameter: with fp32 masters and moments, 18
with what ours keeps, 6 billion parameters and the activations of two whole sequences do not fit beside each other. Attention is
SDPA, without a mask: padding on the right needs none.

Started with one argument, the work as JSON; to each line "run" it answers with one line of JSON.
"""
import gc
import json
import sys
import time

import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

work = json.loads(sys.argv[1])
device = torch.device(work["device"])
vocabulary = work["vocabulary"]


def make_model():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    config = LlamaConfig(hidden_size=work["dim"], intermediate_size=work["mlp"], num_hidden_layers=work["layers"],
                         num_attention_heads=work["heads"], num_key_value_heads=work["kv_heads"], vocab_size=vocabulary,
                         max_position_embeddings=8192, rope_theta=5e6, use_cache=False, tie_word_embeddings=False,
                         attn_implementation="sdpa")
    with device:
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    return torch.compile(model) if work.get("compile") else model


def token_losses(logits, labels):
    """Negative log-likelihood of each target, 0 where there is none, and how many targets each sequence has."""
    shifted, targets = logits[:, :-1].reshape(-1, vocabulary).float(), labels[:, 1:]
    losses = cross_entropy(shifted, targets.reshape(-1), reduction="none", ignore_index=-100)
    return losses.view(targets.shape), (targets != -100).sum(-1)


class Training:
    """One optimizer step: gradients of micro-batches are accumulated, clipped and applied."""

    def __init__(self):
        self.model = make_model()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        self.sequences = [torch.randint(3, vocabulary, (length,), device=device) for length in work["lengths"]]
        # As ours is dealt: forget, retain, forget ...; a method without roles has retain alone.
        self.factors = [1.0] * len(self.sequences)
        if work["task"] != "train":
            half = len(self.sequences) // 2
            order = [i for pair in zip(range(half), range(half, 2 * half)) for i in pair]
            self.sequences = [self.sequences[i] for i in order]
            self.factors = [-1.0 if i < half else 1.0 for i in order]
        self.micro_batch = max(1, work["micro_batch_tokens"] // work["padded_length"])

    def parts(self):
        """Numbers of the sequences of each micro-batch, and its width."""
        numbers = range(len(self.sequences))
        if not work.get("pad_to_longest"):
            for begin in numbers[::self.micro_batch]:
                yield numbers[begin:begin + self.micro_batch], work["padded_length"]
            return
        part = []
        for number in sorted(numbers, key=lambda i: -len(self.sequences[i])):
            if part and (len(part) + 1) * len(self.sequences[part[0]]) > self.micro_batch * work["padded_length"]:
                yield part, len(self.sequences[part[0]])
                part = []
            part.append(number)
        yield part, len(self.sequences[part[0]])

    def batches(self):
        """Ids, labels and factors of micro-batches, padded on the right."""
        for part, width in self.parts():
            ids = torch.zeros(len(part), width, dtype=torch.long, device=device)
            labels = torch.full_like(ids, -100)
            for row, number in enumerate(part):
                sequence = self.sequences[number]
                ids[row, :len(sequence)] = labels[row, :len(sequence)] = sequence
            yield ids, labels, torch.tensor([self.factors[i] for i in part], device=device, dtype=torch.float32)

    def loss(self, ids, labels, factors):
        losses, targets = token_losses(self.model(input_ids=ids).logits, labels)
        return (factors * losses.sum(-1) / targets).sum()

    def run(self):
        for ids, labels, factors in self.batches():
            (self.loss(ids, labels, factors) / len(self.sequences)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class KlTraining(Training):
    """Forget sequences are ascended; on retain sequences the loss is the cross-entropy to a reference model's distribution."""

    def __init__(self):
        super().__init__()
        self.reference = make_model().eval()

    def loss(self, ids, labels, factors):
        logits = self.model(input_ids=ids).logits
        retain = factors > 0
        losses, targets = token_losses(logits[~retain], labels[~retain])
        loss = -(losses.sum(-1) / targets).sum()
        if retain.any():
            with torch.no_grad():
                target = self.reference(input_ids=ids[retain]).logits[:, :-1].float().softmax(-1)
            log_q = logits[retain][:, :-1].float().log_softmax(-1)
            loss = loss - (target * log_q).sum(-1).mean(-1).sum()
        return loss


class Evaluation:
    """Each target's log-probability and whether it is the arg-max, over a split."""

    def __init__(self):
        self.model = make_model().eval()
        ids = torch.randint(3, vocabulary, (len(work["lengths"]), work["lengths"][0]), device=device)
        self.batches = ids.split(max(1, work["micro_batch_tokens"] // work["padded_length"]))

    def run(self):
        with torch.inference_mode():
            for ids in self.batches:
                logits = self.model(input_ids=ids).logits[:, :-1]
                targets = ids[:, 1:]
                log_prob = -cross_entropy(logits.reshape(-1, vocabulary).float(), targets.reshape(-1), reduction="none")
                log_prob.cpu(), (logits.argmax(-1) == targets).cpu()


class Attention:
    """SDPA alone, by each of its kernels that takes the shape: forward, and backward. Two whole sequences, causal."""

    def __init__(self):
        length, size = work["padded_length"], work["dim"] // work["heads"]
        self.heads = [torch.randn(2, heads, length, size, device=device, dtype=torch.bfloat16, requires_grad=True)
                      for heads in (work["heads"], work["kv_heads"], work["kv_heads"])]
        self.dout = torch.randn_like(self.heads[0])
        self.rows = []

    def time(self, call):
        call()
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(10):
            call()
        torch.cuda.synchronize()
        return (time.perf_counter() - began) / 10

    def run(self):
        self.rows = []
        attend = torch.nn.functional.scaled_dot_product_attention
        for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION):
            try:
                with sdpa_kernel(backend):
                    out = attend(*self.heads, is_causal=True, enable_gqa=True)
                    forward = self.time(lambda: attend(*self.heads, is_causal=True, enable_gqa=True))
                    backward = self.time(lambda: torch.autograd.grad(out, self.heads, self.dout, retain_graph=True))
                self.rows.append((f"SDPA {backend.name}", forward, backward))
            except RuntimeError as error:
                print(f"SDPA {backend.name}: {error}", file=sys.stderr)


def run(task):
    """One run, by half the micro-batch where the memory is too small."""
    try:
        task.run()
        failed = False
    except torch.OutOfMemoryError:
        if getattr(task, "micro_batch", 1) == 1:
            raise
        failed = True
    if failed:  # outside of the clause, whose exception holds what the failed run had made
        task.optimizer.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        task.micro_batch //= 2
        task.run()
    if device.type == "cuda":
        torch.cuda.synchronize()


def main():
    tasks = {"train": Training, "unlearn": Training, "kl": KlTraining, "evaluate": Evaluation, "attention": Attention}
    task = tasks[work["task"]]()
    for _ in sys.stdin:
        began = time.perf_counter()
        run(task)
        answer = {"seconds": time.perf_counter() - began, "peak_bytes": 0,
                  "note": f"{torch.__version__}, {transformers.__version__}"}
        if device.type == "cuda":
            answer["peak_bytes"] = torch.cuda.max_memory_allocated()
            answer["capability"] = torch.cuda.get_device_capability()[0]
        if getattr(task, "micro_batch", 1) > 1:
            answer["note"] += f", {task.micro_batch} sequences a micro-batch"
        if work["task"] == "attention":
            answer["rows"] = task.rows
        print(json.dumps(answer), flush=True)


main()
