"""Everything that needs torch, transformers, datasets or accelerate. Commands import it inside their bodies."""
