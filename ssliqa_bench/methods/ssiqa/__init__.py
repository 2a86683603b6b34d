"""SS-IQA: knowledge distillation by kernel ridge regression and incremental learning."""
