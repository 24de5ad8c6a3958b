"""`boxlist_openai`: any server that speaks OpenAI's chat completions (vLLM, SGLang, llama.cpp, transformers serve).

    boxlist run --model boxlist_openai --model-args base_url=http://127.0.0.1:8000/v1,model=NAME,concurrency=8 ...

Prompts, protocols, controls and finish reasons are those of `boxlist_hf`. Answers are streamed; a control on the list
reads along and closes the stream when it fires, which makes the server stop generating. An answer counts once the
server has said how it ended: one that is cut off is asked again from its beginning, and is never stored.

What differs from `boxlist_hf`:

- The weights are as the server says. They cannot be hashed, so `run.json` holds the server's address and what its
  list of models says, and a change of either refuses to reuse answers.
- Greedy means `temperature=0`. A server may still apply a checkpoint's own generation_config.json (vLLM does, its
  repetition penalty included): start vLLM with `--generation-config vllm`, or the raw answers are not raw.
- `repetition_penalty` and `top_k` go along as vLLM and SGLang call them, and only when asked for.
  `no_repeat_ngram_size` and beams are refused. Reasoning that the server keeps apart from the answer is not read.
- Tokens are counted by the server; an answer that a control ended has none.
- Protocols in pixels of the resized image are refused: a server does not tell its size.

`arguments.py` what may be given, `listing.py` what the server says it serves, `asking.py` one question with patience
and retries, `stream.py` the bytes of an answer, `pictures.py` images as data URLs, `model.py` many questions at once.
"""
