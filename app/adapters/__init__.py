"""The only doors to model libraries: language models, SAE formats, corpora."""
