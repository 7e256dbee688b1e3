"""The batch job: shards of a corpus through a model and its SAEs, into sealed partials and then the store."""
