"""`boxlist_vllm`: vLLM's engine in this process's service, without a server (extra `vllm`).

    boxlist run --model boxlist_vllm --model-args pretrained=CHECKPOINT,adapter=ADAPTER,tensor_parallel_size=2 ...

Prompts, protocols, controls, adapters, identity and finish reasons are those of `boxlist_hf`. Tokens come back as a
stream for each question; the same reader as in `boxlist_hf` turns them into text and watches it, and closes the stream
when the answer is over, which makes the engine drop the request. No token is ever forced.

What differs from `boxlist_hf`:

- Greedy is `temperature=0` and nothing of a checkpoint's generation_config.json but its end-of-turn ids: raw is raw.
- `repetition_penalty` is vLLM's own, over prompt and answer as transformers' is. `no_repeat_ngram_size`, beams and
  likelihood are refused.
- `concurrency` says how many questions are under way; the engine makes its own batches, so `batch_size` stays 1.
- Adapters may change the language model only, and carry nothing but LoRA weights.
- With `tensor_parallel_size`, `pipeline_parallel_size` and `data_parallel_size` the engine takes several devices. For
  several machines start Ray on them and add `distributed_executor_backend=ray` (one model over many machines) or
  `data_parallel_backend=ray` (a model on each); without Ray, `nnodes` or `data_parallel_size_local` wait for
  `vllm serve --headless` on the others.

`arguments.py` what may be given, `adapters.py` which adapters vLLM takes, `engine.py` the engine started and asked,
`model.py` many questions at once.
"""
