"""Consistency matching on levels of quality: one algorithm per file, what they share beside them.

Each algorithm is a rule: a frozen set of numbers with `start(sizes, random)`, which gives the state before the first
step, and a pure function `step(state, batch) -> (terms, state')` of logits, embeddings, labels and positions, in the
precision of what it is given (float32 at least). Terms are scalars that end in `_loss`, `total_loss` among them, and
the tensors `mask` and `target`.
"""
