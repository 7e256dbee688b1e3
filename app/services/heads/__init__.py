"""Head pages: top features, scores, examples, with the annotation panel."""
